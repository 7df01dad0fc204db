//! Who the client is: USER, PASS, REIN and QUIT (RFC 959 4.1.1).

use super::actions::Action;
use super::errno;
use super::host::{Host, Outcome, Step, Turn};
use super::replies::{Answer, SAID};
use super::{After, Data, Session, set};
use crate::protocol::arguments::Representation;
use crate::protocol::listing::Facts;
use crate::protocol::texts::text;
use core::ops::ControlFlow::Break;

/// Failed logins before the connection is closed.
const FAILURES_MAX: u8 = 3;

impl Session {
    /// Nobody is logged in.
    #[inline(never)]
    fn log_out(&mut self, turn: &mut Turn<'_, impl Host>) {
        self.permission = None;
        self.user_given = false;
        self.user.clear();
        // The root always fits.
        let _ = turn.host.set_cwd(b"/");
        self.offset = 0;
    }

    /// Back to the state before USER.
    #[inline(never)]
    pub(super) fn forget(&mut self, turn: &mut Turn<'_, impl Host>) {
        self.log_out(turn);
        self.representation = Representation::Ascii;
        self.facts = Facts::ALL;
        self.data = Data::Unset;
        self.extended_only = false;
    }

    /// USER: who logs in. If there are no accounts, nothing more is needed. The parameters of transfers stay as they are.
    pub(super) fn user(&mut self, argument: &[u8], turn: &mut Turn<'_, impl Host>) -> Answer {
        self.log_out(turn);
        if self.user.extend_from_slice(argument).is_err() {
            return Break(text!("501 User name too long."));
        }
        if turn.config.passwordless {
            turn.work.text.clear();
            return self.act(Action::Login, After::Login);
        }
        self.user_given = true;
        turn.text(text!("331 Password required for "));
        turn.out.name(argument);
        Break(text!("."))
    }

    /// PASS.
    pub(super) fn pass(&mut self, argument: &[u8], turn: &mut Turn<'_, impl Host>) -> Answer {
        if self.logged_in() {
            return Break(text!("202 Already logged in."));
        }
        if !self.user_given {
            return Break(text!("503 Login with USER first."));
        }
        if !set(&mut turn.work.text, argument) {
            return Break(text!("501 Password too long."));
        }
        self.act(Action::Login, After::Login)
    }

    /// The host has checked the password.
    pub(super) fn login_done(&mut self, outcome: Outcome<'_>, turn: &mut Turn<'_, impl Host>) -> Answer {
        // The password is not needed any more.
        turn.work.text.fill(0);
        match outcome {
            Outcome::Login(permission) => {
                self.permission = Some(permission);
                self.failures = 0;
                self.anonymous = 0;
                turn.text(text!("230 User "));
                turn.out.name(&self.user);
                Break(text!(" logged in."))
            }
            Outcome::Failed(errno::EUSERS) => Break(text!("530 Too many sessions of this user.")),
            // The next call of `next` says why the session ends.
            _ if self.is_dismissed() => SAID,
            Outcome::Failed(error @ errno::ENOMEM) => Break(turn.failure(error)),
            _ => {
                self.failures += 1;
                self.user_given = false;
                if self.failures >= FAILURES_MAX {
                    turn.say(text!("421 Too many failed logins."));
                    self.step = Step::Close;
                    return SAID;
                }
                Break(text!("530 Login incorrect."))
            }
        }
    }

    /// REIN: as if the client had just connected; only TLS stays.
    pub(super) fn rein(&mut self, turn: &mut Turn<'_, impl Host>) -> Answer {
        self.forget(turn);
        self.security.reset();
        self.act_and_say(Action::Reset, text!("220 Ready for new user."))
    }

    /// QUIT.
    pub(super) fn quit(&mut self, turn: &mut Turn<'_, impl Host>) -> Answer {
        turn.text(text!("221 Bye"));
        if self.logged_in() {
            turn.text(text!(", "));
            turn.out.name(&self.user);
        }
        turn.say(text!("."));
        self.step = Step::Close;
        SAID
    }
}
