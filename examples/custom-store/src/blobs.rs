//! Bytes that are written once.

use crate::{
    fault::Fault,
    store::{Change, RedbStore},
    tables::{BLOB_TIMES, BLOBS, text},
};
use asgard_lib::{
    kernel::{BlobId, Timestamp},
    ports::{
        blobs::{Blobs, check_size},
        store::StoreError,
    },
};
use async_trait::async_trait;
use redb::ReadableTable;
use std::ops::Bound;

#[async_trait]
impl Blobs for RedbStore {
    async fn put(&self, id: &BlobId, bytes: &[u8], at: Timestamp) -> Result<(), StoreError> {
        check_size(id, bytes)?;
        let (id, bytes, at) = (id.clone(), bytes.to_vec(), text(at));
        self.write(move |transaction| {
            let mut blobs = transaction.open_table(BLOBS)?;
            let stored = blobs.get(id.as_str())?.map(|stored| stored.value() == bytes.as_slice());
            match stored {
                Some(true) => Ok(Change::None(())),
                Some(false) => Err(Fault::corrupt(format!("blob {id} holds other bytes already"))),
                None => {
                    blobs.insert(id.as_str(), bytes.as_slice())?;
                    transaction.open_table(BLOB_TIMES)?.insert(id.as_str(), at.as_str())?;
                    Ok(Change::Made(()))
                }
            }
        })
        .await
    }

    async fn get(&self, id: &BlobId) -> Result<Option<Vec<u8>>, StoreError> {
        let id = id.clone();
        self.read(move |transaction| {
            let blobs = transaction.open_table(BLOBS)?;
            Ok(blobs.get(id.as_str())?.map(|bytes| bytes.value().to_vec()))
        })
        .await
    }

    async fn delete(&self, id: &BlobId) -> Result<(), StoreError> {
        let id = id.clone();
        self.write(move |transaction| {
            let was_there = transaction.open_table(BLOBS)?.remove(id.as_str())?.is_some();
            transaction.open_table(BLOB_TIMES)?.remove(id.as_str())?;
            Ok(if was_there { Change::Made(()) } else { Change::None(()) })
        })
        .await
    }

    async fn list(&self, before: Timestamp, after: Option<&BlobId>, limit: usize) -> Result<Vec<BlobId>, StoreError> {
        let (before, after) = (text(before), after.cloned());
        self.read(move |transaction| {
            let times = transaction.open_table(BLOB_TIMES)?;
            let low = after.as_ref().map_or(Bound::Unbounded, |after| Bound::Excluded(after.as_str()));
            let mut ids = Vec::new();
            for found in times.range::<&str>((low, Bound::Unbounded))? {
                if ids.len() == limit {
                    break;
                }
                let (id, at) = found?;
                if at.value() < before.as_str() {
                    let id = id.value();
                    ids.push(id.parse().map_err(|_| Fault::corrupt(format!("{id} is not the id of a blob")))?);
                }
            }
            Ok(ids)
        })
        .await
    }
}
