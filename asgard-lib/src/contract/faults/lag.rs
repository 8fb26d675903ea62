//! Indexes that follow behind.

use super::Fault;
use crate::{
    backends::MemoryStore,
    kernel::Timestamp,
    ports::store::{Batch, Found, Outcome, Query, Store, StoreError},
};
use std::collections::VecDeque;
use tokio::sync::Mutex;

/// Queries see the records of an earlier moment; every query lets the indexes catch up by one commit. An operation that
/// decides by a query shows itself here.
#[derive(Debug, Default)]
pub struct Lag(Mutex<Behind>);

#[derive(Debug, Default)]
struct Behind {
    indexes: MemoryStore,
    events: VecDeque<Event>,
}

#[derive(Debug)]
enum Event {
    Committed(Box<Batch>),
    Expired(Timestamp, usize),
}

impl Lag {
    /// Lets the indexes catch up with everything that was committed.
    pub async fn catch_up(&self) -> Result<(), StoreError> {
        let mut behind = self.0.lock().await;
        while behind.step().await? {}
        Ok(())
    }
}

impl Behind {
    async fn step(&mut self) -> Result<bool, StoreError> {
        match self.events.pop_front() {
            Some(Event::Committed(batch)) => self.indexes.commit(&batch).await.map(|_| true),
            Some(Event::Expired(now, limit)) => self.indexes.expire(now, limit).await.map(|_| true),
            None => Ok(false),
        }
    }
}

impl Fault for Lag {
    async fn commit(
        &self,
        batch: &Batch,
        commit: impl Future<Output = Result<Outcome, StoreError>> + Send,
    ) -> Result<Outcome, StoreError> {
        // Held over the commit, so that the indexes hear of commits in their order.
        let mut behind = self.0.lock().await;
        let outcome = commit.await?;
        if outcome == Outcome::Committed {
            behind.events.push_back(Event::Committed(Box::new(batch.clone())));
        }
        Ok(outcome)
    }

    async fn query(
        &self,
        query: &Query,
        _found: impl Future<Output = Result<Found, StoreError>> + Send,
    ) -> Result<Found, StoreError> {
        let mut behind = self.0.lock().await;
        let found = behind.indexes.query(query).await?;
        behind.step().await?;
        Ok(found)
    }

    async fn expire(
        &self,
        now: Timestamp,
        limit: usize,
        expired: impl Future<Output = Result<usize, StoreError>> + Send,
    ) -> Result<usize, StoreError> {
        let mut behind = self.0.lock().await;
        let count = expired.await?;
        behind.events.push_back(Event::Expired(now, limit));
        Ok(count)
    }
}
