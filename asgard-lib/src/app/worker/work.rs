//! What jobs do. Every kind may be done twice.

use crate::{
    app::{
        Asgard,
        runs::{self, LOOK_EVERY, Launch, Look},
    },
    domain::{
        job::{ForgottenSecret, Job, MOST_ATTEMPTS, Work},
        run::Run,
    },
    error::{Code, Error, Kind, Result},
    kernel::RunId,
    ports::records::Records,
};
use std::{sync::Arc, time::Duration};

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
        Work::LaunchRun { run } => launch(app, run, job.attempts).await,
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
async fn launch(app: &Arc<Asgard>, id: &RunId, attempts: u32) -> Result<Turn> {
    match runs::prepare(app, id).await? {
        Launch::Go => {}
        Launch::Wait => return Ok(Turn::Wait(BUSY)),
        Launch::NotNeeded => return Ok(Turn::Done),
    }
    // Giving up with the reason is better than one more try.
    if attempts >= MOST_ATTEMPTS
        && let Some(why) = app.runner().why_unclaimed(id).await
    {
        return Err(Error::new(Code::RunnerFailed, why));
    }
    match app.runner().launch(id).await {
        Ok(()) => {}
        Err(error) if error.kind() == Kind::Limit => return Ok(Turn::Wait(BUSY)),
        Err(error) => return Err(error),
    }
    let waits = app.store().read::<Run>(id.as_str()).await?.is_some_and(|run| run.status.waits());
    Ok(if waits { Turn::Retry(app.runner().claim_within()) } else { Turn::Done })
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
