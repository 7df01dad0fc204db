//! The table of texts that `src/protocol/texts.rs` reads: every `text!("...")` of the protocol's sources once, packed. As long as it pays, the two letters
//! that stand beside each other most often get a byte of their own, which takes part in further pairs (byte pair encoding).

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

const FOLDER: &str = "src/protocol";
const START: &str = "text!(\"";
/// How many texts are found by one entry of the index.
const GROUP: usize = 8;
/// Bytes for pairs, from 0x80.
const PAIRS: usize = 128;
/// What ends a text, and what ends one with a dot.
const END: u8 = 0;
const DOT: u8 = 1;

/// Writes the table to OUT_DIR.
pub fn build() {
    println!("cargo::rerun-if-changed={FOLDER}");
    println!("cargo::rerun-if-changed=build");
    let mut literals = vec![String::new()];
    for path in sources(Path::new(FOLDER)) {
        let source = fs::read_to_string(&path).expect("a source can be read");
        for part in source.split(START).skip(1) {
            let literal = literal(part).to_owned();
            if !literals.contains(&literal) {
                literals.push(literal);
            }
        }
    }
    assert!(literals.len() < 256, "a text's number has one byte");
    let mut texts: Vec<Vec<u8>> = literals.iter().map(|literal| packable(literal)).collect();
    let pairs = pack(&mut texts);
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo tells OUT_DIR")).join("texts.rs");
    fs::write(out, table(&literals, &texts, &pairs)).expect("OUT_DIR can be written");
}

/// The sources in a folder and those below, in the order of their names, which is the same everywhere.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(folder).expect("a folder can be read").flatten().map(|e| e.path()).collect();
    paths.sort();
    paths.into_iter().flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
}

/// A literal as the source has it, up to its closing quote.
fn literal(source: &str) -> &str {
    let mut escaped = false;
    let end = source.find(|letter| {
        let closes = letter == '"' && !escaped;
        escaped = letter == '\\' && !escaped;
        closes
    });
    &source[..end.expect("a literal has an end")]
}

/// The bytes of a literal, with its end.
fn packable(literal: &str) -> Vec<u8> {
    let text = literal.replace("\\r", "\r").replace("\\n", "\n").replace("\\\"", "\"");
    let is_plain = text.bytes().all(|byte| byte > DOT && byte < 0x80 && byte != b'\\');
    assert!(is_plain, "\"{literal}\" has more than ASCII and the escapes for line ends and quotes");
    let mut bytes = text.into_bytes();
    let end = if bytes.pop_if(|last| *last == b'.').is_some() { DOT } else { END };
    bytes.push(end);
    bytes
}

/// Puts bytes in the place of pairs; gives the pairs.
fn pack(texts: &mut [Vec<u8>]) -> Vec<[u8; 2]> {
    let mut pairs = Vec::new();
    while pairs.len() < PAIRS {
        let mut counts = BTreeMap::new();
        for text in texts.iter() {
            let mut at = 0;
            while let Some(&[first, second]) = text.get(at..at + 2) {
                if second > DOT {
                    *counts.entry([first, second]).or_insert(0) += 1;
                }
                // Of three letters that are the same, only one pair can be made.
                at += if text.get(at + 2) == Some(&second) && first == second { 2 } else { 1 };
            }
        }
        // The pair itself takes two bytes.
        let Some((&pair, _)) = counts.iter().filter(|&(_, &count)| count > 2).max_by_key(|&(_, &count)| count) else {
            break;
        };
        let byte = 0x80 + pairs.len() as u8;
        for text in texts.iter_mut() {
            let mut at = 0;
            while at + 1 < text.len() {
                if text[at..at + 2] == pair {
                    text.splice(at..at + 2, [byte]);
                }
                at += 1;
            }
        }
        pairs.push(pair);
    }
    pairs
}

/// The source that is included.
fn table(literals: &[String], texts: &[Vec<u8>], pairs: &[[u8; 2]]) -> String {
    let packed = texts.concat();
    let starts = (0..texts.len()).step_by(GROUP).map(|first| texts[..first].concat().len() as u16);
    let groups: Vec<[u8; 2]> = starts.map(u16::to_le_bytes).collect();
    let mut source = String::from("macro_rules! text {\n");
    for (index, literal) in literals.iter().enumerate() {
        let number = index + 1;
        writeln!(source, "    (\"{literal}\") => {{ const {{ $crate::protocol::texts::Text::numbered({number}) }} }};")
            .unwrap();
    }
    source
        + &format!(
            "}}\nconst DOT: u8 = {DOT};\nconst GROUP: usize = {GROUP};\nconst PAIRS: [[u8; 2]; {}] = {pairs:?};\n\
         const GROUPS: [[u8; 2]; {}] = {groups:?};\nconst PACKED: [u8; {}] = {packed:?};\n",
            pairs.len(),
            groups.len(),
            packed.len()
        )
}
