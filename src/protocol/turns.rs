//! Downloads that take turns where the network's memory does not hold what all of them may have on their way.
//!
//! On such a network (lwIP with MicroPython's sockets) a write that finds no memory holds up the whole board. So whoever sends asks here first, and then
//! measures whether there is memory for the next piece. Only a download that is alone, and has filled its connection while there was memory left, need not: it
//! will not have more on its way than that.

/// Bytes of a piece: a segment of most boards.
const PIECE: usize = 800;
/// Bytes of a piece when there was no memory for one of that size, again and again: somebody who does not read has it.
pub const SMALL_PIECE: usize = 128;
/// After so many refusals the pieces become small.
const PATIENCE: u8 = 16;
/// So often whoever wrote last lets others try first when there is no memory, and then goes on if none of them has tried.
const MANNERS: u8 = 4;

/// The same for one that is alone, and mostly waits for its own bytes to arrive.
const LONELY_PATIENCE: u8 = 250;
/// Who finds less room than that in its connection, so often in succession, is not free any more: many small pieces take more memory than one connection
/// should have.
const RAGGED: usize = 600;
const RAGS: u8 = 8;

/// Who sends, and whose turn it is. A download is known by a number that no other has, and which is not 0.
pub struct Turns {
    /// Who wrote last.
    last: usize,
    /// How often since then there was no memory.
    refusals: u8,
    /// How often it has let others try first, since one of them asked.
    waited: u8,
    /// How often in succession there was little room in its connection.
    rags: u8,
    /// How many transfer.
    transfers: i8,
    /// The one that sends has had its connection full, and there was memory left.
    roomy: bool,
}

impl Turns {
    /// Nobody sends.
    #[allow(clippy::new_without_default, reason = "nobody needs it")]
    pub const fn new() -> Self {
        Turns { last: 0, refusals: 0, waited: 0, rags: 0, transfers: 0, roomy: false }
    }

    /// So many more transfer. What one has sent that does not any more may be on its way still. Uploads count, too, for they acknowledge.
    pub fn change(&mut self, by: i8) {
        self.transfers = self.transfers.wrapping_add(by);
        self.roomy = false;
    }

    /// Whether all that is sent may be written without a question.
    pub fn is_free(&self) -> bool {
        self.roomy
    }

    /// How many bytes this one may write now, if there is memory for them; 0 lets others try first.
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

    /// It has written so many bytes of a piece, so another one has its turn.
    pub fn wrote(&mut self, who: usize, count: usize, piece: usize) {
        self.rags = if count < piece && count < RAGGED { self.rags + 1 } else { 0 };
        if self.rags >= RAGS {
            self.rags = 0;
            self.roomy = false;
        }
        if self.last != who {
            self.last = who;
            // Nobody else is known to want memory.
            self.waited = MANNERS;
        }
        // A small piece is followed by one more try with a large one.
        let patience = self.patience();
        self.refusals = if self.refusals < patience { 0 } else { patience - 1 };
    }

    /// The connection of one takes no more. Whether it may be free, if there is memory left.
    pub fn may_be_free(&self) -> bool {
        self.transfers == 1 && !self.roomy
    }

    /// There was.
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
