//! Who has which file open: one list of sessions for all servers of the program. Its head is a word in the module's globals. The links are in the sessions
//! themselves, so a session needs no memory to hold a file.

use super::exceptions;
use super::ffi;
use super::obj::{self, Obj};
use super::place::Place;
use super::qstr::Qstr;
use core::cell::Cell;

/// How many objects the shim keeps in a session: those between the two names.
const SLOTS: usize = slot(Qstr::verdict) + 1;

/// The slot of that name.
pub const fn slot(name: Qstr) -> usize {
    name as usize - Qstr::data as usize
}

/// The beginning of each session. It is never borrowed mutably, so it can be read while one of the session's methods runs.
#[repr(C)]
pub struct Head {
    base: ffi::mp_obj_base_t,
    /// The next session that holds a file.
    next: Cell<*const Head>,
    /// The Python objects that belong to the connection. `old_path` is the file that is open, and `new_path` what becomes of it.
    slots: [Cell<Obj>; SLOTS],
    /// Its upload is complete, and gets its name as soon as nobody reads the old file.
    ending: Cell<bool>,
}

impl Head {
    /// The head of a new session of this type.
    pub fn new(ty: *const ffi::mp_obj_type_t) -> Self {
        Head {
            base: ffi::mp_obj_base_t { type_: ty },
            next: Cell::new(core::ptr::null()),
            slots: [obj::none(); SLOTS].map(Cell::new),
            ending: Cell::new(false),
        }
    }

    /// The type of sessions.
    pub fn type_of(&self) -> *const ffi::mp_obj_type_t {
        self.base.type_
    }

    /// The object in a slot.
    pub fn get(&self, name: Qstr) -> Obj {
        self.slots.get(slot(name)).map_or(obj::none(), Cell::get)
    }

    /// Puts an object into a slot.
    pub fn set(&self, name: Qstr, object: Obj) {
        if let Some(place) = self.slots.get(slot(name)) {
            place.set(object);
        }
    }

    /// The slots `new_path` and `old_path`.
    fn paths(&self) -> &[Cell<Obj>] {
        self.slots.get(slot(Qstr::new_path)..=slot(Qstr::old_path)).unwrap_or_default()
    }
}

/// The list: a bytearray of one word, which points at the first session.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Holders(Obj);

impl Holders {
    /// The list that lives in `word`.
    pub fn new(word: Obj) -> Holders {
        Holders(word)
    }

    /// The pointer to the first session. Raises TypeError when it is not such a list.
    fn first(&self) -> &Cell<*const Head> {
        match self.0.bytes_mut() {
            // SAFETY: a word of its own, which only this list uses, and as a cell.
            Some(bytes) if bytes.len() == size_of::<usize>() => unsafe { &*bytes.as_mut_ptr().cast() },
            _ => exceptions::raise(Qstr::TypeError, c"ftpdlite: holders are not the module's"),
        }
    }

    /// Takes a session into the list: the file that it has open, and what becomes of that.
    pub fn add(&self, session: &Head, path: Obj, target: Obj) {
        self.remove(session);
        session.set(Qstr::old_path, path);
        session.set(Qstr::new_path, target);
        session.ending.set(false);
        let first = self.first();
        session.next.set(first.get());
        first.set(session);
    }

    /// Takes a session out of the list, if it is in it.
    pub fn remove(&self, session: &Head) {
        let mut link = self.first();
        // SAFETY: what the list points at are sessions, which it keeps alive.
        while let Some(next) = unsafe { link.get().as_ref() } {
            if core::ptr::eq(next, session) {
                link.set(session.next.get());
                return;
            }
            link = &next.next;
        }
    }

    /// Whether a session has the place open, or, if not `alone`, a file below it.
    pub fn hold(&self, place: &Place<'_>, alone: bool) -> bool {
        self.any(place, Hold::Any { alone })
    }

    /// Whether a session is about to put an upload into that place.
    pub fn replace(&self, place: &Place<'_>) -> bool {
        self.any(place, Hold::Ending)
    }

    /// The session's upload is complete: whether another session has the file open that it replaces.
    pub fn contest(&self, session: &Head) -> bool {
        session.ending.set(true);
        session.paths().iter().any(|path| self.any(&Place::whole(path.get()), Hold::Other(session)))
    }

    fn any(&self, place: &Place<'_>, hold: Hold) -> bool {
        let mut link = self.first();
        // SAFETY: as in `remove`.
        while let Some(holder) = unsafe { link.get().as_ref() } {
            let (is_meant, alone) = match hold {
                Hold::Any { alone } => (true, alone),
                Hold::Ending => (holder.ending.get(), true),
                Hold::Other(session) => (!core::ptr::eq(holder, session), true),
            };
            if is_meant && holder.paths().iter().any(|path| place.holds(path.get(), alone)) {
                return true;
            }
            link = &holder.next;
        }
        false
    }
}

/// Which sessions count.
#[derive(Clone, Copy)]
enum Hold {
    /// All that have the place open, or, if not `alone`, a file below it.
    Any { alone: bool },
    /// Those that are about to put an upload into it.
    Ending,
    /// All that have just the place open, except for this one.
    Other(*const Head),
}
