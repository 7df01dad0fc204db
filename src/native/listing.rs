//! Listings: walks what `os.ilistdir` gives and formats each entry for LIST, NLST, MLSD or STAT.
//!
//! An entry is looked at with `os.stat` only for facts that are shown and that the directory does not tell. These are its time, and on some file systems its size. On
//! boards each look searches the directory from its start, and takes twenty times as long as the entry itself.
//!
//! One entry is in memory at a time, so that a directory of ten thousand entries needs no more memory than one of ten.

use super::exceptions;
use super::obj::{self, Obj};
use super::place::real_path;
use super::pump::Share;
use super::server::{DIRECTORY, FILE, KIND, Settings};
use crate::protocol::glob;
use crate::protocol::listing::{Entry, Facts, Kind, facts_line, list_line, name_line};
use crate::protocol::path::{is_unfinished, name, parent};
use crate::protocol::session::{End, Session, Stat, Transfer};
use crate::protocol::writer::Writer;

/// The entries that MLSD shows before those of the directory (RFC 3659 7.2), `.` and `..`: as many dots, and the kind. Their times are not worth a look.
const OWN_ENTRIES: [(u8, Kind); 2] = [(1, Kind::Current), (2, Kind::Parent)];

/// A listing shows all times, however long that takes.
const ALL_TIMES: u32 = u32::MAX;

/// A listing that is open, or none. Fields without a value are null.
#[repr(C)]
pub struct Listing {
    /// The iterator; null when nothing is open or all was listed.
    names: Obj,
    /// The path before each name: a bytes or str object that ends in `/`.
    prefix: Obj,
    /// The glob pattern, a bytes object.
    pattern: Obj,
    /// What NLST tells before each name, a bytes object.
    before: Obj,
    /// The entry that did not fit the last time.
    waiting: Obj,
    now: u32,
    /// How many microseconds the looks for times may still take. [`ALL_TIMES`] never becomes less.
    times: u32,
    /// How many of [`OWN_ENTRIES`] are written.
    own: usize,
}

impl Listing {
    /// Nothing is open.
    pub fn new() -> Self {
        let none = Obj::NULL;
        Listing { names: none, prefix: none, pattern: none, before: none, waiting: none, now: 0, times: 0, own: 0 }
    }

    /// Lets everything go.
    pub fn close(&mut self) {
        *self = Listing::new();
    }

    /// Whether all was listed.
    pub fn is_done(&self) -> bool {
        self.names.is_null()
    }

    /// Opens the listing of the directory `path`, whose entries are `names`, or, when that is None, of `path` itself.
    /// `before` comes before each name of NLST, and `times` are the microseconds for times.
    #[allow(clippy::too_many_arguments, reason = "they would be a struct for one call")]
    pub fn open(&mut self, names: Obj, home: Obj, path: &[u8], pattern: &[u8], before: &[u8], now: u32, times: u32) {
        let folder = if names.is_none() { parent(path) } else { path };
        let folder = real_path(home, folder);
        let folder_bytes = folder.bytes().unwrap_or_default();
        let slash: &[u8] = if folder_bytes.ends_with(b"/") { b"" } else { b"/" };
        self.prefix = obj::new_bytes_joined(folder_bytes, slash);
        self.pattern = if pattern.is_empty() { Obj::NULL } else { obj::new_bytes(pattern) };
        self.before = if before.is_empty() { Obj::NULL } else { obj::new_bytes(before) };
        self.now = now;
        self.times = times;
        self.own = 0;
        let names = if names.is_none() {
            // Whether it is a file is not known, for the directory itself may be what is listed.
            let file = obj::new_tuple(&[obj::new_bytes(name(path)), Obj::from_u32(0), Obj::from_u32(0)]);
            obj::new_tuple(&[file])
        } else {
            names
        };
        self.names = obj::iterator(names);
    }

    /// Writes as many entries as fit. Returns whether it stopped because the share is used up; that is looked at after each entry, shown or not. If not, and nothing
    /// was written, all is listed.
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
        while !self.names.is_null() {
            let is_machine = session.transfer() == Some(Transfer::Machine);
            let own = OWN_ENTRIES.get(self.own).filter(|_| is_machine);
            if self.waiting.is_null() && own.is_none() {
                match exceptions::next(self.names) {
                    Ok(Some(entry)) => self.waiting = entry,
                    Ok(None) => {
                        self.names = Obj::NULL;
                        return Ok(false);
                    }
                    Err(_) => return Err(End::LocalError),
                }
            }
            let before = out.len();
            match own {
                Some(&(dots, kind)) => {
                    let line = Entry { name: &b".."[..usize::from(dots)], kind, size: 0, modified: 0, unique: 0 };
                    facts_line(&line, session.facts(), session.permission(), out);
                }
                None => self.write(self.waiting, session, settings, out)?,
            }
            if out.overflowed() {
                out.truncate(before);
                if before > 0 {
                    return Ok(false);
                }
                // A line that fits no buffer at all is left out.
            }
            self.own += usize::from(own.is_some());
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

    /// Looks at an entry. `None` when it is not there any more.
    fn look(&mut self, name: Obj, settings: &Settings) -> Result<Option<Stat>, End> {
        let began = settings.clock.begin();
        let found = settings.look(|| obj::add(self.prefix, name));
        if self.times != ALL_TIMES {
            self.times = self.times.saturating_sub(settings.clock.used(began));
        }
        match found {
            Ok(found) => Ok(Some(found)),
            Err(exceptions::NO_MEMORY) => Err(End::LocalError),
            Err(_) => Ok(None),
        }
    }

    /// Writes an entry, if it must be shown.
    fn write(&mut self, entry: Obj, session: &Session, settings: &Settings, out: &mut Writer<'_>) -> Result<(), End> {
        let form = session.transfer();
        let name_object = entry.item(0);
        let name = name_object.bytes().unwrap_or_default();
        if name.is_empty() {
            // When others change a folder of LittleFS meanwhile, it may give nameless entries without end.
            self.names = Obj::NULL;
            return Ok(());
        }
        if !self.is_wanted(name) {
            return Ok(());
        }
        if form == Some(Transfer::Names) {
            name_line(self.before.bytes().unwrap_or_default(), name, out);
            return Ok(());
        }
        if name_object.is_str() && !self.prefix.is_str() {
            // A file system written in Python may always give str.
            self.prefix = obj::new_str(self.prefix.bytes().unwrap_or_default());
        }
        let directory = match entry.item(1).to_u64() & KIND {
            DIRECTORY => Some(true),
            FILE => Some(false),
            // A link, or a file system that does not say.
            _ => None,
        };
        // Some file systems tell the size; a negative one is not known.
        let size = if entry.length() > 3 { entry.item(3).to_u64() } else { u64::MAX };
        let has_size = size as i64 >= 0;
        let mut line = Entry {
            name,
            kind: if directory == Some(true) { Kind::Directory } else { Kind::File },
            size: if has_size { size } else { 0 },
            modified: 0,
            unique: entry.item(2).to_u64(),
        };
        let is_machine = form == Some(Transfer::Machine);
        let mut facts = if is_machine { session.facts() } else { Facts::LIST };
        if self.times == 0 {
            facts = facts.without(Facts::MODIFY);
        }
        // An entry that is gone meanwhile is shown with what the directory told.
        if facts.without(Facts::told(directory, has_size)) != Facts::NONE
            && let Some(found) = self.look(name_object, settings)?
        {
            line.kind = if found.directory { Kind::Directory } else { Kind::File };
            line.size = found.size;
            line.modified = found.modified;
        }
        if is_machine {
            facts_line(&line, session.facts(), session.permission(), out);
        } else {
            list_line(&line, self.now, out);
        }
        Ok(())
    }
}
