//! Write-once bytes by id: pieces of Terraform states, plans and long logs. Encryption and cutting to size happen above this
//! port; what is current is a record that names blobs.

use super::store::StoreError;
use crate::kernel::{BlobId, Timestamp};
use async_trait::async_trait;

/// The most bytes in one blob: what fits in an item of the smallest backend, as with records.
pub const MAX_BLOB: usize = 350_000;

/// Refuses a blob over the limit. Every backend calls it.
pub fn check_size(id: &BlobId, bytes: &[u8]) -> Result<(), StoreError> {
    if bytes.len() > MAX_BLOB {
        let length = bytes.len();
        return Err(StoreError::Corrupt(format!("blob {id} has {length} bytes; at most {MAX_BLOB} are allowed")));
    }
    Ok(())
}

/// Bytes that are written once, at most [`MAX_BLOB`] of them.
#[async_trait]
pub trait Blobs: Send + Sync + 'static {
    /// Stores `bytes` under a new id. Storing the same bytes again is fine; other bytes are refused as corrupt.
    async fn put(&self, id: &BlobId, bytes: &[u8], at: Timestamp) -> Result<(), StoreError>;

    /// The bytes, if they are there.
    async fn get(&self, id: &BlobId) -> Result<Option<Vec<u8>>, StoreError>;

    /// Deletes the bytes; deleting what is not there is fine.
    async fn delete(&self, id: &BlobId) -> Result<(), StoreError>;

    /// Up to `limit` ids after `after`, in id order, of blobs stored before `before`: for collecting orphans.
    async fn list(&self, before: Timestamp, after: Option<&BlobId>, limit: usize) -> Result<Vec<BlobId>, StoreError>;
}
