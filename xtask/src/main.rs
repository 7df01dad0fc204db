//! `cargo xtask NAME`: every command that a developer types. `cargo xtask help` lists them.

mod abi;
mod account;
mod arguments;
mod board;
mod board_bench;
mod build;
mod check;
mod debian;
mod dist;
mod faults;
mod fuzz;
mod lanes;
mod linker;
mod miri;
mod mpy;
mod notices;
mod project;
mod release;
mod riscv;
mod rom;
mod runtimes;
mod serve;
mod setup;
mod soak;
mod stamp;
mod steps;
mod targets;
mod toolchain;
mod xtensa;

use arguments::{no_arguments, text, value};
use lexopt::prelude::*;
use project::{Project, Result, program, run};
use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;
use targets::{TARGETS, Target};

/// A command: its name, what it is for in a line, its help text, and what it does.
struct Command {
    name: &'static str,
    summary: &'static str,
    help: &'static str,
    run: fn(&Project, lexopt::Parser) -> Result,
}

const COMMANDS: &[Command] = &[
    Command {
        name: "setup",
        summary: "fetch the tools that the other commands need",
        help: "Usage: cargo xtask setup

Makes .xtask/, which git ignores: a Python environment with the MicroPython runtime, its bytecode compiler, libclang
and pytest, and the FTP clients of the end-to-end tests. As root it installs the clients with apt-get. Otherwise it
unpacks them into .xtask. For boards it fetches MicroPython for 32-bit ARM and two older releases for x64 from Debian,
and as root it installs qemu-user, clang and a Rust compiler with the source of its library. There is no need to run
this first: the other commands fetch what they need.",
        run: |project, arguments| {
            no_arguments(arguments)?;
            setup::setup(project)?;
            project::say(format!("the tools are in {}", project.tools.display()));
            Ok(())
        },
    },
    Command {
        name: "build",
        summary: "build the package into dist/ARCH_6.3",
        help: "Usage: cargo xtask build [--arch ARCH | --all]

Builds what is not up to date: the native module and the bytecode of the Python shim, in dist/ARCH_6.3. Put this folder
on MICROPYPATH, or copy what is in it to a board's /lib. Prints the sizes, and fails when they are above budgets.toml.

  --arch ARCH   x64, the default, armv6m, armv7m, armv7emsp, rv32imc, xtensawin; for a ROMFS armv6m_rom, armv7m_rom
  --all         every architecture

For boards it needs a Rust core library (rustup component add rust-src, or Debian's rustc-web and rust-web-src) and
clang; as root on Debian it installs them.",
        run: |project, mut arguments| {
            let mut targets = &TARGETS[..1];
            while let Some(argument) = arguments.next().map_err(text)? {
                match argument {
                    Long("arch") => targets = std::slice::from_ref(Target::named(&value(&mut arguments)?)?),
                    Long("all") => targets = TARGETS,
                    other => return Err(text(other.unexpected())),
                }
            }
            targets.iter().try_for_each(|target| build::build(project, target).map(drop))
        },
    },
    Command {
        name: "dist",
        summary: "make the release in dist/",
        help: "Usage: cargo xtask dist [--base URL] [--check]

Builds every architecture and puts the release into dist/: the folders ARCH_6.3, a package.json for all of them and one
for each, from which mip and mpremote install, the licences, and SHA256SUMS. The same sources and tools give the same
bytes.

  --base URL   the address where dist/ will be served. Then the package files contain whole URLs. MicroPython 1.23 and
               1.24 need them; for 1.25 and later relative URLs are enough
  --check      build again from a copy of the sources in another folder, and compare",
        run: dist::command,
    },
    Command {
        name: "release",
        summary: "put the release into mip/, where mip finds it in the repository",
        help: "Usage: cargo xtask release [--check] [--tag TAG] [--archives DIR] [--soak MINUTES]

Makes dist/ and copies it to mip/, with the file STAMP.toml: the version, the digest of the sources, the versions of
the compilers, and the SHA-256 of each file. Writes package.json, which names the files in mip/. Commit everything else
before, and mip/ and package.json afterwards.

  --check          make nothing: fail when the sources are newer than mip/, when a file there is not as the stamp
                   says, or when the compilers that it names give other bytes. Then real clients work at it for
                   ten minutes (cargo xtask soak)
  --tag TAG        as --check; the tag must fit the version, and CHANGELOG.md must tell of it
  --archives DIR   as --check; then write what a release page offers: an archive of each architecture and one of
                   all, SHA256SUMS, and NOTES.md from CHANGELOG.md
  --soak MINUTES   as --check, but real clients work at it for so long; 0 is not at all",
        run: release::command,
    },
    Command {
        name: "serve",
        summary: "serve a folder on 127.0.0.1:2121",
        help: "Usage: cargo xtask serve [--root DIR | --fresh] [--host HOST] [--port PORT]
                         [--user NAME:PASSWORD]... [--tls] [--debug]

Builds what is not up to date, and serves with MicroPython's Unix port until Ctrl-C.

  --root DIR             the folder that clients see as /; default is a sample folder in .xtask, one for each port
  --fresh                make the sample folder as it was at first; this removes what clients have stored there
  --host HOST            the address to listen on; default 127.0.0.1; 0.0.0.0 means all addresses
  --port PORT            default 2121
  --user NAME:PASSWORD   an account. There can be several: the first may write, the others only read. The default
                         is user:password
  --tls                  offer TLS, with a self-signed certificate that openssl makes for 127.0.0.1 and HOST
  --debug                print commands and replies",
        run: serve::command,
    },
    Command {
        name: "runtime",
        summary: "fetch MicroPython's Unix port and print its path",
        help: "Usage: cargo xtask runtime

Prints the path of a `micropython` that loads native modules. If it is missing, it is fetched first. With
MICROPYPATH=dist/x64_6.3 it runs the README's program.",
        run: |project, arguments| {
            no_arguments(arguments)?;
            setup::python(project)?;
            println!("{}", project.micropython().display());
            Ok(())
        },
    },
    Command {
        name: "test",
        summary: "run every check and test",
        help: "Usage: cargo xtask test [--lanes N] [--step TEXT]... [--filter TEXT]

Runs these, each as one or more steps:

  formatting, clippy, cargo doc, and the Rust tests with the golden transcripts
  the build for every architecture with its size budgets, the release, and a second build that must give the same bytes
  the comparison with MicroPython's headers
  all end-to-end tests on x64, on x64 with MicroPython 1.25, and with armv6m under qemu-arm
  the end-to-end tests of every command and loop with armv7m and armv7emsp, and on x64 with MicroPython 1.26
  what test-memory, test-xtensa, test-riscv and test-board run
  a minute of soak for each of its servers, two minutes of fuzz, and miri where it is installed

Several steps run at the same time, the longest first. What a step prints is shown when it has ended, and is kept in
target/steps. After a failure the other steps still run. A summary shows how each step has ended. The last lines say what
failed, and what was not run, and why. A step is not run if its runtime, emulator or compiler is missing and cannot be installed.

  --lanes N       how many steps run at the same time; default is the number of processors, at most 3
  --step TEXT     only the steps whose names contain TEXT, and the steps that they need
  --filter TEXT   only the Rust and end-to-end tests whose names contain TEXT, and what they need",
        run: steps::command,
    },
    Command {
        name: "test-memory",
        summary: "run the server in memory that runs out",
        help: check::MEMORY_HELP,
        run: check::memory,
    },
    Command {
        name: "fuzz",
        summary: "look for inputs that break the core",
        help: fuzz::HELP,
        run: fuzz::command,
    },
    Command { name: "miri", summary: "run the core in miri", help: miri::HELP, run: miri::command },
    Command { name: "soak", summary: "let real clients work for a long time", help: soak::HELP, run: soak::command },
    Command {
        name: "test-xtensa",
        summary: "run the module for Xtensa under qemu-xtensa",
        help: "Usage: cargo xtask test-xtensa

Builds xtensawin and plays the transcripts and the cases of the pump in tests/xtensa against it, in a loader under
QEMU. `cargo xtask test` does that too.",
        run: |project, arguments| {
            no_arguments(arguments)?;
            build::build(project, Target::named("xtensawin")?)?;
            xtensa::emulator::find()?;
            xtensa::emulator::test(project)
        },
    },
    Command {
        name: "test-riscv",
        summary: "run the package for RISC-V under qemu-system-riscv32",
        help: "Usage: cargo xtask test-riscv

Builds rv32imc, and the first time MicroPython's QEMU port, from Debian's source package, into .xtask. Then it plays
the transcripts and the cases in tests/riscv in that MicroPython. `cargo xtask test` does that too.

It needs make, gcc-riscv64-unknown-elf, picolibc-riscv64-unknown-elf and qemu-system-misc; as root on Debian it
installs them, 1.4 GB.",
        run: |project, arguments| {
            no_arguments(arguments)?;
            project.can_make()?;
            build::build(project, Target::named("rv32imc")?)?;
            let firmware = riscv::firmware(project)?;
            riscv::test(project, &firmware)
        },
    },
    Command {
        name: "board",
        summary: "serve from an emulated board with lwIP",
        help: "Usage: cargo xtask board [--memory KIB] [--files littlefs|fat|ramdisc] [--ipv6 on|off]
                         [--code ram|rom] [--server ftpdlite|original]

Builds the package and starts it on an emulated board until Ctrl-C: MicroPython with lwIP on QEMU's mps2-an385, with the
limits of a real board's network. The board is in a network namespace of its own; what is printed tells how to reach
it. The first time MicroPython and lwIP are built from Debian's source packages, into .xtask.

  --memory KIB    the board's heap, 48 to 2048; default 190, as a Pico W has. ftpdlite needs 52 to start, and 96 with ramdisc
  --files KIND    the file system that is served: littlefs, which is the default, or fat, both of 12 MiB outside of
                  the heap, or ramdisc, a LittleFS of 32 KiB in the heap
  --ipv6 on|off   whether lwIP has IPv6, as on a Pico W; default on
  --code ram|rom  where the native code runs: in RAM, the default, or where it lies in the ROMFS
  --server NAME   ftpdlite, the default, or original: what this one replaces. It is fetched, and the files are in /files

It needs make, gcc, gcc-arm-none-eabi, libnewlib-arm-none-eabi and qemu-system-arm; as root on Debian it installs
them. If the board cannot run here, it says why and ends.",
        run: board::command,
    },
    Command {
        name: "test-board",
        summary: "run the cases of tests/board on an emulated board with lwIP",
        help: "Usage: cargo xtask test-board [WORD...]

Builds what is not up to date, and runs clients against the package on the board of `cargo xtask board`. After each
case no connection, file or session may be left on the board. `cargo xtask test` does that too.

  WORD   only the cases whose names contain one of these words; a case's name begins with its board's: littlefs, fat,
         ipv4 (lwIP without IPv6), small (64 KiB of heap), in place (48 KiB, the code stays in the ROMFS), hasty (short time-outs), link (a network as Wi-Fi has it, only
         when one of the words asks for it, for its figures need a machine that does nothing else)",
        run: board::test_command,
    },
    Command {
        name: "check-abi",
        summary: "compare micropython/abi.h with MicroPython's headers",
        help: "Usage: cargo xtask check-abi

Fetches MicroPython's source packages from Debian and compares the layout of every structure, the order of the
function table and every number in micropython/abi.h with MicroPython's own headers, for 64 and for 32 bits. Then
it makes mistakes in a copy of abi.h, and checks that they are found.",
        run: |project, arguments| {
            no_arguments(arguments)?;
            abi::check(project)
        },
    },
    Command {
        name: "sizes",
        summary: "measure everything and write docs/sizes.md",
        help: "Usage: cargo xtask sizes

Builds for every architecture, measures the GC heap on x64 and on 32-bit ARM, and writes docs/sizes.md.",
        run: |project, arguments| {
            no_arguments(arguments)?;
            setup::python(project)?;
            check::sizes(project)
        },
    },
    Command {
        name: "bench",
        summary: "measure against pyftpdlib, or on the emulated board",
        help: "Usage: cargo xtask bench [--runs N] [--quick] [--heap SIZE] [--tls]
       cargo xtask bench --board [--check | --profile WORK]

Builds what is not up to date, and serves the same folder with FTPdLite and with pyftpdlib. They are measured in turns.

  --runs N      how often each workload is measured with each server; the result is the median; default 7
  --quick       three runs with less work in each, for a first look
  --heap SIZE   the heap of FTPdLite's MicroPython, as for -X heapsize=; default 2m
  --tls         measure the costs of TLS instead
  --board       measure on the board of `cargo xtask board` instead: instructions a byte and a command for this server,
                for the original one, which is fetched, and without a server; and speeds. Writes the section of
                docs/measurements.md and docs/board.svg
  --check       with --board: only compare this server's instructions with the budgets, and fail when one is 2 % above
  --profile WORK
                with --board: tell where the instructions of noop, login, size, retr_small, stor_small or pasv go, by function
                and as a tree of calls",
        run: check::bench,
    },
    Command {
        name: "fmt",
        summary: "format the Rust code",
        help: "Usage: cargo xtask fmt",
        run: |project, arguments| {
            no_arguments(arguments)?;
            run(project.cargo().args(["fmt", "--all"]))
        },
    },
    Command {
        name: "lint",
        summary: "check formatting, run clippy and cargo doc",
        help: "Usage: cargo xtask lint",
        run: |project, arguments| {
            no_arguments(arguments)?;
            setup::python(project)?;
            check::lint(project)
        },
    },
    Command {
        name: "clean",
        summary: "remove what was built; the tools stay",
        help: "Usage: cargo xtask clean [--tools]

Removes dist/ and cargo's target directory.

  --tools   remove .xtask/ too",
        run: |project, mut arguments| {
            let mut folders = vec![project.root.join("dist")];
            while let Some(argument) = arguments.next().map_err(text)? {
                match argument {
                    Long("tools") => folders.push(project.tools.clone()),
                    other => return Err(text(other.unexpected())),
                }
            }
            for folder in folders.into_iter().filter(|folder| folder.exists()) {
                run(program("rm").arg("-rf").arg(folder))?;
            }
            run(project.cargo().arg("clean").arg("--target-dir").arg(&project.target))
        },
    },
];

fn help() -> String {
    let mut text = "Usage: cargo xtask COMMAND [OPTIONS]\n\n".to_owned();
    for command in COMMANDS {
        text += &format!("  {:<11} {}\n", command.name, command.summary);
    }
    text + "  help        print this\n  --version   print the version of FTPdLite\n\n`cargo xtask COMMAND --help` tells more."
}

/// What `cargo xtask help` and `cargo xtask help NAME` print.
fn help_of(asked: Option<&str>) -> Result<String> {
    match asked {
        None | Some("help") => Ok(help()),
        Some(name) => named(name).map(|command| command.help.to_owned()),
    }
}

fn named(name: &str) -> Result<&'static Command> {
    let found = COMMANDS.iter().find(|command| command.name == name);
    found.ok_or_else(|| format!("there is no command {name}; cargo xtask help lists them"))
}

/// Prints a result. When the reader has seen enough and is gone (`cargo xtask help | head`), that is no failure.
fn print(text: &str) -> Result {
    match writeln!(io::stdout(), "{text}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.to_string()),
        _ => Ok(()),
    }
}

/// Does what the words of the command line say.
fn perform(words: &[OsString]) -> Result {
    let name = words.first().map(|word| word.to_string_lossy()).unwrap_or_default();
    let rest = words.get(1..).unwrap_or_default();
    match &*name {
        "" | "help" | "--help" | "-h" => print(&help_of(rest.first().map(|word| word.to_string_lossy()).as_deref())?),
        "--version" | "-V" => print(&format!("ftpdlite {}", Project::find()?.version()?)),
        name => {
            let command = named(name)?;
            if rest.iter().any(|word| word == "--help" || word == "-h") {
                return print(command.help);
            }
            (command.run)(&Project::find()?, lexopt::Parser::from_args(rest))
        }
    }
}

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args_os().skip(1).collect();
    let Err(error) = perform(&words) else { return ExitCode::SUCCESS };
    project::say(format!("error: {error}"));
    ExitCode::FAILURE
}
