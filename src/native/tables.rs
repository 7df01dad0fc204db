//! The protocol's tables as a constant of the module's file. They are a bytes object there, because that is the one part of such a file that MicroPython does not
//! copy to RAM: in a ROMFS it is used where it lies. Code and its constants are always copied.

use super::ffi;
use super::obj::Obj;
use crate::protocol::tables::{TABLES, Tables};

/// The linker step takes the object's bytes from this section, which is never loaded.
#[used]
#[unsafe(link_section = ".mpy_object")]
static OBJECT: Tables = TABLES;

/// The tables, wherever the loader has put them. What refers to them keeps them for the GC.
pub fn tables() -> &'static Tables {
    // SAFETY: the loader fills the table with the objects of the file, of which this is the first.
    let object = Obj::from_raw(unsafe { *ffi::objects() });
    let bytes = object.bytes().unwrap_or_default();
    assert!(bytes.len() == size_of::<Tables>());
    // SAFETY: its bytes are those of `OBJECT`, for both come from the same file; any address will do, and they never change.
    unsafe { &*bytes.as_ptr().cast::<Tables>() }
}
