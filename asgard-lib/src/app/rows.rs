//! Lists as rows of their own, for orders and filters that the indexes of a kind do not give. A commit that changes a record
//! of such a list appends a [`Change`]; the projector, one process at a time, brings rows and counts up to date and removes
//! the change, all in one commit. See `docs/adr/0019-list-rows.md`.

mod requests;
#[cfg(test)]
mod tests;

use crate::{
    app::{
        Asgard, Call, Tx,
        core::waiver::AuditWaiver,
        periodic::{Next, Periodic, PeriodicTask},
    },
    domain::change::Change,
    error::Result,
    kernel::Timestamp,
    ports::{
        kinds::{CHANGES, Index, Kind},
        records::{Entity, Records, Stored},
        store::{Position, Query},
    },
};
use async_trait::async_trait;
pub use requests::{REQUEST_ROWS, RequestRows};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, marker::PhantomData, sync::Arc, time::Duration};

/// The most changes in one commit: each may take a row and its own removal, and the list's state is one more item.
const COMMIT: usize = 45;
/// How many changes one turn looks at.
const TURN: usize = 450;
/// How often all sources are walked over.
const WALK_EVERY: Duration = Duration::from_hours(24);
/// How long an index may need to show a commit. What was committed this long ago and left no change is in the list.
const SETTLE: Duration = Duration::from_secs(2);

/// A list that is kept as rows.
pub trait RowList: Send + Sync + 'static {
    /// What the rows follow. Its `LIST` is [`RowList::NAME`].
    type Source: Entity;
    /// A row; its record has the id of its source.
    type Row: Entity + PartialEq;
    /// The list's name.
    const NAME: &'static str;
    /// The periodic task that keeps the rows.
    const TASK: Periodic;
    /// All sources in the order of their ids, for the first fill.
    const SOURCES: &'static Index;
    /// The row of a source.
    fn row(source: &Self::Source) -> Self::Row;
    /// What the row is counted under: one of few.
    fn counted(row: &Self::Row) -> &'static str;
}

/// How a list stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListState {
    /// `list/` and the list's name.
    id: String,
    /// How many rows are counted under each name.
    counts: BTreeMap<String, u64>,
    /// Whether every source that was there before the list has its row.
    filled: bool,
    /// How far a walk over all sources is, while there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<String>,
    /// When the last walk ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    walked_at: Option<Timestamp>,
}

impl Entity for ListState {
    const KIND: Kind = Kind::Meta;
    const NOUN: &'static str = "state of a list";
    fn record_id(&self) -> String {
        self.id.clone()
    }
}

impl ListState {
    fn of(list: &str) -> String {
        format!("list/{list}")
    }

    /// Whether all sources are to be walked over: for the first time, or because a process of a version that knows no changes may
    /// have written some since.
    fn wants_walk(&self, now: Timestamp) -> bool {
        self.after.is_some() || self.walked_at.is_none_or(|at| !at.is_within(WALK_EVERY, now))
    }

    fn count(&mut self, name: &str, more: bool) {
        let count = self.counts.entry(name.to_owned()).or_default();
        *count = if more { count.saturating_add(1) } else { count.saturating_sub(1) };
    }
}

/// The counts of a list, and the moment that it is complete up to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListCounts {
    /// How many rows are counted under each name.
    pub counts: BTreeMap<String, u64>,
    /// Everything that was committed before this moment is in the list; nothing while it is first filled.
    pub as_of: Option<Timestamp>,
}

/// The counts of the list of that name.
pub async fn counts(app: &Asgard, list: &str) -> Result<ListCounts> {
    // The oldest change is looked for before the counts are read: they may be newer than `as_of`, never older.
    let now = app.world().now();
    let oldest = app.store().list::<Change>(&Query::new(&CHANGES, list).take(1)).await?;
    let state = app.store().read::<ListState>(&ListState::of(list)).await?;
    let settled = now.minus(SETTLE);
    let as_of = oldest.items.first().map_or(settled, |change| change.at.min(settled));
    Ok(match state {
        Some(state) => ListCounts { counts: state.value.counts, as_of: state.value.filled.then_some(as_of) },
        None => ListCounts { counts: BTreeMap::new(), as_of: None },
    })
}

/// Keeps the rows of a list.
#[derive(Debug)]
pub struct KeepRows<L>(PhantomData<L>);

impl<L> Default for KeepRows<L> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

#[async_trait]
impl<L: RowList> PeriodicTask for KeepRows<L> {
    fn declared(&self) -> Periodic {
        L::TASK
    }

    async fn wanted(&self, app: &Arc<Asgard>) -> Result<bool> {
        if !app.store().list::<Change>(&Query::new(&CHANGES, L::NAME).take(1)).await?.items.is_empty() {
            return Ok(true);
        }
        let state = app.store().read::<ListState>(&ListState::of(L::NAME)).await?;
        Ok(state.is_none_or(|state| state.wants_walk(app.world().now())))
    }

    async fn run(&self, app: &Arc<Asgard>) -> Result<Next> {
        let changes = app.store().list::<Change>(&Query::new(&CHANGES, L::NAME).take(TURN)).await?;
        for some in changes.items.chunks(COMMIT) {
            let ids: Vec<String> = some.iter().map(|change| change.id.to_string()).collect();
            follow::<L>(app, &ids).await?;
        }
        let state = app.store().read::<ListState>(&ListState::of(L::NAME)).await?;
        if state.as_ref().is_none_or(|state| state.wants_walk(app.world().now())) {
            walk::<L>(app, state.and_then(|state| state.value.after)).await?;
            return Ok(Next::Again);
        }
        Ok(if changes.next.is_some() { Next::Again } else { Next::Rest })
    }
}

fn call(app: &Asgard) -> Call {
    Call::system("list-rows", app.new_trace())
}

/// Brings the rows of the next sources up to date, whether they changed or not.
async fn walk<L: RowList>(app: &Asgard, after: Option<String>) -> Result<()> {
    let from = after.clone().map(|id| Position { sort: String::new(), id });
    let page = app.store().list::<L::Source>(&Query::new(L::SOURCES, "").after(from).take(COMMIT)).await?;
    let objects: Vec<String> = page.items.iter().map(|source| source.value.record_id()).collect();
    let (call, objects, after, next) = (call(app), &objects, &after, &page.next);
    app.transact(&call, |tx| {
        Box::pin(async move {
            tx.waive_audit(AuditWaiver::ListRows)?;
            let (stored, mut state) = read_state::<L>(tx).await?;
            if state.after != *after {
                return Ok(()); // another process was here
            }
            bring_up_to_date::<L>(tx, objects, &mut state).await?;
            state.after = next.as_ref().map(|position| position.id.clone());
            if next.is_none() {
                state.filled = true;
                state.walked_at = Some(tx.now());
            }
            write(tx, stored.as_ref(), &state)
        })
    })
    .await
}

/// Brings the rows up to date that these changes are about, and removes the changes.
async fn follow<L: RowList>(app: &Asgard, changes: &[String]) -> Result<()> {
    let call = call(app);
    app.transact(&call, |tx| {
        Box::pin(async move {
            tx.waive_audit(AuditWaiver::ListRows)?;
            // The changes are read before their sources: a source that is read then has what they announce.
            let changes = tx.read_many_checked::<Change>(changes).await?;
            let mut objects: Vec<String> = changes.iter().map(|change| change.object.clone()).collect();
            objects.sort();
            objects.dedup();
            let (stored, mut state) = read_state::<L>(tx).await?;
            bring_up_to_date::<L>(tx, &objects, &mut state).await?;
            for change in &changes {
                tx.remove(change)?;
            }
            write(tx, stored.as_ref(), &state)
        })
    })
    .await
}

async fn read_state<L: RowList>(tx: &mut Tx<'_>) -> Result<(Option<Stored<ListState>>, ListState)> {
    let id = ListState::of(L::NAME);
    let stored = tx.read_checked::<ListState>(&id).await?;
    let state = stored.as_ref().map_or_else(|| ListState { id, ..ListState::default() }, |state| state.value.clone());
    Ok((stored, state))
}

fn write(tx: &mut Tx<'_>, stored: Option<&Stored<ListState>>, state: &ListState) -> Result<()> {
    match stored {
        Some(before) if before.value == *state => Ok(()),
        Some(before) => tx.replace(before, state),
        None => tx.insert(state),
    }
}

/// Makes each row what its source says, and counts it. Two processes at once meet at the row that both write.
async fn bring_up_to_date<L: RowList>(tx: &mut Tx<'_>, objects: &[String], state: &mut ListState) -> Result<()> {
    let store = tx.app().store();
    let rows = store.read_many::<L::Row>(objects).await?;
    let sources = store.read_many::<L::Source>(objects).await?;
    for (row, source) in rows.into_iter().zip(sources) {
        let wanted = source.map(|source| L::row(&source.value));
        if let (Some(row), Some(wanted)) = (&row, &wanted)
            && row.value == *wanted
        {
            continue;
        }
        if let Some(row) = &row {
            state.count(L::counted(&row.value), false);
        }
        if let Some(wanted) = &wanted {
            state.count(L::counted(wanted), true);
        }
        match (row, wanted) {
            (None, None) => {}
            (None, Some(wanted)) => tx.insert(&wanted)?,
            (Some(row), Some(wanted)) => tx.replace(&row, &wanted)?,
            (Some(row), None) => tx.remove(&row)?,
        }
    }
    Ok(())
}
