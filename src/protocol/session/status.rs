//! What the server tells about itself and the session: HELP, FEAT, STAT without a path (RFC 959 4.1.3, RFC 2389).

use super::host::{Host, Tls, Turn};
use super::replies::Answer;
use super::{Data, Session};
use crate::protocol::arguments::Representation;
use crate::protocol::tables::Tables;
use crate::protocol::texts::{Text, text};
use crate::protocol::writer::Writer;
use core::ops::ControlFlow::Break;

impl Session {
    /// FEAT.
    pub(super) fn feat(&self, turn: &mut Turn<'_, impl Host>) -> Answer {
        turn.say(text!("211-Features:"));
        turn.config.tables.write_features(turn.config.tls != Tls::Off, turn.config.digests, &mut turn.out);
        turn.text(text!(" MLST "));
        self.facts.write_feature(&mut turn.out);
        if turn.config.sets_times {
            turn.text(text!("\r\n MFMT"));
        }
        turn.text(text!("\r\n REST STREAM"));
        if turn.config.digests {
            turn.text(text!("\r\n HASH SHA-256*"));
        }
        Break(text!("\r\n TVFS\r\n UTF8\r\n211 End"))
    }

    /// STAT without an argument: the server and the session, and during a transfer how far it has come.
    #[inline(never)]
    pub(super) fn say_status(&self, turn: &mut Turn<'_, impl Host>) {
        turn.text(text!("211-"));
        turn.out.name(turn.config.server_name);
        turn.text(text!("\r\n Connected from "));
        self.peer.ip.write(&mut turn.out);
        turn.text(text!("\r\n Logged in as "));
        turn.out.name(&self.user);
        turn.text(text!("\r\n TYPE: "));
        turn.text(match self.representation {
            Representation::Ascii => text!("ASCII"),
            Representation::Image => text!("Image"),
        });
        turn.text(text!("; STRUcture: File; transfer MODE: Stream\r\n "));
        let line = match (self.transfer, self.data) {
            (Some(transfer), _) => {
                turn.out.put(transfer.verb());
                turn.text(text!(" in progress, "));
                turn.out.dec(self.moved);
                text!(" bytes moved")
            }
            (None, Data::Unset) => text!("No data connection"),
            (None, Data::Passive) => text!("Waiting for a passive data connection"),
            (None, Data::Active(endpoint)) => {
                turn.text(text!("Data connection to port "));
                turn.out.dec(endpoint.port.into());
                Text::NONE
            }
        };
        turn.say(line);
        turn.say(text!("211 End of status"));
    }

    /// One line about the session, for SITE WHO: ` name ip:port doing`.
    #[inline(never)]
    pub fn describe(&self, tables: &Tables, out: &mut Writer<'_>) {
        out.byte(b' ');
        out.name(if self.logged_in() { &self.user } else { b"-" });
        out.byte(b' ');
        self.peer.ip.write(out);
        let (number, unit): (u64, _) = match self.transfer {
            Some(transfer) => {
                out.byte(b' ');
                out.put(transfer.verb());
                out.byte(b' ');
                (self.moved, text!(" bytes\r\n"))
            }
            None => {
                tables.texts.write(text!(" idle "), out);
                (self.idle.into(), text!(" s\r\n"))
            }
        };
        out.dec(number);
        tables.texts.write(unit, out);
    }
}

/// HELP: all commands, or how one is written.
pub(super) fn help(argument: &[u8], turn: &mut Turn<'_, impl Host>) -> Answer {
    if argument.is_empty() {
        turn.say(text!("214-The following commands are known (* is not offered):"));
        turn.config.tables.write_names(turn.config.tls != Tls::Off, turn.config.digests, &mut turn.out);
        return Break(text!("214 End of help."));
    }
    let Some(command) = turn.config.tables.find(argument) else { return Break(text!("502 Unknown command.")) };
    turn.text(text!("214 Syntax: "));
    turn.config.tables.write_syntax(command, &mut turn.out);
    Break(Text::NONE)
}
