//! `Server`: what all sessions of a server share: the settings, the workspace and the reply buffer.

use super::exceptions;
use super::ffi;
use super::holders::Holders;
use super::obj::{self, Obj};
use super::place::{Place, real_path};
use super::pump::{Clock, Outlet};
use super::qstr::Qstr;
use super::tables::tables;
use super::types;
use crate::protocol::session::{Config, Host, REPLY_MAX, Stat, Tls, Workspace};
use core::cell::Cell;

/// `stat`'s mode bit for directories, the same on every port.
pub const DIRECTORY: u64 = 0x4000;
/// Its bit for files, and all bits that tell what something is.
pub const FILE: u64 = 0x8000;
pub const KIND: u64 = 0xf000;

/// Bytes for replies that are on their way: room for one whole reply while others wait to be sent together.
const REPLIES: usize = REPLY_MAX + REPLY_MAX / 2;

/// What stays the same while the server runs.
#[repr(C)]
pub struct Settings {
    /// The server's name, whose bytes `config` refers to.
    #[allow(dead_code, reason = "keeps the name for the GC")]
    name: Obj,
    /// Called with a str for each command and reply; None when nobody listens.
    log: Obj,
    /// Called within the poller, with a session that wants a listener and with the number of its action; gives the outcome.
    pub listen: Obj,
    /// `os.stat`.
    stat: Obj,
    /// `time.ticks_us`.
    pub clock: Clock,
    /// Who has which file open, in all servers of the program.
    pub holders: Holders,
    /// What to add to the port's seconds to get Unix seconds.
    epoch: u32,
    /// Microseconds that one listing may spend on the times of its entries; all ones is as long as it takes.
    pub listing_times: u32,
    /// The settings as the core wants them.
    pub config: Config<'static>,
}

/// The object in memory.
#[repr(C)]
pub struct ServerObj {
    base: ffi::mp_obj_base_t,
    /// A method of one of the server's sessions runs. No other may begin; Python code that the first one calls could try that.
    pub busy: Cell<bool>,
    /// They are never borrowed mutably.
    pub settings: Settings,
    pub shared: Shared,
}

/// What belongs to the session whose method runs.
#[repr(C)]
pub struct Shared {
    /// How much of `replies` is in use. It comes before the large fields, where short instructions reach it.
    pub collected: usize,
    pub outlet: Outlet,
    pub work: Workspace,
    pub replies: [u8; REPLIES],
}

/// The file system below an account's home, as the core looks at it.
pub struct Home<'a> {
    pub settings: &'a Settings,
    pub home: Obj,
    /// A bytes object, or null for the root.
    pub cwd: &'a mut Obj,
}

impl Host for Home<'_> {
    fn cwd(&self) -> &[u8] {
        self.cwd.bytes().unwrap_or(b"/")
    }

    fn set_cwd(&mut self, path: &[u8]) -> Result<(), u32> {
        *self.cwd = match path {
            b"/" => Obj::NULL,
            _ => exceptions::try_bytes(path).map_err(|_| exceptions::NO_MEMORY)?,
        };
        Ok(())
    }

    fn stat(&mut self, path: &[u8]) -> Result<Stat, u32> {
        self.settings.look(|| real_path(self.home, path))
    }
}

impl Settings {
    /// A time of `os.stat` or `time.time`, in Unix seconds. Where the port counts from 2000, FAT's times before that are near the end of the 32 bits, so
    /// this wraps around.
    #[inline(never)]
    pub fn unix_seconds(&self, time: Obj) -> u32 {
        (time.to_u64() as u32).wrapping_add(self.epoch)
    }

    /// Unix seconds as the port tells times.
    pub fn port_seconds(&self, unix: u32) -> u32 {
        unix.saturating_sub(self.epoch)
    }

    /// Looks at the path that `path` gives.
    ///
    /// # Errors
    /// The `errno`.
    pub fn look(&self, mut path: impl FnMut() -> Obj) -> Result<Stat, u32> {
        self.looked(exceptions::attempt(|| obj::call_1(self.stat, path())))
    }

    /// What `os.stat` gave or raised.
    #[inline(never)]
    fn looked(&self, found: Result<Obj, Obj>) -> Result<Stat, u32> {
        let value = found.map_err(exceptions::errno)?;
        // File systems without times give 0, from whatever year the port counts.
        let modified = value.item(8);
        Ok(Stat {
            directory: value.item(0).to_u64() & DIRECTORY != 0,
            size: value.item(6).to_u64(),
            modified: if modified.to_u64() == 0 { 0 } else { self.unix_seconds(modified) },
        })
    }

    /// Whether somebody sees the commands and replies.
    pub fn is_shown(&self) -> bool {
        !self.log.is_none()
    }

    /// Shows a command, but never a password. A line that is no command for a blank too many may have one in it, too.
    #[inline(never)]
    pub fn log_command(&self, line: Option<&[u8]>) {
        let (Some(line), true) = (line, self.is_shown()) else { return };
        let mut words = line.split(|&byte| byte <= b' ').filter(|word| !word.is_empty());
        let first = words.next().unwrap_or_default();
        let second = words.next().unwrap_or_default();
        let begins =
            |word: &[u8], name: &[u8]| word.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
        self.log_line(if begins(first, b"PASS") {
            b"PASS ********"
        } else if begins(first, b"SITE") && begins(second, b"HASHPASS") {
            b"SITE HASHPASS ********"
        } else {
            line
        });
    }

    /// Shows replies, line by line.
    pub fn log_replies(&self, bytes: &[u8]) {
        if self.is_shown() {
            for line in bytes.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
                self.log_line(line.strip_suffix(b"\r").unwrap_or(line));
            }
        }
    }

    fn log_line(&self, line: &[u8]) {
        // The log must not disturb the server: an exception of the function is dropped, and so is a MemoryError.
        let _ = exceptions::attempt(|| obj::call_1(self.log, obj::new_text(line)));
    }
}

/// `Server(name, epoch, idle_timeout, data_timeout, stall_timeout, handshake_timeout, login_timeout, flags, log, owner, seed, holders, listing_times, gauge, listen)`: flags 1 is no passwords, 2 is data connections
/// from and to anyone, 4 is uploads beside the old file, 8 is that the host can set times, 16 is TLS, 32 is that it is required, 64 is that data
/// connections have none, 128 is that TLS ends without a close_notify, 256 is that the host can digest files. `owner` is in the names of unfinished uploads, which
/// are numbered from `seed` on; `holders` is the module's; `listing_times` is in microseconds, -1 as many as it takes; `gauge` is a socket that tells whether the
/// network has memory, or None ([`Outlet`]); `listen(session, action)` makes a listener and gives the outcome.
unsafe extern "C" fn make_new(ty: *const ffi::mp_obj_type_t, n_args: usize, n_kw: usize, args: *const Obj) -> Obj {
    exceptions::check_arguments(n_args, n_kw, 15);
    // SAFETY: the runtime passes `n_args` objects, and there are fifteen.
    let args = unsafe { core::slice::from_raw_parts(args, 15) };
    let flags = args[7].to_u64();
    let os = obj::import(Qstr::os);
    let settings = Settings {
        name: args[0],
        log: args[8],
        listen: args[14],
        stat: os.attr(Qstr::stat),
        clock: Clock(obj::import(Qstr::time).attr(Qstr::ticks_us)),
        holders: Holders::new(args[11]),
        epoch: args[1].to_u64() as u32,
        listing_times: args[12].to_u64() as u32,
        config: Config {
            tables: tables(),
            server_name: args[0].bytes().unwrap_or_default(),
            idle_timeout: args[2].to_u64() as u16,
            login_timeout: args[6].to_u64() as u16,
            data_timeout: args[3].to_u64() as u16,
            stall_timeout: args[4].to_u64() as u16,
            passwordless: flags & 1 != 0,
            foreign_data: flags & 2 != 0,
            atomic_uploads: flags & 4 != 0,
            owner: args[9].to_u64() as u32,
            sets_times: flags & 8 != 0,
            digests: flags & 256 != 0,
            tls: match flags & 48 {
                0 => Tls::Off,
                16 => Tls::Optional,
                _ => Tls::Required,
            },
            private_data: flags & 64 == 0,
            closes_tls: flags & 128 == 0,
            handshake_timeout: args[5].to_u64() as u16,
        },
    };
    let memory = types::allocate(size_of::<ServerObj>()).cast::<ServerObj>();
    // SAFETY: `memory` is a fresh block of that size, aligned for any object; nothing with a destructor is overwritten. The fields are
    // written one by one, so that the reply buffer is never built on the stack.
    unsafe {
        (&raw mut (*memory).base).write(ffi::mp_obj_base_t { type_: ty });
        (&raw mut (*memory).busy).write(Cell::new(false));
        (&raw mut (*memory).settings).write(settings);
        (&raw mut (*memory).shared.work).write(Workspace::new(args[10].to_u64() as u32));
        (&raw mut (*memory).shared.collected).write(0);
        (&raw mut (*memory).shared.outlet).write(Outlet::new(args[13]));
        (&raw mut (*memory).shared.replies).write_bytes(0, 1);
    }
    Obj::from_ptr(memory)
}

/// `is_open(path)`: whether a session has that file open, or one in that folder, or is going to put one there.
unsafe extern "C" fn is_open(_: usize, arguments: *const Obj) -> Obj {
    // SAFETY: a method of the type with one argument; a server's settings are never borrowed to be changed.
    let (settings, path) = unsafe { (&(*(*arguments).as_ptr::<ServerObj>()).settings, *arguments.add(1)) };
    Obj::from_bool(settings.holders.hold(&Place::whole(path), false))
}

static METHODS: [types::Function; 1] = [types::Function { code: is_open, name: Qstr::is_open, count: 2 }];

/// Makes the type.
pub fn new_type() -> Obj {
    types::new_type(Qstr::Server, make_new, None, &METHODS)
}
