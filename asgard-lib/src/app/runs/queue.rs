//! Queueing runs.

use crate::{
    app::Tx,
    domain::{
        job::Work,
        request::{NextRun, Request},
        resource::Resource,
        run::{OPEN, Run, RunOp, Status},
    },
    error::Result,
    kernel::{ActorRef, RunId},
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

/// Queues a refresh of a resource, for the caller.
pub fn queue_refresh(tx: &mut Tx<'_>, resource: &Resource) -> Result<RunId> {
    let actor = tx.actor()?.reference();
    let run = fresh(tx, resource, RunOp::Refresh, actor);
    enqueue(tx, run)
}

fn fresh(tx: &Tx<'_>, resource: &Resource, op: RunOp, actor: ActorRef) -> Run {
    Run {
        id: tx.id(),
        project: resource.project.clone(),
        resource: resource.id.clone(),
        request: None,
        op,
        status: Status::Queued,
        open: Some(OPEN.to_owned()),
        plan_of: None,
        resume: false,
        actor,
        trace: tx.call().trace.clone(),
        fence: 0,
        attempts: 0,
        whereabouts: None,
        cancel: false,
        runner: tx.app().runner().name().to_owned(),
        engine: None,
        module_digest: None,
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
    tx.insert(&run)?;
    tx.job(Work::LaunchRun { run: run.id.clone() }, Duration::ZERO)?;
    tx.job(Work::CheckRun { run: run.id.clone() }, LOOK_EVERY)?;
    Ok(run.id)
}
