//! `Session`: one control connection as a Python object. Its memory belongs to the GC; the Python objects that belong to the connection (sockets, file, tasks)
//! are in its slots, so that an idle session needs no dictionary.
//!
//! Everything that is done to a session goes through [`enter`], the one door. Python code that a method calls (a file system, a stream or a log function that is
//! written in Python) may call methods again, and these must not change what the first one works on.

pub mod methods;
mod stepping;

use super::exceptions;
use super::ffi;
use super::holders::Head;
use super::listing::Listing;
use super::obj::{self, Obj};
use super::pump::{Pump, Share};
use super::qstr::Qstr;
use super::server::{ServerObj, Settings, Shared};
use super::types;
use crate::protocol::address::{Endpoint, from_sockaddr, parse_ip};
use crate::protocol::input::LINE_MAX;
use crate::protocol::session::{Action, Session};
use core::cell::Cell;

/// The object in memory. Every word that holds a Python object is aligned, so that the GC finds it.
#[repr(C)]
struct SessionObj {
    head: Head,
    server: *mut ServerObj,
    body: Body,
}

/// What belongs to the session's method that runs.
#[repr(C)]
struct Body {
    /// Reply bytes that the socket did not take yet: a bytes object, or null.
    pending: Obj,
    /// How much of it was in the write that the socket did not take. TLS has made a record of these bytes already, and needs the same bytes again.
    refused: usize,
    line: *mut u8,
    line_length: usize,
    pump: Pump,
    listing: Listing,
    /// The workspace's path and text, kept while others use the workspace: bytes objects, or null.
    kept: [Obj; 2],
    /// What the next `step` is to give, because the poller has gone on already: a number, or the exception that this raised; or null.
    ahead: Obj,
    /// The session's directory: a bytes object, or null for the root.
    cwd: Obj,
    /// When this session's share of the time began.
    share: Share,
    /// The action whose outcome the next `step` brings.
    outstanding: Option<Action>,
    /// The action is due, but the share was used up first: the next `step` gives it, and only then it is outstanding.
    deferred: bool,
    greeted: bool,
    closing: bool,
    /// A write to the control connection failed: the client is gone.
    lost: bool,
    /// The slot `tls` takes the place of `sock` when all replies are written.
    securing: bool,
    core: Session,
}

/// A session while one of its methods runs. Nobody else uses it, or another session of its server.
struct Inside<'a> {
    head: &'a Head,
    body: &'a mut Body,
    settings: &'a Settings,
    shared: &'a mut Shared,
    /// The arguments, the session first.
    arguments: *const Obj,
}

/// A method; null is None. Exceptions leave it by a long jump, so nothing in it may have a destructor.
type Method = fn(&mut Inside<'_>) -> Obj;

/// The core of a session of the same server as the one that is inside.
fn core_of<'a>(session: Obj, head: &Head, own: &'a Session, settings: &Settings) -> Option<&'a Session> {
    if session.type_of() != head.type_of() {
        return None;
    }
    let session = session.as_ptr::<SessionObj>();
    // SAFETY: an object of this type. Its server is in use by the method that runs, so no other method borrows it; the one that is inside is not borrowed twice.
    unsafe {
        if core::ptr::eq(&raw const (*session).head, head) {
            Some(own)
        } else if core::ptr::eq(&raw const (*(*session).server).settings, settings) {
            Some(&(*session).body.core)
        } else {
            None
        }
    }
}

/// What may be seen of a session from outside, and what tells that it is in use. Raises RuntimeError when it is: when a method of it, or of another session of
/// its server, runs already.
///
/// # Safety
/// `this` is a session.
#[inline(never)]
unsafe fn admit<'a>(this: Obj) -> (&'a Head, &'a Cell<bool>) {
    let session = this.as_ptr::<SessionObj>();
    // SAFETY: the caller's promise; a session's server is set in `make_new`, and kept alive by it. Neither place is ever borrowed to be changed.
    let (head, busy) = unsafe { (&(*session).head, &(*(*session).server).busy) };
    if busy.get() {
        exceptions::raise(Qstr::RuntimeError, c"ftpdlite: the session is in use");
    }
    (head, busy)
}

/// Calls `method` on the session that is the first argument. Raises RuntimeError as [`admit`] does.
///
/// # Safety
/// The first argument is a session, and there are as many as `method` looks at.
#[inline(never)]
unsafe fn enter(arguments: *const Obj, method: Method) -> Obj {
    // SAFETY: the caller's promise.
    unsafe {
        admit(*arguments);
        match visit(arguments, method) {
            Ok(result) if result.is_null() => obj::none(),
            Ok(result) => result,
            Err(raised) => exceptions::raise_again(raised),
        }
    }
}

/// Calls `method`, and gives what it gave or raised.
///
/// # Safety
/// As for [`enter`], and no method of a session of that server runs.
#[inline(never)]
unsafe fn visit(arguments: *const Obj, method: Method) -> Result<Obj, Obj> {
    struct Visit {
        arguments: *const Obj,
        method: Method,
        result: Obj,
    }
    extern "C" fn call(context: *mut cty::c_void) {
        // SAFETY: `enter` passes its own, which lives on its frame. The head and the settings are never borrowed mutably, and the rest belongs to whoever has
        // made the server busy.
        unsafe {
            let visit = &mut *context.cast::<Visit>();
            let session = (*visit.arguments).as_ptr::<SessionObj>();
            let server = (*session).server;
            (*server).busy.set(true);
            visit.result = (visit.method)(&mut Inside {
                head: &(*session).head,
                body: &mut (*session).body,
                settings: &(*server).settings,
                shared: &mut (*server).shared,
                arguments: visit.arguments,
            });
        }
    }
    let mut visit = Visit { arguments, method, result: Obj::NULL };
    let result = exceptions::catch(call, (&raw mut visit).cast());
    // SAFETY: the caller's promise. This is reached whatever was raised.
    unsafe { (*(*(*arguments).as_ptr::<SessionObj>()).server).busy.set(false) };
    result.map(|()| visit.result)
}

/// `Session(server, sock, address, line_length)`: for a socket that `accept` gave with `address`, a raw sockaddr or `(host, port)`.
unsafe extern "C" fn make_new(ty: *const ffi::mp_obj_type_t, n_args: usize, n_kw: usize, args: *const Obj) -> Obj {
    exceptions::check_arguments(n_args, n_kw, 4);
    // SAFETY: the runtime passes `n_args` objects, and there are four.
    let args = unsafe { core::slice::from_raw_parts(args, 4) };
    let Some(peer) = endpoint(args[2]) else {
        exceptions::raise(Qstr::ValueError, c"ftpdlite: unknown form of address");
    };
    let line_length = (args[3].to_u64() as usize).max(LINE_MAX);
    let line = types::allocate(line_length);
    let memory = types::allocate(size_of::<SessionObj>()).cast::<SessionObj>();
    // SAFETY: `memory` is a fresh block of that size, aligned for any object; nothing with a destructor is overwritten. Zero is a value for all that is not written:
    // numbers, flags, and objects that are not there.
    unsafe {
        memory.write_bytes(0, 1);
        (&raw mut (*memory).head).write(Head::new(ty));
        (*memory).head.set(Qstr::sock, args[1]);
        (*memory).server = args[0].as_ptr();
        let body = &raw mut (*memory).body;
        (*body).line = line;
        (*body).line_length = line_length;
        (&raw mut (*body).outstanding).write(None);
        (&raw mut (*body).core).write(Session::new(peer));
    }
    Obj::from_ptr(memory)
}

/// An address as `accept` gives it: a raw sockaddr (Unix port) or a tuple of address text and port.
fn endpoint(address: Obj) -> Option<Endpoint> {
    match address.bytes() {
        Some(bytes) => from_sockaddr(bytes),
        None => Some(Endpoint { ip: parse_ip(address.item(0).bytes()?)?, port: address.item(1).to_u64() as u16 }),
    }
}
