//! One control connection as a state machine (RFC 959 5.4): lines come in, replies and [`Action`]s go out.
//!
//! The host calls [`Session::next`] until it is given something to do, does it, and brings the outcome to [`Session::resume`].
//!
//! Each command is a function of its name (`size`, `dele`), in the file of its area, which reads from top to bottom: it resolves its path, looks at it through
//! [`Host`], and then says its reply or asks for one action. What comes after the action is next to it: a line to say, or a function of the same name with
//! `_done` behind it. `commands.rs` finds the function for a line and for an outcome.

mod actions;
mod commands;
mod data;
mod errno;
mod facts;
mod host;
mod listings;
mod login;
mod names;
mod parameters;
mod replies;
mod site;
mod status;
#[cfg(test)]
mod testing;
mod tls;
mod transfers;
mod usual;

pub use actions::{Access, Action};
pub use host::{Config, Dismissal, End, Host, Outcome, REPLY_MAX, Stat, Step, Tick, Tls, Transfer, Turn, Workspace};

use super::address::Endpoint;
use super::arguments::Representation;
use super::command::Verb;
use super::glob;
use super::input::{Input, Line};
use super::listing::{Facts, Permission};
use super::path::{Path, append, name};
use super::security::Security;
use super::texts::{Text, text};
use replies::{Answer, SAID};

/// The longest user name, in bytes.
pub const USER_MAX: usize = 40;
/// How many seconds an upload may stand still after its control connection is gone.
const ORPHAN_TIMEOUT: u16 = 5;

/// How the data connection is to be made.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Data {
    Unset,
    Passive,
    Active(Endpoint),
}

/// What the next outcome belongs to: the command whose action is outstanding.
#[derive(Clone, Copy, PartialEq, Eq)]
enum After {
    /// No action is outstanding.
    Ready,
    /// Nothing is said, whatever the outcome.
    Silent,
    /// [`Session::line`] is said when it is done.
    Say,
    Allo,
    Auth,
    Avbl,
    Df,
    ExtendedPassive,
    Hash,
    HashPassword,
    Kick,
    List,
    Login,
    Memory,
    Mkd,
    Passive,
    Retr,
    SetTime,
    StatList,
    StatOpen,
    Stor,
    Uptime,
}

/// One control connection. The line buffer is the caller's, the same at each call and at least [`super::input::LINE_MAX`] bytes long.
///
/// The fields are in this order so that short ARM instructions reach the flags. These know offsets up to 31 for bytes, 62 for halves and 124 for words.
#[repr(C)]
pub struct Session {
    after: After,
    /// What the host does next.
    step: Step,
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
    /// A listing is of the directory itself, not of what is in it.
    itself: bool,
    security: Security,
    idle: u16,
    stalled: u16,
    /// Seconds without a login.
    anonymous: u16,
    input: Input,
    /// What [`After::Say`] says.
    line: Text,
    peer: Endpoint,
    data: Data,
    offset: u64,
    moved: u64,
    /// A number that is kept during an action: the size for ALLO, the size of the file for RETR or HASH, or a time to set.
    number: u64,
    user: heapless::Vec<u8, USER_MAX>,
}

impl Session {
    /// A session with the client at `peer`, before the greeting.
    #[inline(never)]
    pub fn new(peer: Endpoint) -> Self {
        Session {
            input: Input::new(),
            security: Security::CLEAR,
            after: After::Ready,
            step: Step::Again,
            line: Text::NONE,
            peer,
            data: Data::Unset,
            user: heapless::Vec::new(),
            permission: None,
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
            itself: false,
        }
    }

    /// The client's address.
    pub fn peer(&self) -> Endpoint {
        self.peer
    }

    /// The name given with USER; empty before.
    pub fn user_name(&self) -> &[u8] {
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

    /// Whether files are converted: CRLF on the wire, LF in the file.
    pub fn converts(&self) -> bool {
        self.representation == Representation::Ascii
    }

    /// The time to set, in Unix seconds.
    pub fn time(&self) -> u32 {
        u32::try_from(self.number).unwrap_or(u32::MAX)
    }

    /// Where the transfer begins, in bytes of the file (REST).
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

    /// Whether [`Action::OpenList`] is about the directory itself, as a single file would be listed. The root has no name to list it under.
    pub fn lists_itself(&self, work: &Workspace) -> bool {
        self.itself && work.path.len() > 1
    }

    /// The client takes what is listed on the control connection.
    pub fn listing_moved(&mut self) {
        self.idle = 0;
    }

    /// The transfer that runs or is about to.
    pub fn transfer(&self) -> Option<Transfer> {
        self.transfer
    }

    /// The transfer has come to its end. The next call of [`next`](Self::next) says so.
    pub fn finish(&mut self, end: End) {
        if self.transfer.is_some() {
            self.ended = Some(end);
        }
    }

    /// Whether the session is to end with a 421.
    pub fn is_dismissed(&self) -> bool {
        self.dismissal.is_some()
    }

    /// What comes next while a digest goes on. Nothing when nobody waits for it, because the session is to end, or the client has hung up. What the client has said
    /// behind it waits, and is still answered when the client has hung up.
    pub fn attend(&self, buffer: &[u8]) -> Option<Step> {
        if self.dismissal.is_some() || self.closing && self.input.is_empty() {
            None
        } else if self.closing || self.input.is_full(buffer) {
            Some(Step::Blocked)
        } else {
            Some(Step::Input)
        }
    }

    /// Makes the session end with a 421.
    pub fn dismiss(&mut self, why: Dismissal) {
        self.dismissal.get_or_insert(why);
    }

    /// The client will send nothing more. What it has sent is still answered, then the connection closes. An upload goes on while bytes come, because a client
    /// that sends a file may close both connections at once.
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
            let mut limit = if self.connected { config.stall_timeout } else { config.data_timeout };
            if self.closing && self.is_upload() && !(1..ORPHAN_TIMEOUT).contains(&limit) {
                limit = ORPHAN_TIMEOUT;
            }
            self.stalled = self.stalled.saturating_add(1);
            if limit != 0 && self.stalled > limit {
                self.stalled = 0;
                return Tick::Transfer(if self.connected { End::Broken } else { End::NoConnection });
            }
            self.idle = 0;
            return Tick::Nothing;
        }
        let limit = match self.after {
            After::Ready => self.patience(config),
            After::StatList => config.stall_timeout,
            _ => return Tick::Nothing,
        };
        self.idle = self.idle.saturating_add(1);
        if limit != 0 && self.idle > limit {
            self.dismiss(Dismissal::Idle);
            return Tick::Control;
        }
        Tick::Nothing
    }

    /// The 220 that a client meets first.
    pub fn greet(&mut self, turn: &mut Turn<'_, impl Host>) {
        turn.text(text!("220 "));
        turn.out.name(turn.config.server_name);
        turn.end();
    }

    /// The line that [`next`](Self::next) will take, if it takes one. A host can show it for debugging.
    pub fn peek<'a>(&mut self, buffer: &'a [u8]) -> Option<&'a [u8]> {
        if self.transfer.is_some() || self.dismissal.is_some() {
            return None;
        }
        match self.input.peek(buffer) {
            Line::Whole(line) => buffer.get(line),
            _ => None,
        }
    }

    /// Goes one step: says what is due, or takes one command. It must not be called while an action is outstanding.
    #[inline(never)]
    pub fn next(&mut self, buffer: &mut [u8], turn: &mut Turn<'_, impl Host>) -> Step {
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
        let step = match self.input.peek(buffer) {
            Line::Partial if self.closing => return Step::Close,
            Line::Partial => return Step::Input,
            Line::TooLong => {
                // It may have been the command that REST was for, and it came between RNFR and RNTO.
                self.offset = 0;
                self.rename_pending = false;
                turn.say(text!("500 Command line too long."));
                Step::Again
            }
            Line::Whole(line) => self.execute(buffer.get(line).unwrap_or_default(), turn),
        };
        self.input.consume(buffer);
        step
    }

    /// Asks the host for an action.
    fn act(&mut self, action: Action, after: After) -> Answer {
        self.after = after;
        self.step = Step::Act(action);
        SAID
    }

    /// Asks the host for an action. When it is done, there is only this line to say.
    #[inline(never)]
    fn act_and_say(&mut self, action: Action, line: Text) -> Answer {
        self.line = line;
        self.act(action, After::Say)
    }
}

/// Copies `bytes`, if they fit.
fn set(text: &mut Path, bytes: &[u8]) -> bool {
    text.clear();
    append(text, bytes).is_ok()
}
