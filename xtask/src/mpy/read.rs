//! Reads the linked module, and refuses what a board could not load.

use super::floats::{floating_point, is_soft_float};
use super::{Destination, Module};
use crate::project::read;
use object::elf;
use object::read::elf::{ElfFile, FileHeader, SectionHeader};
use object::{Architecture, Object, ObjectSection, ObjectSymbol, ObjectSymbolTable, RelocationFlags, RelocationTarget};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

/// What a dynamic relocation asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Wants {
    /// The address where the module was loaded.
    Base,
    /// The address of a symbol.
    Symbol,
}

/// What a relocation type asks for; `None` for those that a `.mpy` file cannot say.
fn wants(architecture: Architecture, r_type: elf::RelocationType) -> Option<Wants> {
    match (architecture, r_type) {
        (Architecture::X86_64, elf::R_X86_64_RELATIVE) => Some(Wants::Base),
        (Architecture::X86_64, elf::R_X86_64_GLOB_DAT | elf::R_X86_64_64) => Some(Wants::Symbol),
        // The word of a Thumb function's address has its lowest bit set, and keeps it when the base is added.
        (Architecture::Arm, elf::R_ARM_RELATIVE) => Some(Wants::Base),
        (Architecture::Arm, elf::R_ARM_GLOB_DAT | elf::R_ARM_ABS32) => Some(Wants::Symbol),
        (Architecture::Riscv32, elf::R_RISCV_RELATIVE) => Some(Wants::Base),
        (Architecture::Riscv32, elf::R_RISCV_32) => Some(Wants::Symbol),
        _ => None,
    }
}

impl Module {
    /// Reads a linked module from its file. An error begins with the file's name.
    pub fn from_file(elf: &Path) -> Result<Module, String> {
        Self::from_elf(&read(elf)?).map_err(|error| format!("{}: {error}", elf.display()))
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

    /// The names of the symbols that hold an address of the module, and that of each symbol whose address the loader must give.
    ///
    /// # Errors
    /// That it is no ELF file of 32 bits.
    pub fn symbols_with_addresses(data: &[u8]) -> Result<Vec<String>, String> {
        let file = ElfFile::<elf::FileHeader32<object::Endianness>>::parse(data).map_err(|error| error.to_string())?;
        let given = file.dynamic_symbols().filter(|symbol| symbol.is_undefined());
        let mut found: Vec<_> = given.filter_map(|symbol| symbol.name().ok()).map(str::to_owned).collect();
        for (offset, _) in file.dynamic_relocations().into_iter().flatten() {
            found.push(symbol_in(&file, offset..offset + 4).to_owned());
        }
        found.retain(|name| !name.is_empty());
        Ok(found)
    }

    fn read<H: FileHeader<Endian = object::Endianness>>(data: &[u8]) -> Result<Module, String> {
        let file = ElfFile::<H>::parse(data).map_err(|error| error.to_string())?;
        let word = if file.is_64() { 8 } else { 4 };
        let name_in = |range: Range<u64>| symbol_in(&file, range);
        for symbol in file.dynamic_symbols().filter(|symbol| symbol.is_undefined()) {
            let name = symbol.name().unwrap_or("?");
            if !name.is_empty() && destination(name).is_none() {
                return Err(format!("{name} is used but is neither in the module nor in MicroPython's function table"));
            }
        }
        for symbol in file.symbols().filter(|symbol| symbol.is_definition()) {
            let name = symbol.name().unwrap_or("?");
            if is_soft_float(name) {
                return Err(format!(
                    "{name} is in the module: nothing here needs floating point, and most boards can only imitate it"
                ));
            }
        }
        let mut text = Vec::new();
        let mut names = Vec::new();
        let mut objects = Vec::new();
        for section in file.sections() {
            let name = section.name().unwrap_or("?");
            let (header, start, size) = (section.elf_section_header(), section.address(), section.size());
            let bytes = section.data().map_err(|error| error.to_string())?;
            let is_loaded = header.sh_flags(file.endian()).contains(elf::SHF_ALLOC);
            // What the linker tells about the file stays here.
            let is_content = matches!(header.sh_type(file.endian()), elf::SHT_PROGBITS | elf::SHT_NOBITS)
                || (elf::SHT_INIT_ARRAY..=elf::SHT_PREINIT_ARRAY).contains(&header.sh_type(file.endian()));
            match name {
                ".text" if start != 0 => return Err(format!("section .text starts at {start:#x}, not at 0")),
                ".text" => text = bytes.to_vec(),
                ".mpy_qstr" => {
                    let list = std::str::from_utf8(bytes).map_err(|_| "section .mpy_qstr is not text")?;
                    names = list.split_terminator('\0').map(str::to_owned).collect();
                }
                ".mpy_object" => objects.push(bytes.to_vec()),
                _ if is_loaded && is_content && size > 0 => {
                    let symbol = name_in(start..start + size);
                    return Err(format!(
                        "section {name} has {size} bytes ({symbol}): a module has only code and constants, and keeps its state in objects of the GC"
                    ));
                }
                _ => {}
            }
        }
        // The lowest bit of a function's address says that it is Thumb code.
        let mode = u64::from(file.architecture() == Architecture::Arm);
        match file.symbol_by_name("mpy_init") {
            Some(entry) if entry.address() & !mode == 0 => {}
            Some(entry) => return Err(format!("mpy_init is at {:#x}, not at 0", entry.address())),
            None => return Err("there is no mpy_init".into()),
        }
        let constants = file.symbol_by_name("mpy_constants").map_or(0, |symbol| text.len() - symbol.address() as usize);
        if file.architecture() == Architecture::Arm
            && let Some(at) = floating_point(&file, &text)
        {
            let symbol = name_in(at..at + 4);
            return Err(format!("the instruction at {at:#x} of .text ({symbol}) counts in floating point"));
        }
        let mut relocations = BTreeMap::new();
        for (offset, relocation) in file.dynamic_relocations().into_iter().flatten() {
            let place = || format!("at {offset:#x} of .text ({})", name_in(offset..offset + word));
            if offset + word > text.len() as u64 {
                return Err(format!("the pointer at {offset:#x} is outside of .text"));
            }
            let RelocationFlags::Elf { r_type } = relocation.flags() else {
                return Err(format!("the relocation {} is not ELF's", place()));
            };
            let symbol = match relocation.target() {
                RelocationTarget::Symbol(index) => {
                    let symbol = file.dynamic_symbol_table().and_then(|table| table.symbol_by_index(index).ok());
                    symbol.and_then(|symbol| symbol.name().ok()).unwrap_or("?")
                }
                _ => "",
            };
            let destination = match wants(file.architecture(), r_type) {
                Some(Wants::Base) => Destination::Text,
                Some(Wants::Symbol) => {
                    destination(symbol).ok_or_else(|| format!("{symbol}, used {}, is not in the module", place()))?
                }
                None => return Err(format!("relocation type {r_type} {} is not known", place())),
            };
            if offset % word != 0 {
                return Err(format!("the pointer {} is not aligned to a word", place()));
            }
            // Where the addend stands in the relocation, the loader expects it in the word.
            let at = offset as usize;
            if !relocation.has_implicit_addend() {
                text[at..at + word as usize].copy_from_slice(&relocation.addend().to_le_bytes()[..word as usize]);
            }
            relocations.insert(at / word as usize, destination);
        }
        Ok(Module {
            names,
            objects,
            text,
            constants,
            relocations,
            rodata: Vec::new(),
            rodata_relocations: BTreeMap::new(),
        })
    }
}

/// What the loader puts at the address of a symbol.
fn destination(symbol: &str) -> Option<Destination> {
    match symbol {
        "mp_fun_table" => Some(Destination::FunctionTable),
        "mp_qstr_table" => Some(Destination::QstrTable),
        "mp_obj_table" => Some(Destination::ObjectTable),
        _ => None,
    }
}

/// The name of a symbol that overlaps a range of addresses.
fn symbol_in<'data, H: FileHeader>(file: &ElfFile<'data, H>, range: Range<u64>) -> &'data str {
    let overlaps = |start: u64, size: u64| size > 0 && start < range.end && range.start < start + size;
    let found = file.symbols().find(|symbol| overlaps(symbol.address(), symbol.size()));
    found.and_then(|symbol| symbol.name().ok()).unwrap_or("an unnamed symbol")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linker::link;
    use crate::project::{Project, program, read, run_quietly, write_if_changed};
    use crate::toolchain::find_clang;

    #[test]
    fn only_addresses_of_the_module_and_of_symbols_are_known() {
        assert_eq!(wants(Architecture::X86_64, elf::R_X86_64_RELATIVE), Some(Wants::Base));
        assert_eq!(wants(Architecture::X86_64, elf::R_X86_64_GLOB_DAT), Some(Wants::Symbol));
        assert_eq!(wants(Architecture::X86_64, elf::R_X86_64_IRELATIVE), None);
        // The same number means something else to another machine.
        assert_eq!(wants(Architecture::Arm, elf::R_X86_64_RELATIVE), None);
    }

    /// What becomes of C code that is compiled and linked as the module is; an entry stands before it.
    fn linked(code: &str) -> Result<Module, String> {
        linked_by("cc", &[], code)
    }

    /// The same, by this compiler with these flags.
    fn linked_by(compiler: &str, flags: &[&str], code: &str) -> Result<Module, String> {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("ftpdlite-mpy-{}-{count}", std::process::id()));
        let [source, object, elf] = ["module.c", "module.o", "module.elf"].map(|name| folder.join(name));
        let entry = "extern const char mp_fun_table[] __attribute__((visibility(\"default\")));\n";
        write_if_changed(&source, format!("{entry}{code}").as_bytes())?;
        let mut compiler = program(compiler);
        compiler.args(flags).args([
            "-c",
            "-Os",
            "-fPIC",
            "-fno-plt",
            "-ffreestanding",
            "-fvisibility=hidden",
            "-ffunction-sections",
        ]);
        run_quietly(compiler.arg(&source).arg("-o").arg(&object))?;
        link(&Project::find()?, &object, &elf)?;
        let module = Module::from_elf(&read(&elf)?);
        let _ = std::fs::remove_dir_all(folder);
        module
    }

    /// An entry that uses what it is given.
    fn entry(uses: &str) -> String {
        format!(
            "__attribute__((visibility(\"default\"), section(\".text.mpy_init\"))) long mpy_init(long n) {{ return {uses}; }}\n"
        )
    }

    fn refusal(code: &str) -> String {
        linked(code).expect_err("the module must be refused")
    }

    #[test]
    fn pointers_and_tables_are_relocated() {
        let names = "static const char names[] __attribute__((used, section(\".mpy_qstr\"))) = \"one\\0two\";\n";
        let pointers = "static const char *const texts[] = {\"a\", \"b\", \"c\"};\n";
        let module =
            linked(&format!("{names}{pointers}{}", entry("(long)mp_fun_table + *texts[n]"))).expect("a module");
        assert_eq!(module.names, ["one", "two"]);
        let count = |wanted| module.relocations.values().filter(|found| **found == wanted).count();
        assert_eq!((count(Destination::Text), count(Destination::FunctionTable)), (3, 1));
        assert!((1..module.text.len()).contains(&module.constants));
        // A pointer's word says where in the text it points.
        let (&word, _) = module.relocations.iter().find(|(_, found)| **found == Destination::Text).expect("a pointer");
        let at = u64::from_le_bytes(module.text[word * 8..][..8].try_into().expect("a word")) as usize;
        assert_eq!(&module.text[at..at + 2], b"a\0");
    }

    #[test]
    fn writable_data_is_refused_and_named() {
        let error = refusal(&format!("static int hits;\n{}", entry("++hits")));
        assert!(error.contains(".bss") && error.contains("hits"), "{error}");
        let error = refusal(&format!("static int limit = 5;\n{}", entry("limit++")));
        assert!(error.contains(".data") && error.contains("limit"), "{error}");
    }

    #[test]
    fn code_in_a_section_of_its_own_is_refused() {
        let error = refusal(&format!(
            "__attribute__((section(\"fast\"), noinline)) long f(long n) {{ return n * n; }}\n{}",
            entry("f(n)")
        ));
        assert!(error.contains("section fast"), "{error}");
    }

    #[test]
    fn a_missing_function_is_named() {
        let error = refusal(&format!("long puts(const char *);\n{}", entry("puts(\"a\")")));
        assert!(error.contains("puts"), "{error}");
    }

    /// What becomes of code for a board; `None` where no compiler for boards is installed.
    fn linked_for(flags: &[&str], code: &str) -> Option<Result<Module, String>> {
        let (clang, _) = find_clang()?;
        Some(linked_by(clang.to_str()?, flags, code))
    }

    const ARMV6M: &[&str] = &["--target=thumbv6m-none-eabi"];
    const ARMV7EM: &[&str] = &["--target=thumbv7em-none-eabihf", "-mfpu=fpv4-sp-d16"];

    #[test]
    fn a_missing_function_of_the_compiler_is_named() {
        let Some(module) = linked_for(ARMV6M, &entry("n / 3 % n")) else { return };
        let error = module.expect_err("the module must be refused");
        assert!(error.contains("__aeabi_idiv"), "{error}");
    }

    #[test]
    fn the_address_of_a_thumb_function_keeps_its_lowest_bit() {
        let functions = "static long f(long n) { return n + 1; }\nstatic long g(long n) { return n - 1; }\n\
                         static long (*const functions[])(long) = {f, g};\n";
        let Some(module) = linked_for(ARMV6M, &format!("{functions}{}", entry("functions[n & 1](n)"))) else { return };
        let module = module.expect("a module");
        let words: Vec<_> = module
            .relocations
            .iter()
            .filter(|(_, found)| **found == Destination::Text)
            .map(|(&word, _)| word)
            .collect();
        assert_eq!(words.len(), 2);
        for word in words {
            let address = u32::from_le_bytes(module.text[word * 4..][..4].try_into().expect("a word"));
            assert!(address & 1 == 1 && (address as usize) < module.text.len() - module.constants, "{address:#x}");
        }
    }

    #[test]
    fn floating_point_is_refused_and_named() {
        let soft = "float __aeabi_fmul(float a, float b) { return a < b ? a : b; }\n\
                    int __aeabi_fcmplt(float a, float b) { return *(int *)&a < *(int *)&b; }\n";
        let count = "static __attribute__((noinline, used)) float half(float n) { return n * 0.6f; }\n";
        let entry = entry("(long)half");
        if let Some(module) = linked_for(ARMV6M, &format!("{soft}{count}{entry}")) {
            let error = module.expect_err("the module must be refused");
            assert!(error.contains("__aeabi_f"), "{error}");
        }
        if let Some(module) = linked_for(ARMV7EM, &format!("{count}{entry}")) {
            let error = module.expect_err("the module must be refused");
            assert!(error.contains("floating point") && error.contains("half"), "{error}");
        }
    }

    #[test]
    fn an_unaligned_pointer_is_refused_and_named() {
        let crooked = "static const struct __attribute__((packed)) { char c; const char *text; } crooked[] = {{1, \"a\"}, {2, \"b\"}};\n";
        let error = refusal(&format!("{crooked}{}", entry("*crooked[n].text")));
        assert!(error.contains("aligned") && error.contains("crooked"), "{error}");
    }

    #[test]
    fn a_module_without_its_entry_first_is_refused() {
        let error = refusal("__attribute__((visibility(\"default\"))) long other(void) { return 1; }\n");
        assert!(error.contains("mpy_init"), "{error}");
    }
}
