//! Free text that waits until the secret values are known: what provisioners print, what problems say, what providers log.

use super::{messages::Message, redact::Redactor, tracker::shortened};
use crate::{domain::run::LogLine, kernel::Timestamp};
use std::collections::BTreeMap;

/// The most bytes that wait. Problems have a share of their own, because they come last and matter most.
const MAX_HELD: usize = 1 << 20;
const MAX_PROBLEMS: usize = 256 << 10;
/// The most that waits of one problem: enough that no secret that is cut at its end reaches into what is told.
const MAX_PROBLEM: usize = 128 << 10;
/// The longest text of one line.
const MAX_MESSAGE: usize = 8000;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    Printed,
    Problem,
    Words,
}

struct Text {
    at: Timestamp,
    sort: Sort,
    level: &'static str,
    address: Option<String>,
    text: String,
}

/// Texts in the order in which they came.
#[derive(Default)]
pub(super) struct Held {
    texts: Vec<Text>,
    bytes: usize,
    problem_bytes: usize,
    left_out: usize,
}

impl Held {
    /// Keeps the free text of a message.
    pub(crate) fn keep(&mut self, at: Timestamp, message: Message) {
        let mut text = match message {
            Message::Printed { address, text } => {
                Text { at, sort: Sort::Printed, level: "info", address: Some(address), text }
            }
            Message::Diagnostic { error, address, summary, detail } => {
                let text = if detail.trim().is_empty() { summary } else { format!("{summary}\n{detail}") };
                Text { at, sort: Sort::Problem, level: if error { "error" } else { "warn" }, address, text }
            }
            Message::Words { text } => Text { at, sort: Sort::Words, level: "info", address: None, text },
            Message::Version { .. }
            | Message::Start { .. }
            | Message::Progress { .. }
            | Message::Complete { .. }
            | Message::Errored { .. }
            | Message::Planned { .. }
            | Message::Drifted { .. }
            | Message::Summary { .. }
            | Message::Provisioner { .. }
            | Message::ReadMode { .. }
            | Message::Interrupt
            | Message::Nothing => return,
        };
        let (bytes, most) = if text.sort == Sort::Problem {
            (&mut self.problem_bytes, MAX_PROBLEMS)
        } else {
            (&mut self.bytes, MAX_HELD)
        };
        // What is told of one text is far shorter than this.
        if text.sort == Sort::Problem && text.text.len() > MAX_PROBLEM {
            let end = text.text.floor_char_boundary(MAX_PROBLEM);
            text.text.truncate(end);
        }
        if *bytes + text.text.len() > most {
            self.left_out += 1;
            return;
        }
        *bytes += text.text.len();
        self.texts.push(text);
    }

    /// The lines, with the secrets taken out. `printed` says whether all secrets are known; without that, what programs
    /// printed is dropped, and only Terraform's own words are told.
    pub(crate) fn release(&mut self, redactor: &Redactor, printed: bool, now: Timestamp) -> Vec<LogLine> {
        let texts = std::mem::take(&mut self.texts);
        let mut left_out = std::mem::take(&mut self.left_out);
        (self.bytes, self.problem_bytes) = (0, 0);
        // A slow program's line is told in parts; together they may be a secret that none of them is.
        let mut streams: BTreeMap<Option<&str>, Vec<(usize, &str)>> = BTreeMap::new();
        for (number, text) in texts.iter().enumerate().filter(|(_, text)| text.sort == Sort::Printed) {
            streams.entry(text.address.as_deref()).or_default().push((number, &text.text));
        }
        let mut clean: BTreeMap<usize, String> = BTreeMap::new();
        for stream in streams.values() {
            let pieces: Vec<&str> = stream.iter().map(|(_, text)| *text).collect();
            clean.extend(stream.iter().map(|(number, _)| *number).zip(redactor.texts(&pieces)));
        }
        let mut lines = Vec::new();
        for (number, text) in texts.iter().enumerate() {
            let (kind, message) = match text.sort {
                Sort::Printed if !printed => {
                    left_out += 1;
                    continue;
                }
                // Once more by itself: pieces that are whole lines do not run into each other.
                Sort::Printed => ("provision_progress", redactor.text(&clean.remove(&number).unwrap_or_default())),
                Sort::Problem => ("diagnostic", redactor.text(&text.text)),
                Sort::Words => ("log", redactor.text(&text.text)),
            };
            if message.trim().is_empty() {
                continue;
            }
            let address = text.address.as_deref().map(|address| redactor.text(address));
            lines.push(LogLine {
                at: text.at,
                level: text.level.into(),
                kind: kind.into(),
                address,
                action: None,
                message: shortened(message.trim_end(), MAX_MESSAGE),
            });
        }
        if left_out > 0 {
            let message = format!(
                "{left_out} lines of text were left out, because there were too many or their secrets are not known."
            );
            lines.push(LogLine {
                at: now,
                level: "warn".into(),
                kind: "asgard".into(),
                address: None,
                action: None,
                message,
            });
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_millis(0)
    }
    fn printed(address: &str, text: &str) -> Message {
        Message::Printed { address: address.into(), text: text.into() }
    }

    #[test]
    fn text_is_told_in_order_without_its_secrets() {
        let mut held = Held::default();
        for message in [
            printed("a.b", "token=pass"),
            printed("a.c", "other"),
            printed("a.b", "word-1 done"),
            Message::Diagnostic {
                error: true,
                address: Some("a.b".into()),
                summary: "Bad".into(),
                detail: "password-1".into(),
            },
            Message::Words { text: "cGFzc3dvcmQtMQ==".into() },
            Message::Nothing,
        ] {
            held.keep(now(), message);
        }
        let redactor = Redactor::new(["password-1"]);
        let lines = held.release(&redactor, true, now());
        let told: Vec<_> = lines.iter().map(|line| (line.kind.as_str(), line.message.as_str())).collect();
        assert_eq!(
            told,
            [
                ("provision_progress", "token=(secret)"),
                ("provision_progress", "other"),
                ("provision_progress", "(secret) done"),
                ("diagnostic", "Bad\n(secret)"),
                ("log", "(secret)")
            ]
        );
        assert!(held.release(&redactor, true, now()).is_empty());
    }

    #[test]
    fn what_cannot_be_checked_or_is_too_much_is_left_out() {
        let mut held = Held::default();
        held.keep(now(), printed("a.b", "new secret"));
        held.keep(
            now(),
            Message::Diagnostic { error: false, address: None, summary: "Careful".into(), detail: String::new() },
        );
        let lines = held.release(&Redactor::new([]), false, now());
        assert_eq!(lines.iter().map(|line| line.level.as_str()).collect::<Vec<_>>(), ["warn", "warn"]);
        assert!(lines.iter().all(|line| !line.message.contains("new secret")));
        for _ in 0..40 {
            held.keep(now(), printed("a.b", &"y".repeat(60_000)));
        }
        held.keep(
            now(),
            Message::Diagnostic { error: true, address: None, summary: "The end".into(), detail: String::new() },
        );
        let lines = held.release(&Redactor::new([]), true, now());
        assert!(lines.iter().any(|line| line.message == "The end"));
        assert!(lines.last().unwrap().message.contains("lines of text were left out"));
        assert!(lines.iter().all(|line| line.message.chars().count() <= MAX_MESSAGE + 3));
    }
}
