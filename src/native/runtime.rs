//! What the compiler expects of a program: memory functions and a panic handler. The functions come from the runtime's table. A panic becomes
//! a Python exception.

use super::exceptions::raise;
use super::ffi;
use super::qstr::Qstr;

/// A panic is a fault of this module. It leaves as RuntimeError, and the shim drops the session.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    raise(Qstr::RuntimeError, c"ftpdlite: internal error, please report it")
}

// Everything below calls these two through the table. The compiler could turn a call by a name that it knows into a call of the function that
// it is in.

/// # Safety
/// As memmove in C.
#[inline(always)]
unsafe fn copy(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
    // SAFETY: the caller's promise.
    unsafe { ffi::table().memmove_.unwrap_unchecked()(to.cast(), from.cast(), count as _).cast() }
}

/// # Safety
/// As memset in C.
#[inline(always)]
unsafe fn fill(to: *mut u8, byte: i32, count: usize) -> *mut u8 {
    // SAFETY: the caller's promise.
    unsafe { ffi::table().memset_.unwrap_unchecked()(to.cast(), byte, count as _).cast() }
}

/// # Safety
/// As in C.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
    // SAFETY: the caller's promise.
    unsafe { copy(to, from, count) }
}

/// # Safety
/// As in C.
#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
    // SAFETY: the caller's promise.
    unsafe { copy(to, from, count) }
}

/// # Safety
/// As in C.
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut u8, byte: i32, count: usize) -> *mut u8 {
    // SAFETY: the caller's promise.
    unsafe { fill(to, byte, count) }
}

/// What compilers for ARM call instead: variants for aligned memory, and an order of arguments of its own.
#[cfg(target_arch = "arm")]
mod arm {
    use super::{copy, fill};

    macro_rules! copies {
        ($($name:ident)*) => {$(
            /// # Safety
            /// As memmove in C.
            #[unsafe(no_mangle)]
            unsafe extern "C" fn $name(to: *mut u8, from: *const u8, count: usize) {
                // SAFETY: the caller's promise.
                unsafe { copy(to, from, count) };
            }
        )*};
    }

    macro_rules! sets {
        ($($name:ident)*) => {$(
            /// # Safety
            /// As memset in C.
            #[unsafe(no_mangle)]
            unsafe extern "C" fn $name(to: *mut u8, count: usize, byte: i32) {
                // SAFETY: the caller's promise.
                unsafe { fill(to, byte, count) };
            }
        )*};
    }

    macro_rules! clears {
        ($($name:ident)*) => {$(
            /// # Safety
            /// As memset in C.
            #[unsafe(no_mangle)]
            unsafe extern "C" fn $name(to: *mut u8, count: usize) {
                // SAFETY: the caller's promise.
                unsafe { fill(to, 0, count) };
            }
        )*};
    }

    copies! { __aeabi_memcpy __aeabi_memcpy4 __aeabi_memcpy8 __aeabi_memmove __aeabi_memmove4 __aeabi_memmove8 }
    sets! { __aeabi_memset __aeabi_memset4 __aeabi_memset8 }
    clears! { __aeabi_memclr __aeabi_memclr4 __aeabi_memclr8 }
}

/// # Safety
/// As in C.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(left: *const u8, right: *const u8, count: usize) -> i32 {
    let mut at = 0;
    while at < count {
        // SAFETY: the caller's promise. Volatile, so that the loop is not turned into a call of this function.
        let (a, b) = unsafe { (left.add(at).read_volatile(), right.add(at).read_volatile()) };
        if a != b {
            return i32::from(a) - i32::from(b);
        }
        at += 1;
    }
    0
}

/// # Safety
/// As in C.
#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(left: *const u8, right: *const u8, count: usize) -> i32 {
    // SAFETY: the caller's promise.
    unsafe { memcmp(left, right, count) }
}
