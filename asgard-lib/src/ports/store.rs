//! The store's port: bytes, keys and atomic batches. Types live one level up, in [`super::records`].
//!
//! Ten rules every backend keeps, and the contract suite checks:
//! 1. `get_many` is strong: it sees every commit that was answered before it was called.
//! 2. `query` reads an index and may lag; a query never decides anything.
//! 3. A batch is all or nothing, one operation per key; a refusal names the first operation that stood in the way.
//! 4. A record's version is the id of the commit that wrote it: opaque, never reused.
//! 5. A batch resubmitted under the same commit id answers `Committed` if it was committed, and changes nothing twice.
//! 6. A claim is held by at most one owner; a count never passes its bounds; both are decided inside the commit.
//! 7. The limits of [`Batch`] hold on every backend, because the smallest backend's limits are everybody's.
//! 8. `note` neither needs nor changes a version.
//! 9. A record past `expires_at` may vanish at any time, and not before.
//! 10. An error that leaves the outcome open is [`StoreError::Unknown`], never `Unavailable`.
//!
//! A refusal leaves no marker, so the same batch may commit later: also by itself, when an earlier submission went unanswered and
//! is still on its way. Whoever decides anew after such a refusal withdraws the batch first ([`Store::withdraw`]).

mod query;
mod read_batch;
mod submission;

use super::kinds::Kind;
use crate::kernel::{CommitId, Timestamp};
use async_trait::async_trait;
pub use query::{Found, Order, Position, Query};
pub use read_batch::{ReadBatch, ReadResults};
use std::{fmt, time::Duration};
pub(crate) use submission::Submission;

/// How long a commit's marker is kept: a batch may be resubmitted for that long.
pub const MARKERS_KEPT: Duration = Duration::from_hours(24);

/// A record's version: the id of the commit that wrote it. The surfaces show it as ETag.
pub type Version = CommitId;

/// The key of a record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// What it is.
    pub kind: Kind,
    /// Which one; 1 to 200 bytes of printable ASCII.
    pub id: String,
}

impl Key {
    /// The key of the `id`th record of `kind`.
    pub fn new(kind: Kind, id: impl Into<String>) -> Self {
        Self { kind, id: id.into() }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.name(), self.id)
    }
}

/// A record as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its key.
    pub key: Key,
    /// The commit that wrote it.
    pub version: Version,
    /// The layout of `body`.
    pub schema: u16,
    /// A JSON object.
    pub body: String,
    /// After this moment the record may vanish.
    pub expires_at: Option<Timestamp>,
    /// The last [`Store::note`].
    pub noted_at: Option<Timestamp>,
}

/// What a batch writes to one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// Its key.
    pub key: Key,
    /// The layout of `body`.
    pub schema: u16,
    /// A JSON object.
    pub body: String,
    /// After this moment the record may vanish.
    pub expires_at: Option<Timestamp>,
}

/// One step of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Write a record that must not exist.
    Insert(Draft),
    /// Write a record that must exist at a version.
    Replace(Draft, Version),
    /// Remove a record that must exist at a version.
    Remove(Key, Version),
    /// Write nothing; the record must exist at the version, or be absent.
    Require(Key, Option<Version>),
    /// Take a name that nobody holds.
    Claim {
        /// The name.
        name: String,
        /// Who holds it.
        owner: String,
    },
    /// Give up a name that `owner` holds.
    Release {
        /// The name.
        name: String,
        /// Who holds it.
        owner: String,
    },
    /// Add `delta` to a counter, which starts at 0 and must end between `floor` and `ceiling`, and within an `i64`.
    Count(Count),
}

/// A step on a counter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    /// The counter's name.
    pub counter: String,
    /// What to add; may be negative or zero.
    pub delta: i64,
    /// The least that may result.
    pub floor: Option<i64>,
    /// The most that may result.
    pub ceiling: Option<i64>,
    /// After this moment the counter may vanish, and count from 0 again. The last count's word holds.
    pub expires_at: Option<Timestamp>,
}

impl Count {
    /// What the counter shows after this step when it shows `value` before, or which bound stands in the way.
    pub fn step(&self, value: i64) -> Result<i64, Reason> {
        let Some(value) = value.checked_add(self.delta) else {
            return Err(if self.delta > 0 { Reason::Ceiling } else { Reason::Floor });
        };
        if self.ceiling.is_some_and(|ceiling| value > ceiling) {
            Err(Reason::Ceiling)
        } else if self.floor.is_some_and(|floor| value < floor) {
            Err(Reason::Floor)
        } else {
            Ok(value)
        }
    }
}

/// An atomic batch. Build it with [`Batch::new`] and [`Batch::push`], which keep the limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    id: CommitId,
    at: Timestamp,
    ops: Vec<Op>,
    bytes: usize,
}

impl Batch {
    /// The most physical items in a batch, the commit's own marker included.
    pub const MAX_ITEMS: usize = 100;
    /// The most bytes in a batch.
    pub const MAX_BYTES: usize = 3_500_000;
    /// The most bytes in one record.
    pub const MAX_RECORD: usize = 350_000;
    /// The longest key, claim or counter name.
    pub const MAX_NAME: usize = 200;
    /// The most keys that one [`Store::get_many`] takes.
    pub const MAX_READS: usize = 100;

    /// Refuses a read of too many keys. Every backend calls it.
    pub fn check_reads(keys: &[Key]) -> Result<(), StoreError> {
        if keys.len() > Self::MAX_READS {
            return Err(StoreError::Corrupt(format!(
                "{} keys asked for at once; at most {} are allowed",
                keys.len(),
                Self::MAX_READS
            )));
        }
        Ok(())
    }

    /// An empty batch.
    pub fn new(id: CommitId, at: Timestamp) -> Self {
        Self { id, at, ops: Vec::new(), bytes: 0 }
    }

    /// Adds a step, or says which limit it would break.
    pub fn push(&mut self, op: Op) -> Result<(), BatchError> {
        let name = op.target();
        if name.is_empty() || name.len() > Self::MAX_NAME || !name.bytes().all(|b| (0x20..0x7f).contains(&b)) {
            return Err(BatchError::Name);
        }
        let size = match &op {
            Op::Insert(draft) | Op::Replace(draft, _) => {
                if draft.body.len() > Self::MAX_RECORD {
                    return Err(BatchError::RecordTooLarge);
                }
                draft.body.len() + name.len()
            }
            Op::Remove(..) | Op::Require(..) | Op::Claim { .. } | Op::Release { .. } | Op::Count(_) => name.len(),
        };
        if self.ops.iter().any(|other| other.same_item(&op)) {
            return Err(BatchError::TwiceTheSameItem);
        }
        // One item is the commit's own marker.
        if self.ops.len() + 2 > Self::MAX_ITEMS {
            return Err(BatchError::TooManyItems);
        }
        if self.bytes + size > Self::MAX_BYTES {
            return Err(BatchError::TooManyBytes);
        }
        self.bytes += size;
        self.ops.push(op);
        Ok(())
    }

    /// The commit's id, and the version of every record it writes.
    pub fn id(&self) -> &CommitId {
        &self.id
    }

    /// When the batch was decided; markers are kept by it.
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// The steps.
    pub fn ops(&self) -> &[Op] {
        &self.ops
    }

    /// Whether there is nothing to write or require.
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }
}

impl Op {
    /// The name of the item that the step touches.
    pub fn target(&self) -> &str {
        match self {
            Self::Insert(draft) | Self::Replace(draft, _) => &draft.key.id,
            Self::Remove(key, _) | Self::Require(key, _) => &key.id,
            Self::Claim { name, .. } | Self::Release { name, .. } => name,
            Self::Count(count) => &count.counter,
        }
    }

    /// The key, for steps on records.
    pub fn key(&self) -> Option<&Key> {
        match self {
            Self::Insert(draft) | Self::Replace(draft, _) => Some(&draft.key),
            Self::Remove(key, _) | Self::Require(key, _) => Some(key),
            Self::Claim { .. } | Self::Release { .. } | Self::Count(_) => None,
        }
    }

    fn same_item(&self, other: &Self) -> bool {
        match (self.key(), other.key()) {
            (Some(mine), Some(theirs)) => mine == theirs,
            (None, None) => {
                matches!(self, Self::Count(_)) == matches!(other, Self::Count(_)) && self.target() == other.target()
            }
            (Some(_), None) | (None, Some(_)) => false,
        }
    }
}

/// A limit that a batch would break. Always a fault of the operation that built it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchError {
    /// More than 100 items.
    TooManyItems,
    /// More than 3.5 MB.
    TooManyBytes,
    /// A record over 350 KB.
    RecordTooLarge,
    /// Two steps on one item.
    TwiceTheSameItem,
    /// A key, claim or counter name that is empty, too long or not printable ASCII.
    Name,
}

impl fmt::Display for BatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooManyItems => "a batch holds at most 100 items, its own marker included",
            Self::TooManyBytes => "a batch holds at most 3.5 MB",
            Self::RecordTooLarge => "a record holds at most 350 KB",
            Self::TwiceTheSameItem => "a batch touches an item at most once",
            Self::Name => "a name is 1 to 200 bytes of printable ASCII",
        })
    }
}

impl std::error::Error for BatchError {}

/// What became of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything was written, now or by an earlier submission under the same id.
    Committed,
    /// Nothing was written.
    Refused(Refusal),
}

/// Why a batch was refused: the position of the first step that stood in the way, and the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Position in [`Batch::ops`].
    pub step: usize,
    /// The reason.
    pub reason: Reason,
}

/// Why a step stood in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Insert or Require-absent: the record exists.
    Exists,
    /// Replace, Remove or Require: the record is absent or has another version.
    Changed,
    /// Claim: somebody holds the name.
    Taken,
    /// Release: the owner does not hold the name.
    NotHeld,
    /// Count: the result would pass the ceiling.
    Ceiling,
    /// Count: the result would pass the floor.
    Floor,
}

/// A store that failed.
#[derive(Debug)]
pub enum StoreError {
    /// It did nothing; trying again may help.
    Unavailable(Box<dyn std::error::Error + Send + Sync>),
    /// It may or may not have committed: resubmit the same batch.
    Unknown(Box<dyn std::error::Error + Send + Sync>),
    /// It holds something that it cannot have written, or was asked something senseless.
    Corrupt(String),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable(cause) => write!(f, "the store is unavailable: {cause}"),
            Self::Unknown(cause) => write!(f, "the store may or may not have committed: {cause}"),
            Self::Corrupt(what) => write!(f, "the store is corrupt: {what}"),
        }
    }
}

impl std::error::Error for StoreError {}

/// Tells that something was committed, perhaps by another process.
pub type Changes = futures_util::stream::BoxStream<'static, ()>;

/// Bytes by key, atomically. See the module's rules.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// The records at `keys`, in that order, strongly consistent. At most 100 keys.
    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, StoreError>;

    /// A page of an index. May lag behind commits.
    async fn query(&self, query: &Query) -> Result<Found, StoreError>;

    /// Commits a batch, or says why not.
    async fn commit(&self, batch: &Batch) -> Result<Outcome, StoreError>;

    /// Who holds a name, strongly consistent.
    async fn holder(&self, name: &str) -> Result<Option<String>, StoreError>;

    /// What a counter shows, strongly consistent; 0 when it was never counted.
    async fn counter(&self, name: &str) -> Result<i64, StoreError>;

    /// Records, holders and counters at once, strongly consistent: in one round trip, where the store can.
    async fn read_batch(&self, asked: &ReadBatch) -> Result<ReadResults, StoreError> {
        asked.check()?;
        let mut results = ReadResults { records: self.get_many(&asked.keys).await?, ..ReadResults::default() };
        for name in &asked.claims {
            results.holders.push(self.holder(name).await?);
        }
        for name in &asked.counters {
            results.counters.push(self.counter(name).await?);
        }
        Ok(results)
    }

    /// Adds one to a counter on its own and returns the result. Not repeatable: a lost reply leaves a gap. Leaves the
    /// counter's expiry as it is.
    async fn increment(&self, counter: &str) -> Result<i64, StoreError>;

    /// Notes that a record was used, without a version. Nothing happens when it is absent.
    async fn note(&self, key: &Key, at: Timestamp) -> Result<(), StoreError>;

    /// Deletes up to `limit` records, counters and markers that expired before `now`; returns how many. None where
    /// [`Store::expires_by_itself`].
    async fn expire(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError>;

    /// Whether the store deletes by itself what has expired, some time after.
    fn expires_by_itself(&self) -> bool {
        false
    }

    /// Sees to it that a batch is never committed, however late a copy of it arrives: for one that was refused after an earlier
    /// submission had gone unanswered, which may still be on its way. `false` when it was committed before. It is not to be
    /// submitted again.
    ///
    /// The batch's place is taken by one that only says so, under the same id.
    async fn withdraw(&self, batch: &Batch) -> Result<bool, StoreError> {
        let key = Key::new(Kind::Meta, format!("withdrawn/{}", batch.id()));
        let expires_at = Some(batch.at().plus(MARKERS_KEPT));
        let mut instead = Batch::new(batch.id().clone(), batch.at());
        let note = Draft { key: key.clone(), schema: 1, body: "{}".to_owned(), expires_at };
        instead.push(Op::Insert(note)).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        match self.commit(&instead).await? {
            Outcome::Committed => Ok(self.get_many(&[key]).await?.iter().any(Option::is_some)),
            // It was withdrawn so long ago that its marker is gone.
            Outcome::Refused(_) => Ok(true),
        }
    }

    /// Something that tells of commits sooner than looking would, where the store has it. It may tell of too much, and it may miss some:
    /// whoever waits looks now and then all the same. Whatever it holds is given back when it is dropped.
    async fn changes(&self) -> Option<Changes> {
        None
    }

    /// What time it is for the store, where it has a clock that all processes share. What is old is judged by the earlier of this
    /// and one's own.
    async fn clock(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(None)
    }

    /// Whether the store answers, and takes writes.
    async fn ping(&self) -> Result<(), StoreError>;
}
