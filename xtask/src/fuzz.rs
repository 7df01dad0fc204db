//! `cargo xtask fuzz`: libFuzzer on the core, with the targets of `tests/fuzzing`.

use crate::arguments::{text, value};
use crate::debian::install_missing;
use crate::project::{Project, Result, host_triple, make_folder, program, read, run, say, which};
use crate::targets::Target;
use crate::{build, check, setup};
use lexopt::prelude::*;
use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A target, its share of the time, and the longest input that makes sense for it.
const TARGETS: &[(&str, u32, u32)] = &[
    ("session", 6, 1500),
    ("commands", 1, 600),
    ("addresses", 1, 100),
    ("paths", 1, 600),
    ("globs", 1, 200),
    ("listings", 1, 400),
    ("ascii", 1, 600),
];

/// The flags that give libFuzzer its coverage. Every rustc has them: this needs no nightly compiler and no sanitizer.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 --cfg fuzzing";

/// How many servers the random clients use, one after the other.
const SERVERS: f64 = 4.0;

/// Seconds between two lines about the progress.
const PROGRESS: Duration = Duration::from_secs(60);

/// libFuzzer is C++.
fn missing() -> Vec<&'static str> {
    if which("c++").is_some() { Vec::new() } else { vec!["g++"] }
}

/// What `cargo xtask help fuzz` prints.
pub const HELP: &str = "Usage: cargo xtask fuzz [--minutes N] [TARGET...]
       cargo xtask fuzz --replay FILE TARGET
       cargo xtask fuzz --wire [--minutes N] [--seed N]

Builds the targets of tests/fuzzing with libFuzzer and runs them, one after the other. It makes the inputs from the
transcripts, and from earlier inputs that reached new code. The rules for each target are in tests/fuzzing. An input that
breaks a rule is written to a file. `cargo xtask test` does this for two minutes.

With --wire it builds the package for x64, and several random clients use servers: for a folder, FAT, LittleFS, and in a
heap of 64 KiB. The clients count the replies, and afterwards everything must be as before (tests/e2e/test_fuzz.py).
`cargo xtask test` does this for 16 seconds.

  --minutes N     the time for all targets, or all servers, together; default 10
  --seed N        the seed of the random clients; a test that fails prints it
  --replay FILE   play this file once, and print it as a file of tests/regressions
  TARGET          session, commands, addresses, paths, globs, listings or ascii

It needs g++; as root on Debian it installs it.";

/// The command `fuzz`.
pub fn command(project: &Project, mut arguments: lexopt::Parser) -> Result {
    let (mut minutes, mut replayed, mut names) = (10.0, None, Vec::new());
    let (mut is_wire, mut seed) = (false, None);
    while let Some(argument) = arguments.next().map_err(text)? {
        match argument {
            Long("minutes") => {
                let told = value(&mut arguments)?;
                minutes = told.parse().map_err(|_| format!("--minutes {told} is no number"))?;
            }
            Long("wire") => is_wire = true,
            Long("seed") => {
                let told = value(&mut arguments)?;
                seed = Some(told.parse::<u64>().map_err(|_| format!("--seed {told} is no number"))?);
            }
            Long("replay") => replayed = Some(PathBuf::from(value(&mut arguments)?)),
            Value(name) => names.push(name.string().map_err(text)?),
            other => return Err(text(other.unexpected())),
        }
    }
    if !(minutes > 0.0 && minutes <= 10_000.0) {
        return Err("--minutes must be more than 0 and at most 10000".into());
    }
    let unknown = names.iter().find(|name| TARGETS.iter().all(|(target, ..)| target != name));
    if let Some(name) = unknown {
        let known: Vec<_> = TARGETS.iter().map(|(target, ..)| *target).collect();
        return Err(format!("there is no target {name}, only {}", known.join(", ")));
    }
    if is_wire && names.is_empty() && replayed.is_none() {
        return wire(project, minutes * 60.0 / SERVERS, seed);
    }
    if is_wire || seed.is_some() {
        return Err("--wire takes --minutes and --seed, and --seed is for --wire".into());
    }
    match (replayed, &names[..]) {
        (Some(file), [target]) => replay(project, target, &file),
        (Some(_), _) => Err("--replay needs the name of one target".into()),
        (None, _) => fuzz(project, Duration::from_secs_f64(minutes * 60.0), &names),
    }
}

/// The random clients of `tests/e2e`, for so long at each server.
fn wire(project: &Project, seconds: f64, seed: Option<u64>) -> Result {
    setup::python(project)?;
    let dist = build::build(project, Target::named("x64")?)?.dist;
    let mut pytest = check::python(project, &dist, &project.micropython())?;
    pytest.args(["-m", "pytest", "-q", "-s", "tests/e2e/test_fuzz.py"]);
    pytest.env("FTPDLITE_FUZZ_SECONDS", seconds.to_string());
    run(pytest.envs(seed.map(|seed| ("FTPDLITE_FUZZ_SEED", seed.to_string()))))
}

/// Runs the targets with these names, or all targets, one after the other. `time` is for all of them together.
pub fn fuzz(project: &Project, time: Duration, names: &[String]) -> Result {
    let fuzzer = fuzzer_of(project)?;
    let chosen = TARGETS.iter().filter(|(target, ..)| names.is_empty() || names.iter().any(|name| name == target));
    let shares: u32 = chosen.clone().map(|(_, share, _)| share).sum();
    let mut failures = Vec::new();
    for (target, share, longest) in chosen {
        if let Err(error) = fuzz_target(project, &fuzzer, target, time * *share / shares, *longest) {
            say(&error);
            failures.push(*target);
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(format!("found something: {}", failures.join(", "))) }
}

/// Installs what it needs, where that may be done.
///
/// # Errors
/// Names what is missing here.
pub fn tools() -> Result {
    install_missing(missing)
}

fn fuzzer_of(project: &Project) -> Result<PathBuf> {
    tools()?;
    let (host, target) = (host_triple()?, project.target.join("fuzz"));
    let mut cargo = project.cargo();
    cargo.current_dir(project.root.join("fuzz")).args(["build", "--quiet", "--release", "--target", &host]);
    // With a target named, the counters are left out of what runs while it is built.
    run(cargo.env("CARGO_TARGET_DIR", &target).env("RUSTFLAGS", COVERAGE).env_remove("CARGO_ENCODED_RUSTFLAGS"))?;
    Ok(target.join(host).join("release/fuzz"))
}

fn fuzzer(program_path: &Path, target: &str) -> Command {
    let mut command = program(program_path);
    command.env("FTPDLITE_FUZZ", target).env("RUST_BACKTRACE", "0");
    command
}

fn fuzz_target(project: &Project, program_path: &Path, target: &str, time: Duration, longest: u32) -> Result {
    let folder = project.tools.join("fuzz").join(target);
    let (corpus, found) = (folder.join("corpus"), folder.join("found"));
    make_folder(&corpus)?;
    make_folder(&found)?;
    let mut command = fuzzer(program_path, target);
    command.env("FTPDLITE_SEEDS", &folder).arg(&corpus).arg(folder.join("seeds"));
    command.arg(format!("-max_total_time={}", time.as_secs().max(1))).arg(format!("-max_len={longest}"));
    command.arg(format!("-dict={}", folder.join("dictionary").display()));
    // An input that takes seconds is a session that is stuck.
    command.args(["-timeout=60", "-rss_limit_mb=1024"]).arg(format!("-artifact_prefix={}/", found.display()));
    let mut child =
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().map_err(|error| format!("{target}: {error}"))?;
    let lines =
        child.stderr.take().map(BufReader::new).into_iter().flat_map(BufRead::lines).map_while(|line| line.ok());
    let (mut state, mut last, mut told) = (String::new(), VecDeque::new(), Instant::now());
    for line in lines {
        if line.starts_with('#') && line.contains(" cov: ") {
            state = line;
            if told.elapsed() >= PROGRESS {
                told = Instant::now();
                say(format!("fuzz {target}: {}", in_short(&state)));
            }
            continue;
        }
        if last.len() == 40 {
            last.pop_front();
        }
        last.push_back(line);
    }
    let status = child.wait().map_err(|error| format!("{target}: {error}"))?;
    if status.success() {
        say(format!("fuzz {target}: {}; nothing found", in_short(&state)));
        return Ok(());
    }
    let story: Vec<_> = last.iter().map(String::as_str).collect();
    let file = story.iter().find_map(|line| line.split_once("Test unit written to ")).map(|(_, file)| file.trim());
    let Some(file) = file else { return Err(format!("fuzz {target} failed ({status}):\n{}", story.join("\n"))) };
    Err(format!("{}\nfuzz {target} has found {file}\nagain: cargo xtask fuzz --replay {file} {target}", reason(&story)))
}

/// The part of libFuzzer's last lines that matters: the panic, or its own words.
fn reason(story: &[&str]) -> String {
    let start = story.iter().position(|line| line.contains("panicked at") || line.contains("ERROR: libFuzzer"));
    let start = start.unwrap_or(0);
    let is_over = |line: &&&str| !line.starts_with("NOTE:") && !line.starts_with("stack backtrace");
    story.iter().skip(start).take_while(is_over).take(6).copied().collect::<Vec<_>>().join("\n")
}

/// `#258605 NEW cov: 1350 ft: 3448 …` as `258605 inputs, cov: 1350 ft: 3448`.
fn in_short(state: &str) -> String {
    let mut words = state.trim_start_matches('#').split_whitespace();
    let inputs = words.next().unwrap_or("0").to_owned();
    let words: Vec<_> = words.skip(1).take(4).collect();
    format!("{inputs} inputs, {}", words.join(" "))
}

/// Plays one input, and prints it as a file of `tests/regressions`.
fn replay(project: &Project, target: &str, file: &Path) -> Result {
    let bytes = read(file)?;
    println!("{}", escaped(&bytes));
    // It runs elsewhere, so the path must be whole.
    let file = fs::canonicalize(file).map_err(|error| format!("{}: {error}", file.display()))?;
    run(fuzzer(&fuzzer_of(project)?, target).env("RUST_BACKTRACE", "1").arg(file))
}

/// Bytes with the escapes of the transcripts, a line for each line.
fn escaped(bytes: &[u8]) -> String {
    let mut lines = String::new();
    for &byte in bytes {
        match byte {
            b'\n' => lines += "\\n\n",
            b'\r' => lines += "\\r",
            b'\\' => lines += "\\\\",
            // A comment would begin with it.
            b'#' => lines += "\\x23",
            b' '..=b'~' => lines.push(byte.into()),
            _ => lines += &format!("\\x{byte:02x}"),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_is_told_with_escapes() {
        assert_eq!(escaped(b"\0A#\\\r\nB\xff"), "\\x00A\\x23\\\\\\r\\n\nB\\xff");
    }

    #[test]
    fn progress_is_told_in_short() {
        assert_eq!(in_short("#60\tINITED cov: 1350 ft: 3448 corp: 58/17Kb"), "60 inputs, cov: 1350 ft: 3448");
    }

    #[test]
    fn the_targets_are_those_of_the_tests() {
        let known = include_str!("../../tests/fuzzing/mod.rs");
        let names: Vec<_> =
            known.lines().filter_map(|line| line.trim().strip_prefix("(\"")?.split('"').next()).collect();
        let mut ours: Vec<_> = TARGETS.iter().map(|(target, ..)| *target).collect();
        ours.sort_by_key(|target| names.iter().position(|name| name == target));
        assert_eq!(names, ours);
    }
}
