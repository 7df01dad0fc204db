//! The methods and attributes of `Session`, as the shim knows them.

use super::stepping::{ENDED, WAIT_READ, WAIT_WRITE, YIELD};
use super::{Inside, Method, SessionObj, admit, endpoint, enter, make_new, visit};
use crate::native::exceptions;
use crate::native::ffi;
use crate::native::holders::slot;
use crate::native::obj::{self, Obj};
use crate::native::place::{beside, real_path};
use crate::native::pump::{Door, Filled, Pumped};
use crate::native::qstr::Qstr;
use crate::native::stream;
use crate::native::types;
use crate::protocol::address::{Endpoint, Ip};
use crate::protocol::ascii;
use crate::protocol::path::{name, parent};
use crate::protocol::session::{Action, Dismissal, End, Tick, Transfer};
use crate::protocol::writer::Writer;

/// The methods, and the table of them.
macro_rules! methods {
    ($($(#[$note:meta])* $name:ident($inside:ident $(, $argument:ident)*) $body:block)*) => {
        $($(#[$note])*
        unsafe extern "C" fn $name(_: usize, arguments: *const Obj) -> Obj {
            let method: Method = |$inside| {
                // SAFETY: it is declared for so many.
                let [_, $($argument),*] = unsafe { *$inside.arguments.cast::<[Obj; [$(stringify!($argument),)* "self"].len()]>() };
                $body
            };
            // SAFETY: it is a method of the type, so the first argument is a session.
            unsafe { enter(arguments, method) }
        })*

        static METHODS: [types::Function; [$(stringify!($name)),*].len()] =
            [$(types::Function { code: $name, name: Qstr::$name, count: [$(stringify!($argument),)* "self"].len() as u16 }),*];
    };
}

methods! {
    /// `accepts(address)`: whether a data connection from there belongs to the session.
    accepts(inside, address) {
        let from = endpoint(address);
        Obj::from_bool(from.is_some_and(|from| inside.body.core.accepts_data_from(&inside.settings.config, from.ip)))
    }

    /// `attach(buffer)`: the data connection stands, and the transfer uses this bytearray; None when it is over.
    attach(inside, buffer) {
        inside.body.pump.attach(buffer, &mut inside.shared.outlet.turns);
        if !buffer.is_none() {
            inside.body.core.data_connected();
        }
        Obj::NULL
    }

    /// `claim(path, target)`: the session opens the file `path`, which becomes `target`. None: it becomes nothing. "": it is written in place.
    claim(inside, path, target) {
        inside.settings.holders.add(inside.head, path, target);
        Obj::NULL
    }

    /// `contested()`: the upload is complete, and from now on nobody may begin to read the file that it replaces. Whether another session has that file open.
    contested(inside) {
        Obj::from_bool(inside.settings.holders.contest(inside.head))
    }

    /// `dismiss(why)`: the session is to end with the 421 of that number.
    dismiss(inside, why) {
        inside.body.core.dismiss(match why.to_u64() {
            0 => Dismissal::Idle,
            1 => Dismissal::Kicked,
            2 => Dismissal::Shutdown,
            4 => Dismissal::Blocked,
            6 => Dismissal::Displaced,
            _ => Dismissal::TooMany,
        });
        Obj::NULL
    }

    /// `finish(end)`: the transfer is over.
    finish(inside, end) {
        inside.body.core.finish(End::from_number(end.to_u64() as u32));
        Obj::NULL
    }

    /// `list(names, now, inside)`: what `os.ilistdir` gave for `path`, or, when `inside` is true, for `parent`; None is the single file `path`. `now` as `time.time()`
    /// tells it; None closes the listing, and the call tells whether it was not at its end.
    list(inside, names, now, globbed) {
        inside.list(names, now, globbed)
    }

    /// `pump()`: moves bytes until something must be waited for, the share is used up or the transfer is over.
    pump(inside) {
        Obj::from_u32(match inside.pump() {
            Pumped::WaitRead => WAIT_READ,
            Pumped::WaitWrite => WAIT_WRITE,
            Pumped::Starved => YIELD + inside.shared.outlet.turns.pause(),
            Pumped::Share => YIELD,
            Pumped::Ended(end) => ENDED + end as u32,
        })
    }

    /// `release()`: the session has no file open any more.
    release(inside) {
        inside.settings.holders.remove(inside.head);
        Obj::NULL
    }

    /// `settle()`: the upload was interrupted. Writes what is in its buffer to the file; the number of the [`End`] that this gives.
    settle(inside) {
        let is_upload = inside.body.core.transfer().is_some_and(Transfer::is_upload);
        let settled = if is_upload { inside.body.pump.settle(inside.head.get(Qstr::file)) } else { Ok(()) };
        Obj::from_u32(settled.err().unwrap_or(End::Complete) as u32)
    }

    /// `step(outcome)`: goes on until something must be waited for or done; returns its number.
    step(inside, outcome) {
        Obj::from_u32(inside.step(outcome, false))
    }

    /// `tick()`: one second has passed. 0, or 1 when the control task must wake, or when the transfer's time is up, 1 and the number of its [`End`].
    tick(inside) {
        Obj::from_u32(match inside.body.core.tick(&inside.settings.config) {
            Tick::Nothing => 0,
            Tick::Control => 1,
            Tick::Transfer(end) => 1 + end as u32,
        })
    }
}

impl Inside<'_> {
    fn pump(&mut self) -> Pumped {
        let file = self.head.get(Qstr::file);
        let data = self.head.get(Qstr::data);
        let settings = self.settings;
        let clock = &settings.clock;
        let shared = &mut *self.shared;
        let mut door = Door { outlet: &mut shared.outlet, sample: &shared.replies };
        let body = &mut *self.body;
        match body.core.transfer() {
            Some(Transfer::Retrieve) => body.pump.send(data, &mut body.core, &mut door, clock, |core, out, _, _| {
                let converts = core.converts();
                match stream::read(file, if converts { ascii::source(out) } else { out }) {
                    Ok(count) => {
                        Ok(Filled { length: if converts { ascii::fill(out, count) } else { count }, paused: false })
                    }
                    Err(_) => Err(End::LocalError),
                }
            }),
            Some(transfer) if transfer.is_upload() => body.pump.receive(data, file, &mut body.core, clock),
            Some(_) => {
                let listing = &mut body.listing;
                body.pump.send(data, &mut body.core, &mut door, clock, |core, out, used, share| {
                    let mut out = Writer::behind(out, used);
                    let paused = listing.fill(core, settings, &mut out, share)?;
                    Ok(Filled { length: out.len(), paused })
                })
            }
            None => Pumped::Ended(End::LocalError),
        }
    }

    fn list(&mut self, names: Obj, now: Obj, globbed: Obj) -> Obj {
        let listing = &mut self.body.listing;
        let unfinished = !listing.is_done();
        listing.close();
        if now.is_none() {
            return Obj::from_bool(unfinished);
        }
        let work = &self.shared.work;
        let globbed = globbed.is_true();
        let virtual_path = if globbed { parent(&work.path) } else { &work.path[..] };
        let pattern = if globbed { name(&work.path) } else { b"" };
        let before = if globbed || names.is_none() { &work.text[..] } else { b"" };
        if names.is_none() && self.body.core.transfer() == Some(Transfer::Machine) {
            exceptions::raise_os_error(20);
        }
        let now = self.settings.unix_seconds(now);
        listing.open(names, self.head.get(Qstr::home), virtual_path, pattern, before, now, self.settings.listing_times);
        Obj::NULL
    }

    /// The value of an attribute that is no slot.
    fn attribute(&mut self, wanted: Qstr) -> Obj {
        let core = &self.body.core;
        let work = &self.shared.work;
        let home = self.head.get(Qstr::home);
        match wanted {
            Qstr::dial => core.active_endpoint().map_or(Obj::NULL, endpoint_tuple),
            Qstr::glob => Obj::from_u32(u32::from(core.is_glob(work)) | u32::from(core.lists_itself(work)) << 1),
            Qstr::idle => Obj::from_u32(core.idle().into()),
            Qstr::logged_in => Obj::from_bool(core.logged_in()),
            Qstr::moved => Obj::from_u64(core.moved()),
            Qstr::offset => Obj::from_u64(core.offset()),
            Qstr::parent => real_path(home, parent(&work.path)),
            Qstr::part if work.text.is_empty() => Obj::NULL,
            Qstr::part => beside(home, &work.path, &work.text),
            Qstr::path => real_path(home, &work.path),
            Qstr::peer => endpoint_tuple(core.peer()),
            Qstr::private => Obj::from_bool(core.protects_data()),
            Qstr::text => obj::new_text(&work.text),
            Qstr::time => Obj::from_u32(self.settings.port_seconds(core.time())),
            Qstr::transfer => core.transfer().map_or(Obj::NULL, |transfer| obj::new_str(transfer.verb())),
            _ => obj::new_text(core.user_name()),
        }
    }
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
    // SAFETY: the runtime passes two words.
    let dest = unsafe { &mut *dest.cast::<[Obj; 2]>() };
    let (is_load, value) = (dest[0].is_null(), dest[1]);
    let Some(wanted) = Qstr::attribute(name) else {
        if is_load {
            // The methods.
            dest[1] = Obj::SENTINEL;
        }
        return;
    };
    // SAFETY: a session, for it is of this type.
    let (head, _) = unsafe { admit(this) };
    if slot(wanted) > slot(Qstr::verdict) {
        if is_load {
            let arguments = [this, Obj::from_u32(wanted as u32)];
            let method: Method = |inside| {
                // SAFETY: the two from here.
                let number = unsafe { *inside.arguments.add(1) };
                inside.attribute(Qstr::from_number(number.to_u64() as u16))
            };
            // SAFETY: as above.
            dest[0] = unsafe { enter(arguments.as_ptr(), method) };
        }
    } else if is_load {
        dest[0] = head.get(wanted);
    } else if !value.is_null() {
        // Deleting an attribute is refused.
        head.set(wanted, value);
        dest[0] = Obj::NULL;
    }
}

/// Whether the poller may let the session go on. Not through TLS, whose errors the task tells apart, and not when commands are shown: the program's log may wake
/// a task, of which the poller would not know.
///
/// # Safety
/// It is a session, and no method of a session of its server runs.
unsafe fn goes_ahead(session: *const SessionObj) -> bool {
    // SAFETY: the caller's promise.
    unsafe { (*session).body.core.is_clear() && !(*(*session).server).settings.is_shown() }
}

/// What a poller asks of a session is asked of its control connection. But when that can be read, the session goes on at once, within the poller: most commands
/// are answered then, and no task has to wake; for PASV and EPSV the shim's function is called. The task wakes when there is something to do for it.
unsafe extern "C" fn ioctl(
    this: ffi::mp_obj_t,
    request: ffi::mp_uint_t,
    argument: usize,
    error: *mut cty::c_int,
) -> ffi::mp_uint_t {
    let this = Obj::from_raw(this);
    let session = this.as_ptr::<SessionObj>();
    // SAFETY: a session, for it is of this type. Its body is in use only while its server is busy.
    unsafe {
        let ask = || stream::ioctl((*session).head.get(Qstr::sock), request, argument, error);
        let reads = ffi::MP_STREAM_POLL_RD as usize;
        if request != ffi::MP_STREAM_POLL as _ || argument & reads == 0 || (*(*session).server).busy.get() {
            return ask();
        }
        if (*session).body.ahead.is_null() {
            let events = ask();
            if events as usize & reads == 0 || !goes_ahead(session) {
                return events;
            }
            let mut arguments = [this, Obj::NULL];
            loop {
                let (Ok(next) | Err(next)) = visit(arguments.as_ptr(), |inside| {
                    // SAFETY: the two from here.
                    let outcome = *inside.arguments.add(1);
                    Obj::from_u32(inside.step(outcome, true))
                });
                if next == Obj::from_u32(WAIT_READ) {
                    return 0;
                }
                if next != Obj::from_u32(Action::PassiveIpv4 as u32) && next != Obj::from_u32(Action::Passive as u32) {
                    (*session).body.ahead = next;
                    break;
                }
                arguments[1] = next;
                // It catches what it raises, but for Ctrl-C, which may leave the poller.
                arguments[1] = obj::call_2((*(*session).server).settings.listen, &arguments);
            }
        }
        reads as _
    }
}

/// Makes the type.
pub fn new_type() -> Obj {
    types::new_type(Qstr::Session, make_new, Some((attr, ioctl)), &METHODS)
}
