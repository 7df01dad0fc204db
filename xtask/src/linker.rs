//! The linker: the one that comes with the Rust toolchain, or Debian's, for Debian's Rust brings none.

use crate::debian::{apt_install, may_install};
use crate::project::{Project, Result, host_triple, output, program, run_quietly, say};
use crate::toolchain::numbered;
use std::path::{Path, PathBuf};

/// Debian's package of the linker.
const PACKAGE: &str = "lld";

/// Links a library or object file as a module.
pub fn link(project: &Project, input: &Path, elf: &Path) -> Result {
    let mut linker = program(linker()?);
    linker.args(["-flavor", "gnu", "-shared", "-Bsymbolic", "-z", "notext", "-z", "norelro", "--gc-sections"]);
    linker.args(["--hash-style=sysv", "--build-id=none", "--strip-debug", "-e", "mpy_init", "-T"]);
    linker.arg(project.root.join("micropython/module.ld")).arg("-o").arg(elf).arg(input);
    run_quietly(&mut linker).map_err(|error| format!("the module does not link; {error}"))
}

/// Where it is. It is installed first, where that is allowed.
fn linker() -> Result<PathBuf> {
    if let Some(found) = find()? {
        return Ok(found);
    }
    if may_install() {
        say(format!("installs {PACKAGE} (apt-get)"));
        if let (Ok(()), Some(found)) = (apt_install(&[PACKAGE]), find()?) {
            return Ok(found);
        }
    }
    Err(format!(
        "the Rust toolchain has no rust-lld, and there is no lld; as root on Debian: apt-get install {PACKAGE}"
    ))
}

fn find() -> Result<Option<PathBuf>> {
    let host = host_triple()?;
    let sysroot = output(program("rustc").args(["--print", "sysroot"]))?;
    let own = Path::new(sysroot.trim()).join("lib/rustlib").join(host).join("bin/rust-lld");
    // The general program, for the one that is called ld.lld is the same and takes the same options.
    Ok(if own.is_file() { Some(own) } else { numbered("ld.lld").map(|(linker, _)| linker) })
}
