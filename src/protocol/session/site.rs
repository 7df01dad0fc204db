//! SITE: the subcommands of the original, and two that clients try (RFC 959 4.1.3).

use super::actions::Action;
use super::errno;
use super::host::{Host, Outcome, Turn};
use super::replies::{ARGUMENT_REQUIRED, Answer, BAD_ARGUMENT, LOCAL_ERROR, NO_PERMISSION};
use super::{After, Session, set};
use crate::protocol::arguments::{parse_utime, word};
use crate::protocol::command::filled;
use crate::protocol::listing::Permission;
use crate::protocol::texts::{Text, text};
use core::ops::ControlFlow::Break;

#[derive(Clone, Copy)]
enum Site {
    Chmod,
    Df,
    Free,
    Gc,
    HashPassword,
    Help,
    Kick,
    Shutdown,
    Uptime,
    Utime,
    Who,
}

struct SiteCommand {
    /// Upper case, filled with blanks.
    name: [u8; NAME_MAX],
    run: Site,
    needs: Permission,
    syntax: Text,
}

/// Bytes of the longest name.
const NAME_MAX: usize = 8;

macro_rules! site_commands {
    ($($name:literal $run:ident $needs:ident $syntax:expr)*) => {
        static SITE_COMMANDS: &[SiteCommand] = &[$(SiteCommand {
            name: filled($name),
            run: Site::$run,
            needs: Permission::$needs,
            syntax: $syntax,
        }),*];
    };
}

#[rustfmt::skip]
site_commands! {
    b"CHMOD"    Chmod         NONE  text!(" <SP> mode <SP> pathname")
    b"DF"       Df            NONE  Text::NONE
    b"FREE"     Free          NONE  Text::NONE
    b"GC"       Gc            NONE  Text::NONE
    b"HASHPASS" HashPassword  NONE  text!(" <SP> password")
    b"HELP"     Help          NONE  Text::NONE
    b"KICK"     Kick          SITE  text!(" <SP> username | address")
    b"SHUTDOWN" Shutdown      SITE  text!(" <SP> -h | -r")
    b"UPTIME"   Uptime        NONE  Text::NONE
    b"UTIME"    Utime         NONE  text!(" <SP> time <SP> pathname")
    b"WHO"      Who           NONE  Text::NONE
}

impl Session {
    /// SITE: the subcommands of the original (its README), and two that clients try.
    #[inline(never)]
    pub(super) fn site(&mut self, argument: &[u8], turn: &mut Turn<'_, impl Host>) -> Answer {
        let (name, argument) = word(argument);
        let found = SITE_COMMANDS.iter().find(|site| site.name.trim_ascii_end().eq_ignore_ascii_case(name));
        let Some(site) = found else { return Break(text!("500 Unknown SITE command.")) };
        if !self.permission().contains(site.needs) {
            return Break(NO_PERMISSION);
        }
        if !set(&mut turn.work.text, argument) {
            return Break(BAD_ARGUMENT);
        }
        match site.run {
            Site::Help => {
                turn.say(text!("214-The following SITE commands are known:"));
                for site in SITE_COMMANDS {
                    turn.out.byte(b' ');
                    turn.out.put(site.name.trim_ascii_end());
                    turn.say(site.syntax);
                }
                Break(text!("214 End of help."))
            }
            Site::Df => {
                self.resolve(b"", turn)?;
                self.act(Action::Space, After::Df)
            }
            Site::Free => self.act(Action::Memory, After::Memory),
            Site::Gc => self.act(Action::Collect, After::Memory),
            Site::Uptime => self.act(Action::Uptime, After::Uptime),
            Site::Who => {
                turn.say(text!("211-Sessions:"));
                self.act_and_say(Action::Who, text!("211 End of sessions."))
            }
            Site::Utime => self.set_time(parse_utime(argument), turn),
            _ if argument.is_empty() => Break(ARGUMENT_REQUIRED),
            Site::HashPassword => self.act(Action::HashPassword, After::HashPassword),
            Site::Kick => self.act(Action::Kick, After::Kick),
            Site::Shutdown if argument == b"-h" || argument == b"-r" => {
                self.act_and_say(Action::Shutdown, text!("200 Shutting down."))
            }
            Site::Shutdown => Break(BAD_ARGUMENT),
            // Clients send it after each upload. MicroPython's file systems keep no modes.
            Site::Chmod => {
                self.resolve(word(argument).1, turn)?;
                Break(text!("200 CHMOD has no effect here."))
            }
        }
    }

    /// What SITE asked for is known.
    pub(super) fn site_done(&self, after: After, outcome: Outcome<'_>, turn: &mut Turn<'_, impl Host>) -> Answer {
        match outcome {
            Outcome::Space(free, total) => {
                turn.text(text!("211 "));
                turn.out.dec(free);
                turn.text(text!(" free of "));
                turn.out.dec(total);
                Break(if after == After::Df { text!(" bytes on the file system.") } else { text!(" bytes of heap.") })
            }
            Outcome::Number(seconds) if after == After::Uptime => {
                say_uptime(turn, seconds);
                Break(text!("."))
            }
            Outcome::Number(0) => Break(text!("550 No such session.")),
            Outcome::Number(count) => {
                turn.text(text!("200 Sessions ended: "));
                turn.out.dec(count);
                Break(text!("."))
            }
            Outcome::Text(text) => {
                turn.text(text!("211 "));
                turn.out.name(text);
                Break(Text::NONE)
            }
            Outcome::Failed(error) if after != After::HashPassword || error == errno::ENOMEM => {
                Break(turn.failure(error))
            }
            Outcome::Failed(_) => Break(text!("504 This firmware cannot hash passwords, it has no hashlib.")),
            _ => Break(LOCAL_ERROR),
        }
    }
}

/// `211 Up 3 days, 04:05:06`
fn say_uptime(turn: &mut Turn<'_, impl Host>, seconds: u64) {
    let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
    turn.text(text!("211 Up "));
    turn.out.dec((seconds / 86400).into());
    turn.text(text!(" days, "));
    turn.out.dec2(seconds / 3600 % 24);
    turn.out.byte(b':');
    turn.out.dec2(seconds / 60 % 60);
    turn.out.byte(b':');
    turn.out.dec2(seconds % 60);
}
