//! The audit log: who did what to what, appended in the commit of the thing itself and sealed into chained blocks later.

mod actions;

pub use actions::{AuditAction, AuditActionSpec, AuditArea, AuditScope, AuditVocabulary, ExtensionAction};

use crate::kernel::{ActorRef, EventId, ProjectId, Timestamp, TraceId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The chain of events that belong to no project.
pub const ORG_CHAIN: &str = "org";

/// The partition of events that wait to be sealed.
pub const PENDING: &str = "pending";

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
}

impl AuditEvent {
    /// The chain that the event belongs to.
    pub fn chain(&self) -> &str {
        self.project.as_ref().map_or(ORG_CHAIN, ProjectId::as_str)
    }

    /// The bytes that sealing covers: everything but where it is sealed, in one canonical order.
    pub fn sealed_bytes(&self) -> Vec<u8> {
        let bare = Self { unsealed: None, block: None, ..self.clone() };
        serde_json::to_vec(&bare).unwrap_or_default()
    }
}

/// A block of a chain: which events, in which order, after which block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditBlock {
    /// The chain.
    pub chain: String,
    /// Its number in the chain, from 1.
    pub number: u64,
    /// The MAC of the block before it, in hex; empty for the first.
    pub previous: String,
    /// The events: id and SHA-256 of [`AuditEvent::sealed_bytes`], in hex.
    pub events: Vec<(EventId, String)>,
    /// When it was sealed.
    pub sealed_at: Timestamp,
    /// The data key of the MAC.
    pub mac_key: String,
    /// HMAC-SHA-256 over everything above, in hex.
    pub mac: String,
}

impl AuditBlock {
    /// The bytes that the MAC covers.
    pub fn mac_bytes(&self) -> Vec<u8> {
        let bare = Self { mac: String::new(), ..self.clone() };
        serde_json::to_vec(&bare).unwrap_or_default()
    }

    /// The record id of a chain's block.
    pub fn id(chain: &str, number: u64) -> String {
        format!("{chain}/{number:012}")
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
