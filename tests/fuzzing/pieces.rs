//! Targets for the parsers, paths, globs, lines of listings and the conversion. Each compares the core with another way to do the same, or with a rule.

use arbitrary::Unstructured;
use ftpdlite::protocol::address::{
    Endpoint, Ip, from_sockaddr, parse_eprt, parse_epsv, parse_ip, parse_port, write_passive,
};
use ftpdlite::protocol::arguments::{
    is_letter, list_path, parse_allo, parse_offset, parse_opts, parse_type, parse_utime, split_time, unquote,
};
use ftpdlite::protocol::listing::{Entry, Facts, Kind, Permission, facts_line, list_line, name_line};
use ftpdlite::protocol::path::{self, Path, PathError};
use ftpdlite::protocol::tables::TABLES;
use ftpdlite::protocol::writer::Writer;
use ftpdlite::protocol::{ascii as conversion, command, glob, time};
use std::net::IpAddr;

/// What `write` writes.
fn written(write: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut buffer = [0; 2048];
    let mut out = Writer::new(&mut buffer);
    write(&mut out);
    assert!(!out.overflowed());
    out.bytes().to_vec()
}

fn is_part(part: &[u8], whole: &[u8]) -> bool {
    part.is_empty() || whole.windows(part.len()).any(|window| window == part)
}

/// A line, and the arguments behind a verb.
pub fn commands(bytes: &[u8]) {
    if let Some((verb, argument)) = command::parse(bytes) {
        let blank = usize::from(bytes.len() > verb.len());
        assert_eq!(verb.len() + blank + argument.len(), bytes.len());
        if let Some(found) = TABLES.find(verb) {
            assert!(found.name().eq_ignore_ascii_case(verb));
        }
    }
    let _ = (parse_type(bytes), is_letter(b'S', bytes), parse_opts(bytes), parse_epsv(bytes));
    let text = std::str::from_utf8(bytes).unwrap_or("x");
    if let Some(number) = parse_offset(bytes) {
        assert_eq!(text.trim().parse(), Ok(number));
    }
    if let Some(size) = parse_allo(bytes) {
        assert!(text.trim_start().starts_with(|digit: char| digit.is_ascii_digit()), "{size} of {text}");
    }
    for path in [Some(list_path(bytes).0), Some(unquote(bytes)), split_time(bytes).map(|(_, path)| path)] {
        assert!(path.is_none_or(|path| is_part(path, bytes)));
    }
    assert!(parse_utime(bytes).is_none_or(|(_, path)| is_part(path, bytes)));
    if let Some(seconds) = time::parse(bytes) {
        assert_eq!(written(|out| time::write_stamp(seconds, out)), bytes);
    }
}

/// An address as text: in the arguments of PORT and EPRT, and in the form that a socket gives.
pub fn addresses(bytes: &[u8]) {
    let is_same = |ip: Ip, other: IpAddr| match other.to_canonical() {
        IpAddr::V4(address) => ip == Ip::V4(address.octets()),
        IpAddr::V6(address) => ip == Ip::V6(address.octets()),
    };
    let reads_back = |ip: Ip| {
        let text = written(|out| ip.write(out));
        assert_eq!(parse_ip(&text), Some(ip), "{}", text.escape_ascii());
        let parsed: IpAddr = String::from_utf8(text).expect("ASCII").parse().expect("an address");
        assert!(is_same(ip, parsed));
    };
    let text = std::str::from_utf8(bytes).ok();
    let known: Option<IpAddr> = text.and_then(|text| text.split('%').next()?.parse().ok());
    match (parse_ip(bytes), known) {
        (Some(ip), known) => {
            reads_back(ip);
            // The core reads a number with leading zeros as decimal. The other parser refuses it.
            assert!(known.is_none_or(|known| is_same(ip, known)), "{}", bytes.escape_ascii());
        }
        (None, Some(known)) if text.is_some_and(|text| !text.contains('%')) => {
            panic!("{known} is not understood");
        }
        _ => {}
    }
    if let Some(Endpoint { ip: Ip::V4(ip), port }) = parse_port(bytes) {
        let again = written(|out| write_passive(ip, port, out));
        assert_eq!(parse_port(&again), Some(Endpoint { ip: Ip::V4(ip), port }));
    }
    if let Ok(endpoint) = parse_eprt(bytes) {
        reads_back(endpoint.ip);
    }
    if let Some(endpoint) = from_sockaddr(bytes) {
        reads_back(endpoint.ip);
    }
}

/// Another way to do `path::resolve`.
fn resolved(cwd: &[u8], argument: &[u8]) -> Vec<u8> {
    let start = if argument.starts_with(b"/") { &b""[..] } else { cwd };
    let whole = [start, b"/", argument].concat();
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in whole.split(|&byte| byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    [b"/", &parts.join(&b'/')[..]].concat()
}

/// Whether a path is absolute and names nothing above the root, whoever reads it.
pub fn is_normal(path: &[u8]) -> bool {
    let parts = path.strip_prefix(b"/").map(|rest| rest.split(|&byte| byte == b'/'));
    let is_plain = |part: &[u8]| !matches!(part, b"" | b"." | b"..") && part.len() <= path::NAME_MAX;
    let is_allowed = |&byte: &u8| byte >= b' ' && byte != 0x7f && byte != b'\\';
    path.len() <= path::PATH_MAX
        && path.iter().all(is_allowed)
        && (path == b"/" || parts.is_some_and(|mut parts| parts.all(is_plain)))
}

/// Two paths, one after the other: where they lead, and whether they may be the same file.
pub fn paths(bytes: &[u8]) {
    let mut words = bytes.splitn(2, |&byte| byte == b'\n');
    let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (mut cwd, mut out) = (Path::new(), Path::new());
    if path::resolve(b"/", first, &mut cwd).is_err() {
        return;
    }
    assert!(is_normal(&cwd) && is_normal(path::parent(&cwd)));
    assert_eq!(path::overlap(&cwd, &cwd), cwd.len());
    let expected = resolved(&cwd, second);
    match path::resolve(&cwd, second, &mut out) {
        Ok(()) => assert_eq!(&out[..], &expected[..]),
        Err(PathError::NotAllowed) => {
            assert!(!is_normal(
                &[&b"/x"[..], &second.iter().copied().filter(|&byte| byte != b'/').collect::<Vec<_>>()].concat()
            ));
            return;
        }
        Err(PathError::TooLong) => {
            let has_long_name = second.split(|&byte| byte == b'/').any(|name| name.len() > path::NAME_MAX);
            assert!(has_long_name || cwd.len() + second.len() + 1 > path::PATH_MAX);
            return;
        }
    }
    assert!(is_normal(&out));
    let rejoined = [path::parent(&out), if path::parent(&out) == b"/" { b"" } else { b"/" }, path::name(&out)].concat();
    assert_eq!(&out[..], &rejoined[..]);
    let common = path::overlap(&cwd, &out);
    assert!(common <= out.len() && (common == out.len() || out[common] == b'/' || &cwd[..] == b"/"));
    let below = [&cwd[..], if &cwd[..] == b"/" { b"" } else { b"/" }].concat();
    assert!(common > 0 || !out.starts_with(&below) || &cwd[..] == b"/");
    // The answer depends neither on the order of the two paths nor on case.
    let same = common == out.len();
    assert_eq!(same, path::overlap(&out, &cwd) == cwd.len());
    assert_eq!(path::overlap(&cwd.to_ascii_uppercase(), &out.to_ascii_lowercase()), common);
    let mut unfinished = Path::new();
    for owner in [0, u32::MAX] {
        path::unfinished(owner, 7, &mut unfinished);
        assert!(path::is_unfinished(&unfinished) && path::is_reserved(&unfinished) && !unfinished.contains(&b'/'));
    }
}

/// Another way to do `glob::matches`, for patterns without brackets: it tries everything and remembers nothing.
fn matched(pattern: &[u8], name: &[u8], patience: &mut u32) -> Option<bool> {
    *patience = patience.checked_sub(1)?;
    let is_continuation = |byte: u8| byte & 0xc0 == 0x80;
    let next = |name: &[u8]| 1 + name.iter().skip(1).take_while(|&&byte| is_continuation(byte)).count();
    Some(match (pattern, name) {
        ([], []) => true,
        ([b'*', rest @ ..], []) => matched(rest, name, patience)?,
        ([b'*', rest @ ..], _) => matched(rest, name, patience)? || matched(pattern, &name[1..], patience)?,
        ([b'?', rest @ ..], [first, ..]) if !is_continuation(*first) => matched(rest, &name[next(name)..], patience)?,
        ([literal, rest @ ..], [byte, name @ ..]) if literal == byte => matched(rest, name, patience)?,
        _ => false,
    })
}

/// A pattern and a name, each on a line.
pub fn globs(bytes: &[u8]) {
    let mut words = bytes.splitn(2, |&byte| byte == b'\n');
    let (pattern, name) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let found = glob::matches(pattern, name);
    if !pattern.contains(&b'[')
        && let Some(expected) = matched(pattern, name, &mut 20_000)
    {
        assert_eq!(found, expected, "{} {}", pattern.escape_ascii(), name.escape_ascii());
    }
    if !glob::has_glob(pattern) {
        assert_eq!(found, pattern == name);
    }
    assert!(glob::matches(b"*", name));
    assert!(!found || glob::matches(&[pattern, b"*"].concat(), name));
}

/// One entry of a directory with any values, in all forms, and in a buffer that is too small.
pub fn listings(bytes: &[u8]) {
    let mut input = Unstructured::new(bytes);
    let mut number = || input.arbitrary::<u64>().unwrap_or_default();
    let (size, modified, now, unique, bits) = (number(), number() as u32, number() as u32, number(), number() as u8);
    let name = input.take_rest();
    let directory = bits & 1 != 0;
    let facts = Facts::parse(name);
    let permission = Permission::from_bits(bits >> 2);
    let kind =
        if directory { [Kind::Directory, Kind::Current, Kind::Parent][usize::from(bits >> 6) % 3] } else { Kind::File };
    let entry = Entry { name, kind, size, modified, unique: if bits & 2 != 0 { unique } else { 0 } };
    let forms: [&dyn Fn(&mut Writer<'_>); 4] = [
        &|out| list_line(&entry, now, out),
        &|out| name_line(b"", name, out),
        &|out| facts_line(&entry, facts, permission, out),
        &|out| facts_line(&entry, Facts::ALL, permission, out),
    ];
    for form in forms {
        let mut buffer = vec![0; name.len() + 200];
        let mut out = Writer::new(&mut buffer);
        form(&mut out);
        assert!(!out.overflowed());
        let line = out.bytes().strip_suffix(b"\r\n").expect("a line ends in CRLF").to_vec();
        assert!(line.iter().all(|&byte| byte >= b' ' && byte != 0x7f || byte == b'\t'));
        let shown: Vec<u8> = line[line.len() - name.len()..].to_vec();
        assert!(shown.iter().zip(name).all(|(&shown, &byte)| shown == byte || shown == b'?'));
        // The writer notices what does not fit, and writes nothing behind the buffer.
        let room = usize::from(bits) % (line.len() + 2);
        let mut small = vec![0; room];
        let mut out = Writer::new(&mut small);
        form(&mut out);
        assert!(out.overflowed());
    }
    let line = written(|out| list_line(&Entry { name: b"n", ..entry }, now, out));
    // `ls -l`: nine words, however large the file is.
    assert_eq!(line.split(|&byte| byte == b' ').filter(|word| !word.is_empty()).count(), 9, "{}", line.escape_ascii());
}

/// A file that goes to the client and comes back, with the sizes of the buffers and of the pieces.
pub fn ascii(bytes: &[u8]) {
    let mut input = Unstructured::new(bytes);
    let mut size = || usize::from(input.arbitrary::<u8>().unwrap_or_default());
    let (sending, taking, piece, other) = (size() % 100 + 2, size() % 100 + 2, size() % 50 + 1, size() % 7 + 1);
    let file = input.take_rest();
    let mut wire = Vec::new();
    let mut buffer = vec![0; sending];
    let mut rest = file;
    while !rest.is_empty() {
        let space = conversion::source(&mut buffer);
        let count = space.len().min(rest.len()).min(piece);
        space[..count].copy_from_slice(&rest[..count]);
        rest = &rest[count..];
        let filled = conversion::fill(&mut buffer, count);
        wire.extend_from_slice(&buffer[..filled]);
    }
    let expected = file.iter().flat_map(|&byte| if byte == b'\n' { vec![b'\r', b'\n'] } else { vec![byte] });
    assert!(wire.iter().copied().eq(expected));
    let is_inverse = stored(&wire, taking, piece, other);
    assert_eq!(is_inverse, file);
    // A client may also send bytes that no server would send.
    let lines = bytes.iter().fold(Vec::new(), |mut lines, &byte| {
        if byte == b'\n' && lines.last() == Some(&b'\r') {
            lines.pop();
        }
        lines.push(byte);
        lines
    });
    assert_eq!(stored(bytes, taking, piece, other), lines);
}

/// What the pump would write to a file for these bytes.
fn stored(mut wire: &[u8], size: usize, piece: usize, other: usize) -> Vec<u8> {
    let mut buffer = vec![0; size];
    let (mut end, mut file, mut turn) = (0, Vec::new(), 0);
    while !wire.is_empty() {
        turn += 1;
        let count = if turn % 2 == 0 { piece } else { other }.min(wire.len()).min(size - end);
        buffer[end..end + count].copy_from_slice(&wire[..count]);
        wire = &wire[count..];
        end = conversion::take(&mut buffer, end, end + count);
        if end == size {
            let done = conversion::settled(&buffer);
            assert!(done > 0, "the buffer is full and nothing may leave it");
            file.extend_from_slice(&buffer[..done]);
            buffer.copy_within(done.., 0);
            end = size - done;
        }
    }
    file.extend_from_slice(&buffer[..end]);
    file
}
