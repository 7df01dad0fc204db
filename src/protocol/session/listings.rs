//! Listings: LIST, NLST, MLSD on the data connection, STAT with a path on the control connection (RFC 959 4.1.3, RFC 3659 7).

use super::actions::Action;
use super::errno;
use super::host::{Host, Outcome, Transfer, Turn};
use super::replies::{Answer, NO_PERMISSION, PATH_TOO_LONG, SAID};
use super::{After, Session, set};
use crate::protocol::arguments::list_path;
use crate::protocol::listing::Permission;
use crate::protocol::path::name;
use crate::protocol::texts::text;
use core::ops::ControlFlow::Break;

impl Session {
    /// LIST: as `ls -l` shows it.
    pub(super) fn list(&mut self, argument: &[u8], turn: &mut Turn<'_, impl Host>) -> Answer {
        let path = self.take_options(argument);
        self.open_list(Transfer::List, path, turn)?;
        self.act(Action::OpenList, After::List)
    }

    /// NLST: names alone, in the form that RETR and DELE take. So the folder that the client wrote comes before them (RFC 1123 4.1.2.7).
    pub(super) fn nlst(&mut self, argument: &[u8], turn: &mut Turn<'_, impl Host>) -> Answer {
        let path = self.take_options(argument);
        self.open_list(Transfer::Names, path, turn)?;
        if let Some(folder) = path.strip_suffix(name(&turn.work.path))
            && !set(&mut turn.work.text, folder)
        {
            return Break(PATH_TOO_LONG);
        }
        self.act(Action::OpenList, After::List)
    }

    /// MLSD: facts.
    pub(super) fn mlsd(&mut self, argument: &[u8], turn: &mut Turn<'_, impl Host>) -> Answer {
        self.itself = false;
        self.open_list(Transfer::Machine, argument, turn)?;
        self.act(Action::OpenList, After::List)
    }

    #[inline(never)]
    fn open_list(&mut self, transfer: Transfer, path: &[u8], turn: &mut Turn<'_, impl Host>) -> Answer {
        self.ask_for(transfer, turn)?;
        turn.work.text.clear();
        self.resolve(path, turn)
    }

    /// The path behind the options, of which only `-d` means something.
    #[inline(never)]
    fn take_options<'a>(&mut self, argument: &'a [u8]) -> &'a [u8] {
        let (path, itself) = list_path(argument);
        self.itself = itself;
        path
    }

    /// The directory is open, or cannot be.
    pub(super) fn list_done(&self, outcome: Outcome<'_>, turn: &mut Turn<'_, impl Host>) -> Answer {
        match outcome {
            // RFC 3659 7.2.1: a file has no MLSD.
            Outcome::Failed(errno::ENOTDIR) if self.transfer == Some(Transfer::Machine) => {
                Break(text!("501 Not a directory."))
            }
            Outcome::Failed(error) => Break(turn.failure(error)),
            _ => {
                turn.say(text!("150 Opening data connection for directory listing."));
                SAID
            }
        }
    }

    /// STAT: with a path its listing, without one the state of the session.
    pub(super) fn stat(&mut self, argument: &[u8], turn: &mut Turn<'_, impl Host>) -> Answer {
        if argument.is_empty() {
            self.say_status(turn);
            return SAID;
        }
        if !self.permission().contains(Permission::READ) {
            return Break(NO_PERMISSION);
        }
        let path = self.take_options(argument);
        turn.work.text.clear();
        self.resolve(path, turn)?;
        self.act(Action::OpenList, After::StatOpen)
    }

    /// The directory is open.
    pub(super) fn stat_opened(&mut self, turn: &mut Turn<'_, impl Host>) -> Answer {
        turn.text(text!("213-Listing "));
        turn.out.name(&turn.work.path);
        turn.end();
        self.act(Action::ListHere, After::StatList)
    }

    /// It is listed.
    pub(super) fn stat_done(&mut self) -> Answer {
        self.act_and_say(Action::CloseFile, text!("213 End of listing."))
    }
}
