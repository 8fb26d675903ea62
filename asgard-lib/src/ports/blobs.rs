//! Write-once bytes by id: Terraform states, plans, long logs. Encryption and compression happen above this port; what
//! is current is a record that names a blob.

use super::store::StoreError;
use crate::kernel::{BlobId, Timestamp};
use async_trait::async_trait;

/// Bytes that are written once.
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
