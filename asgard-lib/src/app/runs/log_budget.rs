//! How much a run may log.

use crate::{domain::run::LogLine, kernel::Timestamp};

/// The most bytes of log that a run keeps for people.
const MAX_BYTES: usize = 5 * 1024 * 1024;
/// The most bytes that it keeps of the lines that recovery decides by.
const MAX_STEPS: usize = 5 * 1024 * 1024;

/// What a supervision has logged so far.
#[derive(Debug, Default)]
pub(super) struct LogBudget {
    pub(super) next: u32,
    bytes: usize,
    full: bool,
    step_bytes: usize,
    steps_full: bool,
}

impl LogBudget {
    /// The line that is logged instead of one of this size, if any. Steps have a bound of their own: recovery decides by
    /// them.
    pub(super) fn admit(&mut self, line: LogLine, bytes: usize) -> Option<LogLine> {
        let step = line.is_evidence();
        let (used, most, full, message) = if step {
            let message = "So much began and ended that the log leaves out the rest.";
            (&mut self.step_bytes, MAX_STEPS, &mut self.steps_full, message)
        } else {
            let message = "The log is longer than 5 MB; of what follows only what begins and ends is kept.";
            (&mut self.bytes, MAX_BYTES, &mut self.full, message)
        };
        if *full {
            return None;
        }
        *used += bytes;
        *full = *used > most;
        Some(if *full { left_out(line.at, message, step) } else { line })
    }
}

fn left_out(at: Timestamp, message: &str, step: bool) -> LogLine {
    let (kind, message) = (if step { LogLine::LEFT_OUT } else { "asgard" }, message.to_owned());
    LogLine { at, level: "warn".into(), kind: kind.into(), address: None, action: None, message }
}
