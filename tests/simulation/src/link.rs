//! A host's way to the one store: it takes time, loses replies, and can be cut.

use crate::{dice::Dice, host::true_time};
use asgard_lib::{
    backends::MemoryStore,
    kernel::{BlobId, Timestamp},
    ports::{
        blobs::Blobs,
        store::{Batch, Found, Key, Outcome, Query, Record, Store, StoreError},
    },
};
use async_trait::async_trait;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::time::Instant;

/// How long a host waits for an answer that does not come.
const GIVES_UP: Duration = Duration::from_secs(5);

/// The link of one host.
#[derive(Debug)]
pub struct Link {
    store: MemoryStore,
    dice: Dice,
    cut: AtomicBool,
    /// Of a hundred replies to commits, how many are lost.
    loses: AtomicU64,
    begun: Instant,
}

impl Link {
    /// A link to `store`.
    pub fn new(store: &MemoryStore, dice: Dice) -> Arc<Self> {
        let (cut, loses, begun) = (AtomicBool::new(false), AtomicU64::new(0), Instant::now());
        Arc::new(Self { store: store.clone(), dice, cut, loses, begun })
    }

    /// Cuts the link, or mends it.
    pub fn cut(&self, cut: bool) {
        self.cut.store(cut, SeqCst);
    }

    /// Loses that many replies of a hundred.
    pub fn lose(&self, percent: u64) {
        self.loses.store(percent, SeqCst);
    }

    async fn there(&self) -> Result<(), StoreError> {
        if self.cut.load(SeqCst) {
            tokio::time::sleep(GIVES_UP).await;
            return Err(StoreError::Unavailable("the host is cut off".into()));
        }
        tokio::time::sleep(self.dice.millis(1, 8)).await;
        if self.cut.load(SeqCst) {
            tokio::time::sleep(GIVES_UP).await;
            return Err(StoreError::Unavailable("the host was cut off on the way".into()));
        }
        Ok(())
    }

    async fn back<T>(&self, answer: T) -> Result<T, StoreError> {
        let lost = self.dice.percent(self.loses.load(SeqCst));
        tokio::time::sleep(self.dice.millis(1, 8)).await;
        if lost || self.cut.load(SeqCst) {
            tokio::time::sleep(GIVES_UP).await;
            return Err(StoreError::Unknown("the reply was lost".into()));
        }
        Ok(answer)
    }
}

#[async_trait]
impl Store for Link {
    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, StoreError> {
        self.there().await?;
        self.store.get_many(keys).await
    }
    async fn query(&self, query: &Query) -> Result<Found, StoreError> {
        self.there().await?;
        self.store.query(query).await
    }
    async fn commit(&self, batch: &Batch) -> Result<Outcome, StoreError> {
        self.there().await?;
        let outcome = self.store.commit(batch).await?;
        self.back(outcome).await
    }
    async fn holder(&self, name: &str) -> Result<Option<String>, StoreError> {
        self.there().await?;
        self.store.holder(name).await
    }
    async fn counter(&self, name: &str) -> Result<i64, StoreError> {
        self.there().await?;
        self.store.counter(name).await
    }
    async fn increment(&self, counter: &str) -> Result<i64, StoreError> {
        self.there().await?;
        let number = self.store.increment(counter).await?;
        self.back(number).await
    }
    async fn note(&self, key: &Key, at: Timestamp) -> Result<(), StoreError> {
        self.there().await?;
        self.store.note(key, at).await
    }
    async fn expire(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.there().await?;
        self.store.expire(now, limit).await
    }
    /// The store's own clock is right.
    async fn clock(&self) -> Result<Option<Timestamp>, StoreError> {
        self.there().await?;
        self.back(Some(true_time(self.begun))).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.there().await
    }
}

#[async_trait]
impl Blobs for Link {
    async fn put(&self, id: &BlobId, bytes: &[u8], at: Timestamp) -> Result<(), StoreError> {
        self.there().await?;
        self.store.put(id, bytes, at).await?;
        self.back(()).await
    }
    async fn get(&self, id: &BlobId) -> Result<Option<Vec<u8>>, StoreError> {
        self.there().await?;
        self.store.get(id).await
    }
    async fn delete(&self, id: &BlobId) -> Result<(), StoreError> {
        self.there().await?;
        self.store.delete(id).await
    }
    async fn list(&self, before: Timestamp, after: Option<&BlobId>, limit: usize) -> Result<Vec<BlobId>, StoreError> {
        self.there().await?;
        self.store.list(before, after, limit).await
    }
}
