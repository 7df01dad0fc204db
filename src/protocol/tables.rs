//! The tables that the host lends to a session: the commands and all texts. They are bytes without pointers, so a host can keep them where memory is cheap.
//! A board that runs the module from a ROMFS leaves them in flash.

use super::command::{COMMANDS, Command, NAME_MAX, SYNTAXES};
use super::texts::{TEXTS, Text, Texts, text};
use super::writer::Writer;

/// The commands and the texts. [`Config::tables`](super::session::Config::tables) refers to them.
pub struct Tables {
    commands: [Command; COMMANDS.len()],
    syntaxes: [Text; SYNTAXES.len()],
    pub(super) texts: Texts,
}

/// The tables; there is one version of them.
pub const TABLES: Tables = Tables { commands: COMMANDS, syntaxes: SYNTAXES, texts: TEXTS };

// So they may begin anywhere in memory.
const _: () = assert!(align_of::<Tables>() == 1);

impl Tables {
    /// Finds a command by its name in any case.
    pub fn find(&self, name: &[u8]) -> Option<&Command> {
        let mut wanted = [b' '; NAME_MAX];
        wanted.get_mut(..name.len())?.copy_from_slice(name);
        wanted.make_ascii_uppercase();
        self.commands.iter().find(|command| command.name == wanted)
    }

    /// The body of HELP: the names in rows of eight, a `*` behind those that are not offered.
    pub(super) fn write_names(&self, tls: bool, digests: bool, out: &mut Writer<'_>) {
        for row in self.commands.chunks(8) {
            for command in row {
                out.byte(b' ');
                out.put(command.name());
                out.byte(if command.verb.is_offered(tls, digests) { b' ' } else { b'*' });
                out.put(command.name.get(command.name().len()..).unwrap_or_default());
            }
            self.texts.write(text!("\r\n"), out);
        }
    }

    /// `RETR <SP> pathname`.
    pub(super) fn write_syntax(&self, command: &Command, out: &mut Writer<'_>) {
        out.put(command.name());
        self.texts.write(self.syntaxes.get(command.syntax()).copied().unwrap_or(Text::NONE), out);
    }

    /// FEAT's lines for the commands that are features by their name alone, and those for TLS (RFC 4217 6).
    pub(super) fn write_features(&self, tls: bool, digests: bool, out: &mut Writer<'_>) {
        if tls {
            self.texts.write(text!(" AUTH TLS\r\n PBSZ\r\n PROT\r\n"), out);
        }
        for command in self.commands.iter().filter(|command| command.is_feature()) {
            if command.verb.is_offered(tls, digests) {
                out.byte(b' ');
                out.put(command.name());
                self.texts.write(text!("\r\n"), out);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::command::Verb;

    #[test]
    fn verbs_are_found_in_any_case() {
        assert_eq!(TABLES.find(b"rEtR").unwrap().verb, Verb::Retr);
        assert_eq!(TABLES.find(b"cwd").unwrap().verb, Verb::Cwd);
        for unknown in [&b""[..], b"FOO", b"RETRX", b"CW", b"\xff"] {
            assert!(TABLES.find(unknown).is_none());
        }
    }
}
