//! The structure of the sources: no circles between modules, and no file that is too long to read.
//!
//! A module uses another when its code names it, in a `use` or in a path; a `mod` alone says only where a file is. What both of two modules need
//! lies below both. Unit tests may use everything, and are left out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};

const LINES: usize = 400;

/// A module's place: `["native", "pump"]` is `src/native/pump.rs`; the crate's root has no names.
type Place = Vec<String>;

/// The files below a folder whose names end so.
fn files(folder: &Path, endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())).flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path, endings));
        } else if path.extension().is_some_and(|ending| endings.iter().any(|wanted| ending == *wanted)) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The words and signs of a source, without comments and texts. A path's `::` is one sign.
fn tokens(source: &str) -> Vec<String> {
    let letters: Vec<char> = source.chars().collect();
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    let starts =
        |at: usize, text: &str| text.chars().enumerate().all(|(n, wanted)| letters.get(at + n) == Some(&wanted));
    let (mut found, mut at) = (Vec::new(), 0);
    while at < letters.len() {
        let start = at;
        if starts(at, "//") {
            at += letters[at..].iter().take_while(|letter| **letter != '\n').count();
        } else if starts(at, "/*") {
            let mut depth = 1;
            at += 2;
            while depth > 0 && at < letters.len() {
                let (opens, closes) = (starts(at, "/*"), starts(at, "*/"));
                depth += i32::from(opens) - i32::from(closes);
                at += if opens || closes { 2 } else { 1 };
            }
        } else if letters[at] == '"' {
            at += 1;
            while at < letters.len() && letters[at] != '"' {
                at += if letters[at] == '\\' { 2 } else { 1 };
            }
            at += 1;
        } else if is_word(letters[at]) {
            at += letters[at..].iter().take_while(|letter| is_word(**letter)).count();
            let hashes = letters[at..].iter().take_while(|letter| **letter == '#').count();
            if matches!(&letters[start..at], ['r'] | ['b' | 'c', 'r']) && letters.get(at + hashes) == Some(&'"') {
                // A raw text ends with a quotation mark and as many signs as it began with.
                let end = format!("\"{}", "#".repeat(hashes));
                at += hashes + 1;
                while at < letters.len() && !starts(at, &end) {
                    at += 1;
                }
                at += end.len();
            } else {
                found.push(letters[start..at].iter().collect());
            }
        } else if letters[at] == '\'' {
            // A letter in quotation marks, or the name of a lifetime.
            at += match (letters.get(at + 1), letters.get(at + 2)) {
                (Some('\\'), _) => 3 + letters[at + 3..].iter().take_while(|letter| **letter != '\'').count(),
                (_, Some('\'')) => 3,
                _ => 1,
            };
        } else {
            at += if starts(at, "::") { 2 } else { 1 };
            if !letters[start].is_whitespace() {
                found.push(letters[start..at].iter().collect());
            }
        }
    }
    found
}

/// Where the block ends that begins at a brace.
fn block_end(code: &[String], start: usize) -> usize {
    let mut depth = 0;
    for (at, token) in code.iter().enumerate().skip(start) {
        depth += i32::from(token == "{") - i32::from(token == "}");
        if depth == 0 {
            return at;
        }
    }
    code.len()
}

/// Takes the unit tests out of a file's code; gives the names of those that are files of their own.
fn without_tests(code: Vec<String>) -> (Vec<String>, Vec<String>) {
    let (mut rest, mut apart, mut at) = (Vec::new(), Vec::new(), 0);
    while at < code.len() {
        if code[at..].iter().map(String::as_str).take(8).eq(["#", "[", "cfg", "(", "test", ")", "]", "mod"]) {
            if code.get(at + 9).is_some_and(|token| token == ";") {
                apart.push(code[at + 8].clone());
                at += 10;
            } else {
                at = block_end(&code, at + 9) + 1;
            }
        } else {
            rest.push(code[at].clone());
            at += 1;
        }
    }
    (rest, apart)
}

/// The paths in the tree of a `use`, from behind that word on; and where it ends.
fn use_tree(code: &[String], mut at: usize, before: &[String], out: &mut Vec<Place>) -> usize {
    let mut path = before.to_vec();
    while at < code.len() {
        match code[at].as_str() {
            "{" => {
                at += 1;
                while at < code.len() && code[at] != "}" {
                    at = use_tree(code, at, &path, out);
                    at += usize::from(code.get(at).is_some_and(|token| token == ","));
                }
                return at + 1;
            }
            "," | "}" | ";" => break,
            "as" => at += 2,
            "::" => at += 1,
            word => {
                path.push(word.to_owned());
                at += 1;
            }
        }
    }
    out.push(path);
    at
}

/// The paths that a file names, each with the module in braces that it stands in.
fn paths(code: &[String]) -> Vec<(Place, Place)> {
    let (mut found, mut inside, mut at) = (Vec::new(), Vec::<(String, usize)>::new(), 0);
    while at < code.len() {
        inside.retain(|(_, end)| at < *end);
        let next = |n: usize| code.get(at + n).map(String::as_str);
        let mut here = Vec::new();
        if code[at] == "mod" && next(2) == Some("{") {
            inside.push((code[at + 1].clone(), block_end(code, at + 2)));
            at += 3;
        } else if code[at] == "use" {
            at = use_tree(code, at + 1, &[], &mut here);
        } else if next(1) == Some("::") {
            let mut path = vec![code[at].clone()];
            at += 1;
            while code.get(at).is_some_and(|token| token == "::") && at + 1 < code.len() {
                path.push(code[at + 1].clone());
                at += 2;
            }
            here.push(path);
        } else {
            at += 1;
        }
        found.extend(here.into_iter().map(|path| (inside.iter().map(|(name, _)| name.clone()).collect(), path)));
    }
    found
}

/// The module that a path leads to, as seen from a place in a module.
fn target(modules: &BTreeSet<Place>, from: &[String], path: &[String]) -> Option<Place> {
    let mut base = from.to_vec();
    let mut rest = path;
    match path.first()?.as_str() {
        "crate" => {
            base.clear();
            rest = &path[1..];
        }
        "self" => rest = &path[1..],
        "super" => {
            while rest.first().is_some_and(|word| word == "super") {
                base.pop()?;
                rest = &rest[1..];
            }
        }
        // Otherwise it is a module below this one, or nothing of this crate.
        child => {
            let below = [from, &[child.to_owned()]].concat();
            modules.get(&below)?;
        }
    }
    let whole = [&base[..], rest].concat();
    (0..=whole.len()).rev().map(|length| whole[..length].to_vec()).find(|place| modules.contains(place))
}

/// Which module uses which, of a crate's sources.
fn uses(sources: &[(Place, String)]) -> BTreeMap<Place, BTreeSet<Place>> {
    let mut code = BTreeMap::new();
    let mut tests = BTreeSet::new();
    for (place, source) in sources {
        let (rest, apart) = without_tests(tokens(source));
        tests.extend(apart.into_iter().map(|name| [&place[..], &[name]].concat()));
        code.insert(place.clone(), rest);
    }
    code.retain(|place, _| !tests.contains(place));
    let modules: BTreeSet<_> = code.keys().cloned().collect();
    let edges = code.into_iter().map(|(place, code)| {
        let named = paths(&code).into_iter();
        let mut used: BTreeSet<_> =
            named.filter_map(|(inside, path)| target(&modules, &[place.clone(), inside].concat(), &path)).collect();
        used.remove(&place);
        (place, used)
    });
    edges.collect()
}

/// The circles: for each module in one, the shortest way from it back to itself, each told once.
fn circles(uses: &BTreeMap<Place, BTreeSet<Place>>) -> Vec<String> {
    let mut told = BTreeMap::new();
    for start in uses.keys() {
        let mut waiting = VecDeque::from([vec![start]]);
        let mut seen = BTreeSet::new();
        while let Some(way) = waiting.pop_front() {
            let Some(used) = way.last().and_then(|last| uses.get(*last)) else { continue };
            if used.contains(start) {
                let members: BTreeSet<_> = way.iter().copied().collect();
                let names: Vec<_> = way.iter().chain([&start]).map(|place| name(place)).collect();
                told.entry(members).or_insert(names.join(" -> "));
                break;
            }
            waiting.extend(used.iter().filter(|next| seen.insert(*next)).map(|next| [&way[..], &[next]].concat()));
        }
    }
    told.into_values().collect()
}

fn name(place: &[String]) -> String {
    if place.is_empty() { "the root".into() } else { place.join("::") }
}

/// The sources of the crate in a folder.
fn sources(folder: &Path) -> Vec<(Place, String)> {
    let place = |path: &Path| {
        let inside = path.strip_prefix(folder).expect("a file below the folder").with_extension("");
        let mut names: Place = inside.iter().map(|name| name.to_string_lossy().into_owned()).collect();
        names.pop_if(|last| ["mod", "lib", "main"].contains(&last.as_str()));
        names
    };
    files(folder, &["rs"]).iter().map(|path| (place(path), fs::read_to_string(path).expect("a text"))).collect()
}

#[test]
fn no_module_needs_itself() {
    let mut found = Vec::new();
    for folder in ["src", "xtask/src"] {
        let uses = uses(&sources(Path::new(folder)));
        assert!(uses.values().any(|used| !used.is_empty()), "{folder} has no modules that use others");
        found.extend(circles(&uses).into_iter().map(|circle| format!("{folder}: {circle}")));
    }
    assert!(found.is_empty(), "circles:\n{}", found.join("\n"));
}

#[test]
fn no_source_is_too_long() {
    let mut long = Vec::new();
    for path in ["src", "py", "xtask/src"].iter().flat_map(|folder| files(Path::new(folder), &["rs", "py"])) {
        let lines = fs::read_to_string(&path).expect("a text").lines().count();
        if lines > LINES {
            long.push(format!("{}: {lines} lines", path.display()));
        }
    }
    assert!(long.is_empty(), "files of more than {LINES} lines:\n{}", long.join("\n"));
}

/// What `circles` says of small files.
fn told(files: &[(&str, &str)]) -> Vec<String> {
    let place = |path: &str| path.split("::").filter(|name| !name.is_empty()).map(str::to_owned).collect();
    circles(&uses(&files.iter().map(|(path, source)| (place(path), (*source).to_owned())).collect::<Vec<_>>()))
}

#[test]
fn circles_are_found() {
    assert_eq!(told(&[("a", "use crate::b::f;"), ("b", "fn g() { crate::a::f() }")]), ["a -> b -> a"]);
    assert_eq!(
        told(&[("x::a", "use super::{b::{self, f}, c};"), ("x::b", ""), ("x::c", "use super::a as d;")]),
        ["x::a -> x::c -> x::a"]
    );
    assert_eq!(
        told(&[("a", "use crate::{b, c};"), ("b", "use crate::c;"), ("c", "use crate::d;"), ("d", "use crate::b;")]),
        ["b -> c -> d -> b"]
    );
    // A folder's own file is a module like others, and so is the root.
    assert_eq!(told(&[("x", "mod a; pub use a::f;"), ("x::a", "use super::T;")]), ["x -> x::a -> x"]);
    assert_eq!(told(&[("", "use a::f;"), ("a", "use crate::text;")]), ["the root -> a -> the root"]);
    assert_eq!(told(&[("a", "mod inner { use super::super::b; }"), ("b", "use crate::a;")]), ["a -> b -> a"]);
}

#[test]
fn what_is_no_circle_is_none() {
    assert_eq!(told(&[("", "mod a; mod b;"), ("a", "use crate::b;"), ("b", "mod inner { use super::T; }")]), [""; 0]);
    // Comments, texts and tests do not count, wherever they are.
    let quiet = "// crate::a\n/* use crate::a; /* */ crate::a */ const T: &str = \"\\\"crate::a\"; fn f<'a>(_: &'a str) { 'x'; '\\''; r#\"crate::a\"\"#; }";
    assert_eq!(told(&[("a", "use crate::b;"), ("b", quiet)]), [""; 0]);
    assert_eq!(told(&[("a", "use crate::b;"), ("b", "#[cfg(test)] mod tests { use crate::a; }")]), [""; 0]);
    assert_eq!(
        told(&[("a", "use crate::b;"), ("b", "#[cfg(test)] mod tests;"), ("b::tests", "use super::*; use crate::a;")]),
        [""; 0]
    );
    // Another crate's module of the same name.
    assert_eq!(told(&[("a", "use crate::b;"), ("b", "use a::f; use std::a;")]), [""; 0]);
}
