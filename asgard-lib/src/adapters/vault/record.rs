//! The record of a sealed value.

use crate::{
    adapters::base64::Base64,
    kernel::{BlobId, DataKeyId},
    ports::{kinds::Kind, records::Entity},
};
use serde::{Deserialize, Serialize};

/// A sealed value as it is stored: the ciphertext, or the blob that holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedRecord {
    /// What its owner calls it, for example `secret/sec_.../1`.
    pub id: String,
    /// What it is bound to. Not secret.
    pub context: String,
    /// The data key that it is under; rotation finds it by this.
    pub data_key: DataKeyId,
    /// The ciphertext of a small value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) inline: Option<Base64>,
    /// The blob with the ciphertext of a large value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blob: Option<BlobId>,
    /// How long the plaintext is.
    pub size: u64,
}

impl Entity for SealedRecord {
    const KIND: Kind = Kind::Sealed;
    const NOUN: &'static str = "sealed value";
    fn record_id(&self) -> String {
        self.id.clone()
    }
}
