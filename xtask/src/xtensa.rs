//! The module for the ESP32, S2 and S3 (MicroPython's architecture xtensawin), with upstream Rust and LLVM.
//!
//! Three things are not as elsewhere. LLVM cannot select code for some of `core`'s functions, so `core` is compiled to bitcode only and `compiler_builtins`
//! is an empty crate of our own. LLVM's object writer misplaces literals, so Rust emits assembly, which clang assembles. And there is no LLD for Xtensa, so
//! the linker is here: it lays out the literals before the code, where `l32r` reaches them, and keeps constants apart, for text may lie in
//! memory that is only read in words.

use crate::build::BACKENDS;
use crate::mpy::{Destination, Module};
use crate::project::{
    Project, Result, make_folder, output, program, read, run, run_quietly, say, which, write_if_changed,
};
use crate::setup;
use object::read::elf::{ElfFile32, SectionHeader};
use object::{Object, ObjectSection, ObjectSymbol, RelocationFlags, RelocationTarget, elf};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The name of the target, which is also a built-in one's: `cc` wants to know it.
pub const TRIPLE: &str = "xtensa-esp32-none-elf";

/// The instructions that the ESP32, S2 and S3 have in common, less those that QEMU's models lack (the upper half of a product), so
/// that what is tested is what is shipped. Without floating point: a float becomes a call that the linker refuses.
const FEATURES: &[&str] = &["density", "windowed", "mul16", "mul32", "div32", "nsa", "sext", "minmax", "clamps"];

/// The built-in target's data-layout is not LLVM's.
fn target_json() -> String {
    let features = FEATURES.iter().map(|name| format!("+{name},")).collect::<String>();
    format!(
        r#"{{
  "arch": "xtensa",
  "cpu": "generic",
  "features": "{features}+forced-atomics",
  "data-layout": "e-m:e-p:32:32-i8:8:32-i16:16:32-i64:64-n32",
  "emit-debug-gdb-scripts": false,
  "linker-flavor": "gnu-cc",
  "linker": "false",
  "llvm-target": "xtensa-none-elf",
  "max-atomic-width": 32,
  "panic-strategy": "abort",
  "relocation-model": "static",
  "target-pointer-width": 32
}}
"#
    )
}

const BUILTINS: &str = "#![feature(compiler_builtins)]\n#![compiler_builtins]\n#![no_std]\n";

/// What the architecture is built with.
struct Tools {
    rustc: PathBuf,
    /// The sources of `core`.
    core: PathBuf,
    clang: PathBuf,
    about: String,
}

/// A clang that knows Xtensa; first installs it where that may be done.
fn clang() -> Result<PathBuf> {
    if let Some(found) = find_clang() {
        return Ok(found);
    }
    if setup::may_install() {
        say("installs clang-22 (apt-get)");
        setup::apt_install(&["clang-22"])?;
    }
    find_clang()
        .ok_or_else(|| "xtensawin needs a clang that knows Xtensa; as root on Debian: apt-get install clang-22".into())
}

fn find_clang() -> Option<PathBuf> {
    let mut found = ["clang-22", "clang-23", "clang"].into_iter().filter_map(which);
    found.find(|clang| output(program(clang).arg("--print-targets")).is_ok_and(|all| all.contains("xtensa")))
}

impl Tools {
    fn find() -> Result<Tools> {
        let clang = clang()?;
        for rustc in which("rustc").into_iter().chain([PathBuf::from("/usr/bin/rustc")]) {
            let Ok(about) = output(program(&rustc).arg("-vV")) else { continue };
            let Ok(sysroot) = output(program(&rustc).args(["--print", "sysroot"])) else { continue };
            let core = Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/core/src/lib.rs");
            if core.is_file() {
                return Ok(Tools { rustc, core, clang, about });
            }
        }
        Err("xtensawin is built with the sources of core: rustup component add rust-src, or Debian: apt-get install rustc-web rust-web-src".into())
    }

    fn rustc(&self) -> std::process::Command {
        let mut command = program(&self.rustc);
        // The target is not a stable one, and a sysroot is made with the compiler's own features.
        command.env("RUSTC_BOOTSTRAP", "1");
        command
    }

    fn clang(&self) -> std::process::Command {
        let mut command = program(&self.clang);
        command.arg("--target=xtensa").args(clang_features());
        command
    }
}

fn clang_features() -> Vec<String> {
    let words = FEATURES.iter().flat_map(|name| ["-Xclang", "-target-feature", "-Xclang", name]);
    words.map(|word| if FEATURES.contains(&word) { format!("+{word}") } else { word.to_owned() }).collect()
}

/// Compiles and links the module.
pub fn module(project: &Project) -> Result<Module> {
    let tools = Tools::find()?;
    let folder = project.target.join("xtensawin");
    let sysroot = sysroot(&tools, &folder)?;
    let object = folder.join("module.o");
    assemble(&tools, &compile(project, &tools, &folder, &sysroot)?, &object)?;
    let c = ["glue.c", "xtensa.c"].map(|name| project.root.join("micropython").join(name));
    let mut objects = vec![read(&object)?];
    objects.extend(c_objects(&tools, &folder, &c)?);
    link(&objects)
}

/// Compiles C and assembles assembly.
fn c_objects(tools: &Tools, folder: &Path, sources: &[PathBuf]) -> Result<Vec<Vec<u8>>> {
    let mut objects = Vec::new();
    for source in sources {
        let made = folder.join(source.file_name().unwrap_or_default());
        let object = made.with_extension("o");
        if source.extension().is_some_and(|ending| ending == "s") {
            assemble(tools, source, &object)?;
        } else {
            compile_c(tools, source, &made.with_extension("s"))?;
            assemble(tools, &made.with_extension("s"), &object)?;
        }
        objects.push(read(&object)?);
    }
    Ok(objects)
}

/// The emulator; tests/xtensa/play.py says which processor it plays.
const QEMU: &str = "qemu-xtensa";

/// Makes sure that there is the emulator.
///
/// # Errors
/// With what to install, where that may not be done here.
pub fn emulator() -> Result {
    if which(QEMU).is_none() && setup::may_install() {
        say("installs qemu-user (apt-get)");
        setup::apt_install(&["qemu-user"])?;
    }
    which(QEMU).map(drop).ok_or_else(|| format!("{QEMU} is missing; as root on Debian: apt-get install qemu-user"))
}

/// Runs the module that was built in a loader of ours under QEMU, with the transcripts.
pub fn test(project: &Project) -> Result {
    let module = project.dist("xtensawin").join("ftpdlite/native_xtensawin.mpy");
    let tools = Tools::find()?;
    let folder = project.target.join("xtensawin");
    let sources = ["loader.c", "start.s"].map(|name| project.root.join("tests/xtensa").join(name));
    let loader = folder.join("loader.elf");
    write_if_changed(&loader, &program_file(&link(&c_objects(&tools, &folder, &sources)?)?))?;
    // QEMU runs only what may be executed.
    fs::set_permissions(&loader, fs::Permissions::from_mode(0o755))
        .map_err(|error| format!("{}: {error}", loader.display()))?;
    let mut play = program(project.python());
    play.current_dir(&project.root).arg("tests/xtensa/play.py").arg(&loader).arg(module);
    run(&mut play)
}

/// A linked module as a program of Linux: its blocks where tests/xtensa/loader.c wants them.
fn program_file(module: &Module) -> Vec<u8> {
    const TEXT: u32 = 0x40_0000;
    const RODATA: u32 = 0x50_0000;
    // Address, size in memory and rights (1 to execute, 2 to write, 4 to read): state and heap, the loaded text, the loaded constants.
    const MEMORY: [(u32, u32, u32); 3] =
        [(0x1000_0000, 0x400_0000, 6), (0x2000_0000, 0x10_0000, 6), (0x3000_0000, 0x10_0000, 6)];
    let placed = |block: &[u8], relocations: &BTreeMap<usize, Destination>| {
        let mut block = block.to_vec();
        for (word, destination) in relocations {
            let word = &mut block[word * 4..][..4];
            let base = if *destination == Destination::Rodata { RODATA } else { TEXT };
            let value = u32::from_le_bytes([word[0], word[1], word[2], word[3]]).wrapping_add(base);
            word.copy_from_slice(&value.to_le_bytes());
        }
        block
    };
    let blocks = [
        (TEXT, 5, placed(&module.text, &module.relocations)),
        (RODATA, 4, placed(&module.rodata, &module.rodata_relocations)),
    ];
    const PAGE: usize = 0x1000;
    let count = (blocks.len() + MEMORY.len()) as u32;
    let mut out = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    let half = |low: u32, high: u32| high << 16 | low;
    // Type 2 is a program, machine 94 Xtensa; the program headers stand right behind this header.
    for word in [half(2, 94), 1, TEXT, 52, 0, 0, half(52, 32), half(count, 0), 0] {
        out.extend_from_slice(&word.to_le_bytes());
    }
    let mut offset = PAGE;
    let mut content = Vec::new();
    let mut header = |words: [u32; 8]| words.iter().for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
    for (address, rights, block) in &blocks {
        let size = block.len() as u32;
        header([1, offset as u32, *address, *address, size, size, *rights, PAGE as u32]);
        content.extend_from_slice(block);
        content.resize(content.len().next_multiple_of(PAGE), 0);
        offset = PAGE + content.len();
    }
    for (address, size, rights) in MEMORY {
        header([1, 0, address, address, 0, size, rights, PAGE as u32]);
    }
    out.resize(PAGE, 0);
    out.extend(content);
    out
}

/// A folder with `core` as bitcode and `compiler_builtins` of ours, for `--sysroot`.
fn sysroot(tools: &Tools, folder: &Path) -> Result<PathBuf> {
    let sysroot = folder.join("sysroot");
    let (target, builtins) = (folder.join(TRIPLE).with_extension("json"), folder.join("compiler_builtins.rs"));
    let stamp = sysroot.join("stamp");
    let wanted = format!("{}{}{}{BUILTINS}", tools.rustc.display(), tools.about, target_json());
    if read(&stamp).is_ok_and(|former| former == wanted.as_bytes()) {
        return Ok(sysroot);
    }
    say("compiles core for Xtensa; this takes a minute, once");
    let libraries = sysroot.join("lib/rustlib").join(TRIPLE).join("lib");
    make_folder(&libraries)?;
    write_if_changed(&target, target_json().as_bytes())?;
    write_if_changed(&builtins, BUILTINS.as_bytes())?;
    for (name, source) in [("core", &tools.core), ("compiler_builtins", &builtins)] {
        let mut rustc = tools.rustc();
        rustc.args(["--edition", "2024", "--crate-type", "rlib", "--crate-name", name, "--cap-lints", "allow"]);
        rustc.args([
            "-Clinker-plugin-lto",
            "-Copt-level=z",
            "-Cpanic=abort",
            "-Ccodegen-units=1",
            "-Zunstable-options",
        ]);
        rustc.arg("--target").arg(&target).arg("--sysroot").arg(&sysroot);
        rustc.arg("-o").arg(libraries.join(format!("lib{name}.rlib"))).arg(source);
        run_quietly(&mut rustc).map_err(|error| format!("{name} does not compile for Xtensa; {error}"))?;
    }
    write_if_changed(&stamp, wanted.as_bytes())?;
    Ok(sysroot)
}

/// The crate as assembly.
fn compile(project: &Project, tools: &Tools, folder: &Path, sysroot: &Path) -> Result<PathBuf> {
    let assembly = folder.join("module.s");
    let mut cargo = project.cargo();
    cargo.args(["rustc", "--quiet", "--package", "ftpdlite", "--lib", "--crate-type", "staticlib"]);
    cargo.args(["--features", "native", "--profile", "module", "-Zjson-target-spec", "--target"]);
    cargo.arg(folder.join(TRIPLE).with_extension("json")).arg("--target-dir").arg(folder.join("target"));
    cargo.args(["--", "--emit"]).arg(format!("asm={}", assembly.display()));
    cargo.env("RUSTC_BOOTSTRAP", "1").env("RUSTC", &tools.rustc);
    let sysroot = format!("--sysroot={}", sysroot.display());
    let flags = [&[&*sysroot], BACKENDS].concat();
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
    // libclang may be too old for Xtensa; C's types have the same sizes on another machine of 32 bits.
    let name = TRIPLE.replace('-', "_");
    cargo.env(format!("BINDGEN_EXTRA_CLANG_ARGS_{name}"), "--target=riscv32-unknown-none-elf");
    // For build.rs; what it makes of glue.c is not used.
    let flags = format!("--target=xtensa {} -fno-pic", clang_features().join(" "));
    cargo.env(format!("CC_{name}"), &tools.clang).env(format!("CFLAGS_{name}"), flags);
    run(&mut cargo).map_err(|error| format!("the module does not compile; {error}"))?;
    Ok(assembly)
}

fn compile_c(tools: &Tools, source: &Path, assembly: &Path) -> Result {
    let mut clang = tools.clang();
    clang.args(["-S", "-Os", "-ffreestanding", "-fvisibility=hidden", "-ffunction-sections", "-fno-pic", "-Werror"]);
    clang.args(["-fno-asynchronous-unwind-tables", "-fno-stack-protector", "-fno-builtin"]);
    run_quietly(clang.arg(source).arg("-o").arg(assembly))
}

/// clang passes an assembler no features, only a processor.
fn assemble(tools: &Tools, assembly: &Path, object: &Path) -> Result {
    let mut clang = program(&tools.clang);
    run_quietly(clang.args(["--target=xtensa", "-mcpu=esp32", "-c"]).arg(assembly).arg("-o").arg(object))
}

/// What a section is for the module.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Code,
    /// Words that `l32r` loads.
    Literals,
    Constants,
    Writable,
    /// Code or data in a place of its own.
    Foreign,
}

/// A section that is loaded: the object's number and the section's.
type Id = (usize, usize);

struct Section<'a> {
    name: &'a str,
    kind: Kind,
    align: usize,
    bytes: &'a [u8],
    /// Offset → type, what is meant and what is added.
    relocations: BTreeMap<usize, (u32, Target, usize)>,
}

/// What a relocation's symbol stands for.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Target {
    Section(Id),
    Table(Table),
    Missing(String),
}

/// The symbols that the loader knows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Table {
    Functions,
    Names,
}

/// What a literal holds: a number, or an address and what is added to it.
type Literal = (Option<Target>, usize);

struct Linker<'a> {
    files: Vec<ElfFile32<'a>>,
    sections: BTreeMap<Id, Section<'a>>,
    names: Vec<String>,
    entry: Option<(Id, usize)>,
}

/// The code starts with a jump to the entry, which is 4 bytes long with what fills the word.
const JUMP: usize = 4;
/// How far back `l32r` reaches.
const REACH: usize = 0x40000;

/// Links objects as a module.
///
/// # Errors
/// With the symbol and the section that cannot work on a board.
pub fn link(objects: &[Vec<u8>]) -> Result<Module> {
    let mut linker = Linker { files: Vec::new(), sections: BTreeMap::new(), names: Vec::new(), entry: None };
    for bytes in objects {
        linker.files.push(ElfFile32::parse(&bytes[..]).map_err(|error| error.to_string())?);
    }
    linker.read()?;
    linker.lay_out()
}

fn kind(name: &str, flags: u64) -> Kind {
    let named = |base: &str| name == base || name.strip_prefix(base).is_some_and(|rest| rest.starts_with('.'));
    if flags & u64::from(elf::SHF_WRITE) != 0 {
        Kind::Writable
    } else if flags & u64::from(elf::SHF_EXECINSTR) != 0 {
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

/// Whether a function of the compiler's runtime calculates with floats.
fn is_float(name: &str) -> bool {
    name.starts_with("__") && ["sf", "df", "hf", "tf"].iter().any(|kind| name.contains(kind))
}

impl<'a> Linker<'a> {
    fn read(&mut self) -> Result {
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
                let flags: u64 = header.sh_flags(object::Endianness::Little).into();
                if flags & u64::from(elf::SHF_ALLOC) == 0 || section.size() == 0 {
                    continue;
                }
                let bytes = section.data().map_err(|error| error.to_string())?;
                if name == ".mpy_qstr" {
                    let list = std::str::from_utf8(bytes).map_err(|_| "section .mpy_qstr is not text")?;
                    self.names.extend(list.split_terminator('\0').map(str::to_owned));
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
    fn symbol_at(&self, (number, index): Id, offset: usize) -> String {
        let file = &self.files[number];
        let named = file.symbols().filter(|symbol| symbol.section_index().is_some_and(|section| section.0 == index));
        let named =
            named.filter(|symbol| symbol.address() as usize <= offset && symbol.kind() != object::SymbolKind::Section);
        let best =
            named.filter(|symbol| symbol.name().is_ok_and(|name| !name.is_empty())).max_by_key(ObjectSymbol::address);
        best.and_then(|symbol| symbol.name().ok()).unwrap_or("an unnamed symbol").to_owned()
    }

    fn place(&self, id: Id, offset: usize) -> String {
        format!("{} at {offset:#x} of section {}", self.symbol_at(id, offset), self.sections[&id].name)
    }

    fn section(&self, id: Id) -> Result<&Section<'a>> {
        self.sections.get(&id).ok_or_else(|| "a symbol is in a section that is not loaded".into())
    }

    /// The literal that an `l32r` loads.
    fn literal(&self, user: Id, at: usize, target: &Target, value: usize) -> Result<Literal> {
        let from = || self.place(user, at);
        let Target::Section(id) = target else {
            return Err(format!("the l32r in {} loads something that is not in the module: {target:?}", from()));
        };
        let section = self.section(*id)?;
        if section.kind != Kind::Literals {
            return Err(format!("the l32r in {} loads from section {}, which has no literals", from(), section.name));
        }
        if !value.is_multiple_of(4) {
            return Err(format!("the literal {} for {} is not aligned", self.place(*id, value), from()));
        }
        let word = section.bytes.get(value..value + 4);
        let word = word.ok_or_else(|| format!("the l32r in {} loads from outside of {}", from(), section.name))?;
        let word = u32::from_le_bytes([word[0], word[1], word[2], word[3]]) as usize;
        let mut inside = section.relocations.range(value..value + 4);
        match inside.next() {
            None => Ok((None, word)),
            Some((&offset, (elf::R_XTENSA_32, target, value))) if offset % 4 == 0 && word == 0 => {
                self.check_target(user, at, target)?;
                Ok((Some(target.clone()), *value))
            }
            Some((&offset, (r_type, ..))) => {
                Err(format!("relocation type {r_type} of the literal {} is not known", self.place(*id, offset)))
            }
        }
    }

    /// Refuses what is not there and what cannot be.
    fn check_target(&self, user: Id, at: usize, target: &Target) -> Result {
        let from = || self.place(user, at);
        match target {
            Target::Missing(name) if is_float(name) => {
                Err(format!("{} calculates with floating point ({name}), which not every board can", from()))
            }
            Target::Missing(name) => {
                Err(format!("{name}, used by {}, is neither in the module nor in MicroPython's function table", from()))
            }
            Target::Section(id) => {
                let section = self.section(*id)?;
                match section.kind {
                    Kind::Writable => Err(format!(
                        "section {} has {} bytes ({}), used by {}: a module has only code and constants, and keeps its state in objects of the GC",
                        section.name,
                        section.bytes.len(),
                        self.symbol_at(*id, 0),
                        from()
                    )),
                    Kind::Foreign => Err(format!(
                        "section {} ({}), used by {}, has no place in a module",
                        section.name,
                        self.symbol_at(*id, 0),
                        from()
                    )),
                    _ => Ok(()),
                }
            }
            Target::Table(_) => Ok(()),
        }
    }

    /// The sections that the entry needs, and the literals.
    fn reachable(&self, entry: Id) -> Result<(BTreeSet<Id>, BTreeSet<Literal>)> {
        let (mut found, mut literals) = (BTreeSet::from([entry]), BTreeSet::new());
        let mut waiting = vec![entry];
        while let Some(id) = waiting.pop() {
            let section = self.section(id)?;
            for (&at, (r_type, target, value)) in &section.relocations {
                let wanted = match *r_type {
                    elf::R_XTENSA_SLOT0_OP => {
                        if section.bytes.get(at).is_none_or(|byte| byte & 0xf != 1) {
                            let place = self.place(id, at);
                            return Err(format!(
                                "a relocation of an instruction that is not l32r in {place} is not known"
                            ));
                        }
                        let literal = self.literal(id, at, target, *value)?;
                        literals.insert(literal.clone());
                        literal.0
                    }
                    elf::R_XTENSA_32 if at % 4 != 0 => {
                        return Err(format!("the pointer in {} is not aligned to a word", self.place(id, at)));
                    }
                    elf::R_XTENSA_32 => {
                        self.check_target(id, at, target)?;
                        Some(target.clone())
                    }
                    _ => return Err(format!("relocation type {r_type} in {} is not known", self.place(id, at))),
                };
                if let Some(Target::Section(next)) = wanted
                    && found.insert(next)
                {
                    waiting.push(next);
                }
            }
        }
        Ok((found, literals))
    }

    fn lay_out(&self) -> Result<Module> {
        let (entry, entry_offset) = self.entry.ok_or("there is no mpy_init")?;
        let (needed, literals) = self.reachable(entry)?;
        let mut text = vec![0; JUMP + literals.len() * 4];
        let mut rodata = Vec::new();
        let mut starts = BTreeMap::new();
        for &id in &needed {
            let section = self.section(id)?;
            let out = if section.kind == Kind::Constants { &mut rodata } else { &mut text };
            // A word is aligned to a word: the loader aligns the blocks no better.
            let most = if section.kind == Kind::Constants { 8 } else { 4 };
            if section.align > most {
                let place = self.place(id, 0);
                return Err(format!(
                    "{place} wants to be aligned to {} bytes, and a module is to {most}",
                    section.align
                ));
            }
            let align = if section.relocations.is_empty() { section.align } else { section.align.max(4) };
            out.resize(out.len().next_multiple_of(align), 0);
            starts.insert(id, out.len());
            out.extend_from_slice(section.bytes);
        }
        let mut relocations = BTreeMap::new();
        let mut rodata_relocations = BTreeMap::new();
        let resolve = |target: &Target, value: usize| match target {
            Target::Section(id) if self.sections[id].kind == Kind::Constants => {
                (Destination::Rodata, starts[id] + value)
            }
            Target::Section(id) => (Destination::Text, starts[id] + value),
            Target::Table(Table::Names) => (Destination::QstrTable, value),
            Target::Table(Table::Functions) | Target::Missing(_) => (Destination::FunctionTable, value),
        };
        let mut slots = BTreeMap::new();
        for (number, literal) in literals.iter().enumerate() {
            let at = JUMP + number * 4;
            let word = match &literal.0 {
                None => literal.1,
                Some(target) => {
                    let (destination, word) = resolve(target, literal.1);
                    relocations.insert(at / 4, destination);
                    word
                }
            };
            text[at..at + 4].copy_from_slice(&(word as u32).to_le_bytes());
            slots.insert(literal, at);
        }
        for &id in &needed {
            let section = self.section(id)?;
            let start = starts[&id];
            for (&at, (r_type, target, value)) in &section.relocations {
                let place = start + at;
                if *r_type == elf::R_XTENSA_SLOT0_OP {
                    let slot = slots[&self.literal(id, at, target, *value)?];
                    let base = (place + 3) & !3;
                    if base - slot > REACH {
                        return Err(format!("{} is too far from its literal", self.place(id, at)));
                    }
                    let distance = (0x10000 - (base - slot) / 4) as u16;
                    text[place + 1..place + 3].copy_from_slice(&distance.to_le_bytes());
                    continue;
                }
                let (destination, word) = resolve(target, *value);
                let is_constant = section.kind == Kind::Constants;
                let (out, list) =
                    if is_constant { (&mut rodata, &mut rodata_relocations) } else { (&mut text, &mut relocations) };
                out[place..place + 4].copy_from_slice(&(word as u32).to_le_bytes());
                list.insert(place / 4, destination);
            }
        }
        // j entry: 18 bits of distance from the instruction's end and one byte more.
        let distance = starts[&entry] + entry_offset - 4;
        if distance >= 1 << 17 {
            return Err("mpy_init is too far from the start of the text".into());
        }
        text[..3].copy_from_slice(&((distance << 6 | 6) as u32).to_le_bytes()[..3]);
        text.resize(text.len().next_multiple_of(4), 0);
        let constants = literals.len() * 4;
        Ok(Module { names: self.names.clone(), text, constants, relocations, rodata, rodata_relocations })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of assembly; `None` where there is no clang for Xtensa.
    fn linked(assembly: &str) -> Option<Result<Module>> {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let clang = find_clang().or_else(|| {
            eprintln!("skipped: there is no clang for Xtensa");
            None
        })?;
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("ftpdlite-xtensa-{}-{count}", std::process::id()));
        let (source, object) = (folder.join("module.s"), folder.join("module.o"));
        write_if_changed(&source, assembly.as_bytes()).expect("a temporary file");
        let mut command = program(clang);
        run_quietly(command.args(["--target=xtensa", "-mcpu=esp32", "-c"]).arg(&source).arg("-o").arg(&object))
            .expect("assembly");
        let module = link(&[read(&object).expect("an object")]);
        let _ = fs::remove_dir_all(folder);
        Some(module)
    }

    /// An entry that loads a literal, and what follows it.
    fn entry(literal: &str, rest: &str) -> String {
        format!(
            ".text\n.literal_position\n.literal .L0, {literal}\n.section .text.mpy_init,\"ax\"\n.global mpy_init\n.p2align 2\n\
             mpy_init: entry a1, 32\nl32r a2, .L0\nretw\n{rest}\n"
        )
    }

    fn refusal(literal: &str, rest: &str, words: &[&str]) {
        let Some(result) = linked(&entry(literal, rest)) else { return };
        let error = result.expect_err("the module must be refused");
        assert!(words.iter().all(|word| error.contains(word)), "{error}");
    }

    #[test]
    fn literals_come_before_the_code_and_constants_are_apart() {
        let constants = ".section .rodata.a,\"a\"\n.p2align 2\n.Lnear: .long 7\n.Lfar: .long .Lnear\n";
        let Some(module) = linked(&entry(".Lfar", constants)) else { return };
        let module = module.expect("a module");
        // j to 8, where the entry starts behind one literal.
        assert_eq!(module.text[..3], [0x06, 0x01, 0x00]);
        assert_eq!((module.constants, &module.text[4..8]), (4, &[4, 0, 0, 0][..]));
        assert_eq!(module.relocations, BTreeMap::from([(1, Destination::Rodata)]));
        assert_eq!(module.rodata, [7, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(module.rodata_relocations, BTreeMap::from([(1, Destination::Rodata)]));
        // l32r at 11: from 12 back to 4.
        assert_eq!(module.text[11..14], [0x21, 0xfe, 0xff]);
    }

    #[test]
    fn equal_literals_are_one() {
        let rest = ".literal_position\n.literal .L1, mp_fun_table\nl32r a2, .L1\n";
        let Some(module) = linked(&entry("mp_fun_table", rest)) else { return };
        let module = module.expect("a module");
        assert_eq!((module.constants, module.relocations.len()), (4, 1));
        assert_eq!(module.relocations[&1], Destination::FunctionTable);
    }

    #[test]
    fn writable_data_is_refused_and_named() {
        refusal("hits", ".section .bss.hits,\"aw\",@nobits\nhits: .space 4\n", &[".bss.hits", "hits", "mpy_init"]);
        refusal("limit", ".data\nlimit: .long 5\n", &[".data", "limit"]);
    }

    #[test]
    fn what_is_missing_is_named() {
        refusal("puts", "", &["puts", "mpy_init", ".text.mpy_init"]);
        refusal("__addsf3", "", &["floating point", "__addsf3", "mpy_init"]);
    }

    #[test]
    fn code_in_a_section_of_its_own_is_refused() {
        refusal("quick", ".section fast,\"ax\"\nquick: retw\n", &["section fast", "quick"]);
    }

    #[test]
    fn an_unaligned_pointer_is_refused_and_named() {
        let crooked = ".section .rodata.c,\"a\"\ncrooked: .byte 1\n.long crooked\n";
        refusal("crooked", crooked, &["crooked", ".rodata.c", "aligned"]);
    }

    #[test]
    fn an_unaligned_literal_is_refused_and_named() {
        let Some(result) = linked(
            ".section .literal,\"ax\"\n.byte 1\n.Lodd: .long 5\n.section .text.mpy_init,\"ax\"\n.global mpy_init\nmpy_init: l32r a2, .Lodd\n",
        ) else {
            return;
        };
        let error = result.expect_err("the module must be refused");
        assert!(error.contains("not aligned") && error.contains("mpy_init"), "{error}");
    }

    #[test]
    fn an_unknown_relocation_is_refused() {
        refusal("5", "call8 elsewhere\n", &["relocation", "mpy_init", "not known"]);
    }

    #[test]
    fn a_module_needs_its_entry() {
        let Some(result) = linked(".text\nother: retw\n") else { return };
        assert!(result.expect_err("the module must be refused").contains("mpy_init"));
    }
}
