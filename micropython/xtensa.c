// What the compiler calls on Xtensa, where Rust's own runtime library cannot be compiled.
#include "abi.h"

typedef unsigned long long word64;

__attribute__((visibility("default"))) word64 __muldi3(word64 a, word64 b);
__attribute__((visibility("default"), noreturn)) void abort(void);

// The lower 64 bits of a product, of products of 16 bits: not every model has an instruction for the upper half of a longer one.
word64 __muldi3(word64 a, word64 b) {
    uint32_t a_low = (uint32_t)a, b_low = (uint32_t)b;
    uint32_t a0 = a_low & 0xffff, a1 = a_low >> 16, b0 = b_low & 0xffff, b1 = b_low >> 16;
    // The compiler must not see that this is a product, or it would call this function for it.
    __asm__("" : "+r"(a0), "+r"(a1));
    uint32_t middle = a1 * b0 + (a0 * b0 >> 16);
    uint32_t other = a0 * b1 + (middle & 0xffff);
    uint32_t high = a1 * b1 + (middle >> 16) + (other >> 16);
    high += a_low * (uint32_t)(b >> 32) + (uint32_t)(a >> 32) * b_low;
    return (word64)high << 32 | a_low * b_low;
}

// Where the compiler knows that nothing goes on.
void abort(void) {
    for (;;) {
        __asm__ volatile("ill");
    }
}
