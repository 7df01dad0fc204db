//! The linker that comes with the Rust toolchain.

use crate::project::{Project, Result, host_triple, output, program, run_quietly};
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
    let host = host_triple()?;
    let sysroot = output(program("rustc").args(["--print", "sysroot"]))?;
    let linker = Path::new(sysroot.trim()).join("lib/rustlib").join(host).join("bin/rust-lld");
    if linker.is_file() { Ok(linker) } else { Err(format!("the Rust toolchain has no {}", linker.display())) }
}
