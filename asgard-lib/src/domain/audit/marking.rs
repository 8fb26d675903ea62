//! Since when events carry marks. A store has one such record: of its first commit, or of the moment when a version that marks
//! events found none left that a version before had committed.

use super::stored;
use crate::{
    error::Result,
    kernel::{DataKeyId, EventId},
};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

/// That every event that waits to be sealed carries a mark, from one event of the organisation's chain on. An unmarked one that
/// waits after that was not committed by Asgard. Blocks name the event, so a record that somebody had made again shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditMarking {
    /// The record's id.
    pub id: String,
    /// The event with which marking began: the first key of a new store, or the event that says that marking began.
    pub event: EventId,
    /// The data key of the mark.
    pub mac_key: String,
    /// HMAC-SHA-256 over everything else in the stored record, in hex.
    pub mac: String,
}

impl AuditMarking {
    /// The record's id.
    pub const ID: &'static str = "audit/marking";
    /// What the mark is made for.
    pub const PURPOSE: &'static str = "audit/marking";

    /// The record for this event, with its mark: `tag` makes it of the bytes that are covered, with this key.
    pub fn since(event: EventId, key: &DataKeyId, tag: impl FnOnce(&[u8]) -> Result<[u8; 32]>) -> Result<Self> {
        let mut marking = Self { id: Self::ID.to_owned(), event, mac_key: key.to_string(), mac: String::new() };
        marking.mac = HEXLOWER.encode(&tag(&stored::marked_bytes(&stored::body_of(&marking)?))?);
        Ok(marking)
    }
}
