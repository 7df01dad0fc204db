//! Downloads take turns where the network does not have enough memory for all of them.
//!
//! On such a network (lwIP with MicroPython's sockets) a write that finds no memory stops the whole board. So each download first asks here, and then
//! measures whether there is memory for the next piece. A download need not ask if it is alone, and has once filled its connection while there was memory left.
//! It will never need more memory than it did then.

/// The size of a piece in bytes: a segment of most boards.
const PIECE: usize = 800;
/// The size of a piece when there was no memory for a larger one many times in a row. Then a client that does not read has the memory.
pub const SMALL_PIECE: usize = 128;
/// After so many refusals in a row the pieces become small.
const PATIENCE: u8 = 16;
/// When there is no memory, the download that wrote last lets others try first so many times. If none of them has tried, it goes on.
const MANNERS: u8 = 4;

/// As [`PATIENCE`], for a download that is alone. It mostly waits for its own bytes to arrive.
const LONELY_PATIENCE: u8 = 250;
/// If a download finds less room than this in its connection, [`RAGS`] times in a row, it has to ask again: many small pieces take more memory than one
/// connection should have.
const RAGGED: usize = 600;
const RAGS: u8 = 8;

/// The downloads, and whose turn it is. Each download has a number of its own, which is not 0.
pub struct Turns {
    /// The download that wrote last.
    last: usize,
    /// How many times there was no memory since then.
    refusals: u8,
    /// How many times it has let others try first since one of them asked.
    waited: u8,
    /// How many times in a row there was little room in its connection.
    rags: u8,
    /// How many transfers are running.
    transfers: i8,
    /// The only download has filled its connection, and there was memory left.
    roomy: bool,
}

impl Turns {
    /// No transfers yet.
    #[allow(clippy::new_without_default, reason = "nobody needs it")]
    pub const fn new() -> Self {
        Turns { last: 0, refusals: 0, waited: 0, rags: 0, transfers: 0, roomy: false }
    }

    /// `by` more transfers are running. When one has ended, what it sent may still need memory, so the others have to ask again. Uploads count, too, because they
    /// send acknowledgements.
    pub fn change(&mut self, by: i8) {
        self.transfers = self.transfers.wrapping_add(by);
        self.roomy = false;
    }

    /// Whether a download may write everything without asking.
    pub fn is_free(&self) -> bool {
        self.roomy
    }

    /// How many bytes this download may write now, if there is memory for them. With 0 it lets others try first.
    pub fn most(&mut self, who: usize) -> usize {
        if self.last != who {
            self.waited = 0;
        } else if self.refusals > 0 && self.waited < MANNERS {
            self.waited += 1;
            return 0;
        }
        if self.refusals < self.patience() { PIECE } else { SMALL_PIECE }
    }

    /// There was no memory.
    pub fn refused(&mut self) {
        self.refusals = self.refusals.saturating_add(1);
    }

    /// The download has written `count` bytes of a piece. Now it is the turn of others.
    pub fn wrote(&mut self, who: usize, count: usize, piece: usize) {
        self.rags = if count < piece && count < RAGGED { self.rags + 1 } else { 0 };
        if self.rags >= RAGS {
            self.rags = 0;
            self.roomy = false;
        }
        if self.last != who {
            self.last = who;
            // No other download has asked so far.
            self.waited = MANNERS;
        }
        // After a small piece a large one is tried again.
        let patience = self.patience();
        self.refusals = if self.refusals < patience { 0 } else { patience - 1 };
    }

    /// A connection is full. Whether its download need not ask from now on, if there is memory left.
    pub fn may_be_free(&self) -> bool {
        self.transfers == 1 && !self.roomy
    }

    /// There was memory left.
    pub fn free(&mut self) {
        self.roomy = true;
    }

    fn patience(&self) -> u8 {
        if self.transfers == 1 { LONELY_PATIENCE } else { PATIENCE }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_alone_is_free_once_its_connection_was_full() {
        let mut turns = Turns::new();
        turns.change(1);
        assert!(!turns.is_free());
        turns.wrote(1, PIECE, PIECE);
        assert_eq!((turns.is_free(), turns.most(1)), (false, PIECE));
        assert!(turns.may_be_free());
        turns.free();
        assert!(turns.is_free());
    }

    #[test]
    fn one_whose_connection_takes_small_pieces_asks() {
        let mut turns = Turns::new();
        turns.change(1);
        turns.free();
        turns.wrote(1, 96, 96);
        assert!(turns.is_free(), "that was all it had");
        for _ in 1..RAGS {
            turns.wrote(1, 96, 800);
            assert!(turns.is_free());
        }
        turns.wrote(1, 96, 800);
        assert!(!turns.is_free());
        assert!(turns.may_be_free());
    }

    #[test]
    fn what_another_has_sent_ends_the_freedom() {
        let mut turns = Turns::new();
        turns.change(1);
        turns.free();
        turns.change(1);
        assert!(!turns.is_free());
        assert!(!turns.may_be_free(), "the other one sends, too");
        turns.change(-1);
        assert!(!turns.is_free(), "its last bytes are on their way");
        assert!(turns.may_be_free());
    }

    #[test]
    fn two_take_turns_when_memory_is_short() {
        let mut turns = Turns::new();
        turns.change(1);
        turns.change(1);
        let mut written = [0_u32; 3];
        let mut memory = 0;
        for round in 0..400 {
            memory += usize::from(round % 4 == 0);
            for who in [1, 2] {
                // Whoever has written asks again at once.
                while turns.most(who) > 0 {
                    if memory == 0 {
                        turns.refused();
                        break;
                    }
                    memory -= 1;
                    written[who] += 1;
                    turns.wrote(who, PIECE, PIECE);
                }
            }
        }
        assert!(written[1].abs_diff(written[2]) <= 1, "{written:?}");
    }

    #[test]
    fn who_waits_for_others_in_vain_goes_on() {
        let mut turns = Turns::new();
        turns.change(1);
        turns.change(1);
        turns.wrote(1, PIECE, PIECE);
        turns.refused();
        assert_eq!(turns.most(1), PIECE, "there are no others");
        assert_eq!(turns.most(2), PIECE);
        let waits = (0..).take_while(|_| turns.most(1) == 0).count();
        assert_eq!(waits, usize::from(MANNERS));
    }

    #[test]
    fn pieces_are_small_while_there_is_little_memory() {
        let mut turns = Turns::new();
        turns.change(1);
        turns.change(1);
        for _ in 0..PATIENCE {
            assert_eq!(turns.most(1), PIECE);
            turns.refused();
        }
        assert_eq!(turns.most(1), SMALL_PIECE);
        turns.wrote(1, PIECE, PIECE);
        assert_eq!(turns.most(1), PIECE);
        turns.refused();
        assert_eq!(turns.most(1), SMALL_PIECE, "there is no more than before");
        turns.wrote(1, PIECE, PIECE);
        turns.wrote(1, PIECE, PIECE);
        turns.refused();
        assert_eq!(turns.most(1), PIECE, "there was memory for a large one");
    }
}
