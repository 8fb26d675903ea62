//! What the scenarios are written with: short words for batches and for what should become of them.

use crate::{
    kernel::{CommitId, Timestamp},
    ports::{
        kinds::Kind,
        store::{
            Batch, Count, Draft, Found, Key, Op, Outcome, Position, Query, Reason, Record, Refusal, Store, Version,
        },
        world::World,
    },
};
use serde_json::Value;
use std::{ops::Deref, time::Duration};

/// How long an index may take to catch up.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// A store under test, with helpers.
#[derive(Clone)]
pub struct StoreFixture<'a> {
    store: &'a dyn Store,
    world: World,
}

crate::kernel::opaque!(StoreFixture<'_>);

impl Deref for StoreFixture<'_> {
    type Target = dyn Store;
    fn deref(&self) -> &Self::Target {
        self.store
    }
}

/// The moment that batches of the suite are decided at. It lies in the future: a store may delete what has expired by its
/// own clock as well.
pub fn noon() -> Timestamp {
    "2096-11-22T12:00:00Z".parse().unwrap()
}

/// `hours` after [`noon`].
pub fn hours_later(hours: u64) -> Timestamp {
    noon().plus(Duration::from_secs(hours * 3600))
}

/// The key of a request, the kind that scenarios use when any will do.
pub fn request(id: &str) -> Key {
    Key::new(Kind::Request, id)
}

/// A draft with this body that never expires.
pub fn draft(key: &Key, body: impl Into<String>) -> Draft {
    Draft { key: key.clone(), schema: 1, body: body.into(), expires_at: None }
}

/// Inserts a record with this body.
pub fn insert(key: &Key, body: impl Into<String>) -> Op {
    Op::Insert(draft(key, body))
}

/// Inserts a record that says nothing.
pub fn insert_empty(key: &Key) -> Op {
    insert(key, "{}")
}

/// Inserts a record with these fields.
pub fn insert_fields(key: &Key, fields: &Value) -> Op {
    insert(key, fields.to_string())
}

/// Replaces a record.
pub fn replace(key: &Key, body: impl Into<String>, seen: &Version) -> Op {
    Op::Replace(draft(key, body), seen.clone())
}

/// Takes a name.
pub fn claim(name: &str, owner: &str) -> Op {
    Op::Claim { name: name.into(), owner: owner.into() }
}

/// Gives a name up.
pub fn release(name: &str, owner: &str) -> Op {
    Op::Release { name: name.into(), owner: owner.into() }
}

/// Counts without bounds.
pub fn count(counter: &str, delta: i64) -> Count {
    Count { counter: counter.into(), delta, floor: None, ceiling: None, expires_at: None }
}

/// Counts up to a ceiling.
pub fn count_to(counter: &str, delta: i64, ceiling: i64) -> Op {
    Op::Count(Count { ceiling: Some(ceiling), ..count(counter, delta) })
}

/// The refusal of `step` for `reason`.
pub fn refusal(step: usize, reason: Reason) -> Outcome {
    Outcome::Refused(Refusal { step, reason })
}

impl<'a> StoreFixture<'a> {
    /// Helpers around `store`.
    pub fn new(store: &'a dyn Store) -> Self {
        Self { store, world: World::system() }
    }

    /// A commit id that was never used.
    pub fn commit_id(&self) -> CommitId {
        self.world.id()
    }

    /// A batch of these steps.
    pub fn batch(&self, ops: impl IntoIterator<Item = Op>) -> Batch {
        let mut batch = Batch::new(self.commit_id(), noon());
        for op in ops {
            batch.push(op).expect("the scenario's batch keeps the limits");
        }
        batch
    }

    /// Commits a batch of these steps.
    pub async fn try_commit(&self, ops: impl IntoIterator<Item = Op> + Send) -> Outcome {
        self.submit(&self.batch(ops)).await
    }

    /// Commits a batch.
    pub async fn submit(&self, batch: &Batch) -> Outcome {
        self.store.commit(batch).await.expect("the store answers")
    }

    /// Commits a batch that nothing stands in the way of, and returns the version it gave.
    pub async fn commit(&self, ops: impl IntoIterator<Item = Op> + Send) -> Version {
        let batch = self.batch(ops);
        assert_eq!(self.submit(&batch).await, Outcome::Committed);
        batch.id().clone()
    }

    /// The record at `key`, if it is there.
    pub async fn get(&self, key: &Key) -> Option<Record> {
        self.store
            .get_many(std::slice::from_ref(key))
            .await
            .expect("the store answers")
            .pop()
            .expect("one answer for one key")
    }

    /// The version at `key`, if a record is there.
    pub async fn version(&self, key: &Key) -> Option<Version> {
        self.get(key).await.map(|record| record.version)
    }

    /// What a counter shows.
    pub async fn shows(&self, counter: &str) -> i64 {
        self.store.counter(counter).await.expect("the store answers")
    }

    /// Who holds a name.
    pub async fn holds(&self, name: &str) -> Option<String> {
        self.store.holder(name).await.expect("the store answers")
    }

    /// Lets expire what is past at `now`, `limit` at a time, until `wanted` are gone. A store finds them through an index,
    /// so it may need a moment. `false` when the store does it by itself, when it wants to.
    pub async fn expires(&self, now: Timestamp, limit: usize, wanted: usize) -> bool {
        if self.store.expires_by_itself() {
            assert_eq!(self.store.expire(now, limit).await.expect("the store answers"), 0);
            return false;
        }
        let patience = tokio::time::Instant::now() + PATIENCE;
        let mut gone = 0;
        while gone < wanted {
            let deleted = self.store.expire(now, limit).await.expect("the store answers");
            assert!(deleted <= limit, "{deleted} deleted where {limit} were allowed");
            gone += deleted;
            assert!(tokio::time::Instant::now() < patience, "{gone} of {wanted} expired");
            if deleted == 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        assert_eq!(gone, wanted, "more expired than could");
        assert_eq!(self.store.expire(now, limit).await.expect("the store answers"), 0);
        true
    }

    /// A page, as it is now.
    pub async fn page(&self, query: &Query) -> Found {
        self.store.query(query).await.expect("the store answers")
    }

    /// The ids of every page of `query`, walked to the end.
    pub async fn walk(&self, query: &Query) -> Vec<String> {
        let mut query = query.clone();
        let mut ids = Vec::new();
        for _ in 0..1000 {
            let found = self.page(&query).await;
            assert!(found.records.len() <= query.limit, "a page holds more than was asked for");
            ids.extend(found.records.into_iter().map(|record| record.key.id));
            match found.next {
                Some(next) => query.after = Some(next),
                None => return ids,
            }
        }
        panic!("the pages of {query:?} never end");
    }

    /// Waits until every page of `query` together hold these ids, in this order.
    pub async fn finds<T: AsRef<str>>(&self, query: &Query, ids: &[T]) {
        let wanted: Vec<&str> = ids.iter().map(AsRef::as_ref).collect();
        let patience = tokio::time::Instant::now() + PATIENCE;
        loop {
            let found = self.walk(query).await;
            if found == wanted {
                return;
            }
            assert!(tokio::time::Instant::now() < patience, "{query:?}\n found {found:?}\nwanted {wanted:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until a page of `query` is exactly these ids followed by `next`.
    pub async fn finds_page(&self, query: &Query, ids: &[&str], next: Option<Position>) {
        let patience = tokio::time::Instant::now() + PATIENCE;
        loop {
            let found = self.page(query).await;
            let got: Vec<&str> = found.records.iter().map(|record| record.key.id.as_str()).collect();
            if got == ids && found.next == next {
                return;
            }
            assert!(
                tokio::time::Instant::now() < patience,
                "{query:?}\n found {got:?} then {:?}\nwanted {ids:?} then {next:?}",
                found.next
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// How many of these outcomes are commits.
pub fn winners(outcomes: &[Outcome]) -> usize {
    outcomes.iter().filter(|outcome| **outcome == Outcome::Committed).count()
}
