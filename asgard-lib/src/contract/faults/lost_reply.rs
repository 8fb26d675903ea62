//! The connection broke after the commit.

use super::{Fault, Misfortune};
use crate::ports::store::{Batch, Outcome, StoreError};

/// Commits, and then answers that nobody knows. Who submits the same batch again learns that it was committed.
#[derive(Debug, Default)]
pub struct LostReply {
    when: Misfortune,
}

impl LostReply {
    /// Loses the reply of every `nth` commit.
    pub fn every(nth: u32) -> Self {
        Self { when: Misfortune::every(nth) }
    }

    /// Loses the replies of the next `times` commits.
    pub fn next(&self, times: u32) {
        self.when.next(times);
    }
}

impl Fault for LostReply {
    async fn commit(
        &self,
        _batch: &Batch,
        commit: impl Future<Output = Result<Outcome, StoreError>> + Send,
    ) -> Result<Outcome, StoreError> {
        let outcome = commit.await?;
        if self.when.strikes() { Err(StoreError::Unknown("the reply was lost".into())) } else { Ok(outcome) }
    }
}
