//! What this process has done since it started: plain counters that a surface may show.

use std::sync::atomic::{AtomicU64, Ordering};

/// Something that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CounterKind {
    /// A batch was committed.
    Committed,
    /// A batch was refused because somebody was faster or a bound was reached.
    Refused,
    /// A batch's outcome could not be learnt, or the store failed.
    CommitFailed,
    /// A job was done.
    JobDone,
    /// A job was put off.
    JobPutOff,
    /// A job failed.
    JobFailed,
}

impl CounterKind {
    /// Everything that is counted.
    pub const ALL: [Self; 6] =
        [Self::Committed, Self::Refused, Self::CommitFailed, Self::JobDone, Self::JobPutOff, Self::JobFailed];
}

/// The counters.
#[derive(Debug, Default)]
pub struct ProcessCounters([AtomicU64; CounterKind::ALL.len()]);

impl ProcessCounters {
    /// Counts one more.
    pub fn add(&self, what: CounterKind) {
        if let Some(counter) = self.0.get(what as usize) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many there were.
    pub fn get(&self, what: CounterKind) -> u64 {
        self.0.get(what as usize).map_or(0, |counter| counter.load(Ordering::Relaxed))
    }
}
