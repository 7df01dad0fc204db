//! `cargo xtask test`: the table of its steps, and which of them are asked for.

use crate::arguments::{text, value};
use crate::check::{allocation_failures, clippy, documentation, format, garbage, heap_sizes, python, valgrind};
use crate::lanes::{self, Outcome, REASON, SKIPPED, Step, step};
use crate::project::{Project, Result, run, say};
use crate::runtimes::Runtime;
use crate::targets::{TARGETS, Target};
use crate::{
    abi, board, board_bench, build, debian, dist, faults, fuzz, miri, release, riscv, setup, soak, toolchain, xtensa,
};
use lexopt::prelude::*;
use std::fmt::{self, Display, Formatter};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use std::{process, thread};

/// More lanes than this help little: the longest row of steps that wait for each other is as long as the rest.
const LANES: usize = 3;

/// What cargo lets one process use at a time: the folders that the module, and what runs on this machine, are built in.
const MODULE: &str = "target/module";
const DEBUG: &str = "target/debug";
/// The MicroPython with the module `faults`, which the first step that needs it builds.
const FAULTS: &str = "faults";
/// The step that builds the emulated board's firmware, with IPv6 and without.
const FIRMWARE: &str = "firmware of the board";

/// A run of `tests/e2e`.
struct Suite {
    /// The architecture that is built.
    target: &'static str,
    /// The runtime that loads it; the usual one where there is no name.
    runtime: Option<&'static str>,
    /// Which tests run there, by marker and by name.
    markers: &'static str,
    names: &'static str,
    /// In how many parts, which may run beside one another, and about how long each takes.
    parts: usize,
    seconds: u32,
}

impl Suite {
    /// The path of the runtime. An error says why it is not available.
    fn runtime(&self, project: &Project) -> Result<PathBuf> {
        self.runtime.map_or_else(|| Ok(project.micropython()), |name| Runtime::named(name)?.get(project))
    }

    /// The same, when it was fetched before.
    fn path(&self, project: &Project) -> PathBuf {
        project.tools.join("bin").join(self.runtime.unwrap_or("micropython"))
    }
}

impl Display for Suite {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.target)?;
        self.runtime.map_or(Ok(()), |name| write!(formatter, " on {name}"))
    }
}

/// The other clients' programs do everywhere what they do with the usual runtime; FAT and LittleFS are served by the oldest MicroPython, and
/// once with 32 bits. The Thumb variants are the same source for the same runtime: one of them runs all, the others what their code has to do with.
const SUITES: &[Suite] = &[
    Suite { target: "x64", runtime: None, markers: "", names: "", parts: 3, seconds: 175 },
    Suite {
        target: "armv6m",
        runtime: Some("micropython-armhf"),
        markers: "not clients and not discs",
        names: "",
        parts: 2,
        seconds: 190,
    },
    Suite {
        target: "armv7m",
        runtime: Some("micropython-armhf"),
        markers: "not clients and not discs",
        names: CODE,
        parts: 1,
        seconds: 40,
    },
    Suite {
        target: "armv7emsp",
        runtime: Some("micropython-armhf"),
        markers: "not clients",
        names: CODE,
        parts: 1,
        seconds: 70,
    },
    Suite {
        target: "x64",
        runtime: Some("micropython-1.25"),
        markers: "not clients",
        names: "",
        parts: 1,
        seconds: 240,
    },
    Suite {
        target: "x64",
        runtime: Some("micropython-1.26"),
        markers: "not clients and not discs",
        names: CODE,
        parts: 1,
        seconds: 25,
    },
];
/// The tests that go through every command and every loop.
const CODE: &str =
    "test_transcripts or test_files or test_hash or test_uploads or test_listings or test_api or test_heap";
/// The tests that look at the whole release. They run apart, because the others need not wait until it is made.
const OF_RELEASE: &[&str] = &["test_install.py", "test_repository.py", "test_serve.py"];

/// What is built a second time, elsewhere, to see whether the same bytes come out: one of each way to build.
const REBUILT: &[&str] = &["x64", "armv6m", "xtensawin"];

/// Long enough to find what is near.
const FUZZING: Duration = Duration::from_secs(120);

/// The option with which a step's process is told which step it is.
const ONLY: &str = "only-step";

const RUST_TESTS: &str = "Rust tests";

fn build_of(target: &str) -> String {
    format!("build of {target}")
}

/// All steps; each comes behind those that it needs. To add one is to add a line: its name, about how many seconds it takes, and what it does.
fn steps<'a>(project: &'a Project, filter: Option<&'a str>) -> Vec<Step<'a>> {
    let again = || {
        let targets: Result<Vec<_>> = REBUILT.iter().map(|name| Target::named(name)).collect();
        dist::check(project, &targets?)
    };
    let release = || dist::make(project, &TARGETS.iter().collect::<Vec<_>>(), None);
    let rust_tests = move || run(project.cargo().args(["test", "--quiet", "--workspace"]).args(filter));
    let mut all = vec![
        step("formatting", 1, || format(project)),
        step("clippy", 40, || clippy(project)).uses(DEBUG),
        step("cargo doc", 15, || documentation(project)).uses(DEBUG),
        step(RUST_TESTS, 40, rust_tests).uses(DEBUG),
    ];
    let mut whole = step("release", 5, release).uses(MODULE);
    for target in TARGETS {
        let name = build_of(target.name);
        let work = || build::build(project, target).map(drop);
        all.push(step(&name, 55, work).uses(MODULE).first(|| toolchain::install_or_skip(target.triple)));
        whole = whole.after(name);
    }
    all.push(whole);
    all.push(step("the release again", 180, again).after("release"));
    all.push(step("the release in mip", 1, || release::again(project)).after("release"));
    all.push(step("ABI", 6, || abi::check(project)).first(|| abi::fetch(project).map(drop)));
    for suite in SUITES {
        all.extend(end_to_end(project, suite, filter));
    }
    all.extend([
        step("heap sizes", 20, || heap_sizes(project)).after(build_of("x64")),
        step("allocation failures", 100, || allocation_failures(project))
            .after(build_of("x64"))
            .uses(FAULTS)
            .first(|| unless(faults::fetch(project))),
        step("garbage all the time", 60, || garbage(project))
            .after(build_of("x64"))
            .uses(FAULTS)
            .first(|| unless(faults::fetch(project))),
        step("native code under valgrind", 60, || valgrind(project))
            .after(build_of("x64"))
            .uses(FAULTS)
            .first(|| unless(faults::valgrind().and_then(|()| faults::fetch(project)))),
        step("xtensawin", 20, || xtensa::emulator::test(project))
            .after(build_of("xtensawin"))
            .first(|| unless(xtensa::emulator::find())),
        step("rv32imc", 110, || riscv::firmware(project).and_then(|firmware| riscv::test(project, &firmware)))
            .after(build_of("rv32imc"))
            .first(|| unless(riscv::fetch(project))),
        step(FIRMWARE, 60, || board::ready_for_tests(project)).first(|| unless(board::fetch(project))),
        step("the first board", 150, || board::test_part(project, "--first"))
            .after(FIRMWARE)
            .after(build_of(board::ARCHITECTURE)),
        board::PACKAGES.iter().fold(
            step("the other boards", 180, || board::test_part(project, "--rest")).after(FIRMWARE),
            |step, name| step.after(build_of(name)),
        ),
        step("figures of the board", 20, || {
            board::ready(project, true).and_then(|firmware| board_bench::check(project, &firmware))
        })
        .after(FIRMWARE)
        .after(build_of(board::ARCHITECTURE))
        .after(build_of(board::IN_PLACE)),
        step("soak", 80, || soak::short(project, soak::Only::Unix)).after(build_of("x64")),
        step("soak of the board", 90, || soak::short(project, soak::Only::Board))
            .after(FIRMWARE)
            .after(build_of(board::ARCHITECTURE)),
        step("miri", 90, || miri::test(project)).first(|| unless(miri::tools())),
        step("fuzzing", 150, || fuzz::fuzz(project, FUZZING, &[])).first(|| unless(fuzz::tools())),
    ]);
    all
}

/// A step is skipped if what it needs is not available.
fn unless<T>(fetched: Result<T>) -> Result<Option<String>> {
    Ok(fetched.err())
}

/// The name of a part of a suite.
fn part_of(suite: &Suite, part: usize, parts: usize) -> String {
    match parts {
        1 => format!("end-to-end tests of {suite}"),
        parts => format!("end-to-end tests of {suite}, part {part} of {parts}"),
    }
}

fn installation_of(suite: &Suite) -> String {
    format!("installation tests of {suite}")
}

/// The steps of a suite: its parts, and the tests that look at the release. With a filter it is one part.
fn end_to_end<'a>(project: &'a Project, suite: &'static Suite, filter: Option<&'a str>) -> Vec<Step<'a>> {
    let mut all = Vec::new();
    let parts = if filter.is_some() { 1 } else { suite.parts };
    for part in 1..=parts {
        let mut options: Vec<_> = OF_RELEASE.iter().map(|file| format!("--ignore=tests/e2e/{file}")).collect();
        options.extend(["tests/e2e".into(), format!("--part={part}/{parts}")]);
        let work = move || run_pytest(project, suite, filter, &options);
        all.push(step(part_of(suite, part, parts), suite.seconds, work).after(build_of(suite.target)));
    }
    if suite.names.is_empty() {
        let options: Vec<_> = OF_RELEASE.iter().map(|file| format!("tests/e2e/{file}")).collect();
        let work = move || run_pytest(project, suite, filter, &options);
        all.push(step(installation_of(suite), 30, work).after("release"));
    }
    all.into_iter().map(|step| step.first(|| unless(suite.runtime(project)))).collect()
}

/// pytest for a suite, with its markers and names, and a filter.
fn pytest(project: &Project, suite: &Suite, filter: Option<&str>) -> Result<Command> {
    let mut pytest = python(project, &project.dist(suite.target), &suite.path(project))?;
    pytest.args(["-m", "pytest", "-q"]);
    if !suite.markers.is_empty() {
        pytest.args(["-m", suite.markers]);
    }
    let names: Vec<_> = [suite.names].into_iter().filter(|names| !names.is_empty()).chain(filter).collect();
    if !names.is_empty() {
        pytest.args(["-k", &names.iter().map(|names| format!("({names})")).collect::<Vec<_>>().join(" and ")]);
    }
    Ok(pytest)
}

fn run_pytest(project: &Project, suite: &Suite, filter: Option<&str>, options: &[String]) -> Result {
    match pytest(project, suite, filter)?.args(options).status() {
        Ok(status) if status.success() => Ok(()),
        // pytest's way to say that the filter fits no test.
        Ok(status) if status.code() == Some(5) && filter.is_some() => Ok(()),
        Ok(status) => Err(format!("pytest failed ({status})")),
        Err(error) => Err(format!("cannot run pytest: {error}")),
    }
}

/// The names of the steps that run tests whose names contain the filter.
fn with_tests(project: &Project, filter: &str) -> Result<Vec<String>> {
    let mut names = vec![RUST_TESTS.to_owned()];
    for suite in SUITES {
        let mut collect = pytest(project, suite, Some(filter))?;
        let collected = collect.args(["--collect-only", "tests/e2e"]).output().map_err(|error| error.to_string())?;
        if !matches!(collected.status.code(), Some(0 | 5)) {
            return Err(format!("pytest collects no tests:\n{}", String::from_utf8_lossy(&collected.stdout)));
        }
        let collected = String::from_utf8_lossy(&collected.stdout);
        let (of_release, others): (Vec<_>, Vec<_>) = collected
            .lines()
            .filter(|line| line.contains("::"))
            .partition(|line| OF_RELEASE.iter().any(|file| line.contains(file)));
        if !others.is_empty() {
            names.push(part_of(suite, 1, 1));
        }
        if !of_release.is_empty() && suite.names.is_empty() {
            names.push(installation_of(suite));
        }
    }
    Ok(names)
}

/// Leaves the steps that are asked for, and those that they need.
fn select(steps: &mut Vec<Step>, is_asked_for: impl Fn(&str) -> bool) {
    let mut kept: Vec<bool> = steps.iter().map(|step| is_asked_for(&step.name)).collect();
    for index in (0..steps.len()).rev() {
        kept[index] |= (index..steps.len()).any(|other| kept[other] && steps[other].needs(&steps[index].name));
    }
    let mut kept = kept.into_iter();
    steps.retain(|_| kept.next().unwrap_or_default());
}

/// The command.
pub fn command(project: &Project, mut arguments: lexopt::Parser) -> Result {
    let (mut filter, mut words, mut only) = (None, Vec::new(), None);
    let mut lanes = thread::available_parallelism().map_or(1, usize::from).min(LANES);
    while let Some(argument) = arguments.next().map_err(text)? {
        match argument {
            Long("filter") => filter = Some(value(&mut arguments)?),
            Long("step") => words.push(value(&mut arguments)?),
            Long("lanes") => {
                let number = value(&mut arguments)?.parse().ok().filter(|number| (1..=16).contains(number));
                lanes = number.ok_or("--lanes must be 1 to 16")?;
            }
            Long(ONLY) => only = Some(value(&mut arguments)?),
            other => return Err(text(other.unexpected())),
        }
    }
    let filter = filter.as_deref();
    let mut steps = steps(project, filter);
    if let Some(name) = only {
        return perform(&steps, &name);
    }
    let is_named = |step: &str| words.is_empty() || words.iter().any(|word| step.contains(word));
    let unknown = || format!("no step's name contains {}", words.join(" or "));
    // Before anything is fetched.
    if !steps.iter().any(|step| is_named(&step.name)) {
        return Err(unknown());
    }
    setup::host(project)?;
    if let Some(filter) = filter {
        let names = with_tests(project, filter)?;
        select(&mut steps, |step| names.iter().any(|name| name == step));
    }
    select(&mut steps, is_named);
    if steps.is_empty() {
        return Err(unknown());
    }
    let result = lanes::perform(&steps, lanes, &project.target.join("steps"), |name| {
        // This program, even if a step puts a new one in its place.
        let mut command = Command::new("/proc/self/exe");
        command.args(["test", &format!("--{ONLY}={name}")]).args(filter.map(|filter| format!("--filter={filter}")));
        command.env(debian::PREPARED, "1");
        command
    });
    if let Some(warning) = release::warning(project) {
        say(warning);
    }
    result
}

/// Does one step, in the process that is its own.
fn perform(steps: &[Step], name: &str) -> Result {
    let step = steps.iter().find(|step| step.name == name).ok_or_else(|| format!("there is no step {name}"))?;
    // Ctrl-C reaches the programs that the step has started, too. They tidy up, and this process waits for them.
    ctrlc::set_handler(|| {}).map_err(|error| error.to_string())?;
    if let Outcome::Skipped(reason) = step.perform()? {
        println!("{REASON}{reason}");
        process::exit(SKIPPED);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project() -> Project {
        Project::find().unwrap()
    }

    #[test]
    fn a_step_comes_behind_those_that_it_needs_and_has_a_name_of_its_own() {
        let project = project();
        for filter in [None, Some("word")] {
            let steps = steps(&project, filter);
            for (index, step) in steps.iter().enumerate() {
                assert!(steps[..index].iter().all(|other| other.name != step.name), "{}", step.name);
                assert!(!steps[index..].iter().any(|other| step.needs(&other.name)), "{}", step.name);
                assert!(
                    step.after_which().iter().all(|name| steps.iter().any(|other| other.name == *name)),
                    "{}",
                    step.name
                );
            }
        }
    }

    #[test]
    fn what_is_asked_for_brings_what_it_needs_and_no_more() {
        let project = project();
        let mut steps = steps(&project, None);
        select(&mut steps, |name| name == "xtensawin");
        let names: Vec<_> = steps.iter().map(|step| step.name.as_str()).collect();
        assert_eq!(names, ["build of xtensawin", "xtensawin"]);
    }
}
