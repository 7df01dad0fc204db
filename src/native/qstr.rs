//! The names that the module uses, declared once. Their text goes into a section of the object file that is never loaded; the
//! linker step writes it into the `.mpy` file, and the loader leaves the run-time numbers in `mp_qstr_table`.

use super::ffi;

/// How many of the names are Rust keywords, written as `r#type`.
const fn count_raw(text: &str) -> usize {
    let (mut count, mut at) = (0, 0);
    while at < text.len() {
        count += (text.as_bytes()[at] == b'#') as usize;
        at += 1;
    }
    count
}

macro_rules! qstrs {
    ($($name:ident)*) => {
        /// One of the module's names.
        #[derive(Clone, Copy, PartialEq, Eq)]
        #[repr(u16)]
        #[allow(non_camel_case_types, missing_docs, clippy::upper_case_acronyms, dead_code, reason = "some are only met by their numbers")]
        pub enum Qstr {
            /// The module file's own name comes first.
            module_file,
            $($name),*
        }

        const TEXT: &str = concat!($(stringify!($name), "\0"),*);

        #[used]
        #[unsafe(link_section = ".mpy_qstr")]
        static NAMES: [u8; TEXT.len() - 2 * count_raw(TEXT)] = {
            let mut bytes = [0; TEXT.len() - 2 * count_raw(TEXT)];
            let (mut from, mut to) = (0, 0);
            while from < TEXT.len() {
                if TEXT.as_bytes()[from] == b'#' {
                    // The `r` before it was no letter of the name.
                    to -= 1;
                } else {
                    bytes[to] = TEXT.as_bytes()[from];
                    to += 1;
                }
                from += 1;
            }
            bytes
        };
    };
}

qstrs! {
    KeyboardInterrupt MemoryError OSError RuntimeError TypeError ValueError
    Server Session
    _panic holders is_unfinished overlap same shown version
    accepts attach claim contested dismiss finish is_open list pump release settle step tick
    // What the shim keeps in a session, from `data` to `verdict`, and what a session knows, from `dial` to `user`.
    data file home job listener new_path old_path sock task tls verdict
    dial glob idle logged_in moved offset parent part path peer private text time transfer user
    errno os stat ticks_us
}

impl Qstr {
    /// The attribute of a session that the runtime knows by that number.
    pub fn attribute(value: ffi::qstr) -> Option<Qstr> {
        (Qstr::data as u16..=Qstr::user as u16).map(Qstr::from_number).find(|name| name.value() == value)
    }

    /// The attribute of a session with that number here; one too high is the last one.
    pub fn from_number(number: u16) -> Qstr {
        // SAFETY: each number up to the last name's is that of a name.
        unsafe { core::mem::transmute(number.min(Qstr::user as u16)) }
    }

    /// The number that the runtime knows the name by.
    pub fn value(self) -> ffi::qstr {
        // SAFETY: the loader fills the table with one entry for each name of the section, the file's name first.
        unsafe { (*ffi::names().add(self as usize)).into() }
    }
}
