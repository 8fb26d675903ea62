//! What jobs do. Every kind may be done twice.

use crate::{
    app::{
        Asgard,
        people::bind_account,
        runs::{self, LOOK_EVERY, Launch, RunCheck},
        services::kept,
    },
    domain::{
        job::{BlockReason, ForgottenSecret, Job, MAX_ATTEMPTS, OUTAGE, Work},
        run::Run,
        secret::Secret,
    },
    error::{Code, Error, Kind, Result},
    kernel::{RunId, UserId},
    ports::records::Records,
};
use std::{sync::Arc, time::Duration};

/// How soon a run is tried again whose resource is busy, or whose runner does not say when.
const BUSY: Duration = Duration::from_secs(2);
/// The longest that a runner is not asked again, whatever it says.
const MAX_WAIT: Duration = Duration::from_secs(300);

/// What became of a job.
pub(super) enum JobOutcome {
    /// It is done.
    Done,
    /// It worked, and the same is to be done again later, as if it were new.
    Repeat(Duration),
    /// Something is in its way; the turn does not count as an attempt.
    Wait(BlockReason, Duration),
    /// It was done, and has to be done again unless it worked.
    Retry(Duration),
    /// The store was away: nothing is known of the work, and the turn does not count.
    Outage(Duration),
    /// It failed.
    Failed(Error),
}

/// Does a job.
pub(super) async fn perform(app: &Arc<Asgard>, job: &Job) -> JobOutcome {
    let done = match &job.work {
        Work::LaunchRun { run } => launch(app, run, job).await,
        Work::CheckRun { run } => check(app, run).await,
        Work::Forget { sealed, secrets } => forget(app, sealed, secrets).await,
        Work::DropSecrets { resource, secrets } => {
            runs::drop_secrets(app, job, resource, secrets).await.map(|()| JobOutcome::Done)
        }
        Work::CollectModule { module } => kept::collect(app, job, module).await.map(|()| JobOutcome::Done),
        Work::BindAccount { user } => bind(app, user, job).await,
    };
    done.unwrap_or_else(|error| {
        let young = app.world().now().since(job.created_at) < OUTAGE;
        if error.code() == Code::StoreUnavailable && young {
            JobOutcome::Outage(BUSY)
        } else {
            JobOutcome::Failed(error)
        }
    })
}

async fn check(app: &Arc<Asgard>, run: &RunId) -> Result<JobOutcome> {
    Ok(match runs::check_run(app, run).await? {
        RunCheck::Over => JobOutcome::Done,
        RunCheck::Open => JobOutcome::Repeat(LOOK_EVERY),
    })
}

/// Starts the supervisor of a run. The job stays until somebody has claimed the run.
async fn launch(app: &Arc<Asgard>, id: &RunId, job: &Job) -> Result<JobOutcome> {
    match runs::prepare(app, id).await? {
        Launch::Go => {}
        Launch::Wait => return Ok(JobOutcome::Wait(BlockReason::Resource, BUSY)),
        Launch::NotNeeded => {
            app.places().went(id);
            return Ok(JobOutcome::Done);
        }
    }
    if app.places().has_to_wait(app, id).await? {
        app.places().waits(app, id, BUSY).await?;
        return Ok(JobOutcome::Wait(BlockReason::Room, BUSY));
    }
    // Giving up with the reason is better than one more try.
    if job.attempts >= MAX_ATTEMPTS
        && let Some(why) = app.runner().why_unclaimed(id).await
    {
        return Err(Error::new(Code::RunnerFailed, why));
    }
    match app.runner().launch(id).await {
        Ok(()) => app.places().went(id),
        Err(error) => return put_off(app, id, job, error).await,
    }
    let waits = app.store().read::<Run>(id.as_str()).await?.is_some_and(|run| run.status.waits());
    Ok(if waits { JobOutcome::Retry(app.runner().claim_within()) } else { JobOutcome::Done })
}

/// A launch that failed because of what passes by itself is put off for as long as the runner says.
async fn put_off(app: &Asgard, run: &RunId, job: &Job, error: Error) -> Result<JobOutcome> {
    let Some(reason) = block_reason(&error).filter(|reason| job.may_wait_for(*reason, app.world().now())) else {
        return Err(error);
    };
    if job.waiting.is_none_or(|waiting| waiting.reason != reason) {
        match reason {
            BlockReason::Resource | BlockReason::Room => {
                tracing::info!(run.id = %run, error = error.chain(), "A run waits for room.");
            }
            BlockReason::Runner => {
                tracing::warn!(run.id = %run, error = error.chain(), "A run waits for its runner, which cannot be reached.");
            }
        }
    }
    let pause = error.retry_after_secs().map_or(BUSY, |secs| Duration::from_secs(secs.max(1))).min(MAX_WAIT);
    match reason {
        BlockReason::Room => app.places().waits(app, run, pause).await?,
        BlockReason::Resource | BlockReason::Runner => {}
    }
    Ok(JobOutcome::Wait(reason, pause))
}

fn block_reason(error: &Error) -> Option<BlockReason> {
    if error.kind() == Kind::Limit {
        Some(BlockReason::Room)
    } else if error.code() == Code::RunnerUnavailable {
        Some(BlockReason::Runner)
    } else {
        None
    }
}

async fn bind(app: &Asgard, user: &UserId, job: &Job) -> Result<JobOutcome> {
    Ok(bind_account(app, user, job).await?.map_or(JobOutcome::Done, JobOutcome::Repeat))
}

async fn forget(app: &Asgard, sealed: &[String], secrets: &[ForgottenSecret]) -> Result<JobOutcome> {
    for id in sealed {
        app.vault().forget(id).await?;
    }
    for ForgottenSecret { id, through, owner } in secrets {
        // A secret that was removed may be there again by now, and what it names is kept.
        let present = app.store().read::<Secret>(id.as_str()).await?;
        let named = present.as_ref().map(|secret| secret.stored()).filter(|(stored, _)| *stored == id);
        let through = named.map_or(*through, |(_, version)| (*through).min(version.saturating_sub(1)));
        if through > 0 {
            app.secrets().forget(id, through, owner.as_ref()).await?;
        }
    }
    Ok(JobOutcome::Done)
}
