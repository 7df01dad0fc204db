//! TLS for the control connection and for data connections: AUTH, PBSZ, PROT and CCC (RFC 2228, RFC 4217).

use super::arguments::parse_offset;
use super::command::Verb;
use super::session::{Action, BAD_ARGUMENT, Config, Session, State, Step, Turn};

/// The server's policy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tls {
    /// There is no TLS.
    Off,
    /// Clients may use it.
    Optional,
    /// Nobody logs in without it, and data connections need it.
    Required,
}

/// What protects the control connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Channel {
    Clear,
    /// AUTH was answered; nothing has come through TLS yet.
    Handshake,
    Secured,
}

/// How far a session's security exchange has come.
#[derive(Clone, Copy)]
pub(super) struct Security {
    channel: Channel,
    /// PBSZ was given.
    sized: bool,
    /// PROT P is in force.
    private: bool,
}

impl Security {
    /// Everything goes in clear.
    pub(super) const CLEAR: Security = Security { channel: Channel::Clear, sized: false, private: false };

    /// Something came on the control connection.
    pub(super) fn heard(&mut self) {
        if self.channel == Channel::Handshake {
            self.channel = Channel::Secured;
        }
    }

    /// Whether the client has yet to say something through TLS.
    pub(super) fn is_handshake(&self) -> bool {
        self.channel == Channel::Handshake
    }

    /// REIN: PBSZ and PROT must come again. The control connection stays in TLS, for MicroPython cannot end TLS and keep the connection.
    pub(super) fn reset(&mut self) {
        *self = Security { channel: self.channel, ..Self::CLEAR };
    }
}

const TLS_REQUIRED: &[u8] = b"530 TLS is required, send AUTH TLS first.";
const PRIVATE_REQUIRED: &[u8] = b"521 Data connections need PROT P.";

impl Session {
    /// Whether data connections go through TLS.
    pub fn protects_data(&self) -> bool {
        self.security.private
    }

    /// Why the server's policy refuses a command now.
    pub(super) fn security_refusal(&self, verb: Verb, config: &Config<'_>) -> Option<&'static [u8]> {
        match (verb, config.tls) {
            (Verb::Auth | Verb::Pbsz | Verb::Prot | Verb::Ccc, Tls::Off) => Some(b"502 Command not implemented."),
            (Verb::User | Verb::Pass, Tls::Required) if self.security.channel == Channel::Clear => Some(TLS_REQUIRED),
            _ => None,
        }
    }

    /// Why no data connection may be made now.
    pub(super) fn unprotected_data(&self, config: &Config<'_>) -> Option<&'static [u8]> {
        (config.tls == Tls::Required && !self.security.private).then_some(PRIVATE_REQUIRED)
    }

    /// The seconds that the client may say nothing; 0 is for ever.
    pub(super) fn patience(&self, config: &Config<'_>) -> u16 {
        if self.security.is_handshake() { config.handshake_timeout } else { config.idle_timeout }
    }

    pub(super) fn auth_command(&mut self, argument: &[u8], turn: &mut Turn<'_, '_>) -> Step {
        // SSL is what clients older than the RFC call TLS.
        let is_known = [&b"TLS"[..], b"TLS-C", b"SSL"].iter().any(|name| argument.eq_ignore_ascii_case(name));
        let line: &[u8] = if argument.is_empty() {
            BAD_ARGUMENT
        } else if !is_known {
            b"504 Mechanism not supported, use TLS."
        } else if self.security.channel != Channel::Clear {
            b"503 TLS is on already."
        } else {
            return self.act(Action::StartTls, State::Auth);
        };
        turn.say(line);
        Step::Again
    }

    /// AUTH goes on: the host has a TLS stream. What came in clear behind AUTH is thrown away, for anyone on the way may have put it there, and
    /// who was logged in is not any more (RFC 2228 3, AUTH).
    pub(super) fn tls_begins(&mut self, turn: &mut Turn<'_, '_>) -> Step {
        self.forget();
        self.input.clear();
        self.security = Security { channel: Channel::Handshake, ..Security::CLEAR };
        turn.say(b"234 Beginning TLS.");
        Step::Secure
    }

    /// What PBSZ, PROT and CCC answer.
    pub(super) fn protection_command(&mut self, verb: Verb, argument: &[u8], config: &Config<'_>) -> &'static [u8] {
        let secured = self.security.channel != Channel::Clear;
        match verb {
            Verb::Ccc => b"533 The control connection stays protected.",
            Verb::Pbsz if !secured => b"503 Send AUTH TLS first.",
            Verb::Pbsz if parse_offset(argument).is_none() => BAD_ARGUMENT,
            Verb::Pbsz => {
                self.security.sized = true;
                b"200 PBSZ=0"
            }
            _ if !self.security.sized => b"503 Send PBSZ 0 first.",
            _ => match argument {
                b"P" | b"p" => {
                    self.security.private = true;
                    b"200 Data connections are private."
                }
                b"C" | b"c" if config.tls == Tls::Required => b"534 Data connections need PROT P.",
                b"C" | b"c" => {
                    self.security.private = false;
                    b"200 Data connections are clear."
                }
                b"S" | b"s" | b"E" | b"e" => b"536 Level not supported, use P or C.",
                _ => b"504 Unknown level, use P or C.",
            },
        }
    }
}
