//! Collecting blobs that no record names: left by a process that died between storing a blob and committing its record, or
//! between replacing a record and deleting the old blob.

use super::{SealedRecord, SealedVault, blob};
use crate::{
    error::Result,
    kernel::{BlobId, Timestamp},
    ports::records::{Records, store_error},
};
use std::{collections::BTreeMap, time::Duration};

/// Younger blobs may belong to a batch that is not committed yet.
const GRACE: Duration = Duration::from_secs(24 * 60 * 60);
/// A blob is read to learn whose it is, so one call looks at few.
const BATCH: usize = 32;

/// What one call looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Collected {
    /// Blobs looked at.
    pub seen: usize,
    /// Orphans deleted.
    pub deleted: usize,
    /// Blobs that the vault did not write; left alone.
    pub foreign: usize,
    /// Pass it to the next call to go on; `None` when all were seen.
    pub next: Option<BlobId>,
}

impl SealedVault {
    /// Looks at up to 32 blobs after `after` that are older than a day, and deletes those whose record is gone or names another
    /// blob. The blob itself says which record that is and the record is read strongly, so a lagging index cannot mislead.
    pub(crate) async fn collect_orphan_blobs(&self, now: Timestamp, after: Option<&BlobId>) -> Result<Collected> {
        let old = self.blobs.list(now.minus(GRACE), after, BATCH).await.map_err(store_error)?;
        let mut collected = Collected { seen: old.len(), ..Collected::default() };
        let mut owners: BTreeMap<String, Vec<BlobId>> = BTreeMap::new();
        for blob in &old {
            let Some(packed) = self.blobs.get(blob).await.map_err(store_error)? else { continue };
            match blob::unpack(&packed) {
                Some((owner, _)) => owners.entry(owner.to_owned()).or_default().push(blob.clone()),
                None => collected.foreign += 1,
            }
        }
        let ids: Vec<String> = owners.keys().cloned().collect();
        let records = self.store.read_many::<SealedRecord>(&ids).await?;
        for (record, (_, blobs)) in records.into_iter().zip(owners) {
            let named = record.map(|record| record.value.blobs).unwrap_or_default();
            for blob in blobs.into_iter().filter(|blob| !named.contains(blob)) {
                self.blobs.delete(&blob).await.map_err(store_error)?;
                collected.deleted += 1;
            }
        }
        collected.next = if old.len() == BATCH { old.last().cloned() } else { None };
        Ok(collected)
    }
}
