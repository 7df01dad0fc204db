//! An FTP server for a computer: sockets and files of std around the core that serves on boards, `ftpdlite::protocol`.
//!
//!     cargo run --example std_server DIR [--port N] [--user NAME:PASSWORD]
//!
//! It shows what a host of the core does: it asks the session what comes next, does that, and tells the outcome. Each client has a thread. To be short,
//! there is no TLS, an upload takes the place of the old file at once, and nothing is heard from a client while its transfer runs. Without `--user`
//! anyone may log in and read.

use ftpdlite::protocol::listing::{Entry, Kind, Permission, facts_line, list_line, name_line};
use ftpdlite::protocol::session::*;
use ftpdlite::protocol::{address::Endpoint, glob, input::LINE_MAX, path, writer::Writer};
use lexopt::prelude::*;
use std::io::{self, Error, ErrorKind, Read, Seek, SeekFrom, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant, UNIX_EPOCH};
use std::{ffi::OsString, fs, fs::File, path::PathBuf, thread};

const SECOND: Duration = Duration::from_secs(1);

/// The folder that clients see as `/`, the account, and what the core is told.
pub struct Site {
    pub root: PathBuf,
    pub account: Option<String>,
    pub config: Config<'static>,
}

impl Site {
    /// The place of a virtual path, which begins with `/`. The core has resolved every `..` in it.
    fn place(&self, path: &[u8]) -> io::Result<PathBuf> {
        let path = std::str::from_utf8(path).map_err(|_| ErrorKind::NotFound)?.trim_end_matches('/');
        Ok([self.root.as_os_str(), path.as_ref()].into_iter().collect::<OsString>().into())
    }
}

/// A client's view of it.
struct View {
    site: &'static Site,
    cwd: Vec<u8>,
}

/// The core looks at files while it decides. Everything else it asks for as an action.
impl Host for View {
    fn cwd(&self) -> &[u8] {
        &self.cwd
    }

    fn set_cwd(&mut self, path: &[u8]) -> Result<(), u32> {
        self.cwd = path.to_vec();
        Ok(())
    }

    fn stat(&mut self, path: &[u8]) -> Result<Stat, u32> {
        self.site.place(path).and_then(fs::metadata).map(stat).map_err(errno)
    }
}

fn stat(found: fs::Metadata) -> Stat {
    let modified = found.modified().unwrap_or(UNIX_EPOCH).duration_since(UNIX_EPOCH).unwrap_or_default();
    Stat { directory: found.is_dir(), size: found.len(), modified: modified.as_secs() as u32 }
}

/// The number of an error, as Linux counts them. What has none is 38: not possible here.
fn errno(error: Error) -> u32 {
    error.raw_os_error().unwrap_or(38) as u32
}

struct Client {
    site: &'static Site,
    view: View,
    control: TcpStream,
    session: Session,
    work: Workspace,
    listener: Option<TcpListener>,
    file: Option<File>,
    listing: Vec<u8>,
    old_place: PathBuf,
}

impl Client {
    /// Serves until the control connection closes.
    fn serve(&mut self) -> io::Result<()> {
        let mut line = [0; LINE_MAX];
        let address = self.control.local_addr()?.ip();
        self.control.set_read_timeout(Some(SECOND * self.site.config.idle_timeout.into()))?;
        self.turn(|session, turn| session.greet(turn))?;
        loop {
            let mut step = self.turn(|session, turn| session.next(&mut line, turn))?;
            while let Step::Act(action) = step {
                let address = address.to_string();
                let outcome = match self.act(action) {
                    Ok(Outcome::Passive(port, _)) => Outcome::Passive(port, address.as_bytes()),
                    outcome => outcome.unwrap_or_else(|error| Outcome::Failed(errno(error))),
                };
                step = self.turn(|session, turn| session.resume(outcome, turn))?;
            }
            if self.session.transfer().is_some() {
                let why =
                    |error: Error| if error.kind() == ErrorKind::StorageFull { End::NoSpace } else { End::Broken };
                let end = self.carry().unwrap_or_else(why);
                self.session.finish(end);
                continue;
            }
            match step {
                Step::Close => return Ok(()),
                Step::Input => match self.control.read(self.session.space(&mut line)) {
                    Ok(0) => self.session.end_of_input(),
                    Ok(count) => self.session.received(&mut line, count),
                    Err(_) => self.session.dismiss(Dismissal::Idle),
                },
                _ => {}
            }
        }
    }

    /// One call of the session. What it says goes to the client.
    fn turn<T>(&mut self, call: impl FnOnce(&mut Session, &mut Turn<View>) -> T) -> io::Result<T> {
        let mut reply = [0; REPLY_MAX];
        let mut turn = Turn::new(&self.site.config, &mut self.work, &mut reply, &mut self.view);
        let result = call(&mut self.session, &mut turn);
        self.control.write_all(turn.out.bytes())?;
        Ok(result)
    }

    /// A whole transfer.
    fn carry(&mut self) -> io::Result<End> {
        let file = self.file.take();
        let Ok(mut data) = self.connect() else { return Ok(End::NoConnection) };
        match file {
            Some(mut file) if self.session.transfer().is_some_and(Transfer::is_upload) => {
                io::copy(&mut data, &mut file)
            }
            Some(mut file) => io::copy(&mut file, &mut data),
            None => io::copy(&mut &self.listing[..], &mut data),
        }?;
        Ok(End::Complete)
    }

    /// Makes the data connection, or waits for it.
    fn connect(&mut self) -> io::Result<TcpStream> {
        if let Some(endpoint) = self.session.active_endpoint() {
            return TcpStream::connect(SocketAddr::from(endpoint));
        }
        let (listener, start) = (self.listener.take().ok_or(ErrorKind::NotConnected)?, Instant::now());
        while start.elapsed().as_secs() < self.site.config.data_timeout.into() {
            match listener.accept() {
                Ok((data, peer)) if self.session.accepts_data_from(&self.site.config, Endpoint::from(peer).ip) => {
                    data.set_nonblocking(false)?;
                    data.set_read_timeout(Some(SECOND * self.site.config.stall_timeout.into()))?;
                    return Ok(data);
                }
                _ => thread::sleep(SECOND / 100),
            }
        }
        Err(ErrorKind::TimedOut.into())
    }

    /// Does what the session asks for.
    fn act(&mut self, action: Action) -> io::Result<Outcome<'static>> {
        let place = self.site.place(&self.work.path)?;
        match action {
            Action::Login => {
                let said = [self.session.user_name(), b":", &self.work.text].concat();
                if self.site.account.as_ref().is_some_and(|account| account.as_bytes() != said) {
                    thread::sleep(SECOND);
                    return Err(ErrorKind::PermissionDenied.into());
                }
                let writes = self.site.account.is_some();
                return Ok(Outcome::Login(if writes { Permission::ALL } else { Permission::READ_ONLY }));
            }
            Action::Passive | Action::PassiveIpv4 => {
                let listener = TcpListener::bind((self.control.local_addr()?.ip(), 0))?;
                listener.set_nonblocking(true)?;
                return Ok(Outcome::Passive(self.listener.insert(listener).local_addr()?.port(), b""));
            }
            Action::MakeDirectory => fs::create_dir(place)?,
            Action::RemoveDirectory => fs::remove_dir(place)?,
            Action::RemoveFile => fs::remove_file(place)?,
            Action::RenameFrom => self.old_place = place,
            // EISDIR: a folder that is there stays.
            Action::Rename if place.is_dir() && place != self.old_place => return Err(Error::from_raw_os_error(21)),
            Action::Rename => fs::rename(&self.old_place, place)?,
            Action::OpenRead | Action::OpenWrite | Action::OpenAppend => {
                let (writes, from) = (action == Action::OpenWrite, self.session.offset());
                let mut options = File::options();
                options.read(action == Action::OpenRead).append(action == Action::OpenAppend).write(writes);
                let mut file = options.create(action != Action::OpenRead).truncate(writes && from == 0).open(place)?;
                file.seek(SeekFrom::Start(from))?;
                self.file = Some(file);
            }
            Action::OpenList => self.listing = self.list()?,
            Action::ListHere => self.control.write_all(&self.listing)?,
            Action::Reset | Action::Unlisten => self.listener = None,
            Action::CloseFile | Action::Who => {}
            _ => return Err(ErrorKind::Unsupported.into()),
        }
        Ok(Outcome::Done)
    }

    /// The whole text of a listing: of a folder, of one file, or of what fits a pattern.
    fn list(&self) -> io::Result<Vec<u8>> {
        let (path, mut listing) = (&self.work.path[..], Vec::new());
        let is_folder = match fs::metadata(self.site.place(path)?) {
            Err(error) if !self.session.is_glob(&self.work) => return Err(error),
            found => found.is_ok_and(|found| found.is_dir()),
        };
        let (folder, pattern) = if is_folder { (path, &b"*"[..]) } else { (path::parent(path), path::name(path)) };
        for entry in fs::read_dir(self.site.place(folder)?)?.flatten() {
            let name = entry.file_name().into_encoded_bytes();
            let Ok(Stat { directory, size, modified }) = fs::metadata(entry.path()).map(stat) else { continue };
            if pattern != name && !glob::matches(pattern, &name) {
                continue;
            }
            let kind = if directory { Kind::Directory } else { Kind::File };
            let (entry, mut line) = (Entry { name: &name, kind, size, modified, unique: 0 }, [0; REPLY_MAX]);
            let mut out = Writer::new(&mut line);
            let (facts, permission) = (self.session.facts(), self.session.permission());
            match self.session.transfer() {
                Some(Transfer::Machine) => facts_line(&entry, facts, permission, &mut out),
                Some(Transfer::Names) => name_line(if is_folder { b"" } else { &self.work.text }, &name, &mut out),
                _ => list_line(&entry, UNIX_EPOCH.elapsed().unwrap_or_default().as_secs() as u32, &mut out),
            }
            listing.extend(out.bytes());
        }
        Ok(listing)
    }
}

/// Serves all who come.
pub fn serve(listener: TcpListener, site: &'static Site) {
    for control in listener.incoming().flatten() {
        thread::spawn(move || {
            let session = Session::new(control.peer_addr()?.into());
            let work = Workspace::new(0);
            Client {
                site,
                view: View { site, cwd: b"/".to_vec() },
                control,
                session,
                work,
                listener: None,
                file: None,
                listing: Vec::new(),
                old_place: PathBuf::new(),
            }
            .serve()
        });
    }
}

fn main() -> Result<(), lexopt::Error> {
    let (mut root, mut account, mut port) = (PathBuf::new(), None, 2121);
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Value(folder) => root = folder.into(),
            Long("port") => port = arguments.value()?.parse()?,
            Long("user") => account = Some(arguments.value()?.string()?),
            other => return Err(other.unexpected()),
        }
    }
    if !root.is_dir() {
        return Err("name a folder to serve".into());
    }
    let listener = TcpListener::bind(("127.0.0.1", port)).map_err(|error| format!("port {port}: {error}"))?;
    println!("{} is at ftp://127.0.0.1:{port}/", root.display());
    let config = Config { passwordless: account.is_none(), atomic_uploads: false, ..Config::default() };
    serve(listener, Box::leak(Box::new(Site { root, account, config })));
    Ok(())
}
