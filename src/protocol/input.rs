//! The bytes that come on the control connection: removes Telnet sequences and cuts lines (RFC 959 3.2 and 4.1.3, RFC 854).
//!
//! The buffer belongs to the caller; [`Input`] only remembers which part of it is in use.

use core::ops::Range;

/// The longest line that is understood, CRLF included, in bytes. Buffers are at least this long.
pub const LINE_MAX: usize = 512;

const IAC: u8 = 255;
/// The first of the bytes that are commands behind IAC. Where that goes as urgent data, as before ABOR, it is not in the stream.
const COMMANDS: u8 = 240;
/// `WILL`, `WONT`, `DO`, `DONT`: followed by one option byte.
const OPTION_COMMANDS: Range<u8> = 251..255;

/// The state of the Telnet stream after the last byte.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Telnet {
    Data,
    Iac,
    Option,
}

/// What is at the head of the buffer.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// No whole line yet.
    Partial,
    /// A line that does not fit the buffer; its remaining bytes are dropped as they come.
    TooLong,
    /// A line, without its line end: the range in the buffer.
    Whole(Range<usize>),
}

/// Which part of the line buffer is in use, and how far the Telnet stream has come.
pub struct Input {
    start: usize,
    end: usize,
    telnet: Telnet,
    discarding: bool,
}

impl Default for Input {
    fn default() -> Self {
        Self::new()
    }
}

impl Input {
    /// An empty buffer.
    pub const fn new() -> Self {
        Input { start: 0, end: 0, telnet: Telnet::Data, discarding: false }
    }

    /// The room for the next read. It is empty when lines must be taken first.
    pub fn space<'a>(&mut self, buffer: &'a mut [u8]) -> &'a mut [u8] {
        if self.start > 0 {
            buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        buffer.get_mut(self.end..).unwrap_or_default()
    }

    /// Whether the buffer holds no byte.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Forgets everything that was received.
    pub fn clear(&mut self) {
        *self = Input::new();
    }

    /// `count` bytes were read into [`space`](Self::space): removes the Telnet sequences from them.
    #[inline(never)]
    pub fn received(&mut self, buffer: &mut [u8], count: usize) {
        let from = self.end;
        for index in from..(from + count).min(buffer.len()) {
            let byte = buffer[index];
            let keep = match (self.telnet, byte) {
                (Telnet::Data, IAC) => {
                    self.telnet = Telnet::Iac;
                    false
                }
                // No line begins so; further on it may be a letter in UTF-8.
                (Telnet::Data, COMMANDS..) => {
                    buffer.get(self.end.wrapping_sub(1)).is_some_and(|&former| former != b'\n')
                }
                (Telnet::Data, _) => true,
                // What followed this IAC went as urgent data.
                (Telnet::Iac, IAC | ..COMMANDS) => {
                    self.telnet = Telnet::Data;
                    true
                }
                (Telnet::Iac, command) => {
                    self.telnet = if OPTION_COMMANDS.contains(&command) { Telnet::Option } else { Telnet::Data };
                    false
                }
                (Telnet::Option, _) => {
                    self.telnet = Telnet::Data;
                    false
                }
            };
            if !keep {
                continue;
            }
            if self.discarding {
                self.discarding = byte != b'\n';
                continue;
            }
            buffer[self.end] = byte;
            self.end += 1;
        }
    }

    /// The line at the head of the buffer; it stays there until [`consume`](Self::consume).
    pub fn peek(&mut self, buffer: &[u8]) -> Line {
        match self.line_at(buffer, self.start) {
            Some(line) if line.end - line.start > LINE_MAX - 2 => Line::TooLong,
            Some(line) => Line::Whole(line),
            None if self.end - self.start >= LINE_MAX.min(buffer.len()) => Line::TooLong,
            None => Line::Partial,
        }
    }

    /// Removes what [`peek`](Self::peek) showed from the buffer. Of a line that is too long, everything goes, also what is still to come.
    pub fn consume(&mut self, buffer: &[u8]) {
        match self.next_line_start(buffer, self.start) {
            Some(next) => self.start = next,
            None => {
                self.discarding = true;
                self.start = self.end;
            }
        }
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
    }

    /// Whether a line anywhere in the buffer is just this verb. If so, that line is removed.
    pub fn take_verb(&mut self, buffer: &mut [u8], verb: &[u8]) -> bool {
        let mut at = self.start;
        while let (Some(line), Some(next)) = (self.line_at(buffer, at), self.next_line_start(buffer, at)) {
            if is_verb(&buffer[line], verb) {
                buffer.copy_within(next..self.end, at);
                self.end -= next - at;
                return true;
            }
            at = next;
        }
        false
    }

    /// Whether a line must be taken before another byte can be read.
    pub fn is_full(&self, buffer: &[u8]) -> bool {
        self.end - self.start >= buffer.len()
    }

    fn next_line_start(&self, buffer: &[u8], at: usize) -> Option<usize> {
        let rest = buffer.get(at..self.end)?;
        Some(at + rest.iter().position(|&byte| byte == b'\n')? + 1)
    }

    /// The line that starts at `at`, without its CRLF or LF.
    fn line_at(&self, buffer: &[u8], at: usize) -> Option<Range<usize>> {
        let end = self.next_line_start(buffer, at)? - 1;
        let line = buffer.get(at..end)?;
        Some(at..at + line.strip_suffix(b"\r").unwrap_or(line).len())
    }
}

/// Whether a line is just this verb, perhaps with blanks behind it.
#[inline(never)]
pub fn is_verb(line: &[u8], verb: &[u8]) -> bool {
    line.trim_ascii_end().eq_ignore_ascii_case(verb)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Feeds `bytes` in pieces and gives the lines back as text, `!` for one that was too long.
    fn lines(bytes: &[u8], piece: usize) -> Vec<Vec<u8>> {
        let mut input = Input::new();
        let mut buffer = [0; LINE_MAX];
        let mut found = Vec::new();
        let mut rest = bytes;
        loop {
            let space = input.space(&mut buffer);
            let count = space.len().min(piece).min(rest.len());
            space[..count].copy_from_slice(&rest[..count]);
            rest = &rest[count..];
            input.received(&mut buffer, count);
            loop {
                match input.peek(&buffer) {
                    Line::Partial => break,
                    Line::TooLong => found.push(b"!".to_vec()),
                    Line::Whole(line) => found.push(buffer[line].to_vec()),
                }
                input.consume(&buffer);
            }
            if rest.is_empty() {
                return found;
            }
        }
    }

    #[test]
    fn crlf_and_bare_lf_end_a_line() {
        assert_eq!(lines(b"NOOP\r\nPWD\nQU", 512), [&b"NOOP"[..], b"PWD"]);
    }

    #[test]
    fn telnet_sequences_vanish_and_a_doubled_iac_is_one_byte() {
        let bytes = b"\xff\xf4\xff\xf2AB\xff\xfb\x01OR\r\nCWD \xff\xff\r\n";
        for piece in 1..bytes.len() {
            assert_eq!(lines(bytes, piece), [&b"ABOR"[..], b"CWD \xff"]);
        }
    }

    #[test]
    fn half_a_telnet_sequence_takes_no_letter_along() {
        let bytes = b"\xff\xf4\xffABOR\r\n\xf2ABOR\r\n\xf4\xf2NOOP\r\nCWD \xf2\x80\x80\x80\xf4\r\n";
        for piece in 1..bytes.len() {
            assert_eq!(lines(bytes, piece), [&b"ABOR"[..], b"ABOR", b"NOOP", b"CWD \xf2\x80\x80\x80\xf4"]);
        }
    }

    #[test]
    fn a_line_too_long_goes_whole_and_the_next_is_understood() {
        // miri takes long for each byte.
        let lengths = if cfg!(miri) { &[513][..] } else { &[511, 512, 513, 700, 1024, 5000] };
        for &length in lengths {
            let mut bytes = vec![b'x'; length];
            bytes.extend(b"\r\nNOOP\r\n");
            for piece in if cfg!(miri) { &[512][..] } else { &[1, 7, 512] }.iter().copied() {
                assert_eq!(lines(&bytes, piece), [&b"!"[..], b"NOOP"], "{length}");
            }
        }
        let mut bytes = vec![b'x'; LINE_MAX - 2];
        bytes.extend(b"\r\n");
        assert_eq!(lines(&bytes, 512)[0].len(), LINE_MAX - 2);
    }

    #[test]
    fn abor_is_found_behind_waiting_lines() {
        let mut input = Input::new();
        let mut buffer = [0; LINE_MAX];
        let bytes = b"RETR a\r\nabor \r\nNOOP\r\n";
        input.space(&mut buffer)[..bytes.len()].copy_from_slice(bytes);
        input.received(&mut buffer, bytes.len());
        assert!(input.take_verb(&mut buffer, b"ABOR"));
        assert!(!input.take_verb(&mut buffer, b"ABOR"));
        assert_eq!(input.peek(&buffer), Line::Whole(0..6));
        input.consume(&buffer);
        assert_eq!(input.peek(&buffer), Line::Whole(8..12));
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_lines(
            bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(255u8), any::<u8>()], 0..1500),
            piece in 1usize..600,
        ) {
            prop_assert_eq!(lines(&bytes, piece), lines(&bytes, 1));
        }
    }
}
