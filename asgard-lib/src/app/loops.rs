//! Background loops. Each chore is done by one process at a time, under a lease `loop/<name>`; the lease is handed back after
//! every turn and says when the next one is due, so idle replicas write nothing. Chores do bounded work and may be done twice.

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
pub use lease::{Ticked, Turn, tick, turn};
pub use reconcile::ReconcileRuns;
pub use seal::SealAudit;
use std::{sync::Arc, time::Duration};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How a turn of a chore ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Until the next period there is nothing to do.
    Rest,
    /// There is more to do at once.
    Again,
}

/// Something that has to be done now and then, by one process at a time.
#[async_trait]
pub trait Chore: Send + Sync + 'static {
    /// Its name: part of its lease, and of log lines.
    fn name(&self) -> &'static str;

    /// How long to rest between turns.
    fn period(&self) -> Duration;

    /// Whether there is anything to do: a cheap look before the lease is taken.
    async fn wanted(&self, _app: &Arc<Asgard>) -> Result<bool> {
        Ok(true)
    }

    /// Does a bounded piece of it. May be stopped at any await.
    async fn run(&self, app: &Arc<Asgard>) -> Result<Pace>;
}

/// The chores that every Asgard has.
pub fn standard(app: &Asgard) -> Vec<Box<dyn Chore>> {
    vec![
        Box::new(ReconcileRuns { period: Duration::from_secs(app.config().runs.reconcile_secs) }),
        Box::new(SealAudit),
        Box::new(Expire),
    ]
}

/// Starts a loop per chore; they end after `stop`, with their leases handed back.
pub fn spawn(app: &Arc<Asgard>, chores: Vec<Box<dyn Chore>>, stop: &CancellationToken) -> JoinSet<()> {
    let mut loops = JoinSet::new();
    for chore in chores {
        loops.spawn(run(Arc::clone(app), chore, stop.clone()));
    }
    loops
}

async fn run(app: Arc<Asgard>, chore: Box<dyn Chore>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let pause = match turn(&app, &*chore, &stop).await {
            Ok(Turn::Did(Pace::Again)) => Duration::ZERO,
            Ok(Turn::Did(Pace::Rest) | Turn::NotWanted) => chore.period(),
            Ok(Turn::Later(until)) => until.since(app.world().now()).min(chore.period()),
            Err(error) => {
                tracing::warn!(
                    chore = chore.name(),
                    error = error.chain(),
                    "A background chore failed; it will be tried again."
                );
                chore.period()
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(jittered(&app, pause)) => {}
        }
    }
}
