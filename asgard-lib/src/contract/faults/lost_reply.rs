//! The connection broke after the commit.

use super::{Fault, Misfortune};
use crate::ports::store::{Batch, Outcome, Store, StoreError};
use async_trait::async_trait;

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

#[async_trait]
impl Fault for LostReply {
    async fn commit(&self, store: &dyn Store, batch: &Batch) -> Result<Outcome, StoreError> {
        let outcome = store.commit(batch).await?;
        if self.when.strikes() { Err(StoreError::Unknown("the reply was lost".into())) } else { Ok(outcome) }
    }
}
