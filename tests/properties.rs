//! Properties of the session as a whole, played against the host in memory.

mod host;

use host::Host;
use proptest::prelude::*;

const FIXTURE: &str = include_str!("transcripts/fixture.txt");

/// Everything the control connection says, with `bytes` arriving in pieces of `piece` bytes.
fn replies(bytes: &[u8], piece: usize) -> Vec<Vec<u8>> {
    let mut host = Host::new(FIXTURE);
    for piece in bytes.chunks(piece.max(1)) {
        host.send(piece);
    }
    std::iter::from_fn(|| host.line()).collect()
}

/// A line of a client that more or less knows FTP.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let verbs = prop::sample::select(
        "USER PASS ACCT REIN PWD CWD CDUP MKD RMD DELE RNFR RNTO TYPE MODE STRU ALLO AVBL PASV EPSV PORT EPRT RETR REST LIST NLST MLSD \
         MLST SIZE MDTM STAT HELP FEAT OPTS SYST NOOP CLNT SITE ABOR XCUP XPWD AUTH PBSZ PROT CCC FOO"
            .split_whitespace()
            .collect::<Vec<_>>(),
    );
    let argument = prop_oneof![
        Just(Vec::new()),
        prop::sample::select(vec![
            "tester",
            "secret",
            "/pub",
            "..",
            "hello.txt",
            "/pub/hello.txt",
            "*",
            "*.txt",
            "-la",
            "A",
            "I",
            "5",
            "99999999999999999999",
            "ALL",
            "127,0,0,1,200,1",
            "|1|127.0.0.1|50000|",
            "UTF8 ON",
            "MLST type;",
            "WHO",
            "HELP",
            "KICK tester",
            "20240102030405 x",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..40),
        (200usize..700).prop_map(|length| vec![b'x'; length]),
    ];
    (verbs, argument, prop::sample::select(vec![&b"\r\n"[..], b"\n"])).prop_map(|(verb, argument, end)| {
        let separator: &[u8] = if argument.is_empty() { b"" } else { b" " };
        [verb.as_bytes(), separator, &argument, end].concat()
    })
}

fn stream() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop_oneof![8 => line(), 1 => prop::collection::vec(any::<u8>(), 0..600)], 0..30)
        .prop_map(|lines| [&b"USER tester\r\nPASS secret\r\nTYPE I\r\n"[..], &lines.concat()].concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_split_into_reads_gives_the_same_replies(bytes in stream(), piece in 1usize..700) {
        prop_assert_eq!(replies(&bytes, piece), replies(&bytes, bytes.len()));
    }

    /// Each line of a reply has a code, or is between two lines that have one (RFC 959 4.2).
    #[test]
    fn every_reply_has_its_form(bytes in stream()) {
        let mut open: Option<Vec<u8>> = None;
        for line in replies(&bytes, 512) {
            prop_assert!(!line.contains(&b'\r') && !line.contains(&b'\n') && !line.contains(&0));
            let code = line.get(..3).filter(|code| code.iter().all(u8::is_ascii_digit)).map(<[u8]>::to_vec);
            match (&open, code, line.get(3)) {
                (None, Some(_), Some(b' ')) => {}
                (None, Some(code), Some(b'-')) => open = Some(code),
                (Some(first), Some(code), Some(b' ')) if *first == code => open = None,
                (Some(_), _, _) => {}
                _ => prop_assert!(false, "{:?}", String::from_utf8_lossy(&line)),
            }
        }
        prop_assert!(open.is_none());
    }

    /// Each command has one reply, so that a client can count them.
    #[test]
    fn every_line_gets_one_final_reply(lines in prop::collection::vec(line(), 0..30)) {
        let mut host = Host::new(FIXTURE);
        host.line();
        for line in lines {
            if line.to_ascii_uppercase().starts_with(b"PASS") {
                continue;
            }
            host.send(&line);
            // IAC may have swallowed the line's end.
            if line.contains(&255) {
                host.send(b"x\r\n");
            }
            let mut finals = 0;
            let mut open = false;
            while let Some(reply) = host.line() {
                let preliminary = reply.starts_with(b"1");
                let coded = reply.len() > 3 && reply[..3].iter().all(u8::is_ascii_digit);
                if coded && reply[3] == b'-' {
                    open = true;
                } else if coded && reply[3] == b' ' {
                    open = false;
                    finals += usize::from(!preliminary);
                } else {
                    prop_assert!(open);
                }
            }
            prop_assert!(finals >= 1, "{:?} got no reply", String::from_utf8_lossy(&line));
            prop_assert!(finals == 1 || line.contains(&255) || line.contains(&b'\n'), "{:?}", String::from_utf8_lossy(&line));
        }
    }

    /// Clients that send a file may close both connections at once: an upload is whole when all its bytes have come, whenever its control connection ended.
    #[test]
    fn an_upload_outlives_its_control_connection(
        pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 1..6), at in 0usize..6, command in "STOR x|APPE x|STOU x",
    ) {
        let mut host = Host::new(FIXTURE);
        host.send(format!("USER tester\r\nPASS secret\r\nTYPE I\r\nCWD /upload\r\nEPSV\r\n{command}\r\n").as_bytes());
        for (index, piece) in pieces.iter().enumerate() {
            if index == at {
                host.hang_up();
            }
            prop_assert!(host.upload(piece) && !host.closed);
        }
        host.end_upload();
        let name: &[u8] = if command == "STOU x" { b"/upload/x.1" } else { b"/upload/x" };
        prop_assert_eq!(host.files.content(name), Some(pieces.concat()));
        prop_assert_eq!(host.closed, at < pieces.len());
    }
}
