//! What the server tells about itself and the session: HELP, FEAT, STAT without a path (RFC 959 4.1.3, RFC 2389).

use super::host::{Host, Tls, Turn};
use super::replies::Answer;
use super::{Data, Session};
use crate::protocol::arguments::Representation;
use crate::protocol::command;
use crate::protocol::writer::Writer;
use core::ops::ControlFlow::Break;

impl Session {
    /// FEAT.
    pub(super) fn feat(&self, turn: &mut Turn<'_, impl Host>) -> Answer {
        turn.say(b"211-Features:");
        command::write_features(turn.config.tls != Tls::Off, &mut turn.out);
        turn.out.put(b" MLST ");
        self.facts.write_feature(&mut turn.out);
        if turn.config.sets_times {
            turn.out.put(b"\r\n MFMT");
        }
        Break(b"\r\n REST STREAM\r\n HASH SHA-256*\r\n TVFS\r\n UTF8\r\n211 End")
    }

    /// STAT without an argument: the server and the session, and during a transfer how far it has come.
    #[inline(never)]
    pub(super) fn say_status(&self, turn: &mut Turn<'_, impl Host>) {
        turn.out.put(b"211-");
        turn.out.name(turn.config.server_name);
        turn.out.put(b"\r\n Connected from ");
        self.peer.ip.write(&mut turn.out);
        turn.out.put(b"\r\n Logged in as ");
        turn.out.name(&self.user);
        turn.out.put(b"\r\n TYPE: ");
        turn.out.put(match self.representation {
            Representation::Ascii => b"ASCII",
            Representation::Image => b"Image",
        });
        turn.out.put(b"; STRUcture: File; transfer MODE: Stream\r\n ");
        let line: &[u8] = match (self.transfer, self.data) {
            (Some(transfer), _) => {
                turn.out.put(transfer.verb());
                turn.out.put(b" in progress, ");
                turn.out.dec(self.moved);
                b" bytes moved"
            }
            (None, Data::Unset) => b"No data connection",
            (None, Data::Passive) => b"Waiting for a passive data connection",
            (None, Data::Active(endpoint)) => {
                turn.out.put(b"Data connection to port ");
                turn.out.dec(endpoint.port.into());
                b""
            }
        };
        turn.say(line);
        turn.say(b"211 End of status");
    }

    /// One line about the session, for SITE WHO: ` name ip:port doing`.
    #[inline(never)]
    pub fn describe(&self, out: &mut Writer<'_>) {
        out.byte(b' ');
        out.name(if self.logged_in() { &self.user } else { b"-" });
        out.byte(b' ');
        self.peer.ip.write(out);
        let (number, unit): (u64, &[u8]) = match self.transfer {
            Some(transfer) => {
                out.byte(b' ');
                out.put(transfer.verb());
                out.byte(b' ');
                (self.moved, b" bytes\r\n")
            }
            None => {
                out.put(b" idle ");
                (self.idle.into(), b" s\r\n")
            }
        };
        out.dec(number);
        out.put(unit);
    }
}

/// HELP: all commands, or how one is written.
pub(super) fn help(argument: &[u8], turn: &mut Turn<'_, impl Host>) -> Answer {
    if argument.is_empty() {
        turn.say(b"214-The following commands are known (* is not offered):");
        command::write_names(turn.config.tls != Tls::Off, &mut turn.out);
        return Break(b"214 End of help.");
    }
    let Some(command) = command::find(argument) else { return Break(b"502 Unknown command.") };
    turn.out.put(b"214 Syntax: ");
    command::write_syntax(command, &mut turn.out);
    Break(b"")
}
