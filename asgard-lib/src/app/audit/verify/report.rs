//! What verifying answers: what it found, and what it cannot know.

use crate::{
    domain::audit::SealFormat,
    kernel::{EventId, Timestamp},
};
use schemars::JsonSchema;
use serde::Serialize;

/// Where the log is not what was sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Break {
    /// The audit chain: a project's id, or `org` for what belongs to no project.
    pub chain: String,
    /// The number of the block that does not verify.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub block: Option<u64>,
    /// The id of the event that does not verify.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<EventId>,
    /// What is wrong with it, in a sentence.
    pub what: String,
}

/// Blocks that retention removed from the beginning of a chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct RemovedBlocks {
    /// The chain: a project's id, or `org`.
    pub chain: String,
    /// The number of the last block that was removed; every block before it was removed too.
    pub through: u64,
    /// How many events were in them.
    pub events: u64,
    /// The time at which the last of them was removed.
    pub removed_at: Timestamp,
}

/// What verifying found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct VerifyReport {
    /// The number of chains that were verified.
    pub chains: u64,
    /// The number of blocks that were verified.
    pub blocks: u64,
    /// The number of sealed events that were verified.
    pub events: u64,
    /// The places where the log is not what was sealed, at most 100.
    pub breaks: Vec<Break>,
    /// Events that wait to be sealed. Their marks prove that Asgard committed them; one that is deleted before it is sealed
    /// leaves no trace.
    pub unsealed: u64,
    /// The time of this verification.
    pub as_of: Timestamp,
    /// What retention removed, for the first 100 chains where it did. The rest of such a chain is proven all the same.
    pub removed: Vec<RemovedBlocks>,
    /// What the anchors that were given say; absent when none were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anchors: Option<AnchorReport>,
    /// What this verification cannot know, in sentences: what could have been done to the log without showing in `breaks`.
    pub cannot_know: Vec<String>,
    /// Whether everything was looked at; a very long log takes more than one call, chain by chain.
    pub complete: bool,
}

/// What the anchors that were given say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct AnchorReport {
    /// How many anchors were found in what was given.
    pub anchors: u64,
    /// How many of them no sealer of this store made: they were changed, or are another store's. They prove nothing.
    pub not_genuine: u64,
    /// How many chains the genuine ones name.
    pub chains: u64,
    /// The time of the newest genuine one. What was sealed after it has nothing outside that proves it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newest: Option<Timestamp>,
    /// How many chains have blocks after the last that an anchor names.
    pub chains_ahead: u64,
}

/// What was seen on the way that a sentence depends on.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Doubts {
    /// Events in blocks of versions that marked no events.
    pub unmarked: u64,
    /// Events that were sealed long after they happened.
    pub late: u64,
}

impl Doubts {
    /// Notes an event of a block.
    pub(crate) fn sealed(&mut self, format: SealFormat, at: Timestamp, sealed_at: Timestamp) {
        match format {
            SealFormat::Fields | SealFormat::Stored => self.unmarked += 1,
            SealFormat::Marked => {}
        }
        if sealed_at.since(at) > super::DAY {
            self.late += 1;
        }
    }

    /// What cannot be known, given that.
    pub(crate) fn sentences(self, report: &VerifyReport, one_chain: bool) -> Vec<String> {
        let mut said = Vec::new();
        match &report.anchors {
            None => said.push(
                "Without anchors nobody can tell whether the last blocks of a chain were cut off, whether a chain was removed with everything \
                 that names its project, or whether the whole database was set back. Verify with the anchors that the sealer wrote to the \
                 process's log or to `audit.anchor_file`."
                    .to_owned(),
            ),
            Some(anchors) => {
                let newest = anchors.newest.map_or_else(|| "there is no genuine one".to_owned(), |at| format!("the newest is of {at}"));
                said.push(format!(
                    "Blocks after the last one of their chain that an anchor names could be cut off without a trace, and so could a chain that no \
                     anchor names ({newest}; {} chains go on after their last anchor).",
                    anchors.chains_ahead
                ));
            }
        }
        said.push(format!(
            "An event that is deleted before it is sealed, which takes a few seconds, leaves no trace; {} wait now.",
            report.unsealed
        ));
        if self.unmarked > 0 {
            said.push(format!(
                "{} events are in blocks of a version that marked no events, or were left waiting by one: whether Asgard committed them is not \
                 proven, only that nothing changed since they were sealed.",
                self.unmarked
            ));
        }
        if self.late > 0 {
            said.push(format!(
                "{} events were sealed more than a day after they happened: nothing sealed in between, or somebody took them out of their \
                 blocks, or put back what retention had removed, and they were sealed again.",
                self.late
            ));
        }
        if !report.removed.is_empty() {
            said.push("What retention removed is gone; that it was Asgard who removed it is proven.".to_owned());
        }
        said.push(
            "The marks prove that somebody with the data keys made them: whoever has the master key, or runs code as Asgard, can make others."
                .to_owned(),
        );
        said.push(
            "This is about the log alone. Projects, requests, keys and accounts carry no marks: whether they are as Asgard wrote them is not looked at."
                .to_owned(),
        );
        if one_chain {
            said.push("Only this chain was looked at.".to_owned());
        }
        if !report.complete {
            said.push("Not everything was looked at: verify chain by chain, with `project_id`.".to_owned());
        }
        said
    }
}
