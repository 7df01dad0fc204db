//! One control connection as a state machine (RFC 959 5.4): lines in, replies and [`Action`]s out.
//!
//! The host calls [`Session::next`] until it is given something to do, does it, and brings the outcome to
//! [`Session::resume`]. A command that needs several actions is a chain of [`State`]s.

use super::address::{Endpoint, EprtError, Epsv, Ip, parse_eprt, parse_epsv, parse_ip, parse_port, write_passive};
use super::arguments::{
    ArgumentError, Opts, Representation, list_path, parse_allo, parse_mode, parse_offset, parse_opts, parse_structure,
    parse_type, split_time, unquote,
};
use super::command::{self, Command, Verb, When};
use super::glob;
use super::hash::Algorithm;
use super::input::{Input, Line};
use super::listing::{Entry, Facts, Kind, Permission, facts_line};
use super::path::{Path, PathError, is_reserved, name, resolve, unfinished};
use super::security::{Security, Tls};
use super::site::say_uptime;
use super::time::write_stamp;
use super::writer::Writer;

/// The longest user name, in bytes.
pub const USER_MAX: usize = 40;
/// Failed logins before the connection is closed.
const FAILURES_MAX: u8 = 3;
/// No single call of [`Session::next`] or [`Session::resume`] writes more than this, in bytes.
pub const REPLY_MAX: usize = 1024;

/// Errors of the operating system that have a reply of their own (`errno` numbers, the same on every MicroPython port but for `ENOTEMPTY`).
mod errno {
    pub const EPERM: u32 = 1;
    pub const ENOENT: u32 = 2;
    pub const ENOMEM: u32 = 12;
    pub const EACCES: u32 = 13;
    /// Another session has the file open, or something in the folder.
    pub const EBUSY: u32 = 16;
    pub const EEXIST: u32 = 17;
    pub const ENOTDIR: u32 = 20;
    pub const EISDIR: u32 = 21;
    pub const EINVAL: u32 = 22;
    pub const ENOSPC: u32 = 28;
    pub const EROFS: u32 = 30;
    pub const ENAMETOOLONG: u32 = 36;
    /// No socket for a data connection.
    pub const EADDRINUSE: u32 = 98;
    /// Too many sessions of one user.
    pub const EUSERS: u32 = 87;
    pub const ENOTEMPTY: u32 = 39;
    /// A folder is to be moved into itself.
    pub const ELOOP: u32 = 40;
    /// `ENOTEMPTY` where newlib numbers the errors.
    pub const ENOTEMPTY_NEWLIB: u32 = 90;
}

/// What the server's settings mean to a session.
pub struct Config<'a> {
    /// What the greeting and STAT call the server.
    pub server_name: &'a [u8],
    /// Seconds without a command until 421; 0 is never.
    pub idle_timeout: u16,
    /// Seconds from the connection until the login must be complete; 0 is never.
    pub login_timeout: u16,
    /// Seconds until a data connection must stand; 0 is for ever.
    pub data_timeout: u16,
    /// Seconds a data connection may stand still; 0 is for ever.
    pub stall_timeout: u16,
    /// Whether USER alone logs in, because there are no accounts.
    pub passwordless: bool,
    /// Whether PORT and EPRT may name any address and port.
    pub foreign_data: bool,
    /// Whether an upload goes to a file beside the old one until it is whole.
    pub atomic_uploads: bool,
    /// A number that no other running server has where several share files; 0 is none. It is part of the names of unfinished uploads.
    pub owner: u32,
    /// Whether the host can set the time of a file.
    pub sets_times: bool,
    /// Whether there is TLS, and whether it must be used.
    pub tls: Tls,
    /// Whether data connections may go through TLS.
    pub private_data: bool,
    /// Seconds from AUTH until the first command must come through TLS; 0 is for ever.
    pub handshake_timeout: u16,
}

/// What one action needs beside the session: shared by all sessions of a server, valid from the step that gives the action to the next step.
pub struct Workspace {
    /// The virtual path that the action is about.
    pub path: Path,
    /// The password, what stands before each name of a listing, the unfinished upload's path or the argument of SITE that belongs to the action.
    pub text: Path,
    /// The number of the next unfinished upload.
    upload: u32,
    /// The last number that STOU gave.
    unique: u32,
}

impl Workspace {
    /// An empty one. The names of unfinished uploads count from `seed`, which is another one after each restart, so that a new upload never takes the name of an
    /// old one that was left behind.
    pub fn new(seed: u32) -> Self {
        Workspace { path: Path::new(), text: Path::new(), upload: seed, unique: 0 }
    }
}

/// What only the host can do. The comment says what it finds in the workspace, and the outcome it brings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Action {
    /// Make a TLS stream of the control connection, which [`Step::Secure`] then puts in its place, and close the passive listener: `Done`.
    StartTls = 7,
    /// Check [`Session::user`] and the password in `text`: `Login` with the permissions, `Failed` when refused (after the delay that hinders guessing).
    Login,
    /// Log out and close the passive listener and whatever else the session holds: `Done`.
    Reset,
    /// Look at `path`: `Stat`.
    Stat,
    /// Make the directory `path`: `Done`.
    MakeDirectory,
    /// Remove the directory `path`: `Done`.
    RemoveDirectory,
    /// Remove the file `path`: `Done`.
    RemoveFile,
    /// Keep `path` for the next `Rename`: `Done`.
    RenameFrom,
    /// Rename the path that was kept to `path`, replacing a file that is there: `Done`. A folder that is there stays (`EISDIR`), unless it is the same one in
    /// another case; a folder is not moved into itself (`ELOOP`).
    Rename,
    /// Open a passive listener in place of the former one: `Passive` with its port.
    Passive,
    /// Close the passive listener: `Done`.
    Unlisten,
    /// Open `path` for reading at [`Session::offset`] and begin the transfer, in a task of its own that ends with [`Session::finish`]: `Done`. The host has
    /// all that it needs for the transfer before it says so.
    OpenRead,
    /// Open `path` for writing, at [`Session::offset`] in the old file when that is not 0, and begin the transfer: `Done`. When `text` is not empty, open
    /// that path instead; it becomes `path` when the transfer is `Complete`, and is removed when it is not.
    OpenWrite,
    /// Open `path` for appending and begin the transfer: `Done`.
    OpenAppend,
    /// Open the directory or the single file `path`; if there is none and [`Session::is_glob`], open its parent and list what matches the path's name. Then begin the
    /// transfer, if [`Session::transfer`] tells one: `Done`.
    OpenList,
    /// As `Passive`, for PASV: `Passive` has the address that the client can reach, too.
    PassiveIpv4,
    /// Cut the transfer that runs: `Done`.
    Abort,
    /// Close what `OpenList` and the like opened, for no transfer will come: `Done`.
    CloseFile,
    /// Write the opened listing on the control connection: `Done` at its end.
    ListHere,
    /// Measure the file system that holds `path`: `Space`.
    Space,
    /// Measure the GC heap: `Space`.
    Memory,
    /// Collect garbage: `Space` as the heap is afterwards.
    Collect,
    /// How long the server has been up: `Seconds`.
    Uptime,
    /// Write [`Session::describe`] of each session on the control connection: `Done` at the end.
    Who,
    /// Hash the password in `text`: `Text`.
    HashPassword,
    /// End the sessions of the user or address in `text`: `Count`.
    Kick,
    /// Stop the server, and restart the board when `text` is `-r`: `Done`.
    Shutdown,
    /// Digest the file `path`, which may take long, by [`Session::algorithm`]: `Text` with the digest's bytes. `path` is to be the same afterwards.
    Hash,
    /// Set the time of `path` to [`Session::time`]: `Done`.
    SetTime,
}

/// What an action does to the file or folder at its path, which others may have open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Nothing, or no more than to measure it.
    None,
    /// It opens it for reading.
    Read,
    /// It makes, changes, moves or removes it.
    Change,
}

impl Action {
    /// What it does to the file at [`Workspace::path`], and for `Rename` to that of the last `RenameFrom`.
    pub fn access(self) -> Access {
        match self {
            Action::OpenRead | Action::OpenList | Action::Hash => Access::Read,
            Action::OpenWrite
            | Action::OpenAppend
            | Action::MakeDirectory
            | Action::RemoveDirectory
            | Action::RemoveFile
            | Action::RenameFrom
            | Action::Rename
            | Action::SetTime => Access::Change,
            _ => Access::None,
        }
    }
}

/// What came of an action.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome<'a> {
    /// It is done.
    Done,
    /// It failed with this `errno`.
    Failed(u32),
    /// What stands at a path. Time in Unix seconds, 0 when unknown.
    Stat {
        /// Whether it is a directory.
        directory: bool,
        /// Bytes.
        size: u64,
        /// Unix seconds.
        modified: u32,
    },
    /// The account that logged in, and whether it is the administrator's ([`Permission::SITE`]).
    Login(Permission),
    /// A listener's port, and the server's address as text where it is known.
    Passive(u16, &'a [u8]),
    /// Bytes free and bytes in all.
    Space(u64, u64),
    /// A time, a number of sessions.
    Number(u64),
    /// Words of the host.
    Text(&'a [u8]),
}

/// What the host does next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Call again.
    Again,
    /// Read more of the control connection first.
    Input,
    /// The line buffer is full of commands that wait for the transfer's end.
    Blocked,
    /// Write what is left to write, then go on through the TLS stream.
    Secure,
    /// Do this, then [`Session::resume`].
    Act(Action),
    /// Write what is left to write and close the control connection.
    Close,
}

/// How a transfer came to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum End {
    /// Whole.
    Complete,
    /// The data connection never stood.
    NoConnection,
    /// It broke, or stood still for too long.
    Broken,
    /// Reading or writing the file failed.
    LocalError,
    /// The file system is full.
    NoSpace,
    /// Cut by ABOR, or with the session.
    Aborted,
    /// The data connection's TLS handshake failed.
    Negotiation,
    /// An upload is whole, but others read the file that it was to replace for too long.
    Busy,
}

impl End {
    /// The end with that number; an unknown one is a local error.
    pub fn from_number(number: u32) -> End {
        match number {
            0 => End::Complete,
            1 => End::NoConnection,
            2 => End::Broken,
            4 => End::NoSpace,
            5 => End::Aborted,
            6 => End::Negotiation,
            7 => End::Busy,
            _ => End::LocalError,
        }
    }
}

/// What [`Session::tick`] found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tick {
    /// All is well.
    Nothing,
    /// The control task must wake: the session is to end.
    Control,
    /// The transfer's task must wake and end so: its time is up.
    Transfer(End),
}

/// How the data connection is to be made.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Data {
    Unset,
    Passive,
    Active(Endpoint),
}

/// What the next outcome belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Ready,
    Auth,
    Login,
    Rein,
    IdleAbor,
    Cwd,
    Mkd,
    Rmd,
    Rmdir,
    Dele,
    Remove,
    Rnfr,
    RnfrKept,
    Rename,
    Size,
    Mdtm,
    Mlst,
    Allo,
    Pasv,
    Epsv,
    Port,
    Eprt,
    RetrStat,
    RetrOpen,
    StorStat,
    StorOpen,
    ListOpen,
    StatOpen,
    StatList,
    Df,
    Avbl,
    Memory,
    Uptime,
    Who,
    HashPassword,
    Kick,
    StouStat,
    HashStat,
    Hash,
    SetTime,
    /// Nothing is said whatever the outcome.
    Silent,
    Shutdown,
}

impl State {
    /// The state of a command that first looks at its path.
    fn looking_for(verb: Verb) -> State {
        match verb {
            Verb::Rmd => State::Rmd,
            Verb::Dele => State::Dele,
            Verb::Rnfr => State::Rnfr,
            Verb::Mlst => State::Mlst,
            Verb::Size => State::Size,
            Verb::Mdtm => State::Mdtm,
            _ => State::Cwd,
        }
    }
}

/// What moves over the data connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transfer {
    /// RETR: from the file.
    Retrieve,
    /// STOR: to the file, from its start or from where REST said.
    Store,
    /// STOU: to a file that was not there.
    Unique,
    /// APPE: to the file's end.
    Append,
    /// LIST.
    List,
    /// NLST.
    Names,
    /// MLSD.
    Machine,
}

/// Why a session is made to end, as its 421 says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dismissal {
    /// No command came for too long.
    Idle,
    /// SITE KICK.
    Kicked,
    /// The server stops.
    Shutdown,
    /// More connections than the server serves, in all or to one address.
    TooMany,
    /// Too many failed logins from its address.
    Blocked,
    /// The login was not complete in time.
    Login,
    /// A newcomer needs its place.
    Displaced,
}

impl Dismissal {
    fn text(self) -> &'static [u8] {
        match self {
            Dismissal::Idle => b"421 No command for too long, closing.",
            Dismissal::Kicked => b"421 Session ended by the administrator.",
            Dismissal::Shutdown => b"421 Server is shutting down.",
            Dismissal::TooMany => b"421 Too many connections.",
            Dismissal::Blocked => b"421 Too many failed logins, try again later.",
            Dismissal::Login => b"421 Login took too long.",
            Dismissal::Displaced => b"421 Idle, and another client needs the place.",
        }
    }
}

/// What a session works with for one step.
pub struct Turn<'a, 'b> {
    /// The server's settings.
    pub config: &'a Config<'a>,
    /// What the action needs.
    pub work: &'a mut Workspace,
    /// Where the reply goes: at least [`REPLY_MAX`] bytes.
    pub out: &'a mut Writer<'b>,
}

impl Turn<'_, '_> {
    /// One reply line, or the end of one.
    pub(super) fn say(&mut self, line: &[u8]) {
        self.out.put(line);
        self.out.put(b"\r\n");
    }
}

/// One control connection. The line buffer is the caller's, the same at each call and at least [`super::input::LINE_MAX`] bytes long.
///
/// In this order, so that the short ARM instructions reach the flags: they know offsets up to 31 for bytes, 62 for halves and 124 for words.
#[repr(C)]
pub struct Session {
    state: State,
    /// The account may do this; `None` before login.
    permission: Option<Permission>,
    representation: Representation,
    facts: Facts,
    failures: u8,
    user_given: bool,
    rename_pending: bool,
    extended_only: bool,
    transfer: Option<Transfer>,
    ended: Option<End>,
    /// Who asked for a digest.
    hash: Verb,
    abort_asked: bool,
    /// The host was told to cut the transfer.
    cut: bool,
    closing: bool,
    dismissal: Option<Dismissal>,
    connected: bool,
    pub(super) security: Security,
    idle: u16,
    stalled: u16,
    /// Seconds without a login.
    anonymous: u16,
    pub(super) input: Input,
    peer: Endpoint,
    data: Data,
    offset: u64,
    moved: u64,
    /// What the state remembers: the size that ALLO asked for, that of the file of RETR or HASH, or a time to set.
    number: u64,
    user: heapless::Vec<u8, USER_MAX>,
    cwd: Path,
}

/// `257 "/a b" created.`
fn say_path(turn: &mut Turn<'_, '_>, code: &[u8], path: &[u8], rest: &[u8]) {
    turn.out.put(code);
    turn.out.quoted(path);
    turn.say(rest);
}

fn say_number(turn: &mut Turn<'_, '_>, code: &[u8], number: u64, rest: &[u8]) {
    turn.out.put(code);
    turn.out.dec(number);
    turn.say(rest);
}

pub(super) const NO_PERMISSION: &[u8] = b"550 Permission denied.";
const NOT_FOUND: &[u8] = b"550 No such file or directory.";
const NOT_A_DIRECTORY: &[u8] = b"550 Not a directory.";
const IS_A_DIRECTORY: &[u8] = b"550 Is a directory.";
pub(super) const BAD_ARGUMENT: &[u8] = b"501 Bad argument.";
const PATH_TOO_LONG: &[u8] = b"550 Path too long.";
const NAME_NOT_ALLOWED: &[u8] = b"553 Name not allowed.";

/// The reply for a system call that failed; empty for an error that has none of its own.
#[inline(never)]
fn failure(error: u32) -> &'static [u8] {
    use errno::*;
    match error {
        ENOENT => NOT_FOUND,
        EBUSY => b"450 File is busy.",
        EEXIST => b"550 File exists.",
        ENOTDIR => NOT_A_DIRECTORY,
        EISDIR => IS_A_DIRECTORY,
        ENOTEMPTY | ENOTEMPTY_NEWLIB => b"550 Directory not empty.",
        EPERM | EACCES | EROFS => NO_PERMISSION,
        ENOSPC => b"452 No space left on device.",
        ENAMETOOLONG => PATH_TOO_LONG,
        EINVAL => NAME_NOT_ALLOWED,
        ELOOP => b"553 Cannot move a folder into itself.",
        ENOMEM => b"451 Not enough memory.",
        EADDRINUSE => b"425 Can't open data connection.",
        _ => b"",
    }
}

impl Session {
    /// A session with the client at `peer`, before the greeting.
    #[inline(never)]
    pub fn new(peer: Endpoint) -> Self {
        Session {
            input: Input::new(),
            security: Security::CLEAR,
            state: State::Ready,
            peer,
            data: Data::Unset,
            user: heapless::Vec::new(),
            permission: None,
            cwd: root(),
            representation: Representation::Ascii,
            facts: Facts::ALL,
            offset: 0,
            failures: 0,
            user_given: false,
            rename_pending: false,
            extended_only: false,
            transfer: None,
            ended: None,
            moved: 0,
            number: 0,
            hash: Verb::Hash,
            abort_asked: false,
            cut: false,
            closing: false,
            dismissal: None,
            idle: 0,
            stalled: 0,
            anonymous: 0,
            connected: false,
        }
    }

    /// The client's address.
    pub fn peer(&self) -> Endpoint {
        self.peer
    }

    /// The name given with USER; empty before.
    pub fn user(&self) -> &[u8] {
        &self.user
    }

    /// What the account may do; nothing before login.
    pub fn permission(&self) -> Permission {
        self.permission.unwrap_or(Permission::NONE)
    }

    /// Whether USER and PASS were accepted.
    pub fn logged_in(&self) -> bool {
        self.permission.is_some()
    }

    /// The working directory, virtual.
    pub fn cwd(&self) -> &[u8] {
        &self.cwd
    }

    /// Whether files are converted: CRLF on the wire, LF in the file.
    pub fn converts(&self) -> bool {
        self.representation == Representation::Ascii
    }

    /// The digest that is asked for.
    pub fn algorithm(&self) -> Algorithm {
        if self.hash == Verb::Xcrc { Algorithm::Crc32 } else { Algorithm::Sha256 }
    }

    /// The time to set, in Unix seconds.
    pub fn time(&self) -> u32 {
        u32::try_from(self.number).unwrap_or(u32::MAX)
    }

    /// Where REST said to begin, in bytes of the file.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The facts that MLSD shows.
    pub fn facts(&self) -> Facts {
        self.facts
    }

    /// Seconds since the client was last heard, or since its transfer's end; 0 when the session is about to end.
    pub fn idle(&self) -> u16 {
        if self.dismissal.is_some() { 0 } else { self.idle }
    }

    /// Whether the last component of the listing's path may be a pattern (RFC 3659 7.2.1 knows none for MLSD).
    pub fn is_glob(&self, work: &Workspace) -> bool {
        self.transfer != Some(Transfer::Machine) && glob::has_glob(name(&work.path))
    }

    /// The client takes what is listed on the control connection.
    pub fn listing_moved(&mut self) {
        self.idle = 0;
    }

    /// The transfer that runs or is about to.
    pub fn transfer(&self) -> Option<Transfer> {
        self.transfer
    }

    /// Where to dial for an active data connection; `None` when the client dials in.
    pub fn active_endpoint(&self) -> Option<Endpoint> {
        match self.data {
            Data::Active(endpoint) => Some(endpoint),
            _ => None,
        }
    }

    /// Whether the session wants its data connection to be made now, and whether this address may make it.
    pub fn accepts_data_from(&self, config: &Config<'_>, ip: Ip) -> bool {
        config.foreign_data || ip == self.peer.ip
    }

    /// The data connection stands.
    pub fn data_connected(&mut self) {
        self.connected = true;
        self.stalled = 0;
    }

    /// `count` more bytes have moved over the data connection.
    #[inline(never)]
    pub fn data_moved(&mut self, count: u64) {
        self.moved = self.moved.saturating_add(count);
        self.stalled = 0;
    }

    /// The bytes that the transfer has moved so far.
    pub fn moved(&self) -> u64 {
        self.moved
    }

    /// The transfer has come to its end; the next [`next`](Self::next) words it.
    pub fn finish(&mut self, end: End) {
        if self.transfer.is_some() {
            self.ended = Some(end);
        }
    }

    /// Whether the session is to end with a 421.
    pub fn is_dismissed(&self) -> bool {
        self.dismissal.is_some()
    }

    /// Makes the session end with a 421.
    pub fn dismiss(&mut self, why: Dismissal) {
        self.dismissal.get_or_insert(why);
    }

    /// The client will send nothing more: what it has sent is still answered, then the connection closes.
    pub fn end_of_input(&mut self) {
        self.closing = true;
    }

    /// The room for the next read of the control connection.
    pub fn space<'a>(&mut self, buffer: &'a mut [u8]) -> &'a mut [u8] {
        self.input.space(buffer)
    }

    /// `count` bytes were read into [`space`](Self::space).
    pub fn received(&mut self, buffer: &mut [u8], count: usize) {
        self.idle = 0;
        self.security.heard();
        self.input.received(buffer, count);
    }

    /// One second has passed.
    pub fn tick(&mut self, config: &Config<'_>) -> Tick {
        self.anonymous = if self.logged_in() { 0 } else { self.anonymous.saturating_add(1) };
        if config.login_timeout != 0 && self.anonymous > config.login_timeout {
            self.dismiss(Dismissal::Login);
            return Tick::Control;
        }
        if self.transfer.is_some() && self.ended.is_none() {
            let limit = if self.connected { config.stall_timeout } else { config.data_timeout };
            self.stalled = self.stalled.saturating_add(1);
            if limit != 0 && self.stalled > limit {
                self.stalled = 0;
                return Tick::Transfer(if self.connected { End::Broken } else { End::NoConnection });
            }
            self.idle = 0;
            return Tick::Nothing;
        }
        let limit = match self.state {
            State::Ready => self.patience(config),
            State::StatList => config.stall_timeout,
            _ => return Tick::Nothing,
        };
        self.idle = self.idle.saturating_add(1);
        if limit != 0 && self.idle > limit {
            self.dismiss(Dismissal::Idle);
            return Tick::Control;
        }
        Tick::Nothing
    }

    /// One line about the session, for SITE WHO: ` name ip:port doing`.
    #[inline(never)]
    pub fn describe(&self, out: &mut Writer<'_>) {
        out.byte(b' ');
        out.name(if self.logged_in() { &self.user } else { b"-" });
        out.byte(b' ');
        self.peer.ip.write(out);
        let (number, unit): (u64, &[u8]) = match self.transfer {
            Some(transfer) => {
                out.byte(b' ');
                out.put(transfer.verb());
                out.byte(b' ');
                (self.moved, b" bytes\r\n")
            }
            None => {
                out.put(b" idle ");
                (self.idle.into(), b" s\r\n")
            }
        };
        out.dec(number);
        out.put(unit);
    }

    /// The 220 that a client meets first.
    pub fn greet(&mut self, turn: &mut Turn<'_, '_>) {
        turn.out.put(b"220 ");
        turn.out.name(turn.config.server_name);
        turn.say(b"");
    }

    /// The line that [`next`](Self::next) will take, if it will take one: what a debugging host shows.
    pub fn peek<'a>(&mut self, buffer: &'a [u8]) -> Option<&'a [u8]> {
        if self.transfer.is_some() || self.dismissal.is_some() {
            return None;
        }
        match self.input.peek(buffer) {
            Line::Whole(line) => buffer.get(line),
            _ => None,
        }
    }

    /// Goes one step: says what is due, or takes one command. Not while an action is outstanding.
    #[inline(never)]
    pub fn next(&mut self, buffer: &mut [u8], turn: &mut Turn<'_, '_>) -> Step {
        if let Some(end) = self.ended.take() {
            self.say_end(end, turn);
            return Step::Again;
        }
        if let Some(why) = self.dismissal {
            if self.transfer.is_some() {
                return self.abort();
            }
            if !self.security.is_handshake() {
                turn.say(why.text());
            }
            return Step::Close;
        }
        if self.transfer.is_some() {
            return self.next_during_transfer(buffer, turn);
        }
        let line = match self.input.peek(buffer) {
            Line::Partial if self.closing => return Step::Close,
            Line::Partial => return Step::Input,
            Line::TooLong => {
                turn.say(b"500 Command line too long.");
                self.input.consume(buffer);
                return Step::Again;
            }
            Line::Whole(line) => line,
        };
        let step = self.execute(buffer.get(line).unwrap_or_default(), turn);
        self.input.consume(buffer);
        step
    }

    /// ABOR, STAT and NOOP act at once, the others wait in the line buffer.
    fn next_during_transfer(&mut self, buffer: &mut [u8], turn: &mut Turn<'_, '_>) -> Step {
        if self.input.take_verb(buffer, b"ABOR") {
            self.abort_asked = true;
            return self.abort();
        }
        if self.cut || self.closing && !self.quits_next(buffer) {
            return self.abort();
        }
        if let Line::Whole(line) = self.input.peek(buffer) {
            let line = buffer.get(line).unwrap_or_default();
            if line.eq_ignore_ascii_case(b"NOOP") {
                turn.say(b"200 NOOP ok.");
            } else if line.eq_ignore_ascii_case(b"STAT") {
                self.say_status(turn);
            } else if self.input.is_full(buffer) || self.closing {
                return Step::Blocked;
            } else {
                return Step::Input;
            }
            self.input.consume(buffer);
            return Step::Again;
        }
        if self.input.peek(buffer) == Line::TooLong {
            turn.say(b"500 Command line too long.");
            self.input.consume(buffer);
            return Step::Again;
        }
        Step::Input
    }

    /// A client that has hung up after QUIT still gets its transfer.
    fn quits_next(&mut self, buffer: &[u8]) -> bool {
        match self.input.peek(buffer) {
            Line::Whole(line) => buffer.get(line).is_some_and(|line| line.eq_ignore_ascii_case(b"QUIT")),
            _ => false,
        }
    }

    /// Has the transfer cut, once; its task then ends it.
    #[inline(never)]
    fn abort(&mut self) -> Step {
        if core::mem::replace(&mut self.cut, true) {
            return Step::Blocked;
        }
        self.act(Action::Abort, State::Silent)
    }

    fn say_end(&mut self, end: End, turn: &mut Turn<'_, '_>) {
        turn.say(match end {
            End::Complete => b"226 Transfer complete.",
            End::NoConnection => b"425 Can't open data connection.",
            End::Broken => b"426 Data connection broken, transfer aborted.",
            End::LocalError => b"451 Local error in processing.",
            End::NoSpace => b"452 No space left on device.",
            End::Aborted => b"426 Transfer aborted.",
            End::Negotiation => b"522 Data connection TLS negotiation failed.",
            End::Busy => b"450 File is busy, it was not replaced.",
        });
        if core::mem::take(&mut self.abort_asked) {
            turn.say(b"226 Abort successful.");
        }
        self.transfer = None;
        self.cut = false;
        self.data = Data::Unset;
        self.offset = 0;
        self.idle = 0;
    }

    pub(super) fn act(&mut self, action: Action, state: State) -> Step {
        self.state = state;
        Step::Act(action)
    }

    /// Looks the command up, checks what the table demands, and hands it to [`run`](Self::run).
    fn execute(&mut self, line: &[u8], turn: &mut Turn<'_, '_>) -> Step {
        self.idle = 0;
        let renaming = core::mem::take(&mut self.rename_pending);
        let found = command::parse(line).and_then(|(verb, argument)| Some((command::find(verb)?, argument)));
        let always = found.is_some_and(|(command, _)| command.when() == When::Always);
        let Some((command, argument)) = found.filter(|_| always || self.logged_in()) else {
            turn.say(if self.logged_in() { b"500 Unknown command." } else { b"530 Please log in with USER and PASS." });
            return Step::Again;
        };
        let refusal: &[u8] = if command.is_argument_required() && argument.is_empty() {
            b"501 Argument required."
        } else if !self.permission().contains(command.needs()) {
            NO_PERMISSION
        } else if let Some(line) = self.security_refusal(command.verb, turn.config) {
            line
        } else if command.verb == Verb::Rnto && !renaming {
            b"503 Send RNFR first."
        } else {
            return self.run(command, argument, turn);
        };
        turn.say(refusal);
        Step::Again
    }

    /// What each command does first; [`resume`](Self::resume) goes on with what the host found.
    #[inline(never)]
    fn run(&mut self, command: &Command, argument: &[u8], turn: &mut Turn<'_, '_>) -> Step {
        let line: &[u8] = match command.verb {
            Verb::User => return self.user_command(argument, turn),
            Verb::Pass => return self.pass_command(argument, turn),
            Verb::Acct => b"202 Account not needed.",
            Verb::Quit => {
                self.say_bye(turn);
                return Step::Close;
            }
            Verb::Auth => return self.auth_command(argument, turn),
            Verb::Pbsz | Verb::Prot | Verb::Ccc => self.protection_command(command.verb, argument, turn.config),
            Verb::Rein => {
                self.forget();
                self.security.reset();
                return self.act(Action::Reset, State::Rein);
            }
            Verb::Noop => b"200 NOOP ok.",
            Verb::Clnt => b"200 Noted.",
            Verb::Syst => b"215 UNIX Type: L8",
            Verb::Help => return self.help_command(argument, turn),
            Verb::Feat => return self.feat_command(turn),
            Verb::Opts => return self.opts_command(argument, turn),
            Verb::Abor => {
                self.data = Data::Unset;
                return self.act(Action::Unlisten, State::IdleAbor);
            }
            Verb::Pwd => {
                say_path(turn, b"257 ", &self.cwd, b" is the current directory.");
                return Step::Again;
            }
            Verb::Type => match parse_type(argument) {
                Ok(representation) => {
                    self.representation = representation;
                    match representation {
                        Representation::Ascii => b"200 Type set to A.",
                        Representation::Image => b"200 Type set to I.",
                    }
                }
                Err(error) => argument_error(error, b"504 Type not supported."),
            },
            Verb::Mode => match parse_mode(argument) {
                Ok(()) => b"200 Mode set to S.",
                Err(error) => argument_error(error, b"504 Mode not supported."),
            },
            Verb::Stru => match parse_structure(argument) {
                Ok(()) => b"200 Structure set to F.",
                Err(error) => argument_error(error, b"504 Structure not supported."),
            },
            Verb::Allo => match parse_allo(argument) {
                Some(size) => {
                    self.number = size;
                    return self.with_path(b"", Action::Space, State::Allo, turn);
                }
                None => BAD_ARGUMENT,
            },
            Verb::Pasv => return self.pasv_command(turn),
            Verb::Epsv => return self.epsv_command(argument, turn),
            Verb::Port => {
                let endpoint = parse_port(argument).ok_or(EprtError::Syntax);
                return self.active_command(endpoint, false, turn);
            }
            Verb::Eprt => return self.active_command(parse_eprt(argument), true, turn),
            Verb::Rest => match parse_offset(argument) {
                Some(offset) => {
                    self.offset = offset;
                    say_number(turn, b"350 Restarting at ", offset, b".");
                    return Step::Again;
                }
                None => BAD_ARGUMENT,
            },
            Verb::Retr => return self.transfer_command(Transfer::Retrieve, argument, State::RetrStat, turn),
            Verb::Stor => return self.transfer_command(Transfer::Store, argument, State::StorStat, turn),
            Verb::Stou => return self.stou_command(argument, turn),
            Verb::Appe => return self.transfer_command(Transfer::Append, argument, State::StorStat, turn),
            Verb::List => return self.list_command(Transfer::List, list_path(argument), turn),
            Verb::Nlst => return self.list_command(Transfer::Names, list_path(argument), turn),
            Verb::Mlsd => return self.list_command(Transfer::Machine, argument, turn),
            Verb::Size if self.representation == Representation::Ascii => b"550 SIZE not allowed in ASCII mode.",
            Verb::Stat if argument.is_empty() => {
                self.say_status(turn);
                return Step::Again;
            }
            Verb::Stat if !self.permission().contains(Permission::READ) => NO_PERMISSION,
            Verb::Stat => return self.open_list(list_path(argument), State::StatOpen, turn),
            Verb::Site => return self.site_command(argument, turn),
            // A time before the name sets it.
            Verb::Mdtm | Verb::Mfmt if command.verb == Verb::Mfmt || split_time(argument).is_some() => {
                return self.set_time(split_time(argument), turn);
            }
            Verb::Cdup => return self.with_path(b"..", Action::Stat, State::Cwd, turn),
            Verb::Mkd => return self.with_path(argument, Action::MakeDirectory, State::Mkd, turn),
            Verb::Avbl => return self.with_path(argument, Action::Space, State::Avbl, turn),
            Verb::Rnto => return self.with_path(argument, Action::Rename, State::Rename, turn),
            Verb::Cwd | Verb::Rmd | Verb::Dele | Verb::Rnfr | Verb::Mlst | Verb::Size | Verb::Mdtm | Verb::Mfmt => {
                return self.with_path(argument, Action::Stat, State::looking_for(command.verb), turn);
            }
            Verb::Hash | Verb::Xcrc | Verb::Xsha256 => {
                self.hash = command.verb;
                return self.with_path(unquote(argument), Action::Stat, State::HashStat, turn);
            }
            Verb::Unavailable => b"502 Command not implemented.",
        };
        turn.say(line);
        Step::Again
    }

    /// The host did what the last [`Step::Act`] asked.
    #[inline(never)]
    pub fn resume(&mut self, outcome: Outcome<'_>, turn: &mut Turn<'_, '_>) -> Step {
        let state = core::mem::replace(&mut self.state, State::Ready);
        if state == State::Login {
            // The password is not needed any more.
            turn.work.text.fill(0);
        }
        match outcome {
            Outcome::Failed(error) => self.failed(state, error, turn),
            Outcome::Stat { directory, size, modified } => self.looked(state, directory, size, modified, turn),
            _ => self.done(state, outcome, turn),
        }
    }

    /// The action of `state` failed.
    fn failed(&mut self, state: State, error: u32, turn: &mut Turn<'_, '_>) -> Step {
        let line: &[u8] = match (state, error) {
            (State::Silent, _) => return Step::Again,
            (State::Login, errno::EUSERS) => b"530 Too many sessions of this user.",
            // What the session ends for is said in its turn.
            (State::Login, _) if self.is_dismissed() => return Step::Again,
            (State::Login, _) if error != errno::ENOMEM => {
                self.failures += 1;
                self.user_given = false;
                if self.failures >= FAILURES_MAX {
                    turn.say(b"421 Too many failed logins.");
                    return Step::Close;
                }
                b"530 Login incorrect."
            }
            // It is in the action's own words: the name is free.
            (State::StouStat, errno::ENOENT) => return self.open_upload(turn),
            // Somebody else has taken the name since.
            (State::StorOpen, errno::EBUSY) if self.transfer == Some(Transfer::Unique) => return self.try_unique(turn),
            // A new file is not there yet.
            (State::StorStat, errno::ENOENT) => return self.looked(state, false, 0, 0, turn),
            (State::Auth, _) => b"431 Not enough memory for TLS.",
            (State::Allo, _) => b"202 No storage allocation necessary.",
            (State::Pasv | State::Epsv, _) => {
                self.data = Data::Unset;
                b"425 Can't open passive connection."
            }
            // RFC 3659 7.2.1: a file has no MLSD.
            (State::ListOpen, errno::ENOTDIR) if self.transfer == Some(Transfer::Machine) => b"501 Not a directory.",
            (State::HashPassword, _) if error != errno::ENOMEM => {
                b"504 This firmware cannot hash passwords, it has no cryptolib."
            }
            _ => failure(error),
        };
        self.give_transfer_up();
        if line.is_empty() {
            say_number(turn, b"550 Operation failed, error ", error.into(), b".");
        } else {
            turn.say(line);
        }
        Step::Again
    }

    /// The host has looked at the path: this is what stands there.
    fn looked(&mut self, state: State, directory: bool, size: u64, modified: u32, turn: &mut Turn<'_, '_>) -> Step {
        let at_root = turn.work.path == b"/";
        let refusal: &[u8] = match state {
            State::Rmd | State::Rnfr if at_root => NO_PERMISSION,
            State::Cwd | State::Rmd if !directory => NOT_A_DIRECTORY,
            State::Dele | State::RetrStat | State::StorStat | State::Size | State::HashStat if directory => {
                IS_A_DIRECTORY
            }
            State::RetrStat | State::StorStat if self.offset > size && self.transfer != Some(Transfer::Append) => {
                b"554 Restart offset past the end of the file."
            }
            State::Cwd => {
                self.cwd.clone_from(&turn.work.path);
                say_path(turn, b"250 Directory changed to ", &self.cwd, b".");
                return Step::Again;
            }
            State::Rmd => return self.act(Action::RemoveDirectory, State::Rmdir),
            State::Dele => return self.act(Action::RemoveFile, State::Remove),
            State::Rnfr => {
                self.rename_pending = true;
                return self.act(Action::RenameFrom, State::RnfrKept);
            }
            State::RetrStat => {
                self.number = size;
                return self.act(Action::OpenRead, State::RetrOpen);
            }
            State::StorStat if self.transfer == Some(Transfer::Append) => {
                // REST means nothing before APPE: what is appended goes to the end.
                self.offset = 0;
                return self.act(Action::OpenAppend, State::StorOpen);
            }
            State::StorStat => return self.open_upload(turn),
            State::StouStat => return self.try_unique(turn),
            State::HashStat => {
                self.number = size;
                return self.act(Action::Hash, State::Hash);
            }
            State::Size => {
                say_number(turn, b"213 ", size, b"");
                return Step::Again;
            }
            State::Mdtm if modified == 0 => b"550 The file system does not know its time.",
            State::Mdtm => {
                turn.out.put(b"213 ");
                write_stamp(modified, turn.out);
                b""
            }
            _ => {
                turn.out.put(b"250-Listing ");
                turn.out.name(&turn.work.path);
                turn.say(b"");
                let entry = Entry { name: &turn.work.path, directory, size, modified, unique: None };
                let kind = if directory { Kind::Directory } else { Kind::File };
                facts_line(&entry, kind, self.facts, self.permission(), true, turn.out);
                b"250 End"
            }
        };
        self.give_transfer_up();
        turn.say(refusal);
        Step::Again
    }

    /// The action of `state` is done.
    fn done(&mut self, state: State, outcome: Outcome<'_>, turn: &mut Turn<'_, '_>) -> Step {
        let line: &[u8] = match (state, outcome) {
            (State::Silent, _) => return Step::Again,
            (State::Auth, _) => return self.tls_begins(turn),
            (State::Login, Outcome::Login(permission)) => {
                self.permission = Some(permission);
                self.failures = 0;
                self.anonymous = 0;
                turn.out.put(b"230 User ");
                turn.out.name(&self.user);
                b" logged in."
            }
            (State::Rein, _) => b"220 Ready for new user.",
            (State::IdleAbor, _) => b"226 No transfer to abort.",
            (State::RnfrKept, _) => b"350 Ready for RNTO.",
            (State::Rename, _) => b"250 File renamed.",
            (State::Mkd, _) => {
                turn.out.put(b"257 ");
                turn.out.quoted(&turn.work.path);
                b" created."
            }
            (State::Rmdir, _) => b"250 Directory removed.",
            (State::Remove, _) => b"250 File deleted.",
            (State::Allo, Outcome::Space(free, _)) if self.number > free => b"452 No space left on device.",
            (State::Allo, _) => b"202 No storage allocation necessary.",
            (State::Avbl, Outcome::Space(free, _)) => {
                turn.out.put(b"213 ");
                turn.out.dec(free);
                b""
            }
            (State::Pasv | State::Epsv, Outcome::Passive(port, address)) => {
                return self.passive_opened(state == State::Epsv, port, address, turn);
            }
            (State::Port, _) => b"200 PORT command successful.",
            (State::Eprt, _) => b"200 EPRT command successful.",
            (State::RetrOpen | State::StorOpen, _) => {
                let unique = self.transfer == Some(Transfer::Unique);
                turn.out.put(if unique { b"150 FILE: " } else { b"150 Opening data connection for " });
                turn.out.name(name(&turn.work.path));
                if unique {
                    turn.say(b"");
                    return Step::Again;
                }
                // Converted, it will be of another size.
                if state == State::RetrOpen && !self.converts() {
                    turn.out.put(b" (");
                    turn.out.dec(self.number);
                    turn.out.put(b" bytes)");
                }
                b"."
            }
            (State::ListOpen, _) => b"150 Opening data connection for directory listing.",
            (State::StatOpen, _) => {
                turn.out.put(b"213-Listing ");
                turn.out.name(&turn.work.path);
                turn.say(b"");
                return self.act(Action::ListHere, State::StatList);
            }
            (State::StatList, _) => {
                turn.say(b"213 End of listing.");
                return self.act(Action::CloseFile, State::Silent);
            }
            (State::Df | State::Memory, Outcome::Space(free, total)) => {
                turn.out.put(b"211 ");
                turn.out.dec(free);
                turn.out.put(b" free of ");
                turn.out.dec(total);
                if state == State::Df { b" bytes on the file system." } else { b" bytes of heap." }
            }
            (State::Uptime, Outcome::Number(seconds)) => {
                say_uptime(turn, seconds);
                return Step::Again;
            }
            (State::Who, _) => b"211 End of sessions.",
            (State::Shutdown, _) => b"200 Shutting down.",
            (State::HashPassword, Outcome::Text(text)) => {
                turn.out.put(b"211 ");
                turn.out.name(text);
                b""
            }
            (State::Hash, Outcome::Text(digest)) => {
                turn.out.put(match self.hash {
                    Verb::Hash => b"213 SHA-256 0-",
                    _ => b"250 ",
                });
                if self.hash == Verb::Hash {
                    turn.out.dec(self.number);
                    turn.out.byte(b' ');
                }
                digest.iter().for_each(|&byte| turn.out.hex2(byte));
                if self.hash == Verb::Hash {
                    turn.out.byte(b' ');
                    turn.out.name(&turn.work.path);
                }
                b""
            }
            (State::SetTime, _) => {
                turn.out.put(b"213 Modify=");
                write_stamp(self.time(), turn.out);
                turn.out.put(b"; ");
                turn.out.name(&turn.work.path);
                b""
            }
            (State::Kick, Outcome::Number(0)) => b"550 No such session.",
            (State::Kick, Outcome::Number(count)) => {
                turn.out.put(b"200 Sessions ended: ");
                turn.out.dec(count);
                b"."
            }
            _ => b"451 Local error in processing.",
        };
        turn.say(line);
        Step::Again
    }

    /// Resolves the argument and asks for an action on it.
    pub(super) fn with_path(&mut self, argument: &[u8], action: Action, state: State, turn: &mut Turn<'_, '_>) -> Step {
        match self.path_refusal(argument, turn) {
            None => self.act(action, state),
            Some(refusal) => {
                turn.say(refusal);
                Step::Again
            }
        }
    }

    /// Resolves the argument, for every command that takes a path. Why it cannot be used, if it cannot.
    #[inline(never)]
    pub(super) fn path_refusal(&self, argument: &[u8], turn: &mut Turn<'_, '_>) -> Option<&'static [u8]> {
        match resolve(&self.cwd, argument, &mut turn.work.path) {
            Err(PathError::TooLong) => Some(PATH_TOO_LONG),
            Err(PathError::NotAllowed) => Some(NAME_NOT_ALLOWED),
            Ok(()) if is_reserved(name(&turn.work.path)) => Some(NOT_FOUND),
            Ok(()) => None,
        }
    }

    /// Back to the state before USER.
    pub(super) fn forget(&mut self) {
        self.permission = None;
        self.user_given = false;
        self.user.clear();
        self.cwd = root();
        self.representation = Representation::Ascii;
        self.facts = Facts::ALL;
        self.offset = 0;
        self.data = Data::Unset;
        self.extended_only = false;
    }

    fn user_command(&mut self, argument: &[u8], turn: &mut Turn<'_, '_>) -> Step {
        self.forget();
        if self.user.extend_from_slice(argument).is_err() {
            turn.say(b"501 User name too long.");
            return Step::Again;
        }
        if turn.config.passwordless {
            turn.work.text.clear();
            return self.act(Action::Login, State::Login);
        }
        self.user_given = true;
        turn.out.put(b"331 Password required for ");
        turn.out.name(argument);
        turn.say(b".");
        Step::Again
    }

    fn pass_command(&mut self, argument: &[u8], turn: &mut Turn<'_, '_>) -> Step {
        if self.logged_in() {
            turn.say(b"202 Already logged in.");
            return Step::Again;
        }
        if !self.user_given {
            turn.say(b"503 Login with USER first.");
            return Step::Again;
        }
        if !set(&mut turn.work.text, argument) {
            turn.say(b"501 Password too long.");
            return Step::Again;
        }
        self.act(Action::Login, State::Login)
    }

    fn say_bye(&self, turn: &mut Turn<'_, '_>) {
        turn.out.put(b"221 Bye");
        if self.logged_in() {
            turn.out.put(b", ");
            turn.out.name(&self.user);
        }
        turn.say(b".");
    }

    fn help_command(&mut self, argument: &[u8], turn: &mut Turn<'_, '_>) -> Step {
        if argument.is_empty() {
            turn.say(b"214-The following commands are known (* is not offered):");
            command::write_names(turn.config.tls != Tls::Off, turn.out);
            turn.say(b"214 End of help.");
        } else if let Some(command) = command::find(argument) {
            turn.out.put(b"214 Syntax: ");
            command::write_syntax(command, turn.out);
            turn.say(b"");
        } else {
            turn.say(b"502 Unknown command.");
        }
        Step::Again
    }

    fn feat_command(&mut self, turn: &mut Turn<'_, '_>) -> Step {
        turn.say(b"211-Features:");
        command::write_features(turn.config.tls != Tls::Off, turn.out);
        turn.out.put(b" MLST ");
        self.facts.write_feature(turn.out);
        if turn.config.sets_times {
            turn.out.put(b"\r\n MFMT");
        }
        turn.say(b"\r\n REST STREAM\r\n HASH SHA-256*\r\n TVFS\r\n UTF8\r\n211 End");
        Step::Again
    }

    fn opts_command(&mut self, argument: &[u8], turn: &mut Turn<'_, '_>) -> Step {
        let line: &[u8] = match parse_opts(argument) {
            Ok(Opts::Utf8On) => b"200 UTF8 is always on.",
            Ok(Opts::Utf8Off) => b"504 UTF8 cannot be switched off.",
            Ok(Opts::Hash) => b"200 SHA-256",
            Ok(Opts::Mlst(facts)) => {
                self.facts = facts;
                turn.out.put(b"200 MLST OPTS");
                if facts != Facts::NONE {
                    turn.out.byte(b' ');
                }
                facts.write_selected(turn.out);
                b""
            }
            Err(error) => argument_error(error, b"501 Option not understood."),
        };
        turn.say(line);
        Step::Again
    }

    fn pasv_command(&mut self, turn: &mut Turn<'_, '_>) -> Step {
        let line: &[u8] = if self.extended_only {
            ONLY_EPSV
        } else if matches!(self.peer.ip, Ip::V6(_)) {
            self.data = Data::Unset;
            turn.say(b"425 PASV is for IPv4, use EPSV.");
            return self.act(Action::Unlisten, State::Silent);
        } else {
            return self.act(Action::PassiveIpv4, State::Pasv);
        };
        turn.say(line);
        Step::Again
    }

    fn epsv_command(&mut self, argument: &[u8], turn: &mut Turn<'_, '_>) -> Step {
        let v6 = matches!(self.peer.ip, Ip::V6(_));
        let line: &[u8] = match parse_epsv(argument) {
            Ok(Epsv::All) => {
                self.extended_only = true;
                b"200 EPSV ALL accepted."
            }
            Ok(protocol) if protocol != if v6 { Epsv::V4 } else { Epsv::V6 } => {
                return self.act(Action::Passive, State::Epsv);
            }
            Err(EprtError::Syntax) => BAD_ARGUMENT,
            _ if v6 => b"522 Network protocol not supported, use (2).",
            _ => b"522 Network protocol not supported, use (1).",
        };
        turn.say(line);
        Step::Again
    }

    fn passive_opened(&mut self, extended: bool, port: u16, address: &[u8], turn: &mut Turn<'_, '_>) -> Step {
        if extended {
            turn.out.put(b"229 Entering Extended Passive Mode (|||");
            turn.out.dec(port.into());
            turn.say(b"|).");
        } else if let Some(Ip::V4(address)) = parse_ip(address) {
            turn.out.put(b"227 Entering Passive Mode (");
            write_passive(address, port, turn.out);
            turn.say(b").");
        } else {
            self.data = Data::Unset;
            turn.say(b"425 The server's address is not known: use EPSV, or set host.");
            return self.act(Action::Unlisten, State::Silent);
        }
        self.data = Data::Passive;
        Step::Again
    }

    /// PORT and EPRT. Only the client's own address and no privileged port, so that nobody can be attacked through the server (RFC 2577 3).
    fn active_command(
        &mut self,
        endpoint: Result<Endpoint, EprtError>,
        extended: bool,
        turn: &mut Turn<'_, '_>,
    ) -> Step {
        let line: &[u8] = if self.extended_only {
            ONLY_EPSV
        } else {
            match endpoint {
                Err(EprtError::Syntax) => BAD_ARGUMENT,
                Err(EprtError::Protocol) => NOT_THIS_PROTOCOL,
                Ok(endpoint)
                    if endpoint.port == 0
                        || !turn.config.foreign_data && (endpoint.ip != self.peer.ip || endpoint.port < 1024) =>
                {
                    if extended {
                        b"500 Illegal EPRT command."
                    } else {
                        b"500 Illegal PORT command."
                    }
                }
                Ok(endpoint) => {
                    self.data = Data::Active(endpoint);
                    return self.act(Action::Unlisten, if extended { State::Eprt } else { State::Port });
                }
            }
        };
        turn.say(line);
        Step::Again
    }

    fn transfer_command(&mut self, transfer: Transfer, argument: &[u8], state: State, turn: &mut Turn<'_, '_>) -> Step {
        if self.data == Data::Unset || self.unprotected_data(turn.config).is_some() {
            return self.no_data_connection(turn);
        }
        self.transfer_named(transfer);
        let step = self.with_path(argument, Action::Stat, state, turn);
        if step == Step::Again {
            self.give_transfer_up();
        }
        step
    }

    /// STOU: a name of its own, made of the one that is given and the number of the upload.
    fn stou_command(&mut self, argument: &[u8], turn: &mut Turn<'_, '_>) -> Step {
        let argument = if argument.is_empty() { b"upload" } else { argument };
        let step = self.transfer_command(Transfer::Unique, argument, State::StouStat, turn);
        if let Step::Act(_) = step { self.try_unique(turn) } else { step }
    }

    /// Looks whether the name with the next number is free.
    fn try_unique(&mut self, turn: &mut Turn<'_, '_>) -> Step {
        if self.number >= UNIQUE_TRIES {
            self.give_transfer_up();
            turn.say(b"450 No free name found.");
            return Step::Again;
        }
        let path = &mut turn.work.path;
        // The number of the last try goes.
        let start = path.iter().rposition(|byte| !byte.is_ascii_digit()).map_or(0, |last| last + 1);
        if self.number > 0 {
            path.truncate(start);
        } else if path.push(b'.').is_err() {
            path.clear();
        }
        // The next number, and after some that were taken, one that is further and further away.
        let step = 1u32 << self.number.saturating_sub(UNIQUE_TRIES / 2);
        self.number += 1;
        turn.work.unique = turn.work.unique.wrapping_add(step);
        let mut digits = [0; 10];
        let mut text = Writer::new(&mut digits);
        text.dec(turn.work.unique.into());
        if path.extend_from_slice(text.bytes()).is_err() || path.len() <= text.len() {
            self.give_transfer_up();
            turn.say(PATH_TOO_LONG);
            return Step::Again;
        }
        self.act(Action::Stat, State::StouStat)
    }

    /// What is to be stored at `path` may begin: beside the old file, or in it from where REST said.
    fn open_upload(&mut self, turn: &mut Turn<'_, '_>) -> Step {
        let work = &mut *turn.work;
        work.text.clear();
        work.upload = work.upload.wrapping_add(1);
        if turn.config.atomic_uploads
            && self.offset == 0
            && unfinished(&work.path, turn.config.owner, work.upload, &mut work.text).is_err()
        {
            self.give_transfer_up();
            turn.say(PATH_TOO_LONG);
            return Step::Again;
        }
        self.act(Action::OpenWrite, State::StorOpen)
    }

    /// MFMT, MDTM with a time and SITE UTIME.
    pub(super) fn set_time(&mut self, wanted: Option<(u32, &[u8])>, turn: &mut Turn<'_, '_>) -> Step {
        let line = match wanted {
            _ if !turn.config.sets_times => CANNOT_SET_TIMES,
            _ if !self.permission().contains(Permission::WRITE) => NO_PERMISSION,
            None | Some((_, b"")) => BAD_ARGUMENT,
            Some((time, path)) => {
                self.number = time.into();
                return self.with_path(path, Action::SetTime, State::SetTime, turn);
            }
        };
        turn.say(line);
        Step::Again
    }

    fn list_command(&mut self, transfer: Transfer, argument: &[u8], turn: &mut Turn<'_, '_>) -> Step {
        if self.data == Data::Unset || self.unprotected_data(turn.config).is_some() {
            return self.no_data_connection(turn);
        }
        self.transfer_named(transfer);
        let step = self.open_list(argument, State::ListOpen, turn);
        if step == Step::Again {
            self.give_transfer_up();
        }
        step
    }

    fn no_data_connection(&mut self, turn: &mut Turn<'_, '_>) -> Step {
        self.offset = 0;
        turn.say(self.unprotected_data(turn.config).unwrap_or(b"425 Use PASV, EPSV, PORT or EPRT first."));
        Step::Again
    }

    /// Asks for a listing of the argument. NLST tells names as RETR and DELE take them: with the folder before them that the client wrote (RFC 1123 4.1.2.7).
    fn open_list(&mut self, argument: &[u8], state: State, turn: &mut Turn<'_, '_>) -> Step {
        let step = self.with_path(argument, Action::OpenList, state, turn);
        turn.work.text.clear();
        if self.transfer == Some(Transfer::Names)
            && step != Step::Again
            && let Some(folder) = argument.strip_suffix(name(&turn.work.path))
            && !set(&mut turn.work.text, folder)
        {
            turn.say(PATH_TOO_LONG);
            return Step::Again;
        }
        step
    }

    /// A transfer is asked for: from here on it has a kind, but nothing moves before the host has opened what it needs.
    fn transfer_named(&mut self, transfer: Transfer) {
        self.transfer = Some(transfer);
        self.number = 0;
        self.moved = 0;
        self.stalled = 0;
        self.connected = false;
    }

    /// The command failed, before its transfer began if it has one. Then REST is forgotten; the data connection stays for the next command.
    #[inline(never)]
    fn give_transfer_up(&mut self) {
        if self.transfer.take().is_some() {
            self.offset = 0;
        }
    }

    /// STAT without an argument: the server and the session, and during a transfer how far it has come.
    fn say_status(&self, turn: &mut Turn<'_, '_>) {
        turn.out.put(b"211-");
        turn.out.name(turn.config.server_name);
        turn.out.put(b"\r\n Connected from ");
        self.peer.ip.write(turn.out);
        turn.out.put(b"\r\n Logged in as ");
        turn.out.name(&self.user);
        turn.out.put(b"\r\n TYPE: ");
        turn.out.put(match self.representation {
            Representation::Ascii => b"ASCII",
            Representation::Image => b"Image",
        });
        turn.out.put(b"; STRUcture: File; transfer MODE: Stream\r\n ");
        match (self.transfer, self.data) {
            (Some(transfer), _) => {
                turn.out.put(transfer.verb());
                turn.out.put(b" in progress, ");
                turn.out.dec(self.moved);
                turn.say(b" bytes moved");
            }
            (None, Data::Unset) => turn.say(b"No data connection"),
            (None, Data::Passive) => turn.say(b"Waiting for a passive data connection"),
            (None, Data::Active(endpoint)) => {
                turn.out.put(b"Data connection to port ");
                say_number(turn, b"", endpoint.port.into(), b"");
            }
        }
        turn.say(b"211 End of status");
    }
}

/// How many names STOU tries. The later ones are far apart, so that hardly any number of files can take them all.
const UNIQUE_TRIES: u64 = 24;
const CANNOT_SET_TIMES: &[u8] = b"504 The file system cannot set times.";
const ONLY_EPSV: &[u8] = b"501 Only EPSV is allowed after EPSV ALL.";
const NOT_THIS_PROTOCOL: &[u8] = b"522 Network protocol not supported, use (1,2).";

impl Transfer {
    /// Whether the client sends.
    pub fn is_upload(self) -> bool {
        matches!(self, Transfer::Store | Transfer::Unique | Transfer::Append)
    }

    /// The command that starts it, for STAT and WHO.
    pub fn verb(self) -> &'static [u8] {
        match self {
            Transfer::Retrieve => b"RETR",
            Transfer::Store => b"STOR",
            Transfer::Unique => b"STOU",
            Transfer::Append => b"APPE",
            Transfer::List => b"LIST",
            Transfer::Names => b"NLST",
            Transfer::Machine => b"MLSD",
        }
    }
}

fn argument_error(error: ArgumentError, unsupported: &'static [u8]) -> &'static [u8] {
    match error {
        ArgumentError::Syntax => BAD_ARGUMENT,
        ArgumentError::Unsupported => unsupported,
    }
}

fn root() -> Path {
    let mut path = Path::new();
    set(&mut path, b"/");
    path
}

/// Copies `bytes`, if they fit.
pub(super) fn set(text: &mut Path, bytes: &[u8]) -> bool {
    text.clear();
    text.extend_from_slice(bytes).is_ok()
}
