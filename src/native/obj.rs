//! MicroPython objects: a word that the runtime gave, and the few things that are done with it. Whatever raises a Python exception leaves by a long
//! jump, so no value with a destructor may be alive across these calls; nothing in this crate has one.

use super::ffi;
use super::qstr::Qstr;
use core::ffi::CStr;

/// A Python object: a pointer, or a small integer with the lowest bit set (object representation A).
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct Obj(*mut cty::c_void);

/// `ENOMEM`.
pub const NO_MEMORY: u32 = 12;

/// How many value bits fit a small integer.
const SMALL_BITS: u32 = usize::BITS - 1;

impl Obj {
    /// No object: `MP_OBJ_NULL`, and the end of an iteration.
    pub const NULL: Obj = Obj(core::ptr::null_mut());
    /// `MP_OBJ_SENTINEL`.
    pub const SENTINEL: Obj = Obj(core::ptr::without_provenance_mut(4));

    /// The word.
    pub fn raw(self) -> ffi::mp_obj_t {
        self.0.cast()
    }

    fn from_raw(raw: ffi::mp_obj_t) -> Obj {
        Obj(raw.cast())
    }

    /// The object that lies at `pointer`.
    pub fn from_ptr<T>(pointer: *mut T) -> Obj {
        Obj(pointer.cast())
    }

    /// Where the object lies; sense only for objects of this module's types.
    pub fn as_ptr<T>(self) -> *mut T {
        self.0.cast()
    }

    /// Whether this is no object.
    pub fn is_null(self) -> bool {
        self.0.is_null()
    }

    /// Whether this is `None`.
    pub fn is_none(self) -> bool {
        self == none()
    }

    /// Whether this is a small integer.
    pub fn is_int(self) -> bool {
        self.0.addr() & 1 != 0
    }

    /// Python's truth of the object.
    pub fn is_true(self) -> bool {
        // SAFETY: any object may be asked.
        unsafe { ffi::table().obj_is_true.unwrap_unchecked()(self.raw()) }
    }

    /// Whether this is just that built-in exception.
    #[inline(never)]
    pub fn is_exception(self, name: Qstr) -> bool {
        let table = ffi::table();
        // SAFETY: the name is a built-in one.
        let wanted = unsafe { table.load_global.unwrap_unchecked()(name.value()) };
        core::ptr::eq(self.type_of(), wanted.cast())
    }

    /// The object's type.
    pub fn type_of(self) -> *const ffi::mp_obj_type_t {
        // SAFETY: any object has one.
        unsafe { ffi::table().obj_get_type.unwrap_unchecked()(self.raw()) }
    }

    /// Whether this is a str.
    pub fn is_str(self) -> bool {
        self.type_of() == ffi::table().type_str
    }

    /// `True` or `False`.
    #[inline(never)]
    pub fn from_bool(value: bool) -> Obj {
        let table = ffi::table();
        Obj(if value { table.const_true } else { table.const_false }.cast_mut().cast())
    }

    /// An integer that is small on every board.
    pub fn from_u32(value: u32) -> Obj {
        Obj::from_u64(value.into())
    }

    /// An integer.
    pub fn from_u64(value: u64) -> Obj {
        match usize::try_from(value) {
            Ok(value) if value >> (SMALL_BITS - 1) == 0 => Obj(core::ptr::without_provenance_mut(value << 1 | 1)),
            Ok(value) => {
                // SAFETY: makes an int object of a machine word.
                unsafe {
                    Obj::from_raw(ffi::table().native_to_obj.unwrap_unchecked()(
                        value as _,
                        ffi::MP_NATIVE_TYPE_UINT as _,
                    ))
                }
            }
            Err(_) => {
                let high = Obj::from_u64(value >> 32);
                let low = Obj::from_u64(value & 0xffff_ffff);
                let shifted = binary(ffi::MP_BINARY_OP_LSHIFT, high, Obj::from_u32(32));
                binary(ffi::MP_BINARY_OP_OR, shifted, low)
            }
        }
    }

    /// The lower 64 bits of an integer. Raises TypeError when it is none.
    pub fn to_u64(self) -> u64 {
        // SAFETY: raises when the object is no integer.
        let low = unsafe { ffi::table().native_from_obj.unwrap_unchecked()(self.raw(), ffi::MP_NATIVE_TYPE_UINT as _) };
        if self.is_int() {
            return low as isize as u64;
        }
        #[cfg(target_pointer_width = "32")]
        {
            let high = binary(ffi::MP_BINARY_OP_RSHIFT, self, Obj::from_u32(32));
            // SAFETY: the shift of an integer is one.
            let high =
                unsafe { ffi::table().native_from_obj.unwrap_unchecked()(high.raw(), ffi::MP_NATIVE_TYPE_UINT as _) };
            return (high as u64) << 32 | low as u64;
        }
        #[cfg(not(target_pointer_width = "32"))]
        return low;
    }

    /// The bytes of a str, a bytes or another object with a buffer; `None` of any other. They live as long as the object and are not
    /// to be kept across a call that may change it.
    pub fn bytes<'a>(self) -> Option<&'a [u8]> {
        self.buffer(ffi::MP_BUFFER_READ).map(|(start, length)| {
            // SAFETY: the runtime says that these bytes can be read; a null pointer only comes with length 0.
            unsafe { slice(start, length) }
        })
    }

    /// The bytes of a bytearray, to write to.
    pub fn bytes_mut<'a>(self) -> Option<&'a mut [u8]> {
        let (start, length) = self.buffer(ffi::MP_BUFFER_WRITE)?;
        if length == 0 {
            return None;
        }
        // SAFETY: the runtime says that these bytes can be written, and the shim gives a buffer to one transfer at a time.
        Some(unsafe { core::slice::from_raw_parts_mut(start, length) })
    }

    fn buffer(self, flags: u32) -> Option<(*mut u8, usize)> {
        if self.is_int() {
            return None;
        }
        let mut info = ffi::mp_buffer_info_t { buf: core::ptr::null_mut(), len: 0, typecode: 0 };
        // SAFETY: without MP_BUFFER_RAISE_IF_UNSUPPORTED the call only answers.
        let found = unsafe { ffi::table().get_buffer.unwrap_unchecked()(self.raw(), &mut info, flags as _) };
        found.then_some((info.buf.cast(), info.len as usize))
    }

    /// `self[index]`.
    pub fn item(self, index: u32) -> Obj {
        // SAFETY: raises when there is no such item; SENTINEL asks to load.
        unsafe {
            Obj::from_raw(ffi::table().obj_subscr.unwrap_unchecked()(
                self.raw(),
                Obj::from_u32(index).raw(),
                Obj::SENTINEL.raw(),
            ))
        }
    }

    /// `self.name`.
    pub fn attr(self, name: Qstr) -> Obj {
        // SAFETY: raises AttributeError when there is none.
        unsafe { Obj::from_raw(ffi::table().load_attr.unwrap_unchecked()(self.raw(), name.value())) }
    }
}

/// # Safety
/// `length` bytes can be read at `start`, or `length` is 0.
unsafe fn slice<'a>(start: *const u8, length: usize) -> &'a [u8] {
    if length == 0 {
        return &[];
    }
    // SAFETY: the caller's promise.
    unsafe { core::slice::from_raw_parts(start, length) }
}

/// `None`.
pub fn none() -> Obj {
    Obj(ffi::table().const_none.cast_mut().cast())
}

fn binary(operator: u32, left: Obj, right: Obj) -> Obj {
    // SAFETY: raises when the objects do not allow it.
    unsafe { Obj::from_raw(ffi::table().binary_op.unwrap_unchecked()(operator as _, left.raw(), right.raw())) }
}

/// `left + right`.
pub fn add(left: Obj, right: Obj) -> Obj {
    binary(ffi::MP_BINARY_OP_ADD, left, right)
}

/// A new bytes object.
pub fn new_bytes(bytes: &[u8]) -> Obj {
    // SAFETY: copies that many bytes; raises MemoryError.
    unsafe { Obj::from_raw(ffi::table().obj_new_bytes.unwrap_unchecked()(bytes.as_ptr(), bytes.len() as _)) }
}

/// A new str. The bytes must be UTF-8; else it raises UnicodeError.
pub fn new_str(bytes: &[u8]) -> Obj {
    // SAFETY: copies that many bytes; raises MemoryError.
    unsafe { Obj::from_raw(ffi::table().obj_new_str.unwrap_unchecked()(bytes.as_ptr().cast(), bytes.len() as _)) }
}

/// A new str, or a new bytes object where the bytes are not UTF-8: file systems take both.
pub fn new_text(bytes: &[u8]) -> Obj {
    if is_utf8(bytes) { new_str(bytes) } else { new_bytes(bytes) }
}

/// The text of two pieces.
pub fn new_text_joined(first: &[u8], second: &[u8]) -> Obj {
    if is_utf8(first) && is_utf8(second) {
        add(new_str(first), new_str(second))
    } else {
        add(new_bytes(first), new_bytes(second))
    }
}

/// The bytes of two pieces.
pub fn new_bytes_joined(first: &[u8], second: &[u8]) -> Obj {
    add(new_bytes(first), new_bytes(second))
}

/// Whether a str may hold these bytes: MicroPython's own rule, which checks the shape of the sequences and not their values.
pub fn is_utf8(bytes: &[u8]) -> bool {
    let mut following = 0u32;
    for &byte in bytes {
        if following > 0 {
            if byte & 0xc0 != 0x80 {
                return false;
            }
            following -= 1;
        } else if byte >= 0x80 {
            following = match byte {
                0xc0..=0xdf => 1,
                0xe0..=0xef => 2,
                0xf0..=0xf7 => 3,
                _ => return false,
            };
        }
    }
    following == 0
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

/// A new tuple.
pub fn new_tuple(items: &[Obj]) -> Obj {
    // SAFETY: copies the items; an `Obj` is the same word as an `mp_obj_t`.
    unsafe { Obj::from_raw(ffi::table().new_tuple.unwrap_unchecked()(items.len() as _, items.as_ptr().cast())) }
}

/// An iterator over the object.
pub fn iterator(of: Obj) -> Obj {
    // SAFETY: raises TypeError when there is none. Without room for it the runtime makes the iterator on the heap and returns it.
    unsafe { Obj::from_raw(ffi::table().getiter.unwrap_unchecked()(of.raw(), core::ptr::null_mut())) }
}

/// The next item, `None` at the end, or the exception that was raised.
pub fn next(iterator: Obj) -> Result<Option<Obj>, Obj> {
    let found = attempt(|| {
        let mut buffer = ffi::mp_obj_iter_buf_t {
            // A null type says that the iterator is a heap object, in the first word.
            base: ffi::mp_obj_base_t { type_: core::ptr::null() },
            buf: [iterator.raw(), Obj::NULL.raw(), Obj::NULL.raw()],
        };
        // SAFETY: `iterator` is one.
        unsafe { Obj::from_raw(ffi::table().iternext.unwrap_unchecked()(&mut buffer)) }
    })?;
    Ok(Some(found).filter(|item| !item.is_null()))
}

/// `sequence[index]`, or the exception that was raised.
pub fn try_item(sequence: Obj, index: u32) -> Result<Obj, Obj> {
    attempt(|| sequence.item(index))
}

/// `function()`. Raises what the function raises.
pub fn call_0(function: Obj) -> Obj {
    // SAFETY: no argument follows.
    unsafe { Obj::from_raw(ffi::table().call_function_n_kw.unwrap_unchecked()(function.raw(), 0, core::ptr::null())) }
}

/// `function(argument)`. Raises what the function raises.
pub fn call_1(function: Obj, argument: Obj) -> Obj {
    let argument = argument.raw();
    // SAFETY: one positional argument follows.
    unsafe { Obj::from_raw(ffi::table().call_function_n_kw.unwrap_unchecked()(function.raw(), 1, &argument)) }
}

/// What `make` gives, or the exception that it raised. Raising leaves `make` by a long jump: nothing in it may have a destructor.
pub fn attempt<F: FnMut() -> Obj>(make: F) -> Result<Obj, Obj> {
    extern "C" fn call<F: FnMut() -> Obj>(context: *mut cty::c_void) {
        // SAFETY: `attempt` passes its own pair, which lives on its frame.
        let (make, result) = unsafe { &mut *context.cast::<(F, Obj)>() };
        *result = make();
    }
    let mut context = (make, Obj::NULL);
    protect(call::<F>, (&raw mut context).cast())?;
    Ok(context.1)
}

/// Runs `call(context)`; gives the exception that it raised, if it did. Ctrl-C is for the program, and goes on.
#[inline(never)]
fn protect(call: extern "C" fn(*mut cty::c_void), context: *mut cty::c_void) -> Result<(), Obj> {
    match catch(call, context) {
        Err(raised) if raised.is_exception(Qstr::KeyboardInterrupt) => raise_again(raised),
        result => result,
    }
}

/// Runs `call(context)`; gives the exception that it raised, whichever it is.
pub fn catch(call: extern "C" fn(*mut cty::c_void), context: *mut cty::c_void) -> Result<(), Obj> {
    // SAFETY: the glue calls `call` once, with `context`, which lives on the caller's frame.
    let raised = Obj(unsafe { ffi::ftpdlite_try(Some(call), context) });
    if raised.is_null() { Ok(()) } else { Err(raised) }
}

/// Raises an exception that was caught.
pub fn raise_again(exception: Obj) -> ! {
    // SAFETY: it is an exception; the call leaves by a long jump.
    unsafe { ffi::table().raise.unwrap_unchecked()(exception.raw()) };
    wait()
}

/// What follows a call that does not return.
fn wait() -> ! {
    loop {
        core::hint::spin_loop();
    }
}

/// The `errno` of an exception that stands for one: that of an OSError, which has none when there was no memory for it, or that of a MemoryError. Any other
/// exception goes on.
#[inline(never)]
pub fn errno(raised: Obj) -> u32 {
    if raised.is_exception(Qstr::OSError) {
        let errno = raised.attr(Qstr::errno);
        if errno.is_int() {
            return errno.to_u64() as u32;
        }
    } else if !raised.is_exception(Qstr::MemoryError) {
        raise_again(raised);
    }
    NO_MEMORY
}

/// `import name`.
pub fn import(name: Qstr) -> Obj {
    // SAFETY: raises ImportError when there is none.
    unsafe {
        Obj::from_raw(ffi::table().import_name.unwrap_unchecked()(name.value(), none().raw(), Obj::from_u32(0).raw()))
    }
}

/// The stream functions of an object. Raises OSError when it lacks those that `operations` names.
#[inline(never)]
pub fn stream_table(stream: Obj, operations: u32) -> *const ffi::mp_stream_p_t {
    // SAFETY: any object may be asked.
    unsafe { ffi::table().get_stream_raise.unwrap_unchecked()(stream.raw(), operations as _) }
}

/// `size` bytes of the GC's heap, aligned for any object. Raises MemoryError.
pub fn allocate(size: usize) -> *mut u8 {
    // SAFETY: with no former block this is an allocation.
    let memory = unsafe { ffi::table().realloc_.unwrap_unchecked()(core::ptr::null_mut(), size as _, false) };
    if memory.is_null() {
        raise(Qstr::MemoryError, c"ftpdlite: out of memory");
    }
    memory.cast()
}

/// Raises a built-in exception with a message.
pub fn raise(exception: Qstr, message: &CStr) -> ! {
    let table = ffi::table();
    // SAFETY: the name is a built-in exception's, and the message lives for ever; the call leaves by a long jump.
    unsafe {
        let exception = table.load_global.unwrap_unchecked()(exception.value());
        table.raise_msg.unwrap_unchecked()(exception.cast(), message.as_ptr().cast());
    }
    wait()
}

/// Raises `OSError(errno)`.
pub fn raise_os_error(errno: u32) -> ! {
    let table = ffi::table();
    let argument = Obj::from_u32(errno).raw();
    // SAFETY: OSError is a built-in exception and takes one argument; the call leaves by a long jump.
    unsafe {
        let exception = table.load_global.unwrap_unchecked()(Qstr::OSError.value());
        let instance = table.call_function_n_kw.unwrap_unchecked()(exception, 1, &argument);
        raise_again(Obj::from_raw(instance))
    }
}

/// Raises TypeError unless there are `wanted` positional arguments and no others.
pub fn check_arguments(n_args: usize, n_kw: usize, wanted: usize) {
    if n_args != wanted || n_kw != 0 {
        raise(Qstr::TypeError, c"ftpdlite: wrong number of arguments");
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
        (&raw mut (*memory).fun).cast::<*const ()>().write(function.code as *const ());
    }
    Obj::from_ptr(memory)
}

/// `make_new` of a type.
pub type MakeNew = unsafe extern "C" fn(*const ffi::mp_obj_type_t, usize, usize, *const Obj) -> Obj;
/// `attr` of a type.
pub type Attr = unsafe extern "C" fn(Obj, ffi::qstr, *mut Obj);

/// A type on the GC's heap, as long as something reachable points at it.
#[repr(C)]
struct TypeMemory {
    head: ffi::mp_obj_type_t,
    slots: [*const (); 3],
}

/// Makes a type, with attributes if there are any that are no methods.
pub fn new_type(name: Qstr, make_new: MakeNew, attr: Option<Attr>, methods: &[Function]) -> Obj {
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
        (*memory).slots[0] = make_new as *const ();
        (*memory).slots[1] = dict.cast_const().cast();
        if let Some(attr) = attr {
            head.slot_index_attr = 3;
            (*memory).slots[2] = attr as *const ();
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
