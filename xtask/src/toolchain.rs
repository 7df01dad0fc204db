//! The compilers of the other architectures: rustup's or Debian's, whichever this machine has.

use crate::debian::{may_install, try_to_install};
use crate::project::{Result, output, program, which, write_if_changed};
use crate::targets::{TARGETS, XTENSA};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Debian's packages: a Rust compiler with the source of `core`, and a C compiler for every architecture.
const DEBIAN_RUST: &[&str] = &["rustc-web", "rust-web-src"];
const DEBIAN_CLANG: &[&str] = &["clang-22"];
const DEBIAN_CC: &[&str] = &["gcc", "libc6-dev"];
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
/// The oldest Rust that compiles the project, as Cargo.toml says it.
const OLDEST_RUST: (u32, u32) = (1, 88);
/// The versions of clang and lld that are looked for, under names with a number.
pub const CLANG_VERSIONS: std::ops::RangeInclusive<u32> = 14..=24;

/// Where `core` for an architecture comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Core {
    /// It is installed with the compiler.
    Installed,
    /// It is compiled from the source that belongs to this compiler. `None` means the usual compiler.
    Source(Option<PathBuf>),
}

/// Prepares a cargo that compiles the module for a target. What is missing is installed first, where that is allowed. `folder` is for files of the build.
pub fn prepare(cargo: &mut Command, triple: &str, folder: &Path) -> Result {
    cargo.arg("--target");
    match core_for(triple)? {
        Core::Installed => {
            cargo.arg(triple);
        }
        Core::Source(rustc) => {
            let usual = rustc.is_none();
            let rustc = rustc.unwrap_or_else(usual_rustc);
            cargo.arg(description(&rustc, triple, folder)?);
            if takes_descriptions_when_told() {
                cargo.arg("-Zjson-target-spec");
            }
            // A stable compiler builds `core` only with this variable.
            cargo.env("RUSTC_BOOTSTRAP", "1").arg("-Zbuild-std=core,compiler_builtins");
            if !usual {
                cargo.env("RUSTC", rustc);
            }
        }
    }
    if !is_host(triple) {
        let (clang, ar) = clang()?;
        for (variable, tool) in [("CC", clang), ("AR", ar)] {
            let variable = format!("{variable}_{}", triple.replace('-', "_"));
            if std::env::var_os(&variable).is_none() {
                cargo.env(variable, tool);
            }
        }
    }
    Ok(())
}

/// Writes the compiler's own description of a target, but without frame pointers. Rust uses them on every Thumb. They take one of eight registers there, and
/// 3 % of the text.
fn description(rustc: &Path, triple: &str, folder: &Path) -> Result<PathBuf> {
    let mut compiler = program(rustc);
    compiler.env("RUSTC_BOOTSTRAP", "1").args([
        "-Zunstable-options",
        "--print",
        "target-spec-json",
        "--target",
        triple,
    ]);
    let described = output(&mut compiler)?.replace(r#""frame-pointer": "always""#, r#""frame-pointer": "may-omit""#);
    let path = folder.join("targets").join(triple).with_extension("json");
    write_if_changed(&path, described.as_bytes())?;
    Ok(path)
}

/// Whether cargo needs an option for a target that is described by a file. Older versions need none.
fn takes_descriptions_when_told() -> bool {
    output(program("cargo").arg("--version"))
        .ok()
        .and_then(|text| parse_version(&text))
        .is_some_and(|version| version >= (1, 95))
}

/// What `setup` does for a target.
pub fn install(triple: &str) -> Result {
    core_for(triple)?;
    if is_host(triple) { Ok(()) } else { clang().map(drop) }
}

/// The same for `test`. A user who may not install anything is told why the build is left out. For root a missing compiler is a failure.
pub fn install_or_skip(triple: &str) -> Result<Option<String>> {
    match install(triple) {
        Err(reason) if !may_install() => Ok(Some(reason)),
        result => result.map(|()| None),
    }
}

/// The compilers' versions for each architecture.
pub fn versions() -> Result<Vec<(String, String)>> {
    let usual = std::env::var_os("RUSTC").map_or_else(|| "rustc".into(), PathBuf::from);
    let first_line = |compiler: &Path| {
        let told = output(program(compiler).arg("--version"))?;
        Ok::<_, String>(told.lines().next().unwrap_or_default().to_owned())
    };
    let mut found = vec![("x64".to_owned(), format!("{}; {}", first_line(&usual)?, first_line(Path::new("cc"))?))];
    for target in TARGETS.iter().filter(|target| !is_host(target.triple) && target.triple != XTENSA) {
        let rustc = match core_for(target.triple)? {
            Core::Source(Some(rustc)) => format!("{}, core from its source", first_line(&rustc)?),
            Core::Source(None) => format!("{}, core from its source", first_line(&usual)?),
            Core::Installed => first_line(&usual)?,
        };
        found.push((target.name.to_owned(), format!("{rustc}; {}", first_line(&clang()?.0)?)));
    }
    Ok(found)
}

/// Whether it is the architecture of the Unix port. The machine's own compilers are enough for that.
fn is_host(triple: &str) -> bool {
    triple.contains("linux")
}

fn core_for(triple: &str) -> Result<Core> {
    if let Some(found) = find_core(triple) {
        return Ok(found);
    }
    try_to_install(DEBIAN_RUST);
    if let Some(found) = find_core(triple) {
        return Ok(found);
    }
    let (major, minor) = OLDEST_RUST;
    let debian = Path::new(DEBIAN_RUSTC);
    let too_old = match rust_version(debian).filter(|version| debian.is_file() && *version < OLDEST_RUST) {
        Some((old_major, old_minor)) => format!(
            " ({DEBIAN_RUSTC} is {old_major}.{old_minor}, which is too old; Debian's security updates have a newer one)"
        ),
        None => String::new(),
    };
    // Where the source of `core` is missing, clang mostly is, too. So this names both, and nobody needs to try twice.
    let packages = DEBIAN_RUST.iter().chain(if find_clang().is_none() { DEBIAN_CLANG } else { &[] });
    Err(format!(
        "there is no Rust core library of Rust {major}.{minor} or later for {triple}{too_old}; rustup component add rust-src \
         brings it, or as root on Debian: apt-get install {}",
        packages.copied().collect::<Vec<_>>().join(" ")
    ))
}

fn usual_rustc() -> PathBuf {
    std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()).into()
}

fn find_core(triple: &str) -> Option<Core> {
    let usual = usual_rustc();
    let usual = usual.as_path();
    // The library for the host is always there. For other targets the source is better than the installed library, because we compile it for size.
    let has_source = |rustc: &Path| {
        let sysroot = output(program(rustc).args(["--print", "sysroot"])).ok();
        sysroot
            .is_some_and(|root| Path::new(root.trim()).join("lib/rustlib/src/rust/library/core/Cargo.toml").is_file())
    };
    if !is_host(triple) && has_source(usual) {
        return Some(Core::Source(None));
    }
    let libraries = output(program(usual).args(["--print", "target-libdir", "--target", triple])).ok()?;
    if Path::new(libraries.trim()).is_dir() {
        return Some(Core::Installed);
    }
    let debian = Path::new(DEBIAN_RUSTC);
    // A Debian without updates has an old one.
    let is_recent = || rust_version(debian).is_some_and(|version| version >= OLDEST_RUST);
    (debian.is_file() && has_source(debian) && is_recent()).then(|| Core::Source(Some(debian.into())))
}

/// The first two numbers of a compiler's version.
fn rust_version(rustc: &Path) -> Option<(u32, u32)> {
    parse_version(&output(program(rustc).arg("--version")).ok()?)
}

/// `rustc 1.96.0 (…)`.
fn parse_version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split(' ').nth(1)?.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// A C compiler that knows every architecture, and the archiver for what it makes.
pub fn clang() -> Result<(PathBuf, PathBuf)> {
    if let Some(found) = find_clang() {
        return Ok(found);
    }
    try_to_install(DEBIAN_CLANG);
    find_clang().ok_or_else(|| {
        format!("clang is needed to compile C for boards; as root on Debian: apt-get install {}", DEBIAN_CLANG[0])
    })
}

/// The compiler and the archiver, if they are installed.
pub fn find_clang() -> Option<(PathBuf, PathBuf)> {
    let (clang, suffix) = numbered("clang")?;
    // If LLVM's archiver is missing, any other works, because the linker makes its own index.
    let ar = which(&format!("llvm-ar{suffix}")).or_else(|| which("ar"))?;
    Some((clang, ar))
}

/// A program of LLVM, and the end of its name: the newest one with a number, or else the one without a number.
pub fn numbered(name: &str) -> Option<(PathBuf, String)> {
    let suffixes = CLANG_VERSIONS.rev().map(|version| format!("-{version}")).chain([String::new()]);
    suffixes.into_iter().find_map(|suffix| Some((which(&format!("{name}{suffix}"))?, suffix)))
}

/// Makes sure that there is a program that compiles and links C for this machine, because nothing can be built without it. It is installed, where that is allowed.
pub fn host_compiler() -> Result {
    let is_missing = || which("cc").is_none();
    if is_missing() {
        try_to_install(DEBIAN_CC);
    }
    if is_missing() {
        return Err(format!("a C compiler is needed; as root on Debian: apt-get install {}", DEBIAN_CC.join(" ")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(parse_version("rustc 1.96.0 (59807616e 2026-04-14)\n"), Some((1, 96)));
        assert_eq!(parse_version("rustc"), None);
    }

    #[test]
    fn the_oldest_rust_is_that_of_the_manifest() {
        let (major, minor) = OLDEST_RUST;
        let manifest = include_str!("../../Cargo.toml");
        assert!(manifest.contains(&format!("rust-version = \"{major}.{minor}\"")));
    }
}
