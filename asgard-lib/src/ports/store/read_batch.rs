//! Several strong reads in one round trip.

use super::{Batch, Key, Record, StoreError};

/// What one [`Store::read_batch`](super::Store::read_batch) asks for: at most [`Batch::MAX_READS`] in all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadBatch {
    /// Records, by their keys.
    pub keys: Vec<Key>,
    /// Names, to know who holds them.
    pub claims: Vec<String>,
    /// Counters.
    pub counters: Vec<String>,
}

impl ReadBatch {
    /// How much it asks for.
    pub fn len(&self) -> usize {
        self.keys.len() + self.claims.len() + self.counters.len()
    }

    /// Whether it asks for nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Refuses to look at too much at once. Every backend calls it.
    pub fn check(&self) -> Result<(), StoreError> {
        if self.len() > Batch::MAX_READS {
            let (asked, most) = (self.len(), Batch::MAX_READS);
            return Err(StoreError::Corrupt(format!("{asked} items are read at once; at most {most} are allowed")));
        }
        Ok(())
    }
}

/// What a [`Store::read_batch`](super::Store::read_batch) shows, each in the order in which it was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadResults {
    /// The records.
    pub records: Vec<Option<Record>>,
    /// Who holds the names.
    pub holders: Vec<Option<String>>,
    /// What the counters show.
    pub counters: Vec<i64>,
}
