//! The command table: every command, its argument, what it needs and whether FEAT lists it (RFC 959 5.3, RFC 2389, RFC 3659).
//!
//! A new command is one row here, one function in the file of its area in [`session`](super::session), and one transcript.

use super::listing::Permission;
use super::texts::{Text, text};
use nom::bytes::complete::take_while1;
use nom::combinator::rest;
use nom::{IResult, Parser};

/// What follows the verb.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Argument {
    /// Nothing. If something follows, it is ignored.
    None,
    /// It may be left out.
    Optional,
    /// It must be there, or the reply is 501.
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
    Auth,
    Avbl,
    Ccc,
    Cdup,
    Clnt,
    Cwd,
    Dele,
    Eprt,
    Epsv,
    Feat,
    Hash,
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
    Pbsz,
    Port,
    Prot,
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
    Stou,
    Stru,
    Syst,
    Type,
    User,
    Xcrc,
    Xsha256,
    /// Known, but not offered: 502.
    Unavailable,
}

impl Verb {
    /// Whether the server does it, with TLS or without, with digests or without.
    pub(super) fn is_offered(self, tls: bool, digests: bool) -> bool {
        match self {
            Verb::Unavailable | Verb::Ccc => false,
            Verb::Auth | Verb::Pbsz | Verb::Prot => tls,
            Verb::Hash | Verb::Xcrc | Verb::Xsha256 => digests,
            _ => true,
        }
    }

    /// Whether it needs a data connection.
    pub fn transfers(self) -> bool {
        use Verb::{Appe, List, Mlsd, Nlst, Retr, Stor, Stou};
        matches!(self, Appe | List | Mlsd | Nlst | Retr | Stor | Stou)
    }
}

/// The arguments as HELP shows them: an index of [`SYNTAXES`], because a row of the table has no room for a text.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Syntax {
    Nothing,
    Account,
    Number,
    Path,
    Mechanism,
    OptionalPath,
    Client,
    Extended,
    Protocol,
    Command,
    Host,
    Language,
    Time,
    Mode,
    Options,
    Password,
    HostPort,
    Protection,
    Marker,
    String,
    Structure,
    Type,
    User,
}

pub(super) const SYNTAXES: [Text; 23] = [
    Text::NONE,
    text!(" <SP> account-information"),
    text!(" <SP> decimal-integer"),
    text!(" <SP> pathname"),
    text!(" <SP> mechanism-name"),
    text!(" [<SP> pathname]"),
    text!(" <SP> client-name"),
    text!(" <SP> <d>net-prt<d>net-addr<d>tcp-port<d>"),
    text!(" [<SP> net-prt | ALL]"),
    text!(" [<SP> command]"),
    text!(" <SP> hostname"),
    text!(" [<SP> language-tag]"),
    text!(" <SP> time-val <SP> pathname"),
    text!(" <SP> mode-code"),
    text!(" <SP> command [<SP> options]"),
    text!(" <SP> password"),
    text!(" <SP> host-port"),
    text!(" <SP> prot-code"),
    text!(" <SP> marker"),
    text!(" <SP> string"),
    text!(" <SP> structure-code"),
    text!(" <SP> type-code"),
    text!(" <SP> username"),
];

/// Bytes of the longest name.
pub(super) const NAME_MAX: usize = 7;

/// A name of a table, filled with blanks, so that it needs no pointer and no length.
pub(super) const fn filled<const N: usize>(name: &[u8]) -> [u8; N] {
    let mut filled = [b' '; N];
    let mut at = 0;
    while at < name.len() {
        filled[at] = name[at];
        at += 1;
    }
    filled
}

/// One row of the table.
pub struct Command {
    /// Upper case, filled with blanks.
    pub(super) name: [u8; NAME_MAX],
    /// Who handles it.
    pub verb: Verb,
    /// What the account must be allowed to do; with [`ALWAYS`], that it is taken before login too.
    needs: u8,
    /// The argument as HELP shows it, in the lower bits; with [`FEATURE`], [`REQUIRED`] or neither.
    syntax: u8,
}

/// The bits of a row beside its numbers.
const ALWAYS: u8 = 0x80;
const FEATURE: u8 = 0x80;
const REQUIRED: u8 = 0x40;
const _: () = assert!(SYNTAXES.len() <= REQUIRED as usize);

impl Command {
    /// When it is taken.
    pub fn when(&self) -> When {
        if self.needs & ALWAYS != 0 { When::Always } else { When::LoggedIn }
    }

    /// What the account must be allowed to do.
    pub fn needs(&self) -> Permission {
        Permission::from_bits(self.needs)
    }

    /// Whether it wants an argument.
    pub fn is_argument_required(&self) -> bool {
        self.syntax & REQUIRED != 0
    }

    /// Whether FEAT lists it by its name.
    pub(super) fn is_feature(&self) -> bool {
        self.syntax & FEATURE != 0
    }

    pub(super) fn syntax(&self) -> usize {
        (self.syntax & !(FEATURE | REQUIRED)).into()
    }

    /// The name as it is typed, in upper case.
    pub fn name(&self) -> &[u8] {
        self.name.trim_ascii_end()
    }
}

macro_rules! commands {
    ($($name:literal $verb:ident $when:ident $needs:ident $argument:ident $feature:literal $syntax:ident)*) => {
        /// Every command, in the order in which HELP shows them.
        pub const COMMANDS: [Command; [$(stringify!($name)),*].len()] = [$(Command {
            name: filled($name),
            verb: Verb::$verb,
            needs: Permission::$needs.bits() | if matches!(When::$when, When::Always) { ALWAYS } else { 0 },
            syntax: Syntax::$syntax as u8
                | if matches!(Argument::$argument, Argument::Required) { REQUIRED } else { 0 }
                | if $feature { FEATURE } else { 0 },
        }),*];
    };
}

#[rustfmt::skip]
commands! {
    // name  handler      taken       needs   argument  FEAT   syntax
    b"ABOR"  Abor         LoggedIn    NONE    None      false  Nothing
    b"ACCT"  Acct         LoggedIn    NONE    Optional  false  Account
    b"ALLO"  Allo         LoggedIn    WRITE   Required  false  Number
    b"APPE"  Appe         LoggedIn    WRITE   Required  false  Path
    b"AUTH"  Auth         Always      NONE    Optional  false  Mechanism
    b"AVBL"  Avbl         LoggedIn    READ    Optional  true   OptionalPath
    b"CCC"   Ccc          Always      NONE    None      false  Nothing
    b"CDUP"  Cdup         LoggedIn    NONE    None      false  Nothing
    b"CLNT"  Clnt         Always      NONE    Optional  true   Client
    b"CWD"   Cwd          LoggedIn    NONE    Required  false  Path
    b"DELE"  Dele         LoggedIn    DELETE  Required  false  Path
    b"EPRT"  Eprt         LoggedIn    NONE    Required  true   Extended
    b"EPSV"  Epsv         LoggedIn    NONE    Optional  true   Protocol
    b"FEAT"  Feat         Always      NONE    None      false  Nothing
    b"HASH"  Hash         LoggedIn    READ    Required  false  Path
    b"HELP"  Help         Always      NONE    Optional  false  Command
    b"HOST"  Unavailable  Always      NONE    Optional  false  Host
    b"LANG"  Unavailable  Always      NONE    Optional  false  Language
    b"LIST"  List         LoggedIn    READ    Optional  false  OptionalPath
    b"MDTM"  Mdtm         LoggedIn    READ    Required  true   Path
    b"MFMT"  Mfmt         LoggedIn    WRITE   Required  false  Time
    b"MKD"   Mkd          LoggedIn    MKDIR   Required  false  Path
    b"MLSD"  Mlsd         LoggedIn    READ    Optional  false  OptionalPath
    b"MLST"  Mlst         LoggedIn    READ    Optional  false  OptionalPath
    b"MODE"  Mode         LoggedIn    NONE    Required  false  Mode
    b"NLST"  Nlst         LoggedIn    READ    Optional  false  OptionalPath
    b"NOOP"  Noop         Always      NONE    None      false  Nothing
    b"OPTS"  Opts         Always      NONE    Required  false  Options
    b"PASS"  Pass         Always      NONE    Optional  false  Password
    b"PASV"  Pasv         LoggedIn    NONE    None      false  Nothing
    b"PBSZ"  Pbsz         Always      NONE    Optional  false  Number
    b"PORT"  Port         LoggedIn    NONE    Required  false  HostPort
    b"PROT"  Prot         Always      NONE    Optional  false  Protection
    b"PWD"   Pwd          LoggedIn    NONE    None      false  Nothing
    b"QUIT"  Quit         Always      NONE    None      false  Nothing
    b"REIN"  Rein         LoggedIn    NONE    None      false  Nothing
    b"REST"  Rest         LoggedIn    NONE    Required  false  Marker
    b"RETR"  Retr         LoggedIn    READ    Required  false  Path
    b"RMD"   Rmd          LoggedIn    DELETE  Required  false  Path
    b"RNFR"  Rnfr         LoggedIn    RENAME  Required  false  Path
    b"RNTO"  Rnto         LoggedIn    RENAME  Required  false  Path
    b"SITE"  Site         LoggedIn    NONE    Required  false  String
    b"SIZE"  Size         LoggedIn    READ    Required  true   Path
    b"SMNT"  Unavailable  LoggedIn    NONE    Optional  false  Path
    b"STAT"  Stat         LoggedIn    NONE    Optional  false  OptionalPath
    b"STOR"  Stor         LoggedIn    WRITE   Required  false  Path
    b"STOU"  Stou         LoggedIn    WRITE   Optional  false  OptionalPath
    b"STRU"  Stru         LoggedIn    NONE    Required  false  Structure
    b"SYST"  Syst         Always      NONE    None      false  Nothing
    b"TYPE"  Type         LoggedIn    NONE    Required  false  Type
    b"USER"  User         Always      NONE    Required  false  User
    b"XCRC"  Xcrc         LoggedIn    READ    Required  true   Path
    b"XCUP"  Cdup         LoggedIn    NONE    None      false  Nothing
    b"XCWD"  Cwd          LoggedIn    NONE    Required  false  Path
    b"XMKD"  Mkd          LoggedIn    MKDIR   Required  false  Path
    b"XPWD"  Pwd          LoggedIn    NONE    None      false  Nothing
    b"XRMD"  Rmd          LoggedIn    DELETE  Required  false  Path
    b"XSHA256" Xsha256    LoggedIn    READ    Required  true   Path
}

/// Cuts a line into the verb and its argument. The argument is all that follows the one blank, further blanks included; it may be empty. `None` when the line does
/// not begin with letters or digits that end at a blank or at the line's end.
pub fn parse(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let parsed: IResult<&[u8], _, ()> =
        (take_while1(|byte: u8| byte.is_ascii_alphanumeric()), rest).parse_complete(line);
    let (_, (verb, argument)) = parsed.ok()?;
    match argument {
        [] => Some((verb, argument)),
        [b' ', argument @ ..] => Some((verb, argument)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_has_no_name_twice() {
        assert!(COMMANDS.windows(2).all(|pair| pair[0].name < pair[1].name));
    }

    #[test]
    fn arguments_keep_their_blanks() {
        assert_eq!(parse(b"CWD  a b "), Some((&b"CWD"[..], &b" a b "[..])));
        assert_eq!(parse(b"NOOP"), Some((&b"NOOP"[..], &b""[..])));
        for bad in [&b""[..], b" NOOP", b"RETR\tx", b"A\xff"] {
            assert!(parse(bad).is_none());
        }
    }
}
