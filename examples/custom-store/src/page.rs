//! Pages of an index: one range of its entries, and the records that they name, as of one moment.

use crate::{
    fault::Fault,
    tables::{ENTRIES, Entry, RECORDS, record},
};
use asgard_lib::ports::store::{Found, Key, Order, Position, Query};
use redb::{ReadTransaction, StorageError};
use std::ops::Bound;

/// The page that `query` asks for.
pub fn page(transaction: &ReadTransaction, query: &Query) -> Result<Found, Fault> {
    let mut positions = positions(transaction, query)?;
    let more = positions.len() > query.limit;
    positions.truncate(query.limit);
    let rows = transaction.open_table(RECORDS)?;
    let kind = query.index.kind;
    let mut records = Vec::with_capacity(positions.len());
    for Position { id, .. } in &positions {
        let key = Key::new(kind, id.as_str());
        let row = rows.get((kind.name(), id.as_str()))?;
        let row = row.ok_or_else(|| Fault::corrupt(format!("{} names {key}, which is not there", query.index.name)))?;
        records.push(record(key, row.value())?);
    }
    Ok(Found { records, next: positions.pop().filter(|_| more) })
}

/// Where the page's records stand, and the one after them if there is one.
fn positions(transaction: &ReadTransaction, query: &Query) -> Result<Vec<Position>, Fault> {
    let (index, partition) = (query.index.name, query.partition.as_str());
    // Indexed texts hold no U+0000, so nothing stands between a partition and this.
    let end = format!("{partition}\0");
    let sorted = query.index.sort.is_some();
    let bound =
        |text| -> Entry<'_> { if sorted { (index, partition, text, "") } else { (index, partition, "", text) } };
    let after = query.after.as_ref().map(|after| -> Entry<'_> { (index, partition, &after.sort, &after.id) });

    let from = query.from.as_deref().map_or((index, partition, "", ""), bound);
    let below = query.below.as_deref().map_or((index, end.as_str(), "", ""), bound);
    // The position was on the page before, the lower bound is on this one.
    let (low, high) = match (query.order, after) {
        (Order::Ascending, Some(after)) if after >= from => (Bound::Excluded(after), below),
        (Order::Descending, Some(after)) => (Bound::Included(from), below.min(after)),
        (Order::Ascending, _) | (Order::Descending, None) => (Bound::Included(from), below),
    };
    if matches!(low, Bound::Included(low) | Bound::Excluded(low) if low >= high) {
        return Ok(Vec::new());
    }
    let entries = transaction.open_table(ENTRIES)?;
    let range = entries.range::<Entry<'_>>((low, Bound::Excluded(high)))?;
    let position = |found: Result<(redb::AccessGuard<'_, Entry<'static>>, _), StorageError>| {
        found.map(|(entry, _): (_, redb::AccessGuard<'_, ()>)| {
            let (_, _, sort, id) = entry.value();
            Position { sort: sort.to_owned(), id: id.to_owned() }
        })
    };
    let wanted = query.limit + 1;
    Ok(match query.order {
        Order::Ascending => range.take(wanted).map(position).collect::<Result<_, _>>()?,
        Order::Descending => range.rev().take(wanted).map(position).collect::<Result<_, _>>()?,
    })
}
