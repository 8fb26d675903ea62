//! A turn of a chore under its lease.

use super::{Chore, Pace};
use crate::{
    app::{Asgard, Call},
    domain::lease::Lease,
    error::Result,
    kernel::{HolderId, Timestamp},
    ports::runner::Whereabouts,
};
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// The longest that a dead process keeps a chore from the others.
const LONGEST: Duration = Duration::from_secs(60);

/// What came of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It was done.
    Did(Pace),
    /// There was nothing to do.
    NotWanted,
    /// Another process does it, or did it lately; it may be tried again at that moment.
    Later(Timestamp),
}

/// The lease as it was taken, or the moment when it may be.
enum Taking {
    Taken(u64),
    Later(Timestamp),
}

/// Does one turn of a chore, if it is due and nobody else does it.
pub async fn turn(app: &Arc<Asgard>, chore: &dyn Chore, stop: &CancellationToken) -> Result<Turn> {
    if !chore.wanted(app).await? {
        return Ok(Turn::NotWanted);
    }
    let name = format!("loop/{}", chore.name());
    let ttl = LONGEST.min(Duration::from_secs(app.config().runs.lease_ttl_secs));
    let holder: HolderId = app.world().id();
    let fence = match take(app, &name, &holder, ttl).await? {
        Taking::Taken(fence) => fence,
        Taking::Later(until) => return Ok(Turn::Later(until)),
    };
    let done = keep(app, &name, fence, ttl, chore, stop).await;
    // After a failure or a stop somebody else may try at once; after a finished turn the next is due a period later.
    let rest = match &done {
        Ok(Some(Pace::Rest)) => chore.period(),
        Ok(Some(Pace::Again) | None) | Err(_) => Duration::ZERO,
    };
    hand_back(app, &name, fence, rest).await?;
    Ok(Turn::Did(done?.unwrap_or(Pace::Again)))
}

fn call(app: &Asgard) -> Call {
    Call::system("loops", app.new_trace())
}

async fn take(app: &Asgard, name: &str, holder: &HolderId, ttl: Duration) -> Result<Taking> {
    let call = call(app);
    app.transact(&call, |tx| {
        Box::pin(async move {
            tx.internal();
            let (now, lease) = (tx.now(), tx.rely::<Lease>(name).await?);
            if let Some(lease) = lease.as_ref() {
                let resting = lease.holder.is_none() && lease.expires_at > now;
                if resting || !lease.may_take(holder, now, false) {
                    return Ok(Taking::Later(lease.expires_at));
                }
            }
            let place = Whereabouts::InProcess { holder: tx.app().holder().to_string() };
            let taken = Lease::taken(lease.as_deref(), name, holder.clone(), Some(place), now.plus(ttl));
            match &lease {
                None => tx.insert(&taken)?,
                Some(free) => tx.replace(free, &taken)?,
            }
            Ok(Taking::Taken(taken.fence))
        })
    })
    .await
}

/// Runs the chore, renewing the lease. `None` when it was stopped, or the lease was lost.
async fn keep(
    app: &Arc<Asgard>,
    name: &str,
    fence: u64,
    ttl: Duration,
    chore: &dyn Chore,
    stop: &CancellationToken,
) -> Result<Option<Pace>> {
    let work = chore.run(app);
    tokio::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done.map(Some),
            () = stop.cancelled() => return Ok(None),
            () = tokio::time::sleep(ttl / 3) => {
                if !change(app, name, fence, |lease, now| lease.renewed(now.plus(ttl))).await? {
                    return Ok(None);
                }
            }
        }
    }
}

async fn hand_back(app: &Asgard, name: &str, fence: u64, rest: Duration) -> Result<()> {
    change(app, name, fence, |lease, now| lease.released(now.plus(rest))).await.map(|_| ())
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
            tx.internal();
            match tx.rely::<Lease>(name).await? {
                Some(lease) if lease.fence == fence => tx.replace(&lease, &next(&lease, tx.now())).map(|()| true),
                Some(_) | None => Ok(false),
            }
        })
    })
    .await
}
