//! Everything that is kept encrypted: one record per value, apart from the record it belongs to, so that sealing it again
//! under another key never moves an ETag. Small values are in the record, large ones in blobs that the record names: a blob
//! holds no more than the smallest backend's item does, so a long ciphertext is cut into several.
//!
//! A caller seals a value, then writes its record in a batch of its own, together with whatever the value belongs to.

mod blob;
mod orphans;
mod record;
#[cfg(test)]
mod tests;

pub(crate) use record::SealedRecord;

use super::{Keyring, MasterKeys, base64::Base64, cipher::OVERHEAD, commit::commit, keyring::SealedBytes};
use crate::{
    app::AuditWaiver,
    error::{Code, Error, Result},
    kernel::BlobId,
    ports::{
        blobs::{Blobs, MAX_BLOB},
        records::{Records, Stored, draft, redraft, store_error},
        store::{Batch, Draft, Op, Outcome, Store},
        vault::Vault,
        world::World,
    },
};
use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt, stream};
use std::sync::Arc;
use zeroize::Zeroizing;

/// How often a read that races with writers is tried again.
const TRIES: usize = 8;
/// The most of a ciphertext that one blob holds, beside its owner's name.
const PIECE: usize = MAX_BLOB - blob::HEAD;
/// How many blobs are written or read at a time.
const AT_ONCE: usize = 8;

/// Encrypted values of a store.
pub struct SealedVault {
    store: Arc<dyn Store>,
    blobs: Arc<dyn Blobs>,
    keyring: Arc<Keyring>,
    world: World,
    inline: usize,
    piece: usize,
}

crate::kernel::opaque!(SealedVault);

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
            // A blob of it is gone because it was replaced between the two reads, or it is really lost.
            if seen.as_ref() == Some(&stored.version) {
                return Err(Error::bug(format!("a blob of sealed value {id} is missing")));
            }
            seen = Some(stored.version.clone());
        }
        Err(contended())
    }

    async fn forget(&self, id: &str) -> Result<()> {
        for _ in 0..TRIES {
            let Some(removal) = self.removal(id).await? else { return Ok(()) };
            let forgotten = commit(&*self.store, &self.world, vec![removal.op], Some(AuditWaiver::SealedValue)).await?;
            // Refused means that it was replaced meanwhile, most likely by re-encryption.
            if forgotten == Outcome::Committed {
                self.discard(&removal.blobs).await;
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

/// How to remove a value: commit the step, then delete the blobs.
#[derive(Clone, Debug)]
pub(crate) struct Removal {
    /// The step for the caller's batch.
    pub op: Op,
    /// The blobs to give to [`SealedVault::discard`] once the batch is committed.
    pub blobs: Vec<BlobId>,
}

/// What became of opening a value that may belong to several.
pub(crate) enum Opened {
    /// The value.
    Value(Zeroizing<Vec<u8>>),
    /// There is none.
    Nothing,
    /// It belongs to somebody else.
    Anothers,
}

/// What became of sealing a value again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resealed {
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
    /// The largest value: of what Asgard keeps, a Terraform state may grow that far.
    pub const MAX: usize = 128 * 1024 * 1024;

    /// The vault of a store, with its keyring: what is opened of it, or made in a store that has none.
    ///
    /// # Errors
    ///
    /// Those of [`Keyring::open`].
    pub async fn on(
        store: Arc<dyn Store>,
        blobs: Arc<dyn Blobs>,
        masters: MasterKeys,
        world: World,
    ) -> Result<Arc<Self>> {
        let keyring = Keyring::open(Arc::clone(&store), masters, world.clone()).await?;
        Ok(Arc::new(Self::new(store, blobs, keyring, world)))
    }

    /// The vault of a store.
    pub fn new(store: Arc<dyn Store>, blobs: Arc<dyn Blobs>, keyring: Arc<Keyring>, world: World) -> Self {
        Self { store, blobs, keyring, world, inline: Self::INLINE, piece: PIECE }
    }

    /// The same with other limits for small values and pieces, so that tests need no large ones.
    #[cfg(test)]
    pub(super) fn keeping_inline(self, inline: usize, piece: usize) -> Self {
        Self { inline, piece, ..self }
    }

    /// The keyring that it seals with.
    pub fn keyring(&self) -> &Arc<Keyring> {
        &self.keyring
    }

    pub(super) fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// Seals a value as `id`, bound to `context`: who and what it belongs to. A large one is stored as blobs at once; if the
    /// record is never written, [`SealedVault::collect_orphan_blobs`] cleans up.
    pub(crate) async fn seal(&self, id: &str, context: &str, plaintext: &[u8]) -> Result<SealedRecord> {
        if id.is_empty() || id.len() > Batch::MAX_NAME {
            return Err(Error::bug(format!("a sealed value cannot be called `{id}`")));
        }
        if plaintext.len() > Self::MAX {
            let (size, most) = (plaintext.len().div_ceil(1 << 20), Self::MAX >> 20);
            let message = format!("It is {size} MB large; Asgard stores up to {most} MB.");
            return Err(Error::new(Code::InvalidInput, message).caused_by(format!("sealed value `{id}`")));
        }
        // Known before there is a ciphertext, because the ciphertext is bound to them.
        let large = plaintext.len() > self.inline;
        let count = if large { (plaintext.len() + OVERHEAD).div_ceil(self.piece) } else { 0 };
        let blobs: Vec<BlobId> = (0..count).map(|_| self.world.id()).collect();
        let sealed = self.keyring.seal(&bound_to(id, context, &blobs), plaintext).await?;
        let mut record = SealedRecord {
            id: id.to_owned(),
            context: context.to_owned(),
            data_key: sealed.key,
            inline: None,
            blobs,
            size: u64::try_from(plaintext.len()).unwrap_or(u64::MAX),
        };
        if large {
            self.put_pieces(&record, &sealed.bytes).await?;
        } else {
            record.inline = Some(Base64(sealed.bytes));
        }
        Ok(record)
    }

    async fn put_pieces(&self, record: &SealedRecord, sealed: &[u8]) -> Result<()> {
        let pieces: Vec<&[u8]> = sealed.chunks(self.piece).collect();
        if pieces.len() != record.blobs.len() {
            return Err(Error::bug("a ciphertext is longer than it was taken to become"));
        }
        let put = |(blob, piece): (BlobId, &[u8])| {
            let packed = blob::pack(&record.id, piece);
            async move { self.blobs.put(&blob, &packed?, self.world.now()).await.map_err(store_error) }
        };
        let puts: Vec<_> = record.blobs.iter().cloned().zip(pieces).map(put).collect();
        stream::iter(puts).buffer_unordered(AT_ONCE).try_collect().await
    }

    /// The ciphertext that the blobs of a record hold together; `None` when one is gone.
    async fn pieces(&self, record: &SealedRecord) -> Result<Option<Vec<u8>>> {
        let get = |blob: BlobId| async move { self.blobs.get(&blob).await.map_err(store_error) };
        let gets: Vec<_> = record.blobs.iter().cloned().map(get).collect();
        let packed: Vec<Option<Vec<u8>>> = stream::iter(gets).buffered(AT_ONCE).try_collect().await?;
        let mut sealed = Vec::new();
        for packed in packed {
            let Some(packed) = packed else { return Ok(None) };
            let piece = blob::unpack(&packed).filter(|(owner, _)| *owner == record.id).map(|(_, piece)| piece);
            let foreign = || Error::bug(format!("sealed value {}: a blob of it is not its own", record.id));
            sealed.extend_from_slice(piece.ok_or_else(foreign)?);
        }
        Ok(Some(sealed))
    }

    /// The record of `id`, to be replaced or removed at the version it has.
    pub(crate) async fn stored(&self, id: &str) -> Result<Option<Stored<SealedRecord>>> {
        self.store.read::<SealedRecord>(id).await
    }

    /// The step that writes a sealed value over what was read: nothing, or an older value of the same id.
    pub(crate) fn write(sealed: &SealedRecord, over: Option<&Stored<SealedRecord>>) -> Result<Op> {
        match over {
            None => Ok(Op::Insert(draft(sealed)?)),
            Some(old) => Ok(Op::Replace(redraft(old, sealed)?, old.version.clone())),
        }
    }

    /// The value of a record that was read; `None` when a blob of it is gone, so the record was replaced since.
    pub(crate) async fn open(&self, record: &SealedRecord, context: &str) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let fault = |why: &str| Error::bug(format!("sealed value {}: {why}", record.id));
        if record.context != context {
            return Err(fault("it was read for something that it does not belong to"));
        }
        let bytes = match (&record.inline, record.blobs.as_slice()) {
            (Some(inline), []) => inline.0.clone(),
            (None, [_, ..]) => match self.pieces(record).await? {
                Some(sealed) => sealed,
                None => return Ok(None),
            },
            (Some(_), [_, ..]) | (None, []) => return Err(fault("it is neither inline nor in blobs")),
        };
        let sealed = SealedBytes { key: record.data_key.clone(), bytes };
        self.keyring.unseal(&bound_to(&record.id, context, &record.blobs), &sealed).await.map(Some)
    }

    /// The value under `id`, if it is bound to one of these contexts.
    pub(crate) async fn read_one_of(&self, id: &str, contexts: &[String]) -> Result<Opened> {
        let Some(stored) = self.stored(id).await? else { return Ok(Opened::Nothing) };
        let Some(context) = contexts.iter().find(|context| **context == stored.context) else {
            return Ok(Opened::Anothers);
        };
        Ok(self.read(id, context).await?.map_or(Opened::Nothing, Opened::Value))
    }

    /// How to remove the value of `id`, if there is one.
    pub(crate) async fn removal(&self, id: &str) -> Result<Option<Removal>> {
        Ok(self.stored(id).await?.map(|stored| Self::removal_of(&stored)))
    }

    /// How to remove the value of a record that was read.
    pub(crate) fn removal_of(stored: &Stored<SealedRecord>) -> Removal {
        let op = Op::Remove(crate::ports::records::key::<SealedRecord>(stored.id.as_str()), stored.version.clone());
        Removal { op, blobs: stored.blobs.clone() }
    }

    /// Deletes blobs that no record names any more. A failure is left to [`SealedVault::collect_orphan_blobs`].
    pub(crate) async fn discard(&self, blobs: &[BlobId]) {
        for blob in blobs {
            if let Err(error) = self.blobs.delete(blob).await {
                tracing::debug!(blob.id = %blob, error = %error, "A blob could not be deleted; it will be collected.");
            }
        }
    }

    /// Seals a value again under the active key, if the one it is under drains.
    pub(crate) async fn reseal(&self, id: &str) -> Result<Resealed> {
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
                Some(_) => Err(Error::bug(format!("a blob of sealed value {id} is missing"))),
            };
        };
        let new = self.seal(id, &old.context, &value).await?;
        let ops = vec![Self::write(&new, Some(&old))?];
        match commit(&*self.store, &self.world, ops, Some(AuditWaiver::Resealing)).await? {
            Outcome::Committed => {
                self.discard(&old.blobs).await;
                Ok(Resealed::Moved)
            }
            Outcome::Refused(_) => {
                self.discard(&new.blobs).await;
                Ok(Resealed::Raced)
            }
        }
    }
}

fn bound_to(id: &str, context: &str, blobs: &[BlobId]) -> String {
    let blobs: Vec<&str> = blobs.iter().map(BlobId::as_str).collect();
    // The length makes the joint of id and context unambiguous.
    format!("vault|{}|{}|{id}|{context}", blobs.join(","), id.len())
}
