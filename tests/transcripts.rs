//! Plays the golden transcripts against the sans-IO core with a file system in memory.
//!
//! The format is described in `tests/transcripts/README.md`; the end-to-end suite plays the same files against the real server.

mod host;

use host::{Host, unescape};
use std::path::Path;

/// How many bytes at the start of the line a placeholder stands for; 0 is none.
type Length = fn(&[u8]) -> usize;

fn count(line: &[u8], fits: impl Fn(&u8) -> bool) -> usize {
    line.iter().take_while(|byte| fits(byte)).count()
}

fn digits(line: &[u8]) -> usize {
    count(line, u8::is_ascii_digit)
}

/// Two decimal numbers with a comma between.
fn pair(line: &[u8]) -> usize {
    let first = digits(line);
    match line.get(first..).and_then(|rest| rest.strip_prefix(b",")).map(digits) {
        Some(second) if first > 0 && second > 0 => first + 1 + second,
        _ => 0,
    }
}

const PLACEHOLDERS: [(&[u8], Length); 7] = [
    (b"<n>", digits),
    (b"<port>", digits),
    (b"<p1,p2>", pair),
    (b"<stamp>", |line| if digits(line) == 14 { 14 } else { 0 }),
    (b"<date>", |line| if line.len() >= 12 { 12 } else { 0 }),
    (b"<hex>", |line| count(line, u8::is_ascii_hexdigit)),
    (b"<any>", |line| line.len()),
];

/// Whether `line` is what `pattern` with its placeholders says.
fn matches(pattern: &[u8], line: &[u8]) -> bool {
    for (name, length) in PLACEHOLDERS {
        if let Some(rest) = pattern.strip_prefix(name) {
            let length = length(line);
            return length > 0 && matches(rest, &line[length..]);
        }
    }
    match (pattern, line) {
        ([], []) => true,
        ([wanted, pattern @ ..], [got, line @ ..]) => wanted == got && matches(pattern, line),
        _ => false,
    }
}

fn play(path: &Path, fixture: &str) -> Result<(), String> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut host = Host::new(fixture);
    let mut lines = text.lines().enumerate().peekable();
    while let Some((number, line)) = lines.next() {
        let number = number + 1;
        let fail = |what: String| Err(format!("{}:{number}: {line}\n    {what}", path.display()));
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (kind, rest) = line.split_once(' ').unwrap_or((line, ""));
        let bytes = unescape(rest);
        if !matches!(kind, "D>" | "@drop-data") {
            host.end_upload();
        }
        match kind {
            "@login" => {
                let account = if rest == "guest" { "guest:guest" } else { "tester:secret" };
                let (user, password) = account.split_once(':').unwrap();
                host.send(format!("USER {user}\r\nPASS {password}\r\n").as_bytes());
                for _ in 0..3 {
                    if host.line().is_none() {
                        return fail("no login".into());
                    }
                }
            }
            "@greeting" => match host.line() {
                Some(line) if line.starts_with(b"220 ") => {}
                other => return fail(format!("greeting was {other:?}")),
            },
            "@config" => host.configure(rest),
            "@noconnect" => host.connects = false,
            "@drop-data" => host.drop_data(),
            "@exists" if host.files.stat(&bytes).is_err() => return fail("is not there".into()),
            "@missing" if host.files.stat(&bytes).is_ok() => return fail("is there".into()),
            "@exists" | "@missing" => {}
            "@content" => {
                let (name, content) = rest.split_once(' ').unwrap_or((rest, ""));
                let found = host.files.content(&unescape(name));
                if found != Some(unescape(content)) {
                    return fail(format!(
                        "holds {:?}",
                        found.map(|found| String::from_utf8_lossy(&found).into_owned())
                    ));
                }
            }
            "C:" => host.send(&[&unescape(&rest.replace("<me>", host.own_address(rest)))[..], b"\r\n"].concat()),
            "C~" => host.send(&bytes),
            "S:" if rest == "<eof>" => {
                if let Some(line) = host.line() {
                    return fail(format!("got {:?}", String::from_utf8_lossy(&line)));
                }
                if !host.closed {
                    return fail("the connection is open".into());
                }
            }
            "S:" => match host.line() {
                Some(line) if matches(&bytes, &line) => {}
                Some(line) => return fail(format!("got {:?}", String::from_utf8_lossy(&line))),
                None => return fail("got nothing".into()),
            },
            "D>" if host.upload(&bytes) => {}
            "D>" => return fail("no upload is under way".into()),
            "D<" => {
                let expected = [&bytes[..], b"\r\n"].concat();
                let got = host.download_line();
                if !matches(&expected, &got) {
                    return fail(format!("got {:?}", String::from_utf8_lossy(&got)));
                }
            }
            "D<~" => {
                let got = host.download(bytes.len());
                if got != bytes {
                    return fail(format!("got {:?}", String::from_utf8_lossy(&got)));
                }
            }
            "D*" => {
                let mut wanted = vec![bytes];
                while let Some((_, next)) = lines.next_if(|(_, line)| line.starts_with("D* ")) {
                    wanted.push(unescape(&next[3..]));
                }
                for _ in 0..wanted.len() {
                    let got = host.download_line();
                    let line = got.strip_suffix(b"\r\n").unwrap_or(&got);
                    match wanted.iter().position(|pattern| matches(pattern, line)) {
                        Some(at) => drop(wanted.remove(at)),
                        None => return fail(format!("got {:?}", String::from_utf8_lossy(&got))),
                    }
                }
            }
            _ => return fail("is no line of a transcript".into()),
        }
        let more = lines.peek().is_some_and(|(_, line)| line.starts_with("D<") || line.starts_with("D*"));
        if (kind.starts_with("D<") || kind == "D*") && !more && !host.downloaded.is_empty() {
            return fail(format!("more came: {:?}", String::from_utf8_lossy(&host.downloaded)));
        }
    }
    match host.line() {
        Some(line) => Err(format!("{}: at the end came {:?}", path.display(), String::from_utf8_lossy(&line))),
        None => Ok(()),
    }
}

/// What miri plays, which takes seconds for each: something of most files of `src/protocol/session`.
const FOR_MIRI: &[&str] = &["append", "avbl", "delete", "help", "login-failures", "mlsd", "tls-downgrade"];

#[test]
fn transcripts() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let fixture = std::fs::read_to_string(folder.join("fixture.txt")).unwrap();
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "txt"))
        .filter(|path| path.file_name().unwrap() != "fixture.txt")
        .filter(|path| !cfg!(miri) || FOR_MIRI.iter().any(|name| path.file_stem().unwrap() == *name))
        .collect();
    files.sort();
    assert!(files.len() >= FOR_MIRI.len(), "transcripts are missing");
    let failures: Vec<_> = files.iter().filter_map(|path| play(path, &fixture).err()).collect();
    assert!(failures.is_empty(), "{} of {} failed:\n{}", failures.len(), files.len(), failures.join("\n"));
}

#[test]
fn placeholders_match_what_they_say_and_no_more() {
    for (pattern, line, expected) in [
        ("229 (|||<port>|)", "229 (|||49152|)", true),
        ("229 (|||<port>|)", "229 (||||)", false),
        ("227 (127,0,0,1,<p1,p2>).", "227 (127,0,0,1,192,7).", true),
        ("213 <stamp>", "213 20240102030405", true),
        ("213 <stamp>", "213 2024010203040", false),
        ("211 <any>", "211 x", true),
        ("214 Syntax: RETR <SP> pathname", "214 Syntax: RETR <SP> pathname", true),
        ("<date> x", "Jan  1  2001 x", true),
    ] {
        assert_eq!(matches(pattern.as_bytes(), line.as_bytes()), expected, "{pattern}");
    }
}
