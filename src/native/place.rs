//! Paths of the host: what clients see lies below an account's home.

use super::obj::{self, Obj};
use crate::protocol::path::{name_start, overlap};

/// A virtual path as the host knows it: below the account's home.
pub fn real_path(home: Obj, path: &[u8]) -> Obj {
    match home.bytes() {
        None | Some(b"") => obj::new_text(path),
        Some(_) if path == b"/" => home,
        Some(home_bytes) => obj::new_text_joined(home_bytes, path),
    }
}

/// The file of that name in the folder in which a virtual path is.
pub fn beside(home: Obj, path: &[u8], name: &[u8]) -> Obj {
    let folder = path.get(..name_start(path)).unwrap_or_default();
    let folder = obj::new_bytes_joined(home.bytes().unwrap_or_default(), folder);
    obj::new_text_joined(folder.bytes().unwrap_or_default(), name)
}

/// A path of the host that need not be in memory as one piece.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// Without a slash at its end.
    home: &'a [u8],
    /// Begins with a slash, unless there is no home.
    path: &'a [u8],
}

impl<'a> Place<'a> {
    /// What `path` means below `home`.
    pub fn below(home: Obj, path: &'a [u8]) -> Self {
        Place { home: home.bytes().unwrap_or_default(), path }
    }

    /// A whole path.
    pub fn whole(path: Obj) -> Self {
        Place { home: b"", path: path.bytes().unwrap_or_default() }
    }

    /// Whether the path `held` may be this one, and if not `alone`, whether it may be below it.
    pub fn holds(&self, held: Obj, alone: bool) -> bool {
        let held = held.bytes().unwrap_or_default();
        let start = overlap(self.home, held);
        let rest = held.get(start..).unwrap_or_default();
        let length = overlap(self.path, rest);
        (start > 0 || self.home.is_empty()) && length > 0 && (!alone || length == rest.len())
    }
}
