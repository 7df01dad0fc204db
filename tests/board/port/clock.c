// The clock, waiting, and the moments at which lwIP runs.
#include "py/mphal.h"
#include "py/runtime.h"
#include "lwip/timeouts.h"
#include "shared/timeutils/timeutils.h"
#include "board.h"

static volatile uint32_t milliseconds;
// Cycles up to the last look at the machine's counter. The counter has 32 bits, so it is back at 0 after 171 s.
static uint64_t cycles;
static uint32_t last_count;
static uint64_t idle_cycles;
// Cycles at work up to the last wait. The emulator's monitor reads it by its name, because a question through the console would be work itself.
volatile uint32_t work_cycles;
// Whether a device has called since the last wait, and when that wait ended.
static volatile bool is_called;
static uint32_t last_wait;

void clock_start(void) {
    SYSTEM_PRIORITIES = PRIORITY_DEVICES << 24 | PRIORITY_LWIP << 16;
    for (int i = 0; i < 8; ++i) {
        INTERRUPT_PRIORITIES(i) = PRIORITY_DEVICES * 0x01010101u;
    }
    SYSTICK_RELOAD = CLOCK_HZ / 1000 - 1;
    SYSTICK_VALUE = 0;
    SYSTICK_CONTROL = 7;
}

uint64_t clock_cycles(void) {
    uint32_t before = interrupts_off();
    uint32_t count = CLOCK_COUNTER;
    cycles += count - last_count;
    last_count = count;
    uint64_t result = cycles;
    interrupts_restore(before);
    return result;
}

uint64_t clock_idle_cycles(void) {
    return idle_cycles;
}

void on_tick(void) {
    ++milliseconds;
    if (milliseconds % 1024 == 0) {
        clock_cycles();
    }
    // Every 16 ms lwIP checks its timers.
    if (milliseconds % 16 == 0) {
        lwip_wake();
    }
}

// PendSV.
void on_lwip(void) {
    ethernet_receive();
    sys_check_timeouts();
}

void clock_called(void) {
    is_called = true;
}

// Sleeps until the next interrupt, which comes within a millisecond. The sleep counts as idle time. If only the tick ended the last sleep, the time
// since then also counts as idle, because MicroPython only looked whether there was something to do.
void clock_wait(uint32_t timeout_ms) {
    if (timeout_ms == 0) {
        return;
    }
    uint32_t before = interrupts_off();
    uint32_t start = CLOCK_COUNTER;
    if (is_called) {
        work_cycles += start - last_wait;
    } else {
        idle_cycles += start - last_wait;
    }
    __asm volatile ("wfi");
    is_called = false;
    last_wait = CLOCK_COUNTER;
    idle_cycles += last_wait - start;
    interrupts_restore(before);
}

mp_uint_t mp_hal_ticks_ms(void) {
    return milliseconds;
}

mp_uint_t mp_hal_ticks_us(void) {
    return clock_cycles() / (CLOCK_HZ / 1000000);
}

// The first call asks the host for the time, as a board would ask by NTP.
uint64_t mp_hal_time_ns(void) {
    static uint32_t at_start;
    if (!at_start) {
        at_start = host_seconds() - milliseconds / 1000;
    }
    return at_start * 1000000000ull + clock_cycles() * (1000000000 / CLOCK_HZ);
}

void mp_hal_delay_us(mp_uint_t us) {
    uint64_t end = clock_cycles() + (uint64_t)us * (CLOCK_HZ / 1000000);
    while (clock_cycles() < end) {
    }
}

void mp_hal_delay_ms(mp_uint_t ms) {
    uint32_t start = milliseconds;
    do {
        mp_event_wait_ms(1);
    } while (milliseconds - start < ms);
}

// For lwIP.
u32_t sys_now(void) {
    return milliseconds;
}

// For FAT.
uint32_t get_fattime(void) {
    timeutils_struct_time_t now;
    timeutils_seconds_since_epoch_to_struct_time(mp_hal_time_ns() / 1000000000, &now);
    uint32_t date = (now.tm_year - 1980) << 9 | now.tm_mon << 5 | now.tm_mday;
    return date << 16 | now.tm_hour << 11 | now.tm_min << 5 | now.tm_sec / 2;
}

// Random enough for tests: a linear congruential generator. The time is its seed.
uint32_t board_random(void) {
    static uint32_t state;
    if (!state) {
        state = host_seconds() ^ CLOCK_COUNTER;
    }
    uint32_t value = 0;
    for (int i = 0; i < 4; ++i) {
        state = state * 1664525u + 1013904223u;
        value = value << 8 | state >> 24;
    }
    return value;
}
