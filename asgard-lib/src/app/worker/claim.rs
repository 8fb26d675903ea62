//! Claiming jobs, keeping the claims, and settling them.

use super::work::JobOutcome;
use crate::{
    app::{Asgard, Call, core::waiver::AuditWaiver, runs},
    domain::job::{CLAIM, Job, MAX_ATTEMPTS, MAX_WAIT, SHARDS, Work},
    error::Result,
    kernel::{JobId, Timestamp},
    ports::{
        kinds::JOBS_DUE,
        records::{Records, Stored},
        store::Query,
    },
};
use std::time::Duration;

/// How often a claim is prolonged.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(20);

/// A job that this worker has claimed.
pub(super) struct Claimed {
    pub(super) job: Job,
}

fn call(job: &Job) -> Call {
    Call::system("worker", job.trace.clone())
}

/// What a worker knows of its own claims: those whose commit it never heard of again. They may be its own all the same, and are
/// then not left to run out, each of them an attempt at which nothing was tried.
#[derive(Default)]
pub(super) struct Claims {
    in_doubt: Vec<JobId>,
}

impl Claims {
    /// Claims up to `room` due jobs, beginning with another shard in every round. Those that are claimed are returned whatever
    /// becomes of the next.
    pub(super) async fn due(&mut self, app: &Asgard, room: usize, round: usize) -> Result<Vec<Claimed>> {
        let mut claimed = Vec::new();
        let done = self.look(app, room, round, &mut claimed).await;
        Self::what_there_is(claimed, done)
    }

    async fn look(&mut self, app: &Asgard, room: usize, round: usize, claimed: &mut Vec<Claimed>) -> Result<()> {
        self.regain(app, room, claimed).await?;
        // Moments are written in one width, so that text order is time order; what is due right now counts.
        let bound = app.world().now().plus(Duration::from_micros(1)).to_string();
        for step in 0..usize::from(SHARDS) {
            if claimed.len() >= room {
                break;
            }
            let shard = (round + step) % usize::from(SHARDS);
            let query = Query::new(&JOBS_DUE, shard.to_string()).below(bound.clone()).take(room - claimed.len());
            for seen in app.store().list::<Job>(&query).await?.items {
                claimed.extend(self.claim(app, &seen).await?);
            }
        }
        Ok(())
    }

    /// Claims those of these jobs that are still to be done. Jobs that others have taken cost one read, however many ask.
    pub(super) async fn named(&mut self, app: &Asgard, ids: &[JobId]) -> Result<Vec<Claimed>> {
        let mut claimed = Vec::new();
        let done = async {
            let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
            for seen in app.store().read_many::<Job>(&ids).await?.into_iter().flatten() {
                if seen.due_at.is_some_and(|due| due <= app.world().now()) {
                    claimed.extend(self.claim(app, &seen).await?);
                }
            }
            Ok(())
        };
        let done = done.await;
        Self::what_there_is(claimed, done)
    }

    fn what_there_is(claimed: Vec<Claimed>, done: Result<()>) -> Result<Vec<Claimed>> {
        match done {
            Err(error) if claimed.is_empty() => Err(error),
            Err(error) => {
                tracing::warn!(error = error.chain(), "No more jobs can be claimed just now.");
                Ok(claimed)
            }
            Ok(()) => Ok(claimed),
        }
    }

    async fn claim(&mut self, app: &Asgard, seen: &Job) -> Result<Option<Claimed>> {
        let claimed = claim(app, seen).await;
        self.in_doubt.retain(|id| *id != seen.id);
        if claimed.is_err() {
            self.in_doubt.push(seen.id.clone());
        }
        claimed
    }

    /// Takes up the claims in doubt that turn out to be this worker's.
    async fn regain(&mut self, app: &Asgard, room: usize, claimed: &mut Vec<Claimed>) -> Result<()> {
        let some = self.in_doubt.len().min(room);
        if some == 0 {
            return Ok(());
        }
        let ids: Vec<String> = self.in_doubt.iter().take(some).map(ToString::to_string).collect();
        let found = app.store().read_many::<Job>(&ids).await?;
        self.in_doubt.drain(..some);
        let mine = found.into_iter().flatten().filter(|job| job.claimed_by.as_ref() == Some(app.holder()));
        claimed.extend(mine.filter(|job| job.due_at.is_some()).map(|job| Claimed { job: job.value }));
        Ok(())
    }
}

/// Claims a job unless somebody else was faster, or the index lags.
async fn claim(app: &Asgard, seen: &Job) -> Result<Option<Claimed>> {
    let (call, id) = (call(seen), &seen.id);
    let job = app
        .transact(&call, |tx| {
            Box::pin(async move {
                tx.waive_audit(AuditWaiver::JobBookkeeping)?;
                let Some(job) = tx.read_checked::<Job>(id.as_str()).await? else { return Ok(None) };
                if job.due_at.is_none_or(|due| due > tx.now()) {
                    return Ok(None);
                }
                let claimed = job.claimed(tx.app().holder().clone(), tx.now());
                tx.replace(&job, &claimed)?;
                Ok(Some(claimed))
            })
        })
        .await?;
    Ok(job.map(|job| Claimed { job }))
}

/// The job, if it is still claimed here: this process's, and not claimed again since.
fn mine(app: &Asgard, claimed: &Job, now: Option<Stored<Job>>) -> Option<Stored<Job>> {
    now.filter(|job| job.claimed_by.as_ref() == Some(app.holder()) && job.attempts == claimed.attempts)
}

/// Makes a claim last longer. Failing is harmless: the work may be done twice.
pub(super) async fn heartbeat(app: &Asgard, claimed: &Claimed) {
    let (call, claimed) = (call(&claimed.job), &claimed.job);
    let beat = app
        .transact(&call, |tx| {
            Box::pin(async move {
                tx.waive_audit(AuditWaiver::JobBookkeeping)?;
                let now = tx.read_checked::<Job>(claimed.id.as_str()).await?;
                let Some(job) = mine(tx.app(), claimed, now) else { return Ok(()) };
                let longer = Job { due_at: Some(tx.now().plus(CLAIM)), ..job.value.clone() };
                tx.replace(&job, &longer)
            })
        })
        .await;
    if let Err(error) = beat {
        tracing::debug!(job.id = %claimed.id, error = error.chain(), "A job's claim could not be prolonged.");
    }
}

/// Writes what became of a job.
pub(super) async fn settle(app: &Asgard, claimed: &Claimed, turn: &JobOutcome) -> Result<()> {
    let (call, claimed) = (call(&claimed.job), &claimed.job);
    let exhausted = app
        .transact(&call, |tx| {
            Box::pin(async move {
                tx.waive_audit(AuditWaiver::JobBookkeeping)?;
                let [spread] = tx.app().world().random::<1>();
                let now = tx.read_checked::<Job>(claimed.id.as_str()).await?;
                let Some(job) = mine(tx.app(), claimed, now) else { return Ok(None) };
                let next = match turn {
                    JobOutcome::Done => {
                        tx.remove(&job)?;
                        return Ok(None);
                    }
                    JobOutcome::Repeat(pause) => job.repeated(tx.now().plus(*pause)),
                    JobOutcome::Wait(reason, pause) => job.waits_for(*reason, tx.now(), tx.now().plus(*pause)),
                    JobOutcome::Retry(pause) if job.attempts < MAX_ATTEMPTS => job.retried(tx.now().plus(*pause)),
                    JobOutcome::Outage(pause) => job.handed_back(tx.now().plus(*pause)),
                    JobOutcome::Retry(_) => {
                        job.failed("it was tried as often as allowed, and nothing came of it", tx.now(), spread)
                    }
                    JobOutcome::Failed(error) => job.failed(error.message(), tx.now(), spread),
                };
                tx.replace(&job, &next)?;
                Ok((next.is_exhausted() && next.last_error.is_some()).then_some(next))
            })
        })
        .await?;
    match exhausted {
        Some(job) if job.dead.is_some() => bury(app, &job).await,
        Some(job) => {
            let why = job.last_error.as_deref().unwrap_or("no reason was recorded");
            tracing::error!(job.id = %job.id, job.work = job.work.name(), trace.id = %job.trace, why, "A job keeps failing; it is tried again, less and less often.");
            Ok(())
        }
        None => Ok(()),
    }
}

/// What follows from a job that gave up.
async fn bury(app: &Asgard, job: &Job) -> Result<()> {
    let why = job.last_error.as_deref().unwrap_or("no reason was recorded");
    tracing::error!(job.id = %job.id, job.work = job.work.name(), trace.id = %job.trace, why, "A job gave up.");
    match &job.work {
        Work::LaunchRun { run } => runs::give_up(app, run, why).await,
        Work::CheckRun { .. }
        | Work::Forget { .. }
        | Work::DropSecrets { .. }
        | Work::CollectModule { .. }
        | Work::BindAccount { .. } => Ok(()),
    }
}

/// Makes a job due at once for somebody else.
pub(super) async fn hand_back(app: &Asgard, id: &JobId) -> Result<()> {
    let Some(seen) = app.store().read::<Job>(id.as_str()).await? else { return Ok(()) };
    let (call, seen) = (call(&seen), &seen.value);
    app.transact(&call, |tx| {
        Box::pin(async move {
            tx.waive_audit(AuditWaiver::JobBookkeeping)?;
            let now = tx.read_checked::<Job>(seen.id.as_str()).await?;
            let Some(job) = mine(tx.app(), seen, now) else { return Ok(()) };
            tx.replace(&job, &job.handed_back(tx.now()))
        })
    })
    .await
}

/// How many jobs of a shard one look goes through at most.
const STRANDED: usize = 500;

/// Makes the jobs due that are put off for longer than a job ever is: a clock that was ahead once would keep them until its time
/// comes. Returns how many.
pub(crate) async fn recall_stranded(app: &Asgard) -> Result<usize> {
    // By the later clock: one that is behind must not find everything far ahead.
    let now = app.clocks().await?.later;
    let mut recalled = 0;
    for shard in 0..SHARDS {
        let from = now.plus(MAX_WAIT).to_string();
        let mut query = Query::new(&JOBS_DUE, shard.to_string()).from(from).take(100);
        for _ in 0..STRANDED / 100 {
            let page = app.store().list::<Job>(&query).await?;
            for seen in page.items.iter().filter(|job| job.is_stranded(now)) {
                recalled += usize::from(recall(app, seen, now).await?);
            }
            if page.next.is_none() {
                break;
            }
            query = query.after(page.next);
        }
    }
    if recalled > 0 {
        tracing::warn!(
            jobs = recalled,
            "Jobs were put off until a moment that a wrong clock had written; they are due now."
        );
    }
    Ok(recalled)
}

async fn recall(app: &Asgard, seen: &Job, now: Timestamp) -> Result<bool> {
    let (call, id) = (call(seen), &seen.id);
    app.transact(&call, |tx| {
        Box::pin(async move {
            tx.waive_audit(AuditWaiver::JobBookkeeping)?;
            match tx.read_checked::<Job>(id.as_str()).await? {
                Some(job) if job.is_stranded(now) => tx.replace(&job, &job.hurried(now)).map(|()| true),
                Some(_) | None => Ok(false),
            }
        })
    })
    .await
}
