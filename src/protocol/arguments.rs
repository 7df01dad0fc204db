//! The arguments of TYPE, MODE, STRU, ALLO, REST, OPTS, MDTM and of the listing commands (RFC 959 5.3.2, RFC 2389 4, RFC 3659).

use super::listing::Facts;
use super::time;

/// How a file looks on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Representation {
    /// TYPE A.
    Ascii,
    /// TYPE I and L 8.
    Image,
}

/// Why an argument is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ArgumentError {
    /// It does not have the form of the RFC: 501.
    Syntax,
    /// It has that form, but the server does not offer this: 504.
    Unsupported,
}

/// The option that OPTS sets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Opts {
    /// `UTF8 ON`.
    Utf8On,
    /// `UTF8 OFF`.
    Utf8Off,
    /// `MLST facts`.
    Mlst(Facts),
    /// `HASH`, or `HASH SHA-256`.
    Hash,
}

/// Cuts an argument behind its first word: the word, and the rest without the blanks around it. Not inlined, because several commands share it.
#[inline(never)]
pub(super) fn word(argument: &[u8]) -> (&[u8], &[u8]) {
    let end = argument.iter().position(|&byte| byte == b' ' || byte == b'\t').unwrap_or(argument.len());
    let (word, rest) = argument.split_at(end);
    (word, rest.trim_ascii())
}

/// Which of the words in a list it is, in any case.
#[inline(never)]
pub(super) fn one_of(list: &[u8], word: &[u8]) -> Option<usize> {
    list.split(|&byte| byte == b' ').position(|known| known.eq_ignore_ascii_case(word))
}

/// Reads a text that is one decimal number, with or without blanks around it.
pub(super) fn whole_number(text: &[u8]) -> Option<u64> {
    let mut number = 0u64;
    let text = text.trim_ascii();
    if text.is_empty() {
        return None;
    }
    for &byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number.checked_mul(10)?.checked_add(digit.into())?;
    }
    Some(number)
}

/// TYPE: `A`, `A N`, `I`, `L 8`.
///
/// # Errors
/// Unsupported for the RFC's other types and forms.
pub fn parse_type(argument: &[u8]) -> Result<Representation, ArgumentError> {
    match word(argument) {
        ([b'A' | b'a'], b"" | b"N" | b"n") => Ok(Representation::Ascii),
        ([b'I' | b'i'], b"" | b"N" | b"n") | ([b'L' | b'l'], b"8") | ([b'L' | b'l', b'8'], b"") => {
            Ok(Representation::Image)
        }
        // A letter of the RFC is not offered. Any other argument is wrong.
        ([b'A' | b'a' | b'E' | b'e' | b'I' | b'i' | b'L' | b'l'], _) => Err(ArgumentError::Unsupported),
        _ => Err(ArgumentError::Syntax),
    }
}

/// MODE and STRU: whether it is the one letter that is offered. Clients ask for others than those of the RFC, such as `MODE Z`.
pub fn is_letter(offered: u8, argument: &[u8]) -> bool {
    matches!(argument.trim_ascii(), [letter] if letter.eq_ignore_ascii_case(&offered))
}

/// REST: the offset, in bytes.
pub fn parse_offset(argument: &[u8]) -> Option<u64> {
    whole_number(argument)
}

/// ALLO: `size`, or `size R record-size`; the size, in bytes.
pub fn parse_allo(argument: &[u8]) -> Option<u64> {
    let (size, record) = word(argument);
    let size = whole_number(size)?;
    match word(record) {
        (b"", _) => Some(size),
        (b"R" | b"r", record) => whole_number(record).map(|_| size),
        _ => None,
    }
}

/// OPTS: `UTF8 ON`, `UTF8 OFF`, `MLST type;size;`, `HASH SHA-256`. Unknown facts are ignored (RFC 3659 7.9).
///
/// # Errors
/// Syntax for an unknown setting of UTF8; unsupported for an option that the server does not have.
#[inline(never)]
pub fn parse_opts(argument: &[u8]) -> Result<Opts, ArgumentError> {
    let (name, setting) = word(argument);
    // The last word of the second list is the empty one: no setting.
    match (one_of(b"MLST HASH UTF8 UTF-8", name), one_of(b"SHA-256 ON OFF ", setting)) {
        (Some(0), _) => Ok(Opts::Mlst(Facts::parse(setting))),
        (Some(1), Some(0 | 3)) => Ok(Opts::Hash),
        (Some(2 | 3), Some(1 | 3)) => Ok(Opts::Utf8On),
        (Some(2 | 3), Some(2)) => Ok(Opts::Utf8Off),
        (Some(2 | 3), _) => Err(ArgumentError::Syntax),
        _ => Err(ArgumentError::Unsupported),
    }
}

/// LIST and NLST: the path behind options as in `-la`, and whether one of them is `d`: the directory itself, not what is in it. Options are words that start
/// with `-`, and `--` ends them.
pub fn list_path(argument: &[u8]) -> (&[u8], bool) {
    let mut path = argument;
    let mut itself = false;
    while let Some(option) = path.strip_prefix(b"-") {
        let end = option.iter().position(|&byte| byte == b' ').unwrap_or(option.len());
        let last = &option[..end] == b"-";
        // `contains` would bring a search by words, 170 bytes of it.
        for &letter in &option[..end] {
            itself |= letter == b'd';
        }
        path = option[end..].trim_ascii_start();
        if last {
            break;
        }
    }
    (path, itself)
}

/// `YYYYMMDDHHMMSS path` or `YYYYMMDDHHMMSS.sss path`: the time in Unix seconds, and the path.
pub fn split_time(argument: &[u8]) -> Option<(u32, &[u8])> {
    let seconds = time::parse(argument.get(..14)?)?;
    let mut path = argument.get(14..)?;
    if let Some(fraction) = path.strip_prefix(b".") {
        let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
        path = &fraction[digits..];
    }
    Some((seconds, path.strip_prefix(b" ")?))
}

/// SITE UTIME: `YYYYMMDDhhmm[ss] path`, or `path atime mtime ctime UTC`: the time of the last change in Unix seconds, and the path.
pub fn parse_utime(argument: &[u8]) -> Option<(u32, &[u8])> {
    let seconds = |digits: &[u8]| {
        let mut stamp = *b"00000000000000";
        stamp.get_mut(..digits.len())?.copy_from_slice(digits);
        if matches!(digits.len(), 12 | 14) { time::parse(&stamp) } else { None }
    };
    let times = argument.strip_suffix(b" UTC").and_then(|words| {
        let mut words = words.rsplitn(4, |&byte| byte == b' ');
        let (_, modified, _) = (seconds(words.next()?)?, seconds(words.next()?)?, seconds(words.next()?)?);
        Some((modified, words.next()?))
    });
    times.or_else(|| {
        let (digits, path) = argument.split_at_checked(argument.iter().position(|&byte| byte == b' ')?)?;
        Some((seconds(digits)?, path.get(1..)?))
    })
}

/// A path without the quotes that some clients put around it.
pub fn unquote(argument: &[u8]) -> &[u8] {
    argument.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(argument)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_checked() {
        assert_eq!(whole_number(b"18446744073709551615"), Some(u64::MAX));
        for bad in ["", "18446744073709551616", "-1", "1x", "0x1", "1 2"] {
            assert_eq!(whole_number(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn types() {
        for ascii in ["A", "a", "A N", "a n"] {
            assert_eq!(parse_type(ascii.as_bytes()), Ok(Representation::Ascii), "{ascii}");
        }
        for image in ["I", "i", "L 8", "l8", "I N"] {
            assert_eq!(parse_type(image.as_bytes()), Ok(Representation::Image), "{image}");
        }
        for other in ["E", "A T", "A C", "L 7", "L", "E N"] {
            assert_eq!(parse_type(other.as_bytes()), Err(ArgumentError::Unsupported), "{other}");
        }
        for wrong in ["", "X", "AN", "8"] {
            assert_eq!(parse_type(wrong.as_bytes()), Err(ArgumentError::Syntax), "{wrong}");
        }
    }

    #[test]
    fn modes_and_structures() {
        assert!(is_letter(b'S', b"s") && is_letter(b'F', b"F "));
        for other in ["", "B", "Z", "SS"] {
            assert!(!is_letter(b'S', other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn allocations() {
        assert_eq!(parse_allo(b"1000"), Some(1000));
        assert_eq!(parse_allo(b"1000 R 80"), Some(1000));
        for wrong in ["", "x", "1000 R", "1000 X 80", "1000 R x"] {
            assert_eq!(parse_allo(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn options() {
        assert_eq!(parse_opts(b"utf8 on"), Ok(Opts::Utf8On));
        assert_eq!(parse_opts(b"UTF8"), Ok(Opts::Utf8On));
        assert_eq!(parse_opts(b"UTF-8 ON"), Ok(Opts::Utf8On));
        assert_eq!(parse_opts(b"UTF8 OFF"), Ok(Opts::Utf8Off));
        assert_eq!(parse_opts(b"hash sha-256"), Ok(Opts::Hash));
        assert_eq!(parse_opts(b"HASH"), Ok(Opts::Hash));
        assert_eq!(parse_opts(b"HASH MD5"), Err(ArgumentError::Unsupported));
        let Ok(Opts::Mlst(facts)) = parse_opts(b"mlst Size;colour;type;") else { panic!() };
        assert!(facts.contains(Facts::SIZE) && facts.contains(Facts::TYPE) && !facts.contains(Facts::MODIFY));
        assert_eq!(parse_opts(b"MLST"), Ok(Opts::Mlst(Facts::NONE)));
        assert_eq!(parse_opts(b"MLST "), Ok(Opts::Mlst(Facts::NONE)));
        assert_eq!(parse_opts(b"MLSTX type;"), Err(ArgumentError::Unsupported));
    }

    #[test]
    fn listing_options_are_dropped() {
        for (argument, path, itself) in [
            ("", "", false),
            ("-la", "", false),
            ("-la /pub", "/pub", false),
            ("-a -R  a b", "a b", false),
            ("-- -d", "-d", false),
            ("d -d", "d -d", false),
            ("-ld", "", true),
            ("-d -l a", "a", true),
        ] {
            assert_eq!(list_path(argument.as_bytes()), (path.as_bytes(), itself));
        }
    }

    #[test]
    fn times_before_a_path() {
        assert_eq!(split_time(b"20240102030405 a b"), Some((1_704_164_645, &b"a b"[..])));
        assert_eq!(split_time(b"20240102030405.123 x"), Some((1_704_164_645, &b"x"[..])));
        for other in ["20240102030405", "20240102030405x", "x", "20241302030405 x"] {
            assert_eq!(split_time(other.as_bytes()), None);
        }
    }

    #[test]
    fn times_that_site_utime_takes() {
        let modified = 1_704_164_645;
        assert_eq!(parse_utime(b"20240102030405 a b"), Some((modified, &b"a b"[..])));
        assert_eq!(parse_utime(b"202401020304 x"), Some((modified - 5, &b"x"[..])));
        assert_eq!(parse_utime(b"a b 20240102030406 20240102030405 20240102030407 UTC"), Some((modified, &b"a b"[..])));
        for wrong in
            ["", "x", "20240102 x", "20240102030405", "202401020304050 x", "20241302030405 x", "x 20240102030405 UTC"]
        {
            assert_eq!(parse_utime(wrong.as_bytes()), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40), likely in "[AILEN8 MLST;0-9.-]{0,30}") {
            for bytes in [&bytes[..], likely.as_bytes()] {
                let _ = (parse_type(bytes), is_letter(b'S', bytes), parse_allo(bytes), parse_opts(bytes), split_time(bytes), parse_utime(bytes));
                prop_assert!(bytes.ends_with(list_path(bytes).0));
            }
        }
    }
}
