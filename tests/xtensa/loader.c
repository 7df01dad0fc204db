// A loader for the xtensawin module under qemu-xtensa: it does what py/persistentcode.c of MicroPython does with a .mpy file, and has just enough of a
// runtime for the module. tests/xtensa/play.py tells it over standard input what to load, make and call.
//
// It has no writable data of its own, because it is linked as the module is: what changes lies in memory that the ELF file asks for.
#include "../../micropython/abi.h"

typedef long long int64;
typedef unsigned long long uint64;
typedef const mp_obj_type_t *type_t;

long system_call(long number, long a, long b, long c);
int set_jump(long *buffer);
__attribute__((noreturn)) void long_jump(long *buffer);

enum { SYS_READ = 12, SYS_WRITE = 13, SYS_MPROTECT = 82, SYS_EXIT = 118 };
enum { PROT_READ = 1, PROT_EXEC = 4 };
enum { EAGAIN = 11 };
#define STREAM_ERROR ((mp_uint_t)-1)

// The regions of xtask's `program`.
#define STATE ((state_t *)0x10000000)
#define HEAP_END 0x14000000
#define TEXT ((uint8_t *)0x20000000)
#define RODATA ((uint8_t *)0x30000000)
#define REGION 0x100000
#define PAGE 0x1000

typedef struct {
    mp_obj_base_t base;
    size_t length;
    uint8_t *bytes;
} text_t;

typedef struct {
    mp_obj_base_t base;
    int64 value;
} int_t;

typedef struct {
    mp_obj_base_t base;
    size_t length;
    mp_obj_t items[];
} tuple_t;

typedef struct _mp_obj_dict_t {
    mp_obj_base_t base;
    size_t length, capacity;
    mp_obj_t *pairs;
} dict_t;

typedef struct {
    mp_obj_base_t base;
    const char *name;
} class_t;

typedef struct {
    mp_obj_base_t base;
    mp_obj_t class;
    mp_obj_t argument;
} exception_t;

typedef struct {
    mp_obj_base_t base;
    mp_obj_t function, self;
} bound_t;

typedef struct {
    mp_obj_base_t base;
    tuple_t *tuple;
    size_t at;
} iterator_t;

// A stream in memory. `chunk` bounds each read and write; every `block`th call would block; 0 is no bound.
typedef struct {
    mp_obj_base_t base;
    uint8_t *input;
    size_t at, end;
    int eof;
    uint8_t *output;
    size_t written;
    size_t room;
    size_t chunk, block, calls;
    int error;
} stream_t;

enum { STREAM_BUFFER = 1 << 19 };

typedef struct {
    nlr_buf_t head;
    long registers[16];
} handler_t;

typedef struct {
    uint8_t *heap;
    nlr_buf_t *handler;
    mp_obj_dict_t *globals;
    size_t qstr_count;
    const char *qstrs[512];
    // The built-in exceptions that were named.
    size_t class_count;
    mp_obj_t classes[16];
    long ticks;
    mp_module_context_t context;
    mp_obj_fun_bc_t function;
} state_t;

// -- memory

void *memset(void *to, int byte, size_t count) {
    for (uint8_t *at = to; count; --count) {
        *at++ = byte;
    }
    return to;
}

void *memmove(void *to, const void *from, size_t count) {
    uint8_t *target = to;
    const uint8_t *source = from;
    if (target < source) {
        while (count--) {
            *target++ = *source++;
        }
    } else {
        while (count--) {
            target[count] = source[count];
        }
    }
    return to;
}

void *memcpy(void *to, const void *from, size_t count) {
    return memmove(to, from, count);
}

static size_t length_of(const char *text) {
    size_t length = 0;
    while (text[length]) {
        ++length;
    }
    return length;
}

static int is_equal(const void *a, const void *b, size_t count) {
    for (size_t i = 0; i < count; ++i) {
        if (((const uint8_t *)a)[i] != ((const uint8_t *)b)[i]) {
            return 0;
        }
    }
    return 1;
}

static __attribute__((noreturn)) void die(const char *why) {
    system_call(SYS_WRITE, 2, (long)why, length_of(why));
    system_call(SYS_WRITE, 2, (long)"\n", 1);
    system_call(SYS_EXIT, 3, 0, 0);
    for (;;) {
    }
}

// Nothing is ever freed. The memory is not zero, as MicroPython's is not always.
static void *allocate(size_t size) {
    uint8_t *found = STATE->heap;
    STATE->heap += (size + 15) & ~15;
    if ((size_t)STATE->heap > HEAP_END) {
        die("loader: the heap is full");
    }
    return memset(found, 0xa5, size);
}

// -- types

static const mp_obj_type_t type_type, type_none, type_bool, type_int, type_str, type_bytes, type_bytearray, type_tuple, type_dict, type_module,
    type_class, type_exception, type_bound, type_iterator, type_stream, type_host, type_fun_0, type_fun_1, type_fun_2, type_fun_3, type_fun_var,
    type_list;
static const mp_obj_base_t const_none = {&type_none}, const_false = {&type_bool}, const_true = {&type_bool};

#define NONE ((mp_obj_t)&const_none)
#define SENTINEL ((mp_obj_t)4)

static int is_small(mp_const_obj_t obj) {
    return (long)obj & 1;
}

static type_t type_of(mp_const_obj_t obj) {
    return is_small(obj) ? &type_int : ((const mp_obj_base_t *)obj)->type;
}

static void *new_object(type_t type, size_t size) {
    mp_obj_base_t *made = allocate(size);
    made->type = type;
    return made;
}

static mp_obj_t new_text(type_t type, const void *bytes, size_t length) {
    text_t *made = new_object(type, sizeof(text_t));
    made->length = length;
    made->bytes = allocate(length + 1);
    memmove(made->bytes, bytes, length);
    made->bytes[length] = 0;
    return made;
}

static mp_obj_t new_int(int64 value) {
    if (value >= -0x40000000 && value < 0x40000000) {
        return (mp_obj_t)((long)value << 1 | 1);
    }
    int_t *made = new_object(&type_int, sizeof(int_t));
    made->value = value;
    return made;
}

static int64 int_value(mp_obj_t obj) {
    return is_small(obj) ? (long)obj >> 1 : ((int_t *)obj)->value;
}

static mp_obj_t new_tuple(size_t count, const mp_obj_t *items) {
    tuple_t *made = new_object(&type_tuple, sizeof(tuple_t) + count * sizeof(mp_obj_t));
    made->length = count;
    memmove(made->items, items, count * sizeof(mp_obj_t));
    return made;
}

// -- exceptions

static unsigned int nlr_push(nlr_buf_t *handler) {
    handler->prev = STATE->handler;
    STATE->handler = handler;
    return 0;
}

static void nlr_pop(void) {
    STATE->handler = STATE->handler->prev;
}

static __attribute__((noreturn)) void raise(mp_obj_t exception) {
    nlr_buf_t *handler = STATE->handler;
    if (!handler) {
        die("loader: an exception and no handler");
    }
    STATE->handler = handler->prev;
    handler->ret_val = exception;
    long_jump(((handler_t *)handler)->registers);
}

static mp_obj_t find_class(const char *name) {
    for (size_t i = 0; i < STATE->class_count; ++i) {
        class_t *known = STATE->classes[i];
        size_t length = length_of(name);
        if (length_of(known->name) == length && is_equal(known->name, name, length)) {
            return known;
        }
    }
    if (STATE->class_count == 16) {
        die("loader: too many exceptions");
    }
    class_t *made = new_object(&type_class, sizeof(class_t));
    made->name = name;
    STATE->classes[STATE->class_count++] = made;
    return made;
}

static mp_obj_t new_exception(mp_obj_t class, mp_obj_t argument) {
    exception_t *made = new_object(&type_exception, sizeof(exception_t));
    made->class = class;
    made->argument = argument;
    return made;
}

static __attribute__((noreturn)) void raise_msg(const mp_obj_type_t *class, const char *message) {
    raise(new_exception((mp_obj_t)class, new_text(&type_str, message, length_of(message))));
}

static __attribute__((noreturn)) void raise_named(const char *class, const char *message) {
    raise_msg(find_class(class), message);
}

// -- names

static size_t intern(const char *text, size_t length) {
    for (size_t i = 0; i < STATE->qstr_count; ++i) {
        if (length_of(STATE->qstrs[i]) == length && is_equal(STATE->qstrs[i], text, length)) {
            return i;
        }
    }
    if (STATE->qstr_count == 512) {
        die("loader: too many names");
    }
    char *kept = allocate(length + 1);
    memmove(kept, text, length);
    kept[length] = 0;
    STATE->qstrs[STATE->qstr_count] = kept;
    return STATE->qstr_count++;
}

static const char *qstr_text(qstr name) {
    if (name >= STATE->qstr_count) {
        die("loader: no such name");
    }
    return STATE->qstrs[name];
}

static mp_obj_t qstr_obj(qstr name) {
    const char *text = qstr_text(name);
    return new_text(&type_str, text, length_of(text));
}

// -- dictionaries

static mp_obj_t new_dict(size_t capacity) {
    dict_t *made = new_object(&type_dict, sizeof(dict_t));
    made->length = 0;
    made->capacity = 64;
    made->pairs = allocate(made->capacity * 2 * sizeof(mp_obj_t));
    return made;
}

static mp_obj_t *dict_find(dict_t *dict, const char *name) {
    for (size_t i = 0; i < dict->length; ++i) {
        text_t *key = dict->pairs[2 * i];
        if (key->length == length_of(name) && is_equal(key->bytes, name, key->length)) {
            return &dict->pairs[2 * i + 1];
        }
    }
    return 0;
}

static mp_obj_t dict_store(mp_obj_t self, mp_obj_t key, mp_obj_t value) {
    dict_t *dict = self;
    mp_obj_t *found = dict_find(dict, (const char *)((text_t *)key)->bytes);
    if (found) {
        *found = value;
        return self;
    }
    if (dict->length == dict->capacity) {
        die("loader: a dict is full");
    }
    dict->pairs[2 * dict->length] = key;
    dict->pairs[2 * dict->length++ + 1] = value;
    return self;
}

// -- talking with play.py

static void get(void *into, size_t count) {
    for (uint8_t *at = into; count;) {
        long got = system_call(SYS_READ, 0, (long)at, count);
        if (got <= 0) {
            system_call(SYS_EXIT, 0, 0, 0);
        }
        at += got;
        count -= got;
    }
}

static void put(const void *bytes, size_t count) {
    for (const uint8_t *at = bytes; count;) {
        long done = system_call(SYS_WRITE, 1, (long)at, count);
        if (done <= 0) {
            die("loader: nobody listens");
        }
        at += done;
        count -= done;
    }
}

static uint32_t get_word(void) {
    uint32_t word;
    get(&word, 4);
    return word;
}

static void put_word(uint32_t word) {
    put(&word, 4);
}

// Bytes with their count before them, and a 0 behind.
static uint8_t *get_bytes(size_t *count) {
    *count = get_word();
    uint8_t *bytes = allocate(*count + 1);
    get(bytes, *count);
    bytes[*count] = 0;
    return bytes;
}

static void put_bytes(const void *bytes, size_t count) {
    put_word(count);
    put(bytes, count);
}

// -- what the module calls

static mp_uint_t native_from_obj(mp_obj_t obj, mp_uint_t type) {
    if (type_of(obj) != &type_int) {
        raise_named("TypeError", "can't convert to int");
    }
    return (mp_uint_t)int_value(obj);
}

static mp_obj_t native_to_obj(mp_uint_t value, mp_uint_t type) {
    switch (type) {
        case MP_NATIVE_TYPE_INT:
            return new_int((long)value);
        case MP_NATIVE_TYPE_UINT:
            return new_int(value);
        case MP_NATIVE_TYPE_QSTR:
            return qstr_obj(value);
    }
    die("loader: native_to_obj of another type");
}

static mp_obj_dict_t *swap_globals(mp_obj_dict_t *globals) {
    mp_obj_dict_t *former = STATE->globals;
    STATE->globals = globals;
    return former;
}

static mp_obj_t load_global(qstr name) {
    return find_class(qstr_text(name));
}

static void store_global(qstr name, mp_obj_t value) {
    dict_store(STATE->globals, qstr_obj(name), value);
}

static mp_obj_t import_name(qstr name, mp_obj_t from, mp_obj_t level) {
    class_t *made = new_object(&type_module, sizeof(class_t));
    made->name = qstr_text(name);
    return made;
}

enum { SLOT_MAKE_NEW, SLOT_ATTR, SLOT_LOCALS };

static const void *slot(type_t type, int which) {
    int index = which == SLOT_MAKE_NEW ? type->slot_index_make_new : which == SLOT_ATTR ? type->slot_index_attr : type->slot_index_locals_dict;
    return index ? type->slots[index - 1] : 0;
}

typedef void (*attr_t)(mp_obj_t self, qstr name, mp_obj_t *dest);
typedef mp_obj_t (*make_new_t)(type_t type, size_t n_args, size_t n_kw, const mp_obj_t *args);

static mp_obj_t load_attr(mp_obj_t base, qstr name) {
    type_t type = type_of(base);
    if (type == &type_module) {
        class_t *made = new_object(&type_host, sizeof(class_t));
        made->name = qstr_text(name);
        return made;
    }
    if (type == &type_exception && is_equal(qstr_text(name), "errno", sizeof("errno"))) {
        return ((exception_t *)base)->argument;
    }
    mp_obj_t dest[2] = {0, 0};
    attr_t attr = (attr_t)slot(type, SLOT_ATTR);
    if (attr) {
        attr(base, name, dest);
        if (dest[0]) {
            return dest[0];
        }
    }
    if (!attr || dest[1] == SENTINEL) {
        dict_t *locals = (dict_t *)slot(type, SLOT_LOCALS);
        mp_obj_t *found = locals ? dict_find(locals, qstr_text(name)) : 0;
        if (found) {
            bound_t *made = new_object(&type_bound, sizeof(bound_t));
            made->function = *found;
            made->self = base;
            return made;
        }
    }
    raise_named("AttributeError", qstr_text(name));
}

static void store_attr(mp_obj_t base, qstr name, mp_obj_t value) {
    mp_obj_t dest[2] = {SENTINEL, value};
    attr_t attr = (attr_t)slot(type_of(base), SLOT_ATTR);
    if (attr) {
        attr(base, name, dest);
    }
    if (!attr || dest[0]) {
        raise_named("AttributeError", qstr_text(name));
    }
}

static mp_obj_t obj_subscr(mp_obj_t base, mp_obj_t index, mp_obj_t value) {
    if (type_of(base) != &type_tuple) {
        raise_named("TypeError", "object isn't subscriptable");
    }
    tuple_t *tuple = base;
    if (int_value(index) >= tuple->length || value != SENTINEL) {
        raise_named("IndexError", "index out of range");
    }
    return tuple->items[int_value(index)];
}

static _Bool is_text(mp_const_obj_t obj) {
    type_t type = type_of(obj);
    return type == &type_str || type == &type_bytes || type == &type_bytearray;
}

static _Bool obj_is_true(mp_obj_t obj) {
    if (type_of(obj) == &type_int) {
        return int_value(obj) != 0;
    }
    if (is_text(obj)) {
        return ((text_t *)obj)->length != 0;
    }
    return obj != NONE && obj != &const_false;
}

static mp_obj_t unary_op(unsigned int op, mp_obj_t arg) {
    if (op != MP_UNARY_OP_LEN || type_of(arg) != &type_tuple) {
        raise_named("TypeError", "unsupported type for operator");
    }
    return new_int(((tuple_t *)arg)->length);
}

static mp_obj_t binary_op(unsigned int op, mp_obj_t left, mp_obj_t right) {
    type_t type = type_of(left);
    if (type == &type_int && type_of(right) == &type_int) {
        int64 a = int_value(left), b = int_value(right);
        switch (op) {
            case MP_BINARY_OP_OR:
                return new_int(a | b);
            case MP_BINARY_OP_LSHIFT:
                return new_int(a << (int)b);
            case MP_BINARY_OP_RSHIFT:
                return new_int(a >> (int)b);
            case MP_BINARY_OP_ADD:
                return new_int(a + b);
        }
    } else if (op == MP_BINARY_OP_ADD && is_text(left) && type == type_of(right)) {
        text_t *a = left, *b = right;
        text_t *made = new_object(type, sizeof(text_t));
        made->length = a->length + b->length;
        made->bytes = allocate(made->length + 1);
        memmove(made->bytes, a->bytes, a->length);
        memmove(made->bytes + a->length, b->bytes, b->length + 1);
        return made;
    }
    raise_named("TypeError", "unsupported types for operator");
}

// os.stat: play.py knows the files.
static mp_obj_t host_stat(mp_obj_t path) {
    text_t *text = path;
    put("K", 1);
    put_bytes(text->bytes, text->length);
    uint32_t error = get_word(), mode = get_word(), low = get_word(), high = get_word(), modified = get_word();
    if (error) {
        raise(new_exception(find_class("OSError"), new_int(error)));
    }
    mp_obj_t items[10];
    for (int i = 0; i < 10; ++i) {
        items[i] = new_int(0);
    }
    items[0] = new_int(mode);
    items[6] = new_int((int64)high << 32 | low);
    items[7] = items[8] = items[9] = new_int(modified);
    return new_tuple(10, items);
}

static mp_obj_t call(mp_obj_t fun, size_t n_args_kw, const mp_obj_t *args) {
    type_t type = type_of(fun);
    size_t count = n_args_kw & 0xff;
    void *code = ((mp_obj_fun_builtin_fixed_t *)fun)->fun;
    if (type == &type_fun_0 && count == 0) {
        return ((mp_obj_t(*)(void))code)();
    } else if (type == &type_fun_1 && count == 1) {
        return ((mp_obj_t(*)(mp_obj_t))code)(args[0]);
    } else if (type == &type_fun_2 && count == 2) {
        return ((mp_obj_t(*)(mp_obj_t, mp_obj_t))code)(args[0], args[1]);
    } else if (type == &type_fun_3 && count == 3) {
        return ((mp_obj_t(*)(mp_obj_t, mp_obj_t, mp_obj_t))code)(args[0], args[1], args[2]);
    } else if (type == &type_fun_var) {
        mp_obj_fun_builtin_var_t *var = fun;
        if (!(var->sig & 1) && count >= var->sig >> 17 && count <= (var->sig >> 1 & 0xffff)) {
            return ((mp_obj_t(*)(size_t, const mp_obj_t *))var->fun)(count, args);
        }
    } else if (type == &type_bound) {
        mp_obj_t all[8] = {((bound_t *)fun)->self};
        memmove(all + 1, args, (count < 7 ? count : 7) * sizeof(mp_obj_t));
        return call(((bound_t *)fun)->function, count + 1, all);
    } else if (type == &type_type) {
        make_new_t make_new = (make_new_t)slot(fun, SLOT_MAKE_NEW);
        return make_new(fun, count, 0, args);
    } else if (type == &type_class) {
        return new_exception(fun, count ? args[0] : NONE);
    } else if (type == &type_host) {
        const char *name = ((class_t *)fun)->name;
        if (name[0] == 's') {
            return host_stat(args[0]);
        } else if (name[0] == 't') {
            return new_int(STATE->ticks += 100);
        }
    }
    raise_named("TypeError", "not callable so");
}

static mp_obj_t getiter(mp_obj_t obj, mp_obj_iter_buf_t *buffer) {
    if (type_of(obj) != &type_tuple || buffer) {
        raise_named("TypeError", "object isn't iterable");
    }
    iterator_t *made = new_object(&type_iterator, sizeof(iterator_t));
    made->tuple = obj;
    made->at = 0;
    return made;
}

static mp_obj_t iternext(mp_obj_iter_buf_t *buffer) {
    if (buffer->base.type) {
        die("loader: an iterator that is not on the heap");
    }
    iterator_t *iterator = buffer->buf[0];
    if (type_of(iterator) != &type_iterator) {
        die("loader: not an iterator");
    }
    return iterator->at < iterator->tuple->length ? iterator->tuple->items[iterator->at++] : 0;
}

static void *realloc_(void *memory, size_t size, _Bool allow_move) {
    if (memory) {
        die("loader: realloc of a block");
    }
    return allocate(size);
}

static mp_obj_t obj_new_bytearray_by_ref(size_t size, void *items) {
    text_t *made = new_object(&type_bytearray, sizeof(text_t));
    made->bytes = items;
    made->length = size;
    return made;
}

static const mp_obj_type_t *obj_get_type(mp_const_obj_t obj) {
    type_t type = type_of(obj);
    return type == &type_exception ? ((exception_t *)obj)->class : type;
}

static mp_obj_t obj_new_str(const char *bytes, size_t length) {
    return new_text(&type_str, bytes, length);
}

static mp_obj_t obj_new_bytes(const uint8_t *bytes, size_t length) {
    return new_text(&type_bytes, bytes, length);
}

static _Bool get_buffer(mp_obj_t obj, mp_buffer_info_t *info, mp_uint_t flags) {
    if (!is_text(obj) || (flags & MP_BUFFER_WRITE && type_of(obj) != &type_bytearray)) {
        return 0;
    }
    info->buf = ((text_t *)obj)->bytes;
    info->len = ((text_t *)obj)->length;
    info->typecode = 'B';
    return 1;
}

// -- streams

static int blocks(stream_t *stream, int *error) {
    if (stream->error) {
        *error = stream->error;
        return 1;
    }
    if (stream->block && ++stream->calls % stream->block == 0) {
        *error = EAGAIN;
        return 1;
    }
    return 0;
}

static size_t bounded(stream_t *stream, size_t size, size_t most) {
    size = size < most ? size : most;
    return stream->chunk && size > stream->chunk ? stream->chunk : size;
}

static mp_uint_t stream_read(mp_obj_t obj, void *buffer, mp_uint_t size, int *error) {
    stream_t *stream = obj;
    if (blocks(stream, error)) {
        return STREAM_ERROR;
    }
    size = bounded(stream, size, stream->end - stream->at);
    if (size == 0 && !stream->eof) {
        *error = EAGAIN;
        return STREAM_ERROR;
    }
    memmove(buffer, stream->input + stream->at, size);
    stream->at += size;
    return size;
}

static mp_uint_t stream_write(mp_obj_t obj, const void *buffer, mp_uint_t size, int *error) {
    stream_t *stream = obj;
    if (blocks(stream, error)) {
        return STREAM_ERROR;
    }
    size = bounded(stream, size, stream->room - stream->written);
    memmove(stream->output + stream->written, buffer, size);
    stream->written += size;
    return size;
}

static const mp_stream_p_t stream_protocol = {stream_read, stream_write, 0, 0};

static const mp_stream_p_t *get_stream_raise(mp_obj_t obj, int flags) {
    if (type_of(obj) != &type_stream) {
        raise_named("OSError", "stream operation not supported");
    }
    return &stream_protocol;
}

static void unexpected(void) {
    die("loader: the module calls what it should not");
}

#define MISSING ((void *)unexpected)

__attribute__((visibility("default"))) const mp_fun_table_t mp_fun_table = {
    .const_none = &const_none,
    .const_false = &const_false,
    .const_true = &const_true,
    .native_from_obj = native_from_obj,
    .native_to_obj = native_to_obj,
    .swap_globals = swap_globals,
    .load_global = load_global,
    .load_attr = load_attr,
    .store_global = store_global,
    .obj_subscr = obj_subscr,
    .obj_is_true = obj_is_true,
    .unary_op = unary_op,
    .binary_op = binary_op,
    .new_tuple = new_tuple,
    .new_dict = new_dict,
    .dict_store = dict_store,
    .call_function_n_kw = call,
    .getiter = getiter,
    .iternext = iternext,
    .nlr_push = nlr_push,
    .nlr_pop = nlr_pop,
    .raise = raise,
    .import_name = import_name,
    .setjmp_ = set_jump,
    .memset_ = memset,
    .memmove_ = memmove,
    .realloc_ = realloc_,
    .raise_msg = raise_msg,
    .obj_get_type = obj_get_type,
    .obj_new_str = obj_new_str,
    .obj_new_bytes = obj_new_bytes,
    .obj_new_bytearray_by_ref = obj_new_bytearray_by_ref,
    .get_buffer = get_buffer,
    .get_stream_raise = get_stream_raise,
    .type_type = &type_type,
    .type_str = &type_str,
    .type_list = &type_list,
    .type_dict = &type_dict,
    .type_fun_builtin_0 = &type_fun_0,
    .type_fun_builtin_1 = &type_fun_1,
    .type_fun_builtin_2 = &type_fun_2,
    .type_fun_builtin_3 = &type_fun_3,
    .type_fun_builtin_var = &type_fun_var,
    .printf_ = MISSING,
};

// -- the loader

static size_t file_number(const uint8_t **file) {
    size_t number = 0;
    for (;;) {
        uint8_t byte = *(*file)++;
        number = number << 7 | (byte & 0x7f);
        if (!(byte & 0x80)) {
            return number;
        }
    }
}

// As mp_native_relocate does.
static void relocate(const uint8_t *file, size_t text_size, size_t rodata_size) {
    size_t *at = 0, *end = 0;
    uint8_t op;
    while ((op = *file++) != 0xff) {
        if (op & 1) {
            size_t place = file_number(&file);
            uint8_t *block = place & 1 ? RODATA : TEXT;
            at = (size_t *)block + (place >> 1);
            end = (size_t *)(block + (place & 1 ? rodata_size : text_size));
        }
        op >>= 1;
        size_t added, count = 1;
        if (op <= 5) {
            if (op & 1) {
                count = file_number(&file);
            }
            if (op >> 1 == 2) {
                die("loader: a relocation to bss");
            }
            added = (size_t)(op >> 1 ? RODATA : TEXT);
        } else if (op == 6) {
            added = (size_t)STATE->context.constants.qstr_table;
        } else if (op == 8) {
            added = (size_t)&mp_fun_table;
        } else if (op == 7) {
            added = (size_t)STATE->context.constants.obj_table;
        } else {
            added = ((const size_t *)&mp_fun_table)[op - 9];
        }
        while (count--) {
            if (at >= end) {
                die("loader: a relocation out of its block");
            }
            *at++ += added;
        }
    }
}

// Loads a file and runs its entry; the module's globals are in the context.
static mp_obj_t load(const uint8_t *file, size_t size) {
    const uint8_t *end = file + size;
    if (file[0] != 'M' || file[1] != MPY_VERSION || file[2] != (10 << 2 | MPY_SUB_VERSION) || file[3] > 31) {
        raise_named("ValueError", "incompatible .mpy file");
    }
    file += 4;
    size_t names = file_number(&file);
    size_t object_count = file_number(&file);
    qstr_short_t *table = allocate(names * sizeof(qstr_short_t));
    for (size_t i = 0; i < names; ++i) {
        size_t length = file_number(&file);
        if (length & 1) {
            die("loader: a name that is built in");
        }
        table[i] = intern((const char *)file, length >> 1);
        file += (length >> 1) + 1;
    }
    mp_obj_t *objects = allocate(object_count * sizeof(mp_obj_t));
    for (size_t i = 0; i < object_count; ++i) {
        // The number of bytes in py/persistentcode.h.
        if (*file++ != 6) {
            die("loader: a constant object that is not bytes");
        }
        size_t length = file_number(&file);
        objects[i] = new_text(&type_bytes, file, length);
        file += length + 1;
    }
    size_t head = file_number(&file);
    size_t text_size = head >> 3;
    // Machine code with an entry at its start, and no children.
    if ((head & 7) != 2 || text_size > REGION) {
        die("loader: the file has no machine code");
    }
    memmove(TEXT, file, text_size);
    file += text_size;
    size_t flags = file_number(&file);
    if (flags != 0x30) {
        die("loader: the file has not both relocations and constants");
    }
    size_t rodata_size = file_number(&file);
    if (rodata_size > REGION) {
        die("loader: too many constants");
    }
    memmove(RODATA, file, rodata_size);
    file += rodata_size;
    STATE->context.module.base.type = &type_module;
    STATE->context.module.globals = new_dict(0);
    STATE->context.constants.qstr_table = table;
    STATE->context.constants.obj_table = objects;
    relocate(file, text_size, rodata_size);
    if (end[-1] != 0xff) {
        die("loader: the file does not end in its relocations");
    }
    // Code is not written any more, and constants are not executed.
    if (system_call(SYS_MPROTECT, (long)TEXT, REGION, PROT_READ | PROT_EXEC) || system_call(SYS_MPROTECT, (long)RODATA, REGION, PROT_READ)) {
        die("loader: mprotect failed");
    }
    STATE->function.context = &STATE->context;
    typedef mp_obj_t (*entry_t)(mp_obj_fun_bc_t *function, size_t n_args, size_t n_kw, const mp_obj_t *args);
    return ((entry_t)TEXT)(&STATE->function, 0, 0, 0);
}

// -- the commands

static mp_obj_t new_stream(void) {
    stream_t *made = new_object(&type_stream, sizeof(stream_t));
    memset(&made->input, 0, sizeof(stream_t) - sizeof(mp_obj_base_t));
    made->input = allocate(STREAM_BUFFER);
    made->output = allocate(STREAM_BUFFER);
    made->room = STREAM_BUFFER;
    return made;
}

static void describe(mp_obj_t obj) {
    type_t type = type_of(obj);
    if (obj == NONE) {
        put("n", 1);
    } else if (type == &type_bool) {
        put(obj == &const_true ? "t" : "f", 1);
    } else if (type == &type_int) {
        int64 value = int_value(obj);
        put("i", 1);
        put(&value, 8);
    } else if (is_text(obj)) {
        put(type == &type_str ? "s" : "b", 1);
        put_bytes(((text_t *)obj)->bytes, ((text_t *)obj)->length);
    } else if (type == &type_tuple) {
        tuple_t *tuple = obj;
        put("(", 1);
        put_word(tuple->length);
        for (size_t i = 0; i < tuple->length; ++i) {
            describe(tuple->items[i]);
        }
    } else {
        put("o", 1);
        put_word((uint32_t)obj);
    }
}

static mp_obj_t execute(uint8_t command) {
    size_t count;
    uint8_t *bytes;
    stream_t *stream;
    mp_obj_t obj, args[16];
    switch (command) {
        case 'I':
            bytes = get_bytes(&count);
            return load(bytes, count);
        case 'g': {
            bytes = get_bytes(&count);
            mp_obj_t *found = dict_find(STATE->context.module.globals, (const char *)bytes);
            return found ? *found : NONE;
        }
        case 'N':
            return NONE;
        case 'Y':
            return (mp_obj_t)&const_true;
        case 'S':
            bytes = get_bytes(&count);
            return new_text(&type_str, bytes, count);
        case 'B':
            bytes = get_bytes(&count);
            return new_text(&type_bytes, bytes, count);
        case 'A':
            bytes = get_bytes(&count);
            return new_text(&type_bytearray, bytes, count);
        case 'i': {
            int64 value;
            get(&value, 8);
            return new_int(value);
        }
        case 'T': {
            count = get_word();
            tuple_t *made = new_object(&type_tuple, sizeof(tuple_t) + count * sizeof(mp_obj_t));
            made->length = count;
            get(made->items, count * sizeof(mp_obj_t));
            return made;
        }
        case 'a':
            obj = (mp_obj_t)get_word();
            bytes = get_bytes(&count);
            return load_attr(obj, intern((const char *)bytes, count));
        case 'w':
            obj = (mp_obj_t)get_word();
            bytes = get_bytes(&count);
            store_attr(obj, intern((const char *)bytes, count), (mp_obj_t)get_word());
            return NONE;
        case 'c':
            obj = (mp_obj_t)get_word();
            count = get_word();
            get(args, count * sizeof(mp_obj_t));
            return call(obj, count, args);
        case 'F':
            return new_stream();
        case 'p':
            stream = (stream_t *)get_word();
            bytes = get_bytes(&count);
            if (stream->end + count > STREAM_BUFFER) {
                die("loader: a stream is full");
            }
            memmove(stream->input + stream->end, bytes, count);
            stream->end += count;
            return NONE;
        case 'l':
            stream = (stream_t *)get_word();
            stream->eof = get_word();
            stream->chunk = get_word();
            stream->block = get_word();
            stream->error = get_word();
            stream->room = get_word();
            if (stream->room > STREAM_BUFFER) {
                stream->room = STREAM_BUFFER;
            }
            return NONE;
        case 'u':
            stream = (stream_t *)get_word();
            return new_int(stream->end - stream->at);
        case 'o':
            stream = (stream_t *)get_word();
            obj = new_text(&type_bytes, stream->output, stream->written);
            stream->written = 0;
            return obj;
    }
    die("loader: no such command");
}

void loader_main(void) {
    STATE->heap = (uint8_t *)(STATE + 1) + 15 - ((size_t)(STATE + 1) + 15) % 16;
    for (;;) {
        uint8_t command;
        get(&command, 1);
        handler_t handler;
        nlr_push(&handler.head);
        if (set_jump(handler.registers) == 0) {
            mp_obj_t value = execute(command);
            nlr_pop();
            put("R", 1);
            put_word((uint32_t)value);
            describe(value);
        } else {
            exception_t *raised = ((volatile handler_t *)&handler)->head.ret_val;
            class_t *class = raised->class;
            put("X", 1);
            put_bytes(class->name, length_of(class->name));
            describe(raised->argument);
        }
    }
}

static const mp_obj_type_t type_type = {{&type_type}, 0, 1}, type_none = {{&type_type}, 0, 2}, type_bool = {{&type_type}, 0, 3},
                           type_int = {{&type_type}, 0, 4}, type_str = {{&type_type}, 0, 5}, type_bytes = {{&type_type}, 0, 6},
                           type_bytearray = {{&type_type}, 0, 7}, type_tuple = {{&type_type}, 0, 8}, type_dict = {{&type_type}, 0, 9},
                           type_module = {{&type_type}, 0, 10}, type_class = {{&type_type}, 0, 11}, type_exception = {{&type_type}, 0, 12},
                           type_bound = {{&type_type}, 0, 13}, type_iterator = {{&type_type}, 0, 14}, type_stream = {{&type_type}, 0, 15},
                           type_host = {{&type_type}, 0, 16}, type_fun_0 = {{&type_type}, 0, 17}, type_fun_1 = {{&type_type}, 0, 18},
                           type_fun_2 = {{&type_type}, 0, 19}, type_fun_3 = {{&type_type}, 0, 20}, type_fun_var = {{&type_type}, 0, 21},
                           type_list = {{&type_type}, 0, 22};
