//! What the server tells the core about files, and its listings. The core words each line of them.

use ftpdlite::protocol::listing::{Entry, Kind, facts_line, list_line, name_line};
use ftpdlite::protocol::session::{REPLY_MAX, Session, Stat, Transfer, Workspace};
use ftpdlite::protocol::{glob, path, writer::Writer};
use std::path::Path;
use std::time::UNIX_EPOCH;
use std::{fs, io};

/// What the core wants to know of a file.
pub fn stat(found: fs::Metadata) -> Stat {
    let modified = found.modified().unwrap_or(UNIX_EPOCH).duration_since(UNIX_EPOCH).unwrap_or_default();
    Stat { directory: found.is_dir(), size: found.len(), modified: modified.as_secs() as u32 }
}

/// The number of an error, as Linux counts them. An error without a number is 38: not possible here.
pub fn errno(error: io::Error) -> u32 {
    error.raw_os_error().unwrap_or(38) as u32
}

/// The whole text of a listing: of a folder, of one file, or of what fits a pattern. `place` is where the virtual path leads.
pub fn list(place: &Path, session: &Session, work: &Workspace) -> io::Result<Vec<u8>> {
    let is_folder = match fs::metadata(place) {
        Err(error) if !session.is_glob(work) => return Err(error),
        found => found.is_ok_and(|found| found.is_dir()),
    };
    let (folder, pattern) =
        if is_folder { (place, &b"*"[..]) } else { (place.parent().unwrap_or(place), path::name(&work.path)) };
    let mut listing = Vec::new();
    for entry in fs::read_dir(folder)?.flatten() {
        let name = entry.file_name().into_encoded_bytes();
        let Ok(Stat { directory, size, modified }) = fs::metadata(entry.path()).map(stat) else { continue };
        if pattern != name && !glob::matches(pattern, &name) {
            continue;
        }
        let kind = if directory { Kind::Directory } else { Kind::File };
        let (entry, mut line) = (Entry { name: &name, kind, size, modified, unique: 0 }, [0; REPLY_MAX]);
        let mut out = Writer::new(&mut line);
        match session.transfer() {
            Some(Transfer::Machine) => facts_line(&entry, session.facts(), session.permission(), &mut out),
            Some(Transfer::Names) => name_line(if is_folder { b"" } else { &work.text }, &name, &mut out),
            _ => list_line(&entry, UNIX_EPOCH.elapsed().unwrap_or_default().as_secs() as u32, &mut out),
        }
        listing.extend(out.bytes());
    }
    Ok(listing)
}
