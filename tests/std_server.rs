//! The example `std_server`: a raw client, and curl where it is installed, move files through it.

#![allow(dead_code, reason = "main of the example is not called")]

#[path = "../examples/std_server.rs"]
mod std_server;

use ftpdlite::protocol::session::Config;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::spawn;
use std::time::Duration;
use std_server::{Site, serve};

/// A folder with a name of its own, and the port of a server for it.
fn start(name: &str, account: Option<&str>) -> (PathBuf, u16) {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&root);
    fs::create_dir_all(&root).expect("a folder for the test");
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let port = listener.local_addr().expect("its address").port();
    let config = Config { passwordless: account.is_none(), atomic_uploads: false, ..Config::default() };
    let site = Box::leak(Box::new(Site { root: root.clone(), account: account.map(Into::into), config }));
    spawn(move || serve(listener, site));
    (root, port)
}

/// A client made of sockets.
struct Client(BufReader<TcpStream>);

impl Client {
    fn new(port: u16) -> Client {
        let control = TcpStream::connect(("127.0.0.1", port)).expect("the server listens");
        control.set_read_timeout(Some(Duration::from_secs(20))).expect("a time-out");
        let mut client = Client(BufReader::new(control));
        assert_eq!(client.reply(), "220 FTPdLite");
        client
    }

    fn login(port: u16) -> Client {
        let mut client = Client::new(port);
        assert!(client.ask("USER me").starts_with("331 "));
        assert_eq!(client.ask("PASS secret"), "230 User me logged in.");
        assert!(client.ask("TYPE I").starts_with("200 "));
        client
    }

    /// The last line of the next reply.
    fn reply(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).expect("a reply") > 0, "the server hung up");
            if line.as_bytes().get(3) == Some(&b' ') && line.as_bytes()[0].is_ascii_digit() {
                return line.trim_end().to_owned();
            }
        }
    }

    fn ask(&mut self, command: &str) -> String {
        write!(self.0.get_mut(), "{command}\r\n").expect("the command is sent");
        self.reply()
    }

    /// A transfer: what is sent, and what comes.
    fn transfer(&mut self, command: &str, upload: &[u8]) -> Vec<u8> {
        let reply = self.ask("EPSV");
        let port = reply.split('|').nth(3).and_then(|port| port.parse().ok()).expect(&reply);
        let mut data = TcpStream::connect::<(&str, u16)>(("127.0.0.1", port)).expect("the passive port");
        let reply = self.ask(command);
        assert!(reply.starts_with("150 "), "{reply}");
        data.write_all(upload).expect("the upload is sent");
        data.shutdown(Shutdown::Write).expect("the end of the upload");
        let mut download = Vec::new();
        data.read_to_end(&mut download).expect("the download");
        assert!(self.reply().starts_with("226 "));
        download
    }
}

#[test]
fn files_go_both_ways_and_get_other_names() {
    let (root, port) = start("raw", Some("me:secret"));
    let mut client = Client::login(port);
    let content: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
    assert!(client.ask("MKD folder").starts_with("257 "));
    client.transfer("STOR folder/a b.bin", &content[..300_000]);
    client.transfer("APPE folder/a b.bin", &content[300_000..]);
    assert_eq!(fs::read(root.join("folder/a b.bin")).expect("it is there"), content);
    assert_eq!(client.ask("SIZE folder/a b.bin"), "213 800000");
    assert_eq!(client.transfer("RETR folder/a b.bin", b""), content);
    assert!(client.ask("REST 799990").starts_with("350 "));
    assert_eq!(client.transfer("RETR folder/a b.bin", b""), content[799_990..]);
    assert!(client.ask("REST 799999").starts_with("350 "));
    client.transfer("STOR folder/a b.bin", b"xyz");
    assert_eq!(client.ask("SIZE folder/a b.bin"), "213 800002");
    client.transfer("STOR folder/a b.bin", b"short");
    assert!(client.ask("RNFR folder/a b.bin").starts_with("350 "));
    assert!(client.ask("RNTO c.txt").starts_with("250 "));
    assert_eq!(fs::read(root.join("c.txt")).expect("it was renamed"), b"short");
    assert!(client.ask("RMD folder").starts_with("250 "));
    assert!(client.ask("DELE c.txt").starts_with("250 "));
    assert!(fs::read_dir(&root).expect("the folder").next().is_none());
    assert_eq!(client.ask("QUIT"), "221 Bye, me.");
}

#[test]
fn what_is_there_is_listed() {
    let (root, port) = start("lists", Some("me:secret"));
    fs::create_dir(root.join("sub")).expect("a folder");
    for name in ["a.txt", "b.txt", "sub/c.bin"] {
        fs::write(root.join(name), name).expect("a file");
    }
    let mut client = Client::login(port);
    let mut names = |command: &str| {
        let text = String::from_utf8(client.transfer(command, b"")).expect("UTF-8");
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(names("NLST"), ["a.txt", "b.txt", "sub"]);
    assert_eq!(names("NLST *.txt"), ["a.txt", "b.txt"]);
    assert_eq!(names("NLST sub/*"), ["sub/c.bin"]);
    let list = names("LIST");
    assert!(list[0].starts_with("-rw-r--r--   1 owner group          5 ") && list[0].ends_with(" a.txt"), "{list:?}");
    assert!(list[2].starts_with("drwxr-xr-x "), "{list:?}");
    let facts = names("MLSD sub");
    assert!(facts[0].to_lowercase().starts_with("type=file;size=9;modify="), "{facts:?}");
    assert_eq!(client.ask("STAT sub"), "213 End of listing.");
}

#[test]
fn nobody_leaves_the_folder_or_writes_without_an_account() {
    let (root, port) = start("rights", None);
    fs::write(root.join("file"), b"content").expect("a file");
    let mut client = Client::new(port);
    assert_eq!(client.ask("USER anyone"), "230 User anyone logged in.");
    assert_eq!(client.ask("DELE file"), "550 Permission denied.");
    assert!(client.ask("MLST ../../../file").starts_with("250 "), "the root is its own parent");
    assert!(client.ask("MLST /..\\..\\Cargo.toml").starts_with("553 "));
    let (_, port) = start("locked", Some("me:secret"));
    let mut client = Client::new(port);
    client.ask("USER me");
    assert_eq!(client.ask("PASS wrong"), "530 Login incorrect.");
    assert!(client.ask("LIST").starts_with("530 "));
}

#[test]
fn curl_works_with_it() {
    if Command::new("curl").arg("--version").output().is_err() {
        eprintln!("curl is not installed: the other tests have gone the same ways");
        return;
    }
    let (root, port) = start("curl", Some("me:secret"));
    let address = format!("ftp://127.0.0.1:{port}/");
    let curl = |arguments: &[&str]| {
        let mut command = Command::new("curl");
        // Neither the user's settings nor a proxy have a part in it.
        command
            .args([
                "--disable",
                "--noproxy",
                "*",
                "--silent",
                "--show-error",
                "--max-time",
                "20",
                "--user",
                "me:secret",
            ])
            .args(arguments);
        let done = command.output().expect("curl runs");
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        done.stdout
    };
    let local = root.with_extension("local");
    fs::write(&local, b"0123456789").expect("a file");
    let local = local.to_str().expect("UTF-8");
    let file = format!("{address}new/file.txt");
    curl(&["--ftp-create-dirs", "--upload-file", local, &file]);
    assert_eq!(curl(&[&file]), b"0123456789");
    assert_eq!(curl(&["--range", "7-", &file]), b"789");
    // The first half is there: curl asks for SIZE, and appends the rest.
    fs::write(root.join("new/file.txt"), b"01234").expect("a file");
    curl(&["--continue-at", "-", "--upload-file", local, &file]);
    assert_eq!(fs::read(root.join("new/file.txt")).expect("it is there"), b"0123456789");
    assert_eq!(curl(&["--list-only", &address]).trim_ascii_end(), b"new");
    assert_eq!(curl(&["--ftp-port", "-", &file]), b"0123456789");
    curl(&["--quote", "RNFR new/file.txt", "--quote", "RNTO other.txt", "--quote", "RMD new", &address]);
    curl(&["--quote", "DELE other.txt", &address]);
    assert!(fs::read_dir(&root).expect("the folder").next().is_none());
}
