//! Files that another session has open are busy: a command that would change them gets 450 (RFC 959 4.2.2).

mod host;

use host::Host;

const FIXTURE: &str = include_str!("transcripts/fixture.txt");

/// The last line of what the session answers to the commands.
fn answer(host: &mut Host, commands: &[&str]) -> String {
    let mut last = String::new();
    for command in commands {
        host.send(format!("{command}\r\n").as_bytes());
        while let Some(line) = host.line() {
            last = String::from_utf8_lossy(&line).into_owned();
        }
    }
    last
}

/// Somebody who may do everything, while others have these files open.
fn tester(busy: &[&str]) -> Host {
    let mut host = Host::new(FIXTURE);
    host.configure("sets_times=1");
    host.busy = busy.iter().map(|path| path.as_bytes().to_vec()).collect();
    assert!(answer(&mut host, &["USER tester", "PASS secret", "TYPE I"]).starts_with("200 "));
    host
}

#[test]
fn whatever_changes_a_busy_file_gets_450() {
    for commands in [
        &["DELE /pub/hello.txt"][..],
        &["RNFR /pub/hello.txt"],
        &["EPSV", "STOR /pub/hello.txt"],
        &["EPSV", "REST 1", "STOR /pub/hello.txt"],
        &["EPSV", "APPE /pub/hello.txt"],
        &["MFMT 20240102030405 /pub/hello.txt"],
        // FAT would take these for the same.
        &["EPSV", "STOR /PUB/Hello.TXT. "],
        &["EPSV", "STOR /pub/HELLO~1.TXT"],
        // The folder that it is in.
        &["RMD /pub"],
        &["RNFR /pub"],
    ] {
        let mut host = tester(&["/pub/hello.txt"]);
        assert!(host.files.content(b"/pub/hello.txt").is_some());
        // For the aliases, where there are none.
        if commands.iter().any(|command| command.contains("/PUB/")) {
            answer(&mut host, &["MKD /PUB"]);
        }
        assert_eq!(answer(&mut host, commands), "450 File is busy.", "{commands:?}");
        assert_eq!(host.files.content(b"/pub/hello.txt"), tester(&[]).files.content(b"/pub/hello.txt"));
        // The session goes on as if nothing had been.
        assert!(answer(&mut host, &["NOOP"]).starts_with("200 "));
    }
}

#[test]
fn after_an_rnfr_that_failed_nothing_is_renamed() {
    let mut host = tester(&["/pub/hello.txt"]);
    assert!(answer(&mut host, &["RNFR /pub/empty.txt"]).starts_with("350 "));
    assert_eq!(answer(&mut host, &["RNFR /pub/hello.txt"]), "450 File is busy.");
    assert_eq!(answer(&mut host, &["RNTO /pub/new.txt"]), "503 Send RNFR first.");
    assert!(host.files.stat(b"/pub/empty.txt").is_ok() && host.files.stat(b"/pub/new.txt").is_err());
}

#[test]
fn a_rename_is_refused_for_either_of_its_names() {
    let mut host = tester(&["/upload/target"]);
    let commands = ["EPSV", "RNFR /pub/hello.txt", "RNTO /upload/target"];
    assert_eq!(answer(&mut host, &commands), "450 File is busy.");
    let mut host = tester(&[]);
    assert!(answer(&mut host, &["RNFR /pub/hello.txt"]).starts_with("350 "));
    host.busy.push(b"/pub/hello.txt".to_vec());
    assert_eq!(answer(&mut host, &["RNTO /upload/free"]), "450 File is busy.");
    host.busy.clear();
    assert!(answer(&mut host, &["RNFR /pub/hello.txt", "RNTO /upload/free"]).starts_with("250 "));
}

#[test]
fn looking_at_a_busy_file_and_reading_it_is_allowed() {
    let mut host = tester(&["/pub/hello.txt"]);
    for commands in [
        &["SIZE /pub/hello.txt"][..],
        &["MDTM /pub/hello.txt"],
        &["MLST /pub/hello.txt"],
        &["XCRC /pub/hello.txt"],
        &["EPSV", "RETR /pub/hello.txt"],
        &["EPSV", "NLST /pub"],
        &["CWD /pub"],
        &["EPSV", "STOR hello2.txt"],
    ] {
        let last = answer(&mut host, commands);
        assert!(last.starts_with('1') || last.starts_with('2'), "{commands:?}: {last}");
    }
}

#[test]
fn stou_passes_a_busy_name_over() {
    let mut host = tester(&["/upload/upload.1", "/upload/UPLOAD.2"]);
    assert_eq!(answer(&mut host, &["CWD /upload", "EPSV", "STOU"]), "150 FILE: upload.3");
    host.upload(b"mine");
    host.end_upload();
    assert_eq!(host.files.content(b"/upload/upload.3"), Some(b"mine".to_vec()));
}

#[test]
fn rest_is_forgotten_after_a_refusal_and_the_data_connection_is_not() {
    let mut host = tester(&["/pub/hello.txt"]);
    assert_eq!(answer(&mut host, &["EPSV", "REST 3", "STOR /pub/hello.txt"]), "450 File is busy.");
    host.busy.clear();
    assert!(answer(&mut host, &["STOR /pub/hello.txt"]).starts_with("150 "));
    host.upload(b"new");
    host.end_upload();
    assert_eq!(host.files.content(b"/pub/hello.txt"), Some(b"new".to_vec()));
}
