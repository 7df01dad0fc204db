//! The compilers for Xtensa: upstream Rust and a clang that knows it.

use crate::debian::try_to_install;
use crate::project::{Result, output, program, read, run_quietly, which};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The instructions that the ESP32, S2 and S3 have in common, without those that QEMU's models lack (the upper half of a product). So
/// the tested code is the shipped code. Without floating point: a float becomes a call that the linker refuses.
pub const FEATURES: &[&str] = &["density", "windowed", "mul16", "mul32", "div32", "nsa", "sext", "minmax", "clamps"];

/// What the architecture is built with.
pub struct Tools {
    pub rustc: PathBuf,
    /// The sources of `core`.
    pub core: PathBuf,
    pub clang: PathBuf,
    /// What rustc tells of itself.
    pub about: String,
}

/// A clang that knows Xtensa; first installs it where that may be done.
fn clang() -> Result<PathBuf> {
    if let Some(found) = find_clang() {
        return Ok(found);
    }
    try_to_install(&["clang-22"]);
    find_clang()
        .ok_or_else(|| "xtensawin needs a clang that knows Xtensa; as root on Debian: apt-get install clang-22".into())
}

pub fn find_clang() -> Option<PathBuf> {
    let mut found = ["clang-22", "clang-23", "clang"].into_iter().filter_map(which);
    found.find(|clang| output(program(clang).arg("--print-targets")).is_ok_and(|all| all.contains("xtensa")))
}

impl Tools {
    pub fn find() -> Result<Tools> {
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

    pub fn rustc(&self) -> Command {
        let mut command = program(&self.rustc);
        // The target is not a stable one, and a sysroot is made with the compiler's own features.
        command.env("RUSTC_BOOTSTRAP", "1");
        command
    }

    fn clang(&self) -> Command {
        let mut command = program(&self.clang);
        command.arg("--target=xtensa").args(clang_features());
        command
    }
}

pub fn clang_features() -> Vec<String> {
    let words = FEATURES.iter().flat_map(|name| ["-Xclang", "-target-feature", "-Xclang", name]);
    words.map(|word| if FEATURES.contains(&word) { format!("+{word}") } else { word.to_owned() }).collect()
}

/// Compiles C and assembles assembly.
pub fn c_objects(tools: &Tools, folder: &Path, sources: &[PathBuf]) -> Result<Vec<Vec<u8>>> {
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

fn compile_c(tools: &Tools, source: &Path, assembly: &Path) -> Result {
    let mut clang = tools.clang();
    clang.args(["-S", "-Os", "-ffreestanding", "-fvisibility=hidden", "-ffunction-sections", "-fno-pic", "-Werror"]);
    clang.args(["-fno-asynchronous-unwind-tables", "-fno-stack-protector", "-fno-builtin"]);
    run_quietly(clang.arg(source).arg("-o").arg(assembly))
}

/// clang passes an assembler no features, only a processor.
pub fn assemble(tools: &Tools, assembly: &Path, object: &Path) -> Result {
    let mut clang = program(&tools.clang);
    run_quietly(clang.args(["--target=xtensa", "-mcpu=esp32", "-c"]).arg(assembly).arg("-o").arg(object))
}
