// From reset to main(), the table of interrupts, faults, and the calls to the emulator ("semihosting").
#include <string.h>
#include "py/mphal.h"
#include "board.h"

extern uint32_t stack_top, data_load, data_start, data_end, bss_start, bss_end;
int main(void);

static void reset(void) {
    memcpy(&data_start, &data_load, (char *)&data_end - (char *)&data_start);
    memset(&bss_start, 0, (char *)&bss_end - (char *)&bss_start);
    main();
    leave(0);
}

static uint32_t ask_emulator(uint32_t operation, uint32_t argument) {
    register uint32_t r0 __asm("r0") = operation;
    register uint32_t r1 __asm("r1") = argument;
    __asm volatile ("bkpt 0xab" : "+r" (r0) : "r" (r1) : "memory");
    return r0;
}

// SYS_TIME: seconds since 1970.
uint32_t host_seconds(void) {
    return ask_emulator(0x11, 0);
}

// SYS_EXIT_EXTENDED with ADP_Stopped_ApplicationExit.
void leave(int status) {
    uint32_t block[2] = {0x20026, status};
    ask_emulator(0x20, (uint32_t)block);
    for (;;) {
    }
}

static void print_number(const char *name, uint32_t value) {
    char text[9] = "";
    for (int i = 0; i < 8; ++i) {
        text[i] = "0123456789abcdef"[value >> (28 - 4 * i) & 15];
    }
    mp_hal_stdout_tx_strn(name, strlen(name));
    mp_hal_stdout_tx_strn(text, 8);
}

// A fault ends the emulator with status 3, so a test sees it at once. `frame` points to what the processor has put on the stack.
__attribute__((used)) void report_fault(const uint32_t *frame) {
    print_number("\r\nFAULT at ", frame[6]);
    print_number(" called from ", frame[5]);
    print_number(" r0 ", frame[0]);
    print_number(" r1 ", frame[1]);
    print_number(" status ", FAULT_STATUS);
    print_number(" address ", FAULT_ADDRESS);
    mp_hal_stdout_tx_strn("\r\n", 2);
    leave(3);
}

__attribute__((naked)) static void fault(void) {
    __asm volatile ("mrs r0, msp\n b report_fault");
}

void on_tick(void);
void on_lwip(void);
void on_typed(void);
void on_ethernet(void);

__attribute__((section(".vectors"), used)) static const void *const vectors[16 + 32] = {
    [0] = &stack_top,
    [1] = reset,
    [2 ... 6] = fault,
    [11 ... 12] = fault,
    [14] = on_lwip,
    [15] = on_tick,
    [16 + UART_INTERRUPT] = on_typed,
    [16 + ETHERNET_INTERRUPT] = on_ethernet,
};
