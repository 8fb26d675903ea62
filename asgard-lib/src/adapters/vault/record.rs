//! The record of a sealed value.

use crate::{
    adapters::base64::Base64,
    kernel::{BlobId, DataKeyId},
    ports::{kinds::Kind, records::Entity},
};
use serde::{Deserialize, Deserializer, Serialize};

/// A sealed value as it is stored: the ciphertext, or the blobs that hold it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SealedRecord {
    /// What its owner calls it, for example `secret/sec_.../1`.
    pub id: String,
    /// What it is bound to. Not secret.
    pub context: String,
    /// The data key that it is under; rotation finds it by this.
    pub data_key: DataKeyId,
    /// The ciphertext of a small value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) inline: Option<Base64>,
    /// The blobs that hold the ciphertext of a large value, in order.
    #[serde(rename = "blob", default, skip_serializing_if = "Vec::is_empty", deserialize_with = "one_or_many")]
    pub blobs: Vec<BlobId>,
    /// How long the plaintext is.
    pub size: u64,
}

/// There was one blob before a blob had a limit, and its name stood there alone.
fn one_or_many<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<BlobId>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Named {
        One(BlobId),
        Many(Vec<BlobId>),
    }
    Ok(match Named::deserialize(from)? {
        Named::One(blob) => vec![blob],
        Named::Many(blobs) => blobs,
    })
}

impl Entity for SealedRecord {
    const KIND: Kind = Kind::Sealed;
    const NOUN: &'static str = "sealed value";
    fn record_id(&self) -> String {
        self.id.clone()
    }
}
