//! Modules whose code runs where it lies in a ROMFS. MicroPython copies the code of a module to RAM, but not a constant that is bytes. So the code is such a constant, and what the
//! loader copies is `micropython/rom.S`: the entry, and the ways in.

use crate::linker::link;
use crate::mpy::Module;
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
    let content = read(elf)?;
    let linked = Module::from_elf(&content).map_err(|error| format!("{}: {error}", elf.display()))?;
    let holders = Module::symbols_with_addresses(&content)?;
    if let Some(name) = holders.iter().find(|name| TABLES.iter().all(|table| !name.contains(table))) {
        return Err(format!(
            "{}: {name} needs an address, but in a ROMFS no loader can write it there: let the code make it, or hold no address in a constant",
            elf.display()
        ));
    }
    let mut module = entry(project, target, linked.objects.len() + 2)?;
    module.names = linked.names.clone();
    module.objects = linked.objects.clone();
    // What stands before the code in the file decides where it lies. The file itself must be aligned.
    module.objects.push(Vec::new());
    module.objects.push(linked.text.clone());
    let filler = module.objects.len() - 2;
    while module.object_at(target.arch, file_name, filler + 1) % ALIGNMENT != 0 {
        module.objects[filler].push(0);
    }
    Ok(module)
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
    Module::from_elf(&read(&elf)?).map_err(|error| format!("{}: {error}", elf.display()))
}
