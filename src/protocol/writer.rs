//! Writes text into a fixed buffer: numbers, and names in a form that is safe in a reply. `core::fmt` is too large for a board.

/// Writes into a buffer. A piece that does not fit is left out as a whole; then [`overflowed`](Self::overflowed) is true.
pub struct Writer<'a> {
    buffer: &'a mut [u8],
    length: usize,
    overflowed: bool,
}

impl<'a> Writer<'a> {
    /// An empty writer.
    pub fn new(buffer: &'a mut [u8]) -> Self {
        Writer { buffer, length: 0, overflowed: false }
    }

    /// A writer that goes on behind the first `length` bytes.
    pub fn behind(buffer: &'a mut [u8], length: usize) -> Self {
        Writer { length: length.min(buffer.len()), buffer, overflowed: false }
    }

    /// What was written.
    pub fn bytes(&self) -> &[u8] {
        self.buffer.get(..self.length).unwrap_or_default()
    }

    /// Bytes written.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Bytes that still fit.
    pub fn free(&self) -> usize {
        self.buffer.len() - self.length
    }

    /// Whether a piece was left out because it did not fit.
    pub fn overflowed(&self) -> bool {
        self.overflowed
    }

    /// Forgets what was written behind `length`, and that it overflowed.
    pub fn truncate(&mut self, length: usize) {
        self.length = self.length.min(length);
        self.overflowed = false;
    }

    /// Forgets what was written behind `length`, because it did not fit as a whole.
    pub(super) fn leave_out(&mut self, length: usize) {
        self.length = length;
        self.overflowed = true;
    }

    /// One byte.
    pub fn byte(&mut self, byte: u8) {
        match self.buffer.get_mut(self.length) {
            Some(place) => {
                *place = byte;
                self.length += 1;
            }
            None => self.overflowed = true,
        }
    }

    /// These bytes.
    pub fn put(&mut self, bytes: &[u8]) {
        match self.buffer.get_mut(self.length..self.length + bytes.len()) {
            Some(place) => {
                place.copy_from_slice(bytes);
                self.length += bytes.len();
            }
            None => self.overflowed = true,
        }
    }

    /// A number in decimal.
    pub fn dec(&mut self, number: u64) {
        self.dec_padded(number, 1, b' ');
    }

    /// A number in decimal, at the right of at least `width` bytes that `pad` fills.
    pub fn dec_padded(&mut self, number: u64, width: usize, pad: u8) {
        self.number(number, 10, width, pad);
    }

    #[inline(never)]
    fn number(&mut self, number: u64, base: u32, width: usize, pad: u8) {
        let mut digits = [pad; 20];
        let mut at = digits.len();
        let mut rest = number;
        loop {
            at -= 1;
            let (next, digit) = divide(rest, base);
            digits[at] = hex_digit(digit);
            rest = next;
            if rest == 0 || at == 0 {
                break;
            }
        }
        let at = at.min(digits.len().saturating_sub(width));
        self.put(digits.get(at..).unwrap_or_default());
    }

    /// The last two decimal digits.
    pub fn dec2(&mut self, number: u32) {
        self.byte(b'0' + (number / 10 % 10) as u8);
        self.byte(b'0' + (number % 10) as u8);
    }

    /// A byte as two hexadecimal digits.
    pub fn hex2(&mut self, byte: u8) {
        for digit in [byte >> 4, byte & 15] {
            self.byte(hex_digit(digit));
        }
    }

    /// A number in hexadecimal.
    pub fn hex(&mut self, number: u64) {
        self.number(number, 16, 1, b' ');
    }

    /// A name, in a reply or a listing: a control byte is shown as `?`, so that no name ends a line.
    pub fn name(&mut self, name: &[u8]) {
        for &byte in name {
            self.byte(if byte < b' ' && byte != b'\t' || byte == 0x7f { b'?' } else { byte });
        }
    }

    /// A line for people, perhaps on a terminal. Each control character becomes a `?`, also those of Latin-1 in UTF-8 (U+0080 to U+009F). If the line is not UTF-8, so does each byte
    /// outside of ASCII.
    pub fn shown(&mut self, line: &[u8], is_utf8: bool) {
        let mut former = 0;
        for &byte in line {
            if former == 0xc2 && byte < 0xa0 {
                // What it belongs to is written already.
                self.length -= 1;
                self.byte(b'?');
            } else {
                let is_plain = if byte < 0x80 { byte >= b' ' && byte != 0x7f } else { is_utf8 };
                self.byte(if is_plain { byte } else { b'?' });
            }
            former = if is_utf8 { byte } else { 0 };
        }
    }

    /// A name in quotes. Quotes inside of it are doubled (RFC 959 appendix II).
    pub fn quoted(&mut self, name: &[u8]) {
        self.byte(b'"');
        for &byte in name {
            if byte == b'"' {
                self.byte(b'"');
            }
            self.name(&[byte]);
        }
        self.byte(b'"');
    }
}

fn hex_digit(digit: u8) -> u8 {
    digit + if digit < 10 { b'0' } else { b'a' - 10 }
}

/// 64-bit division in the steps of a 32-bit machine, so that no division routine is linked.
fn divide(number: u64, base: u32) -> (u64, u8) {
    let mut remainder = 0;
    let mut quotient = 0;
    for shift in [48, 32, 16, 0] {
        let part = remainder << 16 | (number >> shift) as u32 & 0xffff;
        quotient = quotient << 16 | u64::from(part / base);
        remainder = part % base;
    }
    (quotient, remainder as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(write: impl FnOnce(&mut Writer<'_>)) -> String {
        let mut buffer = [0; 64];
        let mut out = Writer::new(&mut buffer);
        write(&mut out);
        String::from_utf8_lossy(out.bytes()).into_owned()
    }

    #[test]
    fn numbers() {
        assert_eq!(text(|out| out.dec(0)), "0");
        assert_eq!(text(|out| out.dec(u64::MAX)), u64::MAX.to_string());
        assert_eq!(text(|out| out.dec_padded(42, 6, b' ')), "    42");
        assert_eq!(text(|out| out.dec2(7)), "07");
        assert_eq!(text(|out| out.hex(0)), "0");
        assert_eq!(text(|out| out.hex(0xdead_beef_0123)), "deadbeef0123");
    }

    #[test]
    fn no_name_brings_a_line_end() {
        assert_eq!(text(|out| out.name(b"a\nb\rc\x7f\t\xc3\xbc")), "a?b?c?\tü");
        assert_eq!(text(|out| out.quoted(b"/a \"b\"")), "\"/a \"\"b\"\"\"");
    }

    #[test]
    fn what_does_not_fit_is_left_out_whole() {
        let mut buffer = [0; 4];
        let mut out = Writer::new(&mut buffer);
        out.put(b"abc");
        out.put(b"de");
        assert!(out.overflowed());
        assert_eq!(out.bytes(), b"abc");
        out.truncate(1);
        assert!(!out.overflowed());
        assert_eq!(out.free(), 3);
    }

    proptest! {
        #[test]
        fn decimal_is_what_rust_writes(number in any::<u64>()) {
            prop_assert_eq!(text(|out| out.dec(number)), number.to_string());
            prop_assert_eq!(text(|out| out.hex(number)), format!("{number:x}"));
        }
    }
}
