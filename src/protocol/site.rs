//! SITE: the subcommands that the original offered, and the two that clients try (RFC 959 4.1.3).

use super::arguments::{parse_utime, word};
use super::listing::Permission;
use super::session::{Action, BAD_ARGUMENT, NO_PERMISSION, Session, State, Step, Turn, set};
use super::texts;

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
    pub(super) fn site_command(&mut self, argument: &[u8], turn: &mut Turn<'_, '_>) -> Step {
        let (name, argument) = word(argument);
        let found =
            (0..).zip(SITE_COMMANDS).find(|(index, _)| texts::nth(&SITE_TEXTS, 2 * index).eq_ignore_ascii_case(name));
        let line: &[u8] = match found.map(|(_, site)| site) {
            None => b"500 Unknown SITE command.",
            Some(site) if !self.permission().contains(site.needs) => NO_PERMISSION,
            Some(_) if !set(&mut turn.work.text, argument) => BAD_ARGUMENT,
            Some(site) => match site.run {
                Site::Help => {
                    turn.say(b"214-The following SITE commands are known:");
                    for index in 0..SITE_COMMANDS.len() {
                        turn.out.byte(b' ');
                        turn.out.put(texts::nth(&SITE_TEXTS, 2 * index));
                        turn.say(texts::nth(&SITE_TEXTS, 2 * index + 1));
                    }
                    b"214 End of help."
                }
                Site::Df => return self.with_path(b"", Action::Space, State::Df, turn),
                Site::Free => return self.act(Action::Memory, State::Memory),
                Site::Gc => return self.act(Action::Collect, State::Memory),
                Site::Uptime => return self.act(Action::Uptime, State::Uptime),
                Site::Who => {
                    turn.say(b"211-Sessions:");
                    return self.act(Action::Who, State::Who);
                }
                Site::Chmod | Site::HashPassword | Site::Kick | Site::Shutdown if argument.is_empty() => {
                    b"501 Argument required."
                }
                Site::HashPassword => return self.act(Action::HashPassword, State::HashPassword),
                Site::Kick => return self.act(Action::Kick, State::Kick),
                Site::Shutdown if argument == b"-h" || argument == b"-r" => {
                    return self.act(Action::Shutdown, State::Shutdown);
                }
                Site::Shutdown => BAD_ARGUMENT,
                // Clients send it after each upload. MicroPython's file systems keep no modes.
                Site::Chmod => match self.path_refusal(word(argument).1, turn) {
                    None => b"200 CHMOD has no effect here.",
                    Some(refusal) => refusal,
                },
                Site::Utime => return self.set_time(parse_utime(argument), turn),
            },
        };
        turn.say(line);
        Step::Again
    }
}

/// `211 Up 3 days, 04:05:06.`
pub(super) fn say_uptime(turn: &mut Turn<'_, '_>, seconds: u64) {
    let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
    turn.out.put(b"211 Up ");
    turn.out.dec((seconds / 86400).into());
    turn.out.put(b" days, ");
    turn.out.dec2(seconds / 3600 % 24);
    turn.out.byte(b':');
    turn.out.dec2(seconds / 60 % 60);
    turn.out.byte(b':');
    turn.out.dec2(seconds % 60);
    turn.say(b".");
}
