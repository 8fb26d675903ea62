//! The company's time.

use asgard_lib::{
    kernel::Timestamp,
    ports::world::{Clock, SystemClock},
};
use std::sync::atomic::{AtomicI64, Ordering};

/// The machine's time, corrected by as much as the company's time service says that it is behind.
#[derive(Debug, Default)]
pub struct CompanyClock {
    behind_ms: AtomicI64,
}

impl CompanyClock {
    /// Takes over a correction.
    pub fn correct(&self, behind_ms: i64) {
        self.behind_ms.store(behind_ms, Ordering::Relaxed);
    }
}

impl Clock for CompanyClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(SystemClock.now().as_millis().saturating_add(self.behind_ms.load(Ordering::Relaxed)))
    }
}
