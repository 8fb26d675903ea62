//! What an operation reads, and whom it asks: the half of a transaction that writes nothing. `authorise` and `prepare` get
//! this alone; `decide` gets it inside its transaction.

use super::{
    effects,
    waits::{Backoff, Waiting},
};
use crate::app::{Asgard, Call};
use crate::{
    domain::access::{self, Action, Object},
    error::{Code, Error, Result},
    kernel::{Actor, Timestamp},
    ports::{
        records::{Entity, Records, Stored, decode, key, store_error},
        store::{Batch, Key, ReadBatch, ReadResults, Record, Version},
    },
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Records and the versions that they were read at; `None` for one that was not there.
pub(crate) type Versions = BTreeMap<Key, Option<Version>>;

/// Reads of one attempt: each record that the outcome depends on is noted with its version.
pub struct Reads<'a> {
    app: &'a Asgard,
    call: &'a Call,
    now: Timestamp,
    pub(super) checked: Versions,
    granted: BTreeSet<Action>,
    waited: bool,
    /// How the rest of a wait is spent that something has interrupted.
    backoff: Option<Backoff>,
    cache: Mutex<Cache>,
}

/// What an attempt has read so far, and what comes along with its next read. What an attempt decides by is required by its commit, or
/// claimed and counted there, so that reading a thing twice would show no more than reading it once.
#[derive(Debug, Default)]
struct Cache {
    records: BTreeMap<Key, Option<Record>>,
    holders: BTreeMap<String, Option<String>>,
    counters: BTreeMap<String, i64>,
    ahead: ReadBatch,
}

impl Cache {
    /// What is asked for, and what was to come along, each once.
    fn wanted(&mut self, mut asked: ReadBatch) -> ReadBatch {
        let ahead = std::mem::take(&mut self.ahead);
        let mut room = Batch::MAX_READS.saturating_sub(asked.len());
        join(&mut asked.keys, ahead.keys, &self.records, &mut room);
        join(&mut asked.claims, ahead.claims, &self.holders, &mut room);
        join(&mut asked.counters, ahead.counters, &self.counters, &mut room);
        asked
    }

    fn keep(&mut self, asked: ReadBatch, results: ReadResults) {
        self.records.extend(asked.keys.into_iter().zip(results.records));
        self.holders.extend(asked.claims.into_iter().zip(results.holders));
        self.counters.extend(asked.counters.into_iter().zip(results.counters));
    }
}

/// Adds what is neither known nor asked for yet, while there is room.
fn join<T: Ord, V>(asked: &mut Vec<T>, more: Vec<T>, known: &BTreeMap<T, V>, room: &mut usize) {
    for one in more {
        if *room > 0 && !known.contains_key(&one) && !asked.contains(&one) {
            asked.push(one);
            *room -= 1;
        }
    }
}

crate::kernel::opaque!(Reads<'_>);

impl<'a> Reads<'a> {
    pub(super) fn begin(app: &'a Asgard, call: &'a Call) -> Self {
        let (checked, granted, cache) = (Versions::new(), BTreeSet::new(), Mutex::default());
        Self { app, call, now: app.world().now(), checked, granted, waited: false, backoff: None, cache }
    }

    /// The control plane.
    pub fn app(&self) -> &'a Asgard {
        self.app
    }

    /// The call that this is an attempt of.
    pub fn call(&self) -> &'a Call {
        self.call
    }

    /// The moment of this attempt.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Who calls.
    pub fn actor(&self) -> Result<&'a Actor> {
        self.call.actor.as_ref().ok_or_else(|| {
            Error::new(Code::NoCredential, "Sign in, or send a credential as `Authorization: Bearer ...`.")
        })
    }

    /// A new id.
    pub fn id<T: crate::kernel::id::TimeOrdered>(&self) -> T {
        self.app.world().id()
    }

    /// Fails unless the caller may do `action` to `object`. Every operation asks for the action that its entry in the table
    /// names, and may ask for more.
    pub fn allow(&mut self, action: Action, object: &Object<'_>) -> Result<()> {
        let answer = match action {
            Action::Open => Ok(()),
            _ => access::decide(action, self.actor()?, object),
        };
        self.answered(action, answer)
    }

    /// Takes the answer to a question about `action` that a rule of its own gave, beyond the table of actions.
    pub fn answered<T>(&mut self, action: Action, answer: Result<T>) -> Result<T> {
        if answer.is_ok() {
            self.granted.insert(action);
        }
        answer
    }

    /// Whether `action` was asked for and allowed.
    pub(super) fn was_granted(&self, action: Action) -> bool {
        self.granted.contains(&action)
    }

    /// Whether anything was asked for and allowed.
    pub(super) fn was_granted_anything(&self) -> bool {
        !self.granted.is_empty()
    }

    /// Waits, outside of every decision. Whatever was permitted before is asked for again afterwards.
    pub async fn wait(&mut self, pause: Duration) -> Result<()> {
        effects::outside_decide("waiting")?;
        self.waited = true;
        *self.cache() = Cache::default();
        self.app.world().sleep(pause).await;
        Ok(())
    }

    /// Waits until a record is no more as it was read, and gives it as it is then; `None` when that moment has come before. Outside of
    /// every decision. Whatever was permitted before is asked for again afterwards.
    pub async fn wait_for_change<T: Entity>(
        &mut self,
        read: &Stored<T>,
        until: Timestamp,
    ) -> Result<Option<Stored<T>>> {
        effects::outside_decide("waiting")?;
        self.waited = true;
        let usual = if self.app.is_fleeting() { Backoff::FUNCTION } else { Backoff::SERVER };
        let backoff = self.backoff.unwrap_or(usual);
        let within = until.since(self.app.world().now());
        let key = key::<T>(read.value.record_id());
        let waits = self.app.waits();
        let waiting = waits.changed(self.app, &key, &read.version, within, backoff).await;
        self.backoff = Some(backoff.resumed(waits.pause()));
        *self.cache() = Cache::default();
        match waiting {
            Waiting::Over => Ok(None),
            // What was looked at is not looked at again.
            Waiting::Changed(Some(record)) => decode(record).map(Some),
            Waiting::Changed(None) => {
                let found = self.read::<T>(&key.id).await?;
                found.map(Some).ok_or_else(|| Error::not_found(T::NOUN))
            }
        }
    }

    pub(super) fn has_waited(&self) -> bool {
        self.waited
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says what will be read soon: it comes along with the next read, in the same round trip.
    pub fn ahead(&self, asked: ReadBatch) {
        let mut cache = self.cache();
        cache.ahead.keys.extend(asked.keys);
        cache.ahead.claims.extend(asked.claims);
        cache.ahead.counters.extend(asked.counters);
    }

    async fn fetch(&self, asked: ReadBatch) -> Result<()> {
        let asked = self.cache().wanted(asked);
        let results = self.app.store().read_batch(&asked).await.map_err(store_error)?;
        self.cache().keep(asked, results);
        Ok(())
    }

    async fn record(&self, key: Key) -> Result<Option<Record>> {
        if let Some(known) = self.cache().records.get(&key) {
            return Ok(known.clone());
        }
        self.fetch(ReadBatch { keys: vec![key.clone()], ..ReadBatch::default() }).await?;
        Ok(self.cache().records.get(&key).cloned().flatten())
    }

    /// Reads without depending on it: credentials, groups, the catalogue.
    pub async fn read<T: Entity>(&self, id: &str) -> Result<Option<Stored<T>>> {
        self.record(key::<T>(id)).await?.map(decode).transpose()
    }

    /// Reads and depends on it: the commit is refused if it has changed by then, or has appeared.
    pub async fn read_checked<T: Entity>(&mut self, id: &str) -> Result<Option<Stored<T>>> {
        let found: Option<Stored<T>> = self.read(id).await?;
        self.checked.insert(key::<T>(id), found.as_ref().map(|stored| stored.version.clone()));
        Ok(found)
    }

    /// Reads several and depends on each that is there.
    pub async fn read_many_checked<T: Entity>(&mut self, ids: &[String]) -> Result<Vec<Stored<T>>> {
        let found: Vec<Stored<T>> = self.app.store().read_many(ids).await?.into_iter().flatten().collect();
        for stored in &found {
            self.checked.insert(key::<T>(stored.value.record_id()), Some(stored.version.clone()));
        }
        Ok(found)
    }

    /// Like [`Reads::read_checked`], and not-found when it is absent.
    pub async fn need<T: Entity>(&mut self, id: &str) -> Result<Stored<T>> {
        self.read_checked(id).await?.ok_or_else(|| Error::not_found(T::NOUN))
    }

    /// Who holds a claim. Looking decides nothing, in `prepare` least of all, where the commit does not require it; a commit that
    /// depends on it claims or relies on the owner's record.
    pub async fn holder(&self, claim: &str) -> Result<Option<String>> {
        if let Some(known) = self.cache().holders.get(claim) {
            return Ok(known.clone());
        }
        self.fetch(ReadBatch { claims: vec![claim.to_owned()], ..ReadBatch::default() }).await?;
        Ok(self.cache().holders.get(claim).cloned().flatten())
    }

    /// What a counter shows. Looking decides nothing; a commit that depends on it counts with a ceiling.
    pub async fn counter(&self, name: &str) -> Result<i64> {
        if let Some(known) = self.cache().counters.get(name) {
            return Ok(*known);
        }
        self.fetch(ReadBatch { counters: vec![name.to_owned()], ..ReadBatch::default() }).await?;
        Ok(self.cache().counters.get(name).copied().unwrap_or(0))
    }

    /// Fails when the caller named another version than the present one: 412 for If-Match, 409 for a `version` in the body.
    pub fn expect_version(&self, present: &Version, from_body: Option<&Version>) -> Result<()> {
        let stale = |code| Error::new(code, "It has changed since you read it. Read it again and decide again.");
        match (&self.call.if_match, from_body) {
            (Some(wanted), _) if wanted != present => Err(stale(Code::PreconditionFailed)),
            (_, Some(wanted)) if wanted != present => Err(stale(Code::StaleVersion).at("version")),
            _ => Ok(()),
        }
    }
}
