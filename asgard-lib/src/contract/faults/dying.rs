//! A process that dies.

use super::Fault;
use crate::ports::store::StoreError;
use std::{
    sync::atomic::{AtomicBool, AtomicI64, Ordering::SeqCst},
    time::Duration,
};

/// After as many calls as it was given a process reaches the store no more; its last call is carried out all the same, if it was
/// told so, and nobody hears the answer.
#[derive(Debug)]
pub struct Dying {
    left: AtomicI64,
    last_breath: AtomicBool,
    dead: AtomicBool,
}

/// It lives until [`Dying::after`].
impl Default for Dying {
    fn default() -> Self {
        Self::with(i64::MAX, false)
    }
}

impl Dying {
    /// It dies with the `calls`th call, as [`Dying::after`] has it.
    pub fn with(calls: i64, last_breath: bool) -> Self {
        Self { left: AtomicI64::new(calls), last_breath: AtomicBool::new(last_breath), dead: AtomicBool::new(false) }
    }

    /// It dies with the `calls`th call from now. With `last_breath` that call is still carried out.
    pub fn after(&self, calls: i64, last_breath: bool) {
        self.last_breath.store(last_breath, SeqCst);
        self.dead.store(false, SeqCst);
        self.left.store(calls, SeqCst);
    }

    /// Whether it is dead: its last call is over.
    pub fn is_dead(&self) -> bool {
        self.dead.load(SeqCst)
    }

    /// Runs what the process does until it is done or the process is dead, which nobody in it notices. `None` when it died.
    pub async fn live<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return (!self.is_dead()).then_some(done),
                () = tokio::time::sleep(Duration::from_millis(1)) => {
                    if self.is_dead() {
                        return None;
                    }
                }
            }
        }
    }
}

impl Fault for Dying {
    async fn call<T: Send>(&self, call: impl Future<Output = Result<T, StoreError>> + Send) -> Result<T, StoreError> {
        let dead = || {
            self.dead.store(true, SeqCst);
            Err(StoreError::Unavailable("this process is dead".into()))
        };
        match self.left.fetch_sub(1, SeqCst) {
            2.. => call.await,
            1 if self.last_breath.load(SeqCst) => {
                call.await?;
                dead()
            }
            _ => dead(),
        }
    }
}
