//! `cargo xtask lint`, `bench`, `sizes`, and what they share with `test`.

use crate::arguments::{no_arguments, text, value};
use crate::project::{Project, Result, output, program, run, say, with_thousands, write_if_changed};
use crate::runtimes::Runtime;
use crate::targets::{TARGETS, Target};
use crate::{account, board_bench, build, faults, setup};
use lexopt::prelude::*;
use std::env;
use std::path::Path;
use std::process::Command;

/// Formatting, clippy, and what `cargo doc` says.
pub fn lint(project: &Project) -> Result {
    format(project)?;
    clippy(project)?;
    documentation(project)
}

pub fn format(project: &Project) -> Result {
    run(project.cargo().args(["fmt", "--all", "--check"]))
}

pub fn clippy(project: &Project) -> Result {
    let clippy =
        |what: &[&str]| run(project.cargo().args(["clippy", "--quiet"]).args(what).args(["--", "-D", "warnings"]));
    let host = clippy(&["--workspace", "--all-targets"]);
    host.and(clippy(&["--lib", "--features", "native"])).and(clippy(&["--lib", "--features", "rom"]))
}

pub fn documentation(project: &Project) -> Result {
    let doc = |what: &[&str]| {
        run(project.cargo().env("RUSTDOCFLAGS", "-D warnings").args(["doc", "--quiet", "--no-deps"]).args(what))
    };
    doc(&["--workspace"])?;
    doc(&["--package", "ftpdlite", "--document-private-items"])
}

/// A Python program of `tests/` with what it needs to find the server.
pub fn python(project: &Project, dist: &Path, runtime: &Path) -> Result<Command> {
    let mut folders = vec![project.tools.join("bin")];
    folders.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
    let path = env::join_paths(folders).map_err(|error| format!("PATH: {error}"))?;
    let mut command = program(project.python());
    command.current_dir(&project.root).env("PATH", path);
    command.env("FTPDLITE_RUNTIME", runtime).env("FTPDLITE_DIST", dist);
    Ok(command)
}

/// The server in heaps of many sizes.
pub fn heap_sizes(project: &Project) -> Result {
    let usual = project.micropython();
    run(python(project, &project.dist("x64"), &usual)?.args(["-m", "pytest", "tests/faults/test_heap_sizes.py", "-q"]))
}

/// The server in a MicroPython whose allocations fail.
pub fn allocation_failures(project: &Project) -> Result {
    let mut pytest = python(project, &project.dist("x64"), &faults::runtime(project)?)?;
    run(pytest.args(["-m", "pytest", "tests/faults/test_allocations.py", "-q"]))
}

/// The server in a MicroPython that collects garbage all the time.
pub fn garbage(project: &Project) -> Result {
    let mut pytest = python(project, &project.dist("x64"), &faults::runtime(project)?)?;
    run(pytest.args(["-m", "pytest", "tests/faults/test_stress.py", "-q"]))
}

/// The server under valgrind, in a MicroPython that tells it what may be touched.
pub fn valgrind(project: &Project) -> Result {
    let mut pytest = python(project, &project.dist("x64"), &faults::runtime(project)?)?;
    run(pytest.args(["-m", "pytest", "tests/faults/test_valgrind.py", "-q"]))
}

/// What `cargo xtask help test-memory` prints.
pub const MEMORY_HELP: &str = "Usage: cargo xtask test-memory

Runs the server on x64 in heaps of many sizes. Then runs it in a MicroPython in which the tests collect garbage at
each allocation, and let each fail in turn: its Unix port with the module in tests/faults/module. The first time that
is built from Debian's source packages, with Mbed TLS, into .xtask. The same runs under valgrind, which sees each
access to memory that is free. `cargo xtask test` does that too.

It needs make, gcc, libc6-dev and valgrind; as root on Debian it installs them. Without valgrind the rest is run.";

/// The command `test-memory`.
pub fn memory(project: &Project, arguments: lexopt::Parser) -> Result {
    no_arguments(arguments)?;
    setup::python(project)?;
    build::build(project, Target::named("x64")?)?;
    heap_sizes(project)?;
    // Before the runtime is built, which is for valgrind where there is one.
    let has_valgrind = faults::valgrind();
    garbage(project)?;
    match has_valgrind {
        Ok(()) => valgrind(project)?,
        Err(reason) => say(format!("not run under valgrind: {reason}")),
    }
    allocation_failures(project)
}

/// The command `bench`.
pub fn bench(project: &Project, mut arguments: lexopt::Parser) -> Result {
    if arguments.raw_args().map_err(text)?.peek().is_some_and(|word| word == "--board") {
        arguments.next().map_err(text)?;
        return board_bench::command(project, arguments);
    }
    // Before the build, which takes longer.
    let mut options = Vec::new();
    while let Some(argument) = arguments.next().map_err(text)? {
        match argument {
            Long("runs") => {
                let number = value(&mut arguments)?.parse::<u32>().ok().filter(|number| (1..=1000).contains(number));
                options.push(format!("--runs={}", number.ok_or("--runs must be 1 to 1000")?));
            }
            Long("heap") => options.push(format!("--heap={}", heap_size(value(&mut arguments)?)?)),
            Long("quick") => options.push("--quick".into()),
            Long("tls") => options.push("--tls".into()),
            Long(name @ ("check" | "profile")) => return Err(format!("--{name} needs --board before it")),
            Long("board") => return Err("--board must be the first option".into()),
            other => return Err(text(other.unexpected())),
        }
    }
    let dist = build::build(project, Target::named("x64")?)?.dist;
    run(python(project, &dist, &project.micropython())?.arg("tests/bench/bench.py").args(options))
}

/// Checks a size as MicroPython's `-X heapsize=` takes it.
fn heap_size(size: String) -> Result<String> {
    let number = size.strip_suffix(['k', 'K', 'm', 'M']).unwrap_or(&size);
    match number.parse::<u32>() {
        Ok(1..) => Ok(size),
        _ => Err("--heap must be a number of bytes, or one with k or m behind it, such as 512k".into()),
    }
}

/// The command `sizes`: measures, and writes docs/sizes.md.
pub fn sizes(project: &Project) -> Result {
    let mut table = SIZES.to_owned();
    for target in TARGETS {
        let package = build::build(project, target)?;
        let [text, constants, file, shim] =
            [package.text, package.constants, package.file, package.shim].map(with_thousands);
        let in_place = package.in_place.map_or(String::new(), with_thousands);
        table += &format!("| {} | {text} | {constants} | {in_place} | {file} | {shim} |\n", target.name);
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
    let board = Target::named("armv6m")?;
    table += HEAP_ACCOUNT;
    table += &account::heap(project, board, &Runtime::named("micropython-armhf")?.get(project)?)?;
    table += TEXT_ACCOUNT;
    table += &account::text(project, board)?;
    write_if_changed(&project.root.join("docs/sizes.md"), table.as_bytes())
}

const SIZES: &str = "# Sizes

Made by `cargo xtask sizes`; in bytes. `budgets.toml` says how far they may grow.

Text is code and constants: what a board copies to RAM when it imports the native module. The shim's bytecode also goes to the
GC heap, unless it is run from a ROMFS. The code of `armv6m_rom` and `armv7m_rom` runs in the ROMFS, too.

| architecture | text | of these constants | code in the ROMFS | native module's file | shim's bytecode |
| --- | ---: | ---: | ---: | ---: | ---: |
";

const HEAP: &str = "
GC heap that the import takes, that a listening server takes (the import included), that each idle session takes beside that, and that a
running transfer takes beside its session and the buffers, which transfers share. Names is how many names a listening server adds to those
of the firmware.
On the Unix port, where this was measured, the text is outside of the GC heap; on most boards it is in it.

| MicroPython | import | ready | session | transfer | names |
| --- | ---: | ---: | ---: | ---: | ---: |
";

const HEAP_ACCOUNT: &str = "
## Where the heap goes

On 32-bit ARM, `tests/e2e/heap_account.py`: the package is loaded, and a server and a session are made, in steps. On a board the native module's text is there too, and
the bytecode is not when it is in a ROMFS. Names are the strings of names that the firmware does not have, and the table of them, which doubles when it is full.
";

const TEXT_ACCOUNT: &str = "
## Where the text goes

The text of armv6m by the symbols of the linked module. What is inlined counts for the function that it is in, and so do small constants.
";
