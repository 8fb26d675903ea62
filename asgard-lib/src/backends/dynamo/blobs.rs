//! Blobs: an item each, with the bytes, written once. The list of them is the first index: ordered by id, and each entry says
//! when its blob was stored.

use super::{
    DynamoStore, Range,
    failure::{conditionally, failure, patiently},
    layout,
};
use crate::{
    kernel::{BlobId, Timestamp},
    ports::{
        blobs::{Blobs, check_size},
        store::{Order, StoreError},
    },
};
use async_trait::async_trait;

const LIST: layout::Slot = layout::INDEX[0];

#[async_trait]
impl Blobs for DynamoStore {
    async fn put(&self, id: &BlobId, bytes: &[u8], at: Timestamp) -> Result<(), StoreError> {
        check_size(id, bytes)?;
        let mut item = layout::key_of(layout::blob_pk(id));
        item.extend([
            ("b".to_owned(), layout::binary(bytes)),
            (LIST.1.to_owned(), layout::text(layout::blobs_partition())),
            (LIST.2.to_owned(), layout::binary(format!("{id}\0{at}"))),
        ]);
        let put = self.client.put_item().table_name(self.name()).set_item(Some(item));
        let put = put.condition_expression("attribute_not_exists(pk)");
        if conditionally(|| put.clone().send()).await?.is_some() {
            return Ok(());
        }
        match self.get(id).await? {
            Some(stored) if stored == bytes => Ok(()),
            Some(_) => Err(StoreError::Corrupt(format!("blob {id} holds other bytes already"))),
            None => Err(StoreError::Unavailable(format!("blob {id} was deleted while it was written again").into())),
        }
    }

    async fn get(&self, id: &BlobId) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(item) = self.item(&layout::blob_pk(id)).await? else { return Ok(None) };
        match item.get("b").and_then(|bytes| bytes.as_b().ok()) {
            Some(bytes) => Ok(Some(bytes.as_ref().to_vec())),
            None => Err(StoreError::Corrupt(format!("the item of blob {id} is not one that Asgard wrote"))),
        }
    }

    async fn delete(&self, id: &BlobId) -> Result<(), StoreError> {
        let key = layout::key_of(layout::blob_pk(id));
        let delete = self.client.delete_item().table_name(self.name()).set_key(Some(key));
        patiently(|| delete.clone().send()).await.map(|_| ()).map_err(failure)
    }

    async fn list(&self, before: Timestamp, after: Option<&BlobId>, limit: usize) -> Result<Vec<BlobId>, StoreError> {
        let before = before.to_string();
        let mut from = after.map_or_else(Vec::new, past);
        let mut listed = Vec::new();
        while listed.len() < limit {
            let range = Range {
                index: LIST,
                partition: layout::blobs_partition(),
                from: Some(from).filter(|from| !from.is_empty()),
                to: None,
                order: Order::Ascending,
            };
            let found = self.entries(range, limit).await?;
            let whole = found.len() == limit;
            let mut last = None;
            for entry in found {
                let text = layout::bytes(&entry, LIST.2).and_then(|bytes| std::str::from_utf8(bytes).ok());
                let read =
                    text.and_then(|text| text.split_once('\0')).and_then(|(id, at)| Some((id.parse().ok()?, at)));
                let Some((id, at)) = read else {
                    return Err(StoreError::Corrupt("the list of blobs holds a bad entry".to_owned()));
                };
                last = Some(past(&id));
                if at < before.as_str() {
                    listed.push(id);
                }
            }
            match last {
                Some(last) if whole => from = last,
                Some(_) | None => break,
            }
        }
        listed.truncate(limit);
        Ok(listed)
    }
}

/// What follows every entry of a blob in the list.
fn past(id: &BlobId) -> Vec<u8> {
    [id.as_str().as_bytes(), &[1]].concat()
}
