//! The object files: what of them can be in a module, and what their relocations mean.

use crate::project::Result;
use object::read::elf::{ElfFile32, SectionHeader};
use object::{Object, ObjectSection, ObjectSymbol, RelocationFlags, RelocationTarget, elf};
use std::collections::BTreeMap;

/// What a section is for the module.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Code,
    /// Words that `l32r` loads.
    Literals,
    Constants,
    Writable,
    /// Code or data in a place of its own.
    Foreign,
}

/// A section that is loaded: the object's number and the section's.
pub type Id = (usize, usize);

pub struct Section<'a> {
    pub name: &'a str,
    pub kind: Kind,
    pub align: usize,
    pub bytes: &'a [u8],
    /// Offset → type, what is meant and what is added.
    pub relocations: BTreeMap<usize, (elf::RelocationType, Target, usize)>,
}

/// What a relocation's symbol stands for.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Target {
    Section(Id),
    Table(Table),
    Missing(String),
}

/// The symbols that the loader knows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Table {
    Functions,
    Names,
    Objects,
}

/// All that the objects hold.
pub struct Objects<'a> {
    files: Vec<ElfFile32<'a>>,
    pub sections: BTreeMap<Id, Section<'a>>,
    pub names: Vec<String>,
    /// The module's constant objects.
    pub constants: Vec<Vec<u8>>,
    /// The section of `mpy_init`, and where in it.
    pub entry: Option<(Id, usize)>,
}

fn kind(name: &str, flags: elf::SectionFlags) -> Kind {
    let named = |base: &str| name == base || name.strip_prefix(base).is_some_and(|rest| rest.starts_with('.'));
    if flags.contains(elf::SHF_WRITE) {
        Kind::Writable
    } else if flags.contains(elf::SHF_EXECINSTR) {
        // The assembler puts the literals of a function into a section named after the one it is in, or after the one before it.
        match name {
            _ if named(".literal") || name.ends_with(".literal") => Kind::Literals,
            _ if named(".text") => Kind::Code,
            _ => Kind::Foreign,
        }
    } else if named(".rodata") {
        Kind::Constants
    } else {
        Kind::Foreign
    }
}

impl<'a> Objects<'a> {
    pub fn read(objects: &'a [Vec<u8>]) -> Result<Self> {
        let mut all = Objects {
            files: Vec::new(),
            sections: BTreeMap::new(),
            names: Vec::new(),
            constants: Vec::new(),
            entry: None,
        };
        for bytes in objects {
            all.files.push(ElfFile32::parse(&bytes[..]).map_err(|error| error.to_string())?);
        }
        all.read_files()?;
        Ok(all)
    }

    fn read_files(&mut self) -> Result {
        let mut globals = BTreeMap::new();
        for (number, file) in self.files.iter().enumerate() {
            for symbol in file.symbols().filter(|symbol| symbol.is_global() && !symbol.is_undefined()) {
                let name = symbol.name().map_err(|error| error.to_string())?;
                let Some(section) = symbol.section_index() else {
                    return Err(format!("{name} is in no section: a module has only code and constants"));
                };
                let place = ((number, section.0), symbol.address() as usize);
                if globals.insert(name, place).is_some() {
                    return Err(format!("{name} is defined twice"));
                }
            }
        }
        self.entry = globals.get("mpy_init").copied();
        for (number, file) in self.files.iter().enumerate() {
            for section in file.sections() {
                let name = section.name().map_err(|error| error.to_string())?;
                let header = section.elf_section_header();
                let flags = header.sh_flags(object::Endianness::Little);
                if !flags.contains(elf::SHF_ALLOC) || section.size() == 0 {
                    continue;
                }
                let bytes = section.data().map_err(|error| error.to_string())?;
                if name == ".mpy_qstr" {
                    let list = std::str::from_utf8(bytes).map_err(|_| "section .mpy_qstr is not text")?;
                    self.names.extend(list.split_terminator('\0').map(str::to_owned));
                    continue;
                }
                if name == ".mpy_object" {
                    self.constants.push(bytes.to_vec());
                    continue;
                }
                let mut relocations = BTreeMap::new();
                for (offset, relocation) in section.relocations() {
                    let RelocationFlags::Elf { r_type } = relocation.flags() else { continue };
                    if r_type == elf::R_XTENSA_NONE {
                        continue;
                    }
                    let RelocationTarget::Symbol(index) = relocation.target() else {
                        return Err(format!("the relocation at {offset:#x} of {name} has no symbol"));
                    };
                    let symbol = file.symbol_by_index(index).map_err(|error| error.to_string())?;
                    let symbol_name = symbol.name().unwrap_or("?");
                    let (target, start) = match (symbol.section_index(), globals.get(symbol_name), symbol_name) {
                        (Some(section), ..) => (Target::Section((number, section.0)), symbol.address() as usize),
                        (None, Some(&(id, start)), _) => (Target::Section(id), start),
                        (None, None, "mp_fun_table") => (Target::Table(Table::Functions), 0),
                        (None, None, "mp_qstr_table") => (Target::Table(Table::Names), 0),
                        (None, None, "mp_obj_table") => (Target::Table(Table::Objects), 0),
                        _ => (Target::Missing(symbol_name.to_owned()), 0),
                    };
                    let value = (start as i64 + relocation.addend()) as u32 as usize;
                    relocations.insert(offset as usize, (r_type, target, value));
                }
                let align = (section.align() as usize).max(1);
                let kind = kind(name, flags);
                let section_read = Section { name, kind, align, bytes, relocations };
                self.sections.insert((number, section.index().0), section_read);
            }
        }
        Ok(())
    }

    /// The symbol at a place, for messages.
    pub fn symbol_at(&self, (number, index): Id, offset: usize) -> String {
        let file = &self.files[number];
        let named = file.symbols().filter(|symbol| symbol.section_index().is_some_and(|section| section.0 == index));
        let named =
            named.filter(|symbol| symbol.address() as usize <= offset && symbol.kind() != object::SymbolKind::Section);
        let best =
            named.filter(|symbol| symbol.name().is_ok_and(|name| !name.is_empty())).max_by_key(ObjectSymbol::address);
        best.and_then(|symbol| symbol.name().ok()).unwrap_or("an unnamed symbol").to_owned()
    }

    pub fn place(&self, id: Id, offset: usize) -> String {
        format!("{} at {offset:#x} of section {}", self.symbol_at(id, offset), self.sections[&id].name)
    }

    pub fn section(&self, id: Id) -> Result<&Section<'a>> {
        self.sections.get(&id).ok_or_else(|| "a symbol is in a section that is not loaded".into())
    }
}
