//! One entry of a directory as LIST, NLST, MLSD and MLST write it (RFC 959 4.1.3, RFC 1123 4.1.2.7, RFC 3659 7).

use super::time::{Civil, write_stamp};
use super::writer::Writer;

/// LIST shows the year instead of the time of what is older, in seconds: half a year.
const RECENT: u32 = 182 * 86400;

/// What an account may do; also what a command needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Permission(u8);

impl Permission {
    /// Nothing.
    pub const NONE: Permission = Permission(0);
    /// List directories and retrieve files.
    pub const READ: Permission = Permission(1);
    /// Store and append.
    pub const WRITE: Permission = Permission(2);
    /// Remove files and directories.
    pub const DELETE: Permission = Permission(4);
    /// Make directories.
    pub const MKDIR: Permission = Permission(8);
    /// Rename.
    pub const RENAME: Permission = Permission(16);
    /// The administrator's SITE commands.
    pub const SITE: Permission = Permission(32);
    /// Reading alone.
    pub const READ_ONLY: Permission = Permission::READ;
    /// Everything.
    pub const ALL: Permission = Permission(63);

    /// From the number that the shim knows it by.
    pub const fn from_bits(bits: u8) -> Permission {
        Permission(bits & Permission::ALL.0)
    }

    /// The number.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Whether everything in `wanted` is allowed.
    pub const fn contains(self, wanted: Permission) -> bool {
        self.0 & wanted.0 == wanted.0
    }
}

/// The facts that MLSD and MLST can tell (RFC 3659 7.5), as a set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Facts(u8);

impl Facts {
    /// No fact.
    pub const NONE: Facts = Facts(0);
    /// `Type`.
    pub const TYPE: Facts = Facts(1);
    /// `Size`, of files.
    pub const SIZE: Facts = Facts(2);
    /// `Modify`.
    pub const MODIFY: Facts = Facts(4);
    /// `Perm`.
    pub const PERM: Facts = Facts(8);
    /// `Unique`, where the file system has numbers for its files.
    pub const UNIQUE: Facts = Facts(16);
    /// All of them.
    pub const ALL: Facts = Facts(31);

    /// Whether a fact is in the set.
    pub const fn contains(self, fact: Facts) -> bool {
        self.0 & fact.0 == fact.0
    }

    /// Reads `type;size;`, in any case; what is unknown is ignored.
    pub fn parse(list: &[u8]) -> Facts {
        let mut facts = Facts::NONE;
        for name in list.split(|&byte| byte == b';') {
            for (fact, known) in NAMES {
                if known.eq_ignore_ascii_case(name.trim_ascii()) {
                    facts.0 |= fact.0;
                }
            }
        }
        facts
    }

    /// `Type;Size;`: those in the set, as OPTS answers.
    pub fn write_selected(self, out: &mut Writer<'_>) {
        for (fact, name) in NAMES {
            if self.contains(fact) {
                out.put(name);
                out.byte(b';');
            }
        }
    }

    /// `Type*;Size;`: all of them, those in the set with a star, as FEAT lists them.
    pub fn write_feature(self, out: &mut Writer<'_>) {
        for (fact, name) in NAMES {
            out.put(name);
            out.put(if self.contains(fact) { b"*;" } else { b";" });
        }
    }
}

const NAMES: [(Facts, &[u8]); 5] = [
    (Facts::TYPE, b"Type"),
    (Facts::SIZE, b"Size"),
    (Facts::MODIFY, b"Modify"),
    (Facts::PERM, b"Perm"),
    (Facts::UNIQUE, b"Unique"),
];

/// What is to be written.
pub struct Entry<'a> {
    /// Its name, or its path for MLST.
    pub name: &'a [u8],
    /// Whether it is a directory.
    pub directory: bool,
    /// Bytes.
    pub size: u64,
    /// Unix seconds; 0 when unknown.
    pub modified: u32,
    /// A number that no other file of the file system has.
    pub unique: Option<u64>,
}

/// The `Type` fact.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A file.
    File,
    /// A directory.
    Directory,
    /// The directory that is being listed.
    Current,
    /// The directory above it.
    Parent,
}

const MONTHS: &[u8; 36] = b"JanFebMarAprMayJunJulAugSepOctNovDec";

/// LIST's line, in the form of `ls -l`. `now` in Unix seconds.
pub fn list_line(entry: &Entry<'_>, now: u32, out: &mut Writer<'_>) {
    // What a file system counts as a directory's size means nothing to a client.
    let (kind, size): (&[u8], _) = if entry.directory { (b"drwxr-xr-x", 0) } else { (b"-rw-r--r--", entry.size) };
    out.put(kind);
    out.put(b"   1 owner group ");
    out.dec_padded(size, 10, b' ');
    out.byte(b' ');
    let date = Civil::from_unix(entry.modified);
    let month = usize::from(date.month - 1) * 3;
    out.put(MONTHS.get(month..month + 3).unwrap_or_default());
    out.byte(b' ');
    out.dec_padded(date.day.into(), 2, b' ');
    out.byte(b' ');
    if entry.modified <= now && now - entry.modified < RECENT {
        out.dec2(date.hour.into());
        out.byte(b':');
        out.dec2(date.minute.into());
    } else {
        out.dec_padded(date.year.into(), 5, b' ');
    }
    out.byte(b' ');
    name_line(b"", entry.name, out);
}

/// NLST's line: the name, and what stands before it.
pub fn name_line(before: &[u8], name: &[u8], out: &mut Writer<'_>) {
    out.name(before);
    out.name(name);
    out.put(b"\r\n");
}

/// MLSD's line, and MLST's, which has a blank before it.
pub fn facts_line(
    entry: &Entry<'_>,
    kind: Kind,
    facts: Facts,
    permission: Permission,
    leading_space: bool,
    out: &mut Writer<'_>,
) {
    if leading_space {
        out.byte(b' ');
    }
    if facts.contains(Facts::TYPE) {
        out.put(match kind {
            Kind::File => b"Type=file;",
            Kind::Directory => b"Type=dir;",
            Kind::Current => b"Type=cdir;",
            Kind::Parent => b"Type=pdir;",
        });
    }
    if facts.contains(Facts::SIZE) && kind == Kind::File {
        out.put(b"Size=");
        out.dec(entry.size);
        out.byte(b';');
    }
    if facts.contains(Facts::MODIFY) && entry.modified != 0 {
        out.put(b"Modify=");
        write_stamp(entry.modified, out);
        out.byte(b';');
    }
    if facts.contains(Facts::PERM) {
        out.put(b"Perm=");
        let letters: &[(u8, Permission)] = if kind == Kind::File { FILE_LETTERS } else { DIRECTORY_LETTERS };
        for &(letter, needs) in letters {
            if permission.contains(needs) {
                out.byte(letter);
            }
        }
        out.byte(b';');
    }
    if let (Some(unique), true) = (entry.unique, facts.contains(Facts::UNIQUE)) {
        out.put(b"Unique=");
        out.hex(unique);
        out.byte(b';');
    }
    out.byte(b' ');
    name_line(b"", entry.name, out);
}

/// RFC 3659 7.5.5: append, delete, rename, retrieve, store.
const FILE_LETTERS: &[(u8, Permission)] = &[
    (b'a', Permission::WRITE),
    (b'd', Permission::DELETE),
    (b'f', Permission::RENAME),
    (b'r', Permission::READ),
    (b'w', Permission::WRITE),
];

/// Create files, delete, enter, rename, list, make directories, purge.
const DIRECTORY_LETTERS: &[(u8, Permission)] = &[
    (b'c', Permission::WRITE),
    (b'd', Permission::DELETE),
    (b'e', Permission::READ),
    (b'f', Permission::RENAME),
    (b'l', Permission::READ),
    (b'm', Permission::MKDIR),
    (b'p', Permission::DELETE),
];

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u32 = 1_763_000_000;

    fn text(write: impl FnOnce(&mut Writer<'_>)) -> String {
        let mut buffer = [0; 400];
        let mut out = Writer::new(&mut buffer);
        write(&mut out);
        String::from_utf8(out.bytes().to_vec()).unwrap()
    }

    fn entry(modified: u32) -> Entry<'static> {
        Entry { name: b"a b", directory: false, size: 1234, modified, unique: Some(0xab) }
    }

    #[test]
    fn list_shows_the_time_for_half_a_year_and_then_the_year() {
        let line = |modified| text(|out| list_line(&entry(modified), NOW, out));
        assert_eq!(line(NOW), "-rw-r--r--   1 owner group       1234 Nov 13 02:13 a b\r\n");
        assert_eq!(line(NOW - RECENT + 1), "-rw-r--r--   1 owner group       1234 May 15 02:13 a b\r\n");
        assert_eq!(line(NOW - RECENT), "-rw-r--r--   1 owner group       1234 May 15  2025 a b\r\n");
        assert_eq!(line(NOW + 1), "-rw-r--r--   1 owner group       1234 Nov 13  2025 a b\r\n");
        let folder = Entry { name: b"x", directory: true, size: 0, modified: 0, unique: None };
        assert_eq!(
            text(|out| list_line(&folder, NOW, out)),
            "drwxr-xr-x   1 owner group          0 Jan  1  1970 x\r\n"
        );
        let large = Entry { size: 12_345_678_901, ..entry(0) };
        assert!(text(|out| list_line(&large, NOW, out)).contains("group 12345678901 Jan"));
    }

    #[test]
    fn facts() {
        let line = |kind, facts, permission| {
            text(|out| facts_line(&entry(1_704_164_645), kind, facts, permission, false, out))
        };
        assert_eq!(
            line(Kind::File, Facts::ALL, Permission::ALL),
            "Type=file;Size=1234;Modify=20240102030405;Perm=adfrw;Unique=ab; a b\r\n"
        );
        assert_eq!(
            line(Kind::Current, Facts::ALL, Permission::READ_ONLY),
            "Type=cdir;Modify=20240102030405;Perm=el;Unique=ab; a b\r\n"
        );
        assert_eq!(line(Kind::File, Facts::NONE, Permission::ALL), " a b\r\n");
        assert_eq!(text(|out| Facts::SIZE.write_feature(out)), "Type;Size*;Modify;Perm;Unique;");
        assert_eq!(text(|out| Facts::parse(b"size; modify").write_selected(out)), "Size;Modify;");
    }

    #[test]
    fn a_name_never_brings_a_line_end() {
        assert_eq!(text(|out| name_line(b"s/", b"a\r\nb", out)), "s/a??b\r\n");
    }

    #[test]
    fn a_line_that_does_not_fit_says_so() {
        let mut buffer = [0; 60];
        let mut out = Writer::new(&mut buffer);
        list_line(&entry(0), NOW, &mut out);
        assert!(!out.overflowed());
        list_line(&entry(0), NOW, &mut out);
        assert!(out.overflowed());
    }
}
