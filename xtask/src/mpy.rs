//! Turns the linked module (an ELF file) into a `.mpy` file, format 6.3, and refuses what a board could not load.
//!
//! The format is MicroPython's (py/persistentcode.c): a header, the table of names, the machine code with its constants, and a stream of relocations, each of
//! which says which word to add what to.

use object::elf;
use object::read::elf::{ElfFile, FileHeader};
use object::{Object, ObjectSection, ObjectSymbol, RelocationFlags, RelocationTarget, SectionKind};
use std::collections::BTreeMap;

/// The architecture's number in a `.mpy` header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Arch {
    X64 = 2,
}

const VERSION: u8 = 6;
const SUB_VERSION: u8 = 3;
/// Bits of the small integers in the file: there are none.
const SMALL_INT_BITS: u8 = 31;
/// The kind "viper": machine code with an entry at its start.
const KIND_VIPER: usize = 2;
const FLAG_RELOCATIONS: u8 = 0x10;
const END_OF_RELOCATIONS: u8 = 0xff;

/// What a relocation adds to its word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Destination {
    /// The address at which the text was loaded.
    Text,
    /// The table of the module's names.
    QstrTable,
    /// The runtime's function table.
    FunctionTable,
}

impl Destination {
    /// Its number in the stream, and whether a count may follow it.
    fn code(self) -> (u8, bool) {
        match self {
            // Destinations 0 to 2 take two numbers each: with and without a count.
            Destination::Text => (0, true),
            Destination::QstrTable => (6, false),
            Destination::FunctionTable => (8, false),
        }
    }
}

/// The parts of a module.
#[derive(Debug)]
pub struct Module {
    /// The names, without that of the file.
    pub names: Vec<String>,
    /// Code and constants; execution starts at the first byte.
    pub text: Vec<u8>,
    /// Word index in the text → what is added there.
    pub relocations: BTreeMap<usize, Destination>,
}

/// A number in base 128, the most significant digit first.
fn put_number(out: &mut Vec<u8>, number: usize) {
    let mut shift = 63;
    while shift > 0 {
        if number >> shift != 0 {
            out.push((number >> shift & 0x7f) as u8 | 0x80);
        }
        shift -= 7;
    }
    out.push((number & 0x7f) as u8);
}

fn put_name(out: &mut Vec<u8>, name: &str) {
    put_number(out, name.len() << 1);
    out.extend_from_slice(name.as_bytes());
    out.push(0);
}

fn put_relocations(out: &mut Vec<u8>, relocations: &BTreeMap<usize, Destination>) {
    let mut entries = relocations.iter().map(|(&word, &destination)| (word, destination)).peekable();
    let mut next_word = None;
    while let Some((word, destination)) = entries.next() {
        let mut count = 1;
        while entries.next_if_eq(&(word + count, destination)).is_some() {
            count += 1;
        }
        let (code, counted) = destination.code();
        // A destination without a count is one entry a word; consecutive words need no new place.
        let pieces = if counted { 1 } else { count };
        for piece in 0..pieces {
            let start = word + piece;
            let code = if counted { code << 1 | u8::from(count > 1) } else { code };
            let moved = next_word != Some(start);
            out.push(code << 1 | u8::from(moved));
            if moved {
                put_number(out, start << 1);
            }
            if counted && count > 1 {
                put_number(out, count);
            }
            next_word = Some(start + if counted { count } else { 1 });
        }
    }
    out.push(END_OF_RELOCATIONS);
}

impl Module {
    /// The file's bytes. `file_name` is what tracebacks call the module.
    pub fn encode(&self, arch: Arch, file_name: &str) -> Vec<u8> {
        let mut out = vec![b'M', VERSION, (arch as u8) << 2 | SUB_VERSION, SMALL_INT_BITS];
        put_number(&mut out, self.names.len() + 1);
        put_number(&mut out, 0);
        put_name(&mut out, file_name);
        for name in &self.names {
            put_name(&mut out, name);
        }
        put_number(&mut out, self.text.len() << 3 | KIND_VIPER);
        out.extend_from_slice(&self.text);
        // The flag is always set: it also makes the loader keep the code for as long as the firmware runs.
        out.push(FLAG_RELOCATIONS);
        put_relocations(&mut out, &self.relocations);
        out
    }

    /// Reads a linked module.
    ///
    /// # Errors
    /// With the section and the symbol that cannot be loaded on a board.
    pub fn from_elf(data: &[u8]) -> Result<Module, String> {
        match object::FileKind::parse(data).map_err(|error| error.to_string())? {
            object::FileKind::Elf64 => Self::read::<elf::FileHeader64<object::Endianness>>(data),
            object::FileKind::Elf32 => Self::read::<elf::FileHeader32<object::Endianness>>(data),
            kind => Err(format!("the linker made a file of kind {kind:?}, not ELF")),
        }
    }

    fn read<H: FileHeader<Endian = object::Endianness>>(data: &[u8]) -> Result<Module, String> {
        let file = ElfFile::<H>::parse(data).map_err(|error| error.to_string())?;
        let word = if file.is_64() { 8 } else { 4 };
        let symbol_in = |range: std::ops::Range<u64>| {
            let found = file.symbols().find(|symbol| symbol.size() > 0 && range.contains(&symbol.address()));
            found.and_then(|symbol| symbol.name().ok().map(str::to_owned)).unwrap_or_else(|| "an unnamed symbol".into())
        };
        let mut text = Vec::new();
        let mut names = Vec::new();
        for section in file.sections() {
            let name = section.name().unwrap_or("?");
            let size = section.size();
            let bytes = section.data().map_err(|error| error.to_string())?;
            if name == ".text" {
                if section.address() != 0 {
                    return Err(format!("section .text starts at {:#x}, not at 0", section.address()));
                }
                text = bytes.to_vec();
            } else if name == ".mpy_qstr" {
                let list = std::str::from_utf8(bytes).map_err(|_| "section .mpy_qstr is not text")?;
                names = list.split_terminator('\0').map(str::to_owned).collect();
            } else if size > 0
                && matches!(section.kind(), SectionKind::Data | SectionKind::UninitializedData | SectionKind::Tls | SectionKind::UninitializedTls | SectionKind::Common)
                && !matches!(name, ".dynamic" | ".got" | ".got.plt")
            {
                let symbol = symbol_in(section.address()..section.address() + size);
                return Err(format!(
                    "section {name} has {size} bytes of writable data ({symbol}): a module keeps its state in objects of the GC"
                ));
            }
        }
        match file.symbol_by_name("mpy_init") {
            Some(entry) if entry.address() == 0 => {}
            Some(entry) => return Err(format!("mpy_init is at {:#x}, not at 0", entry.address())),
            None => return Err("there is no mpy_init".into()),
        }
        let mut relocations = BTreeMap::new();
        for (offset, relocation) in file.dynamic_relocations().into_iter().flatten() {
            let place = || symbol_in(offset.saturating_sub(word)..offset + word);
            if offset % word != 0 {
                return Err(format!("the pointer at {offset:#x} ({}) is not aligned to a word", place()));
            }
            if offset + word > text.len() as u64 {
                return Err(format!("the pointer at {offset:#x} ({}) is outside of .text", place()));
            }
            let RelocationFlags::Elf { r_type } = relocation.flags() else {
                return Err(format!("the relocation at {offset:#x} is not ELF's"));
            };
            let destination = match (r_type, relocation.target()) {
                (elf::R_X86_64_RELATIVE, _) => Destination::Text,
                (elf::R_X86_64_GLOB_DAT | elf::R_X86_64_64, RelocationTarget::Symbol(index)) => {
                    let table = file.dynamic_symbol_table();
                    let symbol = table.and_then(|table| object::ObjectSymbolTable::symbol_by_index(&table, index).ok());
                    match symbol.as_ref().and_then(|symbol| symbol.name().ok()) {
                        Some("mp_fun_table") => Destination::FunctionTable,
                        Some("mp_qstr_table") => Destination::QstrTable,
                        other => {
                            return Err(format!(
                                "{} is called or read at {offset:#x} but exists neither in the module nor in MicroPython's function table",
                                other.unwrap_or("an unnamed symbol")
                            ));
                        }
                    }
                }
                (other, _) => return Err(format!("relocation type {other} at {offset:#x} ({}) is not known", place())),
            };
            // Where the addend stands in the relocation, the loader expects it in the word.
            let at = offset as usize;
            let slot = &mut text[at..at + word as usize];
            if !relocation.has_implicit_addend() {
                slot.copy_from_slice(&relocation.addend().to_le_bytes()[..word as usize]);
            }
            relocations.insert(at / word as usize, destination);
        }
        Ok(Module { names, text, relocations })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(value: usize) -> Vec<u8> {
        let mut out = Vec::new();
        put_number(&mut out, value);
        out
    }

    #[test]
    fn numbers_are_big_endian_base_128() {
        assert_eq!(number(0), [0]);
        assert_eq!(number(127), [127]);
        assert_eq!(number(128), [0x81, 0]);
        assert_eq!(number(0x4000), [0x81, 0x80, 0]);
    }

    #[test]
    fn consecutive_words_share_an_entry() {
        use Destination::*;
        let relocations = BTreeMap::from([(4, Text), (5, Text), (6, FunctionTable), (9, QstrTable), (10, Text)]);
        let mut out = Vec::new();
        put_relocations(&mut out, &relocations);
        // Text from word 4, two of them; the table right behind; the names at 9; text behind them.
        assert_eq!(out, [0b11, 8, 2, 8 << 1, 6 << 1 | 1, 18, 0, 0xff]);
    }

    #[test]
    fn a_module_starts_with_its_header_and_names() {
        let module = Module { names: vec!["os".into()], text: vec![1, 2, 3], relocations: BTreeMap::new() };
        let bytes = module.encode(Arch::X64, "a.mpy");
        assert_eq!(bytes, b"M\x06\x0b\x1f\x02\x00\x0aa.mpy\0\x04os\0\x1a\x01\x02\x03\x10\xff");
    }
}
