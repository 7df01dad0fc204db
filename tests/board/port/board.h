// What the parts of this port share: the machine's registers and memory, and what the parts do for each other.
#ifndef BOARD_H
#define BOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REGISTER(address) (*(volatile uint32_t *)(address))

// The processor: SysTick, the interrupt controller and the control block.
#define SYSTICK_CONTROL REGISTER(0xe000e010)
#define SYSTICK_RELOAD REGISTER(0xe000e014)
#define SYSTICK_VALUE REGISTER(0xe000e018)
#define INTERRUPT_ENABLE REGISTER(0xe000e100)
#define INTERRUPT_PRIORITIES(index) REGISTER(0xe000e400 + 4 * (index))
#define INTERRUPT_CONTROL REGISTER(0xe000ed04)
#define INTERRUPT_CONTROL_PENDSV (1u << 28)
#define SYSTEM_PRIORITIES REGISTER(0xe000ed20)
#define FAULT_STATUS REGISTER(0xe000ed28)
#define FAULT_ADDRESS REGISTER(0xe000ed38)

// The machine: its clock runs at 25 MHz, and a counter counts it.
#define CLOCK_HZ 25000000u
#define CLOCK_COUNTER REGISTER(0x40028018)
#define UART_BASE 0x40004000u
#define UART_INTERRUPT 0
#define ETHERNET_BASE 0x40200000u
#define ETHERNET_INTERRUPT 13

// A third memory, of 16 MiB, holds what is not part of a real board's RAM: the disc, behind it a ROMFS, and in the last page
// what the emulator was told by its command line. These are also known to tests/board/emulator.py.
#define DISC_BASE 0x21000000u
#define DISC_SIZE (12u << 20)
#define ROMFS_BASE 0x21c00000u
#define ROMFS_SIZE (3u << 20)
#define OPTION_HEAP_KIB REGISTER(0x21fff000)
#define MOST_HEAP_KIB 2048u

// As on STM32 boards lwIP runs in PendSV, which has the lowest priority. The devices and SysTick only note what is to be done.
#define PRIORITY_LWIP 0xe0u
#define PRIORITY_DEVICES 0x40u

// Keeps lwIP from running, and lets it run again.
static inline uint32_t lwip_lock(void) {
    uint32_t before;
    __asm volatile ("mrs %0, basepri" : "=r" (before));
    __asm volatile ("msr basepri_max, %0" : : "r" (PRIORITY_LWIP) : "memory");
    return before;
}

static inline void lwip_unlock(uint32_t before) {
    __asm volatile ("msr basepri, %0" : : "r" (before) : "memory");
}

static inline uint32_t interrupts_off(void) {
    uint32_t before;
    __asm volatile ("mrs %0, primask\n cpsid i" : "=r" (before) : : "memory");
    return before;
}

static inline void interrupts_restore(uint32_t before) {
    __asm volatile ("msr primask, %0" : : "r" (before) : "memory");
}

// Whether lwIP is kept from running: by its own lock, or because no interrupt comes.
static inline bool lwip_is_kept(void) {
    uint32_t lowest, masked;
    __asm volatile ("mrs %0, basepri\n mrs %1, primask" : "=r" (lowest), "=r" (masked));
    return lowest != 0 || masked != 0;
}

// Has lwIP run as soon as it may.
static inline void lwip_wake(void) {
    INTERRUPT_CONTROL = INTERRUPT_CONTROL_PENDSV;
}

// start.c: asks the emulator, and ends it.
uint32_t host_seconds(void);
void leave(int status) __attribute__((noreturn));

// clock.c
void clock_start(void);
uint64_t clock_cycles(void);
uint64_t clock_idle_cycles(void);
void clock_wait(uint32_t timeout_ms);
// A device's interrupt tells that there may be something to do.
void clock_called(void);
uint32_t board_random(void);

// console.c
void console_start(void);

// ethernet.c
struct netif;
extern struct netif ethernet;
void ethernet_start(void);
void ethernet_receive(void);

#endif
