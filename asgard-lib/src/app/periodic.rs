//! Background loops. Each periodic task is done by one process at a time, under a lease `loop/<name>`; the lease is handed back after
//! every turn and says when the next one is due, so idle replicas write nothing. Periodic tasks do bounded work and may be done twice.

mod expire;
mod lease;
mod reconcile;
pub(crate) mod seal;
#[cfg(test)]
mod tests;

use super::{Asgard, worker::jittered};
use crate::error::Result;
use async_trait::async_trait;
pub use expire::Expire;
pub use lease::{TaskOutcome, Ticked, tick, turn};
pub use reconcile::ReconcileRuns;
pub use seal::SealAudit;
use std::{sync::Arc, time::Duration};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How a turn of a periodic task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Until the next period there is nothing to do.
    Rest,
    /// There is more to do at once.
    Again,
}

/// Something that has to be done now and then, by one process at a time.
#[async_trait]
pub trait PeriodicTask: Send + Sync + 'static {
    /// Its name: part of its lease, and of log lines.
    fn name(&self) -> &'static str;

    /// How long to rest between turns.
    fn period(&self) -> Duration;

    /// Whether there is anything to do: a cheap look before the lease is taken.
    async fn wanted(&self, _app: &Arc<Asgard>) -> Result<bool> {
        Ok(true)
    }

    /// Does a bounded piece of it. May be stopped at any await.
    async fn run(&self, app: &Arc<Asgard>) -> Result<Next>;
}

/// The periodic tasks that every Asgard has.
pub fn standard(app: &Asgard) -> Vec<Box<dyn PeriodicTask>> {
    vec![
        Box::new(ReconcileRuns { period: Duration::from_secs(app.config().runs.reconcile_secs) }),
        Box::new(SealAudit),
        Box::new(Expire),
    ]
}

/// Starts a loop per periodic task; they end after `stop`, with their leases handed back.
pub fn spawn(app: &Arc<Asgard>, tasks: Vec<Box<dyn PeriodicTask>>, stop: &CancellationToken) -> JoinSet<()> {
    let mut loops = JoinSet::new();
    for task in tasks {
        loops.spawn(run(Arc::clone(app), task, stop.clone()));
    }
    loops
}

async fn run(app: Arc<Asgard>, task: Box<dyn PeriodicTask>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let pause = match turn(&app, &*task, &stop).await {
            Ok(TaskOutcome::Did(Next::Again)) => Duration::ZERO,
            Ok(TaskOutcome::Did(Next::Rest) | TaskOutcome::NotWanted) => task.period(),
            Ok(TaskOutcome::Later(until)) => until.since(app.world().now()).min(task.period()),
            Err(error) => {
                tracing::warn!(
                    task = task.name(),
                    error = error.chain(),
                    "A background task failed; it will be tried again."
                );
                task.period()
            }
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = app.world().sleep(jittered(&app, pause)) => {}
        }
    }
}
