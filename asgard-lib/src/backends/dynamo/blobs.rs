//! Blobs. A small one is in its item; a large one is in pieces, and its item says how many. The item is written last, so a
//! blob is there as a whole or not at all:
//!
//! 1. an upload is noted, which expires after a day;
//! 2. the pieces are written, under the digest of the whole, so that writers of other bytes do not meet;
//! 3. one transaction writes the item and removes the upload.
//!
//! An upload that expired is abandoned, and so is a blob that is deleted: its item goes and an upload past its time comes, in
//! one transaction. Whoever abandons an upload marks it dead first, unless the blob is there, then deletes the pieces, then
//! the upload; so dying in between only means that somebody does it again.

use super::{
    DynamoStore,
    commit::PASSING,
    failure::{Tries, failure, patiently},
    layout::{self, Item},
    refused,
};
use crate::{
    kernel::{BlobId, Timestamp},
    ports::store::{Order, StoreError},
};
use aws_sdk_dynamodb::{
    error::BuildError,
    operation::transact_write_items::TransactWriteItemsError,
    types::{ConditionCheck, Delete, Put, TransactWriteItem, Update},
};
use data_encoding::HEXLOWER;
use futures_util::{StreamExt, TryStreamExt, stream};
use sha2::{Digest, Sha256};
use std::time::Duration;

/// The most bytes in an item.
const PIECE: usize = 350_000;
/// How long an upload may take.
const UPLOAD: Duration = Duration::from_hours(24);
/// How many pieces are read at once: an answer holds 16 MB.
const PIECES_AT_ONCE: usize = 40;
/// How many entries of the list are looked at in one call.
const LISTED_AT_ONCE: usize = 500;
/// The kind of entry of the list of blobs.
const LIST: (&str, &str, &str) = layout::INDEX[0];

fn wrong(error: BuildError) -> StoreError {
    StoreError::Corrupt(error.to_string())
}

fn corrupt(id: &BlobId, why: &str) -> StoreError {
    StoreError::Corrupt(format!("blob {id} {why}"))
}

impl DynamoStore {
    pub(super) async fn put_blob(&self, id: &BlobId, bytes: &[u8], at: Timestamp) -> Result<(), StoreError> {
        let digest = HEXLOWER.encode(&Sha256::digest(bytes));
        let pieces: Vec<&[u8]> = if bytes.len() > PIECE { bytes.chunks(PIECE).collect() } else { Vec::new() };
        let mut head = layout::key_of(layout::blob_pk(id.as_str()));
        head.extend([
            ("d".to_owned(), layout::text(&digest)),
            ("k".to_owned(), layout::number(pieces.len())),
            (LIST.1.to_owned(), layout::text(layout::blobs_partition())),
            (LIST.2.to_owned(), layout::binary(format!("{id}\0{at}"))),
        ]);
        if pieces.is_empty() {
            head.insert("b".to_owned(), layout::binary(bytes));
        } else {
            self.upload(id, &digest, &pieces, at).await?;
        }
        let whole = "attribute_not_exists(pk)";
        let written = if pieces.is_empty() {
            let put = self.client.put_item().table_name(self.name()).set_item(Some(head)).condition_expression(whole);
            match patiently(|| put.clone().send()).await {
                Ok(_) => true,
                Err(error) if refused(&error) => false,
                Err(error) => return Err(failure(error)),
            }
        } else {
            let put = Put::builder().table_name(self.name()).set_item(Some(head)).condition_expression(whole);
            let upload = Delete::builder()
                .table_name(self.name())
                .set_key(Some(layout::key_of(layout::upload_pk(id.as_str(), &digest))))
                .condition_expression("attribute_exists(pk) AND attribute_not_exists(dead)");
            let put = TransactWriteItem::builder().put(put.build().map_err(wrong)?).build();
            let upload = TransactWriteItem::builder().delete(upload.build().map_err(wrong)?).build();
            self.transact(vec![put, upload]).await?
        };
        if written {
            return Ok(());
        }
        match self.item(&layout::blob_pk(id.as_str())).await? {
            Some(head) if layout::string(&head, "d") == Some(&digest) => Ok(()),
            Some(_) => Err(corrupt(id, "holds other bytes already")),
            None => Err(StoreError::Unavailable(format!("the upload of blob {id} was abandoned meanwhile").into())),
        }
    }

    /// Notes the upload and writes the pieces.
    async fn upload(&self, id: &BlobId, digest: &str, pieces: &[&[u8]], at: Timestamp) -> Result<(), StoreError> {
        let pk = layout::upload_pk(id.as_str(), digest);
        let note = || {
            let [(hash, shard), (range, moment), _] = layout::expiry(&pk, Some(at.plus(UPLOAD)));
            let mut item = layout::key_of(&pk);
            item.insert("k".to_owned(), layout::number(pieces.len()));
            item.extend([(hash, shard), (range, moment)].into_iter().filter_map(|(n, v)| Some((n.to_owned(), v?))));
            let put = self.client.put_item().table_name(self.name()).set_item(Some(item));
            put.condition_expression("attribute_not_exists(dead)").send()
        };
        match patiently(note).await {
            Ok(_) => {}
            Err(error) if refused(&error) => {
                return Err(StoreError::Unavailable(
                    format!("an older upload of blob {id} is being cleared away").into(),
                ));
            }
            Err(error) => return Err(failure(error)),
        }
        let write = |(number, piece): (usize, &[u8])| {
            let mut item: Item = layout::key_of(layout::piece_pk(id.as_str(), digest, number));
            item.insert("b".to_owned(), layout::binary(piece));
            let put = self.client.put_item().table_name(self.name()).set_item(Some(item));
            async move { patiently(|| put.clone().send()).await.map(|_| ()).map_err(failure) }
        };
        let writes: Vec<_> = pieces.iter().copied().enumerate().map(write).collect();
        stream::iter(writes).buffer_unordered(super::AT_ONCE).try_collect().await
    }

    pub(super) async fn get_blob(&self, id: &BlobId) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(head) = self.item(&layout::blob_pk(id.as_str())).await? else { return Ok(None) };
        let pieces = layout::integer(&head, "k").and_then(|k| usize::try_from(k).ok());
        let (Some(pieces), Some(digest)) = (pieces, layout::string(&head, "d")) else {
            return Err(corrupt(id, "is not one that Asgard wrote"));
        };
        let bytes = if pieces == 0 {
            head.get("b").and_then(|b| b.as_b().ok()).map(|b| b.as_ref().to_vec())
        } else {
            self.pieces(id, digest, pieces).await?
        };
        match bytes {
            Some(bytes) if HEXLOWER.encode(&Sha256::digest(&bytes)) == digest => Ok(Some(bytes)),
            Some(_) => Err(corrupt(id, "does not have its digest")),
            // Deleted while it was read, or damaged.
            None if self.item(&layout::blob_pk(id.as_str())).await?.is_none() => Ok(None),
            None => Err(corrupt(id, "lacks a piece")),
        }
    }

    /// All pieces in one, if all are there.
    async fn pieces(&self, id: &BlobId, digest: &str, pieces: usize) -> Result<Option<Vec<u8>>, StoreError> {
        let mut bytes = Vec::with_capacity(pieces * PIECE);
        for first in (0..pieces).step_by(PIECES_AT_ONCE) {
            let pks: Vec<String> = (first..pieces.min(first + PIECES_AT_ONCE))
                .map(|number| layout::piece_pk(id.as_str(), digest, number))
                .collect();
            let found = self.items(pks.iter().cloned().collect()).await?;
            for pk in pks {
                let piece = found.get(&pk).and_then(|item| item.get("b")).and_then(|b| b.as_b().ok());
                let Some(piece) = piece else { return Ok(None) };
                bytes.extend_from_slice(piece.as_ref());
            }
        }
        Ok(Some(bytes))
    }

    pub(super) async fn delete_blob(&self, id: &BlobId) -> Result<(), StoreError> {
        let pk = layout::blob_pk(id.as_str());
        let Some(head) = self.item(&pk).await? else { return Ok(()) };
        let digest = layout::string(&head, "d").ok_or_else(|| corrupt(id, "is not one that Asgard wrote"))?;
        let pieces = layout::integer(&head, "k").unwrap_or(0);
        let delete = Delete::builder()
            .table_name(self.name())
            .set_key(Some(layout::key_of(pk)))
            .condition_expression("d = :digest")
            .expression_attribute_values(":digest", layout::text(digest));
        let mut items = vec![TransactWriteItem::builder().delete(delete.build().map_err(wrong)?).build()];
        let upload = layout::upload_pk(id.as_str(), digest);
        if pieces > 0 {
            // Past its time already: whoever looks next may abandon it.
            let [(hash, shard), (range, moment), _] = layout::expiry(&upload, Some(Timestamp::from_millis(0)));
            let mut item = layout::key_of(&upload);
            item.insert("k".to_owned(), layout::number(pieces));
            item.extend([(hash, shard), (range, moment)].into_iter().filter_map(|(n, v)| Some((n.to_owned(), v?))));
            let put = Put::builder().table_name(self.name()).set_item(Some(item));
            items.push(TransactWriteItem::builder().put(put.build().map_err(wrong)?).build());
        }
        if self.transact(items).await? && pieces > 0 {
            self.abandon(id.as_str(), digest, Timestamp::from_millis(1)).await?;
        }
        Ok(())
    }

    /// Clears away what an upload that is past its time left behind. `false` when it is not, any more.
    pub(super) async fn abandon(&self, id: &str, digest: &str, now: Timestamp) -> Result<bool, StoreError> {
        let pk = layout::upload_pk(id, digest);
        let Some(upload) = self.item(&pk).await? else { return Ok(false) };
        let mark = Update::builder()
            .table_name(self.name())
            .set_key(Some(layout::key_of(&pk)))
            .update_expression("SET dead = :yes")
            .condition_expression("xs < :now")
            .expression_attribute_values(":yes", layout::number(1))
            .expression_attribute_values(":now", layout::text(now.to_string()));
        let unless_there = ConditionCheck::builder()
            .table_name(self.name())
            .set_key(Some(layout::key_of(layout::blob_pk(id))))
            .condition_expression("attribute_not_exists(pk) OR d <> :digest")
            .expression_attribute_values(":digest", layout::text(digest));
        let items = vec![
            TransactWriteItem::builder().update(mark.build().map_err(wrong)?).build(),
            TransactWriteItem::builder().condition_check(unless_there.build().map_err(wrong)?).build(),
        ];
        if self.transact(items).await? {
            let pieces = layout::integer(&upload, "k").and_then(|k| usize::try_from(k).ok()).unwrap_or(0);
            let delete = |number: usize| {
                let key = layout::key_of(layout::piece_pk(id, digest, number));
                let call = self.client.delete_item().table_name(self.name()).set_key(Some(key));
                async move { patiently(|| call.clone().send()).await.map(|_| ()).map_err(failure) }
            };
            let deletes: Vec<_> = (0..pieces).map(delete).collect();
            stream::iter(deletes).buffer_unordered(super::AT_ONCE).try_collect::<()>().await?;
        }
        // Dead, or beside a blob that is there with the same bytes: either way nothing depends on it.
        let remove = || {
            self.client
                .delete_item()
                .table_name(self.name())
                .set_key(Some(layout::key_of(&pk)))
                .condition_expression("xs < :now")
                .expression_attribute_values(":now", layout::text(now.to_string()))
                .send()
        };
        match patiently(remove).await {
            Ok(_) => Ok(true),
            Err(error) if refused(&error) => Ok(false),
            Err(error) => Err(failure(error)),
        }
    }

    /// The list is ordered by id, and each entry says when its blob was stored.
    pub(super) async fn list_blobs(
        &self,
        before: Timestamp,
        after: Option<&BlobId>,
        limit: usize,
    ) -> Result<Vec<BlobId>, StoreError> {
        let before = before.to_string();
        let mut from = after.map_or_else(Vec::new, past);
        let mut listed = Vec::new();
        while listed.len() < limit {
            let range = super::Range {
                index: LIST,
                partition: layout::blobs_partition(),
                from: Some(from).filter(|from| !from.is_empty()).map(layout::binary),
                to: None,
                order: Order::Ascending,
            };
            let found = self.entries(range, LISTED_AT_ONCE).await?;
            let whole = found.len() == LISTED_AT_ONCE;
            let mut last = None;
            for entry in found {
                let text =
                    entry.get(LIST.2).and_then(|s| s.as_b().ok()).and_then(|s| std::str::from_utf8(s.as_ref()).ok());
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

    /// Writes items together. `false` when a condition stood in the way.
    async fn transact(&self, items: Vec<TransactWriteItem>) -> Result<bool, StoreError> {
        let mut tries = Tries::default();
        loop {
            let call = self.client.transact_write_items().set_transact_items(Some(items.clone()));
            let Err(error) = patiently(|| call.clone().send()).await else { return Ok(true) };
            let Some(TransactWriteItemsError::TransactionCanceledException(canceled)) = error.as_service_error() else {
                return Err(failure(error));
            };
            let codes = || canceled.cancellation_reasons().iter().filter_map(|reason| reason.code());
            if codes().any(|code| code == "ConditionalCheckFailed") {
                return Ok(false);
            }
            let wrong = codes().find(|code| !PASSING.contains(code)).map(str::to_owned);
            match wrong {
                None if tries.another().await => {}
                None => return Err(StoreError::Unavailable("others were in the way for too long".into())),
                Some(code) => return Err(StoreError::Corrupt(format!("DynamoDB canceled a transaction: {code}"))),
            }
        }
    }
}

/// What follows every entry of a blob in the list.
fn past(id: &BlobId) -> Vec<u8> {
    [id.as_str().as_bytes(), &[1]].concat()
}
