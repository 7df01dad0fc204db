// The module `faults`: makes allocations on the heap fail, as they do when it is full; collects garbage all the time, so that what nobody holds is
// gone at once, and tells valgrind of each block whether anybody may touch it; and a disc in RAM that needs no memory of the heap, like those of boards.
//
// A test tells it what to do in a file that both map, so no Python code runs for that, and only the server's allocations are counted.
// The linker's --wrap redirects the calls of gc_alloc and the like to this file (micropython.mk), so MicroPython's sources stay as they are.
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

// Requests to valgrind, which do nothing without it. Where its header is not installed, neither is valgrind.
#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#else
#define RUNNING_ON_VALGRIND (0)
#define VALGRIND_DISABLE_ERROR_REPORTING
#define VALGRIND_ENABLE_ERROR_REPORTING
#define VALGRIND_MAKE_MEM_NOACCESS(start, length) ((void)(start), (void)(length))
#define VALGRIND_MAKE_MEM_DEFINED(start, length) ((void)(start), (void)(length))
#endif

#include "py/bc.h"
#include "py/gc.h"
#include "py/mperrno.h"
#include "py/mpstate.h"
#include "py/objfun.h"
#include "py/runtime.h"

// The file. tests/faults/faults.py says the same.
struct plan {
    // The test sets it last. 0: allocations neither fail nor are counted.
    int64_t armed;
    // The first allocation that fails, from 0, and how many fail from there on.
    int64_t first;
    int64_t count;
    // How many there were, and how many of them failed.
    int64_t seen;
    int64_t failed;
    // How many descriptors were closed here, see `fresh`.
    int64_t lost;
    // The Python functions that ran when the first one failed, the innermost first.
    char where[1000];
};

static struct plan idle;
static struct plan *volatile plan = &idle;

#define BLOCK_SIZE (MICROPY_BYTES_PER_GC_BLOCK)

// The bytes of the blocks that so many bytes take.
static size_t whole_blocks(size_t n_bytes) {
    return (n_bytes + BLOCK_SIZE - 1) & ~(size_t)(BLOCK_SIZE - 1);
}

// The functions that run.
static struct frame {
    mp_code_state_t *state;
    struct frame *outer;
} *frames;

// The Unix port's accept() and socket() lose the descriptor when there is no memory for its object: their sockets have no finaliser, unlike
// those of boards. What a finaliser would do is done here. `fresh` counts the allocations that come right after the system's call: a tuple, the
// socket, a bytearray and its bytes, or the socket only.
static int fresh_descriptor;
static int fresh;

// Bytes that a large object gave back at once and nobody took since: the next allocations have them for sure, as in the real heap, so they do
// not fail. In this way the server makes sure that there is memory for steps that must not fail in the middle.
static size_t reserve;
#define LARGE (256)

static void tell_where(void) {
    char *out = plan->where;
    size_t left = sizeof(plan->where);
    for (struct frame *frame = frames; frame != NULL && left > 1; frame = frame->outer) {
        const mp_module_constants_t *constants = &frame->state->fun_bc->context->constants;
        const byte *ip = frame->state->fun_bc->bytecode;
        MP_BC_PRELUDE_SIG_DECODE(ip);
        MP_BC_PRELUDE_SIZE_DECODE(ip);
        const byte *top = ip + n_info;
        size_t at = frame->state->ip - (ip + n_info + n_cell);
        qstr name = mp_decode_uint_value(ip);
        for (size_t i = 0; i < 1 + n_pos_args + n_kwonly_args; ++i) {
            ip = mp_decode_uint_skip(ip);
        }
        int length = snprintf(out, left, "%s:%u %s; ", qstr_str(constants->qstr_table[0]),
            (unsigned)mp_bytecode_get_source_line(ip, top, at), qstr_str(constants->qstr_table[name]));
        if (length < 0 || (size_t)length >= left) {
            break;
        }
        out += length;
        left -= length;
    }
    *out = 0;
}

static bool fails(size_t n_bytes) {
    if (fresh > 0) {
        --fresh;
    } else {
        fresh_descriptor = -1;
    }
    if (!plan->armed || gc_is_locked()) {
        reserve = 0;
        return false;
    }
    n_bytes = whole_blocks(n_bytes);
    if (n_bytes <= reserve) {
        reserve -= n_bytes;
        return false;
    }
    reserve = 0;
    int64_t index = plan->seen++;
    if (index < plan->first || index - plan->first >= plan->count) {
        return false;
    }
    if (plan->failed++ == 0) {
        tell_where();
    }
    if (fresh_descriptor >= 0) {
        close(fresh_descriptor);
        fresh_descriptor = -1;
        ++plan->lost;
    }
    // As it does before it gives up.
    gc_collect();
    return true;
}

// Garbage is collected before each so many allocations; 0 is when the heap is full, as usual.
static size_t stress_every;
static size_t stress_count;
// Whether valgrind is told of the blocks.
static bool is_watched;

// Each run of free blocks of the heap is filled with bytes that no object has, so that a use of one of them is noticed. Under
// valgrind nobody may touch it any more.
static void spoil_free_blocks(void) {
    mp_state_mem_area_t *area = &MP_STATE_MEM(area);
    size_t count = area->gc_alloc_table_byte_len * 4;
    for (size_t block = 0; block < count; ++block) {
        size_t first = block;
        // Two bits for each block, which are 0 when it is free.
        while (block < count && (area->gc_alloc_table_start[block / 4] >> 2 * (block % 4) & 3) == 0) {
            ++block;
        }
        byte *start = area->gc_pool_start + first * BLOCK_SIZE;
        if (is_watched) {
            VALGRIND_MAKE_MEM_NOACCESS(start, (block - first) * BLOCK_SIZE);
        } else {
            memset(start, 0xdb, (block - first) * BLOCK_SIZE);
        }
    }
}

// Of a new block only the bytes that were asked for may be touched.
static void watch(void *block, size_t n_bytes) {
    if (is_watched && block != NULL) {
        VALGRIND_MAKE_MEM_DEFINED(block, n_bytes);
        VALGRIND_MAKE_MEM_NOACCESS((byte *)block + n_bytes, whole_blocks(n_bytes) - n_bytes);
    }
}

// The heap's own code may touch what is free: valgrind does not report what it does.
void __real_gc_collect(void);
void __wrap_gc_collect(void) {
    VALGRIND_DISABLE_ERROR_REPORTING;
    __real_gc_collect();
    if (stress_every != 0) {
        spoil_free_blocks();
    }
    VALGRIND_ENABLE_ERROR_REPORTING;
}

// The real allocation may collect here, too: whoever calls it holds what it needs.
static void stress(void) {
    if (stress_every != 0 && ++stress_count % stress_every == 0 && !gc_is_locked()) {
        gc_collect();
    }
}

void *__real_gc_alloc(size_t n_bytes, unsigned int alloc_flags);
void *__wrap_gc_alloc(size_t n_bytes, unsigned int alloc_flags) {
    stress();
    if (n_bytes != 0 && fails(n_bytes)) {
        return NULL;
    }
    VALGRIND_DISABLE_ERROR_REPORTING;
    void *block = __real_gc_alloc(n_bytes, alloc_flags);
    VALGRIND_ENABLE_ERROR_REPORTING;
    watch(block, n_bytes);
    return block;
}

void __real_gc_free(void *ptr);
void __wrap_gc_free(void *ptr) {
    size_t former = ptr == NULL ? 0 : gc_nbytes(ptr);
    __real_gc_free(ptr);
    // While the heap is locked nothing is freed.
    if (is_watched && former != 0 && gc_nbytes(ptr) == 0) {
        VALGRIND_MAKE_MEM_NOACCESS(ptr, former);
    }
}

void *__real_gc_realloc(void *ptr, size_t n_bytes, bool allow_move);
void *__wrap_gc_realloc(void *ptr, size_t n_bytes, bool allow_move) {
    stress();
    size_t former = ptr == NULL ? 0 : gc_nbytes(ptr);
    // What becomes smaller always has room.
    if (n_bytes > former && fails(n_bytes)) {
        return NULL;
    }
    VALGRIND_DISABLE_ERROR_REPORTING;
    void *now = __real_gc_realloc(ptr, n_bytes, allow_move);
    VALGRIND_ENABLE_ERROR_REPORTING;
    if (is_watched && former != 0 && (now != NULL || n_bytes == 0)) {
        VALGRIND_MAKE_MEM_NOACCESS(ptr, former);
    }
    watch(now, n_bytes);
    if (n_bytes + LARGE <= former) {
        reserve = former - gc_nbytes(now);
    }
    return now;
}

// It returns where a function ends by an exception, too.
mp_vm_return_kind_t __real_mp_execute_bytecode(mp_code_state_t *code_state, volatile mp_obj_t inject_exc);
mp_vm_return_kind_t __wrap_mp_execute_bytecode(mp_code_state_t *code_state, volatile mp_obj_t inject_exc) {
    struct frame frame = { code_state, frames };
    frames = &frame;
    mp_vm_return_kind_t kind = __real_mp_execute_bytecode(code_state, inject_exc);
    frames = frame.outer;
    return kind;
}

int __real_accept(int fd, struct sockaddr *address, socklen_t *length);
int __wrap_accept(int fd, struct sockaddr *address, socklen_t *length) {
    fresh_descriptor = __real_accept(fd, address, length);
    fresh = fresh_descriptor < 0 ? 0 : 4;
    return fresh_descriptor;
}

int __real_socket(int family, int kind, int protocol);
int __wrap_socket(int family, int kind, int protocol) {
    fresh_descriptor = __real_socket(family, kind, protocol);
    fresh = fresh_descriptor < 0 ? 0 : 1;
    return fresh_descriptor;
}

// follow(path): from now on the file says what fails.
static mp_obj_t faults_follow(mp_obj_t path) {
    int fd = open(mp_obj_str_get_str(path), O_RDWR | O_CLOEXEC);
    void *memory = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(struct plan), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd >= 0) {
        close(fd);
    }
    if (memory == MAP_FAILED) {
        mp_raise_OSError(MP_EIO);
    }
    plan = memory;
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(faults_follow_obj, faults_follow);

// stress(n): from now on garbage is collected before each n-th allocation, and what is free is filled, or under valgrind out of bounds. Gives how many
// allocations there were.
static mp_obj_t faults_stress(mp_obj_t every) {
    size_t seen = stress_count;
    stress_every = mp_obj_get_int(every);
    stress_count = 0;
    is_watched = RUNNING_ON_VALGRIND && stress_every != 0;
    gc_collect();
    return mp_obj_new_int_from_uint(seen);
}
static MP_DEFINE_CONST_FUN_OBJ_1(faults_stress_obj, faults_stress);

// RAMDisc(size, block): a block device for a file system.
typedef struct {
    mp_obj_base_t base;
    size_t size;
    size_t block;
    uint8_t *data;
} disc_t;

static mp_obj_t disc_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *args) {
    mp_arg_check_num(n_args, n_kw, 2, 2, false);
    disc_t *self = mp_obj_malloc(disc_t, type);
    self->size = mp_obj_get_int(args[0]);
    self->block = mp_obj_get_int(args[1]);
    void *data = mmap(NULL, self->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED) {
        mp_raise_OSError(MP_ENOMEM);
    }
    self->data = data;
    return MP_OBJ_FROM_PTR(self);
}

// The bytes of the disc that are read or written.
static uint8_t *disc_at(const mp_obj_t *args, size_t n_args, mp_buffer_info_t *buffer, unsigned int flags) {
    disc_t *self = MP_OBJ_TO_PTR(args[0]);
    mp_get_buffer_raise(args[2], buffer, flags);
    size_t start = mp_obj_get_int(args[1]) * self->block + (n_args > 3 ? mp_obj_get_int(args[3]) : 0);
    if (start > self->size || buffer->len > self->size - start) {
        mp_raise_OSError(MP_EINVAL);
    }
    return self->data + start;
}

static mp_obj_t disc_readblocks(size_t n_args, const mp_obj_t *args) {
    mp_buffer_info_t buffer;
    uint8_t *at = disc_at(args, n_args, &buffer, MP_BUFFER_WRITE);
    memcpy(buffer.buf, at, buffer.len);
    return MP_OBJ_NEW_SMALL_INT(0);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(disc_readblocks_obj, 3, 4, disc_readblocks);

static mp_obj_t disc_writeblocks(size_t n_args, const mp_obj_t *args) {
    mp_buffer_info_t buffer;
    uint8_t *at = disc_at(args, n_args, &buffer, MP_BUFFER_READ);
    memcpy(at, buffer.buf, buffer.len);
    return MP_OBJ_NEW_SMALL_INT(0);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(disc_writeblocks_obj, 3, 4, disc_writeblocks);

static mp_obj_t disc_ioctl(mp_obj_t self_in, mp_obj_t operation, mp_obj_t argument) {
    (void)argument;
    disc_t *self = MP_OBJ_TO_PTR(self_in);
    switch (mp_obj_get_int(operation)) {
        case 4:
            return MP_OBJ_NEW_SMALL_INT(self->size / self->block);
        case 5:
            return MP_OBJ_NEW_SMALL_INT(self->block);
        default:
            return MP_OBJ_NEW_SMALL_INT(0);
    }
}
static MP_DEFINE_CONST_FUN_OBJ_3(disc_ioctl_obj, disc_ioctl);

static const mp_rom_map_elem_t disc_table[] = {
    { MP_ROM_QSTR(MP_QSTR_readblocks), MP_ROM_PTR(&disc_readblocks_obj) },
    { MP_ROM_QSTR(MP_QSTR_writeblocks), MP_ROM_PTR(&disc_writeblocks_obj) },
    { MP_ROM_QSTR(MP_QSTR_ioctl), MP_ROM_PTR(&disc_ioctl_obj) },
};
static MP_DEFINE_CONST_DICT(disc_locals, disc_table);

static MP_DEFINE_CONST_OBJ_TYPE(disc_type, MP_QSTR_RAMDisc, MP_TYPE_FLAG_NONE, make_new, disc_make_new, locals_dict, &disc_locals);

static const mp_rom_map_elem_t faults_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_faults) },
    { MP_ROM_QSTR(MP_QSTR_follow), MP_ROM_PTR(&faults_follow_obj) },
    { MP_ROM_QSTR(MP_QSTR_stress), MP_ROM_PTR(&faults_stress_obj) },
    { MP_ROM_QSTR(MP_QSTR_RAMDisc), MP_ROM_PTR(&disc_type) },
};
static MP_DEFINE_CONST_DICT(faults_globals, faults_table);

const mp_obj_module_t faults_module = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&faults_globals,
};
MP_REGISTER_MODULE(MP_QSTR_faults, faults_module);
