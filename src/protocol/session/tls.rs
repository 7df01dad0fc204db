//! TLS for the control connection and for data connections, and what the policy refuses: AUTH, PBSZ, PROT (RFC 2228, RFC 4217).

use super::actions::Action;
use super::host::{Config, Host, Outcome, Step, Tls, Turn};
use super::replies::{Answer, BAD_ARGUMENT, NOT_OFFERED, SAID};
use super::{After, Session};
use crate::protocol::arguments::{one_of, parse_offset};
use crate::protocol::command::Verb;
use crate::protocol::security::Security;
use crate::protocol::texts::{Text, text};
use core::ops::ControlFlow::Break;

const TLS_REQUIRED: Text = text!("530 TLS is required, send AUTH TLS first.");
const PRIVATE_REQUIRED: Text = text!("521 Data connections need PROT P.");

/// Whether the policy asks for TLS on data connections.
fn requires_private(config: &Config<'_>) -> bool {
    config.tls == Tls::Required && config.private_data
}

impl Session {
    /// Whether the control connection is in clear.
    pub fn is_clear(&self) -> bool {
        self.security.is_clear()
    }

    /// Whether data connections go through TLS.
    pub fn protects_data(&self) -> bool {
        self.security.private
    }

    /// Why the server's policy refuses a command now.
    pub(super) fn security_refusal(&self, verb: Verb, config: &Config<'_>) -> Option<Text> {
        match (verb, config.tls) {
            (Verb::Auth | Verb::Pbsz | Verb::Prot | Verb::Ccc, Tls::Off) => Some(NOT_OFFERED),
            (Verb::User | Verb::Pass, Tls::Required) if self.security.is_clear() => Some(TLS_REQUIRED),
            _ => None,
        }
    }

    /// Why no data connection may be made now.
    pub(super) fn unprotected_data(&self, config: &Config<'_>) -> Option<Text> {
        (requires_private(config) && !self.security.private).then_some(PRIVATE_REQUIRED)
    }

    /// The seconds that the client may say nothing; 0 is for ever.
    pub(super) fn patience(&self, config: &Config<'_>) -> u16 {
        if self.security.is_handshake() { config.handshake_timeout } else { config.idle_timeout }
    }

    /// AUTH: the control connection goes on through TLS.
    pub(super) fn auth(&mut self, argument: &[u8]) -> Answer {
        // Clients older than the RFC call TLS SSL.
        let is_known = one_of(b"TLS TLS-C SSL", argument).is_some();
        if argument.is_empty() {
            Break(BAD_ARGUMENT)
        } else if !is_known {
            Break(text!("504 Mechanism not supported, use TLS."))
        } else if !self.security.is_clear() {
            Break(text!("503 TLS is on already."))
        } else {
            self.act(Action::StartTls, After::Auth)
        }
    }

    /// The host has a TLS stream, or none. What came in clear behind AUTH is thrown away, because anyone on the way may have put it there. The
    /// client must log in again (RFC 2228 3, AUTH).
    pub(super) fn auth_done(&mut self, outcome: Outcome<'_>, turn: &mut Turn<'_, impl Host>) -> Answer {
        if let Outcome::Failed(_) = outcome {
            return Break(text!("431 Not enough memory for TLS."));
        }
        self.forget(turn);
        self.input.clear();
        self.security = Security::HANDSHAKE;
        turn.say(text!("234 Beginning TLS."));
        self.step = Step::Secure;
        SAID
    }

    /// PBSZ: TLS has no buffer size.
    pub(super) fn pbsz(&mut self, argument: &[u8]) -> Answer {
        if self.security.is_clear() {
            return Break(text!("503 Send AUTH TLS first."));
        }
        if parse_offset(argument).is_none() {
            return Break(BAD_ARGUMENT);
        }
        self.security.sized = true;
        Break(text!("200 PBSZ=0"))
    }

    /// CLNT: who it is. Where the firmware cannot end TLS, FileZilla takes each transfer through TLS for broken.
    pub(super) fn clnt(&mut self, argument: &[u8], config: &Config<'_>) -> Answer {
        self.security.is_doubtful = !config.closes_tls && argument.starts_with(b"FileZilla");
        Break(text!("200 Noted."))
    }

    /// PROT: whether data connections go through TLS.
    pub(super) fn prot(&mut self, argument: &[u8], config: &Config<'_>) -> Answer {
        if !self.security.sized {
            return Break(text!("503 Send PBSZ 0 first."));
        }
        Break(match argument {
            b"P" | b"p" => {
                let may = config.private_data && !self.security.is_doubtful;
                self.security.private |= may;
                match (may, config.private_data) {
                    (true, _) => text!("200 Data connections are private."),
                    (_, false) => text!("534 Data connections stay clear."),
                    _ => text!("534 This firmware cannot end TLS as FileZilla wants."),
                }
            }
            b"C" | b"c" if requires_private(config) => text!("534 Data connections need PROT P."),
            b"C" | b"c" => {
                self.security.private = false;
                text!("200 Data connections are clear.")
            }
            b"S" | b"s" | b"E" | b"e" => text!("536 Level not supported, use P or C."),
            _ => text!("504 Unknown level, use P or C."),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::session::testing::Server;
    use crate::protocol::session::{Dismissal, Tick};

    fn starting_tls() -> Server {
        let mut server = Server::new();
        server.hears(b"AUTH TLS\r\nNOOP\r\nNO");
        assert_eq!(server.next(), (Step::Act(Action::StartTls), String::new()));
        assert_eq!(server.resume(Outcome::Done), (Step::Secure, "234 Beginning TLS.\r\n".into()));
        assert_eq!(server.next(), (Step::Input, String::new()));
        server
    }

    #[test]
    fn a_handshake_has_its_own_time_and_ends_without_a_word() {
        let mut server = starting_tls();
        assert_eq!(server.tick(), Tick::Nothing);
        assert_eq!(server.tick(), Tick::Nothing);
        assert_eq!(server.tick(), Tick::Control);
        // A 421 in clear would not be TLS, and TLS is not ready.
        assert_eq!(server.next(), (Step::Close, String::new()));
    }

    #[test]
    fn what_comes_through_tls_ends_the_handshakes_time() {
        let mut server = starting_tls();
        server.hears(b"N");
        for _ in 0..5 {
            assert_eq!(server.tick(), Tick::Nothing);
        }
        server.session.dismiss(Dismissal::Kicked);
        let (step, said) = server.next();
        assert!(step == Step::Close && said.starts_with("421 "));
    }

    #[test]
    fn without_memory_everything_stays_in_clear() {
        let mut server = Server::new();
        server.hears(b"AUTH TLS\r\nPBSZ 0\r\nNOOP\r\n");
        assert_eq!(server.next().0, Step::Act(Action::StartTls));
        assert_eq!(server.resume(Outcome::Failed(12)), (Step::Again, "431 Not enough memory for TLS.\r\n".into()));
        assert!(server.next().1.starts_with("503 "));
        assert!(server.next().1.starts_with("200 "));
    }
}
