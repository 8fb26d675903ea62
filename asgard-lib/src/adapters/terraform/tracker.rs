//! What is known of a change while it runs: which creations began and how they ended, what drifted, what went wrong.

use super::{messages::Message, redact::Redactor};
use crate::domain::run::{ChangeAction, CreationTracker, Step, listed};
use std::collections::BTreeSet;

/// How long a sentence about a failure may get.
const MAX_TOLD: usize = 1000;
/// How many errors it tells.
const ERRORS: usize = 3;

#[derive(Clone, Debug)]
struct Problem {
    address: Option<String>,
    summary: String,
    detail: String,
}

/// Follows the messages of one command.
#[derive(Debug, Default)]
pub(super) struct Tracker {
    creations: CreationTracker,
    drifted: BTreeSet<String>,
    problems: Vec<Problem>,
    stale: bool,
    interrupted: bool,
}

impl Tracker {
    /// Takes note of a message.
    pub(crate) fn follow(&mut self, message: &Message) {
        match message {
            Message::Start { address, action } => self.creations.step(Step::Began, address, ChangeAction::of(action)),
            Message::Complete { address, action, .. } => {
                self.creations.step(Step::Complete, address, ChangeAction::of(action));
            }
            Message::Errored { address, action, .. } => {
                self.creations.step(Step::Errored, address, ChangeAction::of(action));
            }
            Message::Drifted { address, .. } => drop(self.drifted.insert(address.clone())),
            Message::Interrupt => self.interrupted = true,
            Message::Diagnostic { error: true, address, summary, detail } => {
                self.stale |= summary == "Saved plan is stale";
                if self.problems.len() < ERRORS * 4 {
                    self.problems.push(Problem {
                        address: address.clone(),
                        summary: summary.clone(),
                        detail: detail.clone(),
                    });
                }
            }
            Message::Version { .. }
            | Message::Progress { .. }
            | Message::Planned { .. }
            | Message::Summary { .. }
            | Message::Provisioner { .. }
            | Message::ReadMode { .. }
            | Message::Printed { .. }
            | Message::Diagnostic { .. }
            | Message::Words { .. }
            | Message::Nothing => {}
        }
    }

    /// What may exist without being among what is known to be recorded.
    pub(crate) fn may_exist(&self, recorded: &BTreeSet<String>) -> Vec<String> {
        listed(self.creations.may_exist(recorded))
    }

    /// The addresses that changed behind Terraform's back.
    pub(crate) fn drifted(&self) -> Vec<String> {
        listed(self.drifted.iter().cloned())
    }

    /// Whether Terraform refused the plan because the state is another one.
    pub(crate) fn is_stale(&self) -> bool {
        self.stale
    }

    /// Whether Terraform was asked to stop, by whomever.
    pub(crate) fn was_interrupted(&self) -> bool {
        self.interrupted
    }

    /// What went wrong, for people.
    pub(crate) fn failure(&self, redactor: &Redactor) -> Option<String> {
        let mut told: Vec<String> = Vec::new();
        for problem in self.problems.iter().filter(|problem| problem.summary != "execution halted") {
            // Hidden first, tidied and cut afterwards: a secret that was changed would not be recognised.
            let clean = |text: &str| redactor.text(text).split_whitespace().collect::<Vec<_>>().join(" ");
            let mut text = problem.address.as_ref().map_or_else(String::new, |address| format!("{}: ", clean(address)));
            text.push_str(clean(&problem.summary).trim_end_matches('.'));
            let detail = clean(&problem.detail);
            if !detail.is_empty() {
                text.push_str(": ");
                text.push_str(&detail);
            }
            if !told.contains(&text) && told.len() < ERRORS {
                told.push(text);
            }
        }
        (!told.is_empty()).then(|| shortened(&told.join(" / "), MAX_TOLD))
    }
}

/// At most `most` characters of a text.
pub(super) fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}...", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(address: &str, action: &str) -> Message {
        Message::Start { address: address.into(), action: action.into() }
    }
    fn complete(address: &str, action: &str) -> Message {
        Message::Complete { address: address.into(), action: action.into(), seconds: 0 }
    }
    fn problem(address: Option<&str>, summary: &str, detail: &str) -> Message {
        Message::Diagnostic {
            error: true,
            address: address.map(str::to_owned),
            summary: summary.into(),
            detail: detail.into(),
        }
    }

    #[test]
    fn only_what_may_be_lost_is_listed() {
        let mut tracker = Tracker::default();
        for message in [
            start("a.done", "create"),
            complete("a.done", "create"),
            start("a.unwritten", "create"),
            complete("a.unwritten", "create"),
            start("a.failed", "create"),
            Message::Errored { address: "a.failed".into(), action: "create".into(), seconds: 1 },
            start("a.open", "create"),
            start("a.replaced", "delete"),
            complete("a.replaced", "delete"),
            start("a.replaced", "create"),
            start("a.updated", "update"),
            start("a.deleted", "delete"),
            start("a.read", "read"),
        ] {
            tracker.follow(&message);
        }
        let stored = ["a.done", "a.replaced", "a.updated", "a.deleted"].map(str::to_owned).into();
        assert_eq!(tracker.may_exist(&stored), ["a.open", "a.replaced", "a.unwritten"]);
    }

    #[test]
    fn a_failure_is_told_once_short_and_without_secrets() {
        let mut tracker = Tracker::default();
        let redactor = Redactor::new(["hunter2-hunter2"]);
        assert_eq!(tracker.failure(&redactor), None);
        tracker.follow(&problem(Some("a.b"), "It broke", "the password\n  hunter2-hunter2 is wrong"));
        tracker.follow(&problem(Some("a.b"), "It broke", "the password hunter2-hunter2 is wrong"));
        tracker.follow(&problem(None, "execution halted", ""));
        tracker.follow(&problem(None, "Other.", ""));
        assert_eq!(tracker.failure(&redactor).unwrap(), "a.b: It broke: the password (secret) is wrong / Other");
        tracker.follow(&problem(None, "Long", &"hunter2-hunter2 ".repeat(500)));
        let told = tracker.failure(&redactor).unwrap();
        assert!(told.chars().count() <= MAX_TOLD + 3 && !told.contains("hunter"), "{told}");
        assert!(!tracker.is_stale());
        tracker.follow(&problem(None, "Saved plan is stale", ""));
        assert!(tracker.is_stale());
    }
}
