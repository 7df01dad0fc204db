//! The whole session: a client that sends anything, and a host that answers anything, in any order.
//!
//! The bytes of an input are: four for the settings, one for the number of troubles, the troubles, and then the events. Each time the session asks the host for
//! something, the host takes the next trouble. If it is 0, or none is left, the host does what it should. An event is its number and its arguments.

use super::pieces::is_normal;
use super::replies::Replies;
use crate::host::Files;
use arbitrary::Unstructured;
use ftpdlite::protocol::address::{Endpoint, Ip};
use ftpdlite::protocol::command::{self, Verb};
use ftpdlite::protocol::input::LINE_MAX;
use ftpdlite::protocol::listing::Permission;
use ftpdlite::protocol::path::{is_reserved, is_unfinished, name, parent};
use ftpdlite::protocol::session::{
    self, Access, Action, Config, Dismissal, End, Outcome, REPLY_MAX, Session, Stat, Step, Tick, Tls, Turn, Workspace,
};
use ftpdlite::protocol::tables::TABLES;
use std::collections::VecDeque;

/// The numbers of events. The arguments of an event follow its number.
pub mod event {
    /// The client sends bytes: how many, and which.
    pub const SENDS: u8 = 0;
    /// The data connection is open.
    pub const CONNECTED: u8 = 1;
    /// It moves that many bytes.
    pub const MOVED: u8 = 2;
    /// The transfer ends: how.
    pub const FINISHED: u8 = 3;
    /// That many seconds pass.
    pub const SECONDS: u8 = 4;
    /// The client sends nothing more.
    pub const HANGS_UP: u8 = 5;
    /// The server ends the session: why.
    pub const DISMISSED: u8 = 6;
    /// The client logs in: 0 to an account that may do everything, 1 to one that may only read.
    pub const LOGS_IN: u8 = 7;
    /// How many events there are.
    pub const COUNT: u8 = 8;
}

/// A session with more steps than this without an event never comes to rest. One step takes at least one byte from the line buffer, or ends something.
const STEPS_MAX: usize = 2 * LINE_MAX;

/// The file system, which may give wrong answers.
struct Disc {
    files: Files,
    troubles: VecDeque<u8>,
    /// The last size that it gave.
    size: u64,
}

impl Disc {
    fn trouble(&mut self) -> u8 {
        self.troubles.pop_front().unwrap_or(0)
    }

    /// There is always memory for the root.
    fn trouble_at(&mut self, path: &[u8]) -> u8 {
        if path == b"/" { 0 } else { self.trouble() }
    }
}

impl session::Host for Disc {
    fn cwd(&self) -> &[u8] {
        session::Host::cwd(&self.files)
    }

    fn set_cwd(&mut self, path: &[u8]) -> Result<(), u32> {
        assert!(is_normal(path), "is in {}", path.escape_ascii());
        match self.trouble_at(path) {
            0 => session::Host::set_cwd(&mut self.files, path),
            error => Err(error.into()),
        }
    }

    fn stat(&mut self, path: &[u8]) -> Result<Stat, u32> {
        assert!(is_normal(path), "looked at {}", path.escape_ascii());
        assert!(!is_reserved(name(path)), "looked at {}", path.escape_ascii());
        let found = session::Host::stat(&mut self.files, path);
        let trouble = self.trouble();
        let told = match trouble {
            0 => found,
            253 => Ok(Stat { directory: true, size: u64::MAX, modified: 0 }),
            254 => Ok(Stat { directory: false, size: u64::MAX, modified: u32::MAX }),
            255 => Err(u32::MAX),
            error => Err(error.into()),
        };
        self.size = told.map_or(0, |stat| stat.size);
        told
    }
}

/// The server around the session, and what a client has seen of it.
struct Server {
    session: Session,
    line: [u8; LINE_MAX],
    work: Workspace,
    disc: Disc,
    config: Config<'static>,
    replies: Replies,
    /// Bytes since the last line end, and how many replies are due.
    unfinished: usize,
    telnet: u8,
    due: usize,
    is_clear: bool,
    closed: bool,
    hung_up: bool,
    /// Whether a transfer that is cut ends only a while later.
    ends_late: bool,
    /// Whether the command is a transfer.
    is_transfer: bool,
    /// The number of replies when `RenameFrom` was done.
    renaming: Option<usize>,
}

impl Server {
    fn new(settings: [u8; 4], troubles: VecDeque<u8>) -> Server {
        let [flags, tls, times, owner] = settings;
        let flag = |bit: u8| flags >> bit & 1 != 0;
        let ip =
            if flag(5) { Ip::v6([32, 1, 13, 184, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]) } else { Ip::V4([127, 0, 0, 1]) };
        let limit = |bit: u8| if times >> bit & 1 != 0 { 3 } else { 60 };
        let config = Config {
            tables: &TABLES,
            server_name: b"FTPdLite",
            idle_timeout: limit(0),
            login_timeout: limit(1),
            data_timeout: limit(2),
            stall_timeout: limit(3),
            handshake_timeout: limit(4),
            passwordless: flag(0),
            foreign_data: flag(1),
            atomic_uploads: !flag(2),
            sets_times: flag(3),
            digests: flag(6),
            owner: if flag(4) { u32::from(owner) << 24 | 7 } else { 0 },
            tls: [Tls::Off, Tls::Optional, Tls::Required][usize::from(tls) % 3],
            private_data: tls & 0x40 == 0,
            closes_tls: tls & 0x80 == 0,
        };
        let mut server = Server {
            session: Session::new(Endpoint { ip, port: 40000 }),
            line: [0; LINE_MAX],
            work: Workspace::new(u32::from(owner) << 24),
            disc: Disc { files: Files::new(super::FIXTURE), troubles, size: 0 },
            config,
            replies: Replies::default(),
            unfinished: 0,
            telnet: 0,
            due: 1,
            is_clear: true,
            closed: false,
            hung_up: false,
            ends_late: flag(6),
            is_transfer: false,
            renaming: None,
        };
        server.turn(|session, _, turn| session.greet(turn));
        server
    }

    /// Makes one call of the session and gives its reply to the client.
    fn turn<T>(&mut self, call: impl FnOnce(&mut Session, &mut [u8], &mut Turn<'_, Disc>) -> T) -> T {
        let mut bytes = [0; REPLY_MAX];
        let mut turn = Turn::new(&self.config, &mut self.work, &mut bytes, &mut self.disc);
        let result = call(&mut self.session, &mut self.line, &mut turn);
        assert!(!turn.out.overflowed(), "a reply is longer than REPLY_MAX");
        self.replies.read(turn.out.bytes());
        result
    }

    /// Bytes come from the client, as many at a time as the session has room for.
    fn send(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && !self.closed && !self.hung_up {
            let space = self.session.space(&mut self.line);
            let count = space.len().min(bytes.len());
            if count == 0 {
                // The line buffer is full of commands that wait for the end of the transfer.
                assert!(self.session.transfer().is_some(), "nothing more is read, and nothing runs");
                return;
            }
            space[..count].copy_from_slice(&bytes[..count]);
            self.count(&bytes[..count]);
            self.session.received(&mut self.line, count);
            bytes = &bytes[count..];
            self.run();
        }
    }

    /// Counts the lines in these bytes as a client would, without Telnet's sequences.
    fn count(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            let is_data = match (self.telnet, byte) {
                (0, 255) | (1, 251..255) => {
                    self.telnet += 1;
                    false
                }
                // Half of the Telnet sequence that comes before ABOR.
                (0, 242 | 244) => self.unfinished > 0,
                (0, _) => true,
                (1, 255 | ..240) => {
                    self.telnet = 0;
                    true
                }
                _ => {
                    self.telnet = 0;
                    false
                }
            };
            if is_data && byte == b'\n' {
                // A line that is too long has got its reply already.
                self.due += usize::from(self.unfinished < LINE_MAX);
                self.unfinished = 0;
            } else if is_data {
                self.unfinished += 1;
                self.due += usize::from(self.unfinished == LINE_MAX);
            }
        }
    }

    /// Looks at the next command.
    fn heard(&mut self) {
        let parsed = self.session.peek(&self.line).and_then(command::parse);
        let verb = parsed.and_then(|(verb, _)| TABLES.find(verb)).map(|command| command.verb);
        self.is_transfer = self.session.logged_in() && verb.is_some_and(Verb::transfers);
    }

    /// Lets the session go on until it waits.
    fn run(&mut self) {
        let mut steps = 0;
        let mut action = None;
        while !self.closed {
            steps += 1;
            assert!(steps < STEPS_MAX, "the session never comes to rest");
            let was_open = self.session.transfer().is_some();
            let step = match action.take() {
                None => {
                    self.heard();
                    self.turn(|session, line, turn| session.next(line, turn))
                }
                Some(Action::ListHere) if steps % 2 == 0 => {
                    self.replies.read(b"-rw-r--r--   1 owner group          5 Jan  1 00:00 x\r\n");
                    Step::Act(Action::ListHere)
                }
                Some(action) => self.act(action),
            };
            if !matches!(step, Step::Act(_)) && self.session.transfer().is_none() && (was_open || self.is_transfer) {
                // The transfer is over, or never began.
                self.is_transfer = false;
                assert_eq!(self.session.offset(), 0, "REST outlives the command that it was for");
            }
            match step {
                Step::Again => {}
                Step::Secure => {
                    assert!(self.is_clear && self.config.tls != Tls::Off && !self.session.logged_in());
                    self.is_clear = false;
                    // Bytes that came in clear behind AUTH must not be answered.
                    (self.due, self.unfinished, self.telnet) = (self.replies.finals, 0, 0);
                    assert_eq!(self.session.peek(&self.line), None);
                }
                Step::Act(next) => {
                    self.check(next);
                    action = Some(next);
                }
                Step::Close => self.closed = true,
                Step::Input => {
                    assert!(!self.session.space(&mut self.line).is_empty(), "reads, and has no room");
                    assert!(self.replies.is_whole());
                    if self.session.transfer().is_none() {
                        assert_eq!(self.replies.finals, self.due, "replies for commands");
                    } else {
                        assert!(self.replies.finals < self.due);
                    }
                    return;
                }
                Step::Blocked => {
                    assert!(self.session.transfer().is_some(), "waits for the end of nothing");
                    return;
                }
            }
        }
        assert!(self.replies.is_whole());
        // The 421 at the end of a session answers no command.
        let unasked = usize::from(self.session.is_dismissed() || self.replies.newest.starts_with(b"421"));
        assert!(self.replies.finals <= self.due + unasked);
    }

    /// Whether the session may ask for this now.
    fn check(&mut self, action: Action) {
        let (path, text) = (&self.work.path[..], &self.work.text[..]);
        let needs = match action {
            Action::StartTls | Action::Login | Action::Reset | Action::Unlisten | Action::Abort => Permission::NONE,
            Action::MakeDirectory => Permission::MKDIR,
            Action::RemoveDirectory | Action::RemoveFile => Permission::DELETE,
            Action::RenameFrom | Action::Rename => Permission::RENAME,
            Action::OpenWrite | Action::OpenAppend | Action::SetTime => Permission::WRITE,
            Action::OpenRead | Action::OpenList | Action::Hash | Action::ListHere | Action::CloseFile => {
                Permission::READ
            }
            Action::Kick | Action::Shutdown => Permission::SITE,
            _ => Permission::NONE,
        };
        assert!(self.session.permission().contains(needs), "{action:?} is not allowed");
        let is_open_to_all = matches!(
            action,
            Action::StartTls | Action::Login | Action::Reset | Action::Unlisten | Action::Abort | Action::HashPassword
        );
        assert!(is_open_to_all || self.session.logged_in(), "{action:?} without a login");
        if action.access() != Access::None || action == Action::Space {
            assert!(is_normal(path) && !is_reserved(name(path)), "{action:?} of {}", path.escape_ascii());
        }
        if action.access() == Access::Change && action != Action::MakeDirectory && action != Action::SetTime {
            assert!(path != b"/" || action == Action::Rename, "{action:?} of the root");
        }
        let opens = matches!(action, Action::OpenRead | Action::OpenWrite | Action::OpenAppend | Action::OpenList);
        if opens && self.session.transfer().is_some() && self.config.tls == Tls::Required && self.config.private_data {
            assert!(self.session.protects_data(), "a data connection in clear");
        }
        if let Some(endpoint) = self.session.active_endpoint() {
            let is_own = endpoint.ip == self.session.peer().ip && endpoint.port >= 1024;
            assert!(endpoint.port != 0 && (self.config.foreign_data || is_own), "dials {endpoint:?}");
        }
        match action {
            Action::Login => assert!(self.config.tls != Tls::Required || !self.is_clear, "a login in clear"),
            Action::OpenRead => assert!(self.session.offset() <= self.disc.size),
            Action::OpenWrite => {
                assert_eq!(text.is_empty(), !self.config.atomic_uploads || self.session.offset() > 0);
                assert!(text.is_empty() || is_unfinished(text) && !text.contains(&b'/'));
            }
            Action::OpenAppend => assert_eq!(self.session.offset(), 0),
            Action::Rename => {
                assert_eq!(self.renaming.take(), Some(self.replies.finals), "something between RNFR and RNTO")
            }
            _ => {}
        }
    }

    /// Does the action, or says that it failed.
    fn act(&mut self, action: Action) -> Step {
        // Nothing fails in the middle of a reply.
        let never_fails = matches!(action, Action::Who | Action::ListHere | Action::CloseFile);
        let trouble = if never_fails { 0 } else { self.disc.trouble() };
        let path = self.work.path.to_vec();
        let text: Vec<u8> = (0..=255).cycle().take(usize::from(trouble) % 300).collect();
        let is_odd = trouble > 250;
        let outcome = match (action, trouble) {
            (_, 1..=250) => Outcome::Failed(trouble.into()),
            (Action::Login, _) => match (self.session.user_name(), &self.work.text[..]) {
                _ if is_odd => Outcome::Login(Permission::from_bits(trouble)),
                (b"guest", _) => Outcome::Login(Permission::READ_ONLY),
                (_, b"secret") | (_, b"") => Outcome::Login(Permission::ALL),
                _ => Outcome::Failed(13),
            },
            (Action::RenameFrom, _) => {
                self.renaming = Some(self.replies.finals + 1);
                Outcome::Done
            }
            (Action::Passive | Action::PassiveIpv4, _) => {
                Outcome::Passive(u16::from(trouble) * 257, if is_odd { &text } else { b"127.0.0.1" })
            }
            (Action::Space | Action::Memory | Action::Collect, _) => {
                Outcome::Space(u64::MAX >> (trouble % 64), u64::MAX)
            }
            (Action::Uptime | Action::Kick, _) => Outcome::Number(u64::MAX >> (trouble % 64)),
            (Action::HashPassword, _) => Outcome::Text(&text[..text.len().min(100)]),
            (Action::Hash, _) => Outcome::Text(&[7; 32][..if is_odd { usize::from(trouble) % 33 } else { 32 }]),
            (Action::MakeDirectory, _) => {
                self.disc.files.add(&path, (None, 0)).map_or_else(Outcome::Failed, |()| Outcome::Done)
            }
            (Action::RemoveDirectory | Action::RemoveFile, _) => {
                self.disc.files.remove(&path);
                Outcome::Done
            }
            (Action::OpenWrite | Action::OpenAppend, _) => {
                self.disc.files.add(&path, (Some(b"new".to_vec()), 0)).map_or_else(Outcome::Failed, |()| Outcome::Done)
            }
            (Action::Abort, _) => {
                // The transfer's task ends it, at once or later.
                if !is_odd && !self.ends_late {
                    self.session.finish(End::Aborted);
                }
                Outcome::Done
            }
            (Action::Who, _) => {
                let mut bytes = [0; 256];
                let mut out = ftpdlite::protocol::writer::Writer::new(&mut bytes);
                self.session.describe(&TABLES, &mut out);
                self.replies.read(out.bytes());
                Outcome::Done
            }
            _ => Outcome::Done,
        };
        self.turn(|session, _, turn| session.resume(outcome, turn))
    }

    /// Lets that many seconds pass. What is late is ended as the host ends it.
    fn wait(&mut self, seconds: u8) {
        for _ in 0..seconds {
            match self.session.tick(&self.config) {
                Tick::Nothing => {}
                Tick::Control => self.run(),
                Tick::Transfer(end) => {
                    self.session.finish(end);
                    self.run();
                }
            }
            if self.closed {
                return;
            }
        }
    }

    fn event(&mut self, number: u8, input: &mut Unstructured<'_>) -> arbitrary::Result<()> {
        match number {
            event::CONNECTED if self.session.transfer().is_some() => self.session.data_connected(),
            event::MOVED => {
                let count: u8 = input.arbitrary()?;
                if self.session.transfer().is_some() {
                    self.session.data_moved(u64::from(count) << (count % 57));
                }
            }
            event::FINISHED => self.session.finish(End::from_number(u32::from(input.arbitrary::<u8>()?) % 9)),
            event::SECONDS => {
                let seconds = input.arbitrary()?;
                self.wait(seconds);
            }
            event::HANGS_UP => {
                self.hung_up = true;
                self.session.end_of_input();
            }
            event::DISMISSED => {
                let why = [
                    Dismissal::Idle,
                    Dismissal::Kicked,
                    Dismissal::Shutdown,
                    Dismissal::TooMany,
                    Dismissal::Blocked,
                    Dismissal::Login,
                    Dismissal::Displaced,
                ];
                self.session.dismiss(*input.choose(&why)?);
            }
            event::LOGS_IN => {
                let who: &[u8] = if input.arbitrary::<u8>()? % 2 == 0 {
                    b"USER tester\r\nPASS secret\r\n"
                } else {
                    b"USER guest\r\nPASS x\r\n"
                };
                self.send(who);
            }
            _ => {
                let count = input.arbitrary::<u8>()?.into();
                let bytes = input.bytes(input.len().min(count))?;
                self.send(bytes);
            }
        }
        self.run();
        Ok(())
    }
}

/// Plays any client and any host.
pub fn session(bytes: &[u8]) {
    let mut input = Unstructured::new(bytes);
    let settings = input.arbitrary().unwrap_or_default();
    let count = usize::from(input.arbitrary::<u8>().unwrap_or_default());
    let troubles = input.bytes(count.min(input.len())).unwrap_or_default().iter().copied().collect();
    let mut server = Server::new(settings, troubles);
    server.run();
    while !server.closed
        && !input.is_empty()
        && let Ok(number) = input.arbitrary::<u8>()
    {
        if server.event(number % event::COUNT, &mut input).is_err() {
            break;
        }
    }
    // In any case a session must end when its client is gone and its transfer is over.
    server.session.end_of_input();
    server.run();
    let mut transfers = 0;
    while !server.closed && transfers < LINE_MAX {
        server.session.finish(End::Broken);
        server.run();
        transfers += 1;
    }
    assert!(server.closed, "the session does not end");
}
