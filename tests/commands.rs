//! The documents agree with the code about the commands, and each command has a transcript.

use ftpdlite::protocol::command::{COMMANDS, When};
use ftpdlite::protocol::listing::Permission;
use std::collections::HashSet;
use std::fs;

const DOCUMENT: &str = include_str!("../docs/commands.md");
const WORKED: &str = include_str!("../docs/adding-a-command.md");
const NEEDS: [(Permission, &str); 6] = [
    (Permission::NONE, ""),
    (Permission::READ, "read"),
    (Permission::WRITE, "write"),
    (Permission::DELETE, "delete"),
    (Permission::MKDIR, "mkdir"),
    (Permission::RENAME, "rename"),
];

/// The rows of a table below a heading, without its head.
fn rows(heading: &str) -> Vec<Vec<&'static str>> {
    let text = DOCUMENT.split_once(heading).expect("the heading").1.trim_start();
    let table = text.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    table.skip(2).map(|line| line.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

#[test]
fn the_document_has_the_commands_of_the_table() {
    let documented: Vec<_> = rows("# Commands").iter().map(|row| (row[0], row[2], row[3])).collect();
    let table: Vec<_> = COMMANDS
        .iter()
        .map(|command| {
            let needs = NEEDS.iter().find(|(permission, _)| *permission == command.needs()).expect("a permission").1;
            let before = if command.when() == When::Always { "yes" } else { "" };
            (std::str::from_utf8(command.name()).expect("ASCII"), needs, before)
        })
        .collect();
    assert_eq!(documented, table);
}

#[test]
fn the_document_has_the_subcommands_of_site() {
    let transcript = include_str!("transcripts/site.txt");
    let help = transcript.split_once("214-").expect("SITE HELP").1.split_once("214 ").expect("its end").0;
    let told: Vec<_> = help.lines().skip(1).filter_map(|line| line.strip_prefix("S:  ")?.split(' ').next()).collect();
    let documented: Vec<_> = rows("## SITE").iter().map(|row| row[0]).collect();
    assert_eq!(documented, told);
}

#[test]
fn the_worked_example_shows_commands_as_they_are() {
    let mut source = String::new();
    for folder in ["src/protocol", "src/protocol/session"] {
        for file in fs::read_dir(folder).expect("the source").flatten().filter(|entry| entry.path().is_file()) {
            source += &fs::read_to_string(file.path()).expect("a text");
        }
    }
    let lines: HashSet<_> = source.lines().map(str::trim).collect();
    let blocks: Vec<_> = WORKED.split("```").filter_map(|block| block.strip_prefix("rust\n")).collect();
    assert!(blocks.len() > 1, "the document shows no command");
    for line in blocks.iter().flat_map(|block| block.lines()).map(str::trim) {
        assert!(line.starts_with("// ") || lines.contains(line), "{line}");
    }
}

#[test]
fn every_command_has_a_transcript() {
    let mut transcripts = String::new();
    for entry in fs::read_dir("tests/transcripts").expect("the transcripts").flatten() {
        transcripts += &fs::read_to_string(entry.path()).expect("a text").to_uppercase();
    }
    for command in COMMANDS {
        let name = std::str::from_utf8(command.name()).expect("ASCII");
        let is_there = ["\n", " ", "\\R"].iter().any(|end| transcripts.contains(&format!("C: {name}{end}")));
        // @login types these.
        assert!(is_there || ["USER", "PASS"].contains(&name), "no transcript has {name}");
    }
}
