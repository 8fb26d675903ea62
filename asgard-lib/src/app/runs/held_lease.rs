//! A lease on a resource, held: renewed, and required by every commit made under it.

use crate::{
    app::{Asgard, Call, Tx, core::waiver::AuditWaiver},
    domain::lease::Lease,
    error::{Code, Error, Result},
    kernel::{HolderId, Timestamp, TraceId},
    ports::records::Stored,
};
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;

/// How long one commit under a lease may take; its outcome is found out by the next one.
const COMMIT_WITHIN: Duration = Duration::from_secs(30);

/// A lease that this process holds, as far as it knows.
pub(super) struct HeldLease {
    app: Arc<Asgard>,
    call: Call,
    name: String,
    holder: HolderId,
    fence: u64,
    ttl: Duration,
    expires_at: AtomicI64,
    /// The same by this process's monotonic clock.
    until: Mutex<Instant>,
    turn: tokio::sync::Mutex<()>,
}

impl HeldLease {
    /// The lease as it was taken.
    pub(super) fn new(app: Arc<Asgard>, trace: TraceId, lease: &Lease, holder: HolderId, ttl: Duration) -> Self {
        Self {
            app,
            call: Call::system("supervisor", trace),
            name: lease.name.clone(),
            holder,
            fence: lease.fence,
            ttl,
            expires_at: AtomicI64::new(lease.expires_at.as_millis()),
            until: Mutex::new(Instant::now() + ttl),
            turn: tokio::sync::Mutex::new(()),
        }
    }

    pub(super) fn app(&self) -> &Arc<Asgard> {
        &self.app
    }

    pub(super) const fn fence(&self) -> u64 {
        self.fence
    }

    /// When the lease runs out, as last committed: by the clock that shows it first, the one on the wall or the one that nobody sets.
    pub(super) fn expires_at(&self) -> Timestamp {
        let by_wall = Timestamp::from_millis(self.expires_at.load(Ordering::SeqCst));
        let left = self.until.lock().unwrap_or_else(PoisonError::into_inner).saturating_duration_since(Instant::now());
        by_wall.min(self.app.world().now().plus(left))
    }

    /// What commits under the lease are made as.
    pub(super) const fn call(&self) -> &Call {
        &self.call
    }

    /// The lease, if it is still this holder's; the commit then depends on that. Every commit under the lease begins so, acts as
    /// Asgard, and still needs its audit event.
    pub(super) async fn mine(&self, tx: &mut Tx<'_>) -> Result<Option<Stored<Lease>>> {
        tx.as_system()?;
        let lease = tx.read_checked::<Lease>(&self.name).await?;
        Ok(lease.filter(|lease| lease.holder.as_ref() == Some(&self.holder) && lease.fence == self.fence))
    }

    /// Runs a transaction under the lease, one at a time. One that takes too long is given up; the next finds out what
    /// became of it.
    pub(super) async fn commit<T>(&self, work: impl Future<Output = Result<T>> + Send) -> Result<T> {
        let _turn = self.turn.lock().await;
        match self.app.world().timeout(COMMIT_WITHIN, work).await {
            Ok(done) => done,
            Err(_) => Err(Error::new(Code::StoreUnavailable, "The database did not answer in time.").retry_after(1)),
        }
    }

    /// Makes the lease last longer; `false` when it is somebody else's.
    pub(super) async fn renew(&self) -> Result<bool> {
        // Before anything is read: a moment later would promise more than the lease does.
        let begun = Instant::now();
        let work = self.app.transact(&self.call, |tx| {
            Box::pin(async move {
                let Some(lease) = self.mine(tx).await? else { return Ok(None) };
                tx.waive_audit(AuditWaiver::LeaseUpkeep)?;
                let until = tx.now().plus(self.ttl);
                tx.replace(&lease, &lease.renewed(until)).map(|()| Some(until))
            })
        });
        let renewed = self.commit(work).await?;
        if let Some(until) = renewed {
            self.expires_at.store(until.as_millis(), Ordering::SeqCst);
            let mut held = self.until.lock().unwrap_or_else(PoisonError::into_inner);
            *held = (*held).max(begun + self.ttl);
        }
        Ok(renewed.is_some())
    }
}
