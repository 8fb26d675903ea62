//! Everything in memory: for tests, and the model that every other backend is compared with. It favours being obviously
//! right over being fast, and knows no clock: nothing vanishes before [`Store::expire`] is called.

use crate::{
    backends::Upkeep,
    error::Result,
    kernel::{BlobId, CommitId, Timestamp},
    ports::{
        blobs::{Blobs, check_size},
        kinds::INDEXES,
        store::{
            Batch, Count, Draft, Found, Key, MARKERS_KEPT, Op, Order, Outcome, Position, Query, Reason, Record,
            Refusal, Store, StoreError,
        },
    },
};
use async_trait::async_trait;
use serde_json::{Map, Value};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// A store and blobs in memory. Clones share what is stored.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore(Arc<Mutex<State>>);

#[derive(Clone, Debug, Default)]
struct State {
    records: BTreeMap<Key, Record>,
    claims: BTreeMap<String, String>,
    counters: BTreeMap<String, Counter>,
    commits: BTreeMap<CommitId, Timestamp>,
    blobs: BTreeMap<BlobId, (Vec<u8>, Timestamp)>,
}

#[derive(Clone, Debug, Default)]
struct Counter {
    value: i64,
    expires_at: Option<Timestamp>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// What is stored now, in a store of its own.
    #[cfg(test)]
    pub(crate) fn copied(&self) -> Self {
        Self(Arc::new(Mutex::new(self.lock().clone())))
    }

    /// Stores what a copy holds, and nothing else.
    #[cfg(test)]
    pub(crate) fn restore(&self, copy: &Self) {
        let held = copy.lock().clone();
        *self.lock() = held;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing below can panic half-way through a change, so a poisoned state is still a whole one.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn check(&self, op: &Op) -> Result<(), Reason> {
        let at = |key: &Key, seen: &CommitId| self.records.get(key).is_some_and(|record| record.version == *seen);
        match op {
            Op::Insert(draft) if self.records.contains_key(&draft.key) => Err(Reason::Exists),
            Op::Insert(_) => Ok(()),
            Op::Replace(Draft { key, .. }, seen) | Op::Remove(key, seen) | Op::Require(key, Some(seen)) => {
                if at(key, seen) { Ok(()) } else { Err(Reason::Changed) }
            }
            Op::Require(key, None) if self.records.contains_key(key) => Err(Reason::Exists),
            Op::Require(_, None) => Ok(()),
            Op::Claim { name, .. } if self.claims.contains_key(name) => Err(Reason::Taken),
            Op::Claim { .. } => Ok(()),
            Op::Release { name, owner } => {
                if self.claims.get(name) == Some(owner) {
                    Ok(())
                } else {
                    Err(Reason::NotHeld)
                }
            }
            Op::Count(count) => self.counted(count).map(|_| ()),
        }
    }

    fn counted(&self, count: &Count) -> Result<i64, Reason> {
        count.step(self.counters.get(&count.counter).map_or(0, |counter| counter.value))
    }

    fn apply(&mut self, id: &CommitId, op: &Op) {
        match op {
            Op::Insert(draft) | Op::Replace(draft, _) => {
                let noted_at = self.records.get(&draft.key).and_then(|record| record.noted_at);
                let Draft { key, schema, body, expires_at } = draft.clone();
                self.records
                    .insert(key.clone(), Record { key, version: id.clone(), schema, body, expires_at, noted_at });
            }
            Op::Remove(key, _) => {
                self.records.remove(key);
            }
            Op::Require(..) => {}
            Op::Claim { name, owner } => {
                self.claims.insert(name.clone(), owner.clone());
            }
            Op::Release { name, .. } => {
                self.claims.remove(name);
            }
            Op::Count(count) => {
                if let Ok(value) = self.counted(count) {
                    self.counters.insert(count.counter.clone(), Counter { value, expires_at: count.expires_at });
                }
            }
        }
    }
}

fn object(key: &Key, body: &str) -> Result<Map<String, Value>, StoreError> {
    serde_json::from_str(body).map_err(|e| StoreError::Corrupt(format!("the body of {key} is not a JSON object: {e}")))
}

/// Refuses what another backend could not store, so that a mistake shows in the first test that makes it.
fn storable(op: &Op) -> Result<(), StoreError> {
    let (Op::Insert(draft) | Op::Replace(draft, _)) = op else { return Ok(()) };
    let body = object(&draft.key, &draft.body)?;
    for index in INDEXES.iter().filter(|index| index.kind == draft.key.kind) {
        index.check(&draft.key, &body)?;
    }
    Ok(())
}

#[async_trait]
impl Store for MemoryStore {
    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, StoreError> {
        Batch::check_reads(keys)?;
        let state = self.lock();
        Ok(keys.iter().map(|key| state.records.get(key).cloned()).collect())
    }

    async fn query(&self, query: &Query) -> Result<Found, StoreError> {
        query.check()?;
        let mut entries = Vec::new();
        let state = self.lock();
        let first = Key { kind: query.index.kind, id: String::new() };
        let of_kind = state.records.range(first..).map(|(_, record)| record);
        for record in of_kind.take_while(|record| record.key.kind == query.index.kind) {
            let Some((partition, sort)) = query.index.entry(&object(&record.key, &record.body)?) else { continue };
            let ordered_by = sort.as_ref().unwrap_or(&record.key.id);
            if partition == query.partition
                && query.from.as_ref().is_none_or(|from| ordered_by >= from)
                && query.below.as_ref().is_none_or(|below| ordered_by < below)
            {
                let position = Position { sort: sort.unwrap_or_default(), id: record.key.id.clone() };
                entries.push((position, record.clone()));
            }
        }
        drop(state);
        entries.sort_by(|a, b| match query.order {
            Order::Ascending => a.0.cmp(&b.0),
            Order::Descending => b.0.cmp(&a.0),
        });
        if let Some(after) = &query.after {
            entries.retain(|(position, _)| match query.order {
                Order::Ascending => position > after,
                Order::Descending => position < after,
            });
        }
        let more = entries.len() > query.limit;
        entries.truncate(query.limit);
        let next = entries.last().filter(|_| more).map(|(position, _)| position.clone());
        Ok(Found { records: entries.into_iter().map(|(_, record)| record).collect(), next })
    }

    async fn commit(&self, batch: &Batch) -> Result<Outcome, StoreError> {
        for op in batch.ops() {
            storable(op)?;
        }
        let mut state = self.lock();
        if state.commits.contains_key(batch.id()) {
            return Ok(Outcome::Committed);
        }
        for (step, op) in batch.ops().iter().enumerate() {
            if let Err(reason) = state.check(op) {
                return Ok(Outcome::Refused(Refusal { step, reason }));
            }
        }
        for op in batch.ops() {
            state.apply(batch.id(), op);
        }
        state.commits.insert(batch.id().clone(), batch.at());
        Ok(Outcome::Committed)
    }

    async fn holder(&self, name: &str) -> Result<Option<String>, StoreError> {
        Ok(self.lock().claims.get(name).cloned())
    }

    async fn counter(&self, name: &str) -> Result<i64, StoreError> {
        Ok(self.lock().counters.get(name).map_or(0, |counter| counter.value))
    }

    async fn increment(&self, counter: &str) -> Result<i64, StoreError> {
        let mut state = self.lock();
        let counter = state.counters.entry(counter.to_owned()).or_default();
        counter.value = counter.value.checked_add(1).ok_or_else(|| StoreError::Corrupt("a counter is full".into()))?;
        Ok(counter.value)
    }

    async fn note(&self, key: &Key, at: Timestamp) -> Result<(), StoreError> {
        if let Some(record) = self.lock().records.get_mut(key) {
            record.noted_at = Some(at);
        }
        Ok(())
    }

    async fn expire(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let mut state = self.lock();
        let past = |expires_at: Option<Timestamp>| expires_at.is_some_and(|at| at < now);
        let records: Vec<Key> = state.records.values().filter(|r| past(r.expires_at)).map(|r| r.key.clone()).collect();
        let counters: Vec<String> =
            state.counters.iter().filter(|(_, c)| past(c.expires_at)).map(|(name, _)| name.clone()).collect();
        let commits: Vec<CommitId> =
            state.commits.iter().filter(|(_, at)| at.plus(MARKERS_KEPT) < now).map(|(id, _)| id.clone()).collect();
        let mut left = limit;
        for key in records.iter().take(left) {
            state.records.remove(key);
        }
        left -= left.min(records.len());
        for name in counters.iter().take(left) {
            state.counters.remove(name);
        }
        left -= left.min(counters.len());
        for id in commits.iter().take(left) {
            state.commits.remove(id);
        }
        left -= left.min(commits.len());
        Ok(limit - left)
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

#[async_trait]
impl Blobs for MemoryStore {
    async fn put(&self, id: &BlobId, bytes: &[u8], at: Timestamp) -> Result<(), StoreError> {
        check_size(id, bytes)?;
        let mut state = self.lock();
        match state.blobs.get(id) {
            Some((stored, _)) if stored == bytes => Ok(()),
            Some(_) => Err(StoreError::Corrupt(format!("blob {id} holds other bytes already"))),
            None => {
                state.blobs.insert(id.clone(), (bytes.to_vec(), at));
                Ok(())
            }
        }
    }

    async fn get(&self, id: &BlobId) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.lock().blobs.get(id).map(|(bytes, _)| bytes.clone()))
    }

    async fn delete(&self, id: &BlobId) -> Result<(), StoreError> {
        self.lock().blobs.remove(id);
        Ok(())
    }

    async fn list(&self, before: Timestamp, after: Option<&BlobId>, limit: usize) -> Result<Vec<BlobId>, StoreError> {
        let state = self.lock();
        let ids = state.blobs.iter().filter(|(id, (_, at))| *at < before && after.is_none_or(|after| *id > after));
        Ok(ids.map(|(id, _)| id.clone()).take(limit).collect())
    }
}

#[async_trait]
impl Upkeep for MemoryStore {
    async fn migrate(&self) -> Result<()> {
        Ok(())
    }

    async fn check_migrated(&self) -> Result<()> {
        Ok(())
    }

    async fn close(&self) {}

    fn place(&self) -> String {
        "memory".to_owned()
    }
}
