//! A resource's Terraform state: sealed bytes, and the pointer that says which are current.

use super::claimed_run::{ClaimedRun, lost};
use crate::{
    app::{Asgard, Tx, core::waiver::AuditWaiver, services::kept},
    domain::{
        request::Request,
        resource::{Applied, Resource, StatePointer},
        run::{Inventory, Run, StoredState},
    },
    error::{Code, Error, Result},
    kernel::{ResourceId, RunId},
    ports::records::{Records, Stored},
};
use serde::Deserialize;
use std::collections::BTreeSet;
use zeroize::Zeroizing;

/// What Asgard needs to know of a state file; the rest is Terraform's business.
#[derive(Deserialize)]
struct Facts {
    serial: u64,
    lineage: String,
}

/// What became of a state that was to be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// It is the current one now.
    Stored,
    /// It was the current one already.
    Same,
}

fn context(resource: &ResourceId, lineage: &str, serial: u64) -> String {
    format!("state|{resource}|{lineage}|{serial}")
}

fn sealed_id(resource: &ResourceId, serial: u64, run: &RunId) -> String {
    format!("state/{resource}/{serial}-{run}")
}

/// Every sealed state that a pointer keeps.
pub(crate) fn sealed_states(pointer: &StatePointer) -> Vec<String> {
    pointer.history.iter().chain([&pointer.sealed]).cloned().collect()
}

/// The current Terraform state of a resource. It holds secrets: for the operator's own tools, never for an answer.
pub async fn current_state(app: &Asgard, resource: &ResourceId) -> Result<Option<Zeroizing<Vec<u8>>>> {
    let Some(pointer) = app.store().read::<StatePointer>(resource.as_str()).await? else { return Ok(None) };
    read(app, &pointer).await.map(Some)
}

async fn read(app: &Asgard, pointer: &StatePointer) -> Result<Zeroizing<Vec<u8>>> {
    let context = context(&pointer.resource, &pointer.lineage, pointer.serial);
    let found = app.vault().read(&pointer.sealed, &context).await?;
    found.ok_or_else(|| Error::bug(format!("the current state {} of {} is gone", pointer.sealed, pointer.resource)))
}

/// Stores a state as the current one, under the lease.
pub(super) async fn store(claimed_run: &ClaimedRun, state: &[u8]) -> Result<Kept> {
    let Facts { serial, lineage } = serde_json::from_slice(state)
        .map_err(|e| Error::invalid("state", "This is not a whole Terraform state.").caused_by(e))?;
    if lineage.is_empty() || lineage.len() > 100 {
        return Err(Error::invalid("state", "A Terraform state has a lineage of 1 to 100 characters."));
    }
    let (app, resource, run) = (claimed_run.app(), &claimed_run.resource, &claimed_run.run);

    // Sealing a large state costs, so what would be refused is refused first; the commit looks again.
    let present = app.store().read::<StatePointer>(resource.as_str()).await?;
    if fits(app, present.as_ref(), &lineage, serial, state).await? == Kept::Same {
        return Ok(Kept::Same);
    }
    // Older states are forgotten before the pointer stops naming them: a crash in between leaves names, never bytes.
    let kept = prune(app, present.as_ref(), run).await?;
    let sealed = sealed_id(resource, serial, run);
    let draft = app.vault().prepare(&sealed, &context(resource, &lineage, serial), state).await?;

    let (held_lease, draft, kept, lineage, sealed) = (&claimed_run.held_lease, &draft, &kept, &lineage, &sealed);
    let work = app.transact(held_lease.call(), |tx| {
        Box::pin(async move {
            if held_lease.mine(tx).await?.is_none() {
                return Ok(None);
            }
            tx.waive_audit(AuditWaiver::RunState)?;
            let now = tx.read_checked::<StatePointer>(resource.as_str()).await?;
            if fits(app, now.as_ref(), lineage, serial, state).await? == Kept::Same {
                return Ok(Some(Kept::Same));
            }
            // What the run's folder holds may go once this says that it is stored.
            let held = tx.need::<Run>(run.as_str()).await?;
            let pointer = StatePointer {
                resource: resource.clone(),
                serial,
                lineage: lineage.clone(),
                sealed: sealed.clone(),
                history: kept.clone(),
                applied: made_with(tx, &held, now.as_deref()).await?,
                run: run.clone(),
                at: tx.now(),
            };
            tx.insert_draft(draft.clone())?;
            let state = Some(StoredState { lineage: lineage.clone(), serial });
            tx.replace(&held, &Run { state, kept: None, ..held.value.clone() })?;
            match &now {
                None => tx.insert(&pointer)?,
                Some(old) => tx.replace(old, &pointer)?,
            }
            Ok(Some(Kept::Stored))
        })
    });
    held_lease.commit(work).await?.ok_or_else(lost)
}

/// What the state that a run stores was made with. The first state of an apply takes over the module that the run refers to; what the
/// one before was made with is not needed any more.
async fn made_with(tx: &mut Tx<'_>, run: &Run, before: Option<&StatePointer>) -> Result<Option<Applied>> {
    let earlier = before.and_then(|pointer| pointer.applied.as_ref());
    let Some(module) = run.kept.clone() else {
        let known = before.and_then(StatePointer::made_with);
        // What a version that keeps no modules has left behind stays as it is, for its reference to be dropped one day.
        return Ok(known.map(|known| Applied { run: run.id.clone(), ..known.clone() }).or_else(|| earlier.cloned()));
    };
    match earlier {
        Some(earlier) if earlier.module == module => kept::drop_second(tx, &module)?,
        Some(earlier) => kept::release(tx, &earlier.module)?,
        None => {}
    }
    let gone = |what: &str| Error::bug(format!("{what} of {} is gone", run.id));
    let request = run.request.as_ref().ok_or_else(|| gone("the request"))?;
    let request = tx.read::<Request>(request.as_str()).await?.ok_or_else(|| gone("the request"))?;
    let resource = tx.read::<Resource>(run.resource.as_str()).await?.ok_or_else(|| gone("the resource"))?;
    let (spec, rotation) = request.command.inputs(&resource);
    Ok(Some(Applied { module, run: run.id.clone(), rotation, spec: spec.clone() }))
}

/// Whether a state may take the present one's place.
async fn fits(
    app: &Asgard,
    present: Option<&Stored<StatePointer>>,
    lineage: &str,
    serial: u64,
    state: &[u8],
) -> Result<Kept> {
    let Some(present) = present else { return Ok(Kept::Stored) };
    if present.accepts(lineage, serial) {
        return Ok(Kept::Stored);
    }
    if present.lineage != lineage {
        let why = format!("The state has lineage {lineage}; that of {} is {}.", present.resource, present.lineage);
        return Err(Error::new(Code::WrongState, why));
    }
    if present.serial == serial && *read(app, present).await? == state {
        return Ok(Kept::Same);
    }
    let why = format!("The state has serial {serial}; that of {} is at {} already.", present.resource, present.serial);
    Err(Error::new(if serial < present.serial { Code::StaleVersion } else { Code::WrongState }, why))
}

/// Whether a state that a run left in its folder adds nothing to what is stored.
pub(super) async fn is_stored(app: &Asgard, run: &Run, state: &[u8]) -> Result<bool> {
    let Ok(Facts { serial, lineage }) = serde_json::from_slice(state) else { return Ok(false) };
    if let Some(stored) = &run.state {
        return Ok(stored.lineage == lineage && serial <= stored.serial);
    }
    // The run began without a state and stored none, or a version before this one carried it out and noted nothing.
    let pointer = app.store().read::<StatePointer>(run.resource.as_str()).await?;
    let by_this_run = sealed_id(&run.resource, serial, &run.id);
    Ok(pointer.is_some_and(|pointer| sealed_states(&pointer).contains(&by_this_run))
        || Inventory::of(state) == Inventory::default())
}

/// Forgets the oldest states beyond what is kept, and returns the history that the next pointer has. The state that the run began with
/// stays as long as the run stores others: it tells what the run has recorded.
async fn prune(app: &Asgard, present: Option<&Stored<StatePointer>>, run: &RunId) -> Result<Vec<String>> {
    let Some(present) = present else { return Ok(Vec::new()) };
    let states = sealed_states(present);
    let began = began_with(&states, run).map(str::to_owned);
    let (excess, mut history) = (states.len().saturating_sub(StatePointer::HISTORY), Vec::new());
    let mut forgotten = 0;
    for state in states {
        if forgotten < excess && began.as_ref() != Some(&state) {
            app.vault().forget(&state).await?;
            forgotten += 1;
        } else {
            history.push(state);
        }
    }
    Ok(history)
}

/// The sealed state that a run began with, among those that a pointer keeps.
fn began_with<'a>(states: &'a [String], run: &RunId) -> Option<&'a str> {
    states.iter().rev().map(String::as_str).find(|state| !state.ends_with(&format!("-{run}")))
}

/// The addresses of what a run is known to have recorded in the current state.
pub(super) async fn recorded_by(app: &Asgard, run: &Run) -> Result<BTreeSet<String>> {
    let Some(pointer) = app.store().read::<StatePointer>(run.resource.as_str()).await? else {
        return Ok(BTreeSet::new());
    };
    if pointer.run != run.id {
        // The current state is the one that it began with.
        return Ok(BTreeSet::new());
    }
    let states = sealed_states(&pointer);
    let before = match began_with(&states, &run.id) {
        None => Inventory::default(),
        Some(sealed) => Inventory::of(&earlier(app, &pointer, sealed).await?),
    };
    Ok(Inventory::of(&read(app, &pointer).await?).recorded_since(&before))
}

/// An earlier state that a pointer keeps.
async fn earlier(app: &Asgard, pointer: &StatePointer, sealed: &str) -> Result<Zeroizing<Vec<u8>>> {
    let serial =
        sealed.rsplit('/').next().and_then(|name| name.split_once('-')).and_then(|(serial, _)| serial.parse().ok());
    let gone = || Error::bug(format!("the earlier state {sealed} of {} is gone", pointer.resource));
    let context = context(&pointer.resource, &pointer.lineage, serial.ok_or_else(gone)?);
    app.vault().read(sealed, &context).await?.ok_or_else(gone)
}
