//! `cargo xtask bench --board`: what the server costs on the emulated board, beside the original server and beside no server at all.

use crate::arguments::{text, value};
use crate::board::{ARCHITECTURE, IN_PLACE, build_all, in_namespace, original, ready};
use crate::project::{Project, Result, run, say};
use crate::setup;
use lexopt::prelude::*;
use std::path::Path;
use std::process::Command;

/// The operations of tests/board/bench.py that `--profile` runs.
const PROFILED: &[&str] = &["noop", "login", "size", "retr_small", "stor_small", "pasv"];

/// A program of tests/board.
fn program_of_board(project: &Project, name: &str, firmware: &Path) -> Command {
    let mut program = in_namespace(project.python());
    program.current_dir(&project.root).arg(Path::new("tests/board").join(name));
    program.arg(firmware).arg(project.dist(ARCHITECTURE));
    program
}

/// Compares the figures with `[board]` in budgets.toml.
pub fn check(project: &Project, firmware: &Path) -> Result {
    run(program_of_board(project, "bench.py", firmware).arg(project.dist(IN_PLACE)).arg("budgets.toml"))
}

/// The command `bench --board`.
pub fn command(project: &Project, mut arguments: lexopt::Parser) -> Result {
    let (mut only_checks, mut profiled) = (false, None);
    while let Some(argument) = arguments.next().map_err(text)? {
        match argument {
            Long("check") => only_checks = true,
            Long("profile") => {
                let names = value(&mut arguments)?;
                if let Some(name) = names.split(',').find(|name| !PROFILED.contains(name)) {
                    return Err(format!("--profile must be some of {}, not {name}", PROFILED.join(",")));
                }
                profiled = Some(names);
            }
            other => return Err(text(other.unexpected())),
        }
    }
    if only_checks && profiled.is_some() {
        return Err("--check and --profile are two commands: leave out one of them".into());
    }
    setup::python(project)?;
    let firmware = match ready(project, true) {
        Ok(firmware) => firmware,
        Err(reason) => {
            say(format!("skipped: {reason}"));
            return Ok(());
        }
    };
    build_all(project)?;
    if only_checks {
        return check(project, &firmware);
    }
    if let Some(names) = profiled {
        return run(program_of_board(project, "profiler.py", &firmware).arg(names));
    }
    let mut bench = program_of_board(project, "bench.py", &firmware);
    bench.arg(project.dist(IN_PLACE)).args(["docs/measurements.md", "docs/board.svg"]);
    match original(project) {
        Ok(original) => {
            bench.arg(original);
        }
        Err(error) => say(format!("goes on without the original server, which cannot be fetched: {error}")),
    }
    run(&mut bench)
}
