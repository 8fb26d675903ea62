//! Reading the keyring from the store: the first key, every reload, the background task.

use super::{
    Keyring, MasterKeys, TRIES, Timing, contended, event,
    record::{DataKey, Head, KeyState},
    ring::{Held, Ring, Roots, mac_root},
    tag,
};
use crate::{
    adapters::{cipher::Root, commit::commit},
    domain::audit::{AuditAction, AuditEvent, AuditMarking},
    error::{Code, Error, Result},
    kernel::DataKeyId,
    ports::{
        records::{Records, Stored, draft},
        store::{Op, Store},
        world::World,
    },
};
use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock, PoisonError, RwLock},
    time::Duration,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

impl Keyring {
    /// Opens the keyring of a store, making its first key if it has none. Refuses when the master key is wrong.
    pub async fn open(store: Arc<dyn Store>, masters: MasterKeys, world: World) -> Result<Arc<Self>> {
        Self::open_with(store, masters, world, Timing::default()).await
    }

    /// The same with other periods.
    pub async fn open_with(
        store: Arc<dyn Store>,
        masters: MasterKeys,
        world: World,
        timing: Timing,
    ) -> Result<Arc<Self>> {
        let head = store.read::<Head>(Head::ID).await?;
        if head.is_none() {
            Self::begin(&*store, &masters, &world).await?;
        }
        let (ring, records) = read(&*store, &masters, &world, None, head).await?;
        let ring = RwLock::new(Arc::new(ring));
        let keyring = Arc::new(Self { store, masters, world, timing, ring, reloading: tokio::sync::Mutex::default() });
        keyring.wrap_under_primary(records).await?;
        Ok(keyring)
    }

    /// The master keys that a store's data keys are wrapped under; empty when it has no keyring yet.
    pub async fn masters_of(store: &dyn Store) -> Result<Vec<String>> {
        let Some(head) = store.read::<Head>(Head::ID).await? else { return Ok(Vec::new()) };
        let mut masters: Vec<String> = read_keys(store, &head).await?.iter().flat_map(|key| key.master_ids()).collect();
        masters.sort();
        masters.dedup();
        Ok(masters)
    }

    /// Makes the first key. The head is inserted with it, so one of several racing replicas wins and the others read its key.
    async fn begin(store: &dyn Store, masters: &MasterKeys, world: &World) -> Result<()> {
        let (key, mac) = new_key(masters, world, KeyState::Active).await?;
        let head = Head::of(vec![key.id.clone()]);
        // The first event of the store is marked with the key that it is about. So is every event from then on.
        let made = event(world, AuditAction::DataKeyMade, &key.id);
        let made = made.marked(&key.id, |bytes| Ok(tag(&mac, AuditEvent::PURPOSE, bytes)))?;
        let marking =
            AuditMarking::since(made.id.clone(), &key.id, |bytes| Ok(tag(&mac, AuditMarking::PURPOSE, bytes)))?;
        let ops = vec![
            Op::Insert(draft(&head)?),
            Op::Insert(draft(&key)?),
            Op::Insert(draft(&made)?),
            Op::Insert(draft(&marking)?),
        ];
        // Refused means that another replica was first; its key is read next.
        commit(store, world, ops, None).await.map(|_| ())
    }

    /// Whether a rotation is under way, as far as this replica knows: a cheap look before anything is read.
    pub(crate) fn is_rotating(&self) -> bool {
        let under_way = |held: &Arc<Held>| match held.state {
            KeyState::Readable | KeyState::Draining => true,
            KeyState::Active | KeyState::Retired => false,
        };
        self.ring().keys.values().any(under_way)
    }

    /// Reads the keys again.
    pub(crate) async fn reload(&self) -> Result<()> {
        let _turn = self.reloading.lock().await;
        self.reload_in_turn().await.map(|_| ())
    }

    /// What [`Keyring::spawn_reloader`] does, once, if it is due: for processes in which nothing runs between requests.
    pub async fn reload_if_due(&self) -> Result<()> {
        let ring = self.ring();
        if ring.age(self.world.now()) < self.timing.reload {
            return Ok(());
        }
        self.reload_and_wrap().await
    }

    async fn reload_and_wrap(&self) -> Result<()> {
        let records = {
            let _turn = self.reloading.lock().await;
            self.reload_in_turn().await?
        };
        self.wrap_under_primary(records).await
    }

    async fn reload_in_turn(&self) -> Result<Vec<Stored<DataKey>>> {
        let before = self.ring();
        let read = read(&*self.store, &self.masters, &self.world, Some(&before), None).await;
        let (ring, records) = read.map_err(while_running)?;
        *self.ring.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(ring);
        Ok(records)
    }

    pub(in crate::adapters) fn ring(&self) -> Arc<Ring> {
        Arc::clone(&self.ring.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The ring, read again first when it is too old to seal with: retiring a key relies on nobody sealing under it any more.
    pub(super) async fn fresh(&self) -> Result<Arc<Ring>> {
        let ring = self.ring();
        if self.usable(&ring) {
            return Ok(ring);
        }
        let _turn = self.reloading.lock().await;
        if !self.usable(&self.ring()) {
            self.reload_in_turn().await?;
        }
        Ok(self.ring())
    }

    fn usable(&self, ring: &Ring) -> bool {
        ring.age(self.world.now()) <= self.timing.reload * 2
    }

    /// A key by id. An unknown one is looked for in the store, unless the keys were read within `patience`.
    pub(super) async fn held(&self, id: &DataKeyId, patience: Duration) -> Result<Option<Arc<Held>>> {
        let seen = self.ring();
        if let Some(held) = seen.keys.get(id) {
            return Ok(Some(Arc::clone(held)));
        }
        let _turn = self.reloading.lock().await;
        let ring = self.ring();
        // Whoever had the turn before may have read it already.
        let settled = ring.keys.contains_key(id) || (!patience.is_zero() && ring.age(self.world.now()) < patience);
        if !settled {
            self.reload_in_turn().await?;
        }
        Ok(self.ring().keys.get(id).map(Arc::clone))
    }

    /// Reads the keys again every reload period until `stop`. A failure is logged and tried again at the next turn.
    pub fn spawn_reloader(self: Arc<Self>, stop: CancellationToken) -> tokio::task::JoinHandle<()> {
        let world = self.world.clone();
        world.spawn(async move {
            let mut failing = false;
            loop {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => return,
                    () = self.world.sleep(self.timing.reload) => {}
                }
                match self.reload_and_wrap().await {
                    Ok(()) => failing = false,
                    Err(error) if !failing => {
                        failing = true;
                        tracing::warn!(error = error.chain(), "Could not read the keyring again; trying on.");
                    }
                    Err(_) => {}
                }
            }
        })
    }

    /// Wraps every key under the primary master key where that is missing and possible.
    async fn wrap_under_primary(&self, records: Vec<Stored<DataKey>>) -> Result<()> {
        let primary = self.masters.primary.master_id();
        for stored in records {
            if stored.wrap_under(&primary).is_none() {
                self.add_missing_wrap(stored).await?;
            }
        }
        Ok(())
    }

    pub(super) async fn head(&self) -> Result<Stored<Head>> {
        self.store.read::<Head>(Head::ID).await?.ok_or_else(no_head)
    }

    pub(in crate::adapters) async fn records(&self) -> Result<Vec<Stored<DataKey>>> {
        let head = self.head().await?;
        read_keys(&*self.store, &head).await
    }

    /// Whether what is under this key waits to be sealed again.
    pub(crate) async fn drains(&self, id: &DataKeyId) -> Result<bool> {
        Ok(self.held(id, Duration::ZERO).await?.is_some_and(|held| held.state == KeyState::Draining))
    }
}

/// At boot an operator reads that the master key is wrong; later it is callers who ask, and the log that should know.
pub(super) fn while_running(error: Error) -> Error {
    if error.code() != Code::Config {
        return error;
    }
    Error::new(Code::KeyUnavailable, "An encryption key cannot be used just now. Try again in a moment.")
        .retry_after(30)
        .caused_by(error)
}

fn no_head() -> Error {
    Error::bug("the store had a keyring and has none now; was the database replaced while Asgard was running?")
}

/// A new data key, wrapped under every master key given, with the root of its MACs.
pub(super) async fn new_key(masters: &MasterKeys, world: &World, state: KeyState) -> Result<(DataKey, Root)> {
    let (id, now) = (world.id::<DataKeyId>(), world.now());
    let secret = Zeroizing::new(world.random::<32>());
    let wraps = masters.wrap_all(&id, &secret).await?;
    let key = DataKey { id, state, created_at: now, state_since: now, wraps, sweep: None };
    Ok((key, mac_root(&secret)))
}

async fn read_keys(store: &dyn Store, head: &Head) -> Result<Vec<Stored<DataKey>>> {
    let ids: Vec<String> = head.keys.iter().map(ToString::to_string).collect();
    let found = store.read_many::<DataKey>(&ids).await?;
    found
        .into_iter()
        .zip(ids)
        .map(|(key, id)| {
            key.ok_or_else(|| Error::bug(format!("data key {id} is listed by the keyring and its record is missing")))
        })
        .collect()
}

/// Reads all keys, unwrapping those that `before` does not hold. A `head` that was read just now is not read again.
async fn read(
    store: &dyn Store,
    masters: &MasterKeys,
    world: &World,
    before: Option<&Ring>,
    mut head: Option<Stored<Head>>,
) -> Result<(Ring, Vec<Stored<DataKey>>)> {
    for _ in 0..TRIES {
        let (read_at, read) = (world.now(), Instant::now());
        let head = match head.take() {
            Some(head) => head,
            None => store.read::<Head>(Head::ID).await?.ok_or_else(no_head)?,
        };
        let records = read_keys(store, &head).await?;
        let mut keys = BTreeMap::new();
        for record in &records {
            let known = before.and_then(|ring| ring.keys.get(&record.id));
            keys.insert(record.id.clone(), hold(masters, record, known).await?);
        }
        let mut active = keys.values().filter(|held| held.state == KeyState::Active);
        if let (Some(only), None) = (active.next(), active.next()) {
            return Ok((Ring { active: Arc::clone(only), keys, read_at, read }, records));
        }
        // Two reads on either side of an activation show no active key, or two. The next reading will not.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Err(contended())
}

async fn hold(masters: &MasterKeys, key: &DataKey, known: Option<&Arc<Held>>) -> Result<Arc<Held>> {
    let held = |roots, mac| Arc::new(Held { id: key.id.clone(), state: key.state, roots, mac });
    if key.state == KeyState::Retired {
        return Ok(held(None, known.map(|known| Arc::clone(&known.mac)).unwrap_or_default()));
    }
    if let Some((known, roots)) = known.and_then(|known| Some((known, known.roots.as_ref()?))) {
        return Ok(held(Some(Arc::clone(roots)), Arc::clone(&known.mac)));
    }
    let secret = masters.unwrap(key).await?.ok_or_else(|| masters.wrong(key))?;
    Ok(held(Some(Arc::new(Roots::of(&secret))), Arc::new(OnceLock::from(mac_root(&secret)))))
}
