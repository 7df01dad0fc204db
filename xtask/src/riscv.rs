//! The module for rv32imc in a real MicroPython: its QEMU port, built from Debian's source package, with `tests/riscv`.

use crate::abi;
use crate::debian::install_missing;
use crate::project::{Project, Result, output, program, read, run, run_quietly, say, which, write_if_changed};
use std::path::{Path, PathBuf};
use std::thread;

const QEMU: &str = "qemu-system-riscv32";
const COMPILER: &str = "riscv64-unknown-elf-gcc";

/// The Debian suites with a MicroPython for this. The first one that is available is used.
const SUITES: &[&str] = &["sid", "trixie"];

/// What make is told. The heap holds the tests' files too; nothing is frozen, which would need mpy-cross. Debian 12's compiler has
/// 32-bit libraries, but not under the name of the architecture that the port links for.
const OPTIONS: &[&str] = &["BOARD=VIRT_RV32", "FROZEN_MANIFEST=", "MICROPY_HEAP_SIZE=1048576", "LIBS=-march=rv32imac"];

/// MicroPython for the emulator.
pub struct Firmware {
    elf: PathBuf,
    /// The Python part of asyncio.
    asyncio: PathBuf,
}

/// The Debian packages of what is missing here.
fn missing() -> Vec<&'static str> {
    // Without its C library the compiler answers with the bare name.
    let has_library = || {
        output(program(COMPILER).arg("--print-file-name=picolibc.specs"))
            .is_ok_and(|path| Path::new(path.trim()).is_file())
    };
    let found: [(&str, &dyn Fn() -> bool); 4] = [
        ("make", &|| which("make").is_some()),
        ("qemu-system-misc", &|| which(QEMU).is_some()),
        ("gcc-riscv64-unknown-elf", &|| which(COMPILER).is_some()),
        ("picolibc-riscv64-unknown-elf", &has_library),
    ];
    found.iter().filter(|(_, is_there)| !is_there()).map(|(package, _)| *package).collect()
}

/// The path of the firmware. It is built if it is missing.
///
/// # Errors
/// Names what is missing here.
pub fn firmware(project: &Project) -> Result<Firmware> {
    build(project, &fetch(project)?)
}

/// The sources and what builds and runs them.
pub fn fetch(project: &Project) -> Result<PathBuf> {
    project.can_make()?;
    install_missing(missing)?;
    abi::first_suite(SUITES, |suite| abi::source(project, suite))
}

fn build(project: &Project, source: &Path) -> Result<Firmware> {
    let folder = project.tools.join("riscv");
    let firmware = Firmware { elf: folder.join("build/firmware.elf"), asyncio: source.join("extmod/asyncio") };
    let stamp = folder.join("complete");
    let wanted = format!("{}\n{}\n", source.display(), OPTIONS.join("\n"));
    if firmware.elf.is_file() && read(&stamp).is_ok_and(|former| former == wanted.as_bytes()) {
        return Ok(firmware);
    }
    let name = source.file_name().unwrap_or_default().to_string_lossy();
    say(format!("builds {name} for {QEMU}; this takes a minute"));
    run_quietly(program("rm").arg("-rf").arg(folder.join("build")))?;
    let mut make = program("make");
    make.arg("-C")
        .arg(source.join("ports/qemu"))
        .arg(format!("-j{}", thread::available_parallelism().map_or(1, usize::from)));
    make.args(OPTIONS).arg(format!("BUILD={}", folder.join("build").display()));
    // Otherwise it would take the version of the repository that it lies in.
    make.env("MICROPY_GIT_TAG", name.replace("micropython-", "v")).env("MICROPY_GIT_HASH", "");
    run_quietly(&mut make)?;
    write_if_changed(&stamp, wanted.as_bytes())?;
    Ok(firmware)
}

/// Runs the package that was built there.
pub fn test(project: &Project, firmware: &Firmware) -> Result {
    let mut play = program(project.python());
    play.current_dir(&project.root).arg("tests/riscv/play.py").arg(&firmware.elf).arg(&firmware.asyncio);
    play.arg(project.dist("rv32imc")).arg(project.tools.join("riscv/romfs.img"));
    run(&mut play)
}
