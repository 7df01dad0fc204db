// What MicroPython is on this board: the features of a Pico W or of an STM32 board with a network.
#include <alloca.h>
#include <stdint.h>
#include "board.h"

#define MICROPY_CONFIG_ROM_LEVEL (MICROPY_CONFIG_ROM_LEVEL_EXTRA_FEATURES)

// Machine code, which is in .mpy files and which the compiler can make.
#define MICROPY_PERSISTENT_CODE_LOAD (1)
#define MICROPY_EMIT_THUMB (1)
#define MICROPY_EMIT_INLINE_THUMB (1)
#define MICROPY_MAKE_POINTER_CALLABLE(p) ((void *)((mp_uint_t)(p) | 1))
#define MICROPY_MALLOC_USES_ALLOCATED_SIZE (1)

#define MICROPY_ENABLE_GC (1)
#define MICROPY_STACK_CHECK (1)
#define MICROPY_ENABLE_EMERGENCY_EXCEPTION_BUF (1)
#define MICROPY_LONGINT_IMPL (MICROPY_LONGINT_IMPL_MPZ)
#define MICROPY_FLOAT_IMPL (MICROPY_FLOAT_IMPL_FLOAT)
#define MICROPY_ENABLE_SCHEDULER (1)
#define MICROPY_SCHEDULER_STATIC_NODES (1)
#define MICROPY_MODULE_BUILTIN_INIT (1)
#define MICROPY_USE_INTERNAL_PRINTF (1)
#define MICROPY_HELPER_REPL (1)
#define MICROPY_KBD_EXCEPTION (1)

#define MICROPY_HW_BOARD_NAME "MPS2-AN385 in QEMU"
#define MICROPY_HW_MCU_NAME "Cortex-M3"
#define MICROPY_PY_SYS_PLATFORM "mps2"
#define MICROPY_PY_SYS_STDIO_BUFFER (0)
#define MICROPY_PY_TIME_GMTIME_LOCALTIME_MKTIME (1)
#define MICROPY_PY_TIME_TIME_TIME_NS (1)
#define MICROPY_PY_TIME_INCLUDEFILE "time_of_day.h"
#define MICROPY_EPOCH_IS_1970 (1)
#define MICROPY_PY_OS_SYNC (1)
#define MICROPY_PY_OS_URANDOM (1)
#define MICROPY_PY_OS_INCLUDEFILE "urandom.h"
#define MICROPY_PY_UCTYPES (1)
#define MICROPY_PY_MACHINE (0)

// Files, with FAT as boards have it.
#define MICROPY_VFS (1)
#define MICROPY_PY_VFS (1)
#define MICROPY_READER_VFS (1)
#define MICROPY_VFS_ROM (1)
#define MICROPY_VFS_ROM_IOCTL (0)
#define MICROPY_FATFS_ENABLE_LFN (2)
#define MICROPY_FATFS_LFN_CODE_PAGE 437
#define MICROPY_FATFS_RPATH (2)
#define MICROPY_FATFS_MAX_SS (4096)

// The network: sockets are modlwip's.
#define MICROPY_PY_NETWORK (1)
#define MICROPY_PY_NETWORK_HOSTNAME_DEFAULT "mps2"
#define MICROPY_PY_SOCKET (0)
#define MICROPY_PY_WEBSOCKET (0)
#define MICROPY_PY_LWIP_SOCK_RAW (1)
#define MICROPY_PY_LWIP_ENTER uint32_t lwip_before = lwip_lock();
#define MICROPY_PY_LWIP_REENTER lwip_before = lwip_lock();
#define MICROPY_PY_LWIP_EXIT lwip_unlock(lwip_before);
extern const struct _mp_obj_type_t network_lan_type;
#define MICROPY_PORT_NETWORK_INTERFACES { MP_ROM_QSTR(MP_QSTR_LAN), MP_ROM_PTR(&network_lan_type) },

#define MICROPY_BEGIN_ATOMIC_SECTION() interrupts_off()
#define MICROPY_END_ATOMIC_SECTION(state) interrupts_restore(state)
#define MICROPY_INTERNAL_WFE(timeout_ms) clock_wait(timeout_ms)

typedef int32_t mp_int_t;
typedef uint32_t mp_uint_t;
typedef long mp_off_t;
#define MP_SSIZE_MAX (0x7fffffff)
#define INT_FMT "%ld"
#define UINT_FMT "%lu"
#define HEX_FMT "%lx"
#define MP_NEED_LOG2 (1)
#define MP_STATE_PORT MP_STATE_VM
