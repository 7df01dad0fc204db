//! Debian's packages: installed on this machine, or fetched and unpacked with an apt that has folders of its own.

use crate::project::{Result, make_folder, output, program, run_quietly, say, which, write_if_changed};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{env, fs, thread};

/// How a program for x64 of an unpacked suite is started, in the folder `$root`.
pub const START_X64: &str =
    "\"$root/usr/lib64/ld-linux-x86-64.so.2\" --library-path \"$root/usr/lib/x86_64-linux-gnu\"";

/// Set for a process that runs beside others which need the same files. Another process has fetched the files for all of them before.
pub const PREPARED: &str = "XTASK_PREPARED";

/// Whether missing packages may be installed: as root on Debian.
pub fn may_install() -> bool {
    may_fetch() && is_root() && which("apt-get").is_some()
}

/// Whether this process may fetch what is missing.
pub fn may_fetch() -> bool {
    env::var_os(PREPARED).is_none()
}

/// Whether this is root.
pub fn is_root() -> bool {
    output(program("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

/// `apt-get install` as root.
pub fn apt_install(packages: &[&str]) -> Result {
    let apt_get = |words: &[&str]| {
        let mut command = program("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").env("LC_ALL", "C").args(["-q", "-y"]).args(words);
        patiently(Duration::from_secs(10), || run_quietly(&mut command))
    };
    // The lists may be missing, or so old that they name packages that do not exist any more. So they are fetched first, once in a run.
    static LISTS: std::sync::Once = std::sync::Once::new();
    LISTS.call_once(|| {
        if let Err(error) = apt_get(&["update"]) {
            say(format!("goes on with the package lists that there are: {error}"));
        }
    });
    let install: Vec<_> = ["install", "--no-install-recommends"].iter().chain(packages).copied().collect();
    apt_get(&install)
}

/// Does it again as long as another program uses apt, such as the updates of a machine that has just started, but not for ever.
fn patiently(pause: Duration, mut work: impl FnMut() -> Result) -> Result {
    let mut result = work();
    for turn in 0..60 {
        match &result {
            Err(error) if error.contains("Could not get lock") || error.contains("Unable to lock") => {
                if turn == 0 {
                    say("waits until another program has done with apt");
                }
            }
            _ => break,
        }
        thread::sleep(pause);
        result = work();
    }
    result
}

/// Installs packages if that is allowed. Says why it did not succeed. Whether it did is seen by looking for what they bring.
pub fn try_to_install(packages: &[&str]) {
    if may_install() {
        say(format!("installs {} (apt-get)", packages.join(", ")));
        if let Err(error) = apt_install(packages) {
            say(error);
        }
    }
}

/// Installs the Debian packages of tools that are missing, where that is allowed. `missing` gives the list, each time that it is called.
///
/// # Errors
/// With those that are still missing.
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
    // If apt has not fetched its lists yet, it knows no more than these files.
    for entry in fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten().flatten() {
        sources += &read_text(&entry.path());
    }
    // Debian's images for clouds have the address in a file of its own.
    let lists: String = sources.split_whitespace().filter_map(list_of_mirrors).map(read_text).collect();
    sources += &lists;
    let mirror = mirror_in(&sources).ok_or("apt's sources of this machine name no Debian mirror")?;
    Ok(format!("{kind} [signed-by={KEYRING}] {mirror} {suite} main\n"))
}

/// A file's text and a line end. Empty if the file cannot be read.
fn read_text(path: &Path) -> String {
    fs::read_to_string(path).map(|text| text + "\n").unwrap_or_default()
}

/// The file that a word of apt's sources names, `mirror+file:/etc/apt/mirrors/debian.list`.
fn list_of_mirrors(word: &str) -> Option<&Path> {
    let path = word.strip_prefix("mirror+file:")?;
    Some(Path::new(path.strip_prefix("//").unwrap_or(path)))
}

/// The address of a Debian mirror in the text of apt's sources, in either of their forms. Others have packages for Debian in a folder of that name, too, but
/// mostly not in the first one. So that is taken only if there is nothing better.
fn mirror_in(sources: &str) -> Option<&str> {
    let words = sources.lines().filter(|line| !line.trim_start().starts_with('#')).flat_map(str::split_whitespace);
    let mut found: Vec<_> = words
        .filter_map(|word| Some((word, word.split_once("://")?.1.trim_end_matches('/'))))
        .filter(|(_, place)| place.ends_with("/debian"))
        .collect();
    found.sort_by_key(|(_, place)| place.matches('/').count());
    found.first().map(|(word, _)| word.trim_end_matches('/'))
}

/// apt with folders of its own. It does not need root, and does not change the machine's apt.
pub struct Apt {
    options: Vec<String>,
    folder: PathBuf,
}

impl Apt {
    /// With the package sources of this machine.
    pub fn of_this_machine(folder: &Path) -> Result<Apt> {
        Self::new(folder, &["Dir::State::status=/var/lib/dpkg/status".into()])
    }

    /// With only these source lines, as if no package were installed.
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
            // A mirror may be some weeks behind, and the clock of a new machine may be wrong. The versions that are wanted are old in any case.
            "Acquire::Check-Valid-Until=false".into(),
            "Acquire::Check-Date=false".into(),
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

/// Unpacks a package of a suite with all that it needs. apt uses `folder` meanwhile.
pub fn unpack_suite(folder: &Path, suite: &str, architecture: &str, package: &str, root: &Path) -> Result {
    let _ = fs::remove_dir_all(root);
    let sources = source_line("deb", suite)?;
    Apt::for_architecture(folder, &sources, architecture)?.unpack(&[package], root)?;
    // Debian's base system makes these links; no package has them.
    for name in ["lib", "lib64"] {
        let link = root.join(name);
        if !link.exists() {
            symlink(format!("usr/{name}"), &link)
                .map_err(|error| format!("cannot make {}: {error}", link.display()))?;
        }
    }
    // The lists are large, and soon out of date.
    let _ = fs::remove_dir_all(folder);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_waits_for_a_lock_and_for_nothing_else() {
        const LOCK: &str =
            "failed: apt-get\nE: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 94";
        let play = |ends: &[Result]| {
            let mut ends = ends.iter().cloned();
            let mut tries = 0;
            let result = patiently(Duration::ZERO, || {
                tries += 1;
                ends.next().unwrap_or_else(|| Err(LOCK.into()))
            });
            (result, tries)
        };
        assert_eq!(play(&[Ok(())]), (Ok(()), 1));
        assert_eq!(play(&[Err("E: no such package".into())]), (Err("E: no such package".into()), 1));
        assert_eq!(play(&[Err(LOCK.into()), Err(LOCK.into()), Ok(())]), (Ok(()), 3));
        assert_eq!(play(&[]), (Err(LOCK.into()), 61));
    }

    #[test]
    fn the_mirror_is_found_in_both_forms() {
        let list = "# deb http://old.example/debian x main\ndeb [signed-by=/k] http://a.example/debian bookworm main\n";
        assert_eq!(mirror_in(list), Some("http://a.example/debian"));
        let sources = "Types: deb\nURIs: http://a.example/debian-security http://b.example/debian/\nSuites: x\n";
        assert_eq!(mirror_in(sources), Some("http://b.example/debian"));
        assert_eq!(mirror_in("deb https://c.example/apt x main\n"), None);
        let others = "deb https://d.example/linux/debian bookworm stable\nURIs: https://a.example/debian\n";
        assert_eq!(mirror_in(others), Some("https://a.example/debian"));
        assert_eq!(
            mirror_in("deb https://e.example/mirrors/debian x main\n"),
            Some("https://e.example/mirrors/debian")
        );
    }

    #[test]
    fn a_list_of_mirrors_is_a_file() {
        for word in ["mirror+file:/etc/apt/mirrors/debian.list", "mirror+file:///etc/apt/mirrors/debian.list"] {
            assert_eq!(list_of_mirrors(word), Some(Path::new("/etc/apt/mirrors/debian.list")));
        }
        assert_eq!(list_of_mirrors("http://a.example/debian"), None);
        assert_eq!(mirror_in("https://f.example/debian\tpriority:1\n"), Some("https://f.example/debian"));
    }
}
