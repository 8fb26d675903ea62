//! The event feed: what was committed, in the order in which the sealer appended it. See `docs/adr/0016-event-feed.md`.
//!
//! The feed is a row of numbered segments. Each is written in the batch that seals its events. The sealer reserves numbers in
//! the feed's head before it writes under them, and a reader goes as far as there is no hole.

use super::{AuditAction, AuditEvent};
use crate::kernel::{ActorRef, EventId, Malformed, ProjectId, Timestamp, TraceId};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{collections::BTreeMap, fmt, str::FromStr};

/// One segment: the events of one batch of the sealer. Empty when the batch that had this number was never committed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedSegment {
    /// Its number, from 1.
    pub number: u64,
    /// When it was appended.
    pub at: Timestamp,
    /// The events in their order.
    pub events: Vec<EventId>,
    /// The chains whose heads moved in the same batch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chains: Vec<String>,
}

impl FeedSegment {
    /// A segment that says nothing.
    pub const fn empty(number: u64, at: Timestamp) -> Self {
        Self { number, at, events: Vec::new(), chains: Vec::new() }
    }

    /// How many numbers each segment has for its events; more than a batch can hold.
    pub const STRIDE: u64 = 128;

    /// The record id of a segment.
    pub fn id(number: u64) -> String {
        format!("feed/{number:015}")
    }

    /// The number of the event at `index`.
    pub const fn seq(number: u64, index: u64) -> u64 {
        number * Self::STRIDE + index
    }
}

/// Which segments there are, and which there may be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedHead {
    /// The record's id.
    pub id: String,
    /// The first segment that is kept; those before it were removed by retention.
    pub first: u64,
    /// Every segment up to this one is known to be there.
    pub settled: u64,
    /// The last segment that a sealer may be writing.
    pub reserved: u64,
    /// Every head that moved up to this segment is anchored outside; absent until every chain's is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anchored: Option<u64>,
    /// No sealed event is older than this; absent until it is known, where an earlier version has sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest: Option<Timestamp>,
}

impl FeedHead {
    /// The record's id.
    pub const ID: &'static str = "events/head";

    /// The head of a feed without segments.
    pub fn empty() -> Self {
        Self { id: Self::ID.to_owned(), first: 1, settled: 0, reserved: 0, anchored: None, oldest: None }
    }
}

/// A place in the feed: after the event with this number. Keep it as text or JSON; only the feed it came from understands it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventPosition {
    /// The segment.
    pub(crate) segment: u64,
    /// How many of the segment's events lie before the position.
    pub(crate) index: u64,
}

impl EventPosition {
    /// Before the first event that there ever was.
    pub const START: Self = Self { segment: 1, index: 0 };

    pub(crate) const fn before(segment: u64) -> Self {
        Self { segment, index: 0 }
    }
}

impl fmt::Display for EventPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ev1-{}-{}", self.segment, self.index)
    }
}

impl FromStr for EventPosition {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let malformed =
            Malformed { what: "position of the event feed", allowed: "a text that the event feed has given" };
        let plain = |text: &str| {
            let digits = !text.is_empty() && text.len() <= 15 && text.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| text.parse::<u64>().ok()).flatten()
        };
        text.strip_prefix("ev1-")
            .and_then(|rest| rest.split_once('-'))
            .and_then(|(segment, index)| Some(Self { segment: plain(segment)?, index: plain(index)? }))
            .filter(|position| position.segment >= 1 && position.index <= FeedSegment::STRIDE)
            .ok_or(malformed)
    }
}

impl Serialize for EventPosition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EventPosition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(|_| serde::de::Error::custom("not a position of the event feed"))
    }
}

/// Something that was committed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    /// Its number in the feed: greater than that of every event before it. Numbers have gaps.
    pub seq: u64,
    /// Its id, the same in the audit log. Two deliveries of one event have the same.
    pub id: EventId,
    /// When it happened.
    pub at: Timestamp,
    /// The project that it belongs to.
    #[serde(rename = "project_id", skip_serializing_if = "Option::is_none")]
    pub project: Option<ProjectId>,
    /// What was done.
    pub action: AuditAction,
    /// Who did it: the credential, and the person behind it.
    pub actor: ActorRef,
    /// The id of what it was done to.
    pub object: String,
    /// Facts about the event, by name; never a secret.
    pub details: BTreeMap<String, String>,
    /// The trace id of the call that caused it.
    pub trace_id: TraceId,
}

impl Event {
    pub(crate) fn of(seq: u64, event: AuditEvent) -> Self {
        let AuditEvent { id, at, project, actor, action, object, trace, details, .. } = event;
        Self { seq, id, at, project, action, actor, object, details, trace_id: trace }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_a_text_that_reads_back() {
        for position in [EventPosition::START, EventPosition { segment: 7, index: 96 }] {
            assert_eq!(position.to_string().parse::<EventPosition>().unwrap(), position);
            let json = serde_json::to_string(&position).unwrap();
            assert_eq!(serde_json::from_str::<EventPosition>(&json).unwrap(), position);
        }
        for text in
            ["", "ev1-", "ev1-0-0", "ev1-1-129", "ev1--1", "ev1-1-x", "ev2-1-0", "ev1-9999999999999999-0", "ev1-+1-0"]
        {
            assert!(text.parse::<EventPosition>().is_err(), "{text}");
        }
    }

    #[test]
    fn numbers_grow_with_the_place() {
        assert!(FeedSegment::seq(2, 0) > FeedSegment::seq(1, FeedSegment::STRIDE - 1));
        let last = EventPosition { segment: 1, index: FeedSegment::STRIDE };
        assert!(EventPosition::before(2) > last, "a position orders as its place does");
    }
}
