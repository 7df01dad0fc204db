//! Texts one behind the other, each ended by NUL: a pointer and a length for each would take a board's memory.

/// How many bytes [`joined`] makes of a list.
pub const fn length(list: &[&[u8]]) -> usize {
    let (mut bytes, mut index) = (0, 0);
    while index < list.len() {
        bytes += list[index].len() + 1;
        index += 1;
    }
    bytes
}

/// The texts of a list, none of which may have a NUL in it.
pub const fn joined<const N: usize>(list: &[&[u8]]) -> [u8; N] {
    let mut bytes = [0; N];
    let (mut at, mut index) = (0, 0);
    while index < list.len() {
        let mut from = 0;
        while from < list[index].len() {
            bytes[at] = list[index][from];
            at += 1;
            from += 1;
        }
        at += 1;
        index += 1;
    }
    bytes
}

/// The text with that number, from 0; empty when there is none.
#[inline(never)]
pub fn nth(texts: &[u8], number: usize) -> &[u8] {
    texts.split(|&byte| byte == 0).nth(number).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_found_by_their_number() {
        const LIST: &[&[u8]] = &[b"one", b"", b"three"];
        static TEXTS: [u8; length(LIST)] = joined(LIST);
        assert_eq!(TEXTS, *b"one\0\0three\0");
        for (number, text) in LIST.iter().enumerate() {
            assert_eq!(nth(&TEXTS, number), *text);
        }
        assert_eq!((nth(&TEXTS, 3), nth(&TEXTS, 4)), (&b""[..], &b""[..]));
    }
}
