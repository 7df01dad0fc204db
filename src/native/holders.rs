//! Who has which file open: one list of sessions for all servers of the program. Its head is a word in the module's globals, the rest runs through the sessions
//! themselves, so that to hold a file takes no memory.

use super::obj::Obj;
use super::session::SessionObj;
use crate::protocol::path::overlap;

/// The list: a bytearray of one word, which points at the first session.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Holders(Obj);

/// A path of the host, in two parts: the account's home, and the path below it.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// Without a slash at its end.
    pub home: &'a [u8],
    /// Begins with a slash, unless there is no home.
    pub path: &'a [u8],
}

impl<'a> Place<'a> {
    /// A path that is whole already.
    pub fn whole(path: Obj) -> Place<'a> {
        Place { home: b"", path: path.bytes().unwrap_or_default() }
    }

    /// Whether `held` may be this file or folder, or in it; and if `alone`, only whether it may be this file.
    fn holds(self, held: &[u8], alone: bool) -> bool {
        let start = if self.home.is_empty() { 0 } else { overlap(self.home, held) };
        let rest = held.get(start..).unwrap_or_default();
        let length = overlap(self.path, rest);
        (start > 0 || self.home.is_empty()) && length > 0 && (!alone || length == rest.len())
    }
}

impl Holders {
    /// The list that lives in `word`; `None` when that is no such bytearray.
    pub fn new(word: Obj) -> Option<Holders> {
        word.bytes_mut().filter(|bytes| bytes.len() == size_of::<usize>()).map(|_| Holders(word))
    }

    /// Where the pointer to the first session is; null when the program took the bytearray apart.
    fn head(self) -> *mut *mut SessionObj {
        match self.0.bytes_mut() {
            Some(bytes) if bytes.len() == size_of::<usize>() => bytes.as_mut_ptr().cast(),
            _ => core::ptr::null_mut(),
        }
    }

    /// Takes a session into the list, once.
    pub fn add(self, session: *mut SessionObj) {
        self.remove(session);
        let head = self.head();
        // SAFETY: the list's word, which nobody else refers to; a session's links are only used here.
        unsafe {
            if !head.is_null() {
                (*session).next = *head;
                *head = session;
            }
        }
    }

    /// Takes a session out of the list, if it is in it.
    pub fn remove(self, session: *mut SessionObj) {
        let mut link = self.head();
        // SAFETY: as in `add`; what is in the list are sessions, kept alive by it.
        unsafe {
            while !link.is_null() && !(*link).is_null() {
                if *link == session {
                    *link = (*session).next;
                    (*session).next = core::ptr::null_mut();
                    return;
                }
                link = &raw mut (**link).next;
            }
        }
    }

    /// Whether somebody other than `but` has the place open, or a file in it. With `ending`, only who is about to put an upload in that very place.
    pub fn hold(self, place: Place<'_>, ending: bool, but: *const SessionObj) -> bool {
        let head = self.head();
        // SAFETY: as in `remove`.
        unsafe {
            let mut at = if head.is_null() { core::ptr::null_mut() } else { *head };
            while !at.is_null() {
                let is_meant = !core::ptr::eq(at, but) && (!ending || (*at).ending);
                if is_meant && SessionObj::paths(at).iter().any(|held| {
                    held.bytes().is_some_and(|held| place.holds(held, ending))
                }) {
                    return true;
                }
                at = (*at).next;
            }
        }
        false
    }
}
