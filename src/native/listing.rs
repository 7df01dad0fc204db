//! Listings: walks what `os.ilistdir` gives, looks at each entry with `os.stat`, and formats it for LIST, NLST, MLSD or STAT.
//!
//! One entry is in memory at a time, so that a directory of ten thousand needs no more of it than one of ten.

use super::exceptions;
use super::obj::{self, Obj};
use super::place::real_path;
use super::pump::Share;
use super::server::{DIRECTORY, Settings};
use crate::protocol::glob;
use crate::protocol::listing::{Entry, Kind, facts_line, list_line, name_line};
use crate::protocol::path::{is_unfinished, name, parent};
use crate::protocol::session::{End, Session, Stat, Transfer};
use crate::protocol::writer::Writer;

/// The entries that MLSD shows before those of the directory (RFC 3659 7.2).
const OWN_ENTRIES: [(&[u8], Kind); 2] = [(b".", Kind::Current), (b"..", Kind::Parent)];

/// A listing that is open, or none. What there is not is null.
#[repr(C)]
pub struct Listing {
    /// The iterator; null when nothing is open or all was listed.
    names: Obj,
    /// What stands before each name in the path: a bytes or str object that ends in `/`.
    prefix: Obj,
    /// The glob pattern, a bytes object.
    pattern: Obj,
    /// What NLST tells before each name, a bytes object.
    before: Obj,
    /// The entry that did not fit the last time.
    waiting: Obj,
    now: u32,
    /// How many of [`OWN_ENTRIES`] are written.
    own: usize,
}

impl Listing {
    /// Nothing is open.
    pub fn new() -> Self {
        let none = Obj::NULL;
        Listing { names: none, prefix: none, pattern: none, before: none, waiting: none, now: 0, own: 0 }
    }

    /// Lets everything go.
    pub fn close(&mut self) {
        *self = Listing::new();
    }

    /// Whether all was listed.
    pub fn is_done(&self) -> bool {
        self.names.is_null()
    }

    /// Opens the listing of the directory `path`, whose entries are `names`, or, when that is None, of the single file `path`.
    /// `before` stands before each name of NLST.
    pub fn open(&mut self, names: Obj, home: Obj, path: &[u8], pattern: &[u8], before: &[u8], now: u32) {
        let folder = if names.is_none() { parent(path) } else { path };
        let folder = real_path(home, folder);
        let folder_bytes = folder.bytes().unwrap_or_default();
        let slash: &[u8] = if folder_bytes.ends_with(b"/") { b"" } else { b"/" };
        self.prefix = obj::new_bytes_joined(folder_bytes, slash);
        self.pattern = if pattern.is_empty() { Obj::NULL } else { obj::new_bytes(pattern) };
        self.before = if before.is_empty() { Obj::NULL } else { obj::new_bytes(before) };
        self.now = now;
        self.own = 0;
        let names = if names.is_none() {
            let file = obj::new_tuple(&[obj::new_bytes(name(path)), Obj::from_u32(0x8000), Obj::from_u32(0)]);
            obj::new_tuple(&[file])
        } else {
            names
        };
        self.names = obj::iterator(names);
    }

    /// Writes as many entries as fit. Whether it stopped before because the share is used up, which is looked at after each entry, shown or not. Nothing written
    /// otherwise means that all was listed.
    ///
    /// # Errors
    /// When the directory cannot be read on.
    pub fn fill(
        &mut self,
        session: &Session,
        settings: &Settings,
        out: &mut Writer<'_>,
        share: Share,
    ) -> Result<bool, End> {
        let form = session.transfer();
        if form == Some(Transfer::Machine) && !self.write_own_entries(session, settings, out)? {
            return Ok(false);
        }
        while !self.names.is_null() {
            if self.waiting.is_null() {
                match exceptions::next(self.names) {
                    Ok(Some(entry)) => self.waiting = entry,
                    Ok(None) => {
                        self.names = Obj::NULL;
                        return Ok(false);
                    }
                    Err(_) => return Err(End::LocalError),
                }
            }
            let entry = self.waiting;
            let before = out.len();
            if self.is_wanted(entry.item(0).bytes().unwrap_or_default()) {
                self.write(entry, form, session, settings, out)?;
            }
            if out.overflowed() {
                out.truncate(before);
                if before > 0 {
                    return Ok(false);
                }
                // A line that fits no buffer at all is left out.
            }
            self.waiting = Obj::NULL;
            if settings.clock.is_over(share) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn is_wanted(&self, name: &[u8]) -> bool {
        if is_unfinished(name) {
            return false;
        }
        match self.pattern.bytes() {
            Some(pattern) => pattern == name || glob::matches(pattern, name),
            None => name != b"." && name != b"..",
        }
    }

    /// Looks at an entry, or, without a name, at the directory itself. `None` when nothing is there.
    fn look(&self, name: Obj, settings: &Settings) -> Result<Option<Stat>, End> {
        match settings.look(|| if name.is_null() { self.prefix } else { obj::add(self.prefix, name) }) {
            Ok(found) => Ok(Some(found)),
            Err(exceptions::NO_MEMORY) => Err(End::LocalError),
            Err(_) => Ok(None),
        }
    }

    /// `.` and `..` for MLSD. Whether they are all written.
    fn write_own_entries(&mut self, session: &Session, settings: &Settings, out: &mut Writer<'_>) -> Result<bool, End> {
        while let Some(&(name, kind)) = OWN_ENTRIES.get(self.own) {
            let modified = self.look(Obj::NULL, settings)?.map_or(0, |found| found.modified);
            let entry = Entry { name, directory: true, size: 0, modified, unique: None };
            let before = out.len();
            facts_line(&entry, kind, session.facts(), session.permission(), false, out);
            if out.overflowed() {
                out.truncate(before);
                return Ok(false);
            }
            self.own += 1;
        }
        Ok(true)
    }

    fn write(
        &mut self,
        entry: Obj,
        form: Option<Transfer>,
        session: &Session,
        settings: &Settings,
        out: &mut Writer<'_>,
    ) -> Result<(), End> {
        let name_object = entry.item(0);
        let name = name_object.bytes().unwrap_or_default();
        if form == Some(Transfer::Names) {
            name_line(self.before.bytes().unwrap_or_default(), name, out);
            return Ok(());
        }
        if name_object.is_str() && !self.prefix.is_str() {
            // A file system written in Python gives str whatever it was asked with.
            self.prefix = obj::new_str(self.prefix.bytes().unwrap_or_default());
        }
        // What vanished since it was listed is shown as the directory told.
        let Stat { directory, size, modified } = match self.look(name_object, settings)? {
            Some(found) => found,
            None => Stat { directory: entry.item(1).to_u64() & DIRECTORY != 0, size: 0, modified: 0 },
        };
        let unique = Some(entry.item(2).to_u64()).filter(|&inode| inode != 0);
        let line = Entry { name, directory, size, modified, unique };
        if form == Some(Transfer::Machine) {
            let kind = if directory { Kind::Directory } else { Kind::File };
            facts_line(&line, kind, session.facts(), session.permission(), false, out);
        } else {
            list_line(&line, self.now, out);
        }
        Ok(())
    }
}
