//! Turning what the rules decided into writes.

use super::queue::queue;
use crate::{
    app::{Tx, spending},
    domain::{
        job::Work,
        project::Project,
        request::{Ceilings, Request, Transition},
        resource::{Resource, ResourceStatus},
    },
    error::Result,
    kernel::{ProjectId, RunId, Usd},
    ports::{records::Stored, store::Count},
};
use std::time::Duration;

/// The id under which a plan run's plan is sealed.
pub(super) fn plan_id(run: &RunId) -> String {
    format!("plan/{run}")
}

/// Writes a turn of a request: request, resource, money, claims, the run that follows and what is to be forgotten. Returns
/// the request as it will be. The caller audits.
pub async fn apply_transition(
    tx: &mut Tx<'_>,
    request: &Stored<Request>,
    resource: &Stored<Resource>,
    transition: Transition,
) -> Result<Request> {
    let frees_name = transition.frees_name() && resource.status != ResourceStatus::Destroyed;
    let unapproved = transition.unapproved(request, resource);
    let Transition { request: mut next, resource: mut after, next_run, money, ceilings, drop_plan } = transition;
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
    if money != 0 || ceilings.project.is_some() {
        tx.count(count(Project::committed_counter(&request.project), money, ceilings.project.map(Usd::micros)))?;
    }
    spending::count(tx, &request.project, unapproved, ceilings.owner).await?;
    if let Some(run) = drop_plan {
        tx.job(Work::Forget { sealed: vec![plan_id(&run)], secrets: Vec::new() }, Duration::ZERO)?;
    }
    tx.replace(request, &next)?;
    if after != resource.value {
        tx.replace(resource, &after)?;
    }
    Ok(next)
}

/// Has a commit that moves no money keep the ceilings all the same.
pub(super) async fn keep_under(tx: &mut Tx<'_>, project: &ProjectId, ceilings: Ceilings) -> Result<()> {
    if let Some(ceiling) = ceilings.project {
        tx.count(count(Project::committed_counter(project), 0, Some(ceiling.micros())))?;
    }
    spending::count(tx, project, 0, ceilings.owner).await
}

fn count(counter: String, delta: i64, ceiling: Option<i64>) -> Count {
    Count { counter, delta, floor: None, ceiling, expires_at: None }
}
