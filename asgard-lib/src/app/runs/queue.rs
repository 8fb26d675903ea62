//! Queueing runs.

use crate::{
    app::Tx,
    domain::{
        job::Work,
        request::{NextRun, Request},
        resource::Resource,
        run::{OPEN, Run, RunOp, RunStatus},
    },
    error::{Code, Error, Result},
    kernel::{ActorRef, ResourceId, RunId},
};
use std::time::Duration;

/// How soon somebody looks after a run that was queued, and how often from then on.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Queues a run of a request, and makes it the request's current one. The caller writes the request.
pub fn queue(tx: &mut Tx<'_>, request: &mut Request, resource: &Resource, next: &NextRun) -> Result<RunId> {
    let mut run = fresh(tx, resource, next.op, request.requested_by.clone());
    run.request = Some(request.id.clone());
    run.plan_of.clone_from(&next.plan_of);
    run.resume = next.resume;
    request.current_run = Some(run.id.clone());
    enqueue(tx, run)
}

/// The claim that lets a resource have one refresh under way.
fn refresh_claim(resource: &ResourceId) -> String {
    format!("refresh/{resource}")
}

/// Lets the next refresh of the resource begin, when this run was one.
pub(super) fn free_refresh(tx: &mut Tx<'_>, run: &Run) -> Result<()> {
    if run.request.is_none() { tx.release(refresh_claim(&run.resource), &run.id) } else { Ok(()) }
}

/// Queues a refresh of a resource, for the caller. A resource has one under way at a time.
pub fn queue_refresh(tx: &mut Tx<'_>, resource: &Resource) -> Result<RunId> {
    let actor = tx.actor()?.reference();
    let run = fresh(tx, resource, RunOp::Refresh, actor);
    let under_way =
        Error::new(Code::WrongState, "A refresh of this resource is under way already; resource_runs shows it.");
    tx.claim_or(refresh_claim(&resource.id), &run.id, under_way)?;
    enqueue(tx, run)
}

fn fresh(tx: &Tx<'_>, resource: &Resource, op: RunOp, actor: ActorRef) -> Run {
    Run {
        id: tx.id(),
        project: resource.project.clone(),
        resource: resource.id.clone(),
        request: None,
        op,
        status: RunStatus::Queued,
        open: Some(OPEN.to_owned()),
        plan_of: None,
        resume: false,
        actor,
        trace: tx.call().trace.clone(),
        fence: 0,
        attempts: 0,
        location: None,
        ends_in_time: false,
        cancel: false,
        launch: None,
        runner: tx.app().runner().name().to_owned(),
        engine: None,
        module_digest: None,
        inputs: None,
        applying: None,
        state: None,
        kept: None,
        folder_kept: false,
        summary: None,
        drift: Vec::new(),
        may_exist: Vec::new(),
        error: None,
        created_at: tx.now(),
        started_at: None,
        finished_at: None,
    }
}

fn enqueue(tx: &mut Tx<'_>, run: Run) -> Result<RunId> {
    let launch = tx.job(Work::LaunchRun { run: run.id.clone() }, Duration::ZERO)?;
    let run = Run { launch: Some(launch), ..run };
    tx.insert(&run)?;
    tx.job(Work::CheckRun { run: run.id.clone() }, LOOK_EVERY)?;
    Ok(run.id)
}
