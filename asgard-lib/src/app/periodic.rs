//! Background loops. Each periodic task is done by one process at a time, under a lease `loop/<name>`; the lease is handed back after
//! every turn and says when the next one is due, so idle replicas write nothing. Periodic tasks do bounded work and may be done twice.
//!
//! A task is declared once, as a [`Periodic`] beside its code, and stands in one list,
//! [`PERIODIC_TASKS`](crate::runtime::PERIODIC_TASKS). The server's loops, the functions' `events` and the schedules of a
//! deployment follow that list.

mod expire;
mod lease;
mod reconcile;
mod retain;
mod review_keys;
mod rewrite;
pub(crate) mod seal;
#[cfg(test)]
mod tests;

use super::{Asgard, worker::jittered};
use crate::{error::Result, ports::world::Tasks};
use async_trait::async_trait;
pub use expire::{EXPIRE, Expire};
pub use lease::{TaskOutcome, Ticked, tick, turn};
pub use reconcile::{RECONCILE_RUNS, ReconcileRuns};
pub use retain::{RETAIN_AUDIT, RetainAudit};
pub use review_keys::{REVIEW_KEYS, ReviewKeys};
pub use rewrite::{REWRITE_RECORDS, RewriteRecords};
pub use seal::{SEAL_AUDIT, SealAudit};
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// How a turn of a periodic task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Until the next period there is nothing to do.
    Rest,
    /// There is more to do at once.
    Again,
}

/// What is known of a periodic task before it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Periodic {
    /// Its name: part of its lease, of log lines, and of the payload of a schedule.
    pub name: &'static str,
    /// How long a server rests between two turns.
    pub period: Duration,
    /// How often a schedule wakes a function for it, in whole minutes.
    pub tick: Duration,
}

impl Periodic {
    /// A task with so long a rest between two turns; the tick is the same time, and a minute at least.
    pub const fn every(name: &'static str, period: Duration) -> Self {
        let tick = if period.as_secs() < 60 { Duration::from_secs(60) } else { period };
        Self { name, period, tick }
    }

    /// The same task, with another tick.
    #[must_use]
    pub const fn ticked(self, tick: Duration) -> Self {
        Self { tick, ..self }
    }

    /// The same task, with another rest between two turns.
    #[must_use]
    pub const fn resting(self, period: Duration) -> Self {
        Self { period, ..self }
    }

    /// The lease under which one process at a time does it.
    pub fn lease(&self) -> String {
        format!("loop/{}", self.name)
    }
}

/// Something that has to be done now and then, by one process at a time.
#[async_trait]
pub trait PeriodicTask: Send + Sync + 'static {
    /// Its name, its period and its tick.
    fn declared(&self) -> Periodic;

    /// Its name.
    fn name(&self) -> &'static str {
        self.declared().name
    }

    /// How long to rest between turns.
    fn period(&self) -> Duration {
        self.declared().period
    }

    /// Whether there is anything to do: a cheap look before the lease is taken.
    async fn wanted(&self, _app: &Arc<Asgard>) -> Result<bool> {
        Ok(true)
    }

    /// Does a bounded piece of it. May be stopped at any await.
    async fn run(&self, app: &Arc<Asgard>) -> Result<Next>;

    /// The same while the clocks of the last turns do not agree: what deletes or ends something by its age leaves it for later.
    async fn run_unsteadily(&self, app: &Arc<Asgard>) -> Result<Next> {
        self.run(app).await
    }
}

/// What a task that deletes by age does while the clocks do not agree.
pub(crate) fn deletes_nothing(task: &str) -> Next {
    tracing::warn!(
        task,
        "The clock jumped since this task's last turn, so nothing is deleted until it has gone on evenly for an hour."
    );
    Next::Rest
}

/// What a task that ends something for good after a time does while the clocks do not agree.
pub(crate) fn ends_nothing(task: &str) -> Next {
    tracing::warn!(
        task,
        "The clock jumped since this task's last turn, so nothing is ended because its time is over until the clock has gone on evenly for an hour."
    );
    Next::Rest
}

/// Starts a loop per periodic task, under its name; they end after `stop`, with their leases handed back.
pub fn spawn(app: &Arc<Asgard>, tasks: Vec<Arc<dyn PeriodicTask>>, stop: &CancellationToken) -> Tasks<&'static str> {
    let mut loops = Tasks::default();
    for task in tasks {
        loops.spawn(app.world(), task.name(), run(Arc::clone(app), task, stop.clone()));
    }
    loops
}

async fn run(app: Arc<Asgard>, task: Arc<dyn PeriodicTask>, stop: CancellationToken) {
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
