//! Ending a run: everything that follows from it, in one commit.

use super::{
    assignment::plan_context,
    beginning,
    claimed_run::{ClaimedRun, lost},
    outputs,
    queue::free_refresh,
    state::sealed_states,
    transition::{apply_transition, plan_id},
};
use crate::{
    app::{
        Tx,
        core::submit::pause,
        judge::{basis_of_plan, judge_plan, name_accounts},
        services::{Service, kept},
    },
    domain::{
        audit::AuditAction,
        job::{ForgottenSecret, Work},
        project::Project,
        request::{self, Planned, Request, Transition},
        resource::{Resource, ResourceStatus, StatePointer},
        run::{PlanSummary, Run, RunOp, RunStatus, listed},
        service::Retry,
    },
    error::{Code, Error, Result},
    kernel::Timestamp,
    ports::{
        records::{Records, Stored},
        runner::{Renewal, RunOutcome, RunReporter},
        store::Draft,
    },
};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// How often storing what the commit names is tried before the run counts as failed.
const MAX_PREPARATIONS: u32 = 10;
/// How often the commit is tried while the database is away: with the pauses below, about six hours.
const MAX_COMMITS: u32 = 4000;
const MAX_PAUSE: Duration = Duration::from_secs(5);
/// How often the commit may lose all its races. Whoever holds the lease has few to race with, so it is something else by then that the
/// database refuses, and that does not pass.
const MAX_REFUSALS: u32 = 20;
/// The same once the run was asked to stop.
const MAX_REFUSALS_STOPPING: u32 = 3;
/// How long after a plan was sealed its commit may begin. A key that drains is retired five minutes after at the earliest.
const SEALED_FOR: Duration = Duration::from_secs(60);
const MAX_ERROR: usize = 4000;

/// An ending with everything stored that its commit will name.
enum Ready {
    Planned(PlanSummary, Draft),
    Applied(outputs::Prepared),
    Destroyed,
    Refreshed(Vec<String>),
    Failed(String, Vec<String>),
    Cancelled(Vec<String>),
    TimedOut(Vec<String>),
    Interrupted(Vec<String>),
    Unseen(Vec<String>),
    Stale(String),
}

impl Ready {
    fn may_exist(&self) -> &[String] {
        match self {
            Self::Failed(_, may_exist)
            | Self::Cancelled(may_exist)
            | Self::TimedOut(may_exist)
            | Self::Interrupted(may_exist)
            | Self::Unseen(may_exist) => may_exist,
            Self::Planned(..) | Self::Applied(_) | Self::Destroyed | Self::Refreshed(_) | Self::Stale(_) => &[],
        }
    }
}

impl ClaimedRun {
    /// Ends the run: one commit with request, resource, money, secrets, audit event, the run that follows and the lease
    /// handed back. Tries again until it is done or the lease is lost; what is refused for good makes the run a failed one.
    pub async fn finish(self, ending: RunOutcome) -> Result<()> {
        let ready = prepare(&self, &ending).await?;
        finish(&self, Some(&ending), ready).await
    }

    /// Ends a run of which nobody can see whether it is still being carried out: nothing goes on by itself.
    pub(super) async fn finish_unseen(self, may_exist: Vec<String>) -> Result<()> {
        finish(&self, None, Ready::Unseen(bounded(&may_exist))).await
    }
}

/// Ends the run as it is ready to, or as failed where the database never takes that.
async fn finish(claimed_run: &ClaimedRun, ending: Option<&RunOutcome>, mut ready: Ready) -> Result<()> {
    let Some(refusal) = commit_through_outages(claimed_run, ending, &mut ready).await? else { return Ok(()) };
    tracing::error!(run.id = %claimed_run.run, error = refusal.chain(), "The end of a run is refused for good; it ends as failed.");
    let why = if refusal.code() == Code::Busy {
        "The database refuses the end of the run again and again. This is a fault of Asgard's.".to_owned()
    } else {
        format!("The end of the run could not be stored: {}", refusal.message())
    };
    let mut failed = Ready::Failed(why, ready.may_exist().to_vec());
    commit_through_outages(claimed_run, None, &mut failed).await?.map_or(Ok(()), Err)
}

/// Commits an ending, however long the database is away. `Some` is why it is refused for good. A plan is sealed anew from `ending`
/// while its commit has to be tried for long.
async fn commit_through_outages(
    claimed_run: &ClaimedRun,
    ending: Option<&RunOutcome>,
    ready: &mut Ready,
) -> Result<Option<Error>> {
    let (mut tries, mut refusals, mut stopping) = (0, 0, false);
    let mut prepared_at = Instant::now();
    loop {
        // A plan is sealed under the data key of its time, which may be retired while its commit is tried again: nothing names the
        // key for it yet.
        let sealed_again = match (&*ready, ending) {
            (Ready::Planned(..), Some(ending)) if prepared_at.elapsed() >= SEALED_FOR => {
                Box::pin(try_prepare(claimed_run, ending))
                    .await
                    .map(|anew| (*ready, prepared_at) = (anew, Instant::now()))
            }
            _ => Ok(()),
        };
        let committed = match sealed_again {
            Ok(()) => commit(claimed_run, ready).await,
            Err(error) => Err(error),
        };
        let error = match committed {
            Ok(Some(())) => return Ok(None),
            Ok(None) => return if is_done(claimed_run).await { Ok(None) } else { Err(lost()) },
            Err(error) => error,
        };
        refusals += u32::from(error.code() == Code::Busy);
        let enough = if stopping { MAX_REFUSALS_STOPPING } else { MAX_REFUSALS };
        if !error.kind().retryable() || refusals >= enough {
            return Ok(Some(error));
        }
        if tries >= MAX_COMMITS {
            return Err(error);
        }
        tries += 1;
        tracing::warn!(run.id = %claimed_run.run, tries, error = error.chain(), "The end of a run cannot be stored yet.");
        stopping |= wait(claimed_run, tries).await;
    }
}

/// Whether an attempt whose reply was lost did it after all: only this supervisor ends the run under this fence.
async fn is_done(claimed_run: &ClaimedRun) -> bool {
    let run = claimed_run.app().store().read::<Run>(claimed_run.run.as_str()).await;
    run.is_ok_and(|run| run.is_some_and(|run| run.status.is_over() && run.fence == claimed_run.held_lease.fence()))
}

/// Waits before the next try. `true` when the run was asked to stop.
async fn wait(claimed_run: &ClaimedRun, tries: u32) -> bool {
    pause(claimed_run.app(), tries).await;
    if tries > 8 {
        claimed_run.app().world().sleep(MAX_PAUSE).await;
    }
    // Holding the lease keeps recovery from redoing what is only waiting for the database.
    match claimed_run.renew().await {
        Ok(Renewal::Held { cancel }) => cancel,
        Ok(Renewal::Lost) => false,
        Err(error) => {
            tracing::debug!(run.id = %claimed_run.run, error = error.chain(), "A lease could not be renewed.");
            false
        }
    }
}

/// Stores what has to be there before the commit. What cannot be stored makes the run a failed one.
async fn prepare(claimed_run: &ClaimedRun, ending: &RunOutcome) -> Result<Ready> {
    let mut tries = 0;
    loop {
        let error = match Box::pin(try_prepare(claimed_run, ending)).await {
            Ok(ready) => return Ok(ready),
            Err(error) => error,
        };
        tries += 1;
        if !error.kind().retryable() || tries >= MAX_PREPARATIONS {
            tracing::error!(run.id = %claimed_run.run, error = error.chain(), "What a run made could not be stored.");
            let why = format!("What the run made could not be stored: {}", error.message());
            return Ok(Ready::Failed(why, Vec::new()));
        }
        wait(claimed_run, tries).await;
    }
}

async fn try_prepare(claimed_run: &ClaimedRun, ending: &RunOutcome) -> Result<Ready> {
    let app = claimed_run.app();
    Ok(match ending {
        RunOutcome::Planned { summary, plan } => {
            let run = &claimed_run.run;
            let summary = summary.clone().listed(claimed_run.op)?;
            Ready::Planned(summary, app.vault().prepare(&plan_id(run), &plan_context(run), plan).await?)
        }
        RunOutcome::Applied { outputs } => {
            let resource = app.store().read::<Resource>(claimed_run.resource.as_str()).await?;
            let resource = resource.ok_or_else(|| Error::bug(format!("{} is gone", claimed_run.resource)))?;
            let service = app.services().get(&resource.service);
            Ready::Applied(outputs::prepare(claimed_run, &resource, service, outputs).await?)
        }
        RunOutcome::Destroyed => Ready::Destroyed,
        RunOutcome::Refreshed { drift } => Ready::Refreshed(bounded(drift)),
        RunOutcome::Failed { error, may_exist } => {
            Ready::Failed(error.chars().take(MAX_ERROR).collect(), bounded(may_exist))
        }
        RunOutcome::Cancelled { may_exist } => Ready::Cancelled(bounded(may_exist)),
        RunOutcome::TimedOut { may_exist } => Ready::TimedOut(bounded(may_exist)),
        RunOutcome::Interrupted { may_exist } => Ready::Interrupted(bounded(may_exist)),
        RunOutcome::Stale { why } => Ready::Stale(why.chars().take(MAX_ERROR).collect()),
    })
}

fn bounded(addresses: &[String]) -> Vec<String> {
    listed(addresses.iter().map(|address| address.chars().take(500).collect::<String>()))
}

async fn commit(claimed_run: &ClaimedRun, ready: &Ready) -> Result<Option<()>> {
    let held_lease = &claimed_run.held_lease;
    let work = claimed_run.app().transact(held_lease.call(), |tx| {
        Box::pin(async move {
            let Some(lease) = held_lease.mine(tx).await? else { return Ok(None) };
            let run = tx.need::<Run>(claimed_run.run.as_str()).await?;
            let resource = tx.need::<Resource>(claimed_run.resource.as_str()).await?;
            tx.replace(&lease, &lease.released(tx.now()))?;
            beginning::let_go(tx, &run)?;
            let request = match &run.request {
                Some(id) => Some(tx.need::<Request>(id.as_str()).await?),
                None => None,
            };
            match request {
                Some(request) if request.current_run.as_ref() == Some(&run.id) && !request.status.is_over() => {
                    end_request(tx, ready, &run, &request, &resource).await?;
                }
                // The request was taken back while this run was working on it, and is over.
                Some(_) => end_abandoned(tx, &run)?,
                None => end_refresh(tx, ready, &run, &resource)?,
            }
            Ok(Some(()))
        })
    });
    held_lease.commit(work).await
}

fn end_abandoned(tx: &mut Tx<'_>, run: &Stored<Run>) -> Result<()> {
    let over = ended(run, RunStatus::Cancelled, None, &[], tx.now())?;
    tx.replace(run, &over)?;
    let details = [("op", run.op.name().to_owned()), ("ended", over.status.name().to_owned())];
    tx.audit(Some(&run.project), AuditAction::RunCancelled, &run.id, &details)
}

/// A run as it ended.
fn ended(run: &Run, status: RunStatus, error: Option<String>, may_exist: &[String], now: Timestamp) -> Result<Run> {
    Ok(Run { error, may_exist: may_exist.to_vec(), kept: None, ..run.go(status, now)? })
}

fn end_refresh(tx: &mut Tx<'_>, ready: &Ready, run: &Stored<Run>, resource: &Stored<Resource>) -> Result<()> {
    let now = tx.now();
    let over = match ready {
        Ready::Refreshed(drift) => Run { drift: drift.clone(), ..ended(run, RunStatus::Succeeded, None, &[], now)? },
        Ready::Failed(error, _) => ended(run, RunStatus::Failed, Some(error.clone()), &[], now)?,
        Ready::Cancelled(_) => ended(run, RunStatus::Cancelled, None, &[], now)?,
        Ready::TimedOut(_) => ended(run, RunStatus::TimedOut, Some(TOO_LONG.to_owned()), &[], now)?,
        Ready::Interrupted(_) | Ready::Unseen(_) => ended(run, RunStatus::Interrupted, None, &[], now)?,
        Ready::Stale(why) => ended(run, RunStatus::Failed, Some(why.clone()), &[], now)?,
        Ready::Planned(..) | Ready::Applied(_) | Ready::Destroyed => {
            ended(run, RunStatus::Failed, Some(mismatch(run)), &[], now)?
        }
    };
    if let (Ready::Refreshed(drift), false) = (ready, resource.status == ResourceStatus::Destroyed) {
        let refreshed = Resource { drift: drift.clone(), refreshed_at: Some(now), ..resource.value.clone() };
        tx.replace(resource, &refreshed)?;
    }
    let details = [
        ("run", run.id.to_string()),
        ("status", over.status.name().to_owned()),
        ("drifted", over.drift.len().to_string()),
    ];
    tx.replace(run, &over)?;
    free_refresh(tx, run)?;
    tx.audit(Some(&run.project), AuditAction::ResourceRefreshed, &resource.id, &details)
}

const TOO_LONG: &str = "It took longer than its service allows, and was stopped.";

fn mismatch(run: &Run) -> String {
    format!("The supervisor of this {} reported something else. This is a fault of Asgard's.", run.op.name())
}

fn with_leftovers(error: &str, may_exist: &[String]) -> String {
    if may_exist.is_empty() {
        error.to_owned()
    } else {
        format!("{error} These may exist without being recorded: {}.", may_exist.join(", "))
    }
}

async fn end_request(
    tx: &mut Tx<'_>,
    ready: &Ready,
    run: &Stored<Run>,
    request: &Stored<Request>,
    resource: &Stored<Resource>,
) -> Result<()> {
    let now = tx.now();
    let service = kept::judged_by(tx, &request.command, resource).await?;
    let stop = run.cancel || request.cancel_requested;
    let failed = |error: &str| request::failed(request, resource, error, now);

    let mut summary = None;
    let mut forget_secrets = Vec::new();
    let mut dropped = Vec::new();
    let mut forget_sealed = Vec::new();
    let (over, transition) = match (ready, run.op) {
        (Ready::Planned(..), RunOp::Plan | RunOp::PlanDestroy) if stop => {
            (ended(run, RunStatus::Cancelled, None, &[], now)?, request::cancelled(request, resource, now)?)
        }
        (Ready::Planned(found, draft), RunOp::Plan | RunOp::PlanDestroy) => match &service {
            Some(service) => {
                summary = Some(found.clone());
                let transition = plan(tx, found, service, run, request, resource).await?;
                if transition.request.plan_run.as_ref() == Some(&run.id) {
                    tx.insert_draft(draft.clone())?;
                    forget_sealed.extend(request.plan_run.iter().filter(|old| **old != run.id).map(plan_id));
                }
                let transition =
                    Transition { drop_plan: transition.drop_plan.filter(|dropped| *dropped != run.id), ..transition };
                (ended(run, RunStatus::Succeeded, None, &[], now)?, transition)
            }
            None => {
                let error = format!("Service {} is not in the catalogue any more.", resource.service);
                (ended(run, RunStatus::Failed, Some(error.clone()), &[], now)?, failed(&error)?)
            }
        },
        (Ready::Applied(prepared), RunOp::Apply) => {
            (forget_secrets, dropped) = outputs::write(tx, resource, prepared).await?;
            let transition = request::applied(request, resource, prepared.produced.clone(), now)?;
            (ended(run, RunStatus::Succeeded, None, &[], now)?, transition)
        }
        (Ready::Destroyed, RunOp::Destroy) => {
            (forget_secrets, dropped) = outputs::remove_all(tx, resource).await?;
            forget_sealed = remove_state(tx, resource).await?;
            let transition = request::applied(request, resource, request::Produced::default(), now)?;
            (ended(run, RunStatus::Succeeded, None, &[], now)?, transition)
        }
        (Ready::Failed(error, may_exist), _) => {
            let error = with_leftovers(error, may_exist);
            (ended(run, RunStatus::Failed, Some(error.clone()), may_exist, now)?, failed(&error)?)
        }
        (Ready::TimedOut(may_exist), _) => {
            let error = with_leftovers(TOO_LONG, may_exist);
            (ended(run, RunStatus::TimedOut, Some(error.clone()), may_exist, now)?, failed(&error)?)
        }
        (Ready::Cancelled(may_exist), _) => {
            let mut transition = request::cancelled(request, resource, now)?;
            if let Some(attention) = &mut transition.resource.attention {
                *attention = with_leftovers(attention, may_exist);
            }
            (ended(run, RunStatus::Cancelled, None, may_exist, now)?, transition)
        }
        (Ready::Interrupted(may_exist) | Ready::Unseen(may_exist), _) => {
            let safe = service.as_ref().is_some_and(|service| service.manifest.retry == Retry::Safe);
            let left = request::Left { may_exist, safe, unseen: matches!(ready, Ready::Unseen(_)) };
            let (status, transition) = request::left_behind(request, resource, run, left, stop, now)?;
            let error = transition.request.error.clone().filter(|_| status == RunStatus::NeedsAttention);
            (ended(run, status, error, may_exist, now)?, transition)
        }
        (Ready::Stale(_), _) if stop => {
            (ended(run, RunStatus::Cancelled, None, &[], now)?, request::cancelled(request, resource, now)?)
        }
        (Ready::Stale(why), _) => (
            ended(run, RunStatus::Interrupted, Some(why.clone()), &[], now)?,
            request::stale(request, resource, run, why, now)?,
        ),
        (Ready::Planned(..) | Ready::Applied(_) | Ready::Destroyed | Ready::Refreshed(_), _) => {
            let error = mismatch(run);
            (ended(run, RunStatus::Failed, Some(error.clone()), &[], now)?, failed(&error)?)
        }
    };
    tx.replace(run, &Run { summary, ..over.clone() })?;
    forget(tx, forget_sealed, forget_secrets)?;
    if !dropped.is_empty() {
        tx.job(Work::DropSecrets { resource: resource.id.clone(), secrets: dropped }, Duration::ZERO)?;
    }
    let mut details =
        vec![("run", run.id.to_string()), ("op", run.op.name().to_owned()), ("ended", over.status.name().to_owned())];
    details.extend(over.error.iter().map(|error| ("error", error.clone())));
    if let Some(judged) = transition.request.judgements.last().filter(|_| matches!(ready, Ready::Planned(..))) {
        details.push(("verdict", judged.judgement.reason.clone()));
        details.push(("rule", judged.judgement.rule.to_string()));
    }
    let action = AuditAction::request_became(transition.request.status);
    apply_transition(tx, request, resource, transition).await?;
    tx.audit(Some(&request.project), action, &request.id, &details)
}

/// What becomes of a request whose plan is there.
async fn plan(
    tx: &Tx<'_>,
    summary: &PlanSummary,
    service: &Arc<Service>,
    run: &Stored<Run>,
    request: &Stored<Request>,
    resource: &Stored<Resource>,
) -> Result<Transition> {
    let project = tx.read::<Project>(request.project.as_str()).await?;
    let project = project.ok_or_else(|| Error::bug(format!("{} is gone", request.project)))?;
    let approved = match request.plan_run.as_ref().filter(|_| run.resume) {
        Some(id) => tx.read::<Run>(id.as_str()).await?,
        None => None,
    };
    let found = Planned {
        run,
        summary: summary.clone(),
        approved: approved.as_deref(),
        basis: basis_of_plan(tx, &project, service).await?,
    };
    let mut transition = request::planned(request, resource, found, |facts| judge_plan(tx.app(), facts), tx.now())?;
    if let Some(judged) = transition.request.judgements.last_mut() {
        name_accounts(tx, judged).await?;
    }
    Ok(transition)
}

async fn remove_state(tx: &mut Tx<'_>, resource: &Resource) -> Result<Vec<String>> {
    let Some(pointer) = tx.read_checked::<StatePointer>(resource.id.as_str()).await? else { return Ok(Vec::new()) };
    tx.remove(&pointer)?;
    if let Some(applied) = &pointer.applied {
        kept::release(tx, &applied.module)?;
    }
    Ok(sealed_states(&pointer))
}

fn forget(tx: &mut Tx<'_>, sealed: Vec<String>, secrets: Vec<ForgottenSecret>) -> Result<()> {
    if sealed.is_empty() && secrets.is_empty() {
        Ok(())
    } else {
        tx.job(Work::Forget { sealed, secrets }, Duration::ZERO).map(|_| ())
    }
}
