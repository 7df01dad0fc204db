//! Files over the data connection: RETR, STOR, STOU, APPE, and what a client may do while one is on its way: ABOR, STAT, NOOP (RFC 959 4.1.3).

use super::actions::Action;
use super::errno;
use super::host::{End, Host, Outcome, Step, Transfer, Turn};
use super::replies::{Answer, IS_A_DIRECTORY, LOCAL_ERROR, NO_DATA_CONNECTION, NO_SPACE, PATH_TOO_LONG, SAID};
use super::{After, Data, Session};
use crate::protocol::input::{Line, is_verb};
use crate::protocol::path::{append, name, unfinished};
use crate::protocol::texts::{Text, text};
use crate::protocol::writer::Writer;
use core::ops::ControlFlow::Break;

/// How many names STOU tries, in one step. The later ones are far apart, so that even very many files hardly take all of them.
const UNIQUE_TRIES: u64 = 24;
const PAST_THE_END: Text = text!("554 Restart offset past the end of the file.");

impl Session {
    /// A transfer is asked for. From here on it has a kind, but nothing moves until the host has opened what it needs.
    #[inline(never)]
    pub(super) fn ask_for(&mut self, transfer: Transfer, turn: &mut Turn<'_, impl Host>) -> Answer {
        let unprotected = self.unprotected_data(turn.config);
        if self.data == Data::Unset || unprotected.is_some() {
            self.offset = 0;
            return Break(unprotected.unwrap_or(text!("425 Use PASV, EPSV, PORT or EPRT first.")));
        }
        self.transfer = Some(transfer);
        self.number = 0;
        self.moved = 0;
        self.stalled = 0;
        self.connected = false;
        SAID
    }

    /// RETR: a file goes to the client, from the place of REST on.
    pub(super) fn retr(&mut self, argument: &[u8], turn: &mut Turn<'_, impl Host>) -> Answer {
        self.ask_for(Transfer::Retrieve, turn)?;
        self.resolve(argument, turn)?;
        // To look at a file takes as long as to open it, so that is only done when it must be.
        if self.offset > 0 {
            turn.look()?;
            if turn.found.directory {
                return Break(IS_A_DIRECTORY);
            }
            if self.offset > turn.found.size {
                return Break(PAST_THE_END);
            }
        }
        self.act(Action::OpenRead, After::Retr)
    }

    /// The file is open, or cannot be.
    pub(super) fn retr_done(&self, outcome: Outcome<'_>, turn: &mut Turn<'_, impl Host>) -> Answer {
        if let Outcome::Failed(error) = outcome {
            // Not every file system says so when it is a folder.
            turn.look()?;
            return Break(if turn.found.directory { IS_A_DIRECTORY } else { turn.failure(error) });
        }
        turn.text(text!("150 Opening data connection for "));
        turn.out.name(name(&turn.work.path));
        if let Outcome::Number(size) = outcome
            // When it is converted, its size will be different.
            && !self.converts()
        {
            turn.text(text!(" ("));
            turn.out.dec(size);
            turn.text(text!(" bytes)"));
        }
        turn.say(text!("."));
        SAID
    }

    /// STOR: a file comes from the client, and is written from the place of REST on.
    pub(super) fn stor(&mut self, argument: &[u8], turn: &mut Turn<'_, impl Host>) -> Answer {
        self.find_place(Transfer::Store, argument, turn)?;
        if self.offset > turn.found.size {
            return Break(PAST_THE_END);
        }
        self.open_upload(turn)
    }

    /// APPE: what comes goes to the end of the file, whatever REST said.
    pub(super) fn appe(&mut self, argument: &[u8], turn: &mut Turn<'_, impl Host>) -> Answer {
        self.find_place(Transfer::Append, argument, turn)?;
        self.offset = 0;
        self.act(Action::OpenAppend, After::Stor)
    }

    /// Looks at where an upload goes. A file that is not there has no bytes.
    #[inline(never)]
    fn find_place(&mut self, transfer: Transfer, argument: &[u8], turn: &mut Turn<'_, impl Host>) -> Answer {
        self.ask_for(transfer, turn)?;
        self.resolve(argument, turn)?;
        match turn.host.stat(&turn.work.path) {
            Ok(found) if found.directory => return Break(IS_A_DIRECTORY),
            Ok(found) => turn.found = found,
            Err(errno::ENOENT) => turn.found.size = 0,
            Err(error) => return Break(turn.failure(error)),
        }
        SAID
    }

    /// STOU: stores under a new name, made of the given one and a number.
    pub(super) fn stou(&mut self, argument: &[u8], turn: &mut Turn<'_, impl Host>) -> Answer {
        self.ask_for(Transfer::Unique, turn)?;
        // The file is new, whatever REST said.
        self.offset = 0;
        self.resolve(if argument.is_empty() { b"upload" } else { argument }, turn)?;
        self.store_unique(turn)
    }

    /// Looks for a name that is free.
    #[inline(never)]
    fn store_unique(&mut self, turn: &mut Turn<'_, impl Host>) -> Answer {
        while self.number < UNIQUE_TRIES {
            let path = &mut turn.work.path;
            if self.number == 0 {
                // Without room for it, there is none for the number.
                let _ = append(path, b".");
            } else {
                // The number of the last try is removed.
                while path.last().is_some_and(u8::is_ascii_digit) {
                    path.pop();
                }
            }
            // The next number. After some numbers that were taken, the steps become larger and larger.
            let step = 1u32 << self.number.saturating_sub(UNIQUE_TRIES / 2);
            self.number += 1;
            turn.work.unique = turn.work.unique.wrapping_add(step);
            let mut digits = [0; 10];
            let mut text = Writer::new(&mut digits);
            text.dec(turn.work.unique.into());
            if append(path, text.bytes()).is_err() {
                return Break(PATH_TOO_LONG);
            }
            match turn.host.stat(path) {
                Ok(_) => {}
                Err(errno::ENOENT) => return self.open_upload(turn),
                Err(error) => return Break(turn.failure(error)),
            }
        }
        Break(text!("450 No free name found."))
    }

    /// The upload to the path may begin: to a file beside the old one, or into the old one from the place of REST on.
    fn open_upload(&mut self, turn: &mut Turn<'_, impl Host>) -> Answer {
        let work = &mut *turn.work;
        work.text.clear();
        work.upload = work.upload.wrapping_add(1);
        if turn.config.atomic_uploads && self.offset == 0 {
            unfinished(turn.config.owner, work.upload, &mut work.text);
        }
        self.act(Action::OpenWrite, After::Stor)
    }

    /// The file of an upload is open, or cannot be.
    pub(super) fn stor_done(&mut self, outcome: Outcome<'_>, turn: &mut Turn<'_, impl Host>) -> Answer {
        let unique = self.transfer == Some(Transfer::Unique);
        match outcome {
            // Somebody else stores to that name.
            Outcome::Failed(errno::EBUSY) if unique => self.store_unique(turn),
            // LittleFS says so when it has no room for a new name. A name that is too long was refused before.
            Outcome::Failed(errno::ENAMETOOLONG) => Break(NO_SPACE),
            Outcome::Failed(error) => Break(turn.failure(error)),
            _ => {
                turn.text(if unique { text!("150 FILE: ") } else { text!("150 Opening data connection for ") });
                turn.out.name(name(&turn.work.path));
                turn.say(if unique { Text::NONE } else { text!(".") });
                SAID
            }
        }
    }

    /// ABOR without a transfer.
    pub(super) fn abor(&mut self) -> Answer {
        self.data = Data::Unset;
        self.act_and_say(Action::Unlisten, text!("226 No transfer to abort."))
    }

    /// While a transfer runs, ABOR, STAT and NOOP act at once; the others wait in the line buffer.
    pub(super) fn next_during_transfer(&mut self, buffer: &mut [u8], turn: &mut Turn<'_, impl Host>) -> Step {
        // A second one waits, because it has a reply of its own.
        if !self.abort_asked && self.input.take_verb(buffer, b"ABOR") {
            self.abort_asked = true;
            return self.abort();
        }
        if self.cut || self.closing && !self.is_upload() && !self.quits_next(buffer) {
            return self.abort();
        }
        match self.input.peek(buffer) {
            Line::TooLong => turn.say(text!("500 Command line too long.")),
            Line::Whole(line) => {
                let line = buffer.get(line).unwrap_or_default();
                if is_verb(line, b"NOOP") {
                    turn.say(text!("200 NOOP ok."));
                } else if is_verb(line, b"STAT") {
                    self.say_status(turn);
                } else if self.closing || self.input.is_full(buffer) {
                    return Step::Blocked;
                } else {
                    return Step::Input;
                }
            }
            Line::Partial if self.closing => return Step::Blocked,
            Line::Partial => return Step::Input,
        }
        self.input.consume(buffer);
        Step::Again
    }

    /// A client that has hung up after QUIT still gets its transfer.
    fn quits_next(&mut self, buffer: &[u8]) -> bool {
        match self.input.peek(buffer) {
            Line::Whole(line) => is_verb(buffer.get(line).unwrap_or_default(), b"QUIT"),
            _ => false,
        }
    }

    /// Whether an upload runs or is about to.
    pub(super) fn is_upload(&self) -> bool {
        self.transfer.is_some_and(Transfer::is_upload)
    }

    /// Asks once to cut the transfer. Its task then ends it.
    #[inline(never)]
    pub(super) fn abort(&mut self) -> Step {
        if core::mem::replace(&mut self.cut, true) {
            return Step::Blocked;
        }
        self.after = After::Silent;
        Step::Act(Action::Abort)
    }

    /// The transfer is over.
    pub(super) fn say_end(&mut self, end: End, turn: &mut Turn<'_, impl Host>) {
        turn.say(match end {
            End::Complete => text!("226 Transfer complete."),
            End::NoConnection => NO_DATA_CONNECTION,
            End::Broken => text!("426 Data connection broken, transfer aborted."),
            End::LocalError => LOCAL_ERROR,
            End::NoSpace => NO_SPACE,
            End::Aborted => text!("426 Transfer aborted."),
            End::Negotiation => text!("522 Data connection TLS negotiation failed."),
            End::Busy => text!("450 File is busy, it was not replaced."),
        });
        if core::mem::take(&mut self.abort_asked) {
            turn.say(text!("226 Abort successful."));
        }
        self.transfer = None;
        self.cut = false;
        self.data = Data::Unset;
        self.offset = 0;
        self.idle = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{FILE, Server};
    use super::super::{Dismissal, ORPHAN_TIMEOUT, Tick};
    use super::*;
    use crate::protocol::listing::Permission;

    /// Somebody has logged in, and sent EPSV.
    fn listening() -> Server {
        let mut server = Server::new();
        server.hears(b"USER x\r\nEPSV\r\n");
        assert_eq!(server.next().0, Step::Act(Action::Login));
        server.resume(Outcome::Login(Permission::ALL));
        assert_eq!(server.next().0, Step::Act(Action::Passive));
        server.resume(Outcome::Passive(50000, b""));
        server
    }

    /// A transfer that has begun: its data connection stands.
    fn transferring(command: &[u8]) -> Server {
        let mut server = listening();
        server.hears(&[command, b" ", FILE, b"\r\n"].concat());
        assert!(matches!(server.next().0, Step::Act(_)));
        assert!(server.resume(Outcome::Done).1.starts_with("150 "));
        server.session.data_connected();
        server
    }

    #[test]
    fn an_upload_goes_on_without_its_control_connection_while_bytes_come() {
        for command in [&b"STOR"[..], b"APPE", b"STOU"] {
            let mut server = transferring(command);
            server.session.end_of_input();
            assert_eq!(server.next(), (Step::Blocked, String::new()));
            for _ in 0..20 {
                assert_eq!(server.tick(), Tick::Nothing);
                server.session.data_moved(1);
            }
            for _ in 0..ORPHAN_TIMEOUT {
                assert_eq!((server.next().0, server.tick()), (Step::Blocked, Tick::Nothing));
            }
            assert_eq!(server.tick(), Tick::Transfer(End::Broken));
            server.session.finish(End::Broken);
            assert_eq!(server.next().0, Step::Again);
            assert_eq!(server.next().0, Step::Close);
        }
    }

    #[test]
    fn a_shorter_stall_timeout_holds_without_a_control_connection_too() {
        let mut server = transferring(b"STOR");
        server.config.stall_timeout = 2;
        server.session.end_of_input();
        let ticks = [server.tick(), server.tick(), server.tick()];
        assert_eq!(ticks, [Tick::Nothing, Tick::Nothing, Tick::Transfer(End::Broken)]);
    }

    #[test]
    fn what_the_client_said_before_it_hung_up_waits_for_the_end_of_the_upload() {
        let mut server = transferring(b"STOR");
        server.hears(b"NOOP\r\nSIZE file\r\nNO");
        server.session.end_of_input();
        assert_eq!(server.next(), (Step::Again, "200 NOOP ok.\r\n".into()));
        assert_eq!(server.next(), (Step::Blocked, String::new()));
        server.session.finish(End::Complete);
        assert!(server.next().1.starts_with("226 "));
        assert!(server.next().1.starts_with("550 "));
        assert_eq!(server.next(), (Step::Close, String::new()));
    }

    #[test]
    fn a_download_is_cut_with_its_control_connection() {
        let mut server = transferring(b"RETR");
        server.session.end_of_input();
        assert_eq!(server.next().0, Step::Act(Action::Abort));
        // With QUIT the client wants the rest, so the usual time-out counts.
        let mut server = transferring(b"RETR");
        server.hears(b"QUIT\r\n");
        server.session.end_of_input();
        assert_eq!(server.next().0, Step::Blocked);
        for _ in 0..20 {
            assert_eq!(server.tick(), Tick::Nothing);
        }
    }

    #[test]
    fn an_upload_is_cut_with_its_session_even_if_nobody_listens() {
        let mut server = transferring(b"STOR");
        server.session.end_of_input();
        server.session.dismiss(Dismissal::Shutdown);
        assert_eq!(server.next().0, Step::Act(Action::Abort));
    }

    #[test]
    fn stou_takes_another_name_when_the_first_is_busy() {
        let mut server = listening();
        server.hears(b"STOU\r\n");
        assert_eq!(server.next().0, Step::Act(Action::OpenWrite));
        assert_eq!(server.resume(Outcome::Failed(errno::EBUSY)), (Step::Act(Action::OpenWrite), String::new()));
        assert_eq!(server.resume(Outcome::Done), (Step::Again, "150 FILE: upload.2\r\n".into()));
    }

    #[test]
    fn stou_gives_up_when_all_names_are_busy() {
        let mut server = listening();
        server.hears(b"STOU\r\n");
        let mut step = server.next();
        let mut tries = 0;
        while step.0 == Step::Act(Action::OpenWrite) {
            tries += 1;
            step = server.resume(Outcome::Failed(errno::EBUSY));
        }
        assert_eq!((tries, step), (UNIQUE_TRIES, (Step::Again, "450 No free name found.\r\n".into())));
        assert!(server.session.transfer().is_none());
    }

    #[test]
    fn each_abor_has_its_reply() {
        let mut server = transferring(b"RETR");
        server.hears(b"ABOR\r\nABOR\r\n");
        assert_eq!(server.next().0, Step::Act(Action::Abort));
        assert_eq!(server.resume(Outcome::Done), (Step::Again, String::new()));
        assert_eq!(server.next(), (Step::Blocked, String::new()));
        server.session.finish(End::Aborted);
        assert_eq!(server.next().1, "426 Transfer aborted.\r\n226 Abort successful.\r\n");
        assert_eq!(server.next().0, Step::Act(Action::Unlisten));
        assert_eq!(server.resume(Outcome::Done).1, "226 No transfer to abort.\r\n");
    }

    #[test]
    fn an_upload_that_could_not_be_put_in_place_is_told_so() {
        let mut server = transferring(b"STOR");
        server.session.finish(End::Busy);
        assert_eq!(server.next(), (Step::Again, "450 File is busy, it was not replaced.\r\n".into()));
    }
}
