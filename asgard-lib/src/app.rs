//! Operations: each loads, authorises, decides and commits. [`Asgard`] is what surfaces, workers and embedders hold.

mod acting;
pub mod audit;
mod authenticate;
pub mod bootstrap;
pub(crate) mod core;
mod counters;
mod judge;
pub mod keys;
pub mod operations;
mod parts;
pub mod people;
pub mod periodic;
pub mod projects;
pub mod requests;
pub mod resources;
#[doc(hidden)]
pub mod rows;
pub mod runs;
pub mod secrets;
pub mod services;
mod spending;
#[cfg(test)]
pub(crate) mod testkit;
mod views;
pub mod worker;

use crate::{
    error::Result,
    kernel::{HolderId, JobId, TraceId},
};
pub use acting::ActingAs;
pub use core::call::{Call, Source};
pub use core::list::Paging;
pub use core::operation::{
    AsksInDecide, Decided, Hints, Meta, Method, Operation, Route, ShownOnce, SimpleOperation, Unremembered,
};
pub use core::reads::Reads;
pub use core::scope::ReadMode;
pub use core::transact::{DecideFuture, Tx};
pub(crate) use core::waiver::AuditWaiver;
pub use counters::{CounterKind, ProcessCounters};
pub use operations::Operations;
pub use parts::Parts;
pub use services::ServiceCatalog;
use std::sync::{Arc, Mutex, PoisonError};
use worker::WakeHint;

/// The control plane. Cheap to share: hold it in one `Arc`.
pub struct Asgard {
    parts: Parts,
    holder: HolderId,
    wake: tokio::sync::Notify,
    wake_hint: Mutex<Option<WakeHint>>,
    appended: tokio::sync::Notify,
    passwords: people::Passwords,
    counters: ProcessCounters,
    places: worker::fair::FairPlaces,
    watch: core::watch::LeaseWatch,
    waits: core::waits::Waits,
}

crate::kernel::opaque!(Asgard);

impl Asgard {
    /// Puts the parts together. Nothing runs until somebody calls an operation or spawns the workers.
    pub fn new(parts: Parts) -> Arc<Self> {
        let holder = parts.world.id();
        Arc::new(Self {
            parts: parts.guarded(),
            holder,
            wake: tokio::sync::Notify::new(),
            wake_hint: Mutex::new(None),
            appended: tokio::sync::Notify::new(),
            passwords: people::Passwords::default(),
            counters: ProcessCounters::default(),
            places: worker::fair::FairPlaces::default(),
            watch: core::watch::LeaseWatch::default(),
            waits: core::waits::Waits::default(),
        })
    }

    /// Runs an operation with its typed command. Under an idempotency key of the call, an operation that creates something
    /// happens once, and a later call gets the first answer again, without what is shown only once.
    pub async fn run<O: Operation>(&self, call: &Call, operation: &O) -> Result<O::Output> {
        let remember = match &call.idempotency_key {
            Some(_) if O::META.creates => core::idempotency::Remember::of(call, &O::META, &operation.keyed()?)?,
            Some(_) | None => None,
        };
        core::drive::drive(self, call, operation, remember.as_ref()).await.map(|done| done.output)
    }

    /// This process, as leases and claims know it.
    pub fn holder(&self) -> &HolderId {
        &self.holder
    }

    /// What callers of this process wait for.
    pub(crate) const fn waits(&self) -> &core::waits::Waits {
        &self.waits
    }

    /// What was seen of leases that others hold.
    pub(crate) const fn watch(&self) -> &core::watch::LeaseWatch {
        &self.watch
    }

    /// Now, as far as it may be deleted by or taken from others by: the earlier of this process's clock and the store's, where that
    /// has one. A clock that is ahead makes nothing old.
    pub(crate) async fn cautious_now(&self) -> Result<crate::kernel::Timestamp> {
        Ok(self.clocks().await?.earlier)
    }

    /// What this process's clock and the store's say, where that has one.
    pub(crate) async fn clocks(&self) -> Result<core::clocks::Clocks> {
        let own = self.world().now();
        let stores = self.store().clock().await.map_err(crate::ports::records::store_error)?.unwrap_or(own);
        Ok(core::clocks::Clocks { earlier: own.min(stores), later: own.max(stores) })
    }

    /// What was committed, in order, from any position on.
    pub fn events(&self) -> audit::EventFeed<'_> {
        audit::EventFeed::new(self)
    }

    /// Wakes whoever waits for the event feed in this process.
    pub(crate) fn appended(&self) -> &tokio::sync::Notify {
        &self.appended
    }

    /// What this process has done since it started.
    pub fn counters(&self) -> &ProcessCounters {
        &self.counters
    }

    /// A new trace id.
    pub fn new_trace(&self) -> TraceId {
        self.world().id()
    }

    /// Who waits for a place of the runner's.
    pub(crate) fn places(&self) -> &worker::fair::FairPlaces {
        &self.places
    }

    pub(crate) fn passwords(&self) -> &people::Passwords {
        &self.passwords
    }

    /// Wakes the workers: these jobs are due.
    pub fn wake_workers(&self, jobs: &[JobId]) {
        let mut wake_hint = self.wake_hint.lock().unwrap_or_else(PoisonError::into_inner);
        *wake_hint = Some(WakeHint::joined(wake_hint.take(), jobs));
        drop(wake_hint);
        self.wake.notify_waiters();
    }

    /// The jobs of every [`Asgard::wake_workers`] since this was last asked; none when there was no wake-up. For processes whose workers
    /// are elsewhere: they wake those before they stop.
    pub fn take_wake_hint(&self) -> Option<WakeHint> {
        // A list of ids is whole whoever panicked beside it.
        self.wake_hint.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Resolves at the next [`Asgard::wake_workers`].
    pub fn woken(&self) -> tokio::sync::futures::Notified<'_> {
        self.wake.notified()
    }
}
