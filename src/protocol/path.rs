//! Virtual paths: absolute, resolved, never above the root (RFC 959 4.1.1 CWD and CDUP, RFC 2640 for their bytes).

use super::writer::Writer;

/// The longest path, in bytes.
pub const PATH_MAX: usize = 255;

/// A path.
pub type Path = heapless::Vec<u8, PATH_MAX>;

/// Why a path cannot be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PathError {
    /// It has more than [`PATH_MAX`] bytes.
    TooLong,
}

/// What `argument` means in the directory `cwd`, which must be resolved already: `.`, `..` and `//` are gone, NUL stands for LF. An empty argument means `cwd`.
///
/// # Errors
/// When the result is too long; `out` then holds a part of it.
pub fn resolve(cwd: &[u8], argument: &[u8], out: &mut Path) -> Result<(), PathError> {
    out.clear();
    if argument.first() != Some(&b'/') && cwd != b"/" {
        out.extend_from_slice(cwd).map_err(|_| PathError::TooLong)?;
    }
    for component in argument.split(|&byte| byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." => {
                let length = out.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
                out.truncate(length);
            }
            _ => {
                push(out, b'/')?;
                for &byte in component {
                    push(out, if byte == 0 { b'\n' } else { byte })?;
                }
            }
        }
    }
    if out.is_empty() {
        push(out, b'/')?;
    }
    Ok(())
}

fn push(out: &mut Path, byte: u8) -> Result<(), PathError> {
    out.push(byte).map_err(|_| PathError::TooLong)
}

/// Where the last component begins: behind its slash.
fn name_start(path: &[u8]) -> usize {
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

/// How the names of unfinished uploads begin. No client sees them, or can name them.
const UNFINISHED: &[u8] = b".ftpdlite-";

/// The file beside `path` that upload number `number` goes to until it is whole.
///
/// # Errors
/// When it is too long; `out` then holds a part of it.
pub fn unfinished(path: &[u8], number: u32, out: &mut Path) -> Result<(), PathError> {
    out.clear();
    let mut digits = [0; 10];
    let mut text = Writer::new(&mut digits);
    text.dec(number.into());
    for part in [path.get(..name_start(path)).unwrap_or_default(), UNFINISHED, text.bytes()] {
        out.extend_from_slice(part).map_err(|_| PathError::TooLong)?;
    }
    Ok(())
}

/// Whether this is the name of an unfinished upload.
pub fn is_unfinished(name: &[u8]) -> bool {
    name.starts_with(UNFINISHED)
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
            ("/a", "b\0c", "/a/b\nc"),
        ] {
            assert_eq!(resolved(cwd, argument.as_bytes()).unwrap(), expected.as_bytes());
        }
    }

    #[test]
    fn a_path_of_255_bytes_fits_and_one_of_256_does_not() {
        assert_eq!(resolved("/", &[b'x'; 254]).unwrap().len(), 255);
        assert_eq!(resolved("/", &[b'x'; 255]), Err(PathError::TooLong));
    }

    #[test]
    fn parents_and_names() {
        assert_eq!((parent(b"/"), name(b"/")), (&b"/"[..], &b""[..]));
        assert_eq!((parent(b"/a"), name(b"/a")), (&b"/"[..], &b"a"[..]));
        assert_eq!((parent(b"/a/b"), name(b"/a/b")), (&b"/a"[..], &b"b"[..]));
    }

    proptest! {
        #[test]
        fn nothing_leaves_the_root(first in "[ab./]{0,40}", second in proptest::collection::vec(any::<u8>(), 0..200)) {
            let cwd = String::from_utf8(resolved("/", first.as_bytes()).unwrap()).unwrap();
            if let Ok(path) = resolved(&cwd, &second) {
                prop_assert_eq!(path[0], b'/');
                prop_assert!(path.len() <= PATH_MAX);
                for component in path.split(|&byte| byte == b'/').skip(1) {
                    prop_assert!(component != b"." && component != b"..");
                    prop_assert!(!component.is_empty() || path == b"/");
                }
                prop_assert_eq!(resolved("/elsewhere", &path).unwrap(), path);
            }
        }
    }
}
