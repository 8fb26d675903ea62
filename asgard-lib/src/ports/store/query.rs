//! Pages of an index.

use super::{Key, Record, StoreError};
use crate::ports::kinds::Index;
use serde_json::{Map, Value};

impl Index {
    /// Refuses a body whose indexed fields some backend's index cannot take. Every backend calls it for each index of the kind.
    pub fn check(&self, key: &Key, body: &Map<String, Value>) -> Result<(), StoreError> {
        for field in [self.partition, self.sort].into_iter().flatten() {
            let text = body.get(field).and_then(Value::as_str).unwrap_or_default();
            if text.len() > Self::MAX_FIELD || text.contains('\0') {
                return Err(StoreError::Corrupt(format!(
                    "{field} of {key} cannot be indexed: too long, or holds U+0000"
                )));
            }
        }
        Ok(())
    }
}

/// The order of a query's results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Smallest first.
    Ascending,
    /// Largest first.
    Descending,
}

/// A page of an index.
#[derive(Clone, Debug)]
pub struct Query {
    /// Which index.
    pub index: &'static Index,
    /// Which partition; empty for an index without one.
    pub partition: String,
    /// Only records whose sort text is at least this. In an index without a sort field the bounds hold for the id.
    pub from: Option<String>,
    /// Only records whose sort text is below this.
    pub below: Option<String>,
    /// The order.
    pub order: Order,
    /// Start after this position.
    pub after: Option<Position>,
    /// The most records to return, 1 to 1000.
    pub limit: usize,
}

impl Query {
    /// The first 50 records of a partition, ascending.
    pub fn new(index: &'static Index, partition: impl Into<String>) -> Self {
        Self {
            index,
            partition: partition.into(),
            from: None,
            below: None,
            order: Order::Ascending,
            after: None,
            limit: 50,
        }
    }

    /// The most records on a page.
    pub const MAX_LIMIT: usize = 1000;

    /// Refuses a page size out of bounds, and a partition where the index has none. Every backend calls it.
    pub fn check(&self) -> Result<(), StoreError> {
        if !(1..=Self::MAX_LIMIT).contains(&self.limit) {
            return Err(StoreError::Corrupt(format!(
                "a page of {} records; 1 to {} are allowed",
                self.limit,
                Self::MAX_LIMIT
            )));
        }
        if self.index.partition.is_none() && !self.partition.is_empty() {
            return Err(StoreError::Corrupt(format!("index {} has no partitions", self.index.name)));
        }
        Ok(())
    }

    /// Largest first.
    #[must_use]
    pub fn newest_first(mut self) -> Self {
        self.order = Order::Descending;
        self
    }

    /// At most `limit` records.
    #[must_use]
    pub fn take(mut self, limit: usize) -> Self {
        self.limit = limit.clamp(1, Self::MAX_LIMIT);
        self
    }

    /// Only sort text below `bound`.
    #[must_use]
    pub fn below(mut self, bound: impl Into<String>) -> Self {
        self.below = Some(bound.into());
        self
    }

    /// Only sort text from `bound` on.
    #[must_use]
    pub fn from(mut self, bound: impl Into<String>) -> Self {
        self.from = Some(bound.into());
        self
    }

    /// Start after `position`.
    #[must_use]
    pub fn after(mut self, position: Option<Position>) -> Self {
        self.after = position;
        self
    }
}

/// A place in an index: the sort text (empty for an index without one) and the id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Position {
    /// The sort text.
    pub sort: String,
    /// The record's id.
    pub id: String,
}

/// Records of one page, and where the next page starts if there is one.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The records in order.
    pub records: Vec<Record>,
    /// Pass as [`Query::after`]; `None` when the index holds no more.
    pub next: Option<Position>,
}
