//! Turning what the rules decided into writes.

use super::queue::queue;
use crate::{
    app::Tx,
    domain::{
        job::Work,
        project::Project,
        request::{Request, Transition},
        resource::{Resource, ResourceStatus},
    },
    error::Result,
    kernel::{RunId, Usd},
    ports::{records::Stored, store::Count},
};
use std::time::Duration;

/// The id under which a plan run's plan is sealed.
pub(super) fn plan_id(run: &RunId) -> String {
    format!("plan/{run}")
}

/// Writes a turn of a request: request, resource, money, claims, the run that follows and what is to be forgotten. Returns
/// the request as it will be. The caller audits.
pub fn apply_transition(
    tx: &mut Tx<'_>,
    request: &Stored<Request>,
    resource: &Stored<Resource>,
    transition: Transition,
) -> Result<Request> {
    let frees_name = transition.frees_name() && resource.status != ResourceStatus::Destroyed;
    let Transition { request: mut next, resource: mut after, next_run, money, ceiling, drop_plan } = transition;
    if let Some(run) = &next_run {
        // Before the run that may make things, not after: from now on somebody has to look.
        after.unmade &= !run.op.changes_things();
        queue(tx, &mut next, &after, run)?;
    }
    if next.status.is_over() {
        tx.release(request.claim(), &request.id)?;
    }
    if frees_name {
        tx.release(resource.claim(), &resource.id)?;
        tx.count(count(Project::resources_counter(&resource.project), -1, None))?;
    }
    if money != 0 || ceiling.is_some() {
        tx.count(count(Project::committed_counter(&request.project), money, ceiling.map(Usd::micros)))?;
    }
    if let Some(run) = drop_plan {
        tx.job(Work::Forget { sealed: vec![plan_id(&run)], secrets: Vec::new() }, Duration::ZERO)?;
    }
    tx.replace(request, &next)?;
    if after != resource.value {
        tx.replace(resource, &after)?;
    }
    Ok(next)
}

fn count(counter: String, delta: i64, ceiling: Option<i64>) -> Count {
    Count { counter, delta, floor: None, ceiling, expires_at: None }
}
