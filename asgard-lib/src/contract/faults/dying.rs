//! A process that dies.

use crate::{
    kernel::Timestamp,
    ports::store::{Batch, Found, Key, Outcome, Query, Record, Store, StoreError},
};
use async_trait::async_trait;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering::SeqCst},
    },
    time::Duration,
};

/// A process's way to a store that others use as well. After as many calls as it was given it reaches the store no more; its last
/// call is carried out all the same, if it was told so, and nobody hears the answer.
pub struct Dying {
    inner: Arc<dyn Store>,
    left: AtomicI64,
    last_breath: AtomicBool,
    dead: AtomicBool,
}

impl std::fmt::Debug for Dying {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dying").field("left", &self.left).finish_non_exhaustive()
    }
}

impl Dying {
    /// A way to `inner` that stays open until [`Dying::after`].
    pub fn new(inner: Arc<dyn Store>) -> Self {
        Self {
            inner,
            left: AtomicI64::new(i64::MAX),
            last_breath: AtomicBool::new(false),
            dead: AtomicBool::new(false),
        }
    }

    /// It dies with the `calls`th call from now. With `last_breath` that call is still carried out.
    pub fn after(&self, calls: i64, last_breath: bool) {
        self.last_breath.store(last_breath, SeqCst);
        self.dead.store(false, SeqCst);
        self.left.store(calls, SeqCst);
    }

    /// Whether it is dead: its last call is over.
    pub fn is_dead(&self) -> bool {
        self.dead.load(SeqCst)
    }

    /// Runs what the process does until it is done or the process is dead, which nobody in it notices. `None` when it died.
    pub async fn live<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return (!self.is_dead()).then_some(done),
                () = tokio::time::sleep(Duration::from_millis(1)) => {
                    if self.is_dead() {
                        return None;
                    }
                }
            }
        }
    }

    async fn call<T>(&self, call: impl Future<Output = Result<T, StoreError>> + Send) -> Result<T, StoreError> {
        let dead = || {
            self.dead.store(true, SeqCst);
            Err(StoreError::Unavailable("this process is dead".into()))
        };
        match self.left.fetch_sub(1, SeqCst) {
            2.. => call.await,
            1 if self.last_breath.load(SeqCst) => {
                call.await?;
                dead()
            }
            _ => dead(),
        }
    }
}

#[async_trait]
impl Store for Dying {
    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, StoreError> {
        self.call(self.inner.get_many(keys)).await
    }
    async fn query(&self, query: &Query) -> Result<Found, StoreError> {
        self.call(self.inner.query(query)).await
    }
    async fn commit(&self, batch: &Batch) -> Result<Outcome, StoreError> {
        self.call(self.inner.commit(batch)).await
    }
    async fn holder(&self, name: &str) -> Result<Option<String>, StoreError> {
        self.call(self.inner.holder(name)).await
    }
    async fn counter(&self, name: &str) -> Result<i64, StoreError> {
        self.call(self.inner.counter(name)).await
    }
    async fn increment(&self, counter: &str) -> Result<i64, StoreError> {
        self.call(self.inner.increment(counter)).await
    }
    async fn note(&self, key: &Key, at: Timestamp) -> Result<(), StoreError> {
        self.call(self.inner.note(key, at)).await
    }
    async fn expire(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.call(self.inner.expire(now, limit)).await
    }
    fn expires_by_itself(&self) -> bool {
        self.inner.expires_by_itself()
    }
    async fn ping(&self) -> Result<(), StoreError> {
        self.call(self.inner.ping()).await
    }
}
