//! Turns the linked module (an ELF file) into a `.mpy` file, format 6.3, and refuses what a board could not load.
//!
//! The format is MicroPython's (py/persistentcode.c): a header, the tables of names and of constant objects, the machine code with its constants, and a stream of relocations, each of
//! which says which word to add what to.

mod floats;
mod read;
mod write;

use std::collections::BTreeMap;

/// The architecture's number in a `.mpy` header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Arch {
    X64 = 2,
    Armv6m = 4,
    Armv7m = 5,
    Armv7emsp = 7,
    XtensaWin = 10,
    Rv32imc = 11,
}

/// What a relocation adds to its word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Destination {
    /// The address at which the text was loaded.
    Text,
    /// The address of the constants where they are apart from the text.
    Rodata,
    /// The table of the module's names.
    QstrTable,
    /// The table of the module's constant objects.
    ObjectTable,
    /// The runtime's function table.
    FunctionTable,
}

/// The parts of a module.
#[derive(Debug)]
pub struct Module {
    /// The names, without that of the file.
    pub names: Vec<String>,
    /// The constant objects: bytes, which the loader leaves in a ROMFS if the file is in one.
    pub objects: Vec<Vec<u8>>,
    /// Code and constants; execution starts at the first byte.
    pub text: Vec<u8>,
    /// How many bytes at the end of the text are constants and pointers.
    pub constants: usize,
    /// Word index in the text → what is added there.
    pub relocations: BTreeMap<usize, Destination>,
    /// Constants apart from the text, for architectures where text is only read in words.
    pub rodata: Vec<u8>,
    /// Word index in these constants → what is added there.
    pub rodata_relocations: BTreeMap<usize, Destination>,
}
