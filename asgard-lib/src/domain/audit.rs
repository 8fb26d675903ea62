//! The audit log: who did what to what, appended in the commit of the thing itself and sealed into chained blocks later.

mod actions;
mod anchor;
mod feed;
mod marking;
mod stored;

pub use actions::{AuditAction, AuditActionSpec, AuditArea, AuditScope, AuditVocabulary, ExtensionAction};
pub use anchor::{Anchor, AnchoredHead};
pub use feed::{Event, EventPosition, FeedHead, FeedSegment};
pub use marking::AuditMarking;
pub use stored::{Body, SealFormat, body_of, event_bytes, marked_bytes};

use crate::{
    error::Result,
    kernel::{ActorRef, DataKeyId, EventId, ProjectId, Timestamp, TraceId},
};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The chain of events that belong to no project.
pub const ORG_CHAIN: &str = "org";

/// The partition of events that wait to be sealed.
pub const PENDING: &str = "pending";

/// What a waiting event says that the sealer refused: its mark is not genuine, so Asgard did not commit it in this form.
pub const REFUSED: &str = "refused";

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEvent {
    /// Its id.
    pub id: EventId,
    /// When.
    pub at: Timestamp,
    /// The day, for reading the whole log.
    pub day: String,
    /// The project it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<ProjectId>,
    /// Who.
    pub actor: ActorRef,
    /// What, for example `request.approved`.
    pub action: AuditAction,
    /// To what: the id of the object.
    pub object: String,
    /// The request through a surface that caused it.
    pub trace: TraceId,
    /// Facts for people; never a secret.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, String>,
    /// Present only while it waits to be sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unsealed: Option<String>,
    /// The block that holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<u64>,
    /// The data key of its mark; empty in an event of a version that marked none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub mac_key: String,
    /// HMAC-SHA-256 over everything else that is stored, besides where it is sealed, in hex. It is made before the commit.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub mac: String,
}

impl AuditEvent {
    /// What the mark is made for.
    pub const PURPOSE: &'static str = "audit/event";

    /// The event with its mark: `tag` makes it of the bytes that are covered, with this key.
    pub fn marked(mut self, key: &DataKeyId, tag: impl FnOnce(&[u8]) -> Result<[u8; 32]>) -> Result<Self> {
        self.mac_key = key.to_string();
        self.mac = HEXLOWER.encode(&tag(&event_bytes(&stored::body_of(&self)?))?);
        Ok(self)
    }

    /// Whether a version of Asgard committed it that marks events, or it claims so.
    pub fn has_mark(&self) -> bool {
        !self.mac.is_empty()
    }
    /// An event that belongs to no project and waits to be sealed.
    pub fn new(
        id: EventId,
        at: Timestamp,
        actor: ActorRef,
        action: AuditAction,
        object: String,
        trace: TraceId,
    ) -> Self {
        Self {
            id,
            at,
            day: at.to_string().chars().take(10).collect(),
            project: None,
            actor,
            action,
            object,
            trace,
            details: BTreeMap::new(),
            unsealed: Some(PENDING.to_owned()),
            block: None,
            mac_key: String::new(),
            mac: String::new(),
        }
    }

    /// The chain that the event belongs to.
    pub fn chain(&self) -> &str {
        self.project.as_ref().map_or(ORG_CHAIN, ProjectId::as_str)
    }
}

/// A block of a chain: which events, in which order, after which block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditBlock {
    /// How the bytes that it covers are made; absent in a block of version 0.1.0.
    #[serde(default = "first_format", skip_serializing_if = "is_first_format")]
    pub format: u16,
    /// The chain.
    pub chain: String,
    /// Its number in the chain, from 1.
    pub number: u64,
    /// The MAC of the block before it, in hex; empty for the first.
    pub previous: String,
    /// The events: id and SHA-256 of what the format covers of the stored record, in hex.
    pub events: Vec<(EventId, String)>,
    /// When it was sealed.
    pub sealed_at: Timestamp,
    /// The event with which marking began, as the store's [`AuditMarking`] names it; absent in blocks of versions before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marking: Option<EventId>,
    /// The data key of the MAC.
    pub mac_key: String,
    /// HMAC-SHA-256 over what the format covers of the stored record, in hex.
    pub mac: String,
}

const fn first_format() -> u16 {
    SealFormat::Fields.number()
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
const fn is_first_format(format: &u16) -> bool {
    *format == first_format()
}

impl AuditBlock {
    /// The record id of a chain's block.
    pub fn id(chain: &str, number: u64) -> String {
        format!("{chain}/{number:012}")
    }
}

/// What retention left in the place of a chain's first blocks. Its mark proves what the first block that is kept follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditStub {
    /// The chain.
    pub chain: String,
    /// The number of the last block that was removed; every one before it was removed too.
    pub through: u64,
    /// That block's MAC, in hex: the `previous` of the next.
    pub last_mac: String,
    /// How many events were removed in all.
    pub events: u64,
    /// When a block was removed last.
    pub removed_at: Timestamp,
    /// The data key of the MAC.
    pub mac_key: String,
    /// HMAC-SHA-256 over everything else in the stored record, in hex.
    pub mac: String,
}

impl AuditStub {
    /// What the mark is made for.
    pub const PURPOSE: &'static str = "audit/removed";

    /// The record id of a chain's stub: before its first block.
    pub fn id(chain: &str) -> String {
        AuditBlock::id(chain, 0)
    }
}

/// Where a chain ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditHead {
    /// The chain.
    pub chain: String,
    /// The number of its last block.
    pub number: u64,
    /// That block's MAC.
    pub mac: String,
}
