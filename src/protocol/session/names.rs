//! Files and folders by their names: PWD, CWD, CDUP, MKD, RMD, DELE, RNFR, RNTO (RFC 959 4.1.1 and 4.1.3).
//!
//! A path is resolved first, then looked at. These are two steps, so that a name that nobody may use never looks like a free one.

use super::actions::Action;
use super::host::{Host, Turn};
use super::replies::{Answer, IS_A_DIRECTORY, NAME_NOT_ALLOWED, NOT_A_DIRECTORY, NOT_FOUND, PATH_TOO_LONG, SAID};
use super::{After, Session};
use crate::protocol::path::{PathError, is_reserved, name, resolve};
use crate::protocol::texts::text;
use core::ops::ControlFlow::Break;

impl Session {
    /// Puts the argument into the workspace as a path, for every command that takes one.
    #[inline(never)]
    pub(super) fn resolve(&self, argument: &[u8], turn: &mut Turn<'_, impl Host>) -> Answer {
        match resolve(turn.host.cwd(), argument, &mut turn.work.path) {
            Err(PathError::TooLong) => Break(PATH_TOO_LONG),
            Err(PathError::NotAllowed) => Break(NAME_NOT_ALLOWED),
            Ok(()) if is_reserved(name(&turn.work.path)) => Break(NOT_FOUND),
            Ok(()) => SAID,
        }
    }

    /// Resolves the argument and looks at what is there.
    #[inline(never)]
    pub(super) fn find(&self, argument: &[u8], turn: &mut Turn<'_, impl Host>) -> Answer {
        self.resolve(argument, turn)?;
        turn.look()
    }

    /// Like [`find`](Self::find), but it must be a file.
    #[inline(never)]
    pub(super) fn find_file(&self, argument: &[u8], turn: &mut Turn<'_, impl Host>) -> Answer {
        self.find(argument, turn)?;
        if turn.found.directory { Break(IS_A_DIRECTORY) } else { SAID }
    }

    /// PWD.
    pub(super) fn pwd(&self, turn: &mut Turn<'_, impl Host>) -> Answer {
        turn.text(text!("257 "));
        turn.out.quoted(turn.host.cwd());
        Break(text!(" is the current directory."))
    }

    /// CWD, and CDUP with the argument `..`.
    pub(super) fn cwd(&mut self, argument: &[u8], turn: &mut Turn<'_, impl Host>) -> Answer {
        self.find(argument, turn)?;
        if !turn.found.directory {
            return Break(NOT_A_DIRECTORY);
        }
        if let Err(error) = turn.host.set_cwd(&turn.work.path) {
            return Break(turn.failure(error));
        }
        turn.text(text!("250 Directory changed to "));
        turn.out.quoted(turn.host.cwd());
        Break(text!("."))
    }

    /// MKD.
    pub(super) fn mkd(&mut self, argument: &[u8], turn: &mut Turn<'_, impl Host>) -> Answer {
        self.resolve(argument, turn)?;
        self.act(Action::MakeDirectory, After::Mkd)
    }

    /// The folder is made.
    pub(super) fn mkd_done(&self, turn: &mut Turn<'_, impl Host>) -> Answer {
        turn.text(text!("257 "));
        turn.out.quoted(&turn.work.path);
        Break(text!(" created."))
    }

    /// RMD.
    pub(super) fn rmd(&mut self, argument: &[u8], turn: &mut Turn<'_, impl Host>) -> Answer {
        self.find(argument, turn)?;
        if !turn.found.directory {
            return Break(NOT_A_DIRECTORY);
        }
        self.act_and_say(Action::RemoveDirectory, text!("250 Directory removed."))
    }

    /// DELE.
    pub(super) fn dele(&mut self, argument: &[u8], turn: &mut Turn<'_, impl Host>) -> Answer {
        self.find_file(argument, turn)?;
        self.act_and_say(Action::RemoveFile, text!("250 File deleted."))
    }

    /// RNFR: the next command must be RNTO.
    pub(super) fn rnfr(&mut self, argument: &[u8], turn: &mut Turn<'_, impl Host>) -> Answer {
        self.find(argument, turn)?;
        self.rename_pending = true;
        self.act_and_say(Action::RenameFrom, text!("350 Ready for RNTO."))
    }

    /// RNTO.
    pub(super) fn rnto(&mut self, argument: &[u8], turn: &mut Turn<'_, impl Host>) -> Answer {
        self.resolve(argument, turn)?;
        self.act_and_say(Action::Rename, text!("250 File renamed."))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Server;
    use super::*;
    use crate::protocol::listing::Permission;
    use crate::protocol::session::{Outcome, Step};

    fn say(server: &mut Server, command: &str) -> String {
        server.hears(command.as_bytes());
        let (step, reply) = server.next();
        if step == Step::Act(Action::Login) { server.resume(Outcome::Login(Permission::ALL)).1 } else { reply }
    }

    #[test]
    fn a_directory_that_the_host_cannot_keep_is_not_entered() {
        let mut server = Server::new();
        say(&mut server, "USER me\r\n");
        assert_eq!(say(&mut server, "CWD /folder\r\n"), "250 Directory changed to \"/folder\".\r\n");
        server.files.memory = false;
        assert_eq!(say(&mut server, "CWD /folder\r\n"), "451 Not enough memory.\r\n");
        assert_eq!(say(&mut server, "PWD\r\n"), "257 \"/folder\" is the current directory.\r\n");
        assert_eq!(say(&mut server, "CDUP\r\n"), "250 Directory changed to \"/\".\r\n");
        server.files.memory = true;
        say(&mut server, "CWD folder\r\n");
        server.files.memory = false;
        say(&mut server, "USER me\r\n");
        assert_eq!(say(&mut server, "PWD\r\n"), "257 \"/\" is the current directory.\r\n");
    }
}
