//! What `step` does: writes replies, reads lines, gives actions to the shim and takes their outcomes.

use super::{Inside, core_of};
use crate::native::exceptions;
use crate::native::obj::{self, Obj};
use crate::native::place::Place;
use crate::native::qstr::Qstr;
use crate::native::server::Home;
use crate::native::stream::{self, WOULD_BLOCK};
use crate::protocol::listing::Permission;
use crate::protocol::path::append;
use crate::protocol::session::{Access, Action, Outcome, REPLY_MAX, Session, Step, Transfer, Turn};
use crate::protocol::writer::Writer;

/// What `step` and `pump` return beside the numbers of [`Action`].
pub const CLOSE: u32 = 0;
pub const WAIT_READ: u32 = 1;
pub const WAIT_WRITE: u32 = 2;
pub const YIELD: u32 = 3;
pub const BLOCKED: u32 = 4;
/// `pump` adds this to the number of the transfer's [`End`]. To [`YIELD`] it may add the milliseconds until it is to be called again.
pub const ENDED: u32 = 16;

/// `EBUSY`.
pub const BUSY: u32 = 16;

impl Inside<'_> {
    /// Whether others have the file open that the action would change, or are about to replace the file that it would read.
    fn is_busy(&self, action: Action) -> bool {
        let holders = &self.settings.holders;
        let place = Place::below(self.head.get(Qstr::home), &self.shared.work.path);
        match action.access() {
            Access::None => false,
            Access::Read => holders.replace(&place),
            Access::Change => {
                // MKD of a folder that is there fails anyway; and the time of a folder may change even if files in it are open.
                let alone = matches!(action, Action::MakeDirectory | Action::SetTime);
                let old = Place::whole(self.head.get(Qstr::old_path));
                holders.hold(&place, alone) || action == Action::Rename && holders.hold(&old, false)
            }
        }
    }

    /// Writes as much of the pending and of the collected replies as the socket takes. Gives what must be waited for, or `CLOSE` when all is written; an error
    /// counts as written, and the connection as lost.
    fn flush(&mut self) -> u32 {
        let collected = self.shared.collected;
        let is_kept = !self.body.pending.is_null();
        if collected == 0 && !is_kept {
            return CLOSE;
        }
        // When memory is short, a reply would hold up the board.
        let takes = self.shared.outlet.takes(&self.shared.replies);
        if is_kept || !takes {
            self.keep();
        }
        if !takes {
            // The socket could be written at once, so it is not what must be waited for.
            return BLOCKED;
        }
        let bytes = match self.body.pending.bytes() {
            Some(bytes) => bytes,
            None => self.said(),
        };
        let Some(rest) = write_all(self.head.get(Qstr::sock), bytes, &mut self.body.refused, &mut self.body.lost)
        else {
            self.body.pending = Obj::NULL;
            return CLOSE;
        };
        if !is_kept || rest.len() < bytes.len() {
            self.body.pending = obj::new_bytes(rest);
        }
        WAIT_WRITE
    }

    /// The collected replies, which are shown now and are collected no more.
    fn said(&mut self) -> &'static [u8] {
        // SAFETY: the server's memory stays where it is as long as its session is there, and the bytes stay until the next reply is collected.
        let bytes = unsafe { core::slice::from_raw_parts(self.shared.replies.as_ptr(), self.shared.collected) };
        self.shared.collected = 0;
        self.shared.outlet.turns.free(false);
        self.settings.log_replies(bytes);
        bytes
    }

    /// Whether the client is gone, so that nobody reads the replies. Then only a transfer goes on.
    fn is_deserted(&self) -> bool {
        self.body.lost && self.body.core.transfer().is_none()
    }

    /// Adds the collected replies to the pending ones.
    fn keep(&mut self) {
        if self.shared.collected > 0 {
            let more = obj::new_bytes(self.said());
            let pending = self.body.pending;
            self.body.pending = if pending.is_null() { more } else { obj::add(pending, more) };
        }
    }

    /// Keeps the workspace, because others will use it before this session goes on. Whether there was memory for that.
    fn keep_work(&mut self) -> bool {
        let work = &self.shared.work;
        for (kept, bytes) in self.body.kept.iter_mut().zip([&work.path, &work.text]) {
            match exceptions::try_bytes(bytes) {
                Ok(object) => *kept = object,
                Err(_) => return false,
            }
        }
        true
    }

    /// Puts the workspace back as it was when it was kept, if it was.
    fn restore_work(&mut self) {
        let work = &mut self.shared.work;
        for (kept, place) in self.body.kept.iter().zip([&mut work.path, &mut work.text]) {
            if let Some(bytes) = kept.bytes() {
                place.clear();
                let _ = append(place, bytes);
            }
        }
    }

    /// Goes on until something must be waited for or done; gives its number. Within the poller only a listener is made at once.
    pub fn step(&mut self, outcome: Obj, is_polled: bool) -> u32 {
        let ahead = core::mem::replace(&mut self.body.ahead, Obj::NULL);
        if !ahead.is_null() && ahead != Obj::from_u32(YIELD) {
            if !ahead.is_int() {
                exceptions::raise_again(ahead);
            }
            return ahead.to_u64() as u32;
        }
        // SAFETY: a block of that length, made in `make_new` for this session alone.
        let line = unsafe { core::slice::from_raw_parts_mut(self.body.line, self.body.line_length) };
        self.shared.collected = 0;
        let deferred = core::mem::take(&mut self.body.deferred);
        // When an outcome is brought, no other task has run since the action, except for actions that take long. In all other cases others have run.
        if deferred || matches!(self.body.outstanding, None | Some(Action::ListHere)) {
            self.body.share = self.settings.clock.begin();
        }
        let mut outcome = Some(outcome);
        if let (true, Some(action)) = (deferred, self.body.outstanding) {
            self.restore_work();
            if !self.is_busy(action) {
                return action as u32;
            }
            outcome = Some(Obj::from_u32(BUSY));
        }
        // An outcome is told at once; everything else waits until the socket has taken what was said before.
        if self.body.outstanding.is_none() {
            let wait = self.flush();
            if wait != CLOSE {
                return if self.body.core.is_dismissed() { CLOSE } else { wait };
            }
            if self.body.closing {
                return CLOSE;
            }
            self.secure();
            if !self.body.greeted {
                self.body.greeted = true;
                self.greet();
            }
        }
        loop {
            if self.shared.replies.len() - self.shared.collected < REPLY_MAX {
                let wait = self.flush();
                if wait != CLOSE {
                    return wait;
                }
            }
            let step = match self.body.outstanding.take() {
                action @ Some(_) if outcome == Some(Obj::from_u32(0)) => {
                    // A digest goes on. Only what the client says is read.
                    self.body.outstanding = action;
                    let Some(step) = self.body.core.attend(line) else { return CLOSE };
                    step
                }
                Some(action) => {
                    // An outcome is brought at the first turn; what is outstanding later was done here.
                    let value = outcome.take().unwrap_or(obj::none());
                    self.resume(action, value)
                }
                None if self.is_deserted() => return CLOSE,
                None => {
                    self.settings.log_command(self.body.core.peek(line));
                    self.turn(|core, turn| core.next(line, turn))
                }
            };
            match step {
                Step::Again => {
                    if self.settings.clock.is_over(self.body.share) {
                        let wait = self.flush();
                        return if wait == CLOSE { YIELD } else { wait };
                    }
                }
                Step::Input => {
                    let wait = self.flush();
                    if wait != CLOSE {
                        return wait;
                    }
                    if self.is_deserted() {
                        return CLOSE;
                    }
                    let space = self.body.core.space(line);
                    let room = space.len();
                    match stream::read(self.head.get(Qstr::sock), space) {
                        Ok(0) => self.body.core.end_of_input(),
                        Ok(count) => {
                            self.body.core.received(line, count);
                            // More may have come, and it need not have a line in it that would end this turn.
                            if count == room && self.settings.clock.is_over(self.body.share) {
                                return YIELD;
                            }
                        }
                        Err(WOULD_BLOCK) => return WAIT_READ,
                        // What is stored may be whole although the client is gone.
                        Err(_) if self.body.core.transfer().is_some_and(Transfer::is_upload) => {
                            self.body.core.end_of_input()
                        }
                        Err(_) => return CLOSE,
                    }
                }
                Step::Secure => {
                    self.body.securing = true;
                    let wait = self.flush();
                    if wait != CLOSE {
                        return wait;
                    }
                    self.secure();
                }
                Step::Blocked => {
                    self.flush();
                    return BLOCKED;
                }
                Step::Act(Action::ListHere) => {
                    self.body.outstanding = Some(Action::ListHere);
                    if let Some(wait) = self.list_here() {
                        return wait;
                    }
                }
                Step::Act(action) => {
                    self.body.outstanding = Some(action);
                    self.flush();
                    // An action that takes long lets others run by itself.
                    let is_long =
                        matches!(action, Action::Login | Action::HashPassword | Action::Hash | Action::Checksum);
                    let is_over = !is_long && self.settings.clock.is_over(self.body.share);
                    // The task has to wake for most actions.
                    let waits = is_over || is_polled && !matches!(action, Action::Passive | Action::PassiveIpv4);
                    if waits || matches!(action, Action::Hash | Action::Checksum) {
                        let is_kept = !action.needs_workspace() || self.keep_work();
                        if waits && is_kept {
                            self.body.deferred = true;
                            return YIELD;
                        }
                        if !is_kept && (is_polled || !is_over) {
                            // The digest's name would be gone.
                            outcome = Some(Obj::from_u32(exceptions::NO_MEMORY));
                            continue;
                        }
                    }
                    if self.is_busy(action) {
                        outcome = Some(Obj::from_u32(BUSY));
                        continue;
                    }
                    return action as u32;
                }
                Step::Close => {
                    self.body.closing = true;
                    return self.flush();
                }
            }
        }
    }

    /// Goes on through the TLS stream, if that is due. The handshake goes on as the session reads.
    fn secure(&mut self) {
        if core::mem::take(&mut self.body.securing) {
            self.head.set(Qstr::sock, self.head.get(Qstr::tls));
            self.head.set(Qstr::tls, obj::none());
        }
    }

    fn greet(&mut self) {
        if !self.body.core.is_dismissed() {
            self.turn(|core, turn| core.greet(turn));
        }
    }

    /// Lets the core do something, and collects its replies.
    fn turn<T>(&mut self, act: impl FnOnce(&mut Session, &mut Turn<'_, Home<'_>>) -> T) -> T {
        let shared = &mut *self.shared;
        let mut host = Home { settings: self.settings, home: self.head.get(Qstr::home), cwd: &mut self.body.cwd };
        let replies = &mut shared.replies[shared.collected..];
        let mut turn = Turn::new(&self.settings.config, &mut shared.work, replies, &mut host);
        let result = act(&mut self.body.core, &mut turn);
        shared.collected += turn.out.len();
        result
    }

    /// Tells the core what came of an action.
    fn resume(&mut self, action: Action, value: Obj) -> Step {
        if action == Action::ListHere && !self.body.listing.is_done() {
            // The socket was full in the middle of a listing.
            return Step::Act(Action::ListHere);
        }
        if action == Action::Who {
            self.say_sessions(value);
        }
        self.restore_work();
        self.body.kept = [Obj::NULL; 2];
        let outcome = match action {
            _ if value.is_none() => Outcome::Done,
            _ if value.is_int() => Outcome::Failed(value.to_u64() as u32),
            Action::Login => {
                self.head.set(Qstr::home, value.item(1));
                Outcome::Login(Permission::from_bits(value.item(0).to_u64() as u8))
            }
            Action::Passive | Action::PassiveIpv4 => {
                Outcome::Passive(value.item(0).to_u64() as u16, value.item(1).bytes().unwrap_or_default())
            }
            Action::Space | Action::Memory | Action::Collect => {
                Outcome::Space(value.item(0).to_u64(), value.item(1).to_u64())
            }
            Action::OpenRead | Action::Uptime | Action::Kick => Outcome::Number(value.item(0).to_u64()),
            Action::HashPassword | Action::Hash | Action::Checksum => Outcome::Text(value.bytes().unwrap_or_default()),
            _ => Outcome::Done,
        };
        self.turn(|core, turn| core.resume(outcome, turn))
    }

    /// Lists on the control connection: what must be waited for, or `None` at the end, which a session that is to end reaches at once.
    fn list_here(&mut self) -> Option<u32> {
        // Each share lists something, however slow the clock, the log or the socket is.
        let mut has_listed = false;
        loop {
            let wait = self.flush();
            if wait != CLOSE {
                return Some(if self.body.core.is_dismissed() { CLOSE } else { wait });
            }
            if self.body.lost {
                return Some(CLOSE);
            }
            self.body.core.listing_moved();
            if self.body.core.is_dismissed() {
                self.body.listing.close();
            }
            if self.body.listing.is_done() {
                return None;
            }
            if core::mem::replace(&mut has_listed, true) && self.settings.clock.is_over(self.body.share) {
                return Some(YIELD);
            }
            let mut out = Writer::new(&mut self.shared.replies);
            // A directory that cannot be read to its end is shown as far as it can.
            if self.body.listing.fill(&self.body.core, self.settings, &mut out, self.body.share).is_err() {
                self.body.listing.close();
            }
            self.shared.collected = out.len();
        }
    }

    /// The lines of SITE WHO.
    fn say_sessions(&mut self, sessions: Obj) {
        let mut at = 0;
        while let Ok(other) = exceptions::try_item(sessions, at) {
            at += 1;
            if self.shared.replies.len() - self.shared.collected < REPLY_MAX && self.flush() != CLOSE {
                self.keep();
            }
            let mut out = Writer::new(&mut self.shared.replies[self.shared.collected..]);
            if let Some(core) = core_of(other, self.head, &self.body.core, self.settings) {
                core.describe(self.settings.config.tables, &mut out);
            }
            self.shared.collected += out.len();
        }
    }
}

/// Writes to a stream until all is written or it would block: what is left then, and how much of it was refused in one piece, which comes first the next time.
/// An error counts as written, and the connection as lost.
fn write_all<'a>(stream: Obj, bytes: &'a [u8], refused: &mut usize, lost: &mut bool) -> Option<&'a [u8]> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let again = core::mem::take(refused);
        let piece = rest.get(..again).filter(|piece| !piece.is_empty()).unwrap_or(rest);
        match stream::write(stream, piece) {
            Ok(count) => rest = rest.get(count..).unwrap_or_default(),
            Err(WOULD_BLOCK) => {
                *refused = piece.len();
                return Some(rest);
            }
            Err(_) => {
                *lost = true;
                return None;
            }
        }
    }
    None
}
