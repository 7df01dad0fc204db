// The part of MicroPython's native ABI that the module uses, in our own words. build.rs gives it to bindgen, and glue.c
// includes it. `cargo xtask check-abi` compares every offset, size, entry and number with MicroPython's own headers.
//
// No header is included, so that bindgen needs no C library for any target.
#ifndef FTPDLITE_ABI_H
#define FTPDLITE_ABI_H

typedef __SIZE_TYPE__ size_t;
typedef __UINTPTR_TYPE__ uintptr_t;
typedef __UINT8_TYPE__ uint8_t;
typedef __UINT16_TYPE__ uint16_t;
typedef __UINT32_TYPE__ uint32_t;

// The .mpy format: version 6.3.
#define MPY_VERSION 6
#define MPY_SUB_VERSION 3

typedef __INTPTR_TYPE__ mp_int_t;
typedef __UINTPTR_TYPE__ mp_uint_t;
typedef size_t qstr;
typedef uint16_t qstr_short_t;

// Object representation A: a pointer, or a small integer with the lowest bit set.
typedef void *mp_obj_t;
typedef const void *mp_const_obj_t;

typedef struct _mp_obj_type_t mp_obj_type_t;

typedef struct _mp_obj_base_t {
    const mp_obj_type_t *type;
} mp_obj_base_t;

// The slots follow in an order of the type's own; an index is a slot's number from 1, or 0 for none.
struct _mp_obj_type_t {
    mp_obj_base_t base;
    uint16_t flags;
    uint16_t name;
    uint8_t slot_index_make_new;
    uint8_t slot_index_print;
    uint8_t slot_index_call;
    uint8_t slot_index_unary_op;
    uint8_t slot_index_binary_op;
    uint8_t slot_index_attr;
    uint8_t slot_index_subscr;
    uint8_t slot_index_iter;
    uint8_t slot_index_buffer;
    uint8_t slot_index_protocol;
    uint8_t slot_index_parent;
    uint8_t slot_index_locals_dict;
    const void *slots[];
};

typedef struct _mp_obj_fun_builtin_fixed_t {
    mp_obj_base_t base;
    void *fun;
} mp_obj_fun_builtin_fixed_t;

typedef struct _mp_obj_fun_builtin_var_t {
    mp_obj_base_t base;
    uint32_t sig;
    void *fun;
} mp_obj_fun_builtin_var_t;

typedef struct _mp_obj_iter_buf_t {
    mp_obj_base_t base;
    mp_obj_t buf[3];
} mp_obj_iter_buf_t;

typedef struct _mp_buffer_info_t {
    void *buf;
    size_t len;
    int typecode;
} mp_buffer_info_t;

#define MP_BUFFER_READ 1
#define MP_BUFFER_WRITE 2

// What native_from_obj and native_to_obj convert.
#define MP_NATIVE_TYPE_INT 2
#define MP_NATIVE_TYPE_UINT 3
#define MP_NATIVE_TYPE_QSTR 8

#define MP_UNARY_OP_LEN 5
#define MP_BINARY_OP_OR 22
#define MP_BINARY_OP_LSHIFT 25
#define MP_BINARY_OP_RSHIFT 26
#define MP_BINARY_OP_ADD 27

// Streams (py/stream.h).
#define MP_STREAM_OP_READ 1
#define MP_STREAM_OP_WRITE 2
#define MP_STREAM_OP_IOCTL 4
#define MP_STREAM_POLL 3
#define MP_STREAM_POLL_RD 1

typedef struct _mp_stream_p_t {
    mp_uint_t (*read)(mp_obj_t obj, void *buf, mp_uint_t size, int *errcode);
    mp_uint_t (*write)(mp_obj_t obj, const void *buf, mp_uint_t size, int *errcode);
    mp_uint_t (*ioctl)(mp_obj_t obj, mp_uint_t request, uintptr_t arg, int *errcode);
    mp_uint_t is_text; // a bit field of one bit
} mp_stream_p_t;

// What the loader passes to the module's entry as its first argument, as far as it is used.
typedef struct _mp_obj_dict_t mp_obj_dict_t;

typedef struct _mp_obj_module_t {
    mp_obj_base_t base;
    mp_obj_dict_t *globals;
} mp_obj_module_t;

typedef struct _mp_module_constants_t {
    qstr_short_t *qstr_table;
    mp_obj_t *obj_table;
} mp_module_constants_t;

typedef struct _mp_module_context_t {
    mp_obj_module_t module;
    mp_module_constants_t constants;
} mp_module_context_t;

typedef struct _mp_obj_fun_bc_t {
    mp_obj_base_t base;
    const mp_module_context_t *context;
} mp_obj_fun_bc_t;

// An exception handler's frame: what comes before the registers. Their number depends on the architecture and on the firmware.
typedef struct _nlr_buf_t nlr_buf_t;

struct _nlr_buf_t {
    nlr_buf_t *prev;
    void *ret_val;
};

// The functions and objects by which a module reaches the runtime; their order is the ABI (py/nativeglue.h). Those that the module
// does not call are only placeholders.
typedef struct _mp_fun_table_t {
    mp_const_obj_t const_none;
    mp_const_obj_t const_false;
    mp_const_obj_t const_true;
    mp_uint_t (*native_from_obj)(mp_obj_t obj, mp_uint_t type);
    mp_obj_t (*native_to_obj)(mp_uint_t val, mp_uint_t type);
    mp_obj_dict_t *(*swap_globals)(mp_obj_dict_t *new_globals);
    void *load_name;
    mp_obj_t (*load_global)(qstr name);
    void *load_build_class;
    mp_obj_t (*load_attr)(mp_obj_t base, qstr name);
    void *load_method;
    void *load_super_method;
    void *store_name;
    void (*store_global)(qstr name, mp_obj_t obj);
    void *store_attr;
    mp_obj_t (*obj_subscr)(mp_obj_t base, mp_obj_t index, mp_obj_t val);
    _Bool (*obj_is_true)(mp_obj_t arg);
    mp_obj_t (*unary_op)(unsigned int op, mp_obj_t arg);
    mp_obj_t (*binary_op)(unsigned int op, mp_obj_t lhs, mp_obj_t rhs);
    mp_obj_t (*new_tuple)(size_t n, const mp_obj_t *items);
    void *new_list;
    mp_obj_t (*new_dict)(size_t n_args);
    void *new_set;
    void *set_store;
    void *list_append;
    mp_obj_t (*dict_store)(mp_obj_t self_in, mp_obj_t key, mp_obj_t value);
    void *make_function_from_proto_fun;
    mp_obj_t (*call_function_n_kw)(mp_obj_t fun, size_t n_args_kw, const mp_obj_t *args);
    void *call_method_n_kw;
    void *call_method_n_kw_var;
    mp_obj_t (*getiter)(mp_obj_t obj, mp_obj_iter_buf_t *iter);
    mp_obj_t (*iternext)(mp_obj_iter_buf_t *iter);
    unsigned int (*nlr_push)(nlr_buf_t *);
    void (*nlr_pop)(void);
    void (*raise)(mp_obj_t obj);
    mp_obj_t (*import_name)(qstr name, mp_obj_t fromlist, mp_obj_t level);
    void *import_from;
    void *import_all;
    void *new_slice;
    void *unpack_sequence;
    void *unpack_ex;
    void *delete_name;
    void *delete_global;
    void *new_closure;
    void *arg_check_num_sig;
    void *setup_code_state_native;
    void *small_int_floor_divide;
    void *small_int_modulo;
    void *yield_from;
    void *setjmp_;
    void *(*memset_)(void *s, int c, size_t n);
    void *(*memmove_)(void *dest, const void *src, size_t n);
    void *(*realloc_)(void *ptr, size_t n_bytes, _Bool allow_move);
    void *printf_;
    void *vprintf_;
    void (*raise_msg)(const mp_obj_type_t *exc_type, const char *msg);
    const mp_obj_type_t *(*obj_get_type)(mp_const_obj_t obj);
    mp_obj_t (*obj_new_str)(const char *data, size_t len);
    mp_obj_t (*obj_new_bytes)(const uint8_t *data, size_t len);
    mp_obj_t (*obj_new_bytearray_by_ref)(size_t n, void *items);
    void *obj_new_float_from_f;
    void *obj_new_float_from_d;
    void *obj_get_float_to_f;
    void *obj_get_float_to_d;
    void *load_method_maybe;
    _Bool (*get_buffer)(mp_obj_t obj, mp_buffer_info_t *bufinfo, mp_uint_t flags);
    const mp_stream_p_t *(*get_stream_raise)(mp_obj_t self_in, int flags);
    void *arg_parse_all;
    void *arg_parse_all_kw_array;
    void *binary_get_size;
    void *binary_get_val_array;
    void *binary_set_val_array;
    const void *plat_print;
    const mp_obj_type_t *type_type;
    const mp_obj_type_t *type_str;
    const mp_obj_type_t *type_list;
    const mp_obj_type_t *type_dict;
    const mp_obj_type_t *type_fun_builtin_0;
    const mp_obj_type_t *type_fun_builtin_1;
    const mp_obj_type_t *type_fun_builtin_2;
    const mp_obj_type_t *type_fun_builtin_3;
    const mp_obj_type_t *type_fun_builtin_var;
    const mp_obj_type_t *type_Exception;
    const void *stream_read_obj;
    const void *stream_readinto_obj;
    const void *stream_unbuffered_readline_obj;
    const void *stream_write_obj;
} mp_fun_table_t;

// The linker step points these at the runtime's table, at the module's own names (src/native/qstr.rs) and at its object (src/native/tables.rs).
extern const mp_fun_table_t mp_fun_table __attribute__((visibility("default")));
extern const qstr_short_t mp_qstr_table[] __attribute__((visibility("default")));
extern const mp_obj_t mp_obj_table[] __attribute__((visibility("default")));

// glue.c
void *ftpdlite_try(void (*call)(void *context), void *context);

#endif
