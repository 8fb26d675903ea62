//! Decorators that make a store misbehave in the ways that real ones do. What is right on a plain store must stay right
//! on these.
//!
//! ```ignore
//! let store = Faulty::new(MemoryStore::new(), LostReply::default());
//! store.fault.next(1); // the next commit happens, and its reply is lost
//! ```

mod conflict;
mod dying;
mod lag;
mod lost_reply;
mod unplug;

pub use conflict::Conflict;
#[cfg(test)]
pub(crate) use conflict::versioned;
pub use dying::Dying;
pub use lag::Lag;
pub use lost_reply::LostReply;
pub use unplug::Unplug;

use crate::{
    kernel::{BlobId, Timestamp},
    ports::{
        blobs::Blobs,
        store::{Batch, Changes, Found, Key, Outcome, Query, ReadBatch, ReadResults, Record, Store, StoreError},
    },
};
use async_trait::async_trait;
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

/// What goes wrong. A fault is given each call before it is carried out, and does the right thing unless it says otherwise.
pub trait Fault: Send + Sync + 'static {
    /// Any call, but for those below.
    fn call<T: Send>(
        &self,
        call: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> impl Future<Output = Result<T, StoreError>> + Send {
        call
    }
    /// A commit.
    fn commit(
        &self,
        _batch: &Batch,
        commit: impl Future<Output = Result<Outcome, StoreError>> + Send,
    ) -> impl Future<Output = Result<Outcome, StoreError>> + Send {
        self.call(commit)
    }
    /// A query.
    fn query(
        &self,
        _query: &Query,
        found: impl Future<Output = Result<Found, StoreError>> + Send,
    ) -> impl Future<Output = Result<Found, StoreError>> + Send {
        self.call(found)
    }
    /// An expiry.
    fn expire(
        &self,
        _now: Timestamp,
        _limit: usize,
        expired: impl Future<Output = Result<usize, StoreError>> + Send,
    ) -> impl Future<Output = Result<usize, StoreError>> + Send {
        self.call(expired)
    }
}

/// A store or blobs with a fault.
#[derive(Debug)]
pub struct Faulty<S: ?Sized, F> {
    /// What goes wrong with it.
    pub fault: F,
    /// The real one, which others may use as well.
    pub inner: Arc<S>,
}

impl<S, F: Fault> Faulty<S, F> {
    /// `inner` with this fault.
    pub fn new(inner: S, fault: F) -> Self {
        Self { fault, inner: Arc::new(inner) }
    }
}

impl<F: Fault> Faulty<dyn Store, F> {
    /// A way with this fault to a store that others use as well.
    pub fn way_to(inner: &Arc<dyn Store>, fault: F) -> Self {
        Self { fault, inner: Arc::clone(inner) }
    }
}

#[async_trait]
impl<S: Store + ?Sized, F: Fault> Store for Faulty<S, F> {
    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, StoreError> {
        self.fault.call(self.inner.get_many(keys)).await
    }
    async fn read_batch(&self, asked: &ReadBatch) -> Result<ReadResults, StoreError> {
        self.fault.call(self.inner.read_batch(asked)).await
    }
    async fn query(&self, query: &Query) -> Result<Found, StoreError> {
        self.fault.query(query, self.inner.query(query)).await
    }
    async fn commit(&self, batch: &Batch) -> Result<Outcome, StoreError> {
        self.fault.commit(batch, self.inner.commit(batch)).await
    }
    async fn holder(&self, name: &str) -> Result<Option<String>, StoreError> {
        self.fault.call(self.inner.holder(name)).await
    }
    async fn counter(&self, name: &str) -> Result<i64, StoreError> {
        self.fault.call(self.inner.counter(name)).await
    }
    async fn increment(&self, counter: &str) -> Result<i64, StoreError> {
        self.fault.call(self.inner.increment(counter)).await
    }
    async fn note(&self, key: &Key, at: Timestamp) -> Result<(), StoreError> {
        self.fault.call(self.inner.note(key, at)).await
    }
    async fn expire(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.fault.expire(now, limit, self.inner.expire(now, limit)).await
    }
    fn expires_by_itself(&self) -> bool {
        self.inner.expires_by_itself()
    }
    async fn changes(&self) -> Option<Changes> {
        self.inner.changes().await
    }
    async fn clock(&self) -> Result<Option<Timestamp>, StoreError> {
        self.fault.call(self.inner.clock()).await
    }
    async fn ping(&self) -> Result<(), StoreError> {
        self.fault.call(self.inner.ping()).await
    }
}

#[async_trait]
impl<S: Blobs + ?Sized, F: Fault> Blobs for Faulty<S, F> {
    async fn put(&self, id: &BlobId, bytes: &[u8], at: Timestamp) -> Result<(), StoreError> {
        self.fault.call(self.inner.put(id, bytes, at)).await
    }
    async fn get(&self, id: &BlobId) -> Result<Option<Vec<u8>>, StoreError> {
        self.fault.call(self.inner.get(id)).await
    }
    async fn delete(&self, id: &BlobId) -> Result<(), StoreError> {
        self.fault.call(self.inner.delete(id)).await
    }
    async fn list(&self, before: Timestamp, after: Option<&BlobId>, limit: usize) -> Result<Vec<BlobId>, StoreError> {
        self.fault.call(self.inner.list(before, after, limit)).await
    }
}

/// When something goes wrong: the next few times, or every so many times.
#[derive(Debug, Default)]
struct Misfortune {
    next: AtomicU32,
    every: AtomicU32,
    calls: AtomicU32,
}

impl Misfortune {
    fn next(&self, times: u32) {
        self.next.store(times, Ordering::SeqCst);
    }

    fn every(nth: u32) -> Self {
        Self { every: AtomicU32::new(nth), ..Self::default() }
    }

    fn strikes(&self) -> bool {
        let call = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        let every = self.every.load(Ordering::SeqCst);
        (every > 0 && call.is_multiple_of(every))
            || self.next.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
    }
}
