//! MicroPython objects: a word that the runtime gave, and the few things that are done with it. A call that raises a Python exception leaves by a long
//! jump, so no value with a destructor may be alive across it. Nothing in this crate has a destructor.

use super::ffi;
use super::qstr::Qstr;

/// A Python object: a pointer, or a small integer with the lowest bit set (object representation A).
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct Obj(*mut cty::c_void);

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

    /// The object of a word.
    pub fn from_raw(raw: ffi::mp_obj_t) -> Obj {
        Obj(raw.cast())
    }

    /// The object that lies at `pointer`.
    pub fn from_ptr<T>(pointer: *mut T) -> Obj {
        Obj(pointer.cast())
    }

    /// Where the object lies. This makes sense only for objects of this module's types.
    pub fn as_ptr<T>(self) -> *mut T {
        self.0.cast()
    }

    /// Whether there is no object.
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
        if self.is_int() || self.is_null() {
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

    /// `len(self)`. Raises TypeError when it has none.
    pub fn length(self) -> u64 {
        // SAFETY: raises when the object has no length.
        let length = unsafe { ffi::table().unary_op.unwrap_unchecked()(ffi::MP_UNARY_OP_LEN as _, self.raw()) };
        Obj::from_raw(length).to_u64()
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

/// A new str. The bytes must be UTF-8. It is never one of the runtime's names, not even when it reads like one: to look for it among them costs more than to
/// make it, and that makes no difference to Python.
pub fn new_str(bytes: &[u8]) -> Obj {
    str_of(new_bytes(bytes))
}

/// Makes a str of a bytes object that nobody else has yet; what is in it must be UTF-8.
fn str_of(bytes: Obj) -> Obj {
    // SAFETY: both types are the same structure (py/objstr.h), with a hash made the same way; only the word for the type tells them apart. The object was
    // made a moment ago, on the heap.
    unsafe { (*bytes.as_ptr::<ffi::mp_obj_base_t>()).type_ = ffi::table().type_str };
    bytes
}

/// A new str, or a new bytes object where the bytes are not UTF-8: file systems take both.
pub fn new_text(bytes: &[u8]) -> Obj {
    if is_utf8(bytes) { new_str(bytes) } else { new_bytes(bytes) }
}

/// The text of two pieces.
pub fn new_text_joined(first: &[u8], second: &[u8]) -> Obj {
    let joined = new_bytes_joined(first, second);
    if is_utf8(first) && is_utf8(second) { str_of(joined) } else { joined }
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

/// `function(first, second)`. Raises what the function raises.
pub fn call_2(function: Obj, arguments: &[Obj; 2]) -> Obj {
    // SAFETY: two positional arguments follow.
    unsafe {
        let call = ffi::table().call_function_n_kw.unwrap_unchecked();
        Obj::from_raw(call(function.raw(), 2, arguments.as_ptr().cast()))
    }
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
