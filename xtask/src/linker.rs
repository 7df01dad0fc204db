//! The linker that comes with the Rust toolchain.

use crate::project::{Project, Result, output, program, run_quietly};
use std::path::{Path, PathBuf};

/// Links a library or object file as a module.
pub fn link(project: &Project, input: &Path, elf: &Path) -> Result {
    let mut linker = program(linker()?);
    linker.args(["-flavor", "gnu", "-shared", "-Bsymbolic", "-z", "notext", "-z", "norelro", "--gc-sections"]);
    linker.args(["--hash-style=sysv", "--build-id=none", "--strip-debug", "-e", "mpy_init", "-T"]);
    linker.arg(project.root.join("micropython/module.ld")).arg("-o").arg(elf).arg(input);
    run_quietly(&mut linker).map_err(|error| format!("the module does not link; {error}"))
}

/// Where it lies.
fn linker() -> Result<PathBuf> {
    let about = output(program("rustc").arg("-vV"))?;
    let host = about.lines().find_map(|line| line.strip_prefix("host: ")).ok_or("rustc -vV names no host")?;
    let sysroot = output(program("rustc").args(["--print", "sysroot"]))?;
    let linker = Path::new(sysroot.trim()).join("lib/rustlib").join(host).join("bin/rust-lld");
    if linker.is_file() { Ok(linker) } else { Err(format!("the Rust toolchain has no {}", linker.display())) }
}
