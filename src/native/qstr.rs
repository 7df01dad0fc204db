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
        #[allow(non_camel_case_types, missing_docs, clippy::upper_case_acronyms)]
        pub enum Qstr {
            /// The module file's own name comes first.
            #[allow(dead_code)]
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
    _panic is_ipv4 is_unfinished overlap pbkdf2 same same_network shown version
    accepts attach dismiss finish hash list pump step tick
    data dial file glob home idle job listener logged_in moved new_path offset old_path parent part path peer private sock task text tls transfer
    user verdict
    errno os stat ticks_us time
}

impl Qstr {
    /// The number that the runtime knows the name by.
    pub fn value(self) -> ffi::qstr {
        // SAFETY: the loader fills the table with one entry for each name of the section, the file's name first.
        unsafe { (*(&raw const ffi::mp_qstr_table).cast::<ffi::qstr_short_t>().add(self as usize)).into() }
    }
}
