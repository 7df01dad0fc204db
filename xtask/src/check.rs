//! `cargo xtask test`, `lint` and `bench`.

use crate::arguments::{text, value};
use crate::project::{Project, Result, output, program, run, say, write_if_changed};
use crate::runtimes::Runtime;
use crate::targets::{TARGETS, Target};
use crate::{abi, board, board_bench, build, dist, faults, release, riscv, setup, xtensa};
use lexopt::prelude::*;
use std::env;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// How a part of `test` ended when nothing failed.
enum Outcome {
    Done,
    /// It cannot run here, for this reason.
    Skipped(String),
}

/// A part of `test`: its name and what it does.
type Step<'a> = (String, Box<dyn Fn() -> Result<Outcome> + 'a>);

/// A step that never is skipped.
fn step<'a>(name: &str, run: impl Fn() -> Result + 'a) -> Step<'a> {
    (name.into(), Box::new(move || run().map(|()| Outcome::Done)))
}

/// Where the end-to-end tests run besides: the architecture that is built, the runtime that loads it, and which tests run there, by marker and by name.
/// The other clients' programs do everywhere what they do with the usual runtime; FAT and LittleFS are served by the oldest MicroPython, and
/// once with 32 bits. The Thumb variants are the same source for the same runtime: one of them runs all, the others what their code has to do with.
const ELSEWHERE: &[(&str, &str, &str, &str)] = &[
    ("armv6m", "micropython-armhf", "not clients and not discs", ""),
    ("armv7m", "micropython-armhf", "not clients and not discs", CODE),
    ("armv7emsp", "micropython-armhf", "not clients", CODE),
    ("x64", "micropython-1.25", "not clients", ""),
    ("x64", "micropython-1.26", "not clients and not discs", CODE),
];
/// The tests that go through every command and every loop.
const CODE: &str =
    "test_transcripts or test_files or test_hash or test_uploads or test_listings or test_api or test_heap";

/// What is built a second time, elsewhere, to see whether the same bytes come out: one of each way to build.
const REBUILT: &[&str] = &["x64", "armv6m", "xtensawin"];

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
fn python(project: &Project, dist: &Path, runtime: &Path) -> Result<Command> {
    let mut folders = vec![project.tools.join("bin")];
    folders.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
    let path = env::join_paths(folders).map_err(|error| format!("PATH: {error}"))?;
    let mut command = program(project.python());
    command.current_dir(&project.root).env("PATH", path);
    command.env("FTPDLITE_RUNTIME", runtime).env("FTPDLITE_DIST", dist);
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
    setup::host(project)?;
    if let Err(error) = setup::boards(project) {
        say(format!("without this the builds for boards will fail: {error}"));
    }
    let usual = project.micropython();
    let mut steps: Vec<Step> = Vec::new();
    if filter.is_none() {
        steps.push(step("formatting", || format(project)));
        steps.push(step("clippy", || clippy(project)));
    }
    steps.push(step("Rust tests", || run(project.cargo().args(["test", "--quiet", "--workspace"]).args(filter))));
    for target in TARGETS {
        steps.push(step(&format!("build of {}", target.name), || build::build(project, target).map(drop)));
    }
    steps.push(step("release", || dist::make(project, &TARGETS.iter().collect::<Vec<_>>(), None)));
    if filter.is_none() {
        steps.push(step("the release again", || {
            let targets: Result<Vec<_>> = REBUILT.iter().map(|name| Target::named(name)).collect();
            dist::check(project, &targets?)
        }));
        steps.push(("the release in mip".into(), Box::new(|| released_again(project))));
        steps.push(step("ABI", || abi::check(project)));
    }
    steps.push(step("end-to-end tests", || end_to_end(project, &project.dist("x64"), &usual, filter, &[])));
    for (target, runtime, which, names) in ELSEWHERE {
        let (target, runtime) = (Target::named(target)?, Runtime::named(runtime)?);
        let name = format!("end-to-end tests of {} on {}", target.name, runtime.name);
        let names = filter.or(Some(*names).filter(|names| !names.is_empty()));
        steps.push((name, Box::new(move || end_to_end_elsewhere(project, target, runtime, names, which))));
    }
    if filter.is_none() {
        steps.push(step("heap sizes", || heap_sizes(project)));
        steps.push(("allocation failures".into(), Box::new(|| allocation_failures(project))));
        steps.push(("xtensawin".into(), Box::new(|| xtensa_in_loader(project))));
        steps.push(("rv32imc".into(), Box::new(|| riscv_in_emulator(project))));
        steps.push(("board".into(), Box::new(|| on_board(project))));
    }
    let result = perform(&steps);
    if let Some(warning) = release::warning(project) {
        say(warning);
    }
    result
}

/// Does all steps, whatever becomes of them, and ends with a summary.
fn perform(steps: &[Step]) -> Result {
    let mut failures = Vec::new();
    let mut summary = Vec::new();
    for (name, step) in steps {
        say(format!("== {name}"));
        let start = Instant::now();
        let result = step();
        let seconds = start.elapsed().as_secs_f32();
        let word = match result {
            Ok(Outcome::Done) => "ok     ",
            Ok(Outcome::Skipped(reason)) => {
                say(format!("skipped: {reason}"));
                "skipped"
            }
            Err(error) => {
                say(format!("error: {error}"));
                failures.push(name.as_str());
                "FAILED "
            }
        };
        summary.push(format!("{word} {name} ({seconds:.1} s)"));
    }
    say("== summary");
    for line in summary {
        say(line);
    }
    if failures.is_empty() { Ok(()) } else { Err(format!("failed: {}", failures.join(", "))) }
}

/// The end-to-end tests with a runtime that cannot be had everywhere.
fn end_to_end_elsewhere(
    project: &Project,
    target: &Target,
    runtime: &Runtime,
    filter: Option<&str>,
    which: &str,
) -> Result<Outcome> {
    let runtime = match runtime.get(project) {
        Ok(runtime) => runtime,
        Err(reason) => return Ok(Outcome::Skipped(reason)),
    };
    end_to_end(project, &project.dist(target.name), &runtime, filter, &["-m", which]).map(|()| Outcome::Done)
}

/// The server in heaps of many sizes.
fn heap_sizes(project: &Project) -> Result {
    let usual = project.micropython();
    run(python(project, &project.dist("x64"), &usual)?.args(["-m", "pytest", "tests/faults/test_heap_sizes.py", "-q"]))
}

/// The server in a MicroPython whose allocations fail.
fn allocation_failures(project: &Project) -> Result<Outcome> {
    let runtime = match faults::runtime(project) {
        Ok(runtime) => runtime,
        Err(reason) => return Ok(Outcome::Skipped(reason)),
    };
    let mut pytest = python(project, &project.dist("x64"), &runtime)?;
    run(pytest.args(["-m", "pytest", "tests/faults/test_allocations.py", "-q"])).map(|()| Outcome::Done)
}

/// The command `test-memory`.
pub fn memory(project: &Project) -> Result {
    setup::python(project)?;
    build::build(project, Target::named("x64")?)?;
    perform(&[
        step("heap sizes", || heap_sizes(project)),
        ("allocation failures".into(), Box::new(|| allocation_failures(project))),
    ])
}

/// Whether what was built is what the repository offers.
fn released_again(project: &Project) -> Result<Outcome> {
    release::again(project).map(|reason| reason.map_or(Outcome::Done, Outcome::Skipped))
}

fn xtensa_in_loader(project: &Project) -> Result<Outcome> {
    match xtensa::emulator::find() {
        Ok(()) => xtensa::emulator::test(project).map(|()| Outcome::Done),
        Err(reason) => Ok(Outcome::Skipped(reason)),
    }
}

fn riscv_in_emulator(project: &Project) -> Result<Outcome> {
    match riscv::firmware(project) {
        Ok(firmware) => riscv::test(project, &firmware).map(|()| Outcome::Done),
        Err(reason) => Ok(Outcome::Skipped(reason)),
    }
}

fn on_board(project: &Project) -> Result<Outcome> {
    match board::ready(project, true) {
        Ok(firmware) => board::test_all(project, &firmware).map(|()| Outcome::Done),
        Err(reason) => Ok(Outcome::Skipped(reason)),
    }
}

fn end_to_end(project: &Project, dist: &Path, runtime: &Path, filter: Option<&str>, options: &[&str]) -> Result {
    let mut pytest = python(project, dist, runtime)?;
    pytest.args(["-m", "pytest", "tests/e2e", "-q"]).args(options);
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
    if arguments.raw_args().map_err(text)?.peek().is_some_and(|word| word == "--board") {
        arguments.next().map_err(text)?;
        return board_bench::command(project, arguments);
    }
    let dist = build::build(project, Target::named("x64")?)?.dist;
    let rest = arguments.raw_args().map_err(text)?;
    run(python(project, &dist, &project.micropython())?.arg("tests/bench/bench.py").args(rest))
}

/// The command `sizes`: measures, and writes docs/sizes.md.
pub fn sizes(project: &Project) -> Result {
    let mut table = SIZES.to_owned();
    for target in TARGETS {
        let package = build::build(project, target)?;
        let [text, constants, file, shim] =
            [package.text, package.constants, package.file, package.shim].map(with_thousands);
        table += &format!("| {} | {text} | {constants} | {file} | {shim} |\n", target.name);
    }
    table += HEAP;
    for (what, target, runtime) in [
        ("32-bit ARM", "armv6m", Runtime::named("micropython-armhf")?.get(project)?),
        ("x64", "x64", project.micropython()),
    ] {
        let measured = output(python(project, &project.dist(target), &runtime)?.arg("tests/e2e/heap.py"))?;
        let figures = measured.split_whitespace().map(|word| word.parse().map(with_thousands));
        let figures: Vec<_> = figures.collect::<std::result::Result<_, _>>().map_err(|_| measured.clone())?;
        table += &format!("| {what} | {} |\n", figures.join(" | "));
    }
    write_if_changed(&project.root.join("docs/sizes.md"), table.as_bytes())
}

const SIZES: &str = "# Sizes

Made by `cargo xtask sizes`; in bytes. `budgets.toml` says how far they may grow.

Text is code and constants: what a board copies to RAM when it imports the native module. The shim's bytecode also goes to the
GC heap, unless it is run from a ROMFS.

| architecture | text | of these constants | native module's file | shim's bytecode |
| --- | ---: | ---: | ---: | ---: |
";

const HEAP: &str = "
GC heap that the import takes, that a listening server takes (the import included), that each idle session takes beside that, and that a
running transfer takes beside its session and the buffers, which transfers share.
On the Unix port, where this was measured, the text is outside of the GC heap; on most boards it is in it.

| MicroPython | import | ready | session | transfer |
| --- | ---: | ---: | ---: | ---: |
";

fn with_thousands(number: usize) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_told_apart() {
        assert_eq!([0, 999, 1000, 1_234_567].map(with_thousands), ["0", "999", "1,000", "1,234,567"]);
    }
}
