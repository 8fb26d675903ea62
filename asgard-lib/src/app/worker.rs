//! The worker: claims due jobs and does them. A commit that appends a job wakes it, so nothing waits for a poll; polls are
//! for jobs that other processes appended, and for those whose worker died.
//!
//! Doing a job twice is always fine: a job is removed only after its work is done, and the work looks at the present
//! state first. Progress is logged with the fields `job.id`, `job.work` and `trace.id`.

mod claim;
pub(crate) mod fair;
#[cfg(test)]
mod tests;
mod wake_hint;
mod work;

use super::{Asgard, CounterKind};
use crate::{
    error::{Code, Result},
    kernel::JobId,
    ports::world::Tasks,
};
pub(crate) use claim::recall_stranded;
use claim::{Claimed, Claims};
use std::{sync::Arc, time::Duration};
use tokio::{task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
pub use wake_hint::WakeHint;
use work::JobOutcome;

/// How many jobs one worker does at a time.
const MAX_AT_ONCE: usize = 8;
/// How often jobs are looked for when nothing wakes the worker.
const POLL: Duration = Duration::from_secs(1);
/// The same while there was work lately: a supervisor in another process appends the next step's job, and cannot wake this worker.
const POLL_BUSY: Duration = Duration::from_millis(200);
/// How long after the last job there is still work lately.
const LATELY: Duration = Duration::from_secs(15);
/// How long jobs in hand may take once the worker is told to stop; then they are handed back.
const DRAIN: Duration = Duration::from_secs(10);
/// With less time than this a worker that has to end takes no new job.
const LAST_TAKE: Duration = Duration::from_secs(10);
/// What it keeps of its time for handing back what it has claimed.
const HAND_BACK: Duration = Duration::from_secs(3);
/// A job that was just appended may be missing from a lagging index: how long to wait before looking again, each time.
const LOOKS: [Duration; 3] = [Duration::from_millis(100), Duration::from_millis(400), Duration::from_millis(1500)];

/// Starts a worker; it ends after `stop`, when the jobs that it has claimed are done or handed back.
pub fn spawn(app: Arc<Asgard>, stop: CancellationToken) -> JoinHandle<()> {
    let world = app.world().clone();
    world.spawn(run(app, stop))
}

/// Does everything that is due, one job at a time, until nothing is due. Returns how many jobs it did. For callers that
/// are woken from outside instead of keeping a worker.
pub async fn run_due(app: &Arc<Asgard>) -> Result<usize> {
    let (mut done, mut claims) = (0, Claims::default());
    loop {
        let jobs = claims.due(app, MAX_AT_ONCE, done).await?;
        if jobs.is_empty() {
            return Ok(done);
        }
        for job in jobs {
            Box::pin(handle(Arc::clone(app), job)).await;
            done += 1;
        }
    }
}

/// What [`run_until`] came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ran {
    /// How many jobs were done, put off or failed.
    pub jobs: usize,
    /// Whether time was up with more to do, as far as is known.
    pub more: bool,
}

/// Does everything that is due, several jobs at a time, and ends before `until` whatever there is: no job is taken when
/// little time is left, and those in hand are handed back. Jobs that are due again later are left to whoever looks then.
/// `woken` says what somebody has just appended: jobs that have names are taken by them, and when others have all of those,
/// this ends at once, because whoever was woken for the rest does the rest. Without names, an index that does not show them
/// yet is asked again.
pub async fn run_until(app: &Arc<Asgard>, until: Instant, woken: Option<WakeHint>) -> Result<Ran> {
    let left = |reserve: Duration| until.saturating_duration_since(Instant::now()).saturating_sub(reserve);
    let (mut in_flight, mut claims, mut jobs, mut round) = (InFlight::default(), Claims::default(), 0, 0usize);
    let only_named = matches!(woken, Some(WakeHint::Named(_)));
    let (mut expected, mut named, mut looks) = (woken, Vec::new(), None);
    let mut failed = None;
    while !left(LAST_TAKE).is_zero() {
        // At first what the caller was told, then what the jobs in hand append.
        match expected.take().or_else(|| app.take_wake_hint()) {
            Some(WakeHint::Named(ids)) => named.extend(ids),
            Some(WakeHint::Unnamed) => looks = Some(LOOKS.into_iter()),
            None => {}
        }
        let room = MAX_AT_ONCE.saturating_sub(in_flight.tasks.len());
        let by_name = room > 0 && !named.is_empty();
        let found = if by_name {
            let next = named.split_off(named.len().saturating_sub(room));
            claims.named(app, &next).await
        } else {
            round = round.wrapping_add(1);
            claims.due(app, room, round).await
        };
        match found {
            Ok(found) if !found.is_empty() => {
                jobs += found.len();
                looks = None;
                found.into_iter().for_each(|job| in_flight.take(app, job));
                continue;
            }
            Ok(_) if by_name && !named.is_empty() => continue,
            Ok(_) if by_name && only_named && jobs == 0 => return Ok(Ran { jobs, more: false }),
            Ok(_) => {}
            Err(error) => {
                failed = Some(error);
                break;
            }
        }
        if in_flight.tasks.is_empty() {
            match looks.as_mut().and_then(Iterator::next) {
                Some(pause) => app.world().sleep(pause.min(left(LAST_TAKE))).await,
                None => return Ok(Ran { jobs, more: false }),
            }
        } else if app.world().timeout(left(LAST_TAKE), in_flight.one_done()).await.is_err() {
            break;
        }
    }
    in_flight.empty(app, left(HAND_BACK)).await;
    failed.map_or(Ok(Ran { jobs, more: true }), Err)
}

async fn run(app: Arc<Asgard>, stop: CancellationToken) {
    let (mut in_flight, mut claims) = (InFlight::default(), Claims::default());
    let mut round = 0usize;
    let mut busy_until = Instant::now();
    while !stop.is_cancelled() {
        // Listening begins before looking, so that a wake-up in between is not lost.
        let woken = app.woken();
        tokio::pin!(woken);
        woken.as_mut().enable();

        round = round.wrapping_add(1);
        match claims.due(&app, MAX_AT_ONCE.saturating_sub(in_flight.tasks.len()), round).await {
            Ok(jobs) if jobs.is_empty() => {}
            Ok(jobs) => {
                busy_until = Instant::now() + LATELY;
                jobs.into_iter().for_each(|job| in_flight.take(&app, job));
                continue;
            }
            Err(error) => tracing::warn!(error = error.chain(), "Jobs cannot be claimed just now."),
        }
        let base = if Instant::now() < busy_until { POLL_BUSY } else { POLL };
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = &mut woken => {}
            () = in_flight.one_done(), if !in_flight.tasks.is_empty() => {}
            () = app.world().sleep(jittered(&app, base)) => {}
        }
    }
    in_flight.empty(&app, DRAIN).await;
}

/// Three to five quarters of a duration, so that replicas do not move in step.
pub(super) fn jittered(app: &Asgard, base: Duration) -> Duration {
    let [spread] = app.world().random::<1>();
    base * 3 / 4 + base * u32::from(spread) / 512
}

/// Jobs being done, in the order in which they were taken.
#[derive(Default)]
struct InFlight {
    tasks: Tasks<JobId>,
}

impl InFlight {
    fn take(&mut self, app: &Arc<Asgard>, job: Claimed) {
        let id = job.job.id.clone();
        let span = tracing::info_span!("job", job.id = %id, job.work = job.job.work.name(), trace.id = %job.job.trace);
        self.tasks.spawn(app.world(), id, handle(Arc::clone(app), job).instrument(span));
    }

    async fn one_done(&mut self) {
        if let Some((job, Err(error))) = self.tasks.next_ended().await {
            // Its claim runs out, and somebody tries it again.
            tracing::error!(job.id = %job, error = %error, "A job ended badly.");
        }
    }

    /// Waits for what is in hand, and hands back what takes too long.
    async fn empty(mut self, app: &Asgard, within: Duration) {
        let drained = app.world().timeout(within, async {
            while !self.tasks.is_empty() {
                self.one_done().await;
            }
        });
        if drained.await.is_ok() {
            return;
        }
        for job in self.tasks.abort().await {
            if let Err(error) = claim::hand_back(app, &job).await {
                tracing::warn!(job.id = %job, error = error.chain(), "A job could not be handed back; its claim will run out.");
            }
        }
    }
}

/// Does one job, keeping its claim alive meanwhile, and settles it.
async fn handle(app: Arc<Asgard>, claimed: Claimed) {
    let job = &claimed.job;
    let mut work = Box::pin(work::perform(&app, job));
    let turn = loop {
        tokio::select! {
            biased;
            turn = &mut work => break turn,
            () = app.world().sleep(claim::HEARTBEAT) => claim::heartbeat(&app, &claimed).await,
        }
    };
    app.counters().add(match &turn {
        JobOutcome::Done => CounterKind::JobDone,
        JobOutcome::Repeat(_) | JobOutcome::Wait(..) | JobOutcome::Retry(_) | JobOutcome::Outage(_) => {
            CounterKind::JobPutOff
        }
        JobOutcome::Failed(_) => CounterKind::JobFailed,
    });
    if let JobOutcome::Failed(error) = &turn {
        tracing::warn!(job.id = %job.id, job.work = job.work.name(), trace.id = %job.trace, attempts = job.attempts, error = error.chain(), "A job failed.");
    }
    // A store that is away for a moment costs the job no attempt: for as long as the claim holds, it is settled again.
    let until = Instant::now() + claim::HEARTBEAT;
    let settled = loop {
        match claim::settle(&app, &claimed, &turn).await {
            Err(error) if error.code() == Code::StoreUnavailable && Instant::now() < until => {
                app.world().sleep(jittered(&app, POLL)).await;
            }
            settled => break settled,
        }
    };
    if let Err(error) = settled {
        tracing::warn!(job.id = %job.id, job.work = job.work.name(), error = error.chain(), "A job could not be settled; it will be done again.");
    }
}
