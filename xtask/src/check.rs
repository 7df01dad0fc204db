//! `cargo xtask test`, `lint` and `bench`.

use crate::build::{self, TARGETS, Target};
use crate::project::{Project, Result, program, run, say};
use crate::{abi, dist, setup, text, value};
use lexopt::prelude::*;
use std::env;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// A part of `test`: its name and what it does.
type Step<'a> = (&'static str, Box<dyn Fn() -> Result + 'a>);

/// Formatting and clippy.
pub fn lint(project: &Project) -> Result {
    format(project)?;
    clippy(project)
}

fn format(project: &Project) -> Result {
    run(project.cargo().args(["fmt", "--all", "--check"]))
}

fn clippy(project: &Project) -> Result {
    let clippy =
        |what: &[&str]| run(project.cargo().args(["clippy", "--quiet"]).args(what).args(["--", "-D", "warnings"]));
    let host = clippy(&["--workspace", "--all-targets"]);
    host.and(clippy(&["--lib", "--features", "native"]))
}

/// A Python program of `tests/` with what it needs to find the server.
fn python(project: &Project, dist: &Path) -> Result<Command> {
    let mut folders = vec![project.tools.join("bin")];
    folders.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
    let path = env::join_paths(folders).map_err(|error| format!("PATH: {error}"))?;
    let mut command = program(project.python());
    command.current_dir(&project.root).env("PATH", path);
    command.env("FTPDLITE_RUNTIME", project.micropython()).env("FTPDLITE_DIST", dist);
    Ok(command)
}

/// The command `test`.
pub fn test(project: &Project, mut arguments: lexopt::Parser) -> Result {
    let mut filter = None;
    while let Some(argument) = arguments.next().map_err(text)? {
        match argument {
            Long("filter") => filter = Some(value(&mut arguments)?),
            other => return Err(text(other.unexpected())),
        }
    }
    let filter = filter.as_deref();
    setup::setup(project)?;
    let x64 = Target::named("x64")?;
    let mut steps: Vec<Step> = Vec::new();
    if filter.is_none() {
        steps.push(("formatting", Box::new(|| format(project))));
        steps.push(("clippy", Box::new(|| clippy(project))));
    }
    steps.push(("Rust tests", Box::new(|| run(project.cargo().args(["test", "--quiet", "--workspace"]).args(filter)))));
    steps.push(("build", Box::new(|| build::build(project, x64).map(drop))));
    steps.push(("release", Box::new(|| dist::make(project, TARGETS, None))));
    if filter.is_none() {
        steps.push(("the release again", Box::new(|| dist::check(project, &TARGETS[..1]))));
        steps.push(("ABI", Box::new(|| abi::check(project))));
    }
    steps.push(("end-to-end tests", Box::new(|| end_to_end(project, &project.dist(x64.name), filter))));
    let mut failures = Vec::new();
    let mut summary = Vec::new();
    for (name, step) in &steps {
        say(format!("== {name}"));
        let start = Instant::now();
        let result = step();
        let seconds = start.elapsed().as_secs_f32();
        summary.push(format!("{} {name} ({seconds:.1} s)", if result.is_ok() { "ok    " } else { "FAILED" }));
        if let Err(error) = result {
            say(format!("error: {error}"));
            failures.push(*name);
        }
    }
    say("== summary");
    for line in summary {
        say(line);
    }
    if failures.is_empty() { Ok(()) } else { Err(format!("failed: {}", failures.join(", "))) }
}

fn end_to_end(project: &Project, dist: &Path, filter: Option<&str>) -> Result {
    let mut pytest = python(project, dist)?;
    pytest.args(["-m", "pytest", "tests/e2e", "-q"]);
    if let Some(filter) = filter {
        pytest.args(["-k", filter]);
    }
    match pytest.status() {
        Ok(status) if status.success() => Ok(()),
        // pytest's way to say that the filter fits no test.
        Ok(status) if status.code() == Some(5) && filter.is_some() => Ok(()),
        Ok(status) => Err(format!("pytest failed ({status})")),
        Err(error) => Err(format!("cannot run pytest: {error}")),
    }
}

/// The command `bench`.
pub fn bench(project: &Project, mut arguments: lexopt::Parser) -> Result {
    let dist = build::build(project, Target::named("x64")?)?;
    let rest = arguments.raw_args().map_err(text)?;
    run(python(project, &dist)?.arg("tests/bench/bench.py").args(rest))
}
