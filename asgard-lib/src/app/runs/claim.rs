//! Claiming a run: the lease, the last questions, and what the supervisor is handed.

use super::{
    assignment::{Claimed, Missing, Module, assignment, inputs_digest},
    claimed_run::{Claim, Claimant, ClaimedRun},
    held_lease::HeldLease,
    log_budget::LogBudget,
    permit::{Permit, permit},
    queue::free_refresh,
    transition::{apply_transition, keep_under},
};
use crate::{
    app::{Asgard, Call, Tx, core::submit::pause, services::kept::judged_by},
    domain::{
        audit::AuditAction,
        lease::Lease,
        project::Project,
        request::{self, Ceilings, Request, RequestStatus},
        resource::{Resource, ResourceStatus, StatePointer},
        run::{Run, RunOp, RunStatus, StoredState},
    },
    error::{Error, Result},
    kernel::{HolderId, RunId, Timestamp},
    ports::{
        records::{Records, Stored},
        runner::RunOutcome,
    },
};
use std::{sync::Arc, time::Duration};

/// How long a lease lasts whose holder lives inside a serving process: its work is short, and nobody can prove it dead.
pub(super) const IN_PROCESS: Duration = Duration::from_secs(20);
/// How often reading the assignment is tried.
const MAX_READS: u32 = 8;

/// How long the lease of a run lasts without being renewed.
pub(super) fn lease_lasts(app: &Asgard) -> Duration {
    let set = Duration::from_secs(app.config().runs.lease_ttl_secs);
    if app.runner().is_dry() { set.min(IN_PROCESS) } else { set }
}

enum Attempt {
    Claimed(Box<(Claimed, Lease)>),
    NotNeeded(String),
    Held(Timestamp),
}

impl ClaimedRun {
    /// Claims a run.
    pub async fn claim(app: &Arc<Asgard>, run: &RunId, claimant: Claimant) -> Result<Claim> {
        Box::pin(claim(app, run, claimant)).await
    }
}

async fn claim(app: &Arc<Asgard>, id: &RunId, claimant: Claimant) -> Result<Claim> {
    let Some(seen) = app.store().read::<Run>(id.as_str()).await? else { return Err(Error::not_found("run")) };
    let ttl = lease_lasts(app);
    let holder: HolderId = app.world().id();
    let call = Call::system("supervisor", seen.trace.clone());
    let (claimant, owner) = (&claimant, &holder);
    let attempt = app
        .transact(&call, |tx| {
            Box::pin(async move {
                tx.as_system()?;
                attempt(tx, id, claimant, owner, ttl).await
            })
        })
        .await?;
    let (claimed, lease) = match attempt {
        Attempt::Claimed(claimed) => *claimed,
        Attempt::NotNeeded(why) => return Ok(Claim::NotNeeded { why }),
        Attempt::Held(until) => return Ok(Claim::Held { until }),
    };
    let claimed_run = ClaimedRun {
        held_lease: HeldLease::new(Arc::clone(app), seen.trace.clone(), &lease, holder, ttl),
        run: id.clone(),
        op: seen.op,
        resource: claimed.resource.id.clone(),
        inputs: None,
        module: None,
        log: tokio::sync::Mutex::new(LogBudget::default()),
    };
    hand_over(claimed_run, &claimed).await
}

/// Reads the assignment under the lease. Without one the run goes back: nothing was changed yet.
async fn hand_over(mut claimed_run: ClaimedRun, claimed: &Claimed) -> Result<Claim> {
    let mut tries = 0;
    loop {
        match assignment(claimed_run.app(), claimed).await {
            Ok(assignment) => {
                claimed_run.inputs = Some(inputs_digest(claimed_run.app(), claimed, &assignment.variables)?);
                // What the dry run applies is nothing that has to be removed.
                if claimed.run.op == RunOp::Apply && !claimed_run.app().runner().is_dry() {
                    claimed_run.module = Some(Arc::clone(&assignment.service));
                }
                return Ok(Claim::Claimed(Box::new(assignment), claimed_run));
            }
            Err(Missing::Plan) => {
                let why = "The stored plan is gone; planning again.".to_owned();
                claimed_run.finish(RunOutcome::Stale { why: why.clone() }).await?;
                return Ok(Claim::NotNeeded { why });
            }
            Err(Missing::Error(error)) if error.kind().retryable() && tries < MAX_READS => {
                tries += 1;
                pause(claimed_run.app(), tries).await;
            }
            Err(Missing::Error(error)) => {
                tracing::error!(run.id = %claimed_run.run, error = error.chain(), "What a run needs cannot be read.");
                // Trying again helps only with what passes.
                let outcome = if error.kind().retryable() {
                    RunOutcome::Interrupted { may_exist: Vec::new() }
                } else {
                    let error = format!("What the run needs cannot be read: {}", error.message());
                    RunOutcome::Failed { error, may_exist: Vec::new() }
                };
                claimed_run.finish(outcome).await?;
                return Err(error);
            }
        }
    }
}

async fn attempt(
    tx: &mut Tx<'_>,
    id: &RunId,
    claimant: &Claimant,
    holder: &HolderId,
    ttl: Duration,
) -> Result<Attempt> {
    let Claimant { place, ends_in_time } = claimant;
    let run = tx.need::<Run>(id.as_str()).await?;
    match run.status {
        RunStatus::Queued | RunStatus::Starting => {}
        RunStatus::Running => return Ok(Attempt::NotNeeded("another supervisor has this run".to_owned())),
        RunStatus::Succeeded
        | RunStatus::Failed
        | RunStatus::Cancelled
        | RunStatus::TimedOut
        | RunStatus::Interrupted
        | RunStatus::NeedsAttention => return Ok(Attempt::NotNeeded(format!("this run is {}", run.status.name()))),
    }
    let name = Run::lease_name(&run.resource);
    let lease = tx.read_checked::<Lease>(&name).await?;
    if let Some(held) = lease.as_ref().filter(|lease| lease.holder.is_some()) {
        // A holder that is dead is recovery's: it ends the run that the lease belongs to, and then this one may start.
        return Ok(Attempt::Held(held.expires_at));
    }
    let resource = tx.need::<Resource>(run.resource.as_str()).await?;
    let project = tx
        .read::<Project>(run.project.as_str())
        .await?
        .ok_or_else(|| Error::bug(format!("{} is gone", run.project)))?;
    let request = match &run.request {
        Some(id) => Some(tx.need::<Request>(id.as_str()).await?),
        None => None,
    };
    let ceilings = match admit(tx, &run, request.as_ref(), &resource, &project).await? {
        Admission::Ended(why) => return Ok(Attempt::NotNeeded(why)),
        Admission::Starts(ceilings) => ceilings,
    };
    let pointer = tx.read::<StatePointer>(resource.id.as_str()).await?;
    let applied = match run.op {
        RunOp::Plan | RunOp::Apply => None,
        RunOp::PlanDestroy | RunOp::Destroy | RunOp::Refresh => {
            pointer.as_ref().and_then(|pointer| pointer.made_with().cloned())
        }
    };
    let module = match (applied, tx.app().services().get(&resource.service)) {
        (Some(applied), _) => Module::Kept(Box::new(applied)),
        (None, Some(service)) => Module::Offered(Arc::clone(service)),
        (None, None) => {
            let error = format!("Service {} is not in the catalogue any more.", resource.service);
            return Ok(Attempt::NotNeeded(end_run(tx, &run, RunStatus::Failed, error)?));
        }
    };

    // What was weighed holds when the run begins.
    keep_under(tx, &run.project, ceilings).await?;
    let state = pointer.map(|pointer| StoredState { lineage: pointer.lineage.clone(), serial: pointer.serial });
    let taken = Lease::taken(lease.as_deref(), &name, holder.clone(), Some(place.clone()), tx.now().plus(ttl));
    match &lease {
        None => tx.insert(&taken)?,
        Some(free) => tx.replace(free, &taken)?,
    }
    let running = Run {
        fence: taken.fence,
        applying: run.op.changes_things().then_some(false),
        state,
        attempts: run.attempts + 1,
        location: Some(place.clone()),
        ends_in_time: *ends_in_time,
        runner: tx.app().runner().name().to_owned(),
        started_at: Some(run.started_at.unwrap_or_else(|| tx.now())),
        ..run.go(RunStatus::Running, tx.now())?
    };
    tx.replace(&run, &running)?;
    let begun = match &request {
        Some(request) if run.op.changes_things() => {
            let begun = request.go(RequestStatus::Running, tx.now())?;
            tx.replace(request, &begun)?;
            Some(begun)
        }
        Some(request) => Some(request.value.clone()),
        None => None,
    };
    let details =
        [("op", run.op.name().to_owned()), ("resource", resource.id.to_string()), ("runner", running.runner.clone())];
    tx.audit(Some(&run.project), AuditAction::RunStarted, &run.id, &details)?;
    let claimed = Claimed { run: running, request: begun, resource: resource.value, project: project.value, module };
    Ok(Attempt::Claimed(Box::new((claimed, taken))))
}

fn end_run(tx: &mut Tx<'_>, run: &Stored<Run>, status: RunStatus, why: String) -> Result<String> {
    let over = Run { error: Some(why.clone()), ..run.go(status, tx.now())? };
    tx.replace(run, &over)?;
    free_refresh(tx, run)?;
    let details = [("op", run.op.name().to_owned()), ("ended", status.name().to_owned()), ("why", why.clone())];
    tx.audit(Some(&run.project), AuditAction::RunRefused, &run.id, &details)?;
    Ok(why)
}

/// Whether a run may start.
pub(super) enum Admission {
    /// It may, as long as these ceilings hold.
    Starts(Ceilings),
    /// It must not, and ends in this commit: why.
    Ended(String),
}

/// Ends a run that must not start. Nothing was applied by it.
pub(super) async fn admit(
    tx: &mut Tx<'_>,
    run: &Stored<Run>,
    request: Option<&Stored<Request>>,
    resource: &Stored<Resource>,
    project: &Project,
) -> Result<Admission> {
    let now = tx.now();
    let Some(request) = request else {
        let why = if run.cancel {
            "it was cancelled".to_owned()
        } else if resource.status == ResourceStatus::Destroyed {
            "the resource is destroyed".to_owned()
        } else if let Err(error) = project.require_active() {
            error.message().to_owned()
        } else {
            return Ok(Admission::Starts(Ceilings::default()));
        };
        return end_run(tx, run, RunStatus::Cancelled, why).map(Admission::Ended);
    };
    if request.current_run.as_ref() != Some(&run.id) || request.status != waits_for(run.op) {
        let why = format!("request {} is {} and does not wait for this run", request.id, request.status.name());
        return end_run(tx, run, RunStatus::Cancelled, why).map(Admission::Ended);
    }
    let changes = run.op.changes_things();
    let service = judged_by(tx, &request.command, resource).await?;
    let (status, why, transition) = if run.cancel || request.cancel_requested {
        (RunStatus::Cancelled, "it was cancelled".to_owned(), request::cancelled(request, resource, now)?)
    } else {
        match permit(tx, request, resource, project, service.as_ref(), changes).await? {
            Permit::Fails(why) => (RunStatus::Failed, why.clone(), request::failed(request, resource, &why, now)?),
            Permit::Asks(judged) => {
                let why = judged.judgement.reason.clone();
                (RunStatus::Cancelled, why, request::asked_again(request, resource, *judged, now)?)
            }
            Permit::Starts(ceilings) => match foreign_plan(tx, run).await? {
                Some(why) => (RunStatus::Cancelled, why.clone(), request::stale(request, resource, run, &why, now)?),
                None => return Ok(Admission::Starts(ceilings)),
            },
        }
    };
    let over = Run { error: Some(why.clone()), ..run.go(status, now)? };
    tx.replace(run, &over)?;
    let action = AuditAction::request_became(transition.request.status);
    let asked = transition.request.judgements.last().filter(|_| transition.request.status == RequestStatus::Pending);
    let rule = asked.map(|judged| judged.judgement.rule.to_string());
    apply_transition(tx, request, resource, transition).await?;
    let mut details = vec![("run", run.id.to_string()), ("ended", status.name().to_owned()), ("why", why.clone())];
    details.extend(rule.map(|rule| ("rule", rule)));
    tx.audit(Some(&run.project), action, &request.id, &details)?;
    Ok(Admission::Ended(why))
}

const fn waits_for(op: RunOp) -> RequestStatus {
    match op {
        RunOp::Plan | RunOp::PlanDestroy | RunOp::Refresh => RequestStatus::Planning,
        RunOp::Apply | RunOp::Destroy => RequestStatus::Approved,
    }
}

/// A plan is carried out by the kind of runner that made it: arming Asgard in between makes a dry plan worthless.
async fn foreign_plan(tx: &Tx<'_>, run: &Run) -> Result<Option<String>> {
    let Some(planned) = &run.plan_of else { return Ok(None) };
    let planned = tx.read::<Run>(planned.as_str()).await?;
    let mine = tx.app().runner().name();
    Ok(planned
        .filter(|planned| planned.runner != mine)
        .map(|planned| format!("the plan was made by {}, this is {mine}", planned.runner)))
}
