//! `cargo xtask bench --board`: what the server costs on the emulated board, beside the original server and beside no server at all.

use crate::arguments::text;
use crate::board::{ARCHITECTURE, in_namespace, original, ready};
use crate::project::{Project, Result, run, say};
use crate::targets::Target;
use crate::{build, setup};
use lexopt::prelude::*;
use std::path::Path;
use std::process::Command;

fn program_of_board(project: &Project, firmware: &Path) -> Command {
    let mut bench = in_namespace(project.python());
    bench.current_dir(&project.root).arg("tests/board/bench.py").arg(firmware).arg(project.dist(ARCHITECTURE));
    bench
}

/// The command `bench --board`.
pub fn command(project: &Project, mut arguments: lexopt::Parser) -> Result {
    let mut only_checks = false;
    while let Some(argument) = arguments.next().map_err(text)? {
        match argument {
            Long("check") => only_checks = true,
            other => return Err(text(other.unexpected())),
        }
    }
    setup::python(project)?;
    let firmware = match ready(project, true) {
        Ok(firmware) => firmware,
        Err(reason) => {
            say(format!("skipped: {reason}"));
            return Ok(());
        }
    };
    build::build(project, Target::named(ARCHITECTURE)?)?;
    let mut bench = program_of_board(project, &firmware);
    if only_checks {
        return run(bench.arg("budgets.toml"));
    }
    bench.args(["docs/measurements.md", "docs/board.svg"]);
    match original(project) {
        Ok(original) => {
            bench.arg(original);
        }
        Err(error) => say(format!("goes on without the original server, which cannot be fetched: {error}")),
    }
    run(&mut bench)
}
