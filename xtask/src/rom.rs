//! Modules whose code runs where it lies in a ROMFS. MicroPython copies the code of a module to RAM, but not a constant that is bytes. So the code is such a constant, and what the
//! loader copies is `micropython/rom.S`: the entry, and the ways in.

use crate::linker::link;
use crate::mpy::{Arch, Module};
use crate::project::{Project, Result, make_folder, program, read, run_quietly};
use crate::targets::Target;
use crate::toolchain;
use std::path::Path;

/// How many functions the runtime can call: those of the module, its methods, and the slots of its types. The import fails when they are too few.
const WAYS: usize = 24;
/// To what the code's address must be a multiple of: a Thumb processor reads its constants so.
pub const ALIGNMENT: usize = 4;

/// The constants that may hold addresses of functions. `native::ffi::held` makes true addresses of them.
const TABLES: &[&str] = &["FUNCTIONS", "METHODS"];

/// The module, of the code that was linked.
pub fn module(project: &Project, target: &Target, file_name: &str, elf: &Path) -> Result<Module> {
    let linked = Module::from_file(elf)?;
    let holders = Module::symbols_with_addresses(&read(elf)?)?;
    if let Some(name) = holders.iter().find(|name| TABLES.iter().all(|table| !name.contains(table))) {
        return Err(format!(
            "{}: {name} needs an address, but in a ROMFS no loader can write it there: let the code make it, or hold no address in a constant",
            elf.display()
        ));
    }
    let mut module = entry(project, target, linked.objects.len() + 2)?;
    module.names = linked.names.clone();
    module.objects = linked.objects.clone();
    add_code(&mut module, target.arch, file_name, linked.text);
    Ok(module)
}

/// Adds the code as the last constant object, aligned in the file. The object before it is only there for that.
fn add_code(module: &mut Module, arch: Arch, file_name: &str, code: Vec<u8>) {
    module.objects.extend([vec![0], code]);
    let last = module.objects.len() - 1;
    while !module.object_at(arch, file_name, last).is_multiple_of(ALIGNMENT) {
        module.objects[last - 1].push(0);
    }
}

/// What is in RAM. objects: how many constant objects the file has, of which the last is the code.
fn entry(project: &Project, target: &Target, objects: usize) -> Result<Module> {
    let folder = project.target.join("rom").join(target.triple);
    make_folder(&folder)?;
    let [object, elf] = ["rom.o", "rom.elf"].map(|name| folder.join(name));
    let triple = target.triple.split_once('-').map_or(target.triple, |(arch, _)| arch);
    let mut clang = program(toolchain::clang()?.0);
    clang.arg(format!("--target={triple}-none-eabi")).arg(format!("-DOBJECTS={objects}"));
    clang.arg(format!("-DWAYS={WAYS}")).arg("-c").arg(project.root.join("micropython/rom.S")).arg("-o").arg(&object);
    run_quietly(&mut clang).map_err(|error| format!("rom.S does not assemble; {error}"))?;
    link(project, &object, &elf)?;
    Module::from_file(&elf)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::write_if_changed;

    #[test]
    fn the_code_is_aligned_in_the_file_whatever_comes_before_it() {
        for length in 0..9 {
            let mut module = Module {
                names: vec!["os".into()],
                objects: vec![vec![1; length]],
                text: vec![0; 4],
                constants: 0,
                relocations: Default::default(),
                rodata: Vec::new(),
                rodata_relocations: Default::default(),
            };
            add_code(&mut module, Arch::Armv6m, "a", vec![7; 300]);
            let file = module.encode(Arch::Armv6m, "a");
            let at = file.windows(300).position(|part| part == [7; 300]);
            assert_eq!(at.map(|at| at % ALIGNMENT), Some(0), "behind an object of {length} bytes");
            assert_eq!((module.objects.len(), module.objects[0].len()), (3, length));
        }
    }

    #[test]
    fn constants_that_hold_addresses_are_found() {
        let Some((clang, _)) = toolchain::find_clang() else { return };
        let folder = std::env::temp_dir().join(format!("ftpdlite-rom-{}", std::process::id()));
        let [source, object, elf] = ["module.c", "module.o", "module.elf"].map(|name| folder.join(name));
        let code = "__attribute__((section(\".text.mpy_init\"))) int mpy_init(int n) { extern const char *const names[]; return names[n][0]; }\n\
                    const char *const names[] = {\"one\", \"two\"};\n";
        write_if_changed(&source, code.as_bytes()).expect("the folder for temporary files can be written");
        let mut compiler = program(clang);
        compiler.args(["--target=thumbv6m-none-eabi", "-Os", "-ffreestanding", "-fvisibility=hidden", "-c"]);
        run_quietly(compiler.arg(&source).arg("-o").arg(&object)).expect("it compiles");
        link(&Project::find().expect("this is a checkout"), &object, &elf).expect("it links");
        let found = Module::symbols_with_addresses(&read(&elf).expect("it was made")).expect("it is ELF");
        let _ = std::fs::remove_dir_all(folder);
        assert_eq!(found.iter().filter(|name| *name == "names").count(), 2, "{found:?}");
    }
}
