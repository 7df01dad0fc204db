// Starts MicroPython: the frozen _boot.py, then main.py of the ROMFS, then the prompt. Ctrl-D starts all again.
#include "py/compile.h"
#include "py/gc.h"
#include "py/mphal.h"
#include "py/runtime.h"
#include "py/stackctrl.h"
#include "extmod/modnetwork.h"
#include "lwip/init.h"
#include "shared/runtime/gchelper.h"
#include "shared/runtime/pyexec.h"
#include "board.h"

// As on a Pico W: the stack has 8 KiB and a margin.
#define STACK_BYTES (7 * 1024)

static uint32_t heap[MOST_HEAP_KIB * 1024 / sizeof(uint32_t)];

int main(void) {
    clock_start();
    console_start();
    lwip_init();
    ethernet_start();
    for (;;) {
        mp_stack_ctrl_init();
        mp_stack_set_limit(STACK_BYTES);
        size_t kib = OPTION_HEAP_KIB;
        kib = kib == 0 || kib > MOST_HEAP_KIB ? 190 : kib;
        gc_init(heap, (char *)heap + kib * 1024);
        mp_init();
        mod_network_init();
        pyexec_frozen_module("_boot.py", false);
        pyexec_file_if_exists("/rom/main.py");
        while (!(pyexec_mode_kind == PYEXEC_MODE_RAW_REPL ? pyexec_raw_repl() : pyexec_friendly_repl())) {
        }
        mod_network_deinit();
        gc_sweep_all();
        mp_deinit();
    }
}

void gc_collect(void) {
    gc_collect_start();
    gc_helper_collect_regs_and_stack();
    gc_collect_end();
}

void nlr_jump_fail(void *value) {
    mp_printf(&mp_plat_print, "an exception that nothing catches\n");
    leave(4);
}
