//! What the module makes of the GC's memory: blocks, and at its import types and functions.

use super::exceptions::raise;
use super::ffi;
use super::obj::Obj;
use super::qstr::Qstr;

/// `size` bytes of the GC's heap, aligned for any object. Raises MemoryError.
pub fn allocate(size: usize) -> *mut u8 {
    // SAFETY: with no former block this is an allocation.
    let memory = unsafe { ffi::table().realloc_.unwrap_unchecked()(core::ptr::null_mut(), size as _, false) };
    if memory.is_null() {
        raise(Qstr::MemoryError, c"ftpdlite: out of memory");
    }
    memory.cast()
}

/// A new bytearray of one word, which is zero: a place for a pointer that the GC follows.
pub fn new_word() -> Obj {
    let memory = allocate(size_of::<usize>());
    // SAFETY: a fresh block of that size, which is the bytearray's from here on.
    unsafe {
        memory.cast::<usize>().write(0);
        let new = ffi::table().obj_new_bytearray_by_ref.unwrap_unchecked();
        Obj::from_raw(new(size_of::<usize>() as _, memory.cast()))
    }
}

/// A function of the module, or a method.
#[repr(C)]
pub struct Function {
    /// Called with the number of arguments, and where they are.
    pub code: unsafe extern "C" fn(usize, *const Obj) -> Obj,
    /// Its name.
    pub name: Qstr,
    /// How many arguments it takes, `self` included.
    pub count: u16,
}

/// A function object of exactly `count` positional arguments.
#[inline(never)]
fn new_function(function: &Function) -> Obj {
    let memory = allocate(size_of::<ffi::mp_obj_fun_builtin_var_t>()).cast::<ffi::mp_obj_fun_builtin_var_t>();
    let count = u32::from(function.count);
    // SAFETY: a fresh block of that size. The signature holds the least and the most arguments (py/obj.h, MP_OBJ_FUN_MAKE_SIG).
    unsafe {
        (&raw mut (*memory).base).write(ffi::mp_obj_base_t { type_: ffi::table().type_fun_builtin_var });
        (&raw mut (*memory).sig).write(count << 17 | count << 1);
        let code = ffi::entry(ffi::held(&*(&raw const function.code).cast()));
        (&raw mut (*memory).fun).cast::<*const ()>().write(code);
    }
    Obj::from_ptr(memory)
}

/// `make_new` of a type.
pub type MakeNew = unsafe extern "C" fn(*const ffi::mp_obj_type_t, usize, usize, *const Obj) -> Obj;
/// `attr` of a type.
pub type Attr = unsafe extern "C" fn(Obj, ffi::qstr, *mut Obj);

/// `ioctl` of a type that is a stream.
pub type Ioctl = unsafe extern "C" fn(ffi::mp_obj_t, ffi::mp_uint_t, usize, *mut cty::c_int) -> ffi::mp_uint_t;

/// A type on the GC's heap, as long as something reachable points at it.
#[repr(C)]
struct TypeMemory {
    head: ffi::mp_obj_type_t,
    slots: [*const (); 4],
    stream: ffi::mp_stream_p_t,
}

/// Makes a type. `special` are its attributes that are no methods, and what it does as a stream.
pub fn new_type(name: Qstr, make_new: MakeNew, special: Option<(Attr, Ioctl)>, methods: &[Function]) -> Obj {
    let table = ffi::table();
    let memory = allocate(size_of::<TypeMemory>()).cast::<TypeMemory>();
    // SAFETY: a fresh block of that size; all its fields are numbers or pointers, for which zero is a value. A slot number of 0 says that the slot is empty.
    // `methods` becomes a dict; a key is a str made of a qstr.
    unsafe {
        memory.write_bytes(0, 1);
        let dict = table.new_dict.unwrap_unchecked()(methods.len() as _);
        for method in methods {
            let key = table.native_to_obj.unwrap_unchecked()(method.name.value() as _, ffi::MP_NATIVE_TYPE_QSTR as _);
            table.dict_store.unwrap_unchecked()(dict, key, new_function(method).raw());
        }
        let head = &mut (*memory).head;
        head.base.type_ = table.type_type;
        head.name = name.value() as _;
        head.slot_index_make_new = 1;
        head.slot_index_locals_dict = 2;
        (*memory).slots[0] = ffi::entry(make_new as *const ());
        (*memory).slots[1] = dict.cast_const().cast();
        if let Some((attr, ioctl)) = special {
            head.slot_index_attr = 3;
            (*memory).slots[2] = ffi::entry(attr as *const ());
            head.slot_index_protocol = 4;
            (&raw mut (*memory).stream.ioctl).cast::<*const ()>().write(ffi::entry(ioctl as *const ()));
            (*memory).slots[3] = (&raw const (*memory).stream).cast();
        }
    }
    Obj::from_ptr(memory)
}

/// Puts functions into the module that is being imported.
pub fn store_functions(functions: &[Function]) {
    for function in functions {
        store_global(function.name, new_function(function));
    }
}

/// Puts an object under a name into the module that is being imported.
pub fn store_global(name: Qstr, value: Obj) {
    // SAFETY: between the swaps of globals in `mpy_init`.
    unsafe { ffi::table().store_global.unwrap_unchecked()(name.value(), value.raw()) }
}
