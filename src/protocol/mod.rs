//! The FTP core without input and output: bytes and outcomes come in, reply bytes and actions go out.
//!
//! Nothing here knows sockets, files or MicroPython. Nothing allocates. Nothing is `unsafe`. So it serves on a board as well as on a computer: what it needs
//! from its surroundings is a *host*, which has the sockets and the files.
//!
//! # The story of a command
//!
//! 1. The host reads from the control connection into [`Session::space`](session::Session::space) and calls
//!    [`Session::received`](session::Session::received). [`input`] takes out the Telnet sequences and cuts the bytes into lines.
//! 2. The host calls [`Session::next`](session::Session::next) with a [`Turn`](session::Turn). The turn holds the settings, room for the reply, and the
//!    [`Host`](session::Host), whose files the session may look at. `next` takes one line.
//! 3. [`command`] has the table that says who may send what, and when; the host lends it to the session ([`tables`]). [`arguments`] and [`address`] parse what follows the verb. [`path`] resolves names, so
//!    that no client leaves its folder or uses a name that a file system would read as another one.
//! 4. The command's function in [`session`] writes its reply through a [`Writer`](writer::Writer). The [`Step`](session::Step) says what the host does next:
//!    read more, close, or do an [`Action`](session::Action), such as to remove a file or to begin a transfer.
//! 5. The host does the action and calls [`Session::resume`](session::Session::resume) with the [`Outcome`](session::Outcome). The session writes the rest
//!    of the reply.
//!
//! # The story of a transfer
//!
//! The host moves the bytes. The session counts them ([`Session::data_moved`](session::Session::data_moved)), keeps the time
//! ([`Session::tick`](session::Session::tick)), and answers ABOR, STAT and NOOP meanwhile. At the [`End`](session::End) of the transfer the host calls
//! [`Session::finish`](session::Session::finish), and the following `next` writes the reply.
//!
//! Some modules help the host with that: [`ascii`] converts line ends, [`glob`] chooses entries of a directory, and [`listing`] and [`time`](mod@time) write
//! them.
//!
//! # A host
//!
//! This one has a single empty folder, and lets in everybody. It answers each line that it is given.
//!
//! ```
//! use ftpdlite::protocol::address::{Endpoint, Ip};
//! use ftpdlite::protocol::input::LINE_MAX;
//! use ftpdlite::protocol::listing::Permission;
//! use ftpdlite::protocol::session::{Action, Config, Host, Outcome, REPLY_MAX, Session, Stat, Step, Turn, Workspace};
//!
//! struct EmptyFolder;
//!
//! impl Host for EmptyFolder {
//!     // There is only the root.
//!     fn cwd(&self) -> &[u8] {
//!         b"/"
//!     }
//!
//!     fn set_cwd(&mut self, _: &[u8]) -> Result<(), u32> {
//!         Ok(())
//!     }
//!
//!     fn stat(&mut self, path: &[u8]) -> Result<Stat, u32> {
//!         // 2 is ENOENT: there is no such file.
//!         if path == b"/" { Ok(Stat { directory: true, size: 0, modified: 0 }) } else { Err(2) }
//!     }
//! }
//!
//! let config = Config { passwordless: true, ..Config::default() };
//! let mut session = Session::new(Endpoint { ip: Ip::V4([127, 0, 0, 1]), port: 40000 });
//! let (mut host, mut work, mut line) = (EmptyFolder, Workspace::new(0), [0; LINE_MAX]);
//!
//! let mut ask = |command: &str| {
//!     let space = session.space(&mut line);
//!     space[..command.len()].copy_from_slice(command.as_bytes());
//!     session.received(&mut line, command.len());
//!     let mut said = Vec::new();
//!     let mut outcome = None;
//!     loop {
//!         let mut reply = [0; REPLY_MAX];
//!         let mut turn = Turn::new(&config, &mut work, &mut reply, &mut host);
//!         let step = match outcome.take() {
//!             Some(outcome) => session.resume(outcome, &mut turn),
//!             None => session.next(&mut line, &mut turn),
//!         };
//!         said.extend(turn.out.bytes());
//!         match step {
//!             Step::Act(Action::Login) => outcome = Some(Outcome::Login(Permission::READ_ONLY)),
//!             // 38 is ENOSYS: this host can do nothing else.
//!             Step::Act(_) => outcome = Some(Outcome::Failed(38)),
//!             Step::Input | Step::Close => return String::from_utf8(said).unwrap(),
//!             _ => {}
//!         }
//!     }
//! };
//!
//! assert_eq!(ask("USER me\r\n"), "230 User me logged in.\r\n");
//! assert_eq!(ask("PWD\r\n"), "257 \"/\" is the current directory.\r\n");
//! assert_eq!(ask("CWD sub\r\n"), "550 No such file or directory.\r\n");
//! assert_eq!(ask("QUIT\r\n"), "221 Bye, me.\r\n");
//! ```
//!
//! `examples/std_server.rs` in the repository is a whole server with std's sockets and files. curl works with it.
#![forbid(unsafe_code)]

pub mod address;
pub mod arguments;
pub mod ascii;
pub mod command;
pub mod glob;
pub mod input;
pub mod listing;
pub mod path;
mod security;
pub mod session;
mod sockets;
pub mod tables;
mod texts;
pub mod time;
pub mod turns;
pub mod writer;
