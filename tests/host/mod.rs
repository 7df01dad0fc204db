//! A host for the sans-IO core: a file system in memory, and data connections that are just byte vectors.

#![allow(dead_code, reason = "each test uses a part of it")]

use ftpdlite::protocol::address::{Endpoint, Ip};
use ftpdlite::protocol::ascii;
use ftpdlite::protocol::glob;
use ftpdlite::protocol::listing::{Entry, Kind, Permission, facts_line, list_line, name_line};
use ftpdlite::protocol::path::{is_unfinished, name, overlap, parent};
use ftpdlite::protocol::session::{
    self, Access, Action, Config, End, Outcome, Session, Stat, Step, Tls, Transfer, Turn, Workspace,
};
use ftpdlite::protocol::tables::TABLES;
use ftpdlite::protocol::time;
use ftpdlite::protocol::writer::Writer;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

const NOW: u32 = 1_800_000_000;
const NOT_FOUND: u32 = 2;
const BUSY: u32 = 16;
const EXISTS: u32 = 17;
const NOT_A_DIRECTORY: u32 = 20;
const IS_A_DIRECTORY: u32 = 21;
const NOT_EMPTY: u32 = 39;
const INTO_ITSELF: u32 = 40;
const REFUSED: u32 = 13;

/// A file's bytes, or `None` for a directory; and its time.
pub type Node = (Option<Vec<u8>>, u32);

/// The file system, and the client's directory.
pub struct Files(BTreeMap<Vec<u8>, Node>, Vec<u8>);

impl Files {
    /// The tree that a fixture describes.
    pub fn new(fixture: &str) -> Files {
        let mut files = BTreeMap::from([(b"/".to_vec(), (None, NOW))]);
        for line in fixture.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (kind, rest) = line.split_once(' ').unwrap();
            // A path is the first word; a blank in it is written \x20.
            let (path, rest) = rest.split_once(' ').unwrap_or((rest, ""));
            let (stamp, content) = rest.split_once(' ').unwrap_or((rest, ""));
            let modified = time::parse(stamp.as_bytes()).unwrap_or(NOW);
            let node = match kind {
                "dir" => (None, NOW),
                "file" => (Some(unescape(content)), modified),
                "fill" => {
                    // Copied, because miri takes long for each byte that is computed.
                    let size: usize = content.parse().unwrap();
                    let mut bytes = (0..251).collect::<Vec<u8>>().repeat(size / 251 + 1);
                    bytes.truncate(size);
                    (Some(bytes), modified)
                }
                _ => panic!("{line}"),
            };
            files.insert(unescape(path), node);
        }
        Files(files, b"/".to_vec())
    }

    /// What stands at a path, or the errno.
    pub fn stat(&self, path: &[u8]) -> Result<&Node, u32> {
        if let Some(node) = self.0.get(path) {
            return Ok(node);
        }
        match self.0.get(parent(path)) {
            Some((Some(_), _)) => Err(NOT_A_DIRECTORY),
            _ => Err(NOT_FOUND),
        }
    }

    /// A file's bytes.
    pub fn content(&self, path: &[u8]) -> Option<Vec<u8>> {
        self.0.get(path)?.0.clone()
    }

    /// Takes away what stands there.
    pub fn remove(&mut self, path: &[u8]) {
        self.0.remove(path);
    }

    fn children<'a>(&'a self, path: &'a [u8]) -> impl Iterator<Item = (&'a [u8], &'a Node)> {
        self.0
            .iter()
            .filter(move |(child, _)| *child != path && child.len() > 1 && parent(child) == path)
            .map(|(child, node)| (name(child), node))
    }

    /// Puts a file or a directory there.
    pub fn add(&mut self, path: &[u8], node: Node) -> Result<(), u32> {
        match self.stat(parent(path))? {
            (None, _) => {
                self.0.insert(path.to_vec(), node);
                Ok(())
            }
            _ => Err(NOT_A_DIRECTORY),
        }
    }
}

impl session::Host for Files {
    fn cwd(&self) -> &[u8] {
        &self.1
    }

    fn set_cwd(&mut self, path: &[u8]) -> Result<(), u32> {
        self.1 = path.to_vec();
        Ok(())
    }

    fn stat(&mut self, path: &[u8]) -> Result<Stat, u32> {
        Files::stat(self, path).map(|(content, modified)| Stat {
            directory: content.is_none(),
            size: content.as_ref().map_or(0, |content| content.len() as u64),
            modified: *modified,
        })
    }
}

/// The host: one session and everything around it.
pub struct Host {
    session: Session,
    buffer: Vec<u8>,
    work: Workspace,
    replies: Vec<u8>,
    /// The client's files.
    pub files: Files,
    /// What came to the client over the data connection and was not read yet.
    pub downloaded: Vec<u8>,
    /// Whether the client makes its data connections.
    pub connects: bool,
    /// Whether the server has closed the control connection.
    pub closed: bool,
    /// What other sessions have open.
    pub busy: Vec<Vec<u8>>,
    open: Option<Vec<u8>>,
    listing: Vec<u8>,
    renaming: Vec<u8>,
    uploading: bool,
    uploaded: bool,
    foreign_data: bool,
    atomic_uploads: bool,
    sets_times: bool,
    /// The name that the open upload gets when it is complete, if it goes to a file of its own.
    becomes: Option<Vec<u8>>,
    /// What came over the data connection for it.
    received: Vec<u8>,
    tls: Tls,
    private_data: bool,
    /// What PASV announces.
    address: String,
}

/// `\r \n \0 \t \\ \xHH` as the transcripts write them.
pub fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes().iter();
    while let Some(&byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        bytes.push(match rest.next().expect("a lone backslash") {
            b'r' => b'\r',
            b'n' => b'\n',
            b't' => b'\t',
            b'0' => 0,
            b'\\' => b'\\',
            b'x' => {
                let mut digit = || (*rest.next().unwrap() as char).to_digit(16).unwrap() as u8;
                digit() * 16 + digit()
            }
            other => panic!("\\{}", *other as char),
        });
    }
    bytes
}

/// A file's bytes as a client gets them with TYPE A.
fn on_the_wire(bytes: &[u8]) -> Vec<u8> {
    let mut buffer = vec![0; 2 * bytes.len()];
    ascii::source(&mut buffer)[..bytes.len()].copy_from_slice(bytes);
    let count = ascii::fill(&mut buffer, bytes.len());
    buffer.truncate(count);
    buffer
}

impl Host {
    /// A host with a fresh copy of the fixture and a client that has just connected from 127.0.0.1.
    pub fn new(fixture: &str) -> Host {
        let mut host = Host {
            session: Session::new(Endpoint { ip: Ip::V4([127, 0, 0, 1]), port: 40000 }),
            buffer: vec![0; 512],
            // The next unfinished upload has the number 0, whatever STOU counts.
            work: Workspace::new(u32::MAX),
            replies: Vec::new(),
            files: Files::new(fixture),
            downloaded: Vec::new(),
            connects: true,
            closed: false,
            busy: Vec::new(),
            open: None,
            listing: Vec::new(),
            renaming: Vec::new(),
            uploading: false,
            uploaded: false,
            foreign_data: false,
            atomic_uploads: true,
            sets_times: false,
            becomes: None,
            received: Vec::new(),
            tls: Tls::Off,
            private_data: true,
            address: "127.0.0.1".into(),
        };
        host.step(|session, _, turn| session.greet(turn));
        host
    }

    fn config(&self) -> Config<'static> {
        Config {
            tables: &TABLES,
            server_name: b"FTPdLite (MicroPython)",
            idle_timeout: 300,
            login_timeout: 30,
            data_timeout: 10,
            stall_timeout: 60,
            passwordless: false,
            foreign_data: self.foreign_data,
            atomic_uploads: self.atomic_uploads,
            owner: 0,
            sets_times: self.sets_times,
            digests: true,
            tls: self.tls,
            private_data: self.private_data,
            // As with every firmware so far.
            closes_tls: false,
            handshake_timeout: 60,
        }
    }

    /// One call of the session; what it says goes to the client.
    fn step<T>(&mut self, call: impl FnOnce(&mut Session, &mut [u8], &mut Turn<'_, Files>) -> T) -> T {
        let mut bytes = [0; session::REPLY_MAX];
        let config = self.config();
        let mut turn = Turn::new(&config, &mut self.work, &mut bytes, &mut self.files);
        let step = call(&mut self.session, &mut self.buffer, &mut turn);
        assert!(!turn.out.overflowed(), "a reply is longer than REPLY_MAX");
        self.replies.extend(turn.out.bytes());
        step
    }

    /// `key=value` of an `@config` line.
    pub fn configure(&mut self, setting: &str) {
        match setting.split_once('=') {
            Some(("allow_foreign_data", value)) => self.foreign_data = matches!(value, "1" | "True" | "true"),
            Some(("sets_times", value)) => self.sets_times = matches!(value, "1" | "True" | "true"),
            Some(("atomic_uploads", value)) => self.atomic_uploads = matches!(value, "1" | "True" | "true"),
            Some(("tls", "optional")) => self.tls = Tls::Optional,
            Some(("tls", "required")) => self.tls = Tls::Required,
            Some(("private_data", value)) => self.private_data = value == "True",
            Some(("masquerade_address", value)) => self.address = value.into(),
            Some(("data_timeout" | "idle_timeout" | "stall_timeout" | "login_timeout" | "login_delay", _)) => {}
            _ => panic!("unknown setting {setting}"),
        }
    }

    /// What `<me>` stands for in `PORT <me>` or `EPRT <me>`.
    pub fn own_address(&self, command: &str) -> &'static str {
        if command.starts_with("EPRT") { "|1|127.0.0.1|50000|" } else { "127,0,0,1,195,80" }
    }

    /// The client sends these bytes.
    pub fn send(&mut self, mut bytes: &[u8]) {
        loop {
            self.run();
            let space = self.session.space(&mut self.buffer);
            let count = space.len().min(bytes.len());
            if count == 0 || self.closed {
                return;
            }
            space[..count].copy_from_slice(&bytes[..count]);
            self.session.received(&mut self.buffer, count);
            bytes = &bytes[count..];
            self.run();
        }
    }

    /// The next line of the control connection, if there is one.
    pub fn line(&mut self) -> Option<Vec<u8>> {
        let end = self.replies.iter().position(|&byte| byte == b'\n')?;
        let line: Vec<u8> = self.replies.drain(..=end).collect();
        Some(line.strip_suffix(b"\r\n").expect("a reply ends in CRLF").to_vec())
    }

    /// The client sends these bytes over the data connection; whether an upload is under way.
    pub fn upload(&mut self, bytes: &[u8]) -> bool {
        if !self.uploading {
            return false;
        }
        self.uploaded = true;
        self.session.data_moved(bytes.len() as u64);
        self.received.extend(bytes);
        true
    }

    /// The client closes the data connection, if it has uploaded something.
    pub fn end_upload(&mut self) {
        if self.uploading && self.uploaded {
            self.end(End::Complete);
        }
    }

    /// The client closes the control connection.
    pub fn hang_up(&mut self) {
        self.session.end_of_input();
        self.run();
    }

    /// The client breaks the data connection.
    pub fn drop_data(&mut self) {
        if self.uploading {
            self.end(End::Broken);
        }
    }

    fn end(&mut self, end: End) {
        self.close_upload(end);
        self.session.finish(end);
        self.run();
    }

    /// The received bytes go to the file. They stay there if the upload is complete, or if there was no such file.
    fn close_upload(&mut self, end: End) {
        self.uploading = false;
        self.uploaded = false;
        let mut bytes = std::mem::take(&mut self.received);
        if self.session.converts() {
            let count = bytes.len();
            let count = ascii::take(&mut bytes, 0, count);
            bytes.truncate(count);
        }
        let Some(path) = self.open.take() else { return };
        if let Some((Some(content), _)) = self.files.0.get_mut(&path) {
            // REST: in the old file, from there on.
            let append = self.session.transfer() == Some(Transfer::Append);
            let at = if append { content.len() } else { self.session.offset() as usize };
            content.resize(content.len().max(at + bytes.len()), 0);
            content[at..at + bytes.len()].copy_from_slice(&bytes);
        }
        if let Some(becomes) = self.becomes.take() {
            let whole = self.files.0.remove(&path).unwrap();
            let stays = matches!(end, End::Broken | End::Aborted) && !bytes.is_empty();
            if end == End::Complete || stays && !self.files.0.contains_key(&becomes) {
                self.files.0.insert(becomes, whole);
            }
        }
    }

    /// The next line of the data connection, its line end included; what is left, when there is none.
    pub fn download_line(&mut self) -> Vec<u8> {
        let end = self.downloaded.iter().position(|&byte| byte == b'\n').map_or(self.downloaded.len(), |at| at + 1);
        self.downloaded.drain(..end).collect()
    }

    /// The next `count` bytes of the data connection.
    pub fn download(&mut self, count: usize) -> Vec<u8> {
        self.downloaded.drain(..count.min(self.downloaded.len())).collect()
    }

    /// Lets the session go on until it waits.
    fn run(&mut self) {
        let mut action = None;
        while !self.closed {
            let step = match action.take() {
                None => self.step(|session, line, turn| session.next(line, turn)),
                Some(action) => {
                    let address = self.address.clone();
                    let (outcome, text) = self.try_to(action);
                    let outcome = match outcome {
                        Outcome::Passive(port, _) => Outcome::Passive(port, address.as_bytes()),
                        other if text.is_empty() => other,
                        _ => Outcome::Text(&text),
                    };
                    self.step(|session, _, turn| session.resume(outcome, turn))
                }
            };
            match step {
                // What comes from here on has come through TLS.
                Step::Again | Step::Secure => {}
                Step::Act(Action::ListHere) => {
                    self.replies.append(&mut self.listing);
                    action = Some(Action::ListHere);
                }
                Step::Act(next) => action = Some(next),
                Step::Close => self.closed = true,
                Step::Input | Step::Blocked => return,
            }
        }
    }

    /// Does an action, unless somebody else has the file open.
    fn try_to(&mut self, action: Action) -> (Outcome<'static>, Vec<u8>) {
        let changed = [&self.work.path[..], if action == Action::Rename { &self.renaming } else { b"" }];
        let is_busy = |path: &Vec<u8>| changed.iter().any(|changed| overlap(changed, path) > 0);
        if action.access() == Access::Change && self.busy.iter().any(is_busy) {
            return (Outcome::Failed(BUSY), Vec::new());
        }
        self.act(action)
    }

    fn act(&mut self, action: Action) -> (Outcome<'static>, Vec<u8>) {
        let path = self.work.path.to_vec();
        let outcome = match action {
            Action::Login => {
                let granted = match (self.session.user_name(), &self.work.text[..]) {
                    (b"tester", b"secret") => Permission::ALL,
                    (b"guest", b"guest") => Permission::READ_ONLY,
                    _ => return (Outcome::Failed(REFUSED), Vec::new()),
                };
                Ok(Outcome::Login(granted))
            }
            Action::MakeDirectory => match self.files.stat(&path) {
                Ok(_) => Err(EXISTS),
                Err(_) => self.files.add(&path, (None, NOW)).map(|()| Outcome::Done),
            },
            Action::RemoveDirectory if self.files.children(&path).next().is_some() => Err(NOT_EMPTY),
            Action::RemoveDirectory | Action::RemoveFile => {
                self.files.0.remove(&path);
                Ok(Outcome::Done)
            }
            Action::RenameFrom => {
                self.renaming = path;
                Ok(Outcome::Done)
            }
            Action::Rename => self.rename(&path),
            Action::Passive | Action::PassiveIpv4 => return (Outcome::Passive(50001, b""), Vec::new()),
            Action::OpenRead => {
                self.downloaded.clear();
                // Like FAT, it does not say that it is a folder.
                let found = self.files.stat(&path).map(|_| self.files.content(&path));
                found.and_then(|content| content.ok_or(NOT_FOUND)).map(|content| {
                    let bytes = content[self.session.offset() as usize..].to_vec();
                    self.listing = if self.session.converts() { on_the_wire(&bytes) } else { bytes };
                    self.transfer();
                    Outcome::Number(content.len() as u64)
                })
            }
            Action::OpenWrite | Action::OpenAppend => {
                let kept = action == Action::OpenAppend || self.session.offset() > 0;
                let old = self.files.content(&path).filter(|_| kept).unwrap_or_default();
                let own = action == Action::OpenWrite && !self.work.text.is_empty();
                let folder = &path[..path.len() - name(&path).len()];
                let opened = if own { [folder, &self.work.text].concat() } else { path.clone() };
                self.becomes = own.then_some(path);
                self.open = Some(opened.clone());
                self.files.add(&opened, (Some(old), NOW)).map(|()| {
                    self.transfer();
                    Outcome::Done
                })
            }
            Action::OpenList => self.list(&path).inspect(|_| {
                if self.session.transfer().is_some() {
                    self.transfer();
                }
            }),
            Action::Space if self.files.stat(&path).is_err() => Err(NOT_FOUND),
            Action::Space => Ok(Outcome::Space(1 << 20, 1 << 21)),
            Action::Memory | Action::Collect => Ok(Outcome::Space(1000, 2000)),
            Action::Uptime => Ok(Outcome::Number(93784)),
            Action::Who => {
                let mut bytes = [0; 256];
                let mut out = Writer::new(&mut bytes);
                self.session.describe(&TABLES, &mut out);
                self.replies.extend(out.bytes());
                Ok(Outcome::Done)
            }
            Action::HashPassword => {
                return (
                    Outcome::Done,
                    b"$pbkdf2-sha256$10000$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_vec(),
                );
            }
            Action::Kick => Ok(Outcome::Number(0)),
            Action::Hash => {
                return (Outcome::Done, Sha256::digest(self.files.content(&path).unwrap()).to_vec());
            }
            Action::Checksum => {
                return (Outcome::Done, crc32(&self.files.content(&path).unwrap()).to_be_bytes().to_vec());
            }
            Action::SetTime => match self.files.0.get_mut(&path) {
                Some((_, modified)) => {
                    *modified = self.session.time();
                    Ok(Outcome::Done)
                }
                None => Err(NOT_FOUND),
            },
            Action::Abort => {
                self.close_upload(End::Aborted);
                self.session.finish(End::Aborted);
                Ok(Outcome::Done)
            }
            Action::StartTls
            | Action::Reset
            | Action::Unlisten
            | Action::CloseFile
            | Action::ListHere
            | Action::Shutdown => Ok(Outcome::Done),
        };
        (outcome.unwrap_or_else(Outcome::Failed), Vec::new())
    }

    fn rename(&mut self, to: &[u8]) -> Result<Outcome<'static>, u32> {
        self.files.stat(parent(to))?;
        let from = std::mem::take(&mut self.renaming);
        // Here two names are the same only if their bytes are.
        if to != from && self.files.stat(to).is_ok_and(|(content, _)| content.is_none()) {
            return Err(IS_A_DIRECTORY);
        }
        let same = overlap(&from, to);
        if same < to.len() && to.get(..same) == Some(&from[..]) && self.files.stat(&from)?.0.is_none() {
            return Err(INTO_ITSELF);
        }
        let moved: Vec<_> = self
            .files
            .0
            .keys()
            .filter(|path| **path == from || path.starts_with(&[&from[..], b"/"].concat()))
            .cloned()
            .collect();
        for path in moved {
            let node = self.files.0.remove(&path).unwrap();
            self.files.0.insert([to, &path[from.len()..]].concat(), node);
        }
        Ok(Outcome::Done)
    }

    /// Formats a listing as a whole; the native module does it piece by piece.
    fn list(&mut self, path: &[u8]) -> Result<Outcome<'static>, u32> {
        let pattern = if self.session.is_glob(&self.work) { name(path).to_vec() } else { Vec::new() };
        let before = self.work.text.to_vec();
        let (folder, wanted) = match self.files.stat(path) {
            Ok((None, _)) if self.session.lists_itself(&self.work) => (parent(path), Some(name(path).to_vec())),
            Ok((None, _)) => (path, None),
            Ok((Some(_), _)) if self.session.transfer() == Some(Transfer::Machine) => return Err(NOT_A_DIRECTORY),
            Ok((Some(_), _)) => (parent(path), Some(name(path).to_vec())),
            Err(_) if !pattern.is_empty() && matches!(self.files.stat(parent(path)), Ok((None, _))) => {
                (parent(path), None)
            }
            Err(error) => return Err(error),
        };
        let globbed = wanted.is_none() && folder != path;
        let mut bytes = vec![0; 1 << 16];
        let mut out = Writer::new(&mut bytes);
        if self.session.transfer() == Some(Transfer::Machine) {
            for (name, kind) in [(&b"."[..], Kind::Current), (b"..", Kind::Parent)] {
                let entry = Entry { name, kind, size: 0, modified: 0, unique: 0 };
                facts_line(&entry, self.session.facts(), self.session.permission(), &mut out);
            }
        }
        for (name, (content, modified)) in self.files.children(folder).filter(|(name, _)| !is_unfinished(name)) {
            if wanted.as_ref().is_some_and(|wanted| wanted != name) || globbed && !glob::matches(&pattern, name) {
                continue;
            }
            let size = content.as_ref().map_or(0, |content| content.len() as u64);
            let kind = if content.is_none() { Kind::Directory } else { Kind::File };
            let entry = Entry { name, kind, size, modified: *modified, unique: 0 };
            match self.session.transfer() {
                Some(Transfer::Names) if folder != path => name_line(&before, name, &mut out),
                Some(Transfer::Names) => name_line(b"", name, &mut out),
                Some(Transfer::Machine) => {
                    facts_line(&entry, self.session.facts(), self.session.permission(), &mut out);
                }
                _ => list_line(&entry, NOW, &mut out),
            }
        }
        self.listing = out.bytes().to_vec();
        Ok(Outcome::Done)
    }

    fn transfer(&mut self) {
        let connected = std::mem::replace(&mut self.connects, true);
        if !connected {
            return self.session.finish(End::NoConnection);
        }
        self.session.data_connected();
        match self.session.transfer() {
            Some(transfer) if transfer.is_upload() => self.uploading = true,
            _ => {
                self.downloaded = std::mem::take(&mut self.listing);
                self.session.data_moved(self.downloaded.len() as u64);
                self.session.finish(End::Complete);
            }
        }
    }
}

/// CRC-32 (ISO 3309).
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    })
}
