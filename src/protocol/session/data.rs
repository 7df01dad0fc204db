//! The data connection: PASV, EPSV, PORT, EPRT (RFC 959 4.1.2, RFC 2428).

use super::actions::Action;
use super::host::{Config, Host, Outcome, Turn};
use super::replies::{Answer, BAD_ARGUMENT};
use super::{After, Data, Session};
use crate::protocol::address::{
    Endpoint, EprtError, Epsv, Ip, parse_eprt, parse_epsv, parse_ip, parse_port, write_passive,
};
use crate::protocol::texts::{Text, text};
use core::ops::ControlFlow::Break;

const ONLY_EPSV: Text = text!("501 Only EPSV is allowed after EPSV ALL.");

impl Session {
    /// Where to dial for an active data connection; `None` when the client dials in.
    pub fn active_endpoint(&self) -> Option<Endpoint> {
        match self.data {
            Data::Active(endpoint) => Some(endpoint),
            _ => None,
        }
    }

    /// Whether the session wants its data connection to be made now, and whether this address may make it.
    pub fn accepts_data_from(&self, config: &Config<'_>, ip: Ip) -> bool {
        config.foreign_data || ip == self.peer.ip
    }

    /// The data connection stands.
    pub fn data_connected(&mut self) {
        self.connected = true;
        self.stalled = 0;
    }

    /// `count` more bytes have moved over the data connection.
    #[inline(never)]
    pub fn data_moved(&mut self, count: u64) {
        self.moved = self.moved.saturating_add(count);
        self.stalled = 0;
    }

    /// The bytes that the transfer has moved so far.
    pub fn moved(&self) -> u64 {
        self.moved
    }

    /// PASV: the client dials in, by IPv4.
    pub(super) fn pasv(&mut self) -> Answer {
        if self.extended_only {
            return Break(ONLY_EPSV);
        }
        if matches!(self.peer.ip, Ip::V6(_)) {
            return self.no_address(text!("425 PASV is for IPv4, use EPSV."));
        }
        self.act(Action::PassiveIpv4, After::Passive)
    }

    /// EPSV: the client dials in.
    pub(super) fn epsv(&mut self, argument: &[u8]) -> Answer {
        let v6 = matches!(self.peer.ip, Ip::V6(_));
        match parse_epsv(argument) {
            Ok(Epsv::All) => {
                self.extended_only = true;
                Break(text!("200 EPSV ALL accepted."))
            }
            Ok(protocol) if protocol != if v6 { Epsv::V4 } else { Epsv::V6 } => {
                self.act(Action::Passive, After::ExtendedPassive)
            }
            Err(EprtError::Syntax) => Break(BAD_ARGUMENT),
            _ if v6 => Break(text!("522 Network protocol not supported, use (2).")),
            _ => Break(text!("522 Network protocol not supported, use (1).")),
        }
    }

    /// The host listens for the data connection, or cannot.
    pub(super) fn passive_done(
        &mut self,
        extended: bool,
        outcome: Outcome<'_>,
        turn: &mut Turn<'_, impl Host>,
    ) -> Answer {
        let Outcome::Passive(port, address) = outcome else {
            self.data = Data::Unset;
            return Break(text!("425 Can't open passive connection."));
        };
        let line = if extended {
            turn.text(text!("229 Entering Extended Passive Mode (|||"));
            turn.out.dec(port.into());
            text!("|).")
        } else if let Some(Ip::V4(address)) = parse_ip(address) {
            turn.text(text!("227 Entering Passive Mode ("));
            write_passive(address, port, &mut turn.out);
            text!(").")
        } else {
            return self.no_address(text!("425 The server's address is not known: use EPSV, or set host."));
        };
        self.data = Data::Passive;
        Break(line)
    }

    /// PASV has no address to tell, so the listener is closed.
    fn no_address(&mut self, line: Text) -> Answer {
        self.data = Data::Unset;
        self.act_and_say(Action::Unlisten, line)
    }

    /// PORT: the server dials.
    pub(super) fn port(&mut self, argument: &[u8], turn: &mut Turn<'_, impl Host>) -> Answer {
        let endpoint = parse_port(argument).ok_or(EprtError::Syntax);
        self.dial(endpoint, text!("500 Illegal PORT command."), text!("200 PORT command successful."), turn)
    }

    /// EPRT: the server dials.
    pub(super) fn eprt(&mut self, argument: &[u8], turn: &mut Turn<'_, impl Host>) -> Answer {
        self.dial(parse_eprt(argument), text!("500 Illegal EPRT command."), text!("200 EPRT command successful."), turn)
    }

    /// Only the client's own address, and no privileged port, so that nobody can attack others through the server (RFC 2577 3).
    #[inline(never)]
    fn dial(
        &mut self,
        endpoint: Result<Endpoint, EprtError>,
        illegal: Text,
        done: Text,
        turn: &mut Turn<'_, impl Host>,
    ) -> Answer {
        if self.extended_only {
            return Break(ONLY_EPSV);
        }
        match endpoint {
            Err(EprtError::Syntax) => Break(BAD_ARGUMENT),
            Err(EprtError::Protocol) => Break(text!("522 Network protocol not supported, use (1,2).")),
            Ok(endpoint)
                if endpoint.port == 0
                    || !turn.config.foreign_data && (endpoint.ip != self.peer.ip || endpoint.port < 1024) =>
            {
                Break(illegal)
            }
            Ok(endpoint) => {
                self.data = Data::Active(endpoint);
                self.act_and_say(Action::Unlisten, done)
            }
        }
    }
}
