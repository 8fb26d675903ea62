//! One long command from start to end: its output is followed, its states are stored, and it is stopped when it has to be.

use super::{
    child::{Child, Exit},
    conduct::Conductor,
    confine::Confinement,
    guard::Order,
    held::Held,
    messages::{self, Message},
    redact::Redactor,
    stop::{Reason, Rung},
    tail::Tail,
    tracker::Tracker,
    watch::Watch,
    workdir::Layout,
};
use crate::{
    domain::run::{Inventory, LogLine},
    error::{Error, Result},
};
use std::{collections::BTreeSet, time::Duration};

/// How often a running command is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// The most of what it printed to stderr that is looked at.
const STDERR: u64 = 64 << 10;

/// What became of a command.
pub(super) struct Stepped {
    /// How it ended.
    pub exit: Exit,
    /// What its messages told.
    pub tracker: Tracker,
    /// What it said in words.
    pub held: Held,
    /// What it said to stderr.
    pub stderr: String,
    /// Why its output could not be followed any more, for which it was ended.
    pub broken: Option<Error>,
}

impl Stepped {
    /// Whether it ended with one of the codes that mean success.
    pub(crate) fn worked(&self, codes: &[i32]) -> bool {
        self.broken.is_none() && matches!(self.exit, Exit::Code(code) if codes.contains(&code))
    }

    /// Whether something other than Asgard ended or interrupted it. A shell that wraps the engine adds 128 to the signal.
    pub(crate) fn was_ended_from_outside(&self) -> bool {
        match self.exit {
            Exit::Signal(_) => true,
            Exit::Code(code) => code > 128 || (code != 0 && self.tracker.was_interrupted()),
        }
    }
}

/// What a command is followed with.
struct Following<'a> {
    conductor: &'a Conductor<'a>,
    step: &'static str,
    json: bool,
    stdout: Tail,
    tracker: Tracker,
    held: Held,
    redactor: &'a Redactor,
}

impl Following<'_> {
    /// Takes in what was printed since the last look. `false` when there may be more.
    fn look(&mut self, over: bool) -> Result<bool> {
        let (mut fresh, at_end) = self.stdout.lines()?;
        if over && at_end {
            fresh.extend(self.stdout.last());
        }
        let now = self.conductor.now();
        let mut lines: Vec<LogLine> = Vec::new();
        for text in fresh {
            let (at, message) = if self.json { messages::read(&text, now)? } else { (now, Message::Words { text }) };
            self.tracker.follow(&message);
            if let Some(mut line) = message.line(at) {
                line.address = line.address.map(|address| self.redactor.text(&address));
                lines.push(line);
            }
            self.held.keep(at, message);
        }
        if !lines.is_empty() {
            self.conductor.record.lines(lines, Some((self.step.to_owned(), self.stdout.taken())));
        }
        Ok(at_end)
    }
}

impl Conductor<'_> {
    /// Runs one command. `state` is watched for commands that write one. An error means that it was not started.
    pub(crate) async fn step(
        &self,
        step: &'static str,
        args: &[&str],
        json: bool,
        mut state: Option<&mut Watch>,
        redactor: &Redactor,
    ) -> Result<Stepped> {
        if let Some(reason) = self.stop.reason() {
            return Err(Error::bug(format!("{step} is not started: {}", reason.sentence())));
        }
        let layout = self.dir.layout();
        let mut child = self.start(step, args, layout).await?;
        let mut following = Following {
            conductor: self,
            step,
            json,
            stdout: Tail::new(&layout.stdout(step)),
            tracker: Tracker::default(),
            held: Held::default(),
            redactor,
        };
        let mut broken = None;
        let mut rung = Rung::Run;
        let exit = loop {
            if let Some(exit) = child.ended(LOOK).await? {
                break exit;
            }
            child.tell(self.term.until());
            if broken.is_none()
                && let Err(error) = following.look(false)
            {
                tracing::error!(run.id = layout.name(), "{}", error.chain());
                child.climb(Rung::Interrupt);
                broken = Some(error);
            }
            if let Some(newer) = state.as_mut().and_then(|watch| watch.newer()) {
                self.record.state(newer);
            }
            let interrupted = following.tracker.was_interrupted();
            let due = self.stop.due(self.order.grace, interrupted);
            if due > rung {
                self.climb(&mut child, rung, due, interrupted);
                rung = due;
            }
        };
        while broken.is_none() {
            match following.look(true) {
                Ok(true) => break,
                Ok(false) => {}
                Err(error) => broken = Some(error),
            }
        }
        if let Some(newest) = state.as_mut().and_then(|watch| watch.last()) {
            self.record.state(newest);
        }
        let stderr = beginning_of(&layout.stderr(step));
        Ok(Stepped { exit, tracker: following.tracker, held: following.held, stderr, broken })
    }

    /// Starts Terraform: behind a guard, where this program can be one.
    async fn start(&self, step: &str, args: &[&str], layout: &Layout) -> Result<Child> {
        let Some(helper) = self.helper else {
            return Child::start(&self.engine.bin, step, args, &self.environment, layout).await;
        };
        let order = Order {
            root: layout.root().to_owned(),
            step: step.to_owned(),
            program: self.engine.bin.clone(),
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            environment: self.environment.text()?,
            confinement: Confinement::of_run(&self.engine.bin, &self.environment, &self.around, layout),
            grace: self.order.grace,
            until: self.term.until(),
            wind_down: self.term.wind_down(),
        };
        Child::guarded(helper, &order, layout).await
    }

    /// Takes the next steps of the ladder.
    fn climb(&self, child: &mut Child, from: Rung, to: Rung, interrupted: bool) {
        if from == Rung::Run {
            if let Some(reason) = self.stop.reason() {
                self.record.say(self.now(), "warn", reason.sentence());
            }
            // Where the platform has interrupted Terraform too, ours would be the second interrupt.
            let once_is_enough = interrupted && self.stop.reason() == Some(Reason::Stopped);
            if to == Rung::Interrupt && !once_is_enough {
                child.climb(to);
            }
        }
        match to {
            Rung::Run | Rung::Interrupt => {}
            Rung::InterruptAgain => {
                self.record.say(self.now(), "warn", "Terraform did not stop in time and is interrupted again.");
                child.climb(to);
            }
            Rung::Kill => {
                self.record.say(self.now(), "error", "Terraform did not stop and is killed.");
                child.climb(to);
            }
        }
    }

    /// The addresses of what the newest state of the run has beyond the one that it began with.
    pub(crate) fn recorded(&self) -> BTreeSet<String> {
        let Some((_, newest)) = super::watch::newest(self.dir.layout()) else { return BTreeSet::new() };
        let began_with = self.order.state.as_deref().map(|bytes| Inventory::of(bytes)).unwrap_or_default();
        Inventory::of(&newest).recorded_since(&began_with)
    }
}

fn beginning_of(path: &std::path::Path) -> String {
    use std::io::Read;
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(STDERR).read_to_end(&mut bytes));
    match read {
        // The last line may be cut, and with it a secret; a whole file ends with its last line.
        Ok(read) if read as u64 == STDERR => bytes.truncate(bytes.iter().rposition(|byte| *byte == b'\n').unwrap_or(0)),
        Ok(_) => {}
        Err(error) => tracing::warn!("what Terraform complained about cannot be read: {error}"),
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
