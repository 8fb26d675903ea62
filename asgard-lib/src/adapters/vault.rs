//! Everything that is kept encrypted: one record per value, apart from the record it belongs to, so that sealing it again
//! under another key never moves an ETag. Small values are in the record, large ones in a blob that the record names.
//!
//! A caller seals a value, then writes its record in a batch of its own, together with whatever the value belongs to.

mod blob;
mod orphans;
mod record;
#[cfg(test)]
mod tests;

pub use orphans::Collected;
pub use record::SealedRecord;

use super::{Keyring, base64::Base64, commit::commit, keyring::SealedBytes};
use crate::{
    error::{Code, Error, Result},
    kernel::BlobId,
    ports::{
        blobs::Blobs,
        records::{Records, Stored, draft, redraft, store_error},
        store::{Batch, Draft, Op, Outcome, Store},
        vault::Vault,
        world::World,
    },
};
use async_trait::async_trait;
use std::sync::Arc;
use zeroize::Zeroizing;

/// How often a read that races with writers is tried again.
const TRIES: usize = 8;

/// Encrypted values of a store.
pub struct SealedVault {
    store: Arc<dyn Store>,
    blobs: Arc<dyn Blobs>,
    keyring: Arc<Keyring>,
    world: World,
    inline: usize,
}

#[async_trait]
impl Vault for SealedVault {
    async fn prepare(&self, id: &str, context: &str, plaintext: &[u8]) -> Result<Draft> {
        draft(&self.seal(id, context, plaintext).await?)
    }

    async fn read(&self, id: &str, context: &str) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let mut seen = None;
        for _ in 0..TRIES {
            let Some(stored) = self.stored(id).await? else { return Ok(None) };
            if let Some(value) = self.open(&stored, context).await? {
                return Ok(Some(value));
            }
            // Its blob is gone because it was replaced between the two reads, or it is really lost.
            if seen.as_ref() == Some(&stored.version) {
                return Err(Error::bug(format!("the blob of sealed value {id} is missing")));
            }
            seen = Some(stored.version.clone());
        }
        Err(contended())
    }

    async fn forget(&self, id: &str) -> Result<()> {
        for _ in 0..TRIES {
            let Some(removal) = self.removal(id).await? else { return Ok(()) };
            // Refused means that it was replaced meanwhile, most likely by re-encryption.
            if commit(&*self.store, &self.world, vec![removal.op]).await? == Outcome::Committed {
                self.discard(removal.blob.as_ref()).await;
                return Ok(());
            }
        }
        Err(contended())
    }
}

/// Others changed the value faster than it could be read.
fn contended() -> Error {
    Error::new(Code::Busy, "The value is being changed by others. Try again in a moment.").retry_after(1)
}

/// How to remove a value: commit the step, then delete the blob.
#[derive(Clone, Debug)]
pub struct Removal {
    /// The step for the caller's batch.
    pub op: Op,
    /// The blob to give to [`SealedVault::discard`] once the batch is committed.
    pub blob: Option<BlobId>,
}

/// What became of sealing a value again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resealed {
    /// It is under the active key now.
    Moved,
    /// It is not under a draining key.
    Current,
    /// There is no such value.
    Gone,
    /// A writer replaced it meanwhile.
    Raced,
}

impl SealedVault {
    /// The largest value kept inside its record.
    pub const INLINE: usize = 128 * 1024;
    /// The largest value.
    pub const MAX: usize = 32 * 1024 * 1024;

    /// The vault of a store.
    pub fn new(store: Arc<dyn Store>, blobs: Arc<dyn Blobs>, keyring: Arc<Keyring>, world: World) -> Self {
        Self { store, blobs, keyring, world, inline: Self::INLINE }
    }

    /// The same with another limit for small values, so that tests need no large ones.
    #[cfg(test)]
    pub(super) fn keeping_inline(self, inline: usize) -> Self {
        Self { inline, ..self }
    }

    /// The keyring that it seals with.
    pub fn keyring(&self) -> &Arc<Keyring> {
        &self.keyring
    }

    pub(super) fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// Seals a value as `id`, bound to `context`: who and what it belongs to. A large one is stored as a blob at once; if the
    /// record is never written, [`SealedVault::collect_orphan_blobs`] cleans up.
    pub async fn seal(&self, id: &str, context: &str, plaintext: &[u8]) -> Result<SealedRecord> {
        if id.is_empty() || id.len() > Batch::MAX_NAME || plaintext.len() > Self::MAX {
            return Err(Error::bug(format!(
                "sealed value `{id}` of {} bytes is past the vault's limits",
                plaintext.len()
            )));
        }
        let blob = (plaintext.len() > self.inline).then(|| self.world.id::<BlobId>());
        let sealed = self.keyring.seal(&bound_to(id, context, blob.as_ref()), plaintext).await?;
        let mut record = SealedRecord {
            id: id.to_owned(),
            context: context.to_owned(),
            data_key: sealed.key,
            inline: None,
            blob: None,
            size: u64::try_from(plaintext.len()).unwrap_or(u64::MAX),
        };
        match blob {
            None => record.inline = Some(Base64(sealed.bytes)),
            Some(blob) => {
                self.blobs.put(&blob, &blob::pack(id, &sealed.bytes)?, self.world.now()).await.map_err(store_error)?;
                record.blob = Some(blob);
            }
        }
        Ok(record)
    }

    /// The record of `id`, to be replaced or removed at the version it has.
    pub async fn stored(&self, id: &str) -> Result<Option<Stored<SealedRecord>>> {
        self.store.read::<SealedRecord>(id).await
    }

    /// The step that writes a sealed value over what was read: nothing, or an older value of the same id.
    pub fn write(sealed: &SealedRecord, over: Option<&Stored<SealedRecord>>) -> Result<Op> {
        match over {
            None => Ok(Op::Insert(draft(sealed)?)),
            Some(old) => Ok(Op::Replace(redraft(old, sealed)?, old.version.clone())),
        }
    }

    /// The value of a record that was read; `None` when its blob is gone, so the record was replaced since.
    pub async fn open(&self, record: &SealedRecord, context: &str) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let fault = |why: &str| Error::bug(format!("sealed value {}: {why}", record.id));
        if record.context != context {
            return Err(fault("it was read for something that it does not belong to"));
        }
        let bytes = match (&record.inline, &record.blob) {
            (Some(inline), None) => inline.0.clone(),
            (None, Some(blob)) => match self.blobs.get(blob).await.map_err(store_error)? {
                Some(packed) => blob::unpack(&packed)
                    .filter(|(owner, _)| *owner == record.id)
                    .map(|(_, sealed)| sealed.to_vec())
                    .ok_or_else(|| fault("its blob is not its own"))?,
                None => return Ok(None),
            },
            (Some(_), Some(_)) | (None, None) => return Err(fault("it is neither inline nor a blob")),
        };
        let sealed = SealedBytes { key: record.data_key.clone(), bytes };
        self.keyring.unseal(&bound_to(&record.id, context, record.blob.as_ref()), &sealed).await.map(Some)
    }

    /// How to remove the value of `id`, if there is one.
    pub async fn removal(&self, id: &str) -> Result<Option<Removal>> {
        Ok(self.stored(id).await?.map(|stored| Self::removal_of(&stored)))
    }

    /// How to remove the value of a record that was read.
    pub fn removal_of(stored: &Stored<SealedRecord>) -> Removal {
        let op = Op::Remove(crate::ports::records::key::<SealedRecord>(stored.id.as_str()), stored.version.clone());
        Removal { op, blob: stored.blob.clone() }
    }

    /// Deletes a blob that no record names any more. A failure is left to [`SealedVault::collect_orphan_blobs`].
    pub async fn discard(&self, blob: Option<&BlobId>) {
        if let Some(blob) = blob
            && let Err(error) = self.blobs.delete(blob).await
        {
            tracing::debug!(blob.id = %blob, error = %error, "A blob could not be deleted; it will be collected.");
        }
    }

    /// Seals a value again under the active key, if the one it is under drains.
    pub async fn reseal(&self, id: &str) -> Result<Resealed> {
        let Some(old) = self.stored(id).await? else { return Ok(Resealed::Gone) };
        // Only a draining key's: a replica that has not seen an activation must not move anything back.
        if !self.keyring.drains(&old.data_key).await? {
            return Ok(Resealed::Current);
        }
        let Some(value) = self.open(&old, &old.context).await? else {
            let now = self.stored(id).await?;
            return match now {
                None => Ok(Resealed::Gone),
                Some(now) if now.version != old.version => Ok(Resealed::Raced),
                Some(_) => Err(Error::bug(format!("the blob of sealed value {id} is missing"))),
            };
        };
        let new = self.seal(id, &old.context, &value).await?;
        match commit(&*self.store, &self.world, vec![Self::write(&new, Some(&old))?]).await? {
            Outcome::Committed => {
                self.discard(old.blob.as_ref()).await;
                Ok(Resealed::Moved)
            }
            Outcome::Refused(_) => {
                self.discard(new.blob.as_ref()).await;
                Ok(Resealed::Raced)
            }
        }
    }
}

fn bound_to(id: &str, context: &str, blob: Option<&BlobId>) -> String {
    // The length makes the joint of id and context unambiguous.
    format!("vault|{}|{}|{id}|{context}", blob.map_or("", BlobId::as_str), id.len())
}
