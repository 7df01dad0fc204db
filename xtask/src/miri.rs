//! `cargo xtask miri`: the core in miri, which interprets Rust and notices what is undefined.

use crate::arguments::no_arguments;
use crate::project::{Project, Result, program, run, run_quietly, which};
use std::process::Command;

/// What `cargo xtask help miri` prints.
pub const HELP: &str = "Usage: cargo xtask miri

Runs the unit tests of src/protocol, and some transcripts, in miri. It interprets the code, that of the crates that the
core uses too, and fails on what Rust leaves undefined: a read of memory that was not set, an index without a check
past an end, a reference that may not exist. It takes a thousand times as long as the code itself. So property tests
play no case there, and some tests are left out or smaller. `cargo xtask test` does this where miri is installed.

miri comes with Rust's nightly toolchain:
rustup toolchain install nightly --profile minimal --component miri --component rust-src";

/// The command.
pub fn command(project: &Project, arguments: lexopt::Parser) -> Result {
    no_arguments(arguments)?;
    tools()?;
    test(project)
}

/// A command of the nightly toolchain, which must be there already.
fn nightly(words: &[&str]) -> Command {
    let mut command = program("rustup");
    command.args(["run", "nightly"]).args(words).env("RUSTUP_AUTO_INSTALL", "0");
    // What the cargo of the usual toolchain says of itself.
    command.env_remove("CARGO").env_remove("RUSTUP_TOOLCHAIN");
    command
}

/// Whether miri is installed.
///
/// # Errors
/// With how to install it.
pub fn tools() -> Result {
    if which("rustup").is_some() && run_quietly(&mut nightly(&["cargo", "miri", "--version"])).is_ok() {
        return Ok(());
    }
    // The help's last line says how.
    Err(format!("miri is missing: {}", HELP.lines().last().unwrap_or_default()))
}

/// The tests.
pub fn test(project: &Project) -> Result {
    let mut cargo = nightly(&["cargo", "miri", "test", "--quiet", "--lib", "--test", "transcripts"]);
    cargo.current_dir(&project.root).env("CARGO_TARGET_DIR", project.target.join("miri"));
    // Transcripts are files, which it only reads when it is allowed to.
    run(cargo.env("MIRIFLAGS", "-Zmiri-disable-isolation").env("PROPTEST_CASES", "0"))
}
