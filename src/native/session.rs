//! `Session`: one control connection as a Python object. Its memory belongs to the GC; the Python objects that belong to the
//! connection (sockets, file, tasks) sit in its slots, so that an idle session needs no dictionary.

use super::ffi;
use super::listing::Listing;
use super::obj::{self, Obj};
use super::pump::{Filled, Pump, Pumped, Share};
use super::qstr::Qstr;
use super::server::{ServerObj, real_path};
use super::stream::{self, WOULD_BLOCK};
use crate::protocol::address::{Endpoint, Ip, from_sockaddr, parse_ip};
use crate::protocol::ascii;
use crate::protocol::hash::{DIGEST_MAX, Hasher};
use crate::protocol::input::LINE_MAX;
use crate::protocol::listing::Permission;
use crate::protocol::path::{append, name, parent};
use crate::protocol::session::{Action, Dismissal, End, Outcome, REPLY_MAX, Session, Step, Tick, Transfer};
use crate::protocol::writer::Writer;

/// What `step` and `pump` return beside the numbers of [`Action`].
const CLOSE: u32 = 0;
const WAIT_READ: u32 = 1;
const WAIT_WRITE: u32 = 2;
const YIELD: u32 = 3;
const BLOCKED: u32 = 4;
/// `pump` adds this to the number of the transfer's [`End`].
const ENDED: u32 = 16;

/// The Python objects that the shim keeps in a session, in the order of `SessionObj::slots`.
const SLOTS: [Qstr; 11] = [
    Qstr::data,
    Qstr::file,
    Qstr::home,
    Qstr::job,
    Qstr::listener,
    Qstr::new_path,
    Qstr::old_path,
    Qstr::sock,
    Qstr::task,
    Qstr::tls,
    Qstr::verdict,
];
const DATA: usize = 0;
const FILE: usize = 1;
const HOME: usize = 2;
const SOCK: usize = 7;
const TLS: usize = 9;

/// The object in memory. Every word that holds a Python object is aligned, so that the GC finds it.
#[repr(C)]
pub struct SessionObj {
    base: ffi::mp_obj_base_t,
    slots: [Obj; SLOTS.len()],
    server: *mut ServerObj,
    /// Reply bytes that the socket did not take yet (a bytes object), or None.
    pending: Obj,
    /// How much of it was in the write that the socket did not take. TLS has made a record of that already and wants the same again.
    refused: usize,
    line: *mut u8,
    line_length: usize,
    pump: Pump,
    listing: Listing,
    /// The digest that is under way; a block of the GC's heap.
    hasher: *mut Hasher,
    /// The workspace's path and text, kept while others use the workspace (bytes objects), or None.
    kept: [Obj; 2],
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

impl SessionObj {
    /// The session that a method was called on, its server and its line buffer.
    ///
    /// # Safety
    /// `this` must be a `SessionObj`, and no other reference to it or to its server may be in use.
    unsafe fn parts<'a>(this: Obj) -> (&'a mut SessionObj, &'a mut ServerObj, &'a mut [u8]) {
        // SAFETY: the caller's promise; `server` and `line` were set in `make_new`, are other blocks of the GC's heap than the
        // session and are kept alive by its words.
        unsafe {
            let session = &mut *this.as_ptr::<SessionObj>();
            let server = &mut *session.server;
            let line = core::slice::from_raw_parts_mut(session.line, session.line_length);
            (session, server, line)
        }
    }

    /// Writes as much of the pending and of the collected replies as the socket takes. Whether all is written; an error counts as
    /// written, for the next read finds out that the connection is gone.
    fn flush(&mut self, server: &mut ServerObj) -> bool {
        let socket = self.slots[SOCK];
        if let Some(bytes) = self.pending.bytes() {
            match write_all(socket, bytes, &mut self.refused, &mut self.lost) {
                Some(rest) => {
                    if rest.len() < bytes.len() {
                        self.pending = obj::new_bytes(rest);
                    }
                    self.keep(server);
                    return false;
                }
                None => self.pending = obj::none(),
            }
        }
        let collected = server.collected;
        server.collected = 0;
        let bytes = &server.replies[..collected];
        server.settings.log_replies(bytes);
        if let Some(rest) = write_all(socket, bytes, &mut self.refused, &mut self.lost) {
            self.pending = obj::new_bytes(rest);
            return false;
        }
        true
    }

    /// Adds the collected replies to the pending ones.
    fn keep(&mut self, server: &mut ServerObj) {
        if server.collected > 0 {
            let bytes = &server.replies[..server.collected];
            server.settings.log_replies(bytes);
            let more = obj::new_bytes(bytes);
            server.collected = 0;
            self.pending = obj::add(self.pending, more);
        }
    }

    /// Keeps the workspace, for others will use it before this session goes on. Whether there was memory for that.
    fn keep_work(&mut self, server: &ServerObj) -> bool {
        let work = &server.work;
        for (kept, bytes) in self.kept.iter_mut().zip([&work.path, &work.text]) {
            match obj::attempt(|| obj::new_bytes(bytes)) {
                Ok(object) => *kept = object,
                Err(_) => return false,
            }
        }
        true
    }

    /// Puts the workspace back as it was when it was kept, if it was.
    fn restore_work(&self, server: &mut ServerObj) {
        let work = &mut server.work;
        for (kept, place) in self.kept.iter().zip([&mut work.path, &mut work.text]) {
            if let Some(bytes) = kept.bytes() {
                place.clear();
                let _ = append(place, bytes);
            }
        }
    }

    fn step(&mut self, server: &mut ServerObj, line: &mut [u8], outcome: Obj) -> u32 {
        server.collected = 0;
        let deferred = core::mem::take(&mut self.deferred);
        // Whoever brings an outcome has not let others run since the action, but for those that take long; all else has.
        if deferred || matches!(self.outstanding, None | Some(Action::ListHere)) {
            self.share = server.settings.clock.begin();
        }
        if let (true, Some(action)) = (deferred, self.outstanding) {
            self.restore_work(server);
            return action as u32;
        }
        // An outcome is told at once; everything else waits until the socket has taken what was said before.
        if self.outstanding.is_none() {
            if !self.flush(server) {
                return if self.core.is_dismissed() { CLOSE } else { WAIT_WRITE };
            }
            if self.closing {
                return CLOSE;
            }
            self.secure();
            if !self.greeted {
                self.greeted = true;
                self.greet(server);
            }
        }
        let mut outcome = Some(outcome);
        loop {
            if server.replies.len() - server.collected < REPLY_MAX && !self.flush(server) {
                return WAIT_WRITE;
            }
            let step = match self.outstanding.take() {
                Some(action) => {
                    // An outcome is brought at the first turn; what is outstanding later was done here.
                    let value = outcome.take().unwrap_or(obj::none());
                    self.resume(server, action, value)
                }
                None => {
                    server.settings.log_command(self.core.peek(line));
                    let home = self.slots[HOME];
                    server.turn(home, |turn| self.core.next(line, turn))
                }
            };
            match step {
                Step::Again => {
                    if server.settings.clock.is_over(self.share) {
                        return if self.flush(server) { YIELD } else { WAIT_WRITE };
                    }
                }
                Step::Input => {
                    if !self.flush(server) {
                        return WAIT_WRITE;
                    }
                    match stream::read(self.slots[SOCK], self.core.space(line)) {
                        Ok(0) => self.core.end_of_input(),
                        Ok(count) => self.core.received(line, count),
                        Err(WOULD_BLOCK) => return WAIT_READ,
                        Err(_) => return CLOSE,
                    }
                }
                Step::Secure => {
                    self.securing = true;
                    if !self.flush(server) {
                        return WAIT_WRITE;
                    }
                    self.secure();
                }
                Step::Blocked => {
                    self.flush(server);
                    return BLOCKED;
                }
                Step::Act(Action::ListHere) => {
                    self.outstanding = Some(Action::ListHere);
                    if let Some(wait) = self.list_here(server) {
                        return wait;
                    }
                }
                Step::Act(action) => {
                    self.outstanding = Some(action);
                    self.flush(server);
                    // What takes long lets others run of its own accord.
                    let is_long = matches!(action, Action::Login | Action::HashPassword | Action::Hash);
                    let is_over = !is_long && server.settings.clock.is_over(self.share);
                    if is_over || action == Action::Hash {
                        let is_kept = self.keep_work(server);
                        if is_over && is_kept {
                            self.deferred = true;
                            return YIELD;
                        }
                        if !is_over && !is_kept {
                            // The digest's name would be gone.
                            outcome = Some(Obj::from_u32(obj::NO_MEMORY));
                            continue;
                        }
                    }
                    return action as u32;
                }
                Step::Close => {
                    self.closing = true;
                    return if self.flush(server) { CLOSE } else { WAIT_WRITE };
                }
            }
        }
    }

    /// Goes on through the TLS stream, if that is due. The handshake goes on as the session reads.
    fn secure(&mut self) {
        if core::mem::take(&mut self.securing) {
            self.slots[SOCK] = core::mem::replace(&mut self.slots[TLS], obj::none());
        }
    }

    fn greet(&mut self, server: &mut ServerObj) {
        if !self.core.is_dismissed() {
            server.turn(obj::none(), |turn| self.core.greet(turn));
        }
    }

    /// Tells the core what came of an action.
    fn resume(&mut self, server: &mut ServerObj, action: Action, value: Obj) -> Step {
        if action == Action::ListHere && !self.listing.is_done() {
            // The socket was full in the middle of a listing.
            return Step::Act(Action::ListHere);
        }
        if action == Action::Who {
            self.say_sessions(server, value);
        }
        self.restore_work(server);
        self.kept = [obj::none(); 2];
        let outcome = match action {
            _ if value.is_none() => Outcome::Done,
            _ if value.is_int() => Outcome::Failed(value.to_u64() as u32),
            Action::Login => {
                self.slots[HOME] = value.item(1);
                Outcome::Login(Permission::from_bits(value.item(0).to_u64() as u8))
            }
            Action::Passive | Action::PassiveIpv4 => {
                Outcome::Passive(value.item(0).to_u64() as u16, value.item(1).bytes().unwrap_or_default())
            }
            Action::Space | Action::Memory | Action::Collect => {
                Outcome::Space(value.item(0).to_u64(), value.item(1).to_u64())
            }
            Action::Uptime | Action::Kick => Outcome::Number(value.item(0).to_u64()),
            Action::HashPassword | Action::Hash => Outcome::Text(value.bytes().unwrap_or_default()),
            _ => Outcome::Done,
        };
        let home = self.slots[HOME];
        server.turn(home, |turn| self.core.resume(outcome, turn))
    }

    /// Lists on the control connection: what must be waited for, or `None` at the end, which a session that is to end reaches at once.
    fn list_here(&mut self, server: &mut ServerObj) -> Option<u32> {
        while self.flush(server) {
            if self.lost {
                return Some(CLOSE);
            }
            self.core.listing_moved();
            if self.core.is_dismissed() {
                self.listing.close();
            }
            if self.listing.is_done() {
                return None;
            }
            if server.settings.clock.is_over(self.share) {
                return Some(YIELD);
            }
            let mut out = Writer::new(&mut server.replies);
            // A directory that cannot be read to its end is shown as far as it can.
            if self.listing.fill(&self.core, &server.settings, &mut out, self.share).is_err() {
                self.listing.close();
            }
            server.collected = out.len();
        }
        Some(if self.core.is_dismissed() { CLOSE } else { WAIT_WRITE })
    }

    /// The lines of SITE WHO.
    fn say_sessions(&mut self, server: &mut ServerObj, sessions: Obj) {
        let mut at = 0;
        while let Ok(other) = obj::try_item(sessions, at) {
            at += 1;
            if server.replies.len() - server.collected < REPLY_MAX && !self.flush(server) {
                self.keep(server);
            }
            // SAFETY: the shim gives its list of sessions, and nothing else is in it; only this one is borrowed already.
            let core = if other == Obj::from_ptr(self as *mut SessionObj) {
                &self.core
            } else {
                unsafe { &(*other.as_ptr::<SessionObj>()).core }
            };
            let mut out = Writer::new(&mut server.replies[server.collected..]);
            core.describe(&mut out);
            server.collected += out.len();
        }
    }
}

/// Writes to a stream until all is written or it would block: what is left then, and how much of it was refused in one piece, which comes first the next time.
/// An error counts as written, and the connection as lost.
fn write_all<'a>(stream: Obj, bytes: &'a [u8], refused: &mut usize, lost: &mut bool) -> Option<&'a [u8]> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let again = core::mem::take(refused);
        let piece = rest.get(..again).filter(|piece| !piece.is_empty()).unwrap_or(rest);
        match stream::write(stream, piece) {
            Ok(count) => rest = rest.get(count..).unwrap_or_default(),
            Err(WOULD_BLOCK) => {
                *refused = piece.len();
                return Some(rest);
            }
            Err(_) => {
                *lost = true;
                return None;
            }
        }
    }
    None
}

/// `Session(server, sock, address, line_length)`: for a socket that `accept` gave with `address`, a raw sockaddr or `(host, port)`.
unsafe extern "C" fn make_new(ty: *const ffi::mp_obj_type_t, n_args: usize, n_kw: usize, args: *const Obj) -> Obj {
    obj::check_arguments(n_args, n_kw, 4);
    // SAFETY: the runtime passes `n_args` objects, and there are four.
    let args = unsafe { core::slice::from_raw_parts(args, 4) };
    let Some(peer) = endpoint(args[2]) else {
        obj::raise(Qstr::ValueError, c"ftpdlite: unknown form of address");
    };
    let line_length = (args[3].to_u64() as usize).max(LINE_MAX);
    let line = obj::allocate(line_length);
    let memory = obj::allocate(size_of::<SessionObj>()).cast::<SessionObj>();
    let none = obj::none();
    let mut slots = [none; SLOTS.len()];
    slots[SOCK] = args[1];
    let session = SessionObj {
        base: ffi::mp_obj_base_t { type_: ty },
        slots,
        server: args[0].as_ptr(),
        pending: none,
        refused: 0,
        line,
        line_length,
        pump: Pump::new(),
        listing: Listing::new(),
        hasher: core::ptr::null_mut(),
        kept: [none; 2],
        share: Share::ANY,
        outstanding: None,
        deferred: false,
        greeted: false,
        closing: false,
        lost: false,
        securing: false,
        core: Session::new(peer),
    };
    // SAFETY: `memory` is a fresh block of that size, aligned for any object; nothing with a destructor is overwritten.
    unsafe { memory.write(session) };
    Obj::from_ptr(memory)
}

/// An address as `accept` gives it: a raw sockaddr (Unix port) or a tuple of address text and port.
fn endpoint(address: Obj) -> Option<Endpoint> {
    match address.bytes() {
        Some(bytes) => from_sockaddr(bytes),
        None => Some(Endpoint { ip: parse_ip(address.item(0).bytes()?)?, port: address.item(1).to_u64() as u16 }),
    }
}

/// `step(outcome)`: goes on until something must be waited for or done; returns its number.
unsafe extern "C" fn step(this: Obj, outcome: Obj) -> Obj {
    // SAFETY: a method of the type, so `this` is one; the native code is not re-entered.
    let (session, server, line) = unsafe { SessionObj::parts(this) };
    Obj::from_u32(session.step(server, line, outcome))
}

/// `pump()`: moves bytes until something must be waited for, the share is used up or the transfer is over.
unsafe extern "C" fn pump(this: Obj) -> Obj {
    // SAFETY: as in `step`.
    let (session, server, _) = unsafe { SessionObj::parts(this) };
    let file = session.slots[FILE];
    let data = session.slots[DATA];
    let pumped = match session.core.transfer() {
        Some(Transfer::Retrieve) => {
            session.pump.send(data, &mut session.core, &server.settings.clock, |core, out, _, _| {
                let converts = core.converts();
                match stream::read(file, if converts { ascii::source(out) } else { out }) {
                    Ok(count) => {
                        Ok(Filled { length: if converts { ascii::fill(out, count) } else { count }, paused: false })
                    }
                    Err(_) => Err(End::LocalError),
                }
            })
        }
        Some(transfer) if transfer.is_upload() => {
            session.pump.receive(data, file, &mut session.core, &server.settings.clock)
        }
        Some(_) => {
            let listing = &mut session.listing;
            let settings = &server.settings;
            session.pump.send(data, &mut session.core, &server.settings.clock, |core, out, used, share| {
                let mut out = Writer::behind(out, used);
                let paused = listing.fill(core, settings, &mut out, share)?;
                Ok(Filled { length: out.len(), paused })
            })
        }
        None => Pumped::Ended(End::LocalError),
    };
    Obj::from_u32(match pumped {
        Pumped::WaitRead => WAIT_READ,
        Pumped::WaitWrite => WAIT_WRITE,
        Pumped::Share => YIELD,
        Pumped::Ended(end) => ENDED + end as u32,
    })
}

/// `hash()`: reads more of the file into its digest; gives the digest, or that other tasks are to run first.
unsafe extern "C" fn hash(this: Obj) -> Obj {
    // SAFETY: as in `step`.
    let (session, server, _) = unsafe { SessionObj::parts(this) };
    if session.hasher.is_null() {
        let memory = obj::allocate(size_of::<Hasher>()).cast::<Hasher>();
        // SAFETY: a fresh block of that size, aligned for any object; nothing with a destructor is overwritten.
        unsafe { memory.write(Hasher::new(session.core.algorithm())) };
        session.hasher = memory;
    }
    // SAFETY: the block was made above, and belongs to this session alone.
    let hasher = unsafe { &mut *session.hasher };
    match session.pump.digest(session.slots[FILE], hasher, &server.settings.clock) {
        Ok(false) => Obj::from_u32(YIELD),
        Ok(true) => {
            let mut digest = [0; DIGEST_MAX];
            let length = hasher.finish(&mut digest);
            obj::new_bytes(digest.get(..length).unwrap_or_default())
        }
        Err(error) => obj::raise_os_error(error as u32),
    }
}

/// `attach(buffer)`: the data connection stands, and the transfer uses this bytearray; None when it is over.
unsafe extern "C" fn attach(this: Obj, buffer: Obj) -> Obj {
    // SAFETY: as in `step`.
    let (session, _, _) = unsafe { SessionObj::parts(this) };
    session.pump.attach(buffer);
    session.hasher = core::ptr::null_mut();
    if !buffer.is_none() {
        session.core.data_connected();
    }
    obj::none()
}

/// `list(names, now, inside)`: what `os.ilistdir` gave for `path`, or, when `inside` is true, for `parent`; None is the single file `path`. `now` as `time.time()`
/// tells it; None closes the listing, and the call tells whether it was not at its end.
unsafe extern "C" fn list(n_args: usize, args: *const Obj) -> Obj {
    // SAFETY: declared for exactly four arguments.
    let args = unsafe { core::slice::from_raw_parts(args, n_args) };
    let &[this, names, now, globbed] = args else { return obj::none() };
    // SAFETY: as in `step`.
    let (session, server, _) = unsafe { SessionObj::parts(this) };
    let unfinished = !session.listing.is_done();
    session.listing.close();
    if now.is_none() {
        return Obj::from_bool(unfinished);
    }
    let virtual_path = if globbed.is_true() { parent(&server.work.path) } else { &server.work.path[..] };
    let pattern = if globbed.is_true() { name(&server.work.path) } else { b"" };
    let before = if globbed.is_true() || names.is_none() { &server.work.text[..] } else { b"" };
    if names.is_none() && session.core.transfer() == Some(Transfer::Machine) {
        obj::raise_os_error(20);
    }
    let now = server.settings.unix_seconds(now);
    let home = session.slots[HOME];
    session.listing.open(names, home, virtual_path, pattern, before, now);
    obj::none()
}

/// `tick()`: one second has passed. 0, or 1 when the control task must wake, or when the transfer's time is up, 1 and the number of its [`End`].
unsafe extern "C" fn tick(this: Obj) -> Obj {
    // SAFETY: as in `step`.
    let (session, server, _) = unsafe { SessionObj::parts(this) };
    Obj::from_u32(match session.core.tick(&server.settings.config) {
        Tick::Nothing => 0,
        Tick::Control => 1,
        Tick::Transfer(end) => 1 + end as u32,
    })
}

/// `finish(end)`: the transfer is over.
unsafe extern "C" fn finish(this: Obj, end: Obj) -> Obj {
    // SAFETY: as in `step`.
    let (session, _, _) = unsafe { SessionObj::parts(this) };
    session.core.finish(End::from_number(end.to_u64() as u32));
    obj::none()
}

/// `dismiss(why)`: the session is to end with the 421 of that number.
unsafe extern "C" fn dismiss(this: Obj, why: Obj) -> Obj {
    // SAFETY: as in `step`.
    let (session, _, _) = unsafe { SessionObj::parts(this) };
    session.core.dismiss(match why.to_u64() {
        0 => Dismissal::Idle,
        1 => Dismissal::Kicked,
        2 => Dismissal::Shutdown,
        4 => Dismissal::Blocked,
        6 => Dismissal::Displaced,
        _ => Dismissal::TooMany,
    });
    obj::none()
}

/// `accepts(address)`: whether a data connection from there belongs to the session.
unsafe extern "C" fn accepts(this: Obj, address: Obj) -> Obj {
    // SAFETY: as in `step`.
    let (session, server, _) = unsafe { SessionObj::parts(this) };
    Obj::from_bool(
        endpoint(address).is_some_and(|from| session.core.accepts_data_from(&server.settings.config, from.ip)),
    )
}

fn ip_text(ip: Ip) -> Obj {
    let mut text = [0; 48];
    let mut out = Writer::new(&mut text);
    ip.write(&mut out);
    obj::new_str(out.bytes())
}

fn endpoint_tuple(endpoint: Endpoint) -> Obj {
    obj::new_tuple(&[ip_text(endpoint.ip), Obj::from_u32(endpoint.port.into())])
}

/// The attributes: the slots to load and store, and what the session knows to load.
unsafe extern "C" fn attr(this: Obj, name: ffi::qstr, dest: *mut Obj) {
    // SAFETY: as in `step`.
    let (session, server, _) = unsafe { SessionObj::parts(this) };
    // SAFETY: the runtime passes two words.
    let dest = unsafe { &mut *dest.cast::<[Obj; 2]>() };
    let slot = SLOTS.iter().position(|slot| slot.value() == name);
    if !dest[0].is_null() {
        // A store; deleting an attribute is refused.
        if let (Some(slot), false) = (slot, dest[1].is_null()) {
            session.slots[slot] = dest[1];
            dest[0] = Obj::NULL;
        }
        return;
    }
    let core = &session.core;
    let home = session.slots[HOME];
    dest[0] = if let Some(slot) = slot {
        session.slots[slot]
    } else if name == Qstr::path.value() {
        real_path(home, &server.work.path)
    } else if name == Qstr::parent.value() {
        real_path(home, parent(&server.work.path))
    } else if name == Qstr::text.value() {
        obj::new_text(&server.work.text)
    } else if name == Qstr::user.value() {
        obj::new_text(core.user_name())
    } else if name == Qstr::part.value() {
        if server.work.text.is_empty() { obj::none() } else { real_path(home, &server.work.text) }
    } else if name == Qstr::time.value() {
        Obj::from_u32(server.settings.port_seconds(core.time()))
    } else if name == Qstr::moved.value() {
        Obj::from_u64(core.moved())
    } else if name == Qstr::transfer.value() {
        core.transfer().map_or(obj::none(), |transfer| obj::new_str(transfer.verb()))
    } else if name == Qstr::glob.value() {
        Obj::from_bool(core.is_glob(&server.work))
    } else if name == Qstr::idle.value() {
        Obj::from_u32(core.idle().into())
    } else if name == Qstr::logged_in.value() {
        Obj::from_bool(core.logged_in())
    } else if name == Qstr::offset.value() {
        Obj::from_u64(core.offset())
    } else if name == Qstr::peer.value() {
        endpoint_tuple(core.peer())
    } else if name == Qstr::dial.value() {
        core.active_endpoint().map_or(obj::none(), endpoint_tuple)
    } else if name == Qstr::private.value() {
        Obj::from_bool(core.protects_data())
    } else {
        // The methods.
        dest[1] = Obj::SENTINEL;
        return;
    };
}

/// Makes the type.
pub fn new_type() -> Obj {
    obj::TypeBuilder::new(Qstr::Session, make_new, 9)
        .attr(attr)
        .method(Qstr::accepts, obj::function_2(accepts))
        .method(Qstr::attach, obj::function_2(attach))
        .method(Qstr::dismiss, obj::function_2(dismiss))
        .method(Qstr::finish, obj::function_2(finish))
        .method(Qstr::hash, obj::function_1(hash))
        .method(Qstr::list, obj::function_n(4, list))
        .method(Qstr::pump, obj::function_1(pump))
        .method(Qstr::step, obj::function_2(step))
        .method(Qstr::tick, obj::function_1(tick))
        .build()
}
