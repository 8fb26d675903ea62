//! A turn of a periodic task under its lease.

use super::{Next, PeriodicTask};
use crate::{
    app::{Asgard, Call, core::waiver::AuditWaiver},
    domain::lease::Lease,
    error::Result,
    kernel::{HolderId, Timestamp},
    ports::runner::SupervisorLocation,
};
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// The longest that a dead process keeps a periodic task from the others.
const MAX: Duration = Duration::from_secs(60);

/// What came of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskOutcome {
    /// It was done.
    Did(Next),
    /// There was nothing to do.
    NotWanted,
    /// Another process does it, or did it lately; it may be tried again at that moment.
    Later(Timestamp),
}

/// What came of a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ticked {
    /// The periodic task was done until it had nothing more to do.
    Did,
    /// It was stopped, with more to do; the next tick goes on.
    Stopped,
    /// There was nothing to do.
    NotWanted,
    /// This tick was served before, or a newer one was.
    Served,
    /// Another process does it just now.
    Busy,
}

/// The lease as it was taken, or why it was not.
enum Taking {
    Taken { fence: u64, steady: bool },
    Later(Timestamp),
    Served,
}

/// Who says when a turn is due.
#[derive(Clone, Copy)]
enum Due {
    /// The periodic task's own period.
    Period(Duration),
    /// Somebody outside, perhaps for a moment of a schedule.
    Tick(Option<Timestamp>),
}

/// Does one turn of a periodic task, if it is due and nobody else does it.
pub async fn turn(app: &Arc<Asgard>, task: &dyn PeriodicTask, stop: &CancellationToken) -> Result<TaskOutcome> {
    if !task.wanted(app).await? {
        return Ok(TaskOutcome::NotWanted);
    }
    let name = task.declared().lease();
    let ttl = MAX.min(Duration::from_secs(app.config().runs.lease_ttl_secs));
    let holder: HolderId = app.world().id();
    let (fence, steady) = match take(app, &name, &holder, ttl, Due::Period(task.period())).await? {
        Taking::Taken { fence, steady } => (fence, steady),
        Taking::Later(until) => return Ok(TaskOutcome::Later(until)),
        Taking::Served => return Ok(TaskOutcome::NotWanted),
    };
    let done = keep(app, &name, fence, ttl, once(app, task, steady), stop).await;
    // After a failure or a stop somebody else may try at once; after a finished turn the next is due a period later.
    let rest = match &done {
        Ok(Some(Next::Rest)) => task.period(),
        Ok(Some(Next::Again) | None) | Err(_) => Duration::ZERO,
    };
    hand_back(app, &name, fence, rest).await?;
    Ok(TaskOutcome::Did(done?.unwrap_or(Next::Again)))
}

/// Does a periodic task because a schedule says so, at most once for each scheduled moment: the lease keeps the newest one that was
/// served, so a tick that comes twice, or after a newer one, does nothing. One that failed may come again. Goes on until
/// there is nothing to do or `stop`; what a periodic task has to remember until the next tick is in the store.
pub async fn tick(
    app: &Arc<Asgard>,
    task: &dyn PeriodicTask,
    scheduled: Option<Timestamp>,
    stop: &CancellationToken,
) -> Result<Ticked> {
    if !task.wanted(app).await? {
        return Ok(Ticked::NotWanted);
    }
    let name = task.declared().lease();
    let ttl = MAX.min(Duration::from_secs(app.config().runs.lease_ttl_secs));
    let holder: HolderId = app.world().id();
    let (fence, steady) = match take(app, &name, &holder, ttl, Due::Tick(scheduled)).await? {
        Taking::Taken { fence, steady } => (fence, steady),
        Taking::Later(_) => return Ok(Ticked::Busy),
        Taking::Served => return Ok(Ticked::Served),
    };
    let all = async {
        while once(app, task, steady).await? == Next::Again {
            // A periodic task that never waits would never see that it has to stop.
            tokio::task::yield_now().await;
        }
        Ok(())
    };
    let done = keep(app, &name, fence, ttl, all, stop).await;
    let served = scheduled.filter(|_| done.is_ok());
    let back = |lease: &Lease, now| {
        let free = lease.turned(now, Duration::ZERO);
        served.map_or_else(|| free.clone(), |scheduled| free.clone().serving(scheduled, now))
    };
    change(app, &name, fence, back).await?;
    Ok(if done?.is_some() { Ticked::Did } else { Ticked::Stopped })
}

async fn once(app: &Arc<Asgard>, task: &dyn PeriodicTask, steady: bool) -> Result<Next> {
    if steady { task.run(app).await } else { task.run_unsteadily(app).await }
}

fn call(app: &Asgard) -> Call {
    Call::system("loops", app.new_trace())
}

async fn take(app: &Asgard, name: &str, holder: &HolderId, ttl: Duration, due: Due) -> Result<Taking> {
    let call = call(app);
    app.transact(&call, |tx| {
        Box::pin(async move {
            tx.waive_audit(AuditWaiver::LeaseUpkeep)?;
            let (now, lease) = (tx.now(), tx.read_checked::<Lease>(name).await?);
            if let Some(lease) = lease.as_ref() {
                let resting = match due {
                    Due::Period(period) => lease.rests(now, period),
                    Due::Tick(scheduled) if scheduled.is_some_and(|moment| lease.has_served(moment, now)) => {
                        return Ok(Taking::Served);
                    }
                    Due::Tick(_) => false,
                };
                let gone =
                    || tx.app().watch().observe(lease).is_gone(ttl, now, lease.expires_at, tx.app().is_fleeting());
                if resting || !lease.may_take(holder, gone()) {
                    return Ok(Taking::Later(lease.expires_at));
                }
            }
            let place = SupervisorLocation::InProcess { holder: tx.app().holder().to_string() };
            let taken = Lease::taken(lease.as_deref(), name, holder.clone(), Some(place), now.plus(ttl)).at_turn(now);
            match &lease {
                None => tx.insert(&taken)?,
                Some(free) => tx.replace(free, &taken)?,
            }
            Ok(Taking::Taken { fence: taken.fence, steady: taken.is_steady() })
        })
    })
    .await
}

/// Waits for the work, renewing the lease. `None` when it was stopped, or the lease was lost.
async fn keep<T>(
    app: &Asgard,
    name: &str,
    fence: u64,
    ttl: Duration,
    work: impl Future<Output = Result<T>>,
    stop: &CancellationToken,
) -> Result<Option<T>> {
    tokio::pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done.map(Some),
            () = stop.cancelled() => return Ok(None),
            () = app.world().sleep(ttl / 3) => {
                if !change(app, name, fence, |lease, now| lease.renewed(now.plus(ttl))).await? {
                    return Ok(None);
                }
            }
        }
    }
}

async fn hand_back(app: &Asgard, name: &str, fence: u64, rest: Duration) -> Result<()> {
    change(app, name, fence, |lease, now| lease.turned(now, rest)).await.map(|_| ())
}

/// Changes the lease if it is still under the same fence.
async fn change(
    app: &Asgard,
    name: &str,
    fence: u64,
    next: impl Fn(&Lease, Timestamp) -> Lease + Send + Sync,
) -> Result<bool> {
    let (call, next) = (call(app), &next);
    app.transact(&call, |tx| {
        Box::pin(async move {
            tx.waive_audit(AuditWaiver::LeaseUpkeep)?;
            match tx.read_checked::<Lease>(name).await? {
                Some(lease) if lease.fence == fence => tx.replace(&lease, &next(&lease, tx.now())).map(|()| true),
                Some(_) | None => Ok(false),
            }
        })
    })
    .await
}
