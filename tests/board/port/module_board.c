// The module `board`: a disc outside of the heap, functions that ask lwIP and the clock for tests, and one that ends the emulator.
#include <string.h>
#include "py/mperrno.h"
#include "py/mphal.h"
#include "py/runtime.h"
#include "extmod/vfs.h"
#include "lwip/opt.h"
#include "lwip/memp.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/stats.h"
#include "board.h"

// --- Disc(blocks=...): a block device with that many blocks. Its content is lost when the emulator ends.

#define BLOCK_BYTES 4096

typedef struct {
    mp_obj_base_t base;
    size_t blocks;
} disc_obj_t;

static const mp_obj_type_t disc_type;

static mp_obj_t disc_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *args) {
    mp_arg_check_num(n_args, n_kw, 0, 1, false);
    size_t most = DISC_SIZE / BLOCK_BYTES;
    size_t blocks = n_args ? mp_obj_get_int(args[0]) : most;
    disc_obj_t *disc = mp_obj_malloc(disc_obj_t, type);
    disc->blocks = MIN(blocks, most);
    return MP_OBJ_FROM_PTR(disc);
}

// The place on the disc for the arguments (self, block, buffer[, offset]).
static char *find_bytes(size_t n_args, const mp_obj_t *args, mp_buffer_info_t *buffer, int flags) {
    const disc_obj_t *disc = MP_OBJ_TO_PTR(args[0]);
    mp_get_buffer_raise(args[2], buffer, flags);
    size_t size = disc->blocks * BLOCK_BYTES;
    size_t at = mp_obj_get_int(args[1]) * BLOCK_BYTES + (n_args > 3 ? mp_obj_get_int(args[3]) : 0);
    if (at > size || buffer->len > size - at) {
        mp_raise_OSError(MP_EINVAL);
    }
    return (char *)DISC_BASE + at;
}

static mp_obj_t disc_readblocks(size_t n_args, const mp_obj_t *args) {
    mp_buffer_info_t into;
    const char *bytes = find_bytes(n_args, args, &into, MP_BUFFER_WRITE);
    memcpy(into.buf, bytes, into.len);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(disc_readblocks_obj, 3, 4, disc_readblocks);

static mp_obj_t disc_writeblocks(size_t n_args, const mp_obj_t *args) {
    mp_buffer_info_t from;
    char *bytes = find_bytes(n_args, args, &from, MP_BUFFER_READ);
    memcpy(bytes, from.buf, from.len);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(disc_writeblocks_obj, 3, 4, disc_writeblocks);

static mp_obj_t disc_ioctl(mp_obj_t self, mp_obj_t operation, mp_obj_t argument) {
    const disc_obj_t *disc = MP_OBJ_TO_PTR(self);
    switch (mp_obj_get_int(operation)) {
        case MP_BLOCKDEV_IOCTL_BLOCK_COUNT:
            return MP_OBJ_NEW_SMALL_INT(disc->blocks);
        case MP_BLOCKDEV_IOCTL_BLOCK_SIZE:
            return MP_OBJ_NEW_SMALL_INT(BLOCK_BYTES);
        default:
            // Start, stop, sync and erase need nothing.
            return MP_OBJ_NEW_SMALL_INT(0);
    }
}
static MP_DEFINE_CONST_FUN_OBJ_3(disc_ioctl_obj, disc_ioctl);

static const mp_rom_map_elem_t disc_members_table[] = {
    { MP_ROM_QSTR(MP_QSTR_readblocks), MP_ROM_PTR(&disc_readblocks_obj) },
    { MP_ROM_QSTR(MP_QSTR_writeblocks), MP_ROM_PTR(&disc_writeblocks_obj) },
    { MP_ROM_QSTR(MP_QSTR_ioctl), MP_ROM_PTR(&disc_ioctl_obj) },
};
static MP_DEFINE_CONST_DICT(disc_members, disc_members_table);

static MP_DEFINE_CONST_OBJ_TYPE(
    disc_type, MP_QSTR_Disc, MP_TYPE_FLAG_NONE, make_new, disc_make_new, locals_dict, &disc_members);

// --- Functions

// times() -> (all, idle): cycles of the 25 MHz clock since the start. With QEMU's `-icount shift=0` a cycle is 40 instructions.
static mp_obj_t board_times(void) {
    mp_obj_t items[] = { mp_obj_new_int_from_ull(clock_cycles()), mp_obj_new_int_from_ull(clock_idle_cycles()) };
    return mp_obj_new_tuple(MP_ARRAY_SIZE(items), items);
}
static MP_DEFINE_CONST_FUN_OBJ_0(board_times_obj, board_times);

static mp_obj_t usage(const struct stats_mem *stats) {
    mp_obj_t items[] = {
        MP_OBJ_NEW_SMALL_INT(stats->used), MP_OBJ_NEW_SMALL_INT(stats->max), MP_OBJ_NEW_SMALL_INT(stats->avail),
        MP_OBJ_NEW_SMALL_INT(stats->err),
    };
    return mp_obj_new_tuple(MP_ARRAY_SIZE(items), items);
}

// pools() -> {name: (used, most ever used, all, refused)} of lwIP's pools, and of its heap ("heap", in bytes).
static mp_obj_t board_pools(void) {
    static const struct {
        qstr name;
        memp_t pool;
    } pools[] = {
        { MP_QSTR_connections, MEMP_TCP_PCB }, { MP_QSTR_listeners, MEMP_TCP_PCB_LISTEN },
        { MP_QSTR_segments, MEMP_TCP_SEG }, { MP_QSTR_references, MEMP_PBUF }, { MP_QSTR_frames, MEMP_PBUF_POOL },
    };
    mp_obj_t found = mp_obj_new_dict(0);
    for (size_t i = 0; i < MP_ARRAY_SIZE(pools); ++i) {
        mp_obj_dict_store(found, MP_OBJ_NEW_QSTR(pools[i].name), usage(memp_pools[pools[i].pool]->stats));
    }
    mp_obj_dict_store(found, MP_OBJ_NEW_QSTR(MP_QSTR_heap), usage(&lwip_stats.mem));
    return found;
}
static MP_DEFINE_CONST_FUN_OBJ_0(board_pools_obj, board_pools);

// pcbs() -> [(state, local port, remote port, bytes not acknowledged)] of all TCP connections; listeners are left out.
static mp_obj_t board_pcbs(void) {
    static const qstr states[] = {
        MP_QSTR_CLOSED, MP_QSTR_LISTEN, MP_QSTR_SYN_SENT, MP_QSTR_SYN_RCVD, MP_QSTR_ESTABLISHED, MP_QSTR_FIN_WAIT_1,
        MP_QSTR_FIN_WAIT_2, MP_QSTR_CLOSE_WAIT, MP_QSTR_CLOSING, MP_QSTR_LAST_ACK, MP_QSTR_TIME_WAIT,
    };
    mp_obj_t found = mp_obj_new_list(0, NULL);
    struct {
        uint32_t state, local, remote, unacknowledged;
    } seen[MEMP_NUM_TCP_PCB];
    size_t count = 0;
    uint32_t before = lwip_lock();
    struct tcp_pcb *const lists[] = { tcp_bound_pcbs, tcp_active_pcbs, tcp_tw_pcbs };
    for (size_t i = 0; i < MP_ARRAY_SIZE(lists); ++i) {
        for (struct tcp_pcb *pcb = lists[i]; pcb && count < MP_ARRAY_SIZE(seen); pcb = pcb->next) {
            seen[count].state = pcb->state;
            seen[count].local = pcb->local_port;
            seen[count].remote = pcb->remote_port;
            seen[count++].unacknowledged = TCP_SND_BUF - pcb->snd_buf;
        }
    }
    lwip_unlock(before);
    for (size_t i = 0; i < count; ++i) {
        mp_obj_t items[] = {
            MP_OBJ_NEW_QSTR(states[seen[i].state]), MP_OBJ_NEW_SMALL_INT(seen[i].local),
            MP_OBJ_NEW_SMALL_INT(seen[i].remote), MP_OBJ_NEW_SMALL_INT(seen[i].unacknowledged),
        };
        mp_obj_list_append(found, mp_obj_new_tuple(MP_ARRAY_SIZE(items), items));
    }
    return found;
}
static MP_DEFINE_CONST_FUN_OBJ_0(board_pcbs_obj, board_pcbs);

// After each call that finds no memory, modlwip stops the whole board for 50 ms and calls again.
static uint32_t sleeps;
err_t __real_tcp_write(struct tcp_pcb *pcb, const void *data, u16_t length, u8_t flags);

err_t __wrap_tcp_write(struct tcp_pcb *pcb, const void *data, u16_t length, u8_t flags) {
    err_t error = __real_tcp_write(pcb, data, length, flags);
    if (error == ERR_MEM) {
        ++sleeps;
    }
    return error;
}

// sleeps(): how often a write has stopped the board in this way.
static mp_obj_t board_sleeps(void) {
    return MP_OBJ_NEW_SMALL_INT(sleeps);
}
static MP_DEFINE_CONST_FUN_OBJ_0(board_sleeps_obj, board_sleeps);

// modlwip makes sockets, binds them and lets them listen without lwIP's lock. Each such call can go wrong if a frame comes in the middle of it.
static uint32_t exposed;
struct tcp_pcb *__real_tcp_new(void);
err_t __real_tcp_bind(struct tcp_pcb *pcb, const ip_addr_t *address, u16_t port);
struct tcp_pcb *__real_tcp_listen_with_backlog_and_err(struct tcp_pcb *pcb, u8_t backlog, err_t *error);

static void count_exposed(void) {
    exposed += !lwip_is_kept();
}

struct tcp_pcb *__wrap_tcp_new(void) {
    count_exposed();
    return __real_tcp_new();
}

err_t __wrap_tcp_bind(struct tcp_pcb *pcb, const ip_addr_t *address, u16_t port) {
    count_exposed();
    return __real_tcp_bind(pcb, address, port);
}

struct tcp_pcb *__wrap_tcp_listen_with_backlog_and_err(struct tcp_pcb *pcb, u8_t backlog, err_t *error) {
    count_exposed();
    return __real_tcp_listen_with_backlog_and_err(pcb, backlog, error);
}

// exposed(): how many of these calls were not protected.
static mp_obj_t board_exposed(void) {
    return MP_OBJ_NEW_SMALL_INT(exposed);
}
static MP_DEFINE_CONST_FUN_OBJ_0(board_exposed_obj, board_exposed);

// leave(status): ends the emulator.
static mp_obj_t board_leave(mp_obj_t status) {
    leave(mp_obj_get_int(status));
}
static MP_DEFINE_CONST_FUN_OBJ_1(board_leave_obj, board_leave);

static const mp_rom_map_elem_t board_members_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_board) },
    { MP_ROM_QSTR(MP_QSTR_Disc), MP_ROM_PTR(&disc_type) },
    { MP_ROM_QSTR(MP_QSTR_times), MP_ROM_PTR(&board_times_obj) },
    { MP_ROM_QSTR(MP_QSTR_pools), MP_ROM_PTR(&board_pools_obj) },
    { MP_ROM_QSTR(MP_QSTR_pcbs), MP_ROM_PTR(&board_pcbs_obj) },
    { MP_ROM_QSTR(MP_QSTR_sleeps), MP_ROM_PTR(&board_sleeps_obj) },
    { MP_ROM_QSTR(MP_QSTR_exposed), MP_ROM_PTR(&board_exposed_obj) },
    { MP_ROM_QSTR(MP_QSTR_leave), MP_ROM_PTR(&board_leave_obj) },
    { MP_ROM_QSTR(MP_QSTR_ROMFS_BASE), MP_ROM_INT(ROMFS_BASE) },
    { MP_ROM_QSTR(MP_QSTR_ROMFS_SIZE), MP_ROM_INT(ROMFS_SIZE) },
};
static MP_DEFINE_CONST_DICT(board_members, board_members_table);

const mp_obj_module_t board_module = { .base = { &mp_type_module }, .globals = (mp_obj_dict_t *)&board_members };
MP_REGISTER_MODULE(MP_QSTR_board, board_module);

// --- The module `machine`, with what the server uses of it.

static mp_obj_t machine_disable_irq(void) {
    return MP_OBJ_NEW_SMALL_INT(interrupts_off());
}
static MP_DEFINE_CONST_FUN_OBJ_0(machine_disable_irq_obj, machine_disable_irq);

static mp_obj_t machine_enable_irq(mp_obj_t state) {
    interrupts_restore(mp_obj_get_int(state));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(machine_enable_irq_obj, machine_enable_irq);

static const mp_rom_map_elem_t machine_members_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_machine) },
    { MP_ROM_QSTR(MP_QSTR_disable_irq), MP_ROM_PTR(&machine_disable_irq_obj) },
    { MP_ROM_QSTR(MP_QSTR_enable_irq), MP_ROM_PTR(&machine_enable_irq_obj) },
};
static MP_DEFINE_CONST_DICT(machine_members, machine_members_table);

const mp_obj_module_t machine_module = { .base = { &mp_type_module }, .globals = (mp_obj_dict_t *)&machine_members };
// The original server brings its own.
MP_REGISTER_EXTENSIBLE_MODULE(MP_QSTR_machine, machine_module);
