//! What the client sets: TYPE, MODE, STRU, REST, OPTS (RFC 959 4.1.2, RFC 2389, RFC 3659).

use super::Session;
use super::host::{Host, Turn};
use super::replies::{Answer, BAD_ARGUMENT};
use crate::protocol::arguments::{
    ArgumentError, Opts, Representation, is_letter, parse_offset, parse_opts, parse_type,
};
use crate::protocol::listing::Facts;
use crate::protocol::texts::{Text, text};
use core::ops::ControlFlow::Break;

impl Session {
    /// TYPE: whether files are converted.
    pub(super) fn type_(&mut self, argument: &[u8]) -> Answer {
        Break(match parse_type(argument) {
            Ok(representation) => {
                self.representation = representation;
                match representation {
                    Representation::Ascii => text!("200 Type set to A."),
                    Representation::Image => text!("200 Type set to I."),
                }
            }
            Err(error) => refusal(error, text!("504 Type not supported.")),
        })
    }

    /// REST: where the next transfer begins.
    pub(super) fn rest(&mut self, argument: &[u8], turn: &mut Turn<'_, impl Host>) -> Answer {
        let Some(offset) = parse_offset(argument) else { return Break(BAD_ARGUMENT) };
        self.offset = offset;
        turn.text(text!("350 Restarting at "));
        turn.out.dec(offset);
        Break(text!("."))
    }

    /// OPTS.
    pub(super) fn opts(&mut self, argument: &[u8], turn: &mut Turn<'_, impl Host>) -> Answer {
        Break(match parse_opts(argument) {
            Ok(Opts::Utf8On) => text!("200 UTF8 is always on."),
            Ok(Opts::Utf8Off) => text!("504 UTF8 cannot be switched off."),
            Ok(Opts::Hash) => text!("200 SHA-256"),
            Ok(Opts::Mlst(facts)) => {
                self.facts = facts;
                turn.text(text!("200 MLST OPTS"));
                if facts != Facts::NONE {
                    turn.out.byte(b' ');
                }
                facts.write_selected(&mut turn.out);
                Text::NONE
            }
            Err(error) => refusal(error, text!("501 Option not understood.")),
        })
    }
}

/// MODE: there is only one.
pub(super) fn mode(argument: &[u8]) -> Answer {
    Break(if is_letter(b'S', argument) { text!("200 Mode set to S.") } else { text!("504 Mode not supported.") })
}

/// STRU: there is only one.
pub(super) fn stru(argument: &[u8]) -> Answer {
    Break(if is_letter(b'F', argument) {
        text!("200 Structure set to F.")
    } else {
        text!("504 Structure not supported.")
    })
}

/// Why an argument is not taken.
fn refusal(error: ArgumentError, unsupported: Text) -> Text {
    match error {
        ArgumentError::Syntax => BAD_ARGUMENT,
        ArgumentError::Unsupported => unsupported,
    }
}
