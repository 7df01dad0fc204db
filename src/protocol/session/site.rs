//! SITE: the subcommands that the original offered, and the two that clients try (RFC 959 4.1.3).

use super::host::{Action, Host, Outcome, Turn, errno};
use super::replies::{ARGUMENT_REQUIRED, Answer, BAD_ARGUMENT, LOCAL_ERROR, NO_PERMISSION};
use super::{After, Session, set};
use crate::protocol::arguments::{parse_utime, word};
use crate::protocol::listing::Permission;
use crate::protocol::texts;
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
    run: Site,
    needs: Permission,
}

macro_rules! site_commands {
    ($($name:literal $run:ident $needs:ident $syntax:literal)*) => {
        /// The name and the syntax of each.
        const SITE_LIST: &[&[u8]] = &[$($name, $syntax),*];
        static SITE_COMMANDS: &[SiteCommand] = &[$(SiteCommand { run: Site::$run, needs: Permission::$needs }),*];
    };
}

#[rustfmt::skip]
site_commands! {
    b"CHMOD"    Chmod         NONE  b" <SP> mode <SP> pathname"
    b"DF"       Df            NONE  b""
    b"FREE"     Free          NONE  b""
    b"GC"       Gc            NONE  b""
    b"HASHPASS" HashPassword  NONE  b" <SP> password"
    b"HELP"     Help          NONE  b""
    b"KICK"     Kick          SITE  b" <SP> username | address"
    b"SHUTDOWN" Shutdown      SITE  b" <SP> -h | -r"
    b"UPTIME"   Uptime        NONE  b""
    b"UTIME"    Utime         NONE  b" <SP> time <SP> pathname"
    b"WHO"      Who           NONE  b""
}

static SITE_TEXTS: [u8; texts::length(SITE_LIST)] = texts::joined(SITE_LIST);

impl Session {
    /// SITE: what the original offered (its README), and the two that clients try.
    #[inline(never)]
    pub(super) fn site(&mut self, argument: &[u8], turn: &mut Turn<'_, impl Host>) -> Answer {
        let (name, argument) = word(argument);
        let found =
            (0..).zip(SITE_COMMANDS).find(|(index, _)| texts::nth(&SITE_TEXTS, 2 * index).eq_ignore_ascii_case(name));
        let Some((_, site)) = found else { return Break(b"500 Unknown SITE command.") };
        if !self.permission().contains(site.needs) {
            return Break(NO_PERMISSION);
        }
        if !set(&mut turn.work.text, argument) {
            return Break(BAD_ARGUMENT);
        }
        match site.run {
            Site::Help => {
                turn.say(b"214-The following SITE commands are known:");
                for index in 0..SITE_COMMANDS.len() {
                    turn.out.byte(b' ');
                    turn.out.put(texts::nth(&SITE_TEXTS, 2 * index));
                    turn.say(texts::nth(&SITE_TEXTS, 2 * index + 1));
                }
                Break(b"214 End of help.")
            }
            Site::Df => {
                self.resolve(b"", turn)?;
                self.act(Action::Space, After::Df)
            }
            Site::Free => self.act(Action::Memory, After::Memory),
            Site::Gc => self.act(Action::Collect, After::Memory),
            Site::Uptime => self.act(Action::Uptime, After::Uptime),
            Site::Who => {
                turn.say(b"211-Sessions:");
                self.act_and_say(Action::Who, b"211 End of sessions.")
            }
            Site::Utime => self.set_time(parse_utime(argument), turn),
            _ if argument.is_empty() => Break(ARGUMENT_REQUIRED),
            Site::HashPassword => self.act(Action::HashPassword, After::HashPassword),
            Site::Kick => self.act(Action::Kick, After::Kick),
            Site::Shutdown if argument == b"-h" || argument == b"-r" => {
                self.act_and_say(Action::Shutdown, b"200 Shutting down.")
            }
            Site::Shutdown => Break(BAD_ARGUMENT),
            // Clients send it after each upload. MicroPython's file systems keep no modes.
            Site::Chmod => {
                self.resolve(word(argument).1, turn)?;
                Break(b"200 CHMOD has no effect here.")
            }
        }
    }

    /// What SITE asked for is known.
    pub(super) fn site_done(&self, after: After, outcome: Outcome<'_>, turn: &mut Turn<'_, impl Host>) -> Answer {
        match outcome {
            Outcome::Space(free, total) => {
                turn.out.put(b"211 ");
                turn.out.dec(free);
                turn.out.put(b" free of ");
                turn.out.dec(total);
                Break(if after == After::Df { b" bytes on the file system." } else { b" bytes of heap." })
            }
            Outcome::Number(seconds) if after == After::Uptime => {
                say_uptime(turn, seconds);
                Break(b".")
            }
            Outcome::Number(0) => Break(b"550 No such session."),
            Outcome::Number(count) => {
                turn.out.put(b"200 Sessions ended: ");
                turn.out.dec(count);
                Break(b".")
            }
            Outcome::Text(text) => {
                turn.out.put(b"211 ");
                turn.out.name(text);
                Break(b"")
            }
            Outcome::Failed(error) if after != After::HashPassword || error == errno::ENOMEM => {
                Break(turn.failure(error))
            }
            Outcome::Failed(_) => Break(b"504 This firmware cannot hash passwords, it has no cryptolib."),
            _ => Break(LOCAL_ERROR),
        }
    }
}

/// `211 Up 3 days, 04:05:06`
fn say_uptime(turn: &mut Turn<'_, impl Host>, seconds: u64) {
    let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
    turn.out.put(b"211 Up ");
    turn.out.dec((seconds / 86400).into());
    turn.out.put(b" days, ");
    turn.out.dec2(seconds / 3600 % 24);
    turn.out.byte(b':');
    turn.out.dec2(seconds / 60 % 60);
    turn.out.byte(b':');
    turn.out.dec2(seconds % 60);
}
