//! Other MicroPythons than the usual one, from Debian's packages: unpacked with the libraries that they need, none of which the machine's own
//! programs see.

use crate::debian::{START_X64, apt_install, may_fetch, may_install, unpack_suite};
use crate::project::{Project, Result, output, program, quoted, say, which, write_executable, write_if_changed};
use std::path::{Path, PathBuf};

/// A MicroPython of a Debian suite.
pub struct Runtime {
    /// The wrapper's name in `.xtask/bin`.
    pub name: &'static str,
    /// The version that is wanted, as apt writes a pattern. Where a suite has moved on, what it has now is taken.
    version: &'static str,
    /// Where it is looked for, in this order.
    suites: &'static [&'static str],
    debian_architecture: &'static str,
    /// What the wrapper runs; `$root` is the folder that it is unpacked in.
    start: &'static str,
    /// The emulator and its Debian package.
    emulator: Option<(&'static str, &'static str)>,
}

/// The 32-bit ARM one: it says that it is an armv7emdp, which loads code for every Thumb architecture.
const ARMHF: Runtime = Runtime {
    name: "micropython-armhf",
    version: "1.26.*",
    suites: &["sid", "forky"],
    debian_architecture: "armhf",
    start: "qemu-arm -L \"$root\"",
    emulator: Some(("qemu-arm", "qemu-user")),
};

/// All of them: beside the first, older releases for x64, with a C library of their own.
pub const ALL: &[Runtime] = &[
    ARMHF,
    Runtime {
        name: "micropython-1.25",
        version: "1.25.*",
        suites: &["trixie"],
        debian_architecture: "amd64",
        start: START_X64,
        emulator: None,
    },
    Runtime {
        name: "micropython-1.26",
        version: "1.26.*",
        suites: &["sid", "forky"],
        debian_architecture: "amd64",
        start: START_X64,
        emulator: None,
    },
];

impl Runtime {
    /// The runtime of that name.
    pub fn named(name: &str) -> Result<&'static Runtime> {
        ALL.iter().find(|runtime| runtime.name == name).ok_or_else(|| format!("there is no runtime {name}"))
    }

    /// The wrapper's path, once the runtime is there and runs.
    pub fn get(&self, project: &Project) -> Result<PathBuf> {
        let wrapper = project.tools.join("bin").join(self.name);
        let folder = project.tools.join("runtimes").join(self.name);
        let root = folder.join("root");
        let stamp = folder.join("complete");
        if let Some((emulator, package)) = self.emulator {
            if which(emulator).is_none() && may_install() {
                say(format!("installs {package} (apt-get)"));
                apt_install(&[package])?;
            }
            if which(emulator).is_none() {
                return Err(format!("{emulator} is missing; as root on Debian: apt-get install {package}"));
            }
        }
        if !stamp.exists() && !may_fetch() {
            return Err(format!("{} could not be fetched", self.name));
        }
        if !stamp.exists() {
            self.fetch(&folder, &root)?;
        }
        let script =
            format!("#!/bin/sh\nroot={}\nexec {} \"$root/usr/bin/micropython\" \"$@\"\n", quoted(&root), self.start);
        write_executable(&wrapper, &script)?;
        if !stamp.exists() {
            output(program(&wrapper).args(["-c", "import asyncio, sys; print(sys.version)"]))?;
            write_if_changed(&stamp, b"")?;
        }
        Ok(wrapper)
    }

    /// Unpacks it from the first suite that has the version; else from the first that has any.
    fn fetch(&self, folder: &Path, root: &Path) -> Result {
        let fetch = |wanted: &str| {
            let mut errors = Vec::new();
            for suite in self.suites {
                say(format!("fetches {wanted} for {} from Debian {suite}", self.debian_architecture));
                match unpack_suite(&folder.join(suite), suite, self.debian_architecture, wanted, root) {
                    Ok(()) => return Ok(()),
                    Err(error) => errors.push(format!("{suite}: {error}")),
                }
            }
            Err(errors.join("\n"))
        };
        let wanted = format!("micropython={}", self.version);
        fetch(&wanted).or_else(|error| {
            say(format!("{error}\nWARNING: Debian has no {wanted} any more; {} becomes what there is", self.name));
            fetch("micropython")
        })
    }
}
