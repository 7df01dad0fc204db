//! `mip/STAMP.toml`: what the files of the release were made from.

use crate::project::{Project, Result};
use std::collections::BTreeMap;
use std::fs;

/// The folder of the release in the repository.
pub const FOLDER: &str = "mip";
/// The stamp's name there.
pub const STAMP: &str = "STAMP.toml";

/// What `mip/STAMP.toml` says.
#[derive(Default, PartialEq, Debug)]
pub struct Stamp {
    pub version: String,
    /// The digest of the sources.
    pub sources: String,
    pub compilers: BTreeMap<String, String>,
    /// The SHA-256 of each file.
    pub files: BTreeMap<String, String>,
}

impl Stamp {
    /// That of `mip/`, if there is one.
    pub fn read(project: &Project) -> Result<Option<Stamp>> {
        let path = project.root.join(FOLDER).join(STAMP);
        if !path.exists() {
            return Ok(None);
        }
        let content = fs::read_to_string(&path).map_err(|error| format!("{FOLDER}/{STAMP}: {error}"))?;
        Stamp::parse(&content)
            .map(Some)
            .ok_or_else(|| format!("{FOLDER}/{STAMP} is not what cargo xtask release writes"))
    }

    fn parse(content: &str) -> Option<Stamp> {
        let table: toml::Table = content.parse().ok()?;
        let word = |name: &str| table.get(name)?.as_str().map(str::to_owned);
        let map = |name: &str| -> Option<BTreeMap<String, String>> {
            let entries = table.get(name)?.as_table()?.iter();
            entries.map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
        };
        Some(Stamp {
            version: word("version")?,
            sources: word("sources")?,
            compilers: map("compilers")?,
            files: map("files")?,
        })
    }

    /// The file's text.
    pub fn toml(&self) -> String {
        let section = |map: &BTreeMap<String, String>| {
            map.iter().map(|(name, value)| format!("\"{name}\" = \"{value}\"\n")).collect::<String>()
        };
        format!(
            "# Made by cargo xtask release: what the files in this folder were made from, and their SHA-256.\n\
             version = \"{}\"\nsources = \"{}\"\n\n[compilers]\n{}\n[files]\n{}",
            self.version,
            self.sources,
            section(&self.compilers),
            section(&self.files)
        )
    }

    /// What is told of it when the sources are others.
    pub fn is_old(&self) -> String {
        format!("the sources are newer than {FOLDER}, which is of {}", self.version)
    }
}

/// The paths that only one of them has, or that differ.
pub fn differences(a: &BTreeMap<String, String>, b: &BTreeMap<String, String>) -> Vec<String> {
    let one_way = a.iter().filter(|(path, sum)| b.get(*path) != Some(*sum));
    let other_way = b.iter().filter(|(path, _)| !a.contains_key(*path));
    one_way.chain(other_way).map(|(path, _)| path.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
        entries.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_stamp_is_read_as_it_was_written() {
        let stamp = Stamp {
            version: "1.2.3".into(),
            sources: "abc".into(),
            compilers: map(&[("rustc", "rustc 1.95.0 (a 2026-01-01)"), ("mpy-cross", "MicroPython v1.29")]),
            files: map(&[("x64_6.3/ftpdlite/a.mpy", "00"), ("LICENSE", "11")]),
        };
        assert_eq!(Stamp::parse(&stamp.toml()), Some(stamp));
        assert_eq!(Stamp::parse("version = 1\n"), None);
    }

    #[test]
    fn all_differences_are_found() {
        let (a, b) = (map(&[("a", "1"), ("b", "1"), ("c", "1")]), map(&[("a", "1"), ("b", "2"), ("d", "1")]));
        assert_eq!(differences(&a, &b), ["b", "c", "d"]);
        assert!(differences(&a, &a).is_empty());
    }
}
