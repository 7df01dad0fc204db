//! The MicroPython module `ftpdlite.native_ARCH`: the types `Server` and `Session` and a few functions for the shim.
//!
//! Everything `unsafe` of the crate is in this folder. There are no mutable statics, which a native module cannot have: all state
//! is in objects of the GC.

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

use crate::protocol::address::{Ip, parse_ip};
use crate::protocol::writer::Writer;
use crate::protocol::{hash, path};
use obj::Obj;
use qstr::Qstr;

/// `same(a, b)`: whether two strings are equal; the time it takes depends on the length of `a` alone.
unsafe extern "C" fn same(a: Obj, b: Obj) -> Obj {
    let (a, b) = (a.bytes().unwrap_or_default(), b.bytes().unwrap_or_default());
    let mut difference = u8::from(a.len() != b.len());
    for (index, &byte) in a.iter().enumerate() {
        let other = b.get(index).copied().unwrap_or(!byte);
        difference = core::hint::black_box(difference | (byte ^ other));
    }
    Obj::from_bool(difference == 0)
}

/// `is_ipv4(text)`: whether it is an IPv4 address.
unsafe extern "C" fn is_ipv4(text: Obj) -> Obj {
    Obj::from_bool(matches!(parse_ip(text.bytes().unwrap_or_default()), Some(Ip::V4(_))))
}

/// `same_network(a, b, mask)`: whether two addresses are in one network.
unsafe extern "C" fn same_network(n_args: usize, args: *const Obj) -> Obj {
    // SAFETY: declared for exactly three arguments.
    let args = unsafe { core::slice::from_raw_parts(args, n_args) };
    let mut addresses = args.iter().map(|text| parse_ip(text.bytes().unwrap_or_default()));
    Obj::from_bool(match (addresses.next().flatten(), addresses.next().flatten(), addresses.next().flatten()) {
        (Some(a), Some(b), Some(mask)) => a.same_subnet(&b, &mask),
        _ => false,
    })
}

/// `is_unfinished(name)`: whether it is the name of an upload that is not whole.
unsafe extern "C" fn is_unfinished(name: Obj) -> Obj {
    Obj::from_bool(path::is_unfinished(name.bytes().unwrap_or_default()))
}

/// `overlap(old, new)`: how many bytes at the start of `new` may mean the folder `old`; 0 when `new` certainly is neither `old` nor below it.
unsafe extern "C" fn overlap(old: Obj, new: Obj) -> Obj {
    let (old, new) = (old.bytes().unwrap_or_default(), new.bytes().unwrap_or_default());
    Obj::from_u64(path::overlap(old, new) as u64)
}

/// `shown(line)`: a line of the log as a str that does nothing to a terminal.
unsafe extern "C" fn shown(line: Obj) -> Obj {
    let bytes = line.bytes().unwrap_or_default();
    let memory = obj::allocate(bytes.len().max(1));
    // SAFETY: a fresh block of that size, that nobody else knows.
    let mut out = Writer::new(unsafe { core::slice::from_raw_parts_mut(memory, bytes.len()) });
    out.shown(bytes, obj::is_utf8(bytes));
    if out.bytes() == bytes && line.is_str() { line } else { obj::new_str(out.bytes()) }
}

/// `pbkdf2(password, salt, state, rounds)`: goes on with PBKDF2; `state` is a bytearray of 64 bytes.
unsafe extern "C" fn pbkdf2(n_args: usize, args: *const Obj) -> Obj {
    // SAFETY: declared for exactly four arguments.
    let args = unsafe { core::slice::from_raw_parts(args, n_args) };
    let &[password, salt, state, rounds] = args else { return obj::none() };
    let (password, salt) = (password.bytes().unwrap_or_default(), salt.bytes().unwrap_or_default());
    match state.bytes_mut().and_then(|state| state.try_into().ok()) {
        Some(state) => hash::pbkdf2(password, salt, rounds.to_u64() as u32, state),
        None => obj::raise(Qstr::ValueError, c"ftpdlite: the state has 64 bytes"),
    }
    obj::none()
}

/// `_panic(value)`: panics, so that a test can see what becomes of a panic.
unsafe extern "C" fn panic_for_test(value: Obj) -> Obj {
    assert!(value.is_null(), "asked for");
    value
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
    obj::store_global(Qstr::version, obj::new_str(env!("CARGO_PKG_VERSION").as_bytes()));
    obj::store_global(Qstr::Server, server::new_type());
    obj::store_global(Qstr::Session, session::new_type());
    obj::store_global(Qstr::holders, obj::new_word());
    obj::store_global(Qstr::is_unfinished, obj::function_1(is_unfinished));
    obj::store_global(Qstr::pbkdf2, obj::function_n(4, pbkdf2));
    obj::store_global(Qstr::same, obj::function_2(same));
    obj::store_global(Qstr::overlap, obj::function_2(overlap));
    obj::store_global(Qstr::shown, obj::function_1(shown));
    obj::store_global(Qstr::is_ipv4, obj::function_1(is_ipv4));
    obj::store_global(Qstr::same_network, obj::function_n(3, same_network));
    obj::store_global(Qstr::_panic, obj::function_1(panic_for_test));
    // SAFETY: what was swapped in is swapped out.
    unsafe { ffi::table().swap_globals.unwrap_unchecked()(former) };
    obj::none()
}
