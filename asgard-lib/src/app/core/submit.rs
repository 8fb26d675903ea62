//! Submitting a batch until the store says what became of it.

use crate::{
    app::{Asgard, CounterKind},
    error::Result,
    ports::{
        records::store_error,
        store::{Batch, Outcome, StoreError, Submission},
    },
};
use std::time::Duration;

/// How often a batch is resubmitted after a lost reply.
const MAX_RESUBMITS: u32 = 8;

/// Commits a batch, through lost replies: absence of an answer is never evidence, so the same batch goes again under the
/// same id until the store says what became of it. A refusal after a lost reply is final only once the batch is withdrawn: what
/// was lost may be late, and commit when nothing stands in its way any more.
pub(crate) async fn submit(app: &Asgard, batch: &Batch) -> Result<Outcome> {
    let mut submission = Submission::of(batch);
    let mut tries = 0;
    loop {
        match submission.ask(app.store()).await {
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
                tries += 1;
                if tries > MAX_RESUBMITS || matches!(error, StoreError::Corrupt(_)) {
                    app.counters().add(CounterKind::CommitFailed);
                    let error = store_error(error);
                    return Err(if submission.is_in_doubt() {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        app::testkit::Kit,
        domain::project::Project,
        kernel::{CommitId, id::TimeOrdered},
        ports::{records::key, store::Op},
    };
    use std::sync::atomic::Ordering::SeqCst;

    /// Both the refusal and the withdrawal go unanswered: what has taken the batch's place is not the batch.
    #[tokio::test(start_paused = true)]
    async fn a_withdrawal_whose_answer_is_lost_is_not_taken_for_the_commit() {
        let kit = Kit::staged().await;
        let now = kit.app.world().now();
        let mut batch = Batch::new(CommitId::build(now, [7; 10]), now);
        batch.push(Op::Require(key::<Project>(kit.project.as_str()), None)).unwrap();
        kit.faulty.fault.commits.store(0, SeqCst);
        kit.faulty.fault.lose_every.store(2, SeqCst);
        let outcome = submit(&kit.app, &batch).await.unwrap();
        assert!(matches!(outcome, Outcome::Refused(_)), "{outcome:?}");
        assert_eq!(kit.faulty.fault.commits.load(SeqCst), 4, "refused twice, withdrawn twice");
    }
}
