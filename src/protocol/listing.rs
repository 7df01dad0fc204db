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
    /// What LIST shows.
    pub const LIST: Facts = Facts(Facts::TYPE.0 | Facts::SIZE.0 | Facts::MODIFY.0);

    /// What the list of a folder tells of an entry, so that nobody must look at the entry itself: whether it is a directory, unless the list is silent about that,
    /// and whether it tells a size.
    pub const fn told(directory: Option<bool>, has_size: bool) -> Facts {
        match directory {
            None => Facts::UNIQUE,
            // Directories have no size.
            Some(directory) if directory || has_size => Facts::ALL.without(Facts::MODIFY),
            Some(_) => Facts::ALL.without(Facts::MODIFY).without(Facts::SIZE),
        }
    }

    /// Those that are not in `others`.
    pub const fn without(self, others: Facts) -> Facts {
        Facts(self.0 & !others.0)
    }

    /// Whether a fact is in the set.
    pub const fn contains(self, fact: Facts) -> bool {
        self.0 & fact.0 == fact.0
    }

    /// Reads `type;size;`, in any case; what is unknown is ignored.
    pub fn parse(list: &[u8]) -> Facts {
        let mut facts = Facts::NONE;
        for name in list.split(|&byte| byte == b';') {
            for (fact, known) in names() {
                if known.eq_ignore_ascii_case(name.trim_ascii()) {
                    facts.0 |= fact.0;
                }
            }
        }
        facts
    }

    /// `Type;size;`: those in the set, as OPTS answers.
    pub fn write_selected(self, out: &mut Writer<'_>) {
        for (fact, name) in names() {
            if self.contains(fact) {
                out.put(name);
                out.byte(b';');
            }
        }
    }

    /// `Type*;size;`: all of them, those in the set with a star, as FEAT lists them.
    pub fn write_feature(self, out: &mut Writer<'_>) {
        for (fact, name) in names() {
            out.put(name);
            out.put(if self.contains(fact) { b"*;" } else { b";" });
        }
    }
}

/// The names of the facts, in the order of their bits.
static NAMES: &[u8] = b"type size modify perm unique";

fn names() -> impl Iterator<Item = (Facts, &'static [u8])> {
    NAMES.split(|&byte| byte == b' ').enumerate().map(|(bit, name)| (Facts(1 << bit), name))
}

/// What is to be written.
pub struct Entry<'a> {
    /// Its name, or its path for MLST.
    pub name: &'a [u8],
    /// What it is.
    pub kind: Kind,
    /// Bytes.
    pub size: u64,
    /// Unix seconds; 0 when unknown.
    pub modified: u32,
    /// A number that no other file of the file system has; 0 when there is none.
    pub unique: u64,
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
    let (kind, size): (&[u8], _) =
        if entry.kind == Kind::File { (b"-rw-r--r--", entry.size) } else { (b"drwxr-xr-x", 0) };
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

/// The facts and the name, as MLSD writes them, and MLST behind a blank.
pub fn facts_line(entry: &Entry<'_>, facts: Facts, permission: Permission, out: &mut Writer<'_>) {
    let kind = entry.kind;
    if facts.contains(Facts::TYPE) {
        out.put(match kind {
            Kind::File => b"type=file;",
            Kind::Directory => b"type=dir;",
            Kind::Current => b"type=cdir;",
            Kind::Parent => b"type=pdir;",
        });
    }
    if facts.contains(Facts::SIZE) && kind == Kind::File {
        out.put(b"size=");
        out.dec(entry.size);
        out.byte(b';');
    }
    if facts.contains(Facts::MODIFY) && entry.modified != 0 {
        out.put(b"modify=");
        write_stamp(entry.modified, out);
        out.byte(b';');
    }
    if facts.contains(Facts::PERM) {
        out.put(b"perm=");
        let letters: &[(u8, Permission)] = if kind == Kind::File { FILE_LETTERS } else { DIRECTORY_LETTERS };
        for &(letter, needs) in letters {
            if permission.contains(needs) {
                out.byte(letter);
            }
        }
        out.byte(b';');
    }
    if facts.contains(Facts::UNIQUE) && entry.unique != 0 {
        out.put(b"unique=");
        out.hex(entry.unique);
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
    use proptest::prelude::*;

    const NOW: u32 = 1_763_000_000;

    fn text(write: impl FnOnce(&mut Writer<'_>)) -> String {
        let mut buffer = [0; 400];
        let mut out = Writer::new(&mut buffer);
        write(&mut out);
        String::from_utf8(out.bytes().to_vec()).unwrap()
    }

    fn entry(modified: u32) -> Entry<'static> {
        Entry { name: b"a b", kind: Kind::File, size: 1234, modified, unique: 0xab }
    }

    #[test]
    fn list_shows_the_time_for_half_a_year_and_then_the_year() {
        let line = |modified| text(|out| list_line(&entry(modified), NOW, out));
        assert_eq!(line(NOW), "-rw-r--r--   1 owner group       1234 Nov 13 02:13 a b\r\n");
        assert_eq!(line(NOW - RECENT + 1), "-rw-r--r--   1 owner group       1234 May 15 02:13 a b\r\n");
        assert_eq!(line(NOW - RECENT), "-rw-r--r--   1 owner group       1234 May 15  2025 a b\r\n");
        assert_eq!(line(NOW + 1), "-rw-r--r--   1 owner group       1234 Nov 13  2025 a b\r\n");
        let folder = Entry { name: b"x", kind: Kind::Directory, size: 0, modified: 0, unique: 0 };
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
            text(|out| facts_line(&Entry { kind, ..entry(1_704_164_645) }, facts, permission, out))
        };
        assert_eq!(
            line(Kind::File, Facts::ALL, Permission::ALL),
            "type=file;size=1234;modify=20240102030405;perm=adfrw;unique=ab; a b\r\n"
        );
        assert_eq!(
            line(Kind::Current, Facts::ALL, Permission::READ_ONLY),
            "type=cdir;modify=20240102030405;perm=el;unique=ab; a b\r\n"
        );
        assert_eq!(line(Kind::File, Facts::NONE, Permission::ALL), " a b\r\n");
        assert_eq!(text(|out| Facts::SIZE.write_feature(out)), "type;size*;modify;perm;unique;");
        assert_eq!(text(|out| Facts::parse(b"size; modify").write_selected(out)), "size;modify;");
    }

    #[test]
    fn a_folder_tells_all_but_the_time() {
        let lacks = |facts: Facts, directory, has_size| facts.without(Facts::told(directory, has_size));
        // FAT and LittleFS, which tell sizes.
        assert_eq!(lacks(Facts::ALL, Some(false), true), Facts::MODIFY);
        assert_eq!(lacks(Facts::LIST, Some(true), true), Facts::MODIFY);
        // A folder of a computer.
        assert_eq!(lacks(Facts::ALL, Some(true), false), Facts::MODIFY);
        assert_eq!(lacks(Facts::LIST.without(Facts::MODIFY), Some(false), false), Facts::SIZE);
        assert_eq!(lacks(Facts::UNIQUE, None, false), Facts::NONE);
        // A link.
        assert_eq!(lacks(Facts::PERM, None, true), Facts::PERM);
    }

    proptest! {
        /// What a line shows is the same whether it was told or looked at, if nothing lacked.
        #[test]
        fn a_line_needs_no_more_than_what_lacked(
            bits in 0u8..32, is_directory: bool, knows_kind: bool, has_size: bool, size: u64, modified in 1u32.., unique: u64
        ) {
            let facts = Facts(bits);
            let kind = if is_directory { Kind::Directory } else { Kind::File };
            let looked = Entry { name: b"x", kind, size, modified, unique };
            // What is not told is shown as nonsense.
            let told = Entry {
                kind: match kind {
                    Kind::File if !knows_kind => Kind::Directory,
                    Kind::Directory if !knows_kind => Kind::File,
                    kind => kind,
                },
                size: if has_size { size } else { !size },
                modified: 0,
                ..looked
            };
            let line = |entry: &Entry<'_>| text(|out| facts_line(entry, facts, Permission::ALL, out));
            let lacks = facts.without(Facts::told(knows_kind.then_some(is_directory), has_size));
            prop_assert_eq!(lacks == Facts::NONE, line(&told) == line(&looked));
        }
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
