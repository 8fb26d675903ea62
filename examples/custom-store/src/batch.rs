//! Committing a batch: every step is checked, then every step is carried out, in one transaction.

use crate::{
    fault::Fault,
    tables::{A_COMMIT, OwnedEntry, Tables, text},
};
use asgard_lib::ports::store::{Batch, Draft, MARKERS_KEPT, Op, Outcome, Reason, Refusal};
use redb::ReadableTable;

/// What becomes of `batch`, and whether there is something to commit. `entries` are [`crate::tables::entries_of`] its steps.
pub fn commit(tables: &mut Tables<'_>, batch: &Batch, entries: &[Vec<OwnedEntry>]) -> Result<(Outcome, bool), Fault> {
    let id = batch.id().as_str();
    // Before the steps: a batch that was committed would not pass them again.
    if tables.commits.get(id)?.is_some() {
        return Ok((Outcome::Committed, false));
    }
    for (step, op) in batch.ops().iter().enumerate() {
        if let Some(reason) = refusal_of(tables, op)? {
            return Ok((Outcome::Refused(Refusal { step, reason }), false));
        }
    }
    for (op, entries) in batch.ops().iter().zip(entries) {
        carry_out(tables, batch, op, entries)?;
    }
    tables.commits.insert(id, ())?;
    tables.expiries.insert((text(batch.at().plus(MARKERS_KEPT)).as_str(), A_COMMIT, id), ())?;
    Ok((Outcome::Committed, true))
}

/// What stands in the way of a step.
fn refusal_of(tables: &Tables<'_>, op: &Op) -> Result<Option<Reason>, Fault> {
    Ok(match op {
        Op::Insert(Draft { key, .. }) | Op::Require(key, None) => tables.version(key)?.map(|_| Reason::Exists),
        Op::Replace(Draft { key, .. }, seen) | Op::Remove(key, seen) | Op::Require(key, Some(seen)) => {
            (tables.version(key)?.as_deref() != Some(seen.as_str())).then_some(Reason::Changed)
        }
        Op::Claim { name, .. } => tables.claims.get(name.as_str())?.map(|_| Reason::Taken),
        Op::Release { name, owner } => {
            let holder = tables.claims.get(name.as_str())?;
            (holder.as_ref().map(redb::AccessGuard::value) != Some(owner.as_str())).then_some(Reason::NotHeld)
        }
        Op::Count(count) => count.step(tables.counter(&count.counter)?.0).err(),
    })
}

fn carry_out(tables: &mut Tables<'_>, batch: &Batch, op: &Op, entries: &[OwnedEntry]) -> Result<(), Fault> {
    match op {
        Op::Insert(draft) | Op::Replace(draft, _) => tables.put(draft, batch.id(), entries),
        Op::Remove(key, _) => tables.remove(key).map(|_| ()),
        Op::Require(..) => Ok(()),
        Op::Claim { name, owner } => {
            tables.claims.insert(name.as_str(), owner.as_str())?;
            Ok(())
        }
        Op::Release { name, .. } => {
            tables.claims.remove(name.as_str())?;
            Ok(())
        }
        Op::Count(count) => {
            let before = tables.counter(&count.counter)?.0;
            let value = count.step(before).map_err(|_| Fault::corrupt("a counter moved inside its own transaction"))?;
            tables.set_counter(&count.counter, value, count.expires_at.map(text).as_deref())
        }
    }
}
