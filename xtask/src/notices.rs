//! The notices: the licences of other people's code that is compiled into the native module.

use crate::project::{Project, Result, output, read};
use crate::targets::{TARGETS, XTENSA};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What comes with the Rust compiler, and what the module is written against.
const OTHERS: &str = include_str!("notices.txt");

/// The names of licence files, the best first. Crates with several licences have MIT among them.
const FILES: &[&str] = &["LICENSE-MIT", "LICENSE-MIT.txt", "LICENSE", "LICENSE.txt", "LICENSE.md", "COPYING"];

/// The text of the file NOTICES.
pub fn text(project: &Project) -> Result<String> {
    let folders = folders(project)?;
    let mut text =
        "The native modules of FTPdLite hold code of these projects. FTPdLite's own licence is in the file LICENSE.\n"
            .to_owned();
    for (name, version) in crates(project)? {
        let end = format!("{name}-{version}");
        let folder = folders.iter().find(|folder| folder.file_name().is_some_and(|name| *name == *end));
        let folder = folder.ok_or_else(|| format!("cargo knows no folder of {name} {version}"))?;
        text += &format!("\n== {name} {version}\n\n{}\n", licence(folder)?.trim());
    }
    Ok(text + OTHERS)
}

/// The crates that the native module is made of: name and version.
fn crates(project: &Project) -> Result<BTreeSet<(String, String)>> {
    let mut tree = project.cargo();
    tree.args(["tree", "--quiet", "--package", "ftpdlite", "--features", "native", "--edges", "normal"]);
    tree.args(["--prefix", "none", "--format", "{p}"]);
    for target in TARGETS.iter().filter(|target| target.triple != XTENSA) {
        tree.args(["--target", target.triple]);
    }
    Ok(output(&mut tree)?.lines().filter_map(name_and_version).filter(|(name, _)| name != "ftpdlite").collect())
}

/// `nom v8.0.0`, and maybe more behind it.
fn name_and_version(line: &str) -> Option<(String, String)> {
    let mut words = line.split(' ');
    let (name, version) = (words.next()?, words.next()?.strip_prefix('v')?);
    Some((name.to_owned(), version.to_owned()))
}

/// The folders of all packages that cargo knows here.
fn folders(project: &Project) -> Result<Vec<PathBuf>> {
    let mut metadata = project.cargo();
    metadata.args(["metadata", "--quiet", "--format-version", "1", "--features", "native"]);
    // Otherwise cargo also fetches what other systems need.
    metadata.args(["--filter-platform", TARGETS[0].triple]);
    Ok(manifests(&output(&mut metadata)?).filter_map(|path| Some(Path::new(path).parent()?.to_path_buf())).collect())
}

/// The paths of the manifests in what `cargo metadata` prints.
fn manifests(json: &str) -> impl Iterator<Item = &str> {
    json.split("\"manifest_path\":\"").skip(1).filter_map(|rest| rest.split('"').next())
}

fn licence(folder: &Path) -> Result<String> {
    let found = FILES.iter().map(|name| folder.join(name)).find(|path| path.is_file());
    let found = found.ok_or_else(|| format!("{} has no file with its licence", folder.display()))?;
    Ok(String::from_utf8_lossy(&read(&found)?).replace("\r\n", "\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cargo_prints_is_read() {
        let read = name_and_version("digest v0.11.3 (*)");
        assert_eq!(read, Some(("digest".into(), "0.11.3".into())));
        assert_eq!(name_and_version(""), None);
        let json = r#"{"name":"a","manifest_path":"/x/a-1.0.0/Cargo.toml"},{"manifest_path":"/y/Cargo.toml"}"#;
        assert_eq!(manifests(json).collect::<Vec<_>>(), ["/x/a-1.0.0/Cargo.toml", "/y/Cargo.toml"]);
    }
}
