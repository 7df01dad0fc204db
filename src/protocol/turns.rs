//! Downloads take turns where the network does not have enough memory for all of them.
//!
//! On such a network (lwIP with MicroPython's sockets) a write that finds no memory stops the whole board. So each download first asks here, and then
//! measures whether there is memory for the next piece. A download need not ask if it is alone, and has just filled its connection while there was memory left:
//! it will not need more memory than it did then. This is measured anew each time its connection is full, and holds for 50 ms. Others may take that memory
//! meanwhile: a reply of the server ends it at once, and what the program itself sends is noticed when the moment is over.

/// The size of a piece in bytes: a segment of most boards.
const PIECE: usize = 800;
/// The size of a piece when there was no memory for a larger one many times in a row. Then a client that does not read has the memory. lwIP keeps at most 32 pieces of a
/// connection, and when there is no place for one more, it stops the whole board. So many of this size are more than a connection takes.
const SMALL_PIECE: usize = 224;
/// The memory that the headers of a piece need, at most.
pub const HEADERS: usize = 100;
/// The memory that must be left when a client may stop reading at any time: for a small piece of another download, and for replies.
pub const LEFT: usize = 456;
/// After so many refusals in a row the pieces become small.
const PATIENCE: u8 = 16;
/// When there is no memory, the download that wrote last lets others try first so many times. If none of them has tried, it goes on.
const MANNERS: u8 = 4;

/// As [`PATIENCE`], for a download that is alone. It mostly waits for its own bytes to arrive.
const LONELY_PATIENCE: u8 = 250;
/// Microseconds for which a download that has filled its connection need not ask.
const FREEDOM: u32 = 50_000;
/// More bytes than a connection ever has on its way.
const WAY: usize = 16_000;

/// The downloads, and whose turn it is. Each download has a number of its own, which is not 0.
pub struct Turns {
    /// The download that wrote last.
    last: usize,
    /// How many times there was no memory since then.
    refusals: u8,
    /// How many times it has let others try first since one of them asked.
    waited: u8,
    /// How many bytes it has written since the last piece that was not made of whole segments. Whole segments leave holes in the memory that are as large as what it
    /// writes next. The count may wrap around.
    whole: usize,
    /// How many transfers are running.
    transfers: i8,
    /// Nobody could write for long. The download that wrote last has a client that does not read.
    stuck: bool,
    /// A download has filled its connection, or found no memory, since there was none.
    crowded: bool,
    /// The only download has filled its connection, and there was memory left.
    roomy: bool,
}

impl Turns {
    /// No transfers yet.
    #[allow(clippy::new_without_default, reason = "nobody needs it")]
    pub const fn new() -> Self {
        Turns { last: 0, refusals: 0, waited: 0, whole: 0, transfers: 0, stuck: false, crowded: false, roomy: false }
    }

    /// A transfer begins. Uploads count, too, because they send acknowledgements.
    pub fn begin(&mut self) {
        if self.transfers == 0 {
            self.crowded = false;
        }
        self.transfers = self.transfers.wrapping_add(1);
        self.whole = 0;
        self.roomy = false;
    }

    /// A transfer has ended. What it has sent may still need memory, so the others have to ask again.
    pub fn end(&mut self, who: usize) {
        if self.last == who {
            // The session's next download is another one.
            self.last = 0;
            self.stuck = false;
        }
        self.transfers = self.transfers.wrapping_sub(1);
        self.roomy = false;
    }

    /// Whether a download may write everything without asking. So many microseconds ago its connection was full.
    pub fn is_free(&mut self, ago: u32) -> bool {
        self.roomy = self.roomy && ago < FREEDOM;
        self.roomy
    }

    /// How many bytes this download may write now, if there is memory for them. With 0 it lets others try first.
    pub fn most(&mut self, who: usize) -> usize {
        let is_small = self.refusals >= self.patience();
        if self.last == who {
            if self.refusals > 0 && self.waited < MANNERS {
                self.waited += 1;
                return 0;
            }
        } else if !self.stuck {
            self.waited = 0;
        }
        if is_small { SMALL_PIECE } else { PIECE }
    }

    /// How much memory must be free before a download writes a piece.
    ///
    /// A client that does not read keeps the memory that it has. So each piece leaves enough for another download. When nobody can write any more, the download that
    /// wrote last is the one whose client does not read: the bytes of the others have arrived, and gave back no more than they had taken. So what is left is for the
    /// others, in small pieces.
    pub fn needed(&self, who: usize, piece: usize) -> usize {
        piece + HEADERS + if self.has_the_rest(who, piece) { 0 } else { LEFT }
    }

    fn has_the_rest(&self, who: usize, piece: usize) -> bool {
        self.stuck && self.last != who && piece <= SMALL_PIECE
    }

    /// After how many milliseconds a download that was refused asks again. That becomes more when nobody could write anything for half a second: then
    /// the clients do not read.
    pub fn pause(&self) -> u32 {
        if self.refusals == u8::MAX { 12 } else { 2 }
    }

    /// Whether memory may be short: since there was no transfer, one has filled its connection or found no memory.
    pub fn is_short(&self) -> bool {
        self.crowded
    }

    /// There was no memory.
    pub fn refused(&mut self) {
        if self.refusals == u8::MAX {
            self.stuck = true;
        } else {
            self.refusals += 1;
        }
        self.crowded = true;
    }

    /// The download has written `count` bytes. Now it is the turn of others.
    pub fn wrote(&mut self, who: usize, count: usize) {
        if count.is_multiple_of(PIECE) {
            self.whole = self.whole.wrapping_add(count);
        } else {
            self.whole = 0;
            self.roomy = false;
        }
        if !self.has_the_rest(who, count) {
            self.stuck = false;
            if self.last != who {
                self.last = who;
                // No other download has asked so far.
                self.waited = MANNERS;
            }
        }
        // After a small piece a large one is tried again.
        let patience = self.patience();
        self.refusals = if self.refusals < patience { 0 } else { patience - 1 };
    }

    /// A connection is full. Whether its download need not ask for a while, if there is memory left.
    pub fn may_be_free(&mut self) -> bool {
        self.crowded = true;
        self.transfers == 1 && self.whole >= WAY
    }

    /// Whether there was memory left. False, too, when the server has sent something else.
    pub fn free(&mut self, is_left: bool) {
        self.roomy = is_left;
    }

    fn patience(&self) -> u8 {
        if self.transfers == 1 { LONELY_PATIENCE } else { PATIENCE }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A download that is alone and has written whole segments.
    fn alone() -> Turns {
        let mut turns = Turns::new();
        turns.begin();
        turns.wrote(1, WAY);
        turns
    }

    #[test]
    fn one_alone_is_free_for_a_moment_when_its_connection_was_full() {
        let mut turns = Turns::new();
        turns.begin();
        assert!(!turns.is_free(0));
        turns.wrote(1, PIECE);
        assert_eq!((turns.is_free(0), turns.most(1)), (false, PIECE));
        assert!(!turns.may_be_free(), "it may have written parts of segments before");
        turns.wrote(1, WAY);
        assert!(turns.may_be_free());
        turns.free(true);
        assert!(turns.is_free(FREEDOM - 1));
        assert!(!turns.is_free(FREEDOM));
        assert!(!turns.is_free(0), "it has to be measured again");
        turns.free(true);
        turns.free(false);
        assert!(!turns.is_free(0), "there was no memory left, or the server has sent something");
    }

    #[test]
    fn one_that_writes_parts_of_segments_asks() {
        let mut turns = alone();
        turns.free(true);
        for _ in 0..10 {
            turns.wrote(1, 2 * PIECE);
            turns.wrote(1, 3 * PIECE);
        }
        assert!(turns.is_free(0));
        turns.wrote(1, PIECE + 96);
        assert!(!turns.is_free(0));
        assert!(!turns.may_be_free(), "what it has on its way are parts of segments");
        turns.wrote(1, WAY);
        assert!(turns.may_be_free());
    }

    #[test]
    fn another_transfer_ends_the_freedom() {
        let mut turns = alone();
        turns.free(true);
        turns.begin();
        assert!(!turns.is_free(0));
        assert!(!turns.may_be_free(), "the other one sends, too");
        turns.end(2);
        assert!(!turns.is_free(0), "its last bytes are on their way");
        assert!(!turns.may_be_free());
        turns.wrote(1, WAY);
        assert!(turns.may_be_free());
    }

    /// Nobody could write for long.
    fn stuck(turns: &mut Turns) {
        for _ in 0..=u8::MAX {
            turns.refused();
        }
    }

    #[test]
    fn what_one_leaves_is_enough_for_another() {
        let mut turns = Turns::new();
        turns.begin();
        turns.begin();
        turns.wrote(1, PIECE);
        let small = SMALL_PIECE + HEADERS;
        for who in [1, 2] {
            assert!(turns.needed(who, PIECE) - PIECE - HEADERS >= small);
            assert!(turns.needed(who, SMALL_PIECE) - small >= small);
        }
        stuck(&mut turns);
        assert!(turns.needed(1, SMALL_PIECE) - small >= small, "its client does not read");
        assert_eq!(turns.needed(2, SMALL_PIECE), small);
        turns.wrote(2, SMALL_PIECE);
        assert_eq!(turns.needed(2, SMALL_PIECE), small, "the other client still does not read");
        assert_eq!(turns.needed(2, PIECE), PIECE + HEADERS + LEFT);
        turns.wrote(1, SMALL_PIECE);
        assert!(turns.needed(2, SMALL_PIECE) > small, "now it does");
        stuck(&mut turns);
        turns.end(1);
        assert!(turns.needed(2, SMALL_PIECE) > small, "it has gone");
        turns.begin();
        turns.wrote(1, PIECE);
        turns.end(1);
        turns.begin();
        stuck(&mut turns);
        assert_eq!(turns.needed(1, SMALL_PIECE), small, "what the download before has left on its way is not its own");
    }

    #[test]
    fn there_is_a_place_for_each_small_piece_of_a_connection() {
        // lwIP's TCP_SND_BUF, and its TCP_SND_QUEUELEN. Where a buffer of 4,096 ends, a piece is smaller.
        assert!((6400_usize.div_ceil(SMALL_PIECE) + 2) < 32);
    }

    #[test]
    fn one_that_cannot_write_for_long_asks_less_often() {
        let mut turns = alone();
        for _ in 0..254 {
            turns.refused();
            assert_eq!(turns.pause(), 2);
        }
        turns.refused();
        assert_eq!(turns.pause(), 12);
        turns.wrote(1, SMALL_PIECE);
        assert_eq!(turns.pause(), 2);
    }

    /// The client of one reads nothing, or stops after a while. The other one goes on in what memory there is, whichever began first.
    #[test]
    fn one_goes_on_beside_a_client_that_does_not_read() {
        for (sleeper, reader) in [(1, 2), (2, 1)] {
            for reads in [0, 7, 100] {
                let mut memory = 8000;
                let mut turns = Turns::new();
                let ask = |turns: &mut Turns, who, memory: &mut usize| {
                    let piece = turns.most(who);
                    if piece == 0 {
                        return 0;
                    }
                    if *memory < turns.needed(who, piece) {
                        turns.refused();
                        return 0;
                    }
                    turns.wrote(who, piece);
                    *memory -= piece + HEADERS;
                    piece
                };
                turns.begin();
                for _ in 0..1000 {
                    let piece = ask(&mut turns, 1, &mut memory);
                    // It arrives at once.
                    memory += if reader == 1 && piece > 0 { piece + HEADERS } else { 0 };
                }
                turns.begin();
                // What is on its way to each client.
                let mut away = [0; 3];
                let mut written = 0;
                for round in 0..3000 {
                    for who in [1, 2] {
                        let piece = ask(&mut turns, who, &mut memory);
                        away[who] += if piece > 0 { piece + HEADERS } else { 0 };
                        written += if who == reader { piece } else { 0 };
                    }
                    // What was sent arrives a little later.
                    let arrives = if round % 3 == 0 { away[reader] } else { 0 };
                    away[reader] -= arrives;
                    memory += arrives;
                    if round < reads {
                        memory += away[sleeper];
                        away[sleeper] = 0;
                    }
                }
                assert!(written >= 300 * SMALL_PIECE, "{written} bytes to {reader}, after {reads} rounds");
            }
        }
    }

    #[test]
    fn two_take_turns_when_memory_is_short() {
        let mut turns = Turns::new();
        turns.begin();
        turns.begin();
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
                    turns.wrote(who, PIECE);
                }
            }
        }
        assert!(written[1].abs_diff(written[2]) <= 1, "{written:?}");
    }

    #[test]
    fn who_waits_for_others_in_vain_goes_on() {
        let mut turns = Turns::new();
        turns.begin();
        turns.begin();
        turns.wrote(1, PIECE);
        turns.refused();
        assert_eq!(turns.most(1), PIECE, "there are no others");
        assert_eq!(turns.most(2), PIECE);
        let waits = (0..).take_while(|_| turns.most(1) == 0).count();
        assert_eq!(waits, usize::from(MANNERS));
    }

    #[test]
    fn pieces_are_small_while_there_is_little_memory() {
        let mut turns = Turns::new();
        turns.begin();
        turns.begin();
        for _ in 0..PATIENCE {
            assert_eq!(turns.most(1), PIECE);
            turns.refused();
        }
        assert_eq!(turns.most(1), SMALL_PIECE);
        turns.wrote(1, PIECE);
        assert_eq!(turns.most(1), PIECE);
        turns.refused();
        assert_eq!(turns.most(1), SMALL_PIECE, "there is no more than before");
        turns.wrote(1, PIECE);
        turns.wrote(1, PIECE);
        turns.refused();
        assert_eq!(turns.most(1), PIECE, "there was memory for a large one");
    }
}
