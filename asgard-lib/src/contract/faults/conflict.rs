//! Somebody else was faster.

use super::{Fault, Misfortune};
use crate::{
    kernel::CommitId,
    ports::store::{Batch, Op, Outcome, Reason, Refusal, StoreError},
};
use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

/// Refuses a commit with `Changed` at its first step that expects a version, as if somebody else had just written there.
/// An operation must read again and decide again. A batch that was committed is never refused afterwards.
#[derive(Debug, Default)]
pub struct Conflict {
    when: Misfortune,
    committed: Mutex<BTreeSet<CommitId>>,
}

impl Conflict {
    /// A conflict at every `nth` commit that could have one.
    pub fn every(nth: u32) -> Self {
        Self { when: Misfortune::every(nth), ..Self::default() }
    }

    /// A conflict at each of the next `times` commits that could have one.
    pub fn next(&self, times: u32) {
        self.when.next(times);
    }

    fn committed(&self) -> std::sync::MutexGuard<'_, BTreeSet<CommitId>> {
        self.committed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The first step of a batch that expects a version.
pub(crate) fn versioned(batch: &Batch) -> Option<usize> {
    batch.ops().iter().position(|op| match op {
        Op::Replace(..) | Op::Remove(..) | Op::Require(_, Some(_)) => true,
        Op::Insert(_) | Op::Require(_, None) | Op::Claim { .. } | Op::Release { .. } | Op::Count(_) => false,
    })
}

impl Fault for Conflict {
    async fn commit(
        &self,
        batch: &Batch,
        commit: impl Future<Output = Result<Outcome, StoreError>> + Send,
    ) -> Result<Outcome, StoreError> {
        let again = self.committed().contains(batch.id());
        if let Some(step) = versioned(batch).filter(|_| !again && self.when.strikes()) {
            return Ok(Outcome::Refused(Refusal { step, reason: Reason::Changed }));
        }
        let outcome = commit.await?;
        if outcome == Outcome::Committed {
            self.committed().insert(batch.id().clone());
        }
        Ok(outcome)
    }
}
