//! What jobs do. Every kind may be done twice.

use crate::{
    app::{
        Asgard, Call,
        runs::{self, LOOK_EVERY, Look},
    },
    domain::{
        job::{ForgottenSecret, Job, Work},
        run::{Run, Status},
    },
    error::{Error, Kind, Result},
    kernel::RunId,
    ports::records::Records,
};
use std::{sync::Arc, time::Duration};

/// How long a started supervisor gets to claim its run before another is started.
const CLAIM_WITHIN: Duration = Duration::from_secs(30);
/// How soon a run is tried again whose resource or runner is busy.
const BUSY: Duration = Duration::from_secs(2);

/// What became of a job.
pub(super) enum Turn {
    /// It is done.
    Done,
    /// Something else has to happen first; the wait does not count as an attempt.
    Wait(Duration),
    /// It was done, and has to be done again unless it worked.
    Retry(Duration),
    /// It failed.
    Failed(Error),
}

/// Does a job.
pub(super) async fn perform(app: &Arc<Asgard>, job: &Job) -> Turn {
    let done = match &job.work {
        Work::LaunchRun { run } => launch(app, run).await,
        Work::CheckRun { run } => check(app, run).await,
        Work::Forget { sealed, secrets } => forget(app, sealed, secrets).await,
    };
    done.unwrap_or_else(Turn::Failed)
}

async fn check(app: &Arc<Asgard>, run: &RunId) -> Result<Turn> {
    Ok(match runs::look_after(app, run).await? {
        Look::Over => Turn::Done,
        Look::Open => Turn::Wait(LOOK_EVERY),
    })
}

/// Starts the supervisor of a run. The job stays until somebody has claimed the run.
async fn launch(app: &Arc<Asgard>, id: &RunId) -> Result<Turn> {
    if !starting(app, id).await? {
        return Ok(Turn::Done);
    }
    let Some(run) = app.store().read::<Run>(id.as_str()).await? else { return Ok(Turn::Done) };
    if runs::held(app, &run).await? {
        return Ok(Turn::Wait(BUSY));
    }
    match app.runner().launch(id).await {
        Ok(()) => {}
        Err(error) if error.kind() == Kind::Limit => return Ok(Turn::Wait(BUSY)),
        Err(error) => return Err(error),
    }
    let claimed = app.store().read::<Run>(id.as_str()).await?.is_none_or(|run| !waits(run.status));
    Ok(if claimed { Turn::Done } else { Turn::Retry(CLAIM_WITHIN) })
}

const fn waits(status: Status) -> bool {
    match status {
        Status::Queued | Status::Starting => true,
        Status::Running
        | Status::Succeeded
        | Status::Failed
        | Status::Cancelled
        | Status::TimedOut
        | Status::Interrupted
        | Status::NeedsAttention => false,
    }
}

/// Notes that a supervisor is being started; `false` when the run does not wait for one.
async fn starting(app: &Asgard, id: &RunId) -> Result<bool> {
    let Some(seen) = app.store().read::<Run>(id.as_str()).await? else { return Ok(false) };
    if seen.status != Status::Queued {
        return Ok(waits(seen.status));
    }
    let call = Call::system("worker", seen.trace.clone());
    app.transact(&call, |tx| {
        Box::pin(async move {
            tx.internal();
            let run = tx.need::<Run>(id.as_str()).await?;
            if run.status == Status::Queued {
                tx.replace(&run, &run.go(Status::Starting, tx.now())?)?;
            }
            Ok(waits(run.status))
        })
    })
    .await
}

async fn forget(app: &Asgard, sealed: &[String], secrets: &[ForgottenSecret]) -> Result<Turn> {
    for id in sealed {
        app.vault().forget(id).await?;
    }
    for secret in secrets {
        app.secrets().forget(&secret.id, secret.through).await?;
    }
    Ok(Turn::Done)
}
