//! What the server says, packed: all texts are one table, and a text is a number in it. A pointer, a length and the text itself would take three times as much of a
//! board's memory. `text!("200 NOOP ok.")` is the number; build.rs finds these in the sources and makes the table.

use super::writer::Writer;
use core::num::NonZeroU8;

/// A text of the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Text(NonZeroU8);

impl Text {
    /// The empty text: what was to be said stands there already.
    pub const NONE: Text = text!("");

    /// The text with that number, from 1.
    pub(super) const fn numbered(number: u8) -> Text {
        Text(NonZeroU8::new(number).expect("numbers begin with 1"))
    }
}

// The macro `text!`; the table PACKED, in which bytes above DOT stand for one or two letters, see PAIRS, and others end a text, DOT with a dot; and GROUPS, where
// each GROUP of texts begins in it.
include!(concat!(env!("OUT_DIR"), "/texts.rs"));
pub(crate) use text;

/// All texts. Its numbers are bytes, so that it may begin anywhere in memory.
pub(super) struct Texts {
    groups: [[u8; 2]; GROUPS.len()],
    pairs: [[u8; 2]; PAIRS.len()],
    packed: [u8; PACKED.len()],
}

pub(super) const TEXTS: Texts = Texts { groups: GROUPS, pairs: PAIRS, packed: PACKED };

impl Texts {
    /// Writes a text.
    #[inline(never)]
    pub(super) fn write(&self, text: Text, out: &mut Writer<'_>) {
        let before = out.len();
        let number = usize::from(text.0.get() - 1);
        let start = self.groups.get(number / GROUP).copied().map_or(0, u16::from_le_bytes);
        let mut others = number % GROUP;
        for &byte in self.packed.get(usize::from(start)..).unwrap_or_default() {
            if others > 0 {
                others -= usize::from(byte <= DOT);
            } else if byte > DOT {
                self.unpack(byte, out);
            } else {
                if byte == DOT {
                    out.byte(b'.');
                }
                break;
            }
        }
        if out.overflowed() {
            out.leave_out(before);
        }
    }

    /// A letter, or the pair that stands for, of which each may be a pair.
    fn unpack(&self, byte: u8, out: &mut Writer<'_>) {
        match self.pairs.get(usize::from(byte).wrapping_sub(0x80)) {
            Some(&[first, second]) => {
                self.unpack(first, out);
                self.unpack(second, out);
            }
            None => out.byte(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: Text, room: usize) -> (String, bool) {
        let mut buffer = [0; 80];
        let mut out = Writer::new(&mut buffer[..room]);
        TEXTS.write(text, &mut out);
        (String::from_utf8_lossy(out.bytes()).into_owned(), out.overflowed())
    }

    #[test]
    fn texts_come_out_as_they_are_written_in_the_source() {
        assert_eq!(said(Text::NONE, 0), (String::new(), false));
        assert_eq!(said(text!("550 No such file or directory."), 80).0, "550 No such file or directory.");
        assert_eq!(said(text!("215 UNIX Type: L8"), 80).0, "215 UNIX Type: L8");
        assert_eq!(said(text!("\r\n MFMT"), 80).0, "\r\n MFMT");
        assert_ne!(text!("550 Is a directory."), text!("550 Not a directory."));
    }

    #[test]
    fn a_text_that_does_not_fit_is_left_out() {
        assert_eq!(said(text!("550 Is a directory."), 18), (String::new(), true));
        assert_eq!(said(text!("550 Is a directory."), 19).0, "550 Is a directory.");
    }

    #[test]
    fn every_text_of_the_table_can_be_said() {
        // One for each end in the table, and none beyond.
        let count = PACKED.iter().filter(|&&byte| byte <= DOT).count();
        assert!((1..=255).contains(&count));
        for number in 2..=count {
            let (text, overflowed) = said(Text::numbered(number as u8), 80);
            assert!(!text.is_empty() && !overflowed && text.is_ascii(), "{number}: {text}");
        }
    }
}
