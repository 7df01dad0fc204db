//! From a line to the function of its command, and from an action's outcome to what comes after it.

use super::actions::{Access, Action};
use super::host::{Host, Outcome, Step, Turn};
use super::replies::{ARGUMENT_REQUIRED, Answer, NO_PERMISSION, NOT_OFFERED, SAID};
use super::{After, Session, parameters, status};
use crate::protocol::command::{self, Verb, When};
use crate::protocol::texts::text;
use core::ops::ControlFlow::Break;

impl Session {
    /// One line of the client's.
    pub(super) fn execute(&mut self, line: &[u8], turn: &mut Turn<'_, impl Host>) -> Step {
        self.idle = 0;
        let answer = self.admit(line, turn);
        self.settle(answer, turn)
    }

    /// The host did what the last [`Step::Act`] asked.
    #[inline(never)]
    pub fn resume(&mut self, outcome: Outcome<'_>, turn: &mut Turn<'_, impl Host>) -> Step {
        let after = core::mem::replace(&mut self.after, After::Ready);
        let answer = self.done(after, outcome, turn);
        self.settle(answer, turn)
    }

    /// Says a command's last line, and gives what the host does next.
    #[inline(never)]
    fn settle(&mut self, mut answer: Answer, turn: &mut Turn<'_, impl Host>) -> Step {
        // The home itself is not the account's: not even when the folder is missing, or a file has taken its place. But who may make folders may make it again.
        if let Step::Act(action) = self.step
            && action.access() == Access::Change
            && action != Action::MakeDirectory
            && turn.work.path == b"/"
        {
            self.step = Step::Again;
            self.after = After::Ready;
            self.rename_pending = false;
            answer = Break(NO_PERMISSION);
        }
        if let Break(line) = answer {
            // A transfer that was asked for will not begin, and REST is forgotten. The data connection stays for the next command.
            if self.transfer.take().is_some() {
                self.offset = 0;
            }
            turn.say(line);
        }
        core::mem::replace(&mut self.step, Step::Again)
    }

    /// Looks the command up and checks what the table demands.
    fn admit(&mut self, line: &[u8], turn: &mut Turn<'_, impl Host>) -> Answer {
        let renaming = core::mem::take(&mut self.rename_pending);
        let found = command::parse(line).and_then(|(verb, argument)| Some((turn.config.tables.find(verb)?, argument)));
        let always = found.is_some_and(|(command, _)| command.when() == When::Always);
        let Some((command, argument)) = found.filter(|_| always || self.logged_in()) else {
            return Break(if self.logged_in() {
                text!("500 Unknown command.")
            } else {
                text!("530 Please log in with USER and PASS.")
            });
        };
        let verb = command.verb;
        let refusal = if command.is_argument_required() && argument.is_empty() {
            ARGUMENT_REQUIRED
        } else if !self.permission().contains(command.needs()) {
            NO_PERMISSION
        } else if let Some(line) = self.security_refusal(verb, turn.config) {
            line
        } else if verb == Verb::Rnto && !renaming {
            text!("503 Send RNFR first.")
        } else {
            return self.run(verb, argument, turn);
        };
        if verb.transfers() {
            // It is what REST was for, refused or not.
            self.offset = 0;
        }
        Break(refusal)
    }

    /// The function of each command. Commands that always give the same reply have their line here.
    #[inline(never)]
    fn run(&mut self, verb: Verb, argument: &[u8], turn: &mut Turn<'_, impl Host>) -> Answer {
        match verb {
            Verb::Abor => self.abor(),
            Verb::Acct => Break(text!("202 Account not needed.")),
            Verb::Allo => self.allo(argument, turn),
            Verb::Appe => self.appe(argument, turn),
            Verb::Auth => self.auth(argument),
            Verb::Avbl => self.avbl(argument, turn),
            Verb::Ccc => Break(text!("533 The control connection stays protected.")),
            Verb::Cdup => self.cwd(b"..", turn),
            Verb::Clnt => self.clnt(argument, turn.config),
            Verb::Cwd => self.cwd(argument, turn),
            Verb::Dele => self.dele(argument, turn),
            Verb::Eprt => self.eprt(argument, turn),
            Verb::Epsv => self.epsv(argument),
            Verb::Feat => self.feat(turn),
            Verb::Hash | Verb::Xcrc | Verb::Xsha256 => self.hash(verb, argument, turn),
            Verb::Help => status::help(argument, turn),
            Verb::List => self.list(argument, turn),
            Verb::Mdtm => self.mdtm(argument, turn),
            Verb::Mfmt => self.mfmt(argument, turn),
            Verb::Mkd => self.mkd(argument, turn),
            Verb::Mlsd => self.mlsd(argument, turn),
            Verb::Mlst => self.mlst(argument, turn),
            Verb::Mode => parameters::mode(argument),
            Verb::Nlst => self.nlst(argument, turn),
            Verb::Noop => Break(text!("200 NOOP ok.")),
            Verb::Opts => self.opts(argument, turn),
            Verb::Pass => self.pass(argument, turn),
            Verb::Pasv => self.pasv(),
            Verb::Pbsz => self.pbsz(argument),
            Verb::Port => self.port(argument, turn),
            Verb::Prot => self.prot(argument, turn.config),
            Verb::Pwd => self.pwd(turn),
            Verb::Quit => self.quit(turn),
            Verb::Rein => self.rein(turn),
            Verb::Rest => self.rest(argument, turn),
            Verb::Retr => self.retr(argument, turn),
            Verb::Rmd => self.rmd(argument, turn),
            Verb::Rnfr => self.rnfr(argument, turn),
            Verb::Rnto => self.rnto(argument, turn),
            Verb::Site => self.site(argument, turn),
            Verb::Size => self.size(argument, turn),
            Verb::Stat => self.stat(argument, turn),
            Verb::Stor => self.stor(argument, turn),
            Verb::Stou => self.stou(argument, turn),
            Verb::Stru => parameters::stru(argument),
            Verb::Syst => Break(text!("215 UNIX Type: L8")),
            Verb::Type => self.type_(argument),
            Verb::User => self.user(argument, turn),
            Verb::Unavailable => Break(NOT_OFFERED),
        }
    }

    /// What comes after each action. Those in front of the general failure word a failure themselves.
    fn done(&mut self, after: After, outcome: Outcome<'_>, turn: &mut Turn<'_, impl Host>) -> Answer {
        match (after, outcome) {
            (After::Ready | After::Silent, _) => SAID,
            (After::Allo, _) => self.allo_done(outcome),
            (After::Auth, _) => self.auth_done(outcome, turn),
            (After::List, _) => self.list_done(outcome, turn),
            (After::Login, _) => self.login_done(outcome, turn),
            (After::Passive, _) => self.passive_done(false, outcome, turn),
            (After::ExtendedPassive, _) => self.passive_done(true, outcome, turn),
            (After::Retr, _) => self.retr_done(outcome, turn),
            (After::Stor, _) => self.stor_done(outcome, turn),
            (After::Df | After::HashPassword | After::Kick | After::Memory | After::Uptime, _) => {
                self.site_done(after, outcome, turn)
            }
            (_, Outcome::Failed(error)) => {
                // RNFR of what somebody has open: there is nothing for RNTO.
                self.rename_pending = false;
                Break(turn.failure(error))
            }
            (After::Say, _) => Break(self.line),
            (After::Avbl, _) => self.avbl_done(outcome, turn),
            (After::Hash, _) => self.hash_done(outcome, turn),
            (After::Mkd, _) => self.mkd_done(turn),
            (After::SetTime, _) => self.set_time_done(turn),
            (After::StatOpen, _) => self.stat_opened(turn),
            (After::StatList, _) => self.stat_done(),
        }
    }
}
