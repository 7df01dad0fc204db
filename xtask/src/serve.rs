//! `cargo xtask serve`: a server to try things with.

use crate::arguments::{text, value};
use crate::debian::{apt_install, may_install};
use crate::project::{Project, Result, make_folder, program, run_quietly, which, write_if_changed};
use crate::targets::Target;
use crate::{build, toolchain};
use lexopt::prelude::*;
use std::fs;
use std::io;
use std::net::{IpAddr, TcpListener, ToSocketAddrs};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

/// The program that MicroPython runs.
const PROGRAM: &str = include_str!("serve.py");

const DEFAULT_ACCOUNT: &str = "user:password";

/// What the command line asks for.
struct Wish {
    /// None means the sample folder.
    root: Option<PathBuf>,
    host: String,
    port: u16,
    accounts: Vec<String>,
    is_fresh: bool,
    tls: bool,
    debug: bool,
}

/// The command. It does not return when the server starts, because this process becomes MicroPython. So signals reach MicroPython, and the exit code is its own.
/// It reports what is wrong with the arguments before it builds, fetches or changes anything.
pub fn command(project: &Project, arguments: lexopt::Parser) -> Result {
    let wish = Wish::read(arguments)?;
    let listener = bind(&wish.host, wish.port)?;
    toolchain::host_compiler()?;
    let (certificate, key) = if wish.tls { certificate(project, &wish.host)? } else { Default::default() };
    let dist = build::build(project, Target::named("x64")?)?.dist;
    let root = match wish.root {
        Some(root) => root,
        None => sample_folder(project, wish.port, wish.is_fresh)?,
    };
    let main = project.tools.join("serve.py");
    write_if_changed(&main, PROGRAM.as_bytes())?;
    let curl = curl_line(&wish.host, wish.port, &wish.accounts[0], wish.tls);
    let mut micropython = program(project.micropython());
    micropython.env("MICROPYPATH", format!("{}:.frozen", dist.display()));
    micropython.arg(main).arg(&wish.host).arg(wish.port.to_string());
    micropython.arg(root).arg(if wish.debug { "1" } else { "0" }).arg(curl);
    micropython.arg(certificate).arg(key).args(wish.accounts);
    // It was kept until now, so that no second server could start meanwhile.
    drop(listener);
    Err(format!("cannot run {}: {}", project.micropython().display(), micropython.exec()))
}

impl Wish {
    fn read(mut arguments: lexopt::Parser) -> Result<Wish> {
        let (host, accounts) = ("127.0.0.1".to_owned(), Vec::new());
        let mut wish = Wish { root: None, host, port: 2121, accounts, is_fresh: false, tls: false, debug: false };
        while let Some(argument) = arguments.next().map_err(text)? {
            match argument {
                Long("root") => wish.root = Some(PathBuf::from(value(&mut arguments)?)),
                Long("host") => wish.host = value(&mut arguments)?,
                Long("port") => {
                    let number = value(&mut arguments)?;
                    let number = number.parse().ok().filter(|port| *port > 0);
                    wish.port = number.ok_or("--port must be a number from 1 to 65535")?;
                }
                Long("user") => wish.accounts.push(account(value(&mut arguments)?)?),
                Long("fresh") => wish.is_fresh = true,
                Long("tls") => wish.tls = true,
                Long("debug") => wish.debug = true,
                other => return Err(text(other.unexpected())),
            }
        }
        if wish.is_fresh && wish.root.is_some() {
            return Err("--fresh empties the sample folder, and nothing else: leave out --fresh or --root".into());
        }
        wish.root = wish.root.as_deref().map(folder).transpose()?;
        if wish.accounts.is_empty() {
            wish.accounts.push(DEFAULT_ACCOUNT.into());
        }
        Ok(wish)
    }
}

/// Checks what `--user` says.
fn account(account: String) -> Result<String> {
    let (name, password) =
        account.split_once(':').ok_or_else(|| format!("--user must be NAME:PASSWORD, not {account}"))?;
    match (name.len(), password.len()) {
        (0, _) => Err(format!("--user {account} has no name: it must be NAME:PASSWORD")),
        (41.., _) => Err("--user: a name has at most 40 bytes".into()),
        (_, 0) => Err(format!("--user {account} has no password: write {account}PASSWORD")),
        (_, 256..) => Err("--user: a password has at most 255 bytes".into()),
        _ => Ok(account),
    }
}

/// The folder that `--root` names, as a whole path.
fn folder(root: &Path) -> Result<PathBuf> {
    let found = fs::canonicalize(root).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            format!("--root {}: there is no such folder: make it, or name another", root.display())
        }
        _ => format!("--root {}: {error}", root.display()),
    })?;
    if found.is_dir() { Ok(found) } else { Err(format!("--root {} is a file: name a folder", root.display())) }
}

/// Listens on the address, to find out whether it is free.
fn bind(host: &str, port: u16) -> Result<TcpListener> {
    let addresses: Vec<_> = match (host, port).to_socket_addrs() {
        Ok(addresses) => addresses.collect(),
        Err(error) => {
            return Err(format!(
                "--host {host} is neither an address nor a name that is known here ({error}): {HOSTS}"
            ));
        }
    };
    TcpListener::bind(&addresses[..]).map_err(|error| no_place(host, port, &error))
}

/// Addresses that every machine has.
const HOSTS: &str = "127.0.0.1 is this machine alone, 0.0.0.0 every address that it has";

/// Why the server cannot listen on the address, and what to do.
fn no_place(host: &str, port: u16, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            let other = port.checked_add(1).unwrap_or(2121);
            format!(
                "port {port} of {host} is taken, perhaps by another cargo xtask serve: stop that, or take --port {other}"
            )
        }
        io::ErrorKind::PermissionDenied => {
            format!("port {port} is for root alone: take one above 1023, or leave out --port, which means 2121")
        }
        io::ErrorKind::AddrNotAvailable => format!("--host {host} is no address of this machine: {HOSTS}"),
        _ => format!("cannot listen on {host}, port {port}: {error}"),
    }
}

/// A certificate and its key, made anew at each start: PEM files, the key in a file that only its owner reads.
fn certificate(project: &Project, host: &str) -> Result<(PathBuf, PathBuf)> {
    let find = || which("openssl").or_else(|| Some(project.tools.join("bin/openssl")).filter(|path| path.is_file()));
    if find().is_none() && may_install() {
        apt_install(&["openssl"])?;
    }
    let openssl = find().ok_or(
        "--tls needs the program openssl, which makes the certificate: install it, or run cargo xtask setup, which \
         unpacks one",
    )?;
    let folder = project.tools.join("tls");
    make_folder(&folder)?;
    let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
    let kind = if host.parse::<IpAddr>().is_ok() { "IP" } else { "DNS" };
    let mut openssl = program(openssl);
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]);
    openssl.args(["-days", "3650", "-subj", "/CN=ftpdlite", "-addext"]);
    openssl.arg(format!("subjectAltName=DNS:localhost,IP:127.0.0.1,{kind}:{host}"));
    run_quietly(openssl.arg("-out").arg(&certificate).arg("-keyout").arg(&key))?;
    Ok((certificate, key))
}

/// A line that lists the root.
fn curl_line(host: &str, port: u16, account: &str, tls: bool) -> String {
    let host = match host.parse() {
        // A client on this machine reaches a server that listens everywhere at the loopback address.
        Ok(IpAddr::V4(address)) if address.is_unspecified() => "127.0.0.1".into(),
        Ok(IpAddr::V6(address)) => {
            format!("'[{}]'", if address.is_unspecified() { "::1".into() } else { address.to_string() })
        }
        _ => host.to_owned(),
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b":._-".contains(&byte);
    let account =
        if account.bytes().all(plain) { account.into() } else { format!("'{}'", account.replace('\'', r"'\''")) };
    // The certificate is signed by itself, so curl cannot check it.
    let options = if tls { "--ssl-reqd --insecure " } else { "" };
    format!("curl {options}--user {account} ftp://{host}:{port}/")
}

/// A folder with a few files. Each port has a folder of its own, because each may have a server. Files that are there stay, unless `is_fresh` is true.
fn sample_folder(project: &Project, port: u16, is_fresh: bool) -> Result<PathBuf> {
    let folder = project.tools.join(format!("sample-{port}"));
    let failed = |path: &Path, error| format!("cannot make {}: {error}", path.display());
    if folder.exists() {
        if !is_fresh {
            return Ok(folder);
        }
        fs::remove_dir_all(&folder).map_err(|error| format!("cannot empty {}: {error}", folder.display()))?;
    }
    make_folder(&folder.join("pub"))?;
    let numbers: String = (1..=1000).map(|number| format!("{number}\n")).collect();
    let files = [
        (
            "welcome.txt",
            "This is FTPdLite. `cargo xtask serve --fresh` puts these files back as they were.\n".to_owned(),
        ),
        ("pub/numbers.txt", numbers),
        ("pub/Grüße aus Köln.txt", "A name with blanks and letters beyond ASCII.\n".to_owned()),
    ];
    for (name, content) in files {
        let path = folder.join(name);
        fs::write(&path, content).map_err(|error| failed(&path, error))?;
    }
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curl_line_can_be_pasted() {
        assert_eq!(curl_line("0.0.0.0", 21, "me:it's", false), r"curl --user 'me:it'\''s' ftp://127.0.0.1:21/");
        assert_eq!(curl_line("::", 2121, "user:password", false), "curl --user user:password ftp://'[::1]':2121/");
        assert_eq!(
            curl_line("ftp.example", 2121, "a:b", true),
            "curl --ssl-reqd --insecure --user a:b ftp://ftp.example:2121/"
        );
    }

    #[test]
    fn an_account_is_told_what_it_lacks() {
        let told = |entry: &str| account(entry.into()).expect_err(entry);
        assert_eq!(told("bob"), "--user must be NAME:PASSWORD, not bob");
        assert_eq!(told("bob:"), "--user bob: has no password: write bob:PASSWORD");
        assert_eq!(told(":secret"), "--user :secret has no name: it must be NAME:PASSWORD");
        assert!(told(&format!("{}:secret", "a".repeat(41))).contains("at most 40 bytes"));
        assert!(told(&format!("bob:{}", "a".repeat(256))).contains("at most 255 bytes"));
        assert_eq!(account("bob:a:b".into()), Ok("bob:a:b".into()));
    }

    #[test]
    fn an_address_that_cannot_be_had_is_explained() {
        let first = bind("127.0.0.1", 0).expect("a free port");
        let port = first.local_addr().expect("its address").port();
        let told = bind("127.0.0.1", port).expect_err("it is taken");
        assert!(told.starts_with(&format!("port {port} of 127.0.0.1 is taken")), "{told}");
        let told = bind("192.0.2.7", 2121).expect_err("an address of nobody");
        assert!(told.starts_with("--host 192.0.2.7 is no address of this machine"), "{told}");
        let told = bind("no such host", 2121).expect_err("no name has a blank");
        assert!(told.contains("0.0.0.0 every address"), "{told}");
        // Root may listen on this port, so the error is made here.
        let told = no_place("127.0.0.1", 21, &io::ErrorKind::PermissionDenied.into());
        assert!(told.starts_with("port 21 is for root alone"), "{told}");
        assert!(no_place("::1", 65535, &io::ErrorKind::AddrInUse.into()).ends_with("--port 2121"));
    }
}
