//! Virtual paths: absolute, resolved, never above the root (RFC 959 4.1.1 CWD and CDUP, RFC 2640 for their bytes).

use super::writer::Writer;

/// The longest path, in bytes: a name of 255, the longest that FAT and LittleFS have, in a folder of 31.
pub const PATH_MAX: usize = 287;

/// The longest name, in bytes. LittleFS would only refuse a longer one when the upload is complete.
pub const NAME_MAX: usize = 255;

/// A path.
pub type Path = heapless::Vec<u8, PATH_MAX>;

/// Why a path is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PathError {
    /// It has more than [`PATH_MAX`] bytes.
    TooLong,
    /// It has a byte that some file systems do not read as a part of a name.
    NotAllowed,
}

/// Whether a byte can be part of a path. On FAT a `\` separates folders, and a byte below blank ends the name.
fn is_allowed(byte: u8) -> bool {
    byte >= b' ' && byte != 0x7f && byte != b'\\'
}

/// What `argument` means in the directory `cwd`, which must be resolved already: `.`, `..` and `//` are gone. An empty argument means `cwd`.
///
/// # Errors
/// When the result is too long, or has a byte that is not allowed; `out` then holds a part of it.
pub fn resolve(cwd: &[u8], argument: &[u8], out: &mut Path) -> Result<(), PathError> {
    out.clear();
    if !argument.iter().copied().all(is_allowed) {
        return Err(PathError::NotAllowed);
    }
    if argument.first() != Some(&b'/') && cwd != b"/" {
        append(out, cwd)?;
    }
    for component in argument.split(|&byte| byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." => {
                let length = out.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
                out.truncate(length);
            }
            _ if component.len() > NAME_MAX => return Err(PathError::TooLong),
            _ => {
                append(out, b"/")?;
                append(out, component)?;
            }
        }
    }
    if out.is_empty() {
        // There is room.
        let _ = append(out, b"/");
    }
    Ok(())
}

/// Adds bytes to a path.
///
/// # Errors
/// When they do not fit.
#[inline(never)]
pub fn append(out: &mut Path, bytes: &[u8]) -> Result<(), PathError> {
    out.extend_from_slice(bytes).map_err(|_| PathError::TooLong)
}

/// Where the last component begins: behind its slash.
pub fn name_start(path: &[u8]) -> usize {
    path.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1)
}

/// The directory that holds a resolved path; the root holds itself.
pub fn parent(path: &[u8]) -> &[u8] {
    let length = name_start(path).saturating_sub(1).max(1);
    path.get(..length).unwrap_or(path)
}

/// The last component; empty for the root.
pub fn name(path: &[u8]) -> &[u8] {
    path.get(name_start(path)..).unwrap_or_default()
}

/// How the names of unfinished uploads begin. Clients neither see nor use these names.
const UNFINISHED: &[u8] = b".ftpdlite-";

/// The name of the file that an upload goes to until it is whole: `.ftpdlite-OWNER-NUMBER`, or `.ftpdlite-NUMBER` when `owner` is 0.
pub fn unfinished(owner: u32, number: u32, out: &mut Path) {
    out.clear();
    let mut digits = [0; 21];
    let mut text = Writer::new(&mut digits);
    if owner != 0 {
        text.dec(owner.into());
        text.byte(b'-');
    }
    text.dec(number.into());
    for part in [UNFINISHED, text.bytes()] {
        // It always fits.
        let _ = append(out, part);
    }
}

/// Whether this is the name of an unfinished upload, or of the note beside one, in any case, because FAT ignores case.
pub fn is_unfinished(name: &[u8]) -> bool {
    name.get(..UNFINISHED.len()).is_some_and(|start| start.eq_ignore_ascii_case(UNFINISHED))
}

/// Whether a client may not use this name, because it may mean an unfinished upload or its note: it is one, or it is the short name that FAT
/// gives to one (`~1.FTP`, `FTPDLI~1.TO`).
pub fn is_reserved(name: &[u8]) -> bool {
    let shown = trim_end(name);
    let ends = |extension: &[u8]| {
        let at = shown.len().saturating_sub(extension.len());
        shown.get(at..).is_some_and(|end| end.eq_ignore_ascii_case(extension))
    };
    is_unfinished(name) || is_short_name(name, UNFINISHED) && (ends(b".FTP") || ends(b".TO"))
}

/// A name without the dots and blanks at its end, which FAT drops.
fn trim_end(name: &[u8]) -> &[u8] {
    let length = name.iter().rposition(|byte| !matches!(byte, b'.' | b' ')).map_or(0, |last| last + 1);
    name.get(..length).unwrap_or(name)
}

/// What FAT takes the bytes 0x80 to 0xa5 for. MicroPython's FAT reads each byte of a name as a character of code page 437, whatever the client meant by it. It
/// ignores case there, and in short names also accents.
const FOLDED: &[u8; 38] =
    b"\x80\x9aEA\x8eA\x8f\x80EEEIII\x8e\x8fE\x92\x92O\x99OUUY\x99\x9a\x9b\x9c\x9d\x9e\x9fAIOU\xa5\xa5";

/// One byte that stands for all bytes that are the same to FAT.
#[inline(never)]
fn fold(byte: u8) -> u8 {
    match FOLDED.get(usize::from(byte).wrapping_sub(0x80)) {
        Some(&folded) => folded,
        // Greek sigma and phi.
        None if byte == 0xe5 => 0xe4,
        None if byte == 0xed => 0xe8,
        None => byte.to_ascii_uppercase(),
    }
}

/// Whether FAT may have made the name `short` for the file `long`: it has a `~` and a hexadecimal digit, and begins like the long name without dots and blanks. Only
/// the first character is sure, because Windows may put digits behind it; and a character that a short name cannot have becomes another one.
#[inline(never)]
fn is_short_name(short: &[u8], long: &[u8]) -> bool {
    let start = |name: &[u8]| name.iter().copied().find(|byte| !matches!(byte, b'.' | b' ')).unwrap_or_default();
    let (a, b) = (start(short), start(long));
    let tilde = short.iter().rposition(|&byte| byte == b'~');
    let is_numbered = tilde.and_then(|at| short.get(at + 1)).is_some_and(u8::is_ascii_hexdigit);
    is_numbered && (fold(a) == fold(b) || !a.is_ascii_alphanumeric() || !b.is_ascii_alphanumeric())
}

/// Whether two names may mean the same file on some file system. FAT ignores case, and dots and blanks at the end. It
/// has a short name with a `~` in it for each long one.
fn may_be_same(left: &[u8], right: &[u8]) -> bool {
    let (shown, other) = (trim_end(left), trim_end(right));
    let is_equal = shown.len() == other.len() && shown.iter().zip(other).all(|(&a, &b)| fold(a) == fold(b));
    is_equal || is_short_name(left, right) || is_short_name(right, left)
}

/// How many bytes at the start of `new` may mean the folder `old`, on any file system. It is all of `new` when both may be the same, and 0 when `new` certainly is
/// neither `old` nor below it. Both are absolute.
#[inline(never)]
pub fn overlap(old: &[u8], new: &[u8]) -> usize {
    let mut rest = new.split(|&byte| byte == b'/');
    let mut length = 0;
    for component in old.split(|&byte| byte == b'/') {
        match rest.next() {
            Some(other) if may_be_same(component, other) => length += other.len() + 1,
            _ => return 0,
        }
    }
    length - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn resolved(cwd: &str, argument: &[u8]) -> Result<Vec<u8>, PathError> {
        let mut out = Path::new();
        resolve(cwd.as_bytes(), argument, &mut out).map(|()| out.to_vec())
    }

    #[test]
    fn paths_are_resolved() {
        for (cwd, argument, expected) in [
            ("/", "", "/"),
            ("/", "a", "/a"),
            ("/a", "b/c", "/a/b/c"),
            ("/a/b", "..", "/a"),
            ("/a", "..", "/"),
            ("/", "../../..", "/"),
            ("/a", "/../x/./y//z/", "/x/y/z"),
            ("/a", "...", "/a/..."),
            ("/a", " b ", "/a/ b "),
        ] {
            assert_eq!(resolved(cwd, argument.as_bytes()).unwrap(), expected.as_bytes());
        }
    }

    #[test]
    fn a_path_of_287_bytes_fits_and_one_of_288_does_not() {
        let folder = format!("/{}", "d".repeat(30));
        assert_eq!(resolved(&folder, &[b'x'; 255]).unwrap().len(), 287);
        assert_eq!(resolved(&format!("{folder}d"), &[b'x'; 255]), Err(PathError::TooLong));
    }

    #[test]
    fn a_name_of_255_bytes_fits_and_one_of_256_does_not() {
        for folder in ["", "/", "d/", "/d/../"] {
            let name = format!("{folder}{}", "x".repeat(255));
            assert!(resolved("/", name.as_bytes()).is_ok(), "{folder}");
            for long in [format!("{name}x"), format!("{name}x/y"), format!("{name}x/..")] {
                assert_eq!(resolved("/", long.as_bytes()), Err(PathError::TooLong), "{folder}");
            }
        }
    }

    #[test]
    fn bytes_that_a_file_system_reads_otherwise_are_refused() {
        for argument in ["..\\main.py", "..\u{1}", "..\0", "a\\b", "a\nb", "a\x7f", "/a/\x1f/b", "\\"] {
            assert_eq!(resolved("/home", argument.as_bytes()), Err(PathError::NotAllowed), "{argument:?}");
        }
        assert!(resolved("/home", "Grüße \u{80}~!".as_bytes()).is_ok());
    }

    #[test]
    fn unfinished_uploads_are_known_by_every_name_that_they_have() {
        for name in [
            ".ftpdlite-1",
            ".FTPDLITE-1",
            ".FtpdLite-22.",
            ".ftpdlite-1 . ",
            ".ftpdlite-",
            "~1.FTP",
            "~a0f.ftp .",
            ".ftpdlite-1-2.to",
            "FTPDLI~1.TO",
            "ft~1a2b.to",
        ] {
            assert!(is_reserved(name.as_bytes()), "{name}");
        }
        for name in
            ["ftpdlite-1", ".ftpdlit", "a~1.ftp", "~", "~1.txt", "x.ftp", "FTPDLI~1", "to", ".to", "TO~1.TO", ""]
        {
            assert!(!is_reserved(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn unfinished_uploads_have_a_name() {
        let mut out = Path::new();
        for (owner, number, expected) in [
            (0, 7, ".ftpdlite-7"),
            (5, u32::MAX, ".ftpdlite-5-4294967295"),
            (u32::MAX, u32::MAX, ".ftpdlite-4294967295-4294967295"),
        ] {
            unfinished(owner, number, &mut out);
            assert_eq!(out, expected.as_bytes());
            assert!(is_unfinished(&out));
        }
    }

    /// The characters that are the same to MicroPython's FAT. It was asked for each pair of bytes from 0x80 on.
    #[test]
    #[cfg_attr(miri, ignore = "takes minutes there")]
    fn bytes_are_alike_that_fat_does_not_tell_apart() {
        let alike: [&[u8]; 15] = [
            b"\x80\x87",
            b"\x81\x9a",
            b"\x84\x8e",
            b"\x86\x8f",
            b"\x91\x92",
            b"\x94\x99",
            b"\xa4\xa5",
            b"\xe4\xe5",
            b"\xe8\xed",
            b"\x82\x88\x89\x8a\x90Ee",
            b"\x83\x85\xa0Aa",
            b"\x8b\x8c\x8d\xa1Ii",
            b"\x93\x95\xa2Oo",
            b"\x96\x97\xa3Uu",
            b"\x98Yy",
        ];
        for (a, b) in (0..=255u8).flat_map(|a| (0x80..=255u8).map(move |b| (a, b))) {
            let expected = a == b || alike.iter().any(|bytes| bytes.contains(&a) && bytes.contains(&b));
            assert_eq!(fold(a) == fold(b), expected, "{a:02x} {b:02x}");
        }
    }

    #[test]
    fn what_may_be_a_folder_or_in_it() {
        for (old, new, length) in [
            ("/d", "/d/e/x", 2),
            ("/d", "/D/e/x", 2),
            ("/d", "/d. /x", 4),
            ("/a/d", "/A/d/x", 4),
            ("/longname", "/LONGNA~1/x", 9),
            ("/ä", "/å", 3),
            ("/à", "/Ã", 3),
            ("/longname", "/LO12AB~1", 9),
            ("/a+b c.html", "/A_BC~2.HTM", 11),
            ("/.profile", "/~1.PRO", 7),
            ("/longname", "/ZONGNA~1", 0),
            ("/longname", "/longname~", 0),
            ("/longname", "/LONGNA~X", 0),
            ("/ä.txt", "/ö.txt", 0),
            ("/Ü", "/ü", 0),
            ("/Foo", "/foo", 4),
            ("/d", "/dx/y", 0),
            ("/d", "/", 0),
            ("/a/d", "/a", 0),
            ("/ä", "/äö/x", 0),
        ] {
            assert_eq!(overlap(old.as_bytes(), new.as_bytes()), length, "{old} {new}");
        }
    }

    #[test]
    fn parents_and_names() {
        assert_eq!((parent(b"/"), name(b"/")), (&b"/"[..], &b""[..]));
        assert_eq!((parent(b"/a"), name(b"/a")), (&b"/"[..], &b"a"[..]));
        assert_eq!((parent(b"/a/b"), name(b"/a/b")), (&b"/a"[..], &b"b"[..]));
    }

    proptest! {
        #[test]
        fn a_bad_byte_is_refused_wherever_it_stands(
            before in "[a-z./]{0,20}", bad in prop_oneof![0u8..0x20, Just(0x7f), Just(b'\\')], after in "[a-z./]{0,20}",
        ) {
            let argument = [before.as_bytes(), &[bad], after.as_bytes()].concat();
            prop_assert_eq!(resolved("/home", &argument), Err(PathError::NotAllowed));
        }

        #[test]
        fn whatever_is_below_a_folder_overlaps_it(old in "(/[a-zA-Zä~]{1,5}){1,4}", below in "(/[a-z]{1,5}){0,3}", ends in "[. ]{0,2}") {
            let new = format!("{}{ends}{below}", old.to_uppercase().replace("Ä", "ä"));
            prop_assert_eq!(overlap(old.as_bytes(), new.as_bytes()), old.len() + ends.len());
        }

        #[test]
        fn either_of_two_names_may_be_the_other(left in "/[a-c~1.Ää ]{1,6}", right in "/[A-C~1.Åå ]{1,6}") {
            let (left, right) = (left.as_bytes(), right.as_bytes());
            prop_assert_eq!(overlap(left, right) > 0, overlap(right, left) > 0);
            prop_assert_eq!(overlap(left, left), left.len());
        }

        #[test]
        fn nothing_leaves_the_root(first in "[ab./]{0,40}", second in proptest::collection::vec(any::<u8>(), 0..200)) {
            let cwd = String::from_utf8(resolved("/", first.as_bytes()).unwrap()).unwrap();
            if let Ok(path) = resolved(&cwd, &second) {
                prop_assert_eq!(path[0], b'/');
                prop_assert!(path.len() <= PATH_MAX);
                prop_assert!(path.iter().copied().all(is_allowed));
                for component in path.split(|&byte| byte == b'/').skip(1) {
                    prop_assert!(component != b"." && component != b"..");
                    prop_assert!(!component.is_empty() || path == b"/");
                }
                prop_assert_eq!(resolved("/elsewhere", &path).unwrap(), path);
            }
        }
    }
}
