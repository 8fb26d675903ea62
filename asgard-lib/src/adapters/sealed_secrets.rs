//! Secret values encrypted in Asgard's own store.

use super::{
    SealedVault,
    commit::commit,
    vault::{Opened, SealedRecord},
};
use crate::{
    app::AuditWaiver,
    domain::secret::SecretOwner,
    error::{Code, Error, Result},
    kernel::{SecretId, SecretText},
    ports::{
        records::{Records, Stored},
        secrets::SecretStore,
        store::{Op, Outcome},
        world::World,
    },
};
use async_trait::async_trait;
use std::sync::Arc;
use zeroize::Zeroizing;

/// A [`SecretStore`] over the vault.
pub struct SealedSecrets {
    vault: Arc<SealedVault>,
    world: World,
}

crate::kernel::opaque!(SealedSecrets);

/// Versions count up from 1; this bounds how many [`SecretStore::forget`] may have to look for.
const MAX_VERSION: u32 = 1_000_000;
/// Versions looked at, and removed, at a time.
const CHUNK: usize = 50;
const TRIES: usize = 8;

fn record_id(id: &SecretId, version: u32) -> String {
    format!("secret/{id}/{version}")
}

/// What a value is bound to: its owner's.
fn context(id: &SecretId, version: u32, owner: &SecretOwner) -> String {
    format!("secret|{id}|{version}|{}|{}", owner.project, owner.resource)
}

/// What versions before bound a value to. Whose it is only the metadata says.
fn context_of_before(id: &SecretId, version: u32) -> String {
    format!("secret|{id}|{version}")
}

fn anothers(id: &SecretId) -> Error {
    Error::bug(format!("the secret {id} was asked for by a resource whose it is not"))
}

/// The largest value.
const MAX_VALUE: usize = 32 << 20;

impl SealedSecrets {
    /// Secrets in this vault.
    pub fn new(vault: Arc<SealedVault>, world: World) -> Self {
        Self { vault, world }
    }

    async fn seal(&self, id: &SecretId, version: u32, value: &SecretText, owner: &SecretOwner) -> Result<SealedRecord> {
        if value.reveal().len() > MAX_VALUE {
            let message = format!("A secret's value has at most {} MB.", MAX_VALUE >> 20);
            return Err(Error::new(Code::InvalidInput, message).caused_by(format!("secret {id}")));
        }
        if !(1..=MAX_VERSION).contains(&version) {
            return Err(Error::bug(format!("secret {id} cannot have version {version}")));
        }
        self.vault.seal(&record_id(id, version), &context(id, version, owner), value.reveal().as_bytes()).await
    }

    async fn remove(&self, found: Vec<Stored<SealedRecord>>) -> Result<bool> {
        let removals: Vec<_> = found.iter().map(SealedVault::removal_of).collect();
        let ops: Vec<Op> = removals.iter().map(|removal| removal.op.clone()).collect();
        if ops.is_empty() {
            return Ok(true);
        }
        match commit(self.vault.store(), &self.world, ops, Some(AuditWaiver::SealedValue)).await? {
            Outcome::Committed => {
                for removal in &removals {
                    self.vault.discard(&removal.blobs).await;
                }
                Ok(true)
            }
            // Re-encryption moved one of them; read them again.
            Outcome::Refused(_) => Ok(false),
        }
    }
}

#[async_trait]
impl SecretStore for SealedSecrets {
    async fn put(&self, id: &SecretId, version: u32, value: &SecretText, owner: &SecretOwner) -> Result<()> {
        let sealed = self.seal(id, version, value, owner).await?;
        let ops = vec![SealedVault::write(&sealed, None)?];
        let outcome = commit(self.vault.store(), &self.world, ops, Some(AuditWaiver::SealedValue)).await?;
        if outcome == Outcome::Committed {
            return Ok(());
        }
        self.vault.discard(&sealed.blobs).await;
        match self.get(id, version, owner).await? {
            Some(stored) if stored.same(value.reveal()) => Ok(()),
            Some(_) => Err(Error::new(
                Code::AlreadyExists,
                format!("Version {version} of the secret {id} exists with another value."),
            )),
            None => {
                Err(Error::new(Code::Busy, "The secret is being changed by others. Try again in a moment.")
                    .retry_after(1))
            }
        }
    }

    async fn get(&self, id: &SecretId, version: u32, owner: &SecretOwner) -> Result<Option<SecretText>> {
        let contexts = [context(id, version, owner), context_of_before(id, version)];
        let mut value = match self.vault.read_one_of(&record_id(id, version), &contexts).await? {
            Opened::Value(value) => value,
            Opened::Nothing => return Ok(None),
            Opened::Anothers => return Err(anothers(id)),
        };
        match String::from_utf8(std::mem::take(&mut *value)) {
            Ok(text) => Ok(Some(SecretText::new(text))),
            Err(error) => {
                drop(Zeroizing::new(error.into_bytes()));
                Err(Error::bug(format!("version {version} of secret {id} is not text")))
            }
        }
    }

    async fn forget(&self, id: &SecretId, version: u32, owner: Option<&SecretOwner>) -> Result<()> {
        let versions: Vec<u32> = (1..=version.min(MAX_VERSION)).rev().collect();
        for chunk in versions.chunks(CHUNK) {
            let ids: Vec<String> = chunk.iter().map(|version| record_id(id, *version)).collect();
            let mut tries = 0;
            loop {
                let found = self.vault.store().read_many::<SealedRecord>(&ids).await?;
                for (sealed, version) in found.iter().zip(chunk) {
                    let Some((sealed, owner)) = sealed.as_ref().zip(owner) else { continue };
                    if sealed.context != context(id, *version, owner)
                        && sealed.context != context_of_before(id, *version)
                    {
                        return Err(anothers(id));
                    }
                }
                if self.remove(found.into_iter().flatten().collect()).await? {
                    break;
                }
                tries += 1;
                if tries == TRIES {
                    return Err(Error::new(
                        Code::Busy,
                        "The secret is being changed by others. Try again in a moment.",
                    )
                    .retry_after(1));
                }
            }
        }
        Ok(())
    }
}
