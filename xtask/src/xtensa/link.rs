//! Lays out a module: a jump to the entry, the literals, the code, and apart from them the constants.

use super::objects::{Id, Kind, Objects, Table, Target};
use crate::mpy::{Destination, Module};
use crate::project::Result;
use object::elf;
use std::collections::{BTreeMap, BTreeSet};

/// What a literal holds: a number, or an address and what is added to it.
type Literal = (Option<Target>, usize);

/// The code starts with a jump to the entry, which is 4 bytes long with what fills the word.
const JUMP: usize = 4;
/// How far back `l32r` reaches.
const REACH: usize = 0x40000;

/// Links objects as a module.
///
/// # Errors
/// With the symbol and the section that cannot work on a board.
pub fn link(objects: &[Vec<u8>]) -> Result<Module> {
    Objects::read(objects)?.lay_out()
}

/// Whether a function of the compiler's runtime calculates with floats.
fn is_float(name: &str) -> bool {
    name.starts_with("__") && ["sf", "df", "hf", "tf"].iter().any(|kind| name.contains(kind))
}

impl Objects<'_> {
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
            Target::Table(Table::Objects) => (Destination::ObjectTable, value),
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
        Ok(Module {
            names: self.names.clone(),
            objects: self.constants.clone(),
            text,
            constants,
            relocations,
            rodata,
            rodata_relocations,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::{program, read, run_quietly, write_if_changed};
    use crate::xtensa::tools::find_clang;
    use std::fs;

    /// Links assembly; `None` where there is no clang for Xtensa.
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
