//! The module for the ESP32, S2 and S3 (MicroPython's architecture xtensawin), with upstream Rust and LLVM.
//!
//! Three things are different from other targets. LLVM cannot select code for some of `core`'s functions, so `core` is compiled to bitcode only and `compiler_builtins`
//! is an empty crate of our own. LLVM's object writer misplaces literals, so Rust emits assembly, which clang assembles. And there is no LLD for Xtensa, so
//! the linker is here: it puts the literals before the code, where `l32r` reaches them, and keeps constants apart, because text may be in
//! memory that can only be read in words.

pub mod emulator;
mod link;
mod objects;
mod tools;

use crate::mpy::Module;
use crate::project::{Project, Result, make_folder, output, program, read, run, run_quietly, say, write_if_changed};
use crate::targets::XTENSA;
use std::path::{Path, PathBuf};
use tools::{FEATURES, Tools, assemble, c_objects, clang_features};

/// The built-in target's data-layout is not LLVM's.
fn target_json() -> String {
    let features = FEATURES.iter().map(|name| format!("+{name},")).collect::<String>();
    format!(
        r#"{{
  "arch": "xtensa",
  "cpu": "generic",
  "features": "{features}+forced-atomics",
  "data-layout": "e-m:e-p:32:32-i8:8:32-i16:16:32-i64:64-n32",
  "emit-debug-gdb-scripts": false,
  "linker-flavor": "gnu-cc",
  "linker": "false",
  "llvm-target": "xtensa-none-elf",
  "max-atomic-width": 32,
  "panic-strategy": "abort",
  "relocation-model": "static",
  "target-pointer-width": 32
}}
"#
    )
}

const BUILTINS: &str = "#![feature(compiler_builtins)]\n#![compiler_builtins]\n#![no_std]\n";

/// Compiles and links the module.
pub fn module(project: &Project) -> Result<Module> {
    let tools = Tools::find()?;
    let folder = project.target.join("xtensawin");
    let sysroot = sysroot(&tools, &folder)?;
    let object = folder.join("module.o");
    assemble(&tools, &compile(project, &tools, &folder, &sysroot)?, &object)?;
    let c = ["glue.c", "xtensa.c"].map(|name| project.root.join("micropython").join(name));
    let mut objects = vec![read(&object)?];
    objects.extend(c_objects(&tools, &folder, &c)?);
    link::link(&objects)
}

/// The versions of the compilers.
pub fn versions() -> Result<String> {
    let tools = Tools::find()?;
    let clang = output(program(&tools.clang).arg("--version"))?;
    let first_line = |text: &str| text.lines().next().unwrap_or_default().to_owned();
    Ok(format!("{}; {}", first_line(&tools.about), first_line(&clang)))
}

/// A folder with `core` as bitcode and `compiler_builtins` of ours, for `--sysroot`.
fn sysroot(tools: &Tools, folder: &Path) -> Result<PathBuf> {
    let sysroot = folder.join("sysroot");
    let (target, builtins) = (folder.join(XTENSA).with_extension("json"), folder.join("compiler_builtins.rs"));
    let stamp = sysroot.join("stamp");
    let wanted = format!("{}{}{}{BUILTINS}", tools.rustc.display(), tools.about, target_json());
    if read(&stamp).is_ok_and(|former| former == wanted.as_bytes()) {
        return Ok(sysroot);
    }
    say("compiles core for Xtensa; this takes a minute, once");
    let libraries = sysroot.join("lib/rustlib").join(XTENSA).join("lib");
    make_folder(&libraries)?;
    write_if_changed(&target, target_json().as_bytes())?;
    write_if_changed(&builtins, BUILTINS.as_bytes())?;
    for (name, source) in [("core", &tools.core), ("compiler_builtins", &builtins)] {
        let mut rustc = tools.rustc();
        rustc.args(["--edition", "2024", "--crate-type", "rlib", "--crate-name", name, "--cap-lints", "allow"]);
        rustc.args([
            "-Clinker-plugin-lto",
            "-Copt-level=z",
            "-Cpanic=abort",
            "-Ccodegen-units=1",
            "-Zunstable-options",
        ]);
        rustc.arg("--target").arg(&target).arg("--sysroot").arg(&sysroot);
        rustc.arg("-o").arg(libraries.join(format!("lib{name}.rlib"))).arg(source);
        run_quietly(&mut rustc).map_err(|error| format!("{name} does not compile for Xtensa; {error}"))?;
    }
    write_if_changed(&stamp, wanted.as_bytes())?;
    Ok(sysroot)
}

/// The crate as assembly.
fn compile(project: &Project, tools: &Tools, folder: &Path, sysroot: &Path) -> Result<PathBuf> {
    let assembly = folder.join("module.s");
    let mut cargo = project.cargo();
    cargo.args(["rustc", "--quiet", "--package", "ftpdlite", "--lib", "--crate-type", "staticlib"]);
    cargo.args(["--features", "native", "--profile", "module", "-Zjson-target-spec", "--target"]);
    cargo.arg(folder.join(XTENSA).with_extension("json")).arg("--target-dir").arg(folder.join("target"));
    cargo.args(["--", "--emit"]).arg(format!("asm={}", assembly.display()));
    cargo.env("RUSTC_BOOTSTRAP", "1").env("RUSTC", &tools.rustc);
    let sysroot = format!("--sysroot={}", sysroot.display());
    cargo.env("CARGO_ENCODED_RUSTFLAGS", sysroot);
    // libclang may be too old for Xtensa; C's types have the same sizes on another machine of 32 bits.
    let name = XTENSA.replace('-', "_");
    cargo.env(format!("BINDGEN_EXTRA_CLANG_ARGS_{name}"), "--target=riscv32-unknown-none-elf");
    // For build.rs; what it makes of glue.c is not used.
    let flags = format!("--target=xtensa {} -fno-pic", clang_features().join(" "));
    cargo.env(format!("CC_{name}"), &tools.clang).env(format!("CFLAGS_{name}"), flags);
    run(&mut cargo).map_err(|error| format!("the module does not compile; {error}"))?;
    Ok(assembly)
}
