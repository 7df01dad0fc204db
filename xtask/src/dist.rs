//! `cargo xtask dist`: the release. `dist/` with a tree for each architecture, the package files that `mip` reads, and checksums.

use crate::arguments::{text, value};
use crate::project::{Project, Result, make_folder, output, program, read, run_quietly, say, write_if_changed};
use crate::targets::{TARGETS, Target};
use crate::{build, notices};
use lexopt::prelude::*;
use std::fs;
use std::path::Path;

pub const CHECKSUMS: &str = "SHA256SUMS";
pub const PACKAGE: &str = "package.json";
const LICENSE: &str = "LICENSE";
const NOTICES: &str = "NOTICES";
/// What only the package for all architectures has: the first import on a board runs it.
const WHOLE: &str = "whole.mpy";
/// How a whole URL begins, for mip.
const SCHEMES: &[&str] = &["http://", "https://", "github:", "gitlab:"];

/// The command.
pub fn command(project: &Project, mut arguments: lexopt::Parser) -> Result {
    let (mut base, mut is_checked) = (None, false);
    while let Some(argument) = arguments.next().map_err(text)? {
        match argument {
            Long("base") => base = Some(value(&mut arguments)?.trim_end_matches('/').to_owned()),
            Long("check") => is_checked = true,
            other => return Err(text(other.unexpected())),
        }
    }
    if let Some(base) = base.as_ref().filter(|base| !SCHEMES.iter().any(|scheme| base.starts_with(scheme))) {
        return Err(format!("--base must start with one of {}, not {base}", SCHEMES.join(" ")));
    }
    let all: Vec<_> = TARGETS.iter().collect();
    make(project, &all, base.as_deref())?;
    println!("ftpdlite {} is in dist", project.version()?);
    if is_checked { check(project, &all) } else { Ok(()) }
}

/// Makes the release. base: the address that it will have, for package files with whole URLs.
pub fn make(project: &Project, targets: &[&Target], base: Option<&str>) -> Result {
    let dist = project.root.join("dist");
    let version = project.version()?;
    let license = read(&project.root.join(LICENSE))?;
    let notices = notices::text(project)?;
    let mut kept = [PACKAGE, CHECKSUMS, LICENSE, NOTICES, WHOLE].map(str::to_owned).to_vec();
    let mut package = Package::default();
    let mut files = [PACKAGE, LICENSE, NOTICES, WHOLE].map(str::to_owned).to_vec();
    for target in targets {
        build::build(project, target)?;
        let tree = project.dist(target.name);
        let name = tree.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut own = Package::default();
        let mut names = list(&tree.join("ftpdlite"))?;
        names.sort_by_key(|name| rank(name));
        for file in names {
            let path = format!("ftpdlite/{file}");
            tells_no_folder(project, &tree.join(&path))?;
            files.push(format!("{name}/{path}"));
            // mip puts nothing into a ROMFS.
            if target.is_in_place() && file.starts_with("native_") {
                own.adds(&path, &path);
                continue;
            }
            if !package.adds(&path, &format!("{name}/{path}"))
                && read(&tree.join(&path))? != package.read(&dist, &path)?
            {
                return Err(format!("{path} differs among the architectures"));
            }
            own.adds(&path, &path);
        }
        let base = base.map(|base| format!("{base}/{name}"));
        write_if_changed(&tree.join(PACKAGE), own.json(base.as_deref(), &version).as_bytes())?;
        write_if_changed(&tree.join(LICENSE), &license)?;
        write_if_changed(&tree.join(NOTICES), notices.as_bytes())?;
        files.extend([PACKAGE, LICENSE, NOTICES].map(|file| format!("{name}/{file}")));
        kept.push(name);
    }
    write_if_changed(&dist.join(LICENSE), &license)?;
    write_if_changed(&dist.join(NOTICES), notices.as_bytes())?;
    build::bytecode(project, "ftpdlite.whole", &project.root.join("py/whole.py"), &dist.join(WHOLE))?;
    // At the end, so that it is missing after an installation that broke off.
    package.adds(&format!("ftpdlite/{WHOLE}"), WHOLE);
    write_if_changed(&dist.join(PACKAGE), package.json(base, &version).as_bytes())?;
    files.sort();
    let sums = output(program("sha256sum").current_dir(&dist).args(&files))?;
    write_if_changed(&dist.join(CHECKSUMS), sums.as_bytes())?;
    for name in list(&dist)?.into_iter().filter(|name| !kept.contains(name)) {
        say(format!("removes dist/{name}, which is no part of the release"));
        remove(&dist.join(name))?;
    }
    Ok(())
}

/// Fails when a file contains the place where it was built: built elsewhere it would be another file.
fn tells_no_folder(project: &Project, path: &Path) -> Result {
    let home = std::env::var_os("HOME").unwrap_or_default();
    let content = read(path)?;
    for folder in [project.root.as_os_str(), project.target.as_os_str(), &home] {
        let name = folder.as_encoded_bytes();
        if name.len() > 1 && content.windows(name.len()).any(|part| part == name) {
            return Err(format!("{} holds the name of the folder {}", path.display(), folder.to_string_lossy()));
        }
    }
    Ok(())
}

/// What `mip` installs: for each file where it goes, below the board's lib folder, and where it is found.
#[derive(Default)]
struct Package(Vec<(String, String)>);

impl Package {
    /// Adds a file, unless the package has one for that place already.
    fn adds(&mut self, to: &str, from: &str) -> bool {
        let is_new = self.0.iter().all(|(path, _)| path != to);
        if is_new {
            self.0.push((to.into(), from.into()));
        }
        is_new
    }

    fn read(&self, dist: &Path, to: &str) -> Result<Vec<u8>> {
        let from = self.0.iter().find(|(path, _)| path == to).map(|(_, from)| from);
        read(&dist.join(from.ok_or_else(|| format!("no package holds {to}"))?))
    }

    /// The package file. base: what comes before each URL. If it is empty, URLs are relative to the package file.
    fn json(&self, base: Option<&str>, version: &str) -> String {
        let lines = self.0.iter().map(|(to, from)| match base {
            Some(base) => format!("    [\"{to}\", \"{base}/{from}\"]"),
            None => format!("    [\"{to}\", \"{from}\"]"),
        });
        let lines = lines.collect::<Vec<_>>().join(",\n");
        format!("{{\n  \"version\": \"{version}\",\n  \"deps\": [],\n  \"urls\": [\n{lines}\n  ]\n}}\n")
    }
}

/// mip installs files in the order of the package file. `choice` compares its version with that of the native module, so it is the first, and the
/// native module the last one. Wherever an update breaks off, all files are old, or these two differ and the import says so.
fn rank(name: &str) -> u8 {
    match name {
        "choice.mpy" => 0,
        name if name.starts_with("native_") => 2,
        _ => 1,
    }
}

/// The names in a folder, sorted.
pub fn list(folder: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(folder).map_err(|error| format!("cannot list {}: {error}", folder.to_string_lossy()))?;
    let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    Ok(names)
}

/// Builds a copy of the sources in another folder, which must give the same bytes as the release has.
pub fn check(project: &Project, targets: &[&Target]) -> Result {
    let root = project.tools.join("another place/for the same sources");
    let copy = Project { target: root.join("target"), tools: project.tools.clone(), root };
    remove(&copy.root)?;
    make_folder(&copy.root)?;
    for name in list(&project.root)? {
        if !["target", "dist", "mip", ".xtask", ".git"].contains(&name.as_str()) {
            run_quietly(program("cp").arg("-r").arg(project.root.join(&name)).arg(&copy.root))?;
        }
    }
    make(&copy, targets, None)?;
    let again = checksums(&copy)?;
    let released = checksums(project)?;
    // Of some architectures, the package file of all differs.
    let is_part = targets.len() < TARGETS.len();
    let is_same = |line: &str| released.contains(line) || is_part && line.ends_with("  package.json");
    let differences: Vec<_> = again.lines().filter(|line| !is_same(line)).collect();
    if !differences.is_empty() || !is_part && again != released {
        return Err(format!("built again in {} differ:\n{}", copy.root.display(), differences.join("\n")));
    }
    println!("built again in another folder: the same {} files", again.lines().count() - usize::from(is_part));
    remove(&copy.root)
}

fn checksums(project: &Project) -> Result<String> {
    read(&project.root.join("dist").join(CHECKSUMS)).map(|sums| String::from_utf8_lossy(&sums).into_owned())
}

fn remove(path: &Path) -> Result {
    run_quietly(program("rm").arg("-rf").arg(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_that_breaks_off_is_noticed() {
        let mut names = ["__init__.mpy", "choice.mpy", "linux.mpy", "native_x64.mpy", "tls.mpy"];
        names.sort_by_key(|name| rank(name));
        assert_eq!(names, ["choice.mpy", "__init__.mpy", "linux.mpy", "tls.mpy", "native_x64.mpy"]);
    }

    #[test]
    fn a_package_file_is_what_mip_reads() {
        let mut package = Package::default();
        assert!(package.adds("ftpdlite/a.mpy", "x64_6.3/ftpdlite/a.mpy"));
        assert!(!package.adds("ftpdlite/a.mpy", "armv6m_6.3/ftpdlite/a.mpy"));
        assert_eq!(
            package.json(None, "1.2.3"),
            "{\n  \"version\": \"1.2.3\",\n  \"deps\": [],\n  \"urls\": [\n    [\"ftpdlite/a.mpy\", \"x64_6.3/ftpdlite/a.mpy\"]\n  ]\n}\n"
        );
        let json = package.json(Some("github:owner/name"), "1.2.3");
        assert!(json.contains("\"github:owner/name/x64_6.3/ftpdlite/a.mpy\""), "{json}");
    }
}
