//! The first inputs of a fuzzer: the transcripts for the session's target, and their words for the other targets.

use super::session::event;
use crate::host::unescape;
use ftpdlite::protocol::command::COMMANDS;
use std::path::Path;

/// Bytes that the client sends, as events.
fn sends(bytes: &[u8], events: &mut Vec<u8>) {
    for piece in bytes.chunks(255) {
        events.extend([event::SENDS, piece.len() as u8]);
        events.extend(piece);
    }
}

/// A transcript as an input for the session's target.
fn script(text: &str) -> Vec<u8> {
    let (mut flags, mut tls) = (0u8, 0u8);
    let mut events = Vec::new();
    for line in text.lines() {
        let (kind, rest) = line.split_once(' ').unwrap_or((line, ""));
        match (kind, rest) {
            ("@config", "allow_foreign_data=True") => flags |= 2,
            ("@config", "atomic_uploads=False") => flags |= 4,
            ("@config", "sets_times=True") => flags |= 8,
            ("@config", "tls=optional") => tls = 1,
            ("@config", "tls=required") => tls = 2,
            ("@login", who) => events.extend([event::LOGS_IN, u8::from(who == "guest")]),
            ("C:", _) => {
                let me = if rest.starts_with("EPRT") { "|1|127.0.0.1|50000|" } else { "127,0,0,1,195,80" };
                sends(&[&unescape(&rest.replace("<me>", me))[..], b"\r\n"].concat(), &mut events);
            }
            ("C~", _) => sends(&unescape(rest), &mut events),
            // The data connection is open, and the transfer has moved its bytes.
            ("S:", reply) if reply.starts_with("150") => events.extend([event::CONNECTED, event::MOVED, 9]),
            ("S:", reply) if reply.starts_with("226") => events.extend([event::FINISHED, 0]),
            ("S:", reply) if reply.starts_with("425 Can't") => events.extend([event::FINISHED, 1]),
            ("S:", reply) if reply.starts_with("426") => events.extend([event::FINISHED, 2]),
            _ => {}
        }
    }
    let mut input = vec![flags, tls, 0, 0, 0];
    input.extend(events);
    input
}

/// Inputs for the target with that name, made from the transcripts in that folder.
///
/// # Panics
/// When the transcripts cannot be read.
pub fn seeds(target: &str, transcripts: &Path) -> Vec<Vec<u8>> {
    let mut texts: Vec<_> = std::fs::read_dir(transcripts)
        .expect("the transcripts")
        .map(|entry| std::fs::read_to_string(entry.expect("a transcript").path()).expect("a transcript"))
        .collect();
    texts.sort();
    if target == "session" {
        let scripts = texts.iter().map(|text| script(text));
        // The same again, with transfers that do not end at once when they are cut.
        let late = |input: Vec<u8>| [vec![input[0] | 64], input[1..].to_vec()].concat();
        return scripts.clone().chain(scripts.map(late)).collect();
    }
    let lines = texts.iter().flat_map(|text| text.lines()).filter_map(|line| line.strip_prefix("C: "));
    let mut found: Vec<Vec<u8>> = lines.map(unescape).collect();
    let arguments: Vec<Vec<u8>> = found
        .iter()
        .filter_map(|line| Some(line.get(line.iter().position(|&byte| byte == b' ')? + 1..)?.to_vec()))
        .collect();
    if target == "addresses" {
        found = vec![b"127.0.0.1".to_vec(), b"::1".to_vec(), b"fe80::1%eth0".to_vec(), b"::ffff:1.2.3.4".to_vec()];
    }
    found.extend(arguments.iter().cloned());
    if matches!(target, "paths" | "globs") {
        let pairs = arguments.windows(2).map(|pair| [&pair[0][..], b"\n", &pair[1]].concat());
        found.extend(pairs);
    }
    found.sort();
    found.dedup();
    found
}

/// Words from which a fuzzer builds inputs, in the form of libFuzzer's `-dict`.
pub fn dictionary() -> String {
    let mut words: Vec<String> =
        COMMANDS.iter().map(|command| String::from_utf8_lossy(command.name()).into()).collect();
    let others = "tester secret guest /pub hello.txt .. . -la UTF8\\x20ON TLS P C 0 127,0,0,1,195,80 |1|127.0.0.1|50000| |2|::1|50000| ALL MLST\\x20type; \
                  20240102030405 .ftpdlite-1 ~1.FTP FTPDLI~1.TO *.txt [a-z] \\x0d\\x0a \\xff\\xf4\\xff\\xf2 KICK WHO HASHPASS DF FREE";
    words.extend(others.split_whitespace().map(String::from));
    words.iter().map(|word| format!("\"{word}\"\n")).collect()
}
