//! Catches exceptions, finds their numbers, and raises them.

use super::ffi;
use super::obj::{self, Obj};
use super::qstr::Qstr;
use core::ffi::CStr;

/// `ENOMEM`.
pub const NO_MEMORY: u32 = 12;

/// What `make` gives, or the exception that it raised. An exception leaves `make` by a long jump, so nothing in it may have a destructor.
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

/// Runs `call(context)`, and gives the exception if there was one. Ctrl-C is for the program, so it is raised again.
#[inline(never)]
fn protect(call: extern "C" fn(*mut cty::c_void), context: *mut cty::c_void) -> Result<(), Obj> {
    match catch(call, context) {
        Err(raised) if raised.is_exception(Qstr::KeyboardInterrupt) => raise_again(raised),
        result => result,
    }
}

/// Runs `call(context)`, and gives the exception if there was one, whichever it is.
pub fn catch(call: extern "C" fn(*mut cty::c_void), context: *mut cty::c_void) -> Result<(), Obj> {
    // SAFETY: the glue calls `call` once, with `context`, which lives on the caller's frame.
    let raised = Obj::from_raw(unsafe { ffi::ftpdlite_try(Some(call), context) });
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

/// The `errno` of an OSError or of a MemoryError. An OSError has no number when there was no memory for it; it counts as ENOMEM. Any other
/// exception is raised again.
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

/// A new bytes object, or the exception that was raised.
#[inline(never)]
pub fn try_bytes(bytes: &[u8]) -> Result<Obj, Obj> {
    attempt(|| obj::new_bytes(bytes))
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
