//! Turns the linked module (an ELF file) into a `.mpy` file, format 6.3, and refuses what a board could not load.
//!
//! The format is MicroPython's (py/persistentcode.c): a header, the table of names, the machine code with its constants, and a stream of relocations, each of
//! which says which word to add what to.

use object::elf;
use object::read::elf::{ElfFile, FileHeader, SectionHeader};
use object::{Architecture, Object, ObjectSection, ObjectSymbol, ObjectSymbolTable, RelocationFlags, RelocationTarget};
use std::collections::BTreeMap;
use std::ops::Range;

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

const VERSION: u8 = 6;
const SUB_VERSION: u8 = 3;
/// Bits of the small integers in the file: there are none.
const SMALL_INT_BITS: u8 = 31;
/// The kind "viper": machine code with an entry at its start.
const KIND_VIPER: usize = 2;
const FLAG_RELOCATIONS: u8 = 0x10;
const FLAG_RODATA: u8 = 0x20;
const END_OF_RELOCATIONS: u8 = 0xff;

/// What a relocation adds to its word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Destination {
    /// The address at which the text was loaded.
    Text,
    /// The address of the constants where they are apart from the text.
    Rodata,
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
            Destination::Rodata => (1, true),
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
    /// How many bytes at the end of the text are constants and pointers.
    pub constants: usize,
    /// Word index in the text → what is added there.
    pub relocations: BTreeMap<usize, Destination>,
    /// Constants apart from the text, for architectures where text is only read in words.
    pub rodata: Vec<u8>,
    /// Word index in these constants → what is added there.
    pub rodata_relocations: BTreeMap<usize, Destination>,
}

/// What a dynamic relocation asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Wants {
    /// The address where the module was loaded.
    Base,
    /// The address of a symbol.
    Symbol,
}

/// What a relocation type asks for; `None` for those that a `.mpy` file cannot say.
fn wants(architecture: Architecture, r_type: u32) -> Option<Wants> {
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

/// The relocations of one block; `block` is 0 for the text, 1 for the constants apart from it.
fn put_relocations(out: &mut Vec<u8>, block: usize, relocations: &BTreeMap<usize, Destination>) {
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
                put_number(out, start << 1 | block);
            }
            if counted && count > 1 {
                put_number(out, count);
            }
            next_word = Some(start + if counted { count } else { 1 });
        }
    }
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
        if self.rodata.is_empty() {
            out.push(FLAG_RELOCATIONS);
        } else {
            out.push(FLAG_RELOCATIONS | FLAG_RODATA);
            put_number(&mut out, self.rodata.len());
            out.extend_from_slice(&self.rodata);
        }
        put_relocations(&mut out, 0, &self.relocations);
        put_relocations(&mut out, 1, &self.rodata_relocations);
        out.push(END_OF_RELOCATIONS);
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
        for section in file.sections() {
            let name = section.name().unwrap_or("?");
            let (header, start, size) = (section.elf_section_header(), section.address(), section.size());
            let bytes = section.data().map_err(|error| error.to_string())?;
            let is_loaded = header.sh_flags(file.endian()).into() & u64::from(elf::SHF_ALLOC) != 0;
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
        Ok(Module { names, text, constants, relocations, rodata: Vec::new(), rodata_relocations: BTreeMap::new() })
    }
}

/// Whether a symbol is one of the compiler's functions for floating point, which it calls where the machine has no such instructions.
fn is_soft_float(name: &str) -> bool {
    // ARM's names say what is taken: a float, a double, or what becomes one.
    const ARM: &[&str] = &["f", "d", "cf", "cd", "h2", "i2", "ui2", "l2", "ul2"];
    if let Some(operation) = name.strip_prefix("__aeabi_") {
        return ARM.iter().any(|start| operation.starts_with(start));
    }
    // GCC's names, which all others use: __addsf3, __fixdfsi.
    name.strip_prefix("__").is_some_and(|rest| {
        rest.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
            && ["hf", "sf", "df", "tf"].iter().any(|kind| rest.contains(kind))
    })
}

/// Where in Thumb code the first floating point instruction is that does more than move or keep registers.
fn floating_point<H: FileHeader>(file: &ElfFile<'_, H>, text: &[u8]) -> Option<u64> {
    // Symbols say where code ($t) and constants among it ($d) begin.
    let mut marks: Vec<(usize, bool)> = file
        .symbols()
        .filter_map(|symbol| {
            let kind = symbol.name().ok()?.get(..2)?;
            let is_code = kind == "$t";
            (is_code || kind == "$d").then_some((symbol.address() as usize, is_code))
        })
        .collect();
    marks.sort_unstable();
    marks.push((text.len(), false));
    let half = |at: usize| text.get(at..at + 2).map(|bytes| u16::from_le_bytes([bytes[0], bytes[1]]));
    for pair in marks.windows(2).filter(|pair| pair[0].1) {
        let (mut at, end) = (pair[0].0, pair[1].0);
        while at < end {
            let first = half(at)?;
            // The first halves of instructions of 32 bits.
            if first >> 11 < 0b11101 {
                at += 2;
                continue;
            }
            let second = half(at + 2)?;
            // An operation of the coprocessors 10 and 11 on its data: the floating point unit's, single and double.
            if first & 0xef00 == 0xee00 && second & 0x0e10 == 0x0a00 {
                return Some(at as u64);
            }
            at += 4;
        }
    }
    None
}

/// What the loader puts at the address of a symbol.
fn destination(symbol: &str) -> Option<Destination> {
    match symbol {
        "mp_fun_table" => Some(Destination::FunctionTable),
        "mp_qstr_table" => Some(Destination::QstrTable),
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
        put_relocations(&mut out, 0, &relocations);
        // Text from word 4, two of them; the table right behind; the names at 9; text behind them.
        assert_eq!(out, [0b11, 8, 2, 8 << 1, 6 << 1 | 1, 18, 0]);
    }

    #[test]
    fn a_module_starts_with_its_header_and_names() {
        let mut module = Module {
            names: vec!["os".into()],
            text: vec![1, 2, 3],
            constants: 0,
            relocations: BTreeMap::new(),
            rodata: Vec::new(),
            rodata_relocations: BTreeMap::new(),
        };
        let bytes = module.encode(Arch::X64, "a.mpy");
        assert_eq!(bytes, b"M\x06\x0b\x1f\x02\x00\x0aa.mpy\0\x04os\0\x1a\x01\x02\x03\x10\xff");
        module.rodata = vec![9, 0, 0, 0];
        module.rodata_relocations.insert(0, Destination::Rodata);
        let bytes = module.encode(Arch::XtensaWin, "a.mpy");
        assert_eq!(bytes, b"M\x06\x2b\x1f\x02\x00\x0aa.mpy\0\x04os\0\x1a\x01\x02\x03\x30\x04\x09\0\0\0\x05\x01\xff");
    }

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
        crate::project::write_if_changed(&source, format!("{entry}{code}").as_bytes())?;
        let mut compiler = crate::project::program(compiler);
        compiler.args(flags).args([
            "-c",
            "-Os",
            "-fPIC",
            "-fno-plt",
            "-ffreestanding",
            "-fvisibility=hidden",
            "-ffunction-sections",
        ]);
        crate::project::run_quietly(compiler.arg(&source).arg("-o").arg(&object))?;
        crate::build::link(&crate::project::Project::find()?, &object, &elf)?;
        let module = Module::from_elf(&crate::project::read(&elf)?);
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
        let (clang, _) = crate::toolchain::find_clang()?;
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
    fn names_of_functions_for_floating_point_are_known() {
        for name in ["__aeabi_fadd", "__aeabi_ui2d", "__aeabi_cdcmple", "__aeabi_l2f", "__addsf3", "__fixdfsi"] {
            assert!(is_soft_float(name), "{name}");
        }
        for name in [
            "__aeabi_idivmod",
            "__aeabi_lmul",
            "__aeabi_uldivmod",
            "__aeabi_memclr8",
            "__udivmodsi4",
            "_RNvsf",
            "mpy_init",
        ] {
            assert!(!is_soft_float(name), "{name}");
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
