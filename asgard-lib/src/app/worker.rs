//! The worker: claims due jobs and does them. A commit that appends a job kicks it, so nothing waits for a poll; polls are
//! for jobs that other processes appended, and for those whose worker died.
//!
//! Doing a job twice is always fine: a job is removed only after its work is done, and the work looks at the present
//! state first. Progress is logged with the fields `job.id`, `job.work` and `trace.id`.

mod claim;
#[cfg(test)]
mod tests;
mod work;

use super::{Asgard, Counted};
use crate::{error::Result, kernel::JobId};
use claim::Claimed;
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::{
    task::{Id, JoinHandle, JoinSet},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use work::Turn;

/// How many jobs one worker does at a time.
const MOST_AT_ONCE: usize = 8;
/// How often jobs are looked for when nobody kicks.
const POLL: Duration = Duration::from_secs(1);
/// The same while there was work lately: a supervisor in another process appends the next step's job, and cannot kick.
const POLL_BUSY: Duration = Duration::from_millis(200);
/// How long after the last job there is still work lately.
const LATELY: Duration = Duration::from_secs(15);
/// How long jobs in hand may take once the worker is told to stop; then they are handed back.
const DRAIN: Duration = Duration::from_secs(10);

/// Starts a worker; it ends after `stop`, when the jobs in its hands are done or handed back.
pub fn spawn(app: Arc<Asgard>, stop: CancellationToken) -> JoinHandle<()> {
    tokio::spawn(run(app, stop))
}

/// Does everything that is due, one job at a time, until nothing is due. Returns how many jobs it did. For callers that
/// are woken from outside instead of keeping a worker.
pub async fn run_due(app: &Arc<Asgard>) -> Result<usize> {
    let mut done = 0;
    loop {
        let jobs = claim::due(app, MOST_AT_ONCE, done).await?;
        if jobs.is_empty() {
            return Ok(done);
        }
        for job in jobs {
            handle(Arc::clone(app), job).await;
            done += 1;
        }
    }
}

async fn run(app: Arc<Asgard>, stop: CancellationToken) {
    let mut hands = Hands::default();
    let mut round = 0usize;
    let mut busy_until = Instant::now();
    while !stop.is_cancelled() {
        // Listening begins before looking, so that a kick in between is not lost.
        let kicked = app.kicked();
        tokio::pin!(kicked);
        kicked.as_mut().enable();

        round = round.wrapping_add(1);
        match claim::due(&app, MOST_AT_ONCE.saturating_sub(hands.tasks.len()), round).await {
            Ok(jobs) if jobs.is_empty() => {}
            Ok(jobs) => {
                busy_until = Instant::now() + LATELY;
                jobs.into_iter().for_each(|job| hands.take(&app, job));
                continue;
            }
            Err(error) => tracing::warn!(error = error.chain(), "Jobs cannot be claimed just now."),
        }
        let base = if Instant::now() < busy_until { POLL_BUSY } else { POLL };
        tokio::select! {
            () = stop.cancelled() => {}
            () = &mut kicked => {}
            () = hands.one_done(), if !hands.tasks.is_empty() => {}
            () = tokio::time::sleep(jittered(&app, base)) => {}
        }
    }
    hands.empty(&app).await;
}

/// Three to five quarters of a duration, so that replicas do not move in step.
pub(super) fn jittered(app: &Asgard, base: Duration) -> Duration {
    let [spread] = app.world().random::<1>();
    base * 3 / 4 + base * u32::from(spread) / 512
}

/// Jobs being done.
#[derive(Default)]
struct Hands {
    tasks: JoinSet<()>,
    jobs: HashMap<Id, JobId>,
}

impl Hands {
    fn take(&mut self, app: &Arc<Asgard>, job: Claimed) {
        let id = job.job.id.clone();
        let span = tracing::info_span!("job", job.id = %id, job.work = job.job.work.name(), trace.id = %job.job.trace);
        let task = self.tasks.spawn(handle(Arc::clone(app), job).instrument(span));
        self.jobs.insert(task.id(), id);
    }

    async fn one_done(&mut self) {
        match self.tasks.join_next_with_id().await {
            Some(Ok((task, ()))) => {
                self.jobs.remove(&task);
            }
            Some(Err(error)) => {
                // Its claim runs out, and somebody tries it again.
                if let Some(job) = self.jobs.remove(&error.id()) {
                    tracing::error!(job.id = %job, error = %error, "A job ended badly.");
                }
            }
            None => {}
        }
    }

    /// Waits for what is in hand, and hands back what takes too long.
    async fn empty(mut self, app: &Asgard) {
        let drained = tokio::time::timeout(DRAIN, async {
            while !self.tasks.is_empty() {
                self.one_done().await;
            }
        });
        if drained.await.is_ok() {
            return;
        }
        self.tasks.shutdown().await;
        for job in self.jobs.into_values() {
            if let Err(error) = claim::hand_back(app, &job).await {
                tracing::warn!(job.id = %job, error = error.chain(), "A job could not be handed back; its claim will run out.");
            }
        }
    }
}

/// Does one job, keeping its claim alive meanwhile, and settles it.
async fn handle(app: Arc<Asgard>, claimed: Claimed) {
    let job = &claimed.job;
    let work = work::perform(&app, job);
    tokio::pin!(work);
    let turn = loop {
        tokio::select! {
            turn = &mut work => break turn,
            () = tokio::time::sleep(claim::HEARTBEAT) => claim::heartbeat(&app, &claimed).await,
        }
    };
    app.tally().add(match &turn {
        Turn::Done => Counted::JobDone,
        Turn::Wait(_) | Turn::Retry(_) => Counted::JobPutOff,
        Turn::Failed(_) => Counted::JobFailed,
    });
    if let Turn::Failed(error) = &turn {
        tracing::warn!(job.id = %job.id, job.work = job.work.name(), trace.id = %job.trace, attempts = job.attempts, error = error.chain(), "A job failed.");
    }
    if let Err(error) = claim::settle(&app, &claimed, turn).await {
        tracing::warn!(job.id = %job.id, job.work = job.work.name(), error = error.chain(), "A job could not be settled; it will be done again.");
    }
}
