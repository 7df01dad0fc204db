//! The transfer pump: bytes between the data connection and a file or listing, through one buffer, without allocating.

use super::obj::{self, Obj};
use super::stream::{self, WOULD_BLOCK};
use crate::protocol::ascii;
use crate::protocol::session::{End, Session};
use crate::protocol::turns::{HEADERS, LEFT, Turns};

/// How long commands, listings and transfers go on until other tasks run, in microseconds. It is long enough that switching costs little, and short enough
/// that others do not notice. A board that writes to flash uses it up with one buffer.
const SHARE: u32 = 2000;
/// When lwIP has no memory, modlwip's `write` sleeps for 10 s, and the whole board with it. Then it claims to have written what it did not. So after
/// so many microseconds the bytes may be lost.
const SLEPT: u32 = 9_000_000;
/// `ENOSPC`.
const NO_SPACE: i32 = 28;
/// `ENOMEM`.
const NO_MEMORY: i32 = 12;
/// The largest piece that TLS makes a record of where memory is measured: with 32 bytes more it is a segment of most boards.
const RECORD: usize = 768;

/// MicroPython's `time.ticks_us`.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Clock(pub Obj);

/// The ticks count in this many bits on every port, because a tick is a small integer everywhere.
const TICK_MASK: u32 = (1 << 30) - 1;

impl Clock {
    fn now(&self) -> u32 {
        obj::call_0(self.0).to_u64() as u32
    }

    /// A share of the time begins.
    pub fn begin(&self) -> Share {
        Share(self.now())
    }

    /// Whether a share is used up.
    pub fn is_over(&self, share: Share) -> bool {
        self.used(share) >= SHARE
    }

    /// Microseconds since a share began.
    pub fn used(&self, share: Share) -> u32 {
        self.begin().since(share)
    }
}

/// A share of the time: when it began. When it is used up, other tasks run.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Share(u32);

impl Share {
    /// Microseconds from the begin of another one to the begin of this one. 0 when the clock has gone back.
    fn since(self, earlier: Share) -> u32 {
        let ticks = self.0.wrapping_sub(earlier.0) & TICK_MASK;
        if ticks > TICK_MASK / 2 { 0 } else { ticks }
    }
}

/// What was put into a buffer.
pub struct Filled {
    /// How many bytes are in the buffer now.
    pub length: usize,
    /// The share is used up, and the buffer is not full yet.
    pub paused: bool,
}

/// Why the pump stopped.
pub enum Pumped {
    /// The data connection has nothing to read.
    WaitRead,
    /// The data connection takes no more.
    WaitWrite,
    /// The network has no memory, or it is another one's turn.
    Starved,
    /// The share is used up.
    Share,
    /// The transfer is over.
    Ended(End),
}

/// What all downloads of a server go through.
#[repr(C)]
pub struct Outlet {
    /// A socket of lwIP through which nothing can be sent: a write to it says whether there is memory for so many bytes, and frees it. None where a write to a
    /// connection does not hold up the board when there is none.
    gauge: Obj,
    pub turns: Turns,
    /// The share in which the memory was measured while a connection was full.
    measured: Share,
}

impl Outlet {
    /// Without transfers.
    pub fn new(gauge: Obj) -> Self {
        Outlet { gauge, turns: Turns::new(), measured: Share(0) }
    }

    /// Whether the network has so much memory, in one piece. The gauge is asked with bytes of `sample`, whatever they are.
    fn has(&self, size: usize, sample: &[u8]) -> bool {
        stream::write(self.gauge, sample.get(..size).unwrap_or(sample)) != Err(NO_MEMORY)
    }

    /// Whether the network may take a reply. Few are longer than this.
    #[inline(never)]
    pub fn takes(&self, sample: &[u8]) -> bool {
        !self.turns.is_short() || self.has(2 * HEADERS, sample)
    }
}

/// The outlet as one transfer uses it: `sample` are the bytes with which the gauge is asked, whatever they are.
pub struct Door<'a> {
    pub outlet: &'a mut Outlet,
    pub sample: &'a [u8],
}

impl Door<'_> {
    /// How many of `waiting` bytes may be written now; when some were refused, all of these or nothing.
    fn room(&mut self, who: usize, waiting: usize, refused: usize, share: Share) -> usize {
        let turns = &mut self.outlet.turns;
        if turns.is_free(share.since(self.outlet.measured)) {
            return waiting;
        }
        let most = turns.most(who);
        if most == 0 {
            return 0;
        }
        let piece = if refused > 0 { refused } else { waiting.min(most) };
        let needed = turns.needed(who, piece);
        if !self.outlet.has(needed, self.sample) {
            self.outlet.turns.refused();
            return 0;
        }
        piece
    }

    /// The connection is full.
    fn is_full(&mut self, share: Share) {
        if self.outlet.turns.may_be_free() {
            let is_left = self.outlet.has(LEFT, self.sample);
            self.outlet.turns.free(is_left);
            self.outlet.measured = share;
        }
    }
}

/// The buffer, and which part of it still has to move.
#[repr(C)]
pub struct Pump {
    /// The bytearray, kept for the GC; null between transfers.
    owner: Obj,
    start: usize,
    end: usize,
    /// How many bytes TLS was given when it could not send them all. It wants the same ones again.
    refused: usize,
    /// More is put into the buffer before it is sent.
    filling: bool,
}

impl Pump {
    /// Without a buffer.
    pub fn new() -> Self {
        Pump { owner: Obj::NULL, start: 0, end: 0, refused: 0, filling: false }
    }

    /// Takes a bytearray for a transfer, or None to let the former one go.
    pub fn attach(&mut self, owner: Obj, turns: &mut Turns) {
        let who = core::ptr::from_ref(&*self).addr();
        if !owner.is_none() {
            turns.begin();
        } else if !self.owner.is_null() {
            turns.end(who);
        }
        *self = Pump { owner: if owner.is_none() { Obj::NULL } else { owner }, ..Pump::new() };
    }

    /// Sends what `fill` puts into the buffer behind what is in it, until there is nothing in it.
    pub fn send(
        &mut self,
        data: Obj,
        session: &mut Session,
        door: &mut Door<'_>,
        clock: &Clock,
        mut fill: impl FnMut(&Session, &mut [u8], usize, Share) -> Result<Filled, End>,
    ) -> Pumped {
        let Some(buffer) = self.owner.bytes_mut() else { return Pumped::Ended(End::LocalError) };
        let share = clock.begin();
        loop {
            if self.start == self.end || self.filling {
                let used = if self.filling { self.end } else { 0 };
                let filled = match fill(session, buffer, used, share) {
                    Ok(filled) => filled,
                    Err(end) => return Pumped::Ended(end),
                };
                (self.start, self.end, self.filling) = (0, filled.length, filled.paused);
                if filled.paused {
                    return Pumped::Share;
                }
                if filled.length == 0 {
                    // Only a write makes TLS do its handshake, and nothing was written.
                    if session.protects_data() && session.moved() == 0 {
                        return match stream::write(data, &[]) {
                            Ok(_) => Pumped::Ended(End::Complete),
                            Err(WOULD_BLOCK) => Pumped::WaitWrite,
                            Err(_) => Pumped::Ended(End::Broken),
                        };
                    }
                    return Pumped::Ended(End::Complete);
                }
            }
            if let Some(stopped) = self.write_out(data, session, door, clock, share, buffer) {
                return stopped;
            }
        }
    }

    /// Writes what is in the buffer. Why that stopped before its end.
    #[inline(never)]
    fn write_out(
        &mut self,
        data: Obj,
        session: &mut Session,
        door: &mut Door<'_>,
        clock: &Clock,
        share: Share,
        buffer: &[u8],
    ) -> Option<Pumped> {
        let measures = !door.outlet.gauge.is_none();
        let secret = session.protects_data();
        let who = core::ptr::from_ref(&*self).addr();
        while self.start < self.end {
            let mut room = self.end - self.start;
            if measures {
                if secret {
                    // TLS makes a record of a piece, which shall fit in a segment.
                    room = room.min(RECORD);
                }
                room = door.room(who, room, self.refused, share);
                if secret && room == 0 {
                    // TLS would make an empty record.
                    return Some(Pumped::Starved);
                }
            }
            // Without room, what is asked is whether the connection stands and is not full.
            let piece = buffer.get(self.start..self.start + room).unwrap_or_default();
            match stream::write(data, piece) {
                Ok(_) if room == 0 => return Some(Pumped::Starved),
                Ok(count) => {
                    self.refused = 0;
                    self.start += count;
                    session.data_moved(count as u64);
                    door.outlet.turns.wrote(who, count);
                }
                Err(WOULD_BLOCK) => {
                    if secret {
                        self.refused = room;
                    }
                    if measures {
                        door.is_full(share);
                    }
                    return Some(Pumped::WaitWrite);
                }
                Err(_) => return Some(Pumped::Ended(End::Broken)),
            }
            // Through TLS a buffer goes in many writes, each of which takes its time.
            let used = clock.used(share);
            if used >= SLEPT {
                return Some(Pumped::Ended(End::Broken));
            }
            if used >= SHARE {
                return Some(Pumped::Share);
            }
        }
        None
    }

    /// Writes what comes to the file, a whole buffer at a time, which is best for flash. If `session` converts, lines of the wire become lines of a file.
    pub fn receive(&mut self, data: Obj, file: Obj, session: &mut Session, clock: &Clock) -> Pumped {
        let converts = session.converts();
        let Some(buffer) = self.owner.bytes_mut() else { return Pumped::Ended(End::LocalError) };
        let share = clock.begin();
        loop {
            while let Some(space) = buffer.get_mut(self.end..).filter(|space| !space.is_empty()) {
                match stream::read(data, space) {
                    Ok(0) => {
                        return Pumped::Ended(match self.store(file, buffer, self.end) {
                            Ok(()) => End::Complete,
                            Err(end) => end,
                        });
                    }
                    Ok(count) => {
                        let end = self.end + count;
                        self.end = if converts { ascii::take(buffer, self.end, end) } else { end };
                        session.data_moved(count as u64);
                        if clock.is_over(share) {
                            return Pumped::Share;
                        }
                    }
                    Err(WOULD_BLOCK) => return Pumped::WaitRead,
                    Err(_) => return Pumped::Ended(End::Broken),
                }
            }
            let settled = if converts { ascii::settled(buffer) } else { self.end };
            if let Err(end) = self.store(file, buffer, settled) {
                return Pumped::Ended(end);
            }
            if clock.is_over(share) {
                return Pumped::Share;
            }
        }
    }

    /// Writes what is left in the buffer to the file.
    ///
    /// # Errors
    /// How that ends the transfer.
    pub fn settle(&mut self, file: Obj) -> Result<(), End> {
        let end = self.end;
        self.owner.bytes_mut().map_or(Ok(()), |buffer| self.store(file, buffer, end))
    }

    /// Writes the first `count` bytes of the buffer to the file. The bytes behind them move to its start.
    fn store(&mut self, file: Obj, buffer: &mut [u8], count: usize) -> Result<(), End> {
        let mut rest = buffer.get(..count).unwrap_or_default();
        while !rest.is_empty() {
            match stream::write(file, rest) {
                // A full FAT file system writes less than asked, and then nothing.
                Ok(0) | Err(NO_SPACE) => return Err(End::NoSpace),
                Ok(count) => rest = rest.get(count..).unwrap_or_default(),
                Err(_) => return Err(End::LocalError),
            }
        }
        let waiting = self.end - count;
        if waiting > 0 {
            buffer.copy_within(count..self.end, 0);
        }
        self.end = waiting;
        Ok(())
    }
}
