//! What goes to the store while a run works: each new state first, then the lines of its log. Both wait here when the store
//! does not answer; a newer state takes the place of an older one.

use super::workdir::Layout;
use crate::{domain::run::LogLine, error::Error, kernel::Timestamp, ports::runner::RunReporter};
use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

/// How long changes are gathered before they are stored.
const GATHER: Duration = Duration::from_millis(250);
/// How soon after a failure.
const AGAIN: Duration = Duration::from_secs(1);
/// The most bytes of lines that are sent at once.
const BATCH: usize = 64 << 10;
/// The most bytes of lines that wait; past it the oldest go, until there is some room again.
const MAX: usize = 2 << 20;
const ROOM: usize = 256 << 10;
/// The same for the lines that recovery decides by, which wait longer.
const MAX_STEPS: usize = 4 << 20;

struct Entry {
    line: LogLine,
    /// When this line is stored, so is everything before this byte of the step's output.
    mark: Option<(String, u64)>,
}

#[derive(Default)]
struct Waiting {
    state: Option<Zeroizing<Vec<u8>>>,
    lines: VecDeque<Entry>,
    bytes: usize,
    step_bytes: usize,
    left_out: bool,
    refused: Option<Error>,
}

impl Waiting {
    /// What counts the bytes of such a line.
    fn counted(&mut self, line: &LogLine) -> &mut usize {
        if line.is_evidence() { &mut self.step_bytes } else { &mut self.bytes }
    }

    /// Leaves out the oldest lines of a sort that became too many.
    fn bound(&mut self) {
        for (steps, most) in [(false, MAX), (true, MAX_STEPS)] {
            let held = if steps { &mut self.step_bytes } else { &mut self.bytes };
            if *held <= most {
                continue;
            }
            self.left_out = true;
            self.lines.retain(|entry| {
                let goes = entry.line.is_evidence() == steps && *held > most - ROOM;
                if goes {
                    *held -= size(&entry.line);
                }
                !goes
            });
        }
    }
}

/// What waits to be stored.
#[derive(Default)]
pub(super) struct Record(Mutex<Waiting>);

impl Record {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A newer state.
    pub(crate) fn state(&self, bytes: Zeroizing<Vec<u8>>) {
        self.waiting().state = Some(bytes);
    }

    /// Lines of the log, already redacted. `mark` is a step and how many bytes of its output these lines are the end of.
    pub(crate) fn lines(&self, lines: Vec<LogLine>, mark: Option<(String, u64)>) {
        let mut waiting = self.waiting();
        let last = lines.len().saturating_sub(1);
        for (number, line) in lines.into_iter().enumerate() {
            *waiting.counted(&line) += size(&line);
            waiting.lines.push_back(Entry { line, mark: mark.clone().filter(|_| number == last) });
        }
        waiting.bound();
    }

    /// A line of the supervisor's own.
    pub(crate) fn say(&self, at: Timestamp, level: &str, message: impl Into<String>) {
        self.line(at, level, "asgard", message.into());
    }

    /// The supervisor's last line: whatever was given before it is stored before it.
    pub(crate) fn end(&self, at: Timestamp, message: String) {
        self.line(at, "info", LogLine::ENDED, message);
    }

    fn line(&self, at: Timestamp, level: &str, kind: &str, message: String) {
        let line = LogLine { at, level: level.into(), kind: kind.into(), address: None, action: None, message };
        self.lines(vec![line], None);
    }

    /// Stores what comes; once `done` is cancelled, stores what is left and returns. Nothing else may drop it while the
    /// lease is held: what is on its way to the store would be lost.
    pub(crate) async fn keep_storing(
        &self,
        reporter: &dyn RunReporter,
        layout: Option<&Layout>,
        done: &CancellationToken,
    ) {
        loop {
            let last = done.is_cancelled();
            let stored = self.store(reporter, layout).await;
            if last && stored {
                return;
            }
            if stored {
                tokio::select! {
                    () = tokio::time::sleep(GATHER) => {}
                    () = done.cancelled() => {}
                }
            } else {
                tokio::time::sleep(AGAIN).await;
            }
        }
    }

    /// Why a state was refused for good, if one was.
    pub(crate) fn refusal(&self) -> Option<Error> {
        self.waiting().refused.take()
    }

    /// Whether a state waits.
    #[cfg(test)]
    fn has_state(&self) -> bool {
        self.waiting().state.is_some()
    }

    /// Stores everything that waits; `false` when something has to be tried again.
    async fn store(&self, reporter: &dyn RunReporter, layout: Option<&Layout>) -> bool {
        let state = self.waiting().state.take();
        if let Some(state) = state
            && let Err(error) = reporter.store_state(&state).await
        {
            tracing::error!("a run's state could not be stored: {}", error.chain());
            let again = error.kind().retryable();
            let mut waiting = self.waiting();
            // A newer one may have come meanwhile.
            waiting.state.get_or_insert(state);
            if again {
                return false;
            }
            waiting.refused = Some(error);
            waiting.state = None;
        }
        while let Some(batch) = self.batch() {
            let lines = batch.iter().map(|entry| entry.line.clone()).collect();
            if let Err(error) = reporter.log(lines).await {
                tracing::warn!("a run's log could not be stored: {}", error.chain());
                if error.kind().retryable() {
                    self.put_back(batch);
                    return false;
                }
                continue;
            }
            if let (Some(layout), Some((step, bytes))) =
                (layout, batch.iter().rev().find_map(|entry| entry.mark.as_ref()))
                && let Err(error) = layout.note_logged(step, *bytes)
            {
                tracing::warn!("{}", error.chain());
            }
        }
        true
    }

    fn batch(&self) -> Option<Vec<Entry>> {
        let mut waiting = self.waiting();
        let mut batch = Vec::new();
        let mut bytes = 0;
        if std::mem::take(&mut waiting.left_out)
            && let Some(next) = waiting.lines.front()
        {
            let message = "Some lines before this one were left out: the store did not answer.".to_owned();
            batch.push(Entry {
                line: LogLine {
                    at: next.line.at,
                    level: "warn".into(),
                    kind: LogLine::LEFT_OUT.into(),
                    address: None,
                    action: None,
                    message,
                },
                mark: None,
            });
        }
        while let Some(entry) = waiting.lines.pop_front_if(|entry| bytes == 0 || bytes + size(&entry.line) <= BATCH) {
            bytes += size(&entry.line);
            *waiting.counted(&entry.line) -= size(&entry.line);
            batch.push(entry);
        }
        (!batch.is_empty()).then_some(batch)
    }

    fn put_back(&self, batch: Vec<Entry>) {
        let mut waiting = self.waiting();
        for entry in batch.into_iter().rev() {
            *waiting.counted(&entry.line) += size(&entry.line);
            waiting.lines.push_front(entry);
        }
    }
}

fn size(line: &LogLine) -> usize {
    line.message.len() + line.address.as_ref().map_or(0, String::len) + line.kind.len() + 40
}

#[cfg(test)]
mod tests {
    use super::{super::testkit::FakeReporter, *};
    use crate::error::Code;

    fn line(text: String) -> LogLine {
        LogLine {
            at: Timestamp::from_millis(0),
            level: "info".into(),
            kind: "log".into(),
            address: None,
            action: None,
            message: text,
        }
    }
    fn state(serial: u64) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(serde_json::json!({"version": 4, "serial": serial, "lineage": "l"}).to_string().into_bytes())
    }

    #[tokio::test]
    async fn an_outage_loses_no_state_and_bounds_the_log() {
        let (reporter, record, done) = (FakeReporter::default(), Record::default(), CancellationToken::new());
        reporter.refuse(Some(Code::StoreUnavailable));
        record.state(state(1));
        let step =
            |kind: &str| LogLine { kind: kind.into(), address: Some("a.b".into()), ..line("Creating...".into()) };
        record.lines(vec![step("apply_start")], None);
        for n in 0..60 {
            record.lines(vec![line(format!("{n} {}", "x".repeat(60_000)))], None);
        }
        let outage =
            tokio::time::timeout(Duration::from_millis(1500), record.keep_storing(&reporter, None, &done)).await;
        assert!(outage.is_err() && record.has_state());
        assert!(record.waiting().bytes <= MAX);
        record.state(state(2));
        reporter.refuse(None);
        done.cancel();
        record.keep_storing(&reporter, None, &done).await;
        assert!(record.refusal().is_none());
        assert_eq!(reporter.serials(), [2], "the newest is enough");
        let lines = reporter.lines();
        assert!(lines[0].message.contains("left out"), "{:?}", lines[0].message);
        assert_eq!(lines[1].kind, "apply_start", "recovery decides by it");
        assert!(lines.last().unwrap().message.starts_with("59 "));
    }

    #[tokio::test]
    async fn a_refusal_is_told_and_ends_the_wait() {
        let (reporter, record, done) = (FakeReporter::default(), Record::default(), CancellationToken::new());
        reporter.refuse(Some(Code::WrongState));
        record.state(state(1));
        done.cancel();
        record.keep_storing(&reporter, None, &done).await;
        assert_eq!(record.refusal().map(|error| error.code()), Some(Code::WrongState));
        assert!(!record.has_state() && reporter.serials().is_empty());
    }
}
