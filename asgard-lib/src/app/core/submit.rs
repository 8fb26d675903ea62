//! Submitting a batch until the store says what became of it.

use crate::{
    app::{Asgard, CounterKind},
    error::Result,
    ports::{
        records::store_error,
        store::{self, Batch, Outcome, StoreError},
    },
};
use std::time::Duration;

/// How often a batch is resubmitted after a lost reply.
const MAX_RESUBMITS: u32 = 8;

/// Commits a batch, through lost replies: absence of an answer is never evidence, so the same batch goes again under the
/// same id until the store says what became of it. A refusal after a lost reply is final only once the batch is withdrawn: what
/// was lost may be late, and commit when nothing stands in its way any more.
pub(crate) async fn submit(app: &Asgard, batch: &Batch) -> Result<Outcome> {
    let mut unknown = false;
    let mut tries = 0;
    loop {
        match store::submit(app.store(), batch, unknown).await {
            Ok(outcome) => {
                if outcome == Outcome::Committed {
                    app.waits().committed(batch);
                }
                app.counters().add(match outcome {
                    Outcome::Committed => CounterKind::Committed,
                    Outcome::Refused(_) => CounterKind::Refused,
                });
                return Ok(outcome);
            }
            Err(error) => {
                unknown |= matches!(error, StoreError::Unknown(_));
                tries += 1;
                if tries > MAX_RESUBMITS || matches!(error, StoreError::Corrupt(_)) {
                    app.counters().add(CounterKind::CommitFailed);
                    let error = store_error(error);
                    return Err(if unknown {
                        error.caused_by(format!("commit {} may have happened", batch.id()))
                    } else {
                        error
                    });
                }
                pause(app, tries).await;
            }
        }
    }
}

/// A few milliseconds that double and differ between replicas, at most about a second.
pub(crate) async fn pause(app: &Asgard, tries: u32) {
    let [spread] = app.world().random::<1>();
    let base = 4u64 << tries.min(8);
    app.world().sleep(Duration::from_millis(base / 2 + base * u64::from(spread) / 256)).await;
}
