//! What is known about a file: SIZE, MDTM, MLST (RFC 3659), MFMT, AVBL, and its digest by HASH, XSHA256 and XCRC.

use super::actions::Action;
use super::host::{Host, Outcome, Turn};
use super::replies::{Answer, BAD_ARGUMENT, LOCAL_ERROR, NO_PERMISSION, NO_SPACE, NOT_OFFERED};
use super::{After, Session};
use crate::protocol::arguments::{Representation, parse_allo, split_time, unquote};
use crate::protocol::command::Verb;
use crate::protocol::listing::{Entry, Kind, Permission, facts_line};
use crate::protocol::texts::{Text, text};
use crate::protocol::time::write_stamp;
use core::ops::ControlFlow::Break;

const CANNOT_SET_TIMES: Text = text!("504 The file system cannot set times.");
const NO_ALLOCATION: Text = text!("202 No storage allocation necessary.");

impl Session {
    /// SIZE: how many bytes RETR would send. That is known only when nothing is converted.
    pub(super) fn size(&self, argument: &[u8], turn: &mut Turn<'_, impl Host>) -> Answer {
        if self.representation == Representation::Ascii {
            return Break(text!("550 SIZE not allowed in ASCII mode."));
        }
        self.find_file(argument, turn)?;
        turn.text(text!("213 "));
        turn.out.dec(turn.found.size);
        Break(Text::NONE)
    }

    /// MDTM: the time of a file, or, with a time before the name, MFMT.
    pub(super) fn mdtm(&mut self, argument: &[u8], turn: &mut Turn<'_, impl Host>) -> Answer {
        let wanted = split_time(argument);
        if wanted.is_some() {
            return self.set_time(wanted, turn);
        }
        self.find(argument, turn)?;
        if turn.found.modified == 0 {
            return Break(text!("550 The file system does not know its time."));
        }
        turn.text(text!("213 "));
        write_stamp(turn.found.modified, &mut turn.out);
        Break(Text::NONE)
    }

    /// MFMT: sets the time of a file.
    pub(super) fn mfmt(&mut self, argument: &[u8], turn: &mut Turn<'_, impl Host>) -> Answer {
        self.set_time(split_time(argument), turn)
    }

    /// For MFMT and other commands that set a time: `wanted` is the time and the path.
    #[inline(never)]
    pub(super) fn set_time(&mut self, wanted: Option<(u32, &[u8])>, turn: &mut Turn<'_, impl Host>) -> Answer {
        match wanted {
            _ if !turn.config.sets_times => Break(CANNOT_SET_TIMES),
            _ if !self.permission().contains(Permission::WRITE) => Break(NO_PERMISSION),
            None | Some((_, b"")) => Break(BAD_ARGUMENT),
            Some((time, path)) => {
                self.number = time.into();
                self.resolve(path, turn)?;
                self.act(Action::SetTime, After::SetTime)
            }
        }
    }

    /// The time is set.
    pub(super) fn set_time_done(&self, turn: &mut Turn<'_, impl Host>) -> Answer {
        turn.text(text!("213 Modify="));
        write_stamp(self.time(), &mut turn.out);
        turn.text(text!("; "));
        turn.out.name(&turn.work.path);
        Break(Text::NONE)
    }

    /// MLST.
    pub(super) fn mlst(&self, argument: &[u8], turn: &mut Turn<'_, impl Host>) -> Answer {
        self.find(argument, turn)?;
        turn.text(text!("250-Listing "));
        turn.out.name(&turn.work.path);
        turn.end();
        let kind = if turn.found.directory { Kind::Directory } else { Kind::File };
        let entry =
            Entry { name: &turn.work.path, kind, size: turn.found.size, modified: turn.found.modified, unique: 0 };
        turn.out.byte(b' ');
        facts_line(&entry, self.facts, self.permission(), &mut turn.out);
        Break(text!("250 End"))
    }

    /// AVBL: the bytes that are free.
    pub(super) fn avbl(&mut self, argument: &[u8], turn: &mut Turn<'_, impl Host>) -> Answer {
        self.resolve(argument, turn)?;
        self.act(Action::Space, After::Avbl)
    }

    /// The file system is measured.
    pub(super) fn avbl_done(&self, outcome: Outcome<'_>, turn: &mut Turn<'_, impl Host>) -> Answer {
        let Outcome::Space(free, _) = outcome else { return Break(LOCAL_ERROR) };
        turn.text(text!("213 "));
        turn.out.dec(free);
        Break(Text::NONE)
    }

    /// ALLO: whether there is enough room.
    pub(super) fn allo(&mut self, argument: &[u8], turn: &mut Turn<'_, impl Host>) -> Answer {
        let Some(size) = parse_allo(argument) else { return Break(BAD_ARGUMENT) };
        self.number = size;
        self.resolve(b"", turn)?;
        self.act(Action::Space, After::Allo)
    }

    /// The file system is measured. If it cannot be, the client may still try.
    pub(super) fn allo_done(&self, outcome: Outcome<'_>) -> Answer {
        match outcome {
            Outcome::Space(free, _) if self.number > free => Break(NO_SPACE),
            _ => Break(NO_ALLOCATION),
        }
    }

    /// HASH, XSHA256 and XCRC: the digest of a file.
    pub(super) fn hash(&mut self, verb: Verb, argument: &[u8], turn: &mut Turn<'_, impl Host>) -> Answer {
        if !turn.config.digests {
            return Break(NOT_OFFERED);
        }
        self.find_file(unquote(argument), turn)?;
        self.hash = verb;
        self.number = turn.found.size;
        self.act(if verb == Verb::Xcrc { Action::Checksum } else { Action::Hash }, After::Hash)
    }

    /// The digest is known.
    pub(super) fn hash_done(&self, outcome: Outcome<'_>, turn: &mut Turn<'_, impl Host>) -> Answer {
        let Outcome::Text(digest) = outcome else { return Break(LOCAL_ERROR) };
        if self.hash == Verb::Hash {
            turn.text(text!("213 SHA-256 0-"));
            turn.out.dec(self.number);
            turn.out.byte(b' ');
        } else {
            turn.text(text!("250 "));
        }
        digest.iter().for_each(|&byte| turn.out.hex2(byte));
        if self.hash == Verb::Hash {
            turn.out.byte(b' ');
            turn.out.name(&turn.work.path);
        }
        Break(Text::NONE)
    }
}
