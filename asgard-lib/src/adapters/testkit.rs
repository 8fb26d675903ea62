//! What the tests of this folder share: a world whose clock they move, replicas on one store, and a store that dies, loses
//! replies or lags on demand.

use super::{Keyring, LocalKey, MasterKeys, Rotation, SealedSecrets, SealedVault, Step, Timing, Witness};
use crate::{
    app::AuditWaiver,
    backends::MemoryStore,
    contract::faults::{Dying, Fault, Faulty},
    error::Result,
    kernel::{BlobId, Timestamp},
    ports::{
        blobs::Blobs,
        secrets::KeyWrapper,
        store::{Batch, Found, Key, Op, Outcome, Query, Store, StoreError},
        vault::Vault,
        world::{ManualClock, SystemEntropy, World},
    },
};
use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};
use zeroize::Zeroizing;

/// A store, a clock, and the processes on them.
pub(super) struct Kit {
    pub memory: MemoryStore,
    pub clock: Arc<ManualClock>,
    pub world: World,
}

/// One process.
pub(super) struct Replica {
    pub keyring: Arc<Keyring>,
    pub vault: Arc<SealedVault>,
    pub rotation: Rotation,
    pub secrets: SealedSecrets,
}

pub(super) const RELOAD: Duration = Duration::from_secs(60);
/// The largest value that replicas keep inside its record.
pub(super) const INLINE: usize = 256;
pub(super) const SETTLE: Duration = Duration::from_secs(300);

impl Kit {
    pub(crate) fn new() -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_800_000_000_000)));
        let world = World::new(Arc::clone(&clock) as _, Arc::new(SystemEntropy));
        Self { memory: MemoryStore::new(), clock, world }
    }

    pub(crate) fn master(&self, fill: u8) -> Arc<dyn KeyWrapper> {
        Arc::new(LocalKey::new(Zeroizing::new([fill; 32]), self.world.clone()))
    }

    pub(crate) fn masters(&self) -> MasterKeys {
        MasterKeys::only(self.master(1))
    }

    pub(crate) fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }

    /// A process with the usual master key on the store itself.
    pub(crate) async fn replica(&self) -> Replica {
        self.replica_with(self.masters()).await.unwrap()
    }

    pub(crate) async fn replica_with(&self, masters: MasterKeys) -> Result<Replica> {
        self.boot(CallRecorder::on(&self.memory), masters).await
    }

    /// A process on a store with faults.
    pub(crate) async fn boot(&self, store: Arc<RecordedStore>, masters: MasterKeys) -> Result<Replica> {
        self.boot_in(&self.world, store, masters).await
    }

    /// A process whose clock is its own.
    pub(crate) async fn replica_by(&self, clock: &Arc<ManualClock>) -> Replica {
        let world = World::new(Arc::clone(clock) as _, Arc::new(SystemEntropy));
        self.boot_in(&world, CallRecorder::on(&self.memory), self.masters()).await.unwrap()
    }

    async fn boot_in(&self, world: &World, store: Arc<RecordedStore>, masters: MasterKeys) -> Result<Replica> {
        let timing = Timing { reload: RELOAD, settle: SETTLE };
        let keyring = Keyring::open_with(Arc::clone(&store) as _, masters, world.clone(), timing).await?;
        let vault = Arc::new(
            SealedVault::new(Arc::clone(&store) as _, store, Arc::clone(&keyring), world.clone())
                .keeping_inline(INLINE, 2 * INLINE),
        );
        let secrets = SealedSecrets::new(Arc::clone(&vault), world.clone());
        Ok(Replica { keyring, rotation: Rotation::new(Arc::clone(&vault)), vault, secrets })
    }

    /// Everything that the store holds, as text: records and blobs.
    pub(crate) async fn dump(&self) -> String {
        let mut all = format!("{:?}", self.memory);
        for id in self.blobs().await {
            all.push_str(&String::from_utf8_lossy(&self.memory.get(&id).await.unwrap().unwrap()));
        }
        all
    }

    pub(crate) async fn blobs(&self) -> Vec<BlobId> {
        self.memory.list(Timestamp::from_millis(i64::MAX / 2_000_000), None, 1000).await.unwrap()
    }
}

impl Replica {
    /// Takes steps, letting time pass, until nothing is rotating; returns what was done.
    pub(crate) async fn finish(&self, kit: &Kit) -> Result<Vec<Step>> {
        let mut steps = Vec::new();
        loop {
            let step = self.rotation.step(kit.world.now(), Witness::Clock).await?;
            match &step {
                Step::Idle => return Ok(steps),
                Step::Waiting(until) => kit.pass(until.since(kit.world.now())),
                Step::Activated(_) | Step::Swept { .. } | Step::Retired(_) | Step::Raced => {}
            }
            steps.push(step);
            assert!(steps.len() < 500, "the rotation does not end: {steps:?}");
        }
    }

    /// Writes a value over whatever is there; false when another writer was faster.
    pub(crate) async fn set(&self, kit: &Kit, id: &str, value: &[u8]) -> Result<bool> {
        let old = self.vault.stored(id).await?;
        let sealed = self.vault.seal(id, "test", value).await?;
        let ops = vec![SealedVault::write(&sealed, old.as_ref())?];
        let committed = super::commit::commit(&kit.memory, &kit.world, ops, Some(AuditWaiver::SealedValue)).await?
            == Outcome::Committed;
        self.vault
            .discard(if committed { old.as_ref().map_or(&[][..], |old| &old.blobs) } else { &sealed.blobs })
            .await;
        Ok(committed)
    }

    pub(crate) async fn get(&self, id: &str) -> Option<Vec<u8>> {
        self.vault.read(id, "test").await.unwrap().map(|value| value.to_vec())
    }
}

/// What goes wrong with a store and blobs, as told, and what was asked of them. It yields before every call, so that tasks
/// interleave.
#[derive(Default)]
pub(super) struct CallRecorder {
    life: Dying,
    /// How many of the next commits lose their reply.
    pub lost_replies: AtomicU32,
    pub calls: AtomicI64,
    /// The ids of records that queries do not show yet.
    pub hidden: Mutex<BTreeSet<String>>,
    /// The ops of every commit that was asked for.
    pub seen: Mutex<Vec<Batch>>,
}

/// A store and blobs that note every call, and fail as told.
pub(super) type RecordedStore = Faulty<MemoryStore, CallRecorder>;

impl CallRecorder {
    pub(crate) fn on(inner: &MemoryStore) -> Arc<RecordedStore> {
        Self::dying(inner, i64::MAX, false)
    }

    pub(crate) fn dying(inner: &MemoryStore, after: i64, last_breath: bool) -> Arc<RecordedStore> {
        let life = Dying::with(after, last_breath);
        Arc::new(Faulty::new(inner.clone(), Self { life, ..Self::default() }))
    }

    pub(crate) fn unplug(&self) {
        self.life.after(0, false);
    }

    pub(crate) fn plug_in(&self) {
        self.life.after(i64::MAX, false);
    }
}

impl Fault for CallRecorder {
    async fn call<T: Send>(&self, call: impl Future<Output = Result<T, StoreError>> + Send) -> Result<T, StoreError> {
        tokio::task::yield_now().await;
        self.calls.fetch_add(1, SeqCst);
        self.life.call(call).await
    }

    async fn query(
        &self,
        _query: &Query,
        found: impl Future<Output = Result<Found, StoreError>> + Send,
    ) -> Result<Found, StoreError> {
        let mut found = self.call(found).await?;
        let hidden = self.hidden.lock().unwrap();
        found.records.retain(|record| !hidden.contains(&record.key.id));
        Ok(found)
    }

    async fn commit(
        &self,
        batch: &Batch,
        commit: impl Future<Output = Result<Outcome, StoreError>> + Send,
    ) -> Result<Outcome, StoreError> {
        self.seen.lock().unwrap().push(batch.clone());
        let outcome = self.call(commit).await?;
        if self.lost_replies.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok() {
            return Err(StoreError::Unknown("the reply was lost".into()));
        }
        Ok(outcome)
    }
}

/// Changes the body of a record behind everybody's back.
pub(super) async fn tamper(kit: &Kit, key: &Key, change: impl FnOnce(&str) -> String) {
    let record = kit.memory.get_many(std::slice::from_ref(key)).await.unwrap().remove(0).unwrap();
    let draft = crate::ports::store::Draft {
        key: key.clone(),
        schema: record.schema,
        body: change(&record.body),
        expires_at: None,
    };
    let ops = vec![Op::Replace(draft, record.version)];
    let outcome = super::commit::commit(&kit.memory, &kit.world, ops, Some(AuditWaiver::SealedValue)).await.unwrap();
    assert_eq!(outcome, Outcome::Committed);
}
