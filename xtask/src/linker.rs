//! The linker: the one that comes with the Rust toolchain. Debian's Rust brings none, so there it is Debian's linker.

use crate::debian::try_to_install;
use crate::project::{Project, Result, host_triple, output, program, run_quietly, which};
use crate::toolchain::CLANG_VERSIONS;
use std::path::{Path, PathBuf};

/// Debian's package of the linker. Its package without a number is too old.
const PACKAGE: &str = "lld-22";
/// Older ones do not link an archive alone ("target emulation unknown").
const OLDEST: u32 = 15;

/// Links a library or object file as a module.
pub fn link(project: &Project, input: &Path, elf: &Path) -> Result {
    let mut linker = program(linker()?);
    linker.args(["-flavor", "gnu", "-shared", "-Bsymbolic", "-z", "notext", "-z", "norelro", "--gc-sections"]);
    linker.args(["--hash-style=sysv", "--build-id=none", "--strip-debug", "-e", "mpy_init", "-T"]);
    linker.arg(project.root.join("micropython/module.ld")).arg("-o").arg(elf).arg(input);
    run_quietly(&mut linker).map_err(|error| format!("the module does not link; {error}"))
}

/// The linker's path. If it is missing, it is installed first, where that is allowed.
fn linker() -> Result<PathBuf> {
    if let Some(found) = find()? {
        return Ok(found);
    }
    try_to_install(&[PACKAGE]);
    find()?.ok_or_else(|| format!(
        "the Rust toolchain has no rust-lld, and there is no lld of version {OLDEST} or later; as root on Debian: apt-get install {PACKAGE}"
    ))
}

fn find() -> Result<Option<PathBuf>> {
    let host = host_triple()?;
    let sysroot = output(program("rustc").args(["--print", "sysroot"]))?;
    let own = Path::new(sysroot.trim()).join("lib/rustlib").join(host).join("bin/rust-lld");
    if own.is_file() {
        return Ok(Some(own));
    }
    // ld.lld is the same program as rust-lld, and takes the same options.
    let numbered = CLANG_VERSIONS.rev().map(|number| format!("ld.lld-{number}"));
    let mut found = numbered.chain(["ld.lld".to_owned()]).filter_map(|name| which(&name));
    Ok(found.find(|linker| {
        let told = output(program(linker).arg("--version"));
        told.is_ok_and(|told| major_version(&told).is_some_and(|version| version >= OLDEST))
    }))
}

/// The first number of `Debian LLD 14.0.6 (compatible with GNU linkers)`.
fn major_version(told: &str) -> Option<u32> {
    told.split_once("LLD ")?.1.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read() {
        assert_eq!(major_version("Debian LLD 14.0.6 (compatible with GNU linkers)\n"), Some(14));
        assert_eq!(major_version("LLD 22.1.0 (compatible with GNU linkers)"), Some(22));
        assert_eq!(major_version("GNU ld (GNU Binutils for Debian) 2.40"), None);
    }
}
