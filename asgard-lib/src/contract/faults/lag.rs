//! Indexes that follow behind.

use super::Fault;
use crate::{
    backends::MemoryStore,
    kernel::Timestamp,
    ports::store::{Batch, Found, Outcome, Query, Store, StoreError},
};
use std::collections::VecDeque;
use tokio::sync::Mutex;

/// How many commits the indexes are behind at most. Without a bound, whoever waits for them would wait the longer the more was committed
/// before.
const MAX_BEHIND: usize = 64;

/// Queries see the records of an earlier moment, up to 64 commits ago; every query lets the indexes catch up by one. An
/// operation that decides by a query shows itself here.
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
    /// Hears of an event, and catches up with the oldest where that is too many.
    async fn follow(&mut self, event: Event) -> Result<(), StoreError> {
        self.events.push_back(event);
        while self.events.len() > MAX_BEHIND {
            self.step().await?;
        }
        Ok(())
    }

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
            behind.follow(Event::Committed(Box::new(batch.clone()))).await?;
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
        behind.follow(Event::Expired(now, limit)).await?;
        Ok(count)
    }
}
