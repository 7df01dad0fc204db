// The console: the first serial port.
#include <stdlib.h>
#include "py/mphal.h"
#include "py/runtime.h"
#include "py/stream.h"
#include "board.h"

#define DATA REGISTER(UART_BASE + 0)
#define STATE REGISTER(UART_BASE + 4)
#define STATE_OUT_FULL 1
#define STATE_IN_FULL 2
#define CONTROL REGISTER(UART_BASE + 8)
#define CONTROL_ON (1 | 2) // transmitter and receiver
#define CONTROL_INTERRUPT 8 // when something was received
#define INTERRUPTS REGISTER(UART_BASE + 12)
#define DIVISOR REGISTER(UART_BASE + 16)

// A ring with what was typed. The two counters only grow.
static char typed[256];
static volatile uint32_t typed_count, taken_count;

void console_start(void) {
    DIVISOR = 16;
    CONTROL = CONTROL_ON | CONTROL_INTERRUPT;
    INTERRUPT_ENABLE = 1u << UART_INTERRUPT;
}

void on_typed(void) {
    clock_called();
    INTERRUPTS = 2;
    while (STATE & STATE_IN_FULL) {
        if (typed_count - taken_count == sizeof(typed)) {
            // The host waits until there is room.
            CONTROL = CONTROL_ON;
            return;
        }
        char c = DATA;
        if (c == mp_interrupt_char) {
            mp_sched_keyboard_interrupt();
        } else {
            typed[typed_count++ % sizeof(typed)] = c;
        }
    }
}

uintptr_t mp_hal_stdio_poll(uintptr_t flags) {
    uintptr_t ready = flags & MP_STREAM_POLL_WR;
    return typed_count == taken_count ? ready : ready | (flags & MP_STREAM_POLL_RD);
}

int mp_hal_stdin_rx_chr(void) {
    while (typed_count == taken_count) {
        mp_event_wait_ms(1);
    }
    uint32_t before = interrupts_off();
    int c = (unsigned char)typed[taken_count++ % sizeof(typed)];
    CONTROL = CONTROL_ON | CONTROL_INTERRUPT;
    on_typed();
    interrupts_restore(before);
    return c;
}

mp_uint_t mp_hal_stdout_tx_strn(const char *text, size_t length) {
    for (size_t i = 0; i < length; ++i) {
        while (STATE & STATE_OUT_FULL) {
        }
        DATA = text[i];
    }
    return length;
}

// lwIP reads the decimal numbers of IP addresses with it.
int atoi(const char *text) {
    int value = 0;
    for (; *text >= '0' && *text <= '9'; ++text) {
        value = 10 * value + *text - '0';
    }
    return value;
}
