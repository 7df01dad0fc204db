//! The command table: every command, its argument, what it needs and whether FEAT lists it (RFC 959 5.3, RFC 2389, RFC 3659).
//!
//! A new command is one row here, one arm in `session::Session::execute` and one transcript.

use super::listing::Permission;
use super::writer::Writer;
use nom::bytes::complete::take_while1;
use nom::combinator::rest;
use nom::{IResult, Parser};

/// What follows the verb.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Argument {
    /// Nothing; what comes all the same is ignored.
    None,
    /// May be left out.
    Optional,
    /// Must be there, else 501.
    Required,
}

/// When a command is taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum When {
    /// Before and after login.
    Always,
    /// After login.
    LoggedIn,
}

/// The handlers. Commands with the same meaning (`XPWD`, `PWD`) share one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
#[allow(missing_docs, reason = "each is the RFC's name of its command")]
pub enum Verb {
    Abor,
    Acct,
    Allo,
    Appe,
    Avbl,
    Cdup,
    Clnt,
    Cwd,
    Dele,
    Eprt,
    Epsv,
    Feat,
    Help,
    List,
    Mdtm,
    Mfmt,
    Mkd,
    Mlsd,
    Mlst,
    Mode,
    Nlst,
    Noop,
    Opts,
    Pass,
    Pasv,
    Port,
    Pwd,
    Quit,
    Rein,
    Rest,
    Retr,
    Rmd,
    Rnfr,
    Rnto,
    Site,
    Size,
    Stat,
    Stor,
    Stru,
    Syst,
    Type,
    User,
    /// Known, but not offered: 502.
    Unavailable,
}

/// One row of the table.
pub struct Command {
    /// Upper case, filled with a blank to four bytes.
    name: [u8; 4],
    /// Who handles it.
    pub verb: Verb,
    /// When it is taken.
    pub when: When,
    /// What the account must be allowed to do.
    pub needs: Permission,
    /// Whether it wants an argument.
    pub argument: Argument,
    /// Whether FEAT lists it by its name.
    feature: bool,
    /// The argument as HELP shows it.
    syntax: &'static [u8],
}

impl Command {
    /// The name as it is typed, in upper case.
    pub fn name(&self) -> &[u8] {
        self.name.strip_suffix(b" ").unwrap_or(&self.name)
    }
}

macro_rules! commands {
    ($($name:literal $verb:ident $when:ident $needs:ident $argument:ident $feature:literal $syntax:literal)*) => {
        &[$(Command {
            name: *$name,
            verb: Verb::$verb,
            when: When::$when,
            needs: Permission::$needs,
            argument: Argument::$argument,
            feature: $feature,
            syntax: $syntax,
        }),*]
    };
}

/// Every command, in the order in which HELP shows them.
#[rustfmt::skip]
pub static COMMANDS: &[Command] = commands! {
    // name  handler      taken       needs   argument  FEAT   syntax
    b"ABOR"  Abor         LoggedIn    NONE    None      false  b""
    b"ACCT"  Acct         LoggedIn    NONE    Optional  false  b"<SP> account-information"
    b"ALLO"  Allo         LoggedIn    WRITE   Required  false  b"<SP> decimal-integer"
    b"APPE"  Appe         LoggedIn    WRITE   Required  false  b"<SP> pathname"
    b"AUTH"  Unavailable  Always      NONE    Optional  false  b"<SP> mechanism-name"
    b"AVBL"  Avbl         LoggedIn    NONE    Optional  true   b"[<SP> pathname]"
    b"CDUP"  Cdup         LoggedIn    NONE    None      false  b""
    b"CLNT"  Clnt         Always      NONE    Optional  true   b"<SP> client-name"
    b"CWD "  Cwd          LoggedIn    NONE    Required  false  b"<SP> pathname"
    b"DELE"  Dele         LoggedIn    DELETE  Required  false  b"<SP> pathname"
    b"EPRT"  Eprt         LoggedIn    NONE    Required  true   b"<SP> <d>net-prt<d>net-addr<d>tcp-port<d>"
    b"EPSV"  Epsv         LoggedIn    NONE    Optional  true   b"[<SP> net-prt | ALL]"
    b"FEAT"  Feat         Always      NONE    None      false  b""
    b"HELP"  Help         Always      NONE    Optional  false  b"[<SP> command]"
    b"HOST"  Unavailable  LoggedIn    NONE    Optional  false  b"<SP> hostname"
    b"LANG"  Unavailable  LoggedIn    NONE    Optional  false  b"[<SP> language-tag]"
    b"LIST"  List         LoggedIn    READ    Optional  false  b"[<SP> pathname]"
    b"MDTM"  Mdtm         LoggedIn    READ    Required  true   b"<SP> pathname"
    b"MFMT"  Mfmt         LoggedIn    WRITE   Required  false  b"<SP> time-val <SP> pathname"
    b"MKD "  Mkd          LoggedIn    MKDIR   Required  false  b"<SP> pathname"
    b"MLSD"  Mlsd         LoggedIn    READ    Optional  false  b"[<SP> pathname]"
    b"MLST"  Mlst         LoggedIn    READ    Optional  false  b"[<SP> pathname]"
    b"MODE"  Mode         LoggedIn    NONE    Required  false  b"<SP> mode-code"
    b"NLST"  Nlst         LoggedIn    READ    Optional  false  b"[<SP> pathname]"
    b"NOOP"  Noop         Always      NONE    None      false  b""
    b"OPTS"  Opts         Always      NONE    Required  false  b"<SP> command [<SP> options]"
    b"PASS"  Pass         Always      NONE    Optional  false  b"<SP> password"
    b"PASV"  Pasv         LoggedIn    NONE    None      false  b""
    b"PBSZ"  Unavailable  Always      NONE    Optional  false  b"<SP> decimal-integer"
    b"PORT"  Port         LoggedIn    NONE    Required  false  b"<SP> host-port"
    b"PROT"  Unavailable  Always      NONE    Optional  false  b"<SP> prot-code"
    b"PWD "  Pwd          LoggedIn    NONE    None      false  b""
    b"QUIT"  Quit         Always      NONE    None      false  b""
    b"REIN"  Rein         LoggedIn    NONE    None      false  b""
    b"REST"  Rest         LoggedIn    NONE    Required  false  b"<SP> marker"
    b"RETR"  Retr         LoggedIn    READ    Required  false  b"<SP> pathname"
    b"RMD "  Rmd          LoggedIn    DELETE  Required  false  b"<SP> pathname"
    b"RNFR"  Rnfr         LoggedIn    RENAME  Required  false  b"<SP> pathname"
    b"RNTO"  Rnto         LoggedIn    RENAME  Required  false  b"<SP> pathname"
    b"SITE"  Site         LoggedIn    NONE    Required  false  b"<SP> string"
    b"SIZE"  Size         LoggedIn    READ    Required  true   b"<SP> pathname"
    b"SMNT"  Unavailable  LoggedIn    NONE    Optional  false  b"<SP> pathname"
    b"STAT"  Stat         LoggedIn    NONE    Optional  false  b"[<SP> pathname]"
    b"STOR"  Stor         LoggedIn    WRITE   Required  false  b"<SP> pathname"
    b"STOU"  Unavailable  LoggedIn    NONE    Optional  false  b""
    b"STRU"  Stru         LoggedIn    NONE    Required  false  b"<SP> structure-code"
    b"SYST"  Syst         Always      NONE    None      false  b""
    b"TYPE"  Type         LoggedIn    NONE    Required  false  b"<SP> type-code"
    b"USER"  User         Always      NONE    Required  false  b"<SP> username"
    b"XCUP"  Cdup         LoggedIn    NONE    None      false  b""
    b"XCWD"  Cwd          LoggedIn    NONE    Required  false  b"<SP> pathname"
    b"XMKD"  Mkd          LoggedIn    MKDIR   Required  false  b"<SP> pathname"
    b"XPWD"  Pwd          LoggedIn    NONE    None      false  b""
    b"XRMD"  Rmd          LoggedIn    DELETE  Required  false  b"<SP> pathname"
};

/// Finds a command by its name in any case.
pub fn find(name: &[u8]) -> Option<&'static Command> {
    let mut wanted = [b' '; 4];
    wanted.get_mut(..name.len())?.copy_from_slice(name);
    wanted.make_ascii_uppercase();
    COMMANDS.iter().find(|command| command.name == wanted)
}

/// Cuts a line into the verb and its argument: all that follows the one blank, blanks included; empty when there is none. `None` when the line does
/// not begin with letters that end at a blank or at the line's end.
pub fn parse(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let parsed: IResult<&[u8], _, ()> = (take_while1(|byte: u8| byte.is_ascii_alphabetic()), rest).parse_complete(line);
    let (_, (verb, argument)) = parsed.ok()?;
    match argument {
        [] => Some((verb, argument)),
        [b' ', argument @ ..] => Some((verb, argument)),
        _ => None,
    }
}

/// The body of HELP: the names in rows of eight, a `*` behind those that are not offered.
pub fn write_names(out: &mut Writer<'_>) {
    for row in COMMANDS.chunks(8) {
        for command in row {
            out.byte(b' ');
            out.put(&command.name);
            out.byte(if command.verb == Verb::Unavailable { b'*' } else { b' ' });
        }
        out.put(b"\r\n");
    }
}

/// `RETR <SP> pathname`.
pub fn write_syntax(command: &Command, out: &mut Writer<'_>) {
    out.put(command.name());
    if !command.syntax.is_empty() {
        out.byte(b' ');
        out.put(command.syntax);
    }
}

/// FEAT's lines for the commands that are features by their name alone.
pub fn write_features(out: &mut Writer<'_>) {
    for command in COMMANDS.iter().filter(|command| command.feature) {
        out.byte(b' ');
        out.put(command.name());
        out.put(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_are_found_in_any_case() {
        assert_eq!(find(b"rEtR").unwrap().verb, Verb::Retr);
        assert_eq!(find(b"cwd").unwrap().verb, Verb::Cwd);
        for unknown in [&b""[..], b"FOO", b"RETRX", b"CW", b"\xff"] {
            assert!(find(unknown).is_none());
        }
    }

    #[test]
    fn the_table_is_sorted_and_has_no_name_twice() {
        assert!(COMMANDS.windows(2).all(|pair| pair[0].name < pair[1].name));
    }

    #[test]
    fn arguments_keep_their_blanks() {
        assert_eq!(parse(b"CWD  a b "), Some((&b"CWD"[..], &b" a b "[..])));
        assert_eq!(parse(b"NOOP"), Some((&b"NOOP"[..], &b""[..])));
        for bad in [&b""[..], b" NOOP", b"123", b"RETR\tx", b"A\xff"] {
            assert!(parse(bad).is_none());
        }
    }
}
