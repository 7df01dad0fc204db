//! Replies: the lines that more than one command says, and how a command ends with one.

use super::errno;
use super::host::{Host, Turn};
use crate::protocol::texts::{Text, text};
use core::ops::ControlFlow::{self, Break, Continue};

/// How the function of a command ends. `Break` is the last line of the reply, or its end when the beginning is there already: the command is done or refused, and there is no more to
/// do. `Continue` is for a command that goes on: nothing is left to say now, and [`Session::step`](super::Session) is what the host does next.
pub(super) type Answer = ControlFlow<Text>;

/// Everything is said.
pub(super) const SAID: Answer = Continue(());

pub(super) const NO_PERMISSION: Text = text!("550 Permission denied.");
pub(super) const NOT_FOUND: Text = text!("550 No such file or directory.");
pub(super) const NOT_A_DIRECTORY: Text = text!("550 Not a directory.");
pub(super) const IS_A_DIRECTORY: Text = text!("550 Is a directory.");
pub(super) const BAD_ARGUMENT: Text = text!("501 Bad argument.");
pub(super) const ARGUMENT_REQUIRED: Text = text!("501 Argument required.");
pub(super) const PATH_TOO_LONG: Text = text!("550 Path too long.");
pub(super) const NAME_NOT_ALLOWED: Text = text!("553 Name not allowed.");
pub(super) const NO_SPACE: Text = text!("452 No space left on device.");
pub(super) const LOCAL_ERROR: Text = text!("451 Local error in processing.");
pub(super) const NOT_OFFERED: Text = text!("502 Command not implemented.");
pub(super) const NO_DATA_CONNECTION: Text = text!("425 Can't open data connection.");

impl<H: Host> Turn<'_, H> {
    /// A text.
    pub(super) fn text(&mut self, text: Text) {
        self.config.tables.texts.write(text, &mut self.out);
    }

    /// One reply line, or the end of one.
    pub(super) fn say(&mut self, line: Text) {
        self.text(line);
        self.end();
    }

    /// The end of a reply line.
    pub(super) fn end(&mut self) {
        self.text(text!("\r\n"));
    }

    /// Looks at the path of the workspace, where something must be.
    pub(super) fn look(&mut self) -> Answer {
        match self.host.stat(&self.work.path) {
            Ok(found) => self.found = found,
            Err(error) => return Break(self.failure(error)),
        }
        SAID
    }

    /// The reply for a system call that failed.
    #[inline(never)]
    pub(super) fn failure(&mut self, error: u32) -> Text {
        use errno::*;
        match error {
            ENOENT | ENODEV => NOT_FOUND,
            EBUSY => text!("450 File is busy."),
            EEXIST => text!("550 File exists."),
            ENOTDIR => NOT_A_DIRECTORY,
            EISDIR => IS_A_DIRECTORY,
            ENOTEMPTY | ENOTEMPTY_NEWLIB => text!("550 Directory not empty."),
            EPERM | EACCES | EXDEV | EROFS => NO_PERMISSION,
            ENOSPC => NO_SPACE,
            ENAMETOOLONG => PATH_TOO_LONG,
            EINVAL => NAME_NOT_ALLOWED,
            ELOOP => text!("553 Cannot move a folder into itself."),
            ENOMEM => text!("451 Not enough memory."),
            EADDRINUSE => NO_DATA_CONNECTION,
            _ => {
                self.text(text!("451 Operation failed, error "));
                self.out.dec(error.into());
                text!(".")
            }
        }
    }
}
