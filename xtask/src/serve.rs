//! `cargo xtask serve`: a server to try things with.

use crate::arguments::{text, value};
use crate::build;
use crate::debian::{apt_install, may_install};
use crate::project::{Project, Result, make_folder, program, run_quietly, which, write_if_changed};
use crate::targets::Target;
use lexopt::prelude::*;
use std::fs;
use std::net::IpAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

/// The program that MicroPython runs.
const PROGRAM: &str = include_str!("serve.py");

const DEFAULT_ACCOUNT: &str = "user:password";

/// The command: does not return when the server starts, for this process becomes MicroPython; so signals and the exit code are its own.
pub fn command(project: &Project, mut arguments: lexopt::Parser) -> Result {
    let (mut root, mut host, mut port, mut tls, mut debug) = (None, "127.0.0.1".to_owned(), 2121, false, false);
    let mut accounts = Vec::new();
    while let Some(argument) = arguments.next().map_err(text)? {
        match argument {
            Long("root") => root = Some(PathBuf::from(value(&mut arguments)?)),
            Long("host") => host = value(&mut arguments)?,
            Long("port") => {
                let number = value(&mut arguments)?;
                port = number.parse::<u16>().ok().filter(|port| *port > 0).ok_or("--port must be 1 to 65535")?;
            }
            Long("user") => accounts.push(value(&mut arguments)?),
            Long("tls") => tls = true,
            Long("debug") => debug = true,
            other => return Err(text(other.unexpected())),
        }
    }
    if let Some(account) = accounts.iter().find(|account| account.find(':').is_none_or(|at| at == 0)) {
        return Err(format!("--user must be NAME:PASSWORD, not {account}"));
    }
    if accounts.is_empty() {
        accounts.push(DEFAULT_ACCOUNT.into());
    }
    let dist = build::build(project, Target::named("x64")?)?.dist;
    let root = match root {
        Some(root) => fs::canonicalize(&root).map_err(|error| format!("--root {}: {error}", root.display()))?,
        None => sample_folder(project, port)?,
    };
    if !root.is_dir() {
        return Err(format!("--root {} is not a folder", root.display()));
    }
    let (certificate, key) = if tls { certificate(project, &host)? } else { Default::default() };
    let main = project.tools.join("serve.py");
    write_if_changed(&main, PROGRAM.as_bytes())?;
    let mut micropython = program(project.micropython());
    micropython.env("MICROPYPATH", format!("{}:.frozen", dist.display())).arg(main).arg(&host).arg(port.to_string());
    micropython.arg(root).arg(if debug { "1" } else { "0" }).arg(curl_line(&host, port, &accounts[0], tls));
    micropython.arg(certificate).arg(key).args(accounts);
    Err(format!("cannot run {}: {}", project.micropython().display(), micropython.exec()))
}

/// A certificate and its key, made anew at each start: PEM files, the key in a file that only its owner reads.
fn certificate(project: &Project, host: &str) -> Result<(PathBuf, PathBuf)> {
    if which("openssl").is_none() && may_install() {
        apt_install(&["openssl"])?;
    }
    if which("openssl").is_none() {
        return Err("--tls needs the program openssl, which makes the certificate; please install it".into());
    }
    let folder = project.tools.join("tls");
    make_folder(&folder)?;
    let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
    let kind = if host.parse::<IpAddr>().is_ok() { "IP" } else { "DNS" };
    let mut openssl = program("openssl");
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
    // Nobody but us vouches for the certificate.
    let options = if tls { "--ssl-reqd --insecure " } else { "" };
    format!("curl {options}--user {account} ftp://{host}:{port}/")
}

/// A folder with a few files, the same at each start; one for each port, for each can have its server.
fn sample_folder(project: &Project, port: u16) -> Result<PathBuf> {
    let folder = project.tools.join(format!("sample-{port}"));
    let failed = |path: &Path, error| format!("cannot make {}: {error}", path.display());
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(|error| failed(&folder, error))?;
    }
    make_folder(&folder.join("pub"))?;
    let numbers: String = (1..=1000).map(|number| format!("{number}\n")).collect();
    let files = [
        (
            "welcome.txt",
            "This is FTPdLite. Each `cargo xtask serve` without --root starts with these files.\n".to_owned(),
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
    use super::curl_line;

    #[test]
    fn the_curl_line_can_be_pasted() {
        assert_eq!(curl_line("0.0.0.0", 21, "me:it's", false), r"curl --user 'me:it'\''s' ftp://127.0.0.1:21/");
        assert_eq!(curl_line("::", 2121, "user:password", false), "curl --user user:password ftp://'[::1]':2121/");
        assert_eq!(
            curl_line("ftp.example", 2121, "a:b", true),
            "curl --ssl-reqd --insecure --user a:b ftp://ftp.example:2121/"
        );
    }
}
