// Time and the console, for MicroPython.
#include "shared/runtime/interrupt_char.h"
#include "board.h"

#define mp_hal_ticks_cpu() CLOCK_COUNTER

void mp_hal_set_interrupt_char(int c);
