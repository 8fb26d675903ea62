//! Deleting what has expired.

use crate::{
    fault::Fault,
    tables::{A_COMMIT, A_COUNTER, Tables, kind, text},
};
use asgard_lib::{kernel::Timestamp, ports::store::Key};
use redb::ReadableTable;

/// Deletes up to `limit` records, counters and markers that expired before `now`, the earliest first; how many.
pub fn expire(tables: &mut Tables<'_>, now: Timestamp, limit: usize) -> Result<usize, Fault> {
    let now = text(now);
    let mut due = Vec::new();
    for found in tables.expiries.range(..(now.as_str(), "", ""))?.take(limit) {
        let (entry, _) = found?;
        let (at, what, name) = entry.value();
        due.push((at.to_owned(), what.to_owned(), name.to_owned()));
    }
    for (at, what, name) in &due {
        match what.as_str() {
            A_COUNTER => {
                tables.counters.remove(name.as_str())?;
            }
            A_COMMIT => {
                tables.commits.remove(name.as_str())?;
            }
            record => {
                tables.remove(&Key::new(kind(record)?, name.as_str()))?;
            }
        }
        tables.expiries.remove((at.as_str(), what.as_str(), name.as_str()))?;
    }
    Ok(due.len())
}
