//! A session for tests that look at each of its steps.

use super::Session;
use super::host::{Config, Host, Outcome, Stat, Step, Tick, Tls, Turn, Workspace};
use crate::protocol::address::{Endpoint, Ip};
use crate::protocol::input::LINE_MAX;
use crate::protocol::tables::TABLES;

/// The only file.
pub(super) const FILE: &[u8] = b"/file";
/// The only folder.
pub(super) const FOLDER: &[u8] = b"/folder";

/// The files, and the client's directory.
pub(super) struct Files {
    cwd: Vec<u8>,
    /// Whether there is memory for another directory than the root.
    pub(super) memory: bool,
}

impl Host for Files {
    fn cwd(&self) -> &[u8] {
        &self.cwd
    }

    fn set_cwd(&mut self, path: &[u8]) -> Result<(), u32> {
        if !self.memory && path != b"/" {
            return Err(12);
        }
        self.cwd = path.to_vec();
        Ok(())
    }

    fn stat(&mut self, path: &[u8]) -> Result<Stat, u32> {
        match path {
            FILE => Ok(Stat { directory: false, size: 10, modified: 0 }),
            b"/" | FOLDER => Ok(Stat { directory: true, size: 0, modified: 0 }),
            _ => Err(2),
        }
    }
}

/// A session, and what it needs.
pub(super) struct Server {
    pub(super) session: Session,
    line: [u8; LINE_MAX],
    work: Workspace,
    pub(super) files: Files,
    pub(super) config: Config<'static>,
}

impl Server {
    pub(super) fn new() -> Server {
        Server {
            session: Session::new(Endpoint { ip: Ip::V4([127, 0, 0, 1]), port: 40000 }),
            line: [0; LINE_MAX],
            work: Workspace::new(0),
            files: Files { cwd: b"/".to_vec(), memory: true },
            config: Config {
                tables: &TABLES,
                server_name: b"",
                idle_timeout: 5,
                login_timeout: 0,
                data_timeout: 0,
                stall_timeout: 0,
                passwordless: true,
                foreign_data: false,
                atomic_uploads: false,
                owner: 0,
                sets_times: false,
                digests: true,
                tls: Tls::Optional,
                private_data: true,
                closes_tls: true,
                handshake_timeout: 2,
            },
        }
    }

    /// One call of the session, and what it says.
    fn call(&mut self, call: impl FnOnce(&mut Session, &mut [u8], &mut Turn<'_, Files>) -> Step) -> (Step, String) {
        let mut bytes = [0; 1024];
        let mut turn = Turn::new(&self.config, &mut self.work, &mut bytes, &mut self.files);
        let step = call(&mut self.session, &mut self.line, &mut turn);
        (step, String::from_utf8_lossy(turn.out.bytes()).into_owned())
    }

    /// The client says this.
    pub(super) fn hears(&mut self, bytes: &[u8]) {
        self.session.space(&mut self.line)[..bytes.len()].copy_from_slice(bytes);
        self.session.received(&mut self.line, bytes.len());
    }

    pub(super) fn next(&mut self) -> (Step, String) {
        self.call(|session, line, turn| session.next(line, turn))
    }

    pub(super) fn resume(&mut self, outcome: Outcome<'_>) -> (Step, String) {
        self.call(|session, _, turn| session.resume(outcome, turn))
    }

    pub(super) fn tick(&mut self) -> Tick {
        self.session.tick(&self.config)
    }
}
