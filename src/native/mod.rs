//! The MicroPython module `ftpdlite.native_ARCH`: the types `Server` and `Session` and a few functions for the shim.
//!
//! Everything `unsafe` of the crate is in this folder. There are no mutable statics, which a native module cannot have: all state
//! is in objects of the GC.

mod exceptions;
mod ffi;
mod holders;
mod listing;
mod obj;
mod place;
mod pump;
mod qstr;
#[cfg(not(any(test, doc)))]
mod runtime;
mod server;
mod session;
mod stream;
mod tables;
mod types;

use crate::protocol::path;
use crate::protocol::writer::Writer;
use obj::Obj;
use qstr::Qstr;

/// Functions for the runtime, and the table of them.
macro_rules! functions {
    ($($(#[$note:meta])* $name:ident($($argument:ident),*) $body:block)*) => {
        $($(#[$note])*
        unsafe extern "C" fn $name(_: usize, arguments: *const Obj) -> Obj {
            // SAFETY: it is declared for so many.
            let [$($argument),*] = unsafe { *arguments.cast::<[Obj; [$(stringify!($argument)),*].len()]>() };
            $body
        })*

        static FUNCTIONS: [types::Function; [$(stringify!($name)),*].len()] =
            [$(types::Function { code: $name, name: Qstr::$name, count: [$(stringify!($argument)),*].len() as u16 }),*];
    };
}

functions! {
    /// `same(a, b)`: whether two strings are equal. The time that it takes depends on the length of `a` alone.
    same(a, b) {
        let (a, b) = (a.bytes().unwrap_or_default(), b.bytes().unwrap_or_default());
        let mut difference = u8::from(a.len() != b.len());
        for (index, &byte) in a.iter().enumerate() {
            let other = b.get(index).copied().unwrap_or(!byte);
            difference = core::hint::black_box(difference | (byte ^ other));
        }
        Obj::from_bool(difference == 0)
    }

    /// `is_unfinished(name)`: whether it is the name of an unfinished upload.
    is_unfinished(name) {
        Obj::from_bool(path::is_unfinished(name.bytes().unwrap_or_default()))
    }

    /// `overlap(old, new)`: how many bytes at the start of `new` may mean the folder `old`; 0 when `new` certainly is neither `old` nor below it.
    overlap(old, new) {
        let (old, new) = (old.bytes().unwrap_or_default(), new.bytes().unwrap_or_default());
        Obj::from_u64(path::overlap(old, new) as u64)
    }

    /// `shown(line)`: a line of the log as a str that cannot change the state of a terminal.
    shown(line) {
        let bytes = line.bytes().unwrap_or_default();
        let memory = types::allocate(bytes.len().max(1));
        // SAFETY: a fresh block of that size, that nobody else knows.
        let mut out = Writer::new(unsafe { core::slice::from_raw_parts_mut(memory, bytes.len()) });
        out.shown(bytes, obj::is_utf8(bytes));
        if out.bytes() == bytes && line.is_str() { line } else { obj::new_str(out.bytes()) }
    }

    /// `_panic(value)`: panics, so that a test can see what becomes of a panic.
    _panic(value) {
        assert!(value.is_null(), "asked for");
        value
    }
}

/// What the loader runs when the module is imported.
///
/// # Safety
/// Only the loader calls it, with the module's context.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".text.mpy_init")]
unsafe extern "C" fn mpy_init(this: *const ffi::mp_obj_fun_bc_t, _: usize, _: usize, _: *const Obj) -> Obj {
    // SAFETY: the loader passes the module's context, whose globals are the module's dict.
    let former = unsafe {
        let globals = (*(*this).context).module.globals;
        ffi::table().swap_globals.unwrap_unchecked()(globals)
    };
    types::store_global(Qstr::version, obj::new_str(env!("CARGO_PKG_VERSION").as_bytes()));
    types::store_global(Qstr::Server, server::new_type());
    types::store_global(Qstr::Session, session::methods::new_type());
    types::store_global(Qstr::holders, types::new_word());
    types::store_functions(&FUNCTIONS);
    // SAFETY: what was swapped in is swapped out.
    unsafe { ffi::table().swap_globals.unwrap_unchecked()(former) };
    obj::none()
}
