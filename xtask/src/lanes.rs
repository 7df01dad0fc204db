//! Runs steps beside one another, in lanes. Each step is a process of its own, whose output is shown when it has ended.

use crate::project::{Result, make_folder, program};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

/// What the process of a step ends with when it was skipped.
pub const SKIPPED: i32 = 77;
/// It then prints this, and the reason as its last lines.
pub const REASON: &str = "skipped: ";

/// After this time without news, a line tells which steps are running.
const HEARTBEAT: Duration = Duration::from_secs(60);
/// How long a step may take to tidy up when it is told to end.
const FAREWELL: Duration = Duration::from_secs(30);

mod failures;

/// How a step ended when nothing failed.
pub enum Outcome {
    Done,
    /// It cannot run here, for this reason.
    Skipped(String),
}

impl From<()> for Outcome {
    fn from((): ()) -> Self {
        Outcome::Done
    }
}

/// A reason, where there is one, to skip the step.
impl From<Option<String>> for Outcome {
    fn from(reason: Option<String>) -> Self {
        reason.map_or(Outcome::Done, Outcome::Skipped)
    }
}

/// A part of `cargo xtask test`.
pub struct Step<'a> {
    pub name: String,
    /// About how long it takes. What takes long is started early.
    seconds: u32,
    /// The steps that must have been done before.
    after: Vec<String>,
    /// What no two steps use at the same time.
    uses: Option<&'static str>,
    /// Whether nothing may run beside it.
    is_alone: bool,
    /// What is done in this process, before any step begins.
    first: Option<Work<'a>>,
    work: Work<'a>,
}

type Work<'a> = Box<dyn Fn() -> Result<Outcome> + 'a>;

/// A step with the usual settings: it waits for no other step, and others may run beside it.
pub fn step<'a, O: Into<Outcome>>(
    name: impl Into<String>,
    seconds: u32,
    work: impl Fn() -> Result<O> + 'a,
) -> Step<'a> {
    let work = Box::new(move || work().map(Into::into));
    Step { name: name.into(), seconds, after: Vec::new(), uses: None, is_alone: false, first: None, work }
}

impl<'a> Step<'a> {
    /// It needs what that step makes.
    pub fn after(mut self, name: impl Into<String>) -> Self {
        self.after.push(name.into());
        self
    }

    /// It uses what no other step may use meanwhile.
    pub fn uses(mut self, what: &'static str) -> Self {
        self.uses = Some(what);
        self
    }

    /// Nothing may run beside it: for figures that need a quiet machine.
    #[allow(dead_code)]
    pub fn alone(mut self) -> Self {
        self.is_alone = true;
        self
    }

    /// `work` fetches what the step needs from the network and from Debian. It runs before any step begins, because two steps may need the same.
    pub fn first<O: Into<Outcome>>(mut self, work: impl Fn() -> Result<O> + 'a) -> Self {
        self.first = Some(Box::new(move || work().map(Into::into)));
        self
    }

    pub fn needs(&self, name: &str) -> bool {
        self.after.iter().any(|needed| needed == name)
    }

    #[cfg(test)]
    pub fn after_which(&self) -> &[String] {
        &self.after
    }

    /// Does it, in this process.
    pub fn perform(&self) -> Result<Outcome> {
        (self.work)()
    }
}

/// How a step has ended, and after how long.
enum End {
    Ok(Duration),
    /// With the lines that tell which of its cases failed.
    Failed(Duration, Vec<String>),
    /// With the reason.
    Skipped(String),
}

impl End {
    fn word(&self) -> &'static str {
        match self {
            End::Ok(_) => "ok",
            End::Failed(..) => "FAILED",
            End::Skipped(_) => "skipped",
        }
    }

    fn seconds(&self) -> String {
        match self {
            End::Ok(time) | End::Failed(time, _) => format!(" ({:.1} s)", time.as_secs_f32()),
            End::Skipped(_) => String::new(),
        }
    }
}

enum News {
    Ended(usize, std::io::Result<ExitStatus>),
    /// Ctrl-C, or another request to end.
    Interrupted,
}

struct Running {
    group: u32,
    start: Instant,
    log: PathBuf,
}

/// All steps, how they have ended, and which are running.
struct Lanes<'a> {
    steps: &'a [Step<'a>],
    /// For each step: its own time and that of the longest row of steps that wait for it.
    weights: Vec<u32>,
    running: BTreeMap<usize, Running>,
    ends: BTreeMap<usize, End>,
}

/// Does all steps, even if some fail, and ends with a summary. `command` gives the process for a step; what that prints
/// is kept in `folder`.
pub fn perform(steps: &[Step], lanes: usize, folder: &Path, command: impl Fn(&str) -> Command) -> Result {
    let (sender, news) = mpsc::channel();
    let interrupts = sender.clone();
    ctrlc::set_handler(move || drop(interrupts.send(News::Interrupted))).map_err(|error| error.to_string())?;
    let _ = fs::remove_dir_all(folder);
    make_folder(folder)?;
    let beginning = Instant::now();
    let mut all = Lanes::new(steps);
    all.first(&news)?;
    loop {
        while let Some(index) = all.next(lanes) {
            all.start(index, folder, command(&steps[index].name), &sender)?;
        }
        if all.running.is_empty() {
            break;
        }
        match news.recv_timeout(HEARTBEAT) {
            Ok(News::Ended(index, status)) => all.ended(index, status),
            Err(RecvTimeoutError::Timeout) => all.tell_what_runs(),
            Ok(News::Interrupted) | Err(RecvTimeoutError::Disconnected) => {
                tell("interrupted: the steps that run are told to end");
                all.interrupt(&news);
                return Err("interrupted".into());
            }
        }
    }
    all.summary(beginning.elapsed(), lanes)
}

impl<'a> Lanes<'a> {
    fn new(steps: &'a [Step<'a>]) -> Self {
        let mut weights = vec![0; steps.len()];
        // A step comes behind those that it needs.
        for (index, step) in steps.iter().enumerate().rev() {
            let waiting = steps.iter().zip(&weights).filter(|(other, _)| other.needs(&step.name));
            weights[index] = step.seconds + waiting.map(|(_, weight)| *weight).max().unwrap_or(0);
        }
        Lanes { steps, weights, running: BTreeMap::new(), ends: BTreeMap::new() }
    }

    fn title(&self, index: usize) -> String {
        format!("[{} of {}] {}", index + 1, self.steps.len(), self.steps[index].name)
    }

    /// Fetches what the steps need. Ctrl-C ends the program that fetches, and then nothing more is fetched.
    fn first(&mut self, news: &mpsc::Receiver<News>) -> Result {
        for (index, step) in self.steps.iter().enumerate() {
            let start = Instant::now();
            let fetched = step.first.as_ref().map(|first| first());
            if let Ok(News::Interrupted) = news.try_recv() {
                return Err("interrupted".into());
            }
            let end = match fetched {
                None | Some(Ok(Outcome::Done)) => continue,
                Some(Ok(Outcome::Skipped(reason))) => End::Skipped(reason),
                Some(Err(error)) => {
                    tell(&error);
                    End::Failed(start.elapsed(), failures::failures(&error))
                }
            };
            self.end(index, end);
        }
        Ok(())
    }

    fn end(&mut self, index: usize, end: End) {
        let reason = if let End::Skipped(reason) = &end { format!(": {reason}") } else { String::new() };
        tell(format!("{} … {}{}{reason}", self.title(index), end.word(), end.seconds()));
        self.ends.insert(index, end);
    }

    /// The steps that still wait.
    fn waiting(&self) -> Vec<usize> {
        let waits = |index: &usize| !self.running.contains_key(index) && !self.ends.contains_key(index);
        (0..self.steps.len()).filter(waits).collect()
    }

    /// Leaves out what needs a step that was not done.
    fn leave_out(&mut self) {
        for index in self.waiting() {
            let undone = self.steps.iter().zip(0..).find_map(|(step, other)| match self.ends.get(&other) {
                Some(End::Skipped(reason)) if self.steps[index].needs(&step.name) => Some(reason.clone()),
                Some(End::Failed(..)) if self.steps[index].needs(&step.name) => Some(format!("{} failed", step.name)),
                _ => None,
            });
            if let Some(reason) = undone {
                self.end(index, End::Skipped(reason));
            }
        }
    }

    /// The next step to start, if there is a free lane: of the steps that may start, the one with the longest way to go. A step that must be alone
    /// starts when no other can.
    fn next(&mut self, lanes: usize) -> Option<usize> {
        self.leave_out();
        let is_done =
            |name: &str| self.steps.iter().zip(0..).all(|(step, n)| step.name != name || self.ends.contains_key(&n));
        let is_used =
            |what: Option<&str>| what.is_some() && self.running.keys().any(|other| self.steps[*other].uses == what);
        let is_occupied = self.running.keys().any(|other| self.steps[*other].is_alone);
        if self.running.len() >= lanes || is_occupied {
            return None;
        }
        let mut ready = self.waiting();
        ready.retain(|index| {
            let step = &self.steps[*index];
            step.after.iter().all(|name| is_done(name)) && !is_used(step.uses)
        });
        let beside = ready.iter().copied().filter(|index| !self.steps[*index].is_alone);
        if let Some(index) = beside.max_by_key(|index| self.weights[*index]) {
            return Some(index);
        }
        ready.first().copied().filter(|_| self.running.is_empty())
    }

    fn start(&mut self, index: usize, folder: &Path, mut command: Command, news: &Sender<News>) -> Result {
        let log = folder.join(format!("{}.log", index + 1));
        let file = File::create(&log).map_err(|error| format!("cannot write {}: {error}", log.display()))?;
        let again = file.try_clone().map_err(|error| format!("cannot write {}: {error}", log.display()))?;
        // A group of its own: so it can be ended with all that it has started.
        command.process_group(0).stdin(Stdio::null()).stdout(file).stderr(again);
        tell(format!("{} …", self.title(index)));
        let mut child: Child = command.spawn().map_err(|error| format!("cannot start a step: {error}"))?;
        self.running.insert(index, Running { group: child.id(), start: Instant::now(), log });
        let news = news.clone();
        thread::spawn(move || drop(news.send(News::Ended(index, child.wait()))));
        Ok(())
    }

    fn ended(&mut self, index: usize, status: std::io::Result<ExitStatus>) {
        let Some(Running { group, start, log }) = self.running.remove(&index) else { return };
        // End the processes that it has left behind.
        signal("KILL", group);
        let printed = fs::read(&log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
        let end = match status.map(|status| status.code()) {
            Ok(Some(0)) => End::Ok(start.elapsed()),
            Ok(Some(SKIPPED)) => {
                let reason = printed.rsplit_once(REASON).map_or("", |(_, reason)| reason);
                End::Skipped(reason.trim_end().into())
            }
            _ => End::Failed(start.elapsed(), failures::failures(&printed)),
        };
        if !matches!(end, End::Skipped(_)) && !printed.trim().is_empty() {
            tell(format!("---- {} printed:\n{}\n----", self.title(index), printed.trim_end()));
        }
        self.end(index, end);
    }

    fn tell_what_runs(&self) {
        let what = self
            .running
            .iter()
            .map(|(index, running)| format!("{} ({} s)", self.title(*index), running.start.elapsed().as_secs()));
        tell(format!("still running: {}", what.collect::<Vec<_>>().join(", ")));
    }

    /// Tells what runs to end, as Ctrl-C does, and waits until it has.
    fn interrupt(&mut self, news: &mpsc::Receiver<News>) {
        let end = Instant::now() + FAREWELL;
        for running in self.running.values() {
            signal("INT", running.group);
        }
        while !self.running.is_empty() {
            match news.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(News::Ended(index, status)) => self.ended(index, status),
                Ok(News::Interrupted) => {}
                Err(_) => break,
            }
        }
        for running in self.running.values() {
            signal("KILL", running.group);
        }
    }

    /// Tells how all ended; in its last lines what was not run and what failed.
    fn summary(&self, time: Duration, lanes: usize) -> Result {
        tell("== summary");
        for (index, end) in &self.ends {
            tell(format!("{:<7} {}{}", end.word(), self.steps[*index].name, end.seconds()));
        }
        let (minutes, seconds) = (time.as_secs() / 60, time.as_secs() % 60);
        tell(format!("{} steps in {minutes}:{seconds:02} minutes, lanes: {lanes}", self.ends.len()));
        for (index, end) in &self.ends {
            if let End::Skipped(reason) = end {
                tell(format!("NOT RUN: {}: {reason}", self.steps[*index].name));
            }
        }
        let mut failures = Vec::new();
        for (index, end) in &self.ends {
            if let End::Failed(_, lines) = end {
                let name = self.steps[*index].name.as_str();
                tell(format!("FAILED: {name}"));
                lines.iter().for_each(|line| tell(format!("    {line}")));
                failures.push(name);
            }
        }
        if failures.is_empty() { Ok(()) } else { Err(format!("failed: {}", failures.join(", "))) }
    }
}

/// Sends a signal to all processes of a group that still exist. It uses the `kill` of the shell, which every machine has.
fn signal(name: &str, group: u32) {
    let mut kill = program("sh");
    kill.args(["-c", &format!("kill -s {name} -- -{group}")]).stdout(Stdio::null()).stderr(Stdio::null());
    let _ = kill.status();
}

fn tell(text: impl AsRef<str>) {
    // The reader may be gone (`cargo xtask test | head`). That is no failure.
    let _ = writeln!(std::io::stdout(), "{}", text.as_ref());
}

#[cfg(test)]
#[path = "lanes/tests.rs"]
mod tests;
