//! Master keys: wrapping, unwrapping, adding a wrap and dropping stale ones. That is how a master key is rotated: add a
//! wrap, roll the replicas, drop the old one.

use super::{
    Keyring, ORG,
    record::{DataKey, KeyState, Wrap},
    ring::mac_root,
};
use crate::{
    adapters::{base64::Base64, cipher::Root, commit::commit},
    domain::audit::AuditAction,
    error::{Code, Error, Result},
    kernel::DataKeyId,
    ports::{
        records::{Records, Stored, redraft},
        secrets::{KeyWrapper, WrapContext},
        store::{Op, Outcome},
    },
};
use std::{fmt, sync::Arc};

/// The master keys that a process was given.
#[derive(Clone)]
pub struct MasterKeys {
    /// What everything is wrapped under.
    pub primary: Arc<dyn KeyWrapper>,
    /// Master keys on their way out: they unwrap, and new data keys are wrapped under them too, for replicas that do not
    /// have the primary yet.
    pub previous: Vec<Arc<dyn KeyWrapper>>,
}

impl MasterKeys {
    /// One master key.
    pub fn only(primary: Arc<dyn KeyWrapper>) -> Self {
        Self { primary, previous: Vec::new() }
    }

    /// `primary` is new, `previous` is on its way out.
    pub fn replacing(previous: Arc<dyn KeyWrapper>, primary: Arc<dyn KeyWrapper>) -> Self {
        Self { primary, previous: vec![previous] }
    }

    fn all(&self) -> impl Iterator<Item = &Arc<dyn KeyWrapper>> {
        std::iter::once(&self.primary).chain(&self.previous)
    }

    fn ids(&self) -> Vec<String> {
        self.all().map(|master| master.master_id()).collect()
    }

    /// Wraps a new data key under every master key.
    pub(super) async fn wrap_all(&self, id: &DataKeyId, secret: &[u8; 32]) -> Result<Vec<Wrap>> {
        let mut wraps: Vec<Wrap> = Vec::new();
        for master in self.all() {
            if !wraps.iter().any(|wrap| wrap.master_id == master.master_id()) {
                wraps.push(wrap_key(master.as_ref(), id, secret).await?);
            }
        }
        Ok(wraps)
    }

    /// The data key, by any master key that it is wrapped under; `None` when there is no such.
    pub(super) async fn unwrap(&self, key: &DataKey) -> Result<Option<Root>> {
        self.first(key, |wrap| wrap.bytes.as_ref(), context(&key.id)).await
    }

    /// The root of the key's MACs, likewise.
    pub(super) async fn unwrap_mac(&self, key: &DataKey) -> Result<Option<Root>> {
        self.first(key, |wrap| Some(&wrap.mac), mac_context(&key.id)).await
    }

    async fn first(
        &self,
        key: &DataKey,
        part: fn(&Wrap) -> Option<&Base64>,
        context: WrapContext,
    ) -> Result<Option<Root>> {
        let mut failed = None;
        for master in self.all() {
            let Some(bytes) = key.wrap_under(&master.master_id()).and_then(part) else { continue };
            match master.unwrap(&bytes.0, &context).await {
                Ok(secret) => return Ok(Some(secret)),
                Err(error) => failed = Some(error),
            }
        }
        failed.map_or(Ok(None), Err)
    }

    /// Why nothing can be unwrapped, and what to do about it.
    pub(super) fn wrong(&self, key: &DataKey) -> Error {
        let (theirs, ours) = (key.master_ids().join(" and "), self.ids().join(" and "));
        Error::new(
            Code::Config,
            format!(
                "The master key is wrong: the data keys in this database are wrapped under {theirs}, and {ours} was given. \
                 Give the master key that the database was made with (ASGARD_SECRET_KEY, the key file beside the database, or ASGARD_KMS_KEY_ID). \
                 To change the master key, give the new one as the primary and keep the old one as a previous one (ASGARD_SECRET_KEY_PREVIOUS, ASGARD_KMS_KEY_ID_PREVIOUS) until every replica runs with both."
            ),
        )
        .caused_by(format!("data key {} has no wrap under {ours}", key.id))
    }
}

/// Names the keys only.
impl fmt::Debug for MasterKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.ids()).finish()
    }
}

fn context(id: &DataKeyId) -> WrapContext {
    WrapContext { org: ORG.into(), data_key: id.to_string() }
}

fn mac_context(id: &DataKeyId) -> WrapContext {
    WrapContext { org: ORG.into(), data_key: format!("{id}/mac") }
}

async fn wrap_key(master: &dyn KeyWrapper, id: &DataKeyId, secret: &[u8; 32]) -> Result<Wrap> {
    let bytes = Some(Base64(master.wrap(secret, &context(id)).await?));
    let mac = Base64(master.wrap(&mac_root(secret), &mac_context(id)).await?);
    Ok(Wrap { master_id: master.master_id(), bytes, mac })
}

impl Keyring {
    /// Sees to it that the key is wrapped under the primary master key, if any of ours can unwrap it.
    pub(super) async fn add_missing_wrap(&self, mut stored: Stored<DataKey>) -> Result<Stored<DataKey>> {
        let primary = self.masters.primary.master_id();
        for _ in 0..super::TRIES {
            if stored.wrap_under(&primary).is_some() {
                return Ok(stored);
            }
            let Some(wrap) = self.rewrap(&stored).await? else { return Ok(stored) };
            let mut key = stored.value.clone();
            key.wraps.push(wrap);
            let ops = vec![
                Op::Replace(redraft(&stored, &key)?, stored.version.clone()),
                self.noted_with(AuditAction::DataKeyWrapped, &key.id, &[("master_key", primary.clone())])?,
            ];
            match commit(&*self.store, &self.world, ops, None).await? {
                Outcome::Committed => {
                    tracing::info!(key.id = %key.id, key.master = primary, "Wrapped a data key under the primary master key.")
                }
                Outcome::Refused(_) => {}
            }
            stored = self.record(&key.id).await?;
        }
        Err(super::contended())
    }

    async fn rewrap(&self, key: &DataKey) -> Result<Option<Wrap>> {
        let master = self.masters.primary.as_ref();
        if key.state != KeyState::Retired {
            let Some(secret) = self.masters.unwrap(key).await? else { return Ok(None) };
            return wrap_key(master, &key.id, &secret).await.map(Some);
        }
        let Some(root) = self.masters.unwrap_mac(key).await? else { return Ok(None) };
        let mac = Base64(master.wrap(&root, &mac_context(&key.id)).await?);
        Ok(Some(Wrap { master_id: master.master_id(), bytes: None, mac }))
    }

    /// Drops wraps under master keys that this process was not given, the last step of rotating the master key. Call it when
    /// every replica has the new master key: one that only has the old cannot start any more. Returns how many were dropped.
    pub async fn drop_stale_wraps(&self) -> Result<usize> {
        let ours = self.masters.ids();
        let mut dropped = 0;
        for id in self.head().await?.value.keys {
            let mut tries = 0;
            loop {
                let stored = self.add_missing_wrap(self.record(&id).await?).await?;
                let mut key = stored.value.clone();
                key.wraps.retain(|wrap| ours.contains(&wrap.master_id));
                let stale = stored.wraps.len() - key.wraps.len();
                if stale == 0 {
                    break;
                }
                if !self.opens_by_primary(&stored).await? {
                    return Err(self.masters.wrong(&stored));
                }
                let gone = stored.master_ids().into_iter().filter(|master| key.wrap_under(master).is_none());
                let details = [
                    ("dropped_master_keys", gone.collect::<Vec<_>>().join(" ")),
                    ("master_keys", key.master_ids().join(" ")),
                ];
                let ops = vec![
                    Op::Replace(redraft(&stored, &key)?, stored.version.clone()),
                    self.noted_with(AuditAction::DataKeyWrapsDropped, &key.id, &details)?,
                ];
                if commit(&*self.store, &self.world, ops, None).await? == Outcome::Committed {
                    dropped += stale;
                    break;
                }
                tries += 1;
                if tries == super::TRIES {
                    return Err(super::contended());
                }
            }
        }
        Ok(dropped)
    }

    /// Never drop the last way in: the primary's wrap must be seen to open before another one goes.
    async fn opens_by_primary(&self, key: &DataKey) -> Result<bool> {
        let masters = MasterKeys::only(Arc::clone(&self.masters.primary));
        Ok(match key.state {
            KeyState::Readable | KeyState::Active | KeyState::Draining => masters.unwrap(key).await?.is_some(),
            KeyState::Retired => masters.unwrap_mac(key).await?.is_some(),
        })
    }

    pub(super) async fn record(&self, id: &DataKeyId) -> Result<Stored<DataKey>> {
        let found = self.store.read::<DataKey>(id.as_str()).await?;
        found.ok_or_else(|| Error::bug(format!("data key {id} is listed by the keyring and its record is missing")))
    }
}
