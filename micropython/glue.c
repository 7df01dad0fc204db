// What Rust cannot say: catching a Python exception, which arrives as a second return of nlr_push.
#include "abi.h"

#if defined(FTPDLITE_ROM)
// Code in a ROMFS: the register r9, which the compiler keeps free here, says where the words are that the loader has filled (rom.S).
static inline __attribute__((always_inline)) const mp_fun_table_t *functions(void) {
    const mp_fun_table_t *const *words;
    __asm__("mov %0, r9" : "=r"(words));
    return *words;
}
#define mp_fun_table (*functions())
#endif

// Words for the registers that nlr_push saves, and some to spare. There may be two handlers on a small stack at once. A jmp_buf of the Xtensa windowed ABI needs
// the most; elsewhere it is 16 registers at most (py/nlr.h), and a word that some firmwares add.
#if defined(__xtensa__)
#define REGISTER_WORDS 72
#else
#define REGISTER_WORDS 32
#endif

typedef struct {
    nlr_buf_t head;
    void *registers[REGISTER_WORDS];
} handler_t;

// nlr_push returns a second time when an exception arrives. A call through a pointer cannot be declared to do that. It is still right, because
// after the second return only the handler is read, which is in memory, through a volatile pointer.
typedef unsigned int (*push_t)(nlr_buf_t *);

#if defined(__xtensa__)
// There the table's nlr_push only links the frame in, and setjmp saves the registers behind its head.
typedef int (*setjmp_t)(void *);

static inline __attribute__((always_inline)) unsigned int push(handler_t *handler) {
    mp_fun_table.nlr_push(&handler->head);
    return ((setjmp_t)mp_fun_table.setjmp_)(handler->registers);
}
#define PUSH(handler) push(handler)
#else
#define PUSH(handler) (((push_t)mp_fun_table.nlr_push)(&(handler)->head))
#endif

// Calls call(context). Gives NULL, or the exception object that it raised.
void *ftpdlite_try(void (*call)(void *context), void *context) {
    handler_t handler;
    if (PUSH(&handler) == 0) {
        call(context);
        mp_fun_table.nlr_pop();
        return 0;
    }
    return ((volatile handler_t *)&handler)->head.ret_val;
}
