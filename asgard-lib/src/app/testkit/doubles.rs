//! What stands in for the world in tests of the application: a store that fails as told, secrets that are counted, a runner
//! that the test plays.

use crate::{
    adapters::SealedSecrets,
    backends::MemoryStore,
    contract::faults::{Dying, Fault, Faulty, versioned},
    domain::secret::SecretOwner,
    error::Result,
    kernel::{RunId, SecretId, SecretText, Timestamp},
    ports::{
        kinds::INDEXES,
        runner::{Liveness, Runner, Salvage, SupervisorLocation},
        secrets::SecretStore,
        store::{Batch, Op, Outcome, Reason, Refusal, StoreError},
    },
};
use async_trait::async_trait;
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

/// What somebody else does in between.
pub(crate) type Interlude = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// What goes wrong with a store, as told. It yields before every call, so that tasks interleave.
#[derive(Default)]
pub(crate) struct StoreFaults {
    /// When the process dies that uses the store.
    pub life: Dying,
    /// Every how many commits the reply is lost; 0 for never.
    pub lose_every: AtomicU32,
    /// Every how many commits somebody else seems to have been faster; 0 for never.
    pub conflict_every: AtomicU32,
    pub commits: AtomicU32,
    /// How many items those wrote that were committed, with their markers, by kind.
    pub written: Mutex<std::collections::BTreeMap<&'static str, usize>>,
    /// The entries of indices, by the index's name and the record's key; and how many were written, a change being two.
    pub indexed: Mutex<(Indexed, usize)>,
    /// Whether the next batch stays on its way, and nobody knows.
    pub keeps_back: AtomicBool,
    /// The batches that are still on their way.
    pub on_their_way: Mutex<Vec<Batch>>,
    /// How often somebody else seemed to have been faster.
    pub conflicts: AtomicU32,
    pub calls: AtomicI64,
    /// How often a secret value was stored, and read.
    pub secret_puts: AtomicU32,
    pub secret_gets: AtomicU32,
    /// Whether the secret store forgets nothing.
    pub forgets_nothing: AtomicBool,
    /// What happens before the commit after so many others.
    pub before_commit: Mutex<Option<(u32, Interlude)>>,
    /// What happens before a secret value is stored, once.
    pub before_put: Mutex<Option<Interlude>>,
}

/// A store that fails as told.
pub(crate) type FaultyStore = Faulty<MemoryStore, StoreFaults>;

impl StoreFaults {
    pub(crate) fn on(inner: &MemoryStore) -> FaultyStore {
        Faulty::new(inner.clone(), Self::default())
    }

    /// What is to happen before this commit, if it is the one.
    fn interlude(&self) -> Option<Interlude> {
        let mut waits = self.before_commit.lock().unwrap();
        match waits.as_mut() {
            Some((0, _)) => waits.take().map(|(_, interlude)| interlude),
            Some((left, _)) => {
                *left -= 1;
                None
            }
            None => None,
        }
    }

    fn strikes(nth: u32, every: &AtomicU32) -> bool {
        let every = every.load(SeqCst);
        every > 0 && nth.is_multiple_of(every)
    }
}

impl Fault for StoreFaults {
    async fn call<T: Send>(&self, call: impl Future<Output = Result<T, StoreError>> + Send) -> Result<T, StoreError> {
        tokio::task::yield_now().await;
        self.calls.fetch_add(1, SeqCst);
        self.life.call(call).await
    }

    async fn commit(
        &self,
        batch: &Batch,
        commit: impl Future<Output = Result<Outcome, StoreError>> + Send,
    ) -> Result<Outcome, StoreError> {
        let nth = self.commits.fetch_add(1, SeqCst);
        if self.keeps_back.swap(false, SeqCst) {
            self.on_their_way.lock().unwrap().push(batch.clone());
            return Err(StoreError::Unknown("no answer came".into()));
        }
        if let Some(interlude) = self.interlude() {
            interlude.await;
        }
        if Self::strikes(nth, &self.conflict_every)
            && let Some(step) = versioned(batch)
        {
            self.conflicts.fetch_add(1, SeqCst);
            return Ok(Outcome::Refused(Refusal { step, reason: Reason::Changed }));
        }
        let outcome = self.call(commit).await?;
        if outcome == Outcome::Committed {
            let mut written = self.written.lock().unwrap();
            *written.entry("marker").or_default() += 1;
            for op in batch.ops() {
                let kind = match op {
                    Op::Insert(draft) | Op::Replace(draft, _) => draft.key.kind.name(),
                    Op::Remove(key, _) => key.kind.name(),
                    Op::Require(..) => "required",
                    Op::Claim { .. } | Op::Release { .. } => "claim",
                    Op::Count(_) => "counter",
                };
                *written.entry(kind).or_default() += 1;
                self.index(op);
            }
        }
        if Self::strikes(nth, &self.lose_every) {
            Err(StoreError::Unknown("the reply was lost".into()))
        } else {
            Ok(outcome)
        }
    }
}

impl StoreFaults {
    /// Notes what an operation changes of indices, as a store with entries of keys alone writes them.
    fn index(&self, op: &Op) {
        let (key, body) = match op {
            Op::Insert(draft) | Op::Replace(draft, _) => (&draft.key, serde_json::from_str(&draft.body).unwrap()),
            Op::Remove(key, _) => (key, serde_json::Map::new()),
            Op::Require(..) | Op::Claim { .. } | Op::Release { .. } | Op::Count(_) => return,
        };
        let mut indexed = self.indexed.lock().unwrap();
        for index in INDEXES.iter().filter(|index| index.kind == key.kind) {
            let name = (index.name, key.id.clone());
            let (before, after) = (indexed.0.remove(&name), index.entry(&body));
            if before != after {
                indexed.1 += usize::from(before.is_some()) + usize::from(after.is_some());
            }
            indexed.0.extend(after.map(|entry| (name, entry)));
        }
    }
}

/// Where records stand, by the index's name and the record's key.
type Indexed = std::collections::BTreeMap<(&'static str, String), (String, Option<String>)>;

/// Secrets that count how often they are used.
pub(super) struct Counted {
    pub inner: SealedSecrets,
    pub on: Arc<FaultyStore>,
}

#[async_trait]
impl SecretStore for Counted {
    async fn put(&self, id: &SecretId, version: u32, value: &SecretText, owner: &SecretOwner) -> Result<()> {
        self.on.fault.secret_puts.fetch_add(1, SeqCst);
        let interlude = self.on.fault.before_put.lock().unwrap().take();
        if let Some(interlude) = interlude {
            interlude.await;
        }
        self.inner.put(id, version, value, owner).await
    }
    async fn get(&self, id: &SecretId, version: u32, owner: &SecretOwner) -> Result<Option<SecretText>> {
        self.on.fault.secret_gets.fetch_add(1, SeqCst);
        self.inner.get(id, version, owner).await
    }
    async fn forget(&self, id: &SecretId, version: u32, owner: Option<&SecretOwner>) -> Result<()> {
        if self.on.fault.forgets_nothing.load(SeqCst) {
            return Err(crate::Error::new(crate::Code::StoreUnavailable, "The secret store is away."));
        }
        self.inner.forget(id, version, owner).await
    }
}

/// A runner that only notes what it was asked; the test plays the supervisor.
#[derive(Default)]
pub(crate) struct Stage {
    pub launched: Mutex<Vec<RunId>>,
    /// What probing answers; unknown unless told.
    pub liveness: Mutex<Option<Liveness>>,
    pub salvage: Mutex<Option<Salvage>>,
    pub cleaned: Mutex<Vec<RunId>>,
    pub set_aside: Mutex<Vec<RunId>>,
    /// The runs that left something behind.
    pub left_over: Mutex<Vec<RunId>>,
    /// How long launching takes.
    pub takes: Mutex<Duration>,
    /// Why launching fails, if it does.
    pub fails: Mutex<Option<crate::Code>>,
    /// When trying again makes sense, as the failure says.
    pub retry_after: Mutex<Option<u64>>,
}

#[async_trait]
impl Runner for Stage {
    fn name(&self) -> &'static str {
        "stage"
    }
    async fn launch(&self, run: &RunId) -> Result<()> {
        self.launched.lock().unwrap().push(run.clone());
        let takes = *self.takes.lock().unwrap();
        tokio::time::sleep(takes).await;
        match *self.fails.lock().unwrap() {
            Some(code) => {
                let error = crate::Error::new(code, "It cannot be started.");
                Err(match *self.retry_after.lock().unwrap() {
                    Some(secs) => error.retry_after(secs),
                    None => error,
                })
            }
            None => Ok(()),
        }
    }
    async fn probe(&self, _: &SupervisorLocation, _: Timestamp) -> Liveness {
        self.liveness.lock().unwrap().unwrap_or(Liveness::Unknown)
    }
    async fn salvage(&self, _: &RunId, _: Option<&SupervisorLocation>) -> Result<Salvage> {
        Ok(self.salvage.lock().unwrap().take().unwrap_or_default())
    }
    async fn clean(&self, run: &RunId) -> Result<()> {
        self.cleaned.lock().unwrap().push(run.clone());
        Ok(())
    }
    async fn set_aside(&self, run: &RunId) -> Result<Option<String>> {
        self.set_aside.lock().unwrap().push(run.clone());
        Ok(None)
    }
    async fn left_over(&self) -> Result<Vec<RunId>> {
        Ok(self.left_over.lock().unwrap().clone())
    }
}
