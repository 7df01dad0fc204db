//! What a session and its host exchange: the settings, looks at the file system, the outcomes of actions.

use super::actions::Action;
use crate::protocol::listing::Permission;
use crate::protocol::path::Path;
use crate::protocol::tables::Tables;
use crate::protocol::texts::{Text, text};
use crate::protocol::writer::Writer;

/// No single call of [`Session::next`](super::Session::next) or [`Session::resume`](super::Session::resume) writes more than this, in bytes.
pub const REPLY_MAX: usize = 1024;

/// The server's policy about TLS.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tls {
    /// There is no TLS.
    Off,
    /// Clients may use it.
    Optional,
    /// Nobody logs in without it. Data connections need it, too, if they may have it.
    Required,
}

/// What the server's settings mean to a session.
pub struct Config<'a> {
    /// The commands and texts, which are [`TABLES`](crate::protocol::tables::TABLES) wherever the host keeps them.
    pub tables: &'a Tables,
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
    /// Whether the host can digest files.
    pub digests: bool,
    /// Whether there is TLS, and whether it must be used.
    pub tls: Tls,
    /// Whether data connections may go through TLS.
    pub private_data: bool,
    /// Whether TLS ends with a close_notify here.
    pub closes_tls: bool,
    /// Seconds from AUTH until the first command must come through TLS; 0 is for ever.
    pub handshake_timeout: u16,
}

/// What one action needs beside the session. All sessions of a server share it. It is valid from the step that gives the action until the next step.
pub struct Workspace {
    /// The virtual path that the action is about.
    pub path: Path,
    /// A text that belongs to the action: the password, what comes before each name of a listing, the name of the unfinished upload, or the argument of SITE.
    pub text: Path,
    /// The number of the next unfinished upload.
    pub(super) upload: u32,
    /// The last number that STOU gave.
    pub(super) unique: u32,
}

impl Workspace {
    /// An empty one. The names of unfinished uploads count from `seed`, which is another one after each restart, so that a new upload never takes the name of an
    /// old one that was left behind.
    pub fn new(seed: u32) -> Self {
        Workspace { path: Path::new(), text: Path::new(), upload: seed, unique: 0 }
    }
}

/// What stands at a path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stat {
    /// Whether it is a directory.
    pub directory: bool,
    /// Bytes.
    pub size: u64,
    /// Unix seconds; 0 when unknown.
    pub modified: u32,
}

/// The file system, to look at, and the session's place in it. A look is a call, because it changes nothing and is over at once. To change or open something is
/// an [`Action`].
pub trait Host {
    /// The virtual path of the directory in which the session is: what [`set_cwd`](Self::set_cwd) got last, and the root before. The host keeps it, because it
    /// can take memory for just as many bytes as there are.
    fn cwd(&self) -> &[u8];

    /// Keeps the session's directory.
    ///
    /// # Errors
    /// The `errno` when there is no memory for it; then the former one stays. The root must always fit.
    fn set_cwd(&mut self, path: &[u8]) -> Result<(), u32>;

    /// What stands at a virtual path.
    ///
    /// # Errors
    /// The `errno`.
    fn stat(&mut self, path: &[u8]) -> Result<Stat, u32>;
}

/// What came of an action.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome<'a> {
    /// It is done.
    Done,
    /// It failed with this `errno`.
    Failed(u32),
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
    /// Do this, then [`Session::resume`](super::Session::resume).
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
    /// An upload is complete, but others read the old file for too long.
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

/// What [`Session::tick`](super::Session::tick) found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tick {
    /// All is well.
    Nothing,
    /// The control task must wake: the session is to end.
    Control,
    /// The time of the transfer is up: its task must wake and end in this way.
    Transfer(End),
}

/// The commands of [`Transfer`], in its order.
static VERBS: &[u8; 28] = b"RETRSTORSTOUAPPELISTNLSTMLSD";

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

impl Transfer {
    /// Whether the client sends.
    pub fn is_upload(self) -> bool {
        matches!(self, Transfer::Store | Transfer::Unique | Transfer::Append)
    }

    /// The command that starts it, for STAT and WHO.
    pub fn verb(self) -> &'static [u8] {
        let start = self as usize * 4;
        VERBS.get(start..start + 4).unwrap_or_default()
    }
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
    pub(super) fn text(self) -> Text {
        match self {
            Dismissal::Idle => text!("421 No command for too long, closing."),
            Dismissal::Kicked => text!("421 Session ended by the administrator."),
            Dismissal::Shutdown => text!("421 Server is shutting down."),
            Dismissal::TooMany => text!("421 Too many connections."),
            Dismissal::Blocked => text!("421 Too many failed logins, try again later."),
            Dismissal::Login => text!("421 Login took too long."),
            Dismissal::Displaced => text!("421 Idle, and another client needs the place."),
        }
    }
}

/// What a session works with for one step.
///
/// The fields are in this order so that the writer, which is used most, has the same address as the whole.
#[repr(C)]
pub struct Turn<'a, H> {
    /// Where the reply goes: at least [`REPLY_MAX`] bytes.
    pub out: Writer<'a>,
    /// The server's settings.
    pub config: &'a Config<'a>,
    /// What the action needs.
    pub work: &'a mut Workspace,
    /// The file system.
    pub host: &'a mut H,
    /// What was at the path of the last look.
    pub(super) found: Stat,
}

impl<'a, H: Host> Turn<'a, H> {
    /// For one call of the session. `buffer` is for the reply: at least [`REPLY_MAX`] bytes.
    pub fn new(config: &'a Config<'a>, work: &'a mut Workspace, buffer: &'a mut [u8], host: &'a mut H) -> Self {
        let found = Stat { directory: false, size: 0, modified: 0 };
        Turn { out: Writer::new(buffer), config, work, host, found }
    }
}
