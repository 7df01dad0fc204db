//! Who has which file open: one list of sessions for all servers of the program. Its head is a word in the module's globals, the rest runs through the sessions
//! themselves, so that to hold a file takes no memory.

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

/// What stands at the beginning of each session. It is never borrowed to be changed, so that it may be looked at while one of the session's methods runs.
#[repr(C)]
pub struct Head {
    base: ffi::mp_obj_base_t,
    /// The next session that holds a file.
    next: Cell<*const Head>,
    /// The Python objects that belong to the connection. `old_path` is the file that is open, and `new_path` what becomes of it.
    slots: [Cell<Obj>; SLOTS],
    /// Its upload is whole, and goes to its place as soon as nobody reads the old file.
    ending: Cell<bool>,
}

impl Head {
    /// That of a new session of this type.
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

    fn paths(&self) -> [Obj; 2] {
        [Qstr::old_path, Qstr::new_path].map(|name| self.get(name))
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

    /// The pointer to the first session. Raises TypeError when that is no list.
    fn first(&self) -> &Cell<*const Head> {
        match self.0.bytes_mut() {
            // SAFETY: a word of its own, which only this list uses, and as a cell.
            Some(bytes) if bytes.len() == size_of::<usize>() => unsafe { &*bytes.as_mut_ptr().cast() },
            _ => obj::raise(Qstr::TypeError, c"ftpdlite: holders are not the module's"),
        }
    }

    /// Takes a session into the list.
    pub fn add(&self, session: &Head) {
        self.remove(session);
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

    /// Whether a session has the place open, or a file below it.
    pub fn hold(&self, place: Place<'_>) -> bool {
        self.any(|_| true, place, false)
    }

    /// Whether a session is about to put an upload into that place.
    pub fn replace(&self, place: Place<'_>) -> bool {
        self.any(|holder| holder.ending.get(), place, true)
    }

    /// The session's upload is whole: whether another session has the file open that it replaces.
    pub fn contest(&self, session: &Head) -> bool {
        session.ending.set(true);
        let others = |holder: &Head| !core::ptr::eq(holder, session);
        session.paths().into_iter().any(|path| self.any(others, Place::whole(path), true))
    }

    fn any(&self, is_meant: impl Fn(&Head) -> bool, place: Place<'_>, alone: bool) -> bool {
        let mut link = self.first();
        // SAFETY: as in `remove`.
        while let Some(holder) = unsafe { link.get().as_ref() } {
            let mut paths = holder.paths().into_iter().filter_map(Obj::bytes);
            if is_meant(holder) && paths.any(|held| place.holds(held, alone)) {
                return true;
            }
            link = &holder.next;
        }
        false
    }
}
