//! One batch that is submitted until the store says what became of it.

use super::{Batch, Outcome, Refusal, Store, StoreError};

/// A batch on its way.
pub(crate) struct Submission<'b> {
    batch: &'b Batch,
    /// Whether an earlier submission went unanswered and may still arrive.
    in_doubt: bool,
    /// What refused it, once it is being withdrawn. From then on its place may be taken by the withdrawal, which has the same id, so that
    /// the store would take the batch for committed: it is not submitted again.
    refused: Option<Refusal>,
}

crate::kernel::opaque!(Submission<'_>);

impl<'b> Submission<'b> {
    /// One that has not been submitted yet.
    pub(crate) fn of(batch: &'b Batch) -> Self {
        Self { batch, in_doubt: false, refused: None }
    }

    /// Whether an earlier submission went unanswered.
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.in_doubt
    }

    /// Asks the store once: to commit the batch, or once that was refused in doubt, to withdraw it.
    pub(crate) async fn ask(&mut self, store: &dyn Store) -> Result<Outcome, StoreError> {
        let refusal = match self.refused.clone() {
            Some(refusal) => refusal,
            None => match store.commit(self.batch).await {
                Ok(Outcome::Refused(refusal)) if self.in_doubt => self.refused.insert(refusal).clone(),
                Ok(outcome) => return Ok(outcome),
                Err(error) => {
                    self.in_doubt |= matches!(error, StoreError::Unknown(_));
                    return Err(error);
                }
            },
        };
        Ok(if store.withdraw(self.batch).await? { Outcome::Refused(refusal) } else { Outcome::Committed })
    }
}
