//! `cargo xtask soak`: real clients at work for a long time, at a small heap and at the emulated board at once.

use crate::arguments::{text, value};
use crate::project::{Project, Result, run, say};
use crate::targets::Target;
use crate::{board, build, check, setup};
use lexopt::prelude::*;
use std::thread;

/// What `cargo xtask help soak` prints.
pub const HELP: &str = "Usage: cargo xtask soak [--minutes N] [--only unix|board]

Builds what is stale. Then real clients use two servers at the same time. The first is the Unix port with a heap of
100 KiB: its clients are curl, lftp, rclone, Python's ftplib and one that behaves like FileZilla. Three more sessions
download all the time, and two flood the server with commands and do not read the replies. The second is the emulated
board, with curl and ftplib. Each minute a line tells what the clients have done, and what the server holds: heap and
descriptors, or lwIP's connections. It fails when a client gets an error or stands still for a minute, when the server
holds more or less than before, and when one of the three sessions gets less than half of its share.
`cargo xtask test` does this for a minute for each server, and `cargo xtask release --check` for ten minutes.

  --minutes N     how long; default 10
  --only NAME     only one of the two servers

If the board cannot run here, it is left out.";

/// Which of the two.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Only {
    Unix,
    Board,
}

/// The command `soak`.
pub fn command(project: &Project, mut arguments: lexopt::Parser) -> Result {
    let (mut minutes, mut only) = (10.0, None);
    while let Some(argument) = arguments.next().map_err(text)? {
        match argument {
            Long("minutes") => {
                let told = value(&mut arguments)?;
                let number = told.parse().ok().filter(|number| (0.1..=10_000.0).contains(number));
                minutes = number.ok_or("--minutes must be 0.1 to 10000")?;
            }
            Long("only") => {
                only = Some(match value(&mut arguments)?.as_str() {
                    "unix" => Only::Unix,
                    "board" => Only::Board,
                    _ => return Err("--only must be unix or board".into()),
                });
            }
            other => return Err(text(other.unexpected())),
        }
    }
    build_and_soak(project, minutes, only)
}

/// At both, or at one of them, with what is built here first.
pub fn build_and_soak(project: &Project, minutes: f64, only: Option<Only>) -> Result {
    setup::host(project)?;
    build::build(project, Target::named("x64")?)?;
    if only != Some(Only::Unix) {
        build::build(project, Target::named(board::ARCHITECTURE)?)?;
    }
    both(project, minutes, only)
}

/// A minute at one of them, with what is built already.
pub fn short(project: &Project, at: Only) -> Result {
    one(project, 1.0, at)
}

fn both(project: &Project, minutes: f64, only: Option<Only>) -> Result {
    let soak = |at| if only.is_none_or(|only| only == at) { one(project, minutes, at) } else { Ok(()) };
    thread::scope(|scope| {
        let on_board = scope.spawn(|| soak(Only::Board));
        let on_unix = soak(Only::Unix);
        on_unix.and(on_board.join().unwrap_or_else(|_| Err("the soak of the board panicked".into())))
    })
}

fn one(project: &Project, minutes: f64, at: Only) -> Result {
    let program = project.root.join("tests/e2e/soak.py");
    if at == Only::Unix {
        let mut python = check::python(project, &project.dist("x64"), &project.micropython())?;
        return run(python.arg(program).arg(minutes.to_string()));
    }
    match board::ready(project, true) {
        Ok(firmware) => {
            let mut python = board::in_namespace(project.python());
            python.current_dir(&project.root).arg(program).arg(minutes.to_string());
            run(python.arg(firmware).arg(project.dist(board::ARCHITECTURE)))
        }
        Err(reason) => {
            say(format!("without the board: {reason}"));
            Ok(())
        }
    }
}
