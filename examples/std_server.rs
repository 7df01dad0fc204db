//! An FTP server for a computer: sockets and files of std around the core that serves on boards, `ftpdlite::protocol`.
//!
//!     cargo run --example std_server DIR [--port N] [--user NAME:PASSWORD]
//!
//! It asks the session what comes next, does that, and tells the outcome. Each client has a thread. Without `--user` anyone may log in and read.
//! To be short, there is no TLS, a new upload overwrites the old file at once, and the server does not listen to a client while its transfer runs.

#[path = "std_server/files.rs"]
mod files;

use ftpdlite::protocol::{address::Endpoint, input::LINE_MAX, listing::Permission, session::*};
use lexopt::prelude::*;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};
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

/// One client, and what it has open.
struct Client {
    site: &'static Site,
    control: TcpStream,
    cwd: Vec<u8>,
    listener: Option<TcpListener>,
    file: Option<File>,
    listing: Vec<u8>,
    old_place: PathBuf,
}

/// The core looks at files while it decides. Everything else it asks for as an action.
impl Host for Client {
    fn cwd(&self) -> &[u8] {
        &self.cwd
    }

    fn set_cwd(&mut self, path: &[u8]) -> Result<(), u32> {
        self.cwd = path.to_vec();
        Ok(())
    }

    fn stat(&mut self, path: &[u8]) -> Result<Stat, u32> {
        self.site.place(path).and_then(fs::metadata).map(files::stat).map_err(files::errno)
    }
}

/// Sends the client what the session has said.
fn say(turn: &mut Turn<Client>) -> io::Result<()> {
    turn.host.control.write_all(turn.out.bytes())?;
    turn.out.truncate(0);
    Ok(())
}

/// Serves a client until its control connection closes.
fn talk(mut client: Client) -> io::Result<()> {
    let (mut line, mut reply, mut work) = ([0; LINE_MAX], [0; REPLY_MAX], Workspace::new(0));
    let mut session = Session::new(client.control.peer_addr()?.into());
    let address = client.control.local_addr()?.ip().to_string();
    client.control.set_read_timeout(Some(SECOND * client.site.config.idle_timeout.into()))?;
    let mut turn = Turn::new(&client.site.config, &mut work, &mut reply, &mut client);
    session.greet(&mut turn);
    loop {
        say(&mut turn)?;
        let mut step = session.next(&mut line, &mut turn);
        say(&mut turn)?;
        while let Step::Act(action) = step {
            let outcome = turn.host.act(action, &session, turn.work, &address);
            step = session.resume(outcome.unwrap_or_else(|error| Outcome::Failed(files::errno(error))), &mut turn);
            say(&mut turn)?;
        }
        match step {
            _ if session.transfer().is_some() => session.finish(turn.host.carry(&session).unwrap_or(End::Broken)),
            Step::Close => return Ok(()),
            Step::Input => match turn.host.control.read(session.space(&mut line)) {
                Ok(0) => session.end_of_input(),
                Ok(count) => session.received(&mut line, count),
                Err(_) => session.dismiss(Dismissal::Idle),
            },
            _ => {}
        }
    }
}

impl Client {
    /// A whole transfer.
    fn carry(&mut self, session: &Session) -> io::Result<End> {
        let (file, uploads) = (self.file.take(), session.transfer().is_some_and(Transfer::is_upload));
        let Ok(mut data) = self.connect(session) else { return Ok(End::NoConnection) };
        match file {
            Some(mut file) if uploads => io::copy(&mut data, &mut file)?,
            Some(mut file) => io::copy(&mut file, &mut data)?,
            None => io::copy(&mut &self.listing[..], &mut data)?,
        };
        Ok(End::Complete)
    }

    /// Makes the data connection, or waits for it.
    fn connect(&mut self, session: &Session) -> io::Result<TcpStream> {
        if let Some(endpoint) = session.active_endpoint() {
            return TcpStream::connect(SocketAddr::from(endpoint));
        }
        let (listener, start) = (self.listener.take().ok_or(ErrorKind::NotConnected)?, Instant::now());
        while start.elapsed().as_secs() < self.site.config.data_timeout.into() {
            match listener.accept() {
                Ok((data, peer)) if session.accepts_data_from(&self.site.config, Endpoint::from(peer).ip) => {
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
    fn act<'a>(&mut self, action: Action, session: &Session, work: &Workspace, ip: &'a str) -> io::Result<Outcome<'a>> {
        let place = self.site.place(&work.path)?;
        match action {
            Action::Login => {
                let said = [session.user_name(), b":", &work.text].concat();
                if self.site.account.as_ref().is_some_and(|account| account.as_bytes() != said) {
                    thread::sleep(SECOND);
                    return Err(ErrorKind::PermissionDenied.into());
                }
                let may_write = self.site.account.is_some();
                return Ok(Outcome::Login(if may_write { Permission::ALL } else { Permission::READ_ONLY }));
            }
            Action::Passive | Action::PassiveIpv4 => {
                let listener = TcpListener::bind((ip, 0))?;
                listener.set_nonblocking(true)?;
                return Ok(Outcome::Passive(self.listener.insert(listener).local_addr()?.port(), ip.as_bytes()));
            }
            Action::MakeDirectory => fs::create_dir(place)?,
            Action::RemoveDirectory => fs::remove_dir(place)?,
            Action::RemoveFile => fs::remove_file(place)?,
            Action::RenameFrom => self.old_place = place,
            Action::Rename => fs::rename(&self.old_place, place)?,
            Action::OpenRead | Action::OpenWrite | Action::OpenAppend => {
                let (writes, from) = (action == Action::OpenWrite, session.offset());
                let mut options = File::options();
                options.read(action == Action::OpenRead).append(action == Action::OpenAppend).write(writes);
                let mut file = options.create(action != Action::OpenRead).truncate(writes && from == 0).open(place)?;
                let found = file.metadata()?;
                if found.is_dir() {
                    return Err(ErrorKind::IsADirectory.into());
                }
                file.seek(SeekFrom::Start(from))?;
                self.file = Some(file);
                return Ok(if action == Action::OpenRead { Outcome::Number(found.len()) } else { Outcome::Done });
            }
            Action::OpenList => self.listing = files::list(&place, session, work)?,
            Action::ListHere => self.control.write_all(&self.listing)?,
            Action::Reset | Action::Unlisten => self.listener = None,
            Action::CloseFile | Action::Who => {}
            _ => return Err(ErrorKind::Unsupported.into()),
        }
        Ok(Outcome::Done)
    }
}

/// Serves each client that connects.
pub fn serve(listener: TcpListener, site: &'static Site) {
    for control in listener.incoming().flatten() {
        let (cwd, listing, old_place) = (b"/".to_vec(), Vec::new(), PathBuf::new());
        let client = Client { site, control, cwd, listener: None, file: None, listing, old_place };
        thread::spawn(|| talk(client));
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
        return Err(format!("there is no folder {root:?}: std_server DIR [--port N] [--user NAME:PASSWORD]").into());
    }
    let listener = TcpListener::bind(("127.0.0.1", port)).map_err(|error| format!("port {port}: {error}"))?;
    println!("{} is at ftp://127.0.0.1:{port}/", root.display());
    let config = Config { passwordless: account.is_none(), atomic_uploads: false, ..Config::default() };
    serve(listener, Box::leak(Box::new(Site { root, account, config })));
    Ok(())
}
