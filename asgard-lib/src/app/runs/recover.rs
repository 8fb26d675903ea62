//! Recovery: what becomes of a run whose supervisor is gone. It never applies first: the dead one is proven dead, the lease
//! is taken, what it left behind is stored, and only then the rules decide whether the request goes on by itself.

use super::{
    claim::{IN_PROCESS, lease_lasts},
    claimed_run::ClaimedRun,
    folder,
    held_lease::HeldLease,
    log,
    log_budget::LogBudget,
    queue::free_refresh,
    transition::apply_transition,
};
use crate::{
    app::{Asgard, Call, core::waiver::AuditWaiver},
    domain::{
        audit::AuditAction,
        job::{Job, Work},
        lease::Lease,
        request::{self, Request},
        resource::Resource,
        run::{OPEN, Run, RunStatus},
    },
    error::{Code, Error, Kind, Result},
    kernel::{HolderId, RunId},
    ports::{
        kinds::RUNS_OPEN,
        records::{Records, Stored},
        runner::{Liveness, RunOutcome, RunReporter, SupervisorLocation},
        store::Query,
    },
};
use std::{sync::Arc, time::Duration};

/// How much longer than its lease a supervisor gets that is there and does not renew: it may be waiting for the database.
pub(super) const STUCK: Duration = Duration::from_secs(300);
/// How often the lease is renewed while the left-overs are looked through.
const RENEW_EVERY: Duration = Duration::from_secs(5);
/// After this long without a supervisor a run is launched again even if its job got lost.
const FORGOTTEN: Duration = Duration::from_secs(600);
/// The most runs that one round looks after.
const MAX_RUNS: usize = 1000;

/// What looking after a run found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunCheck {
    /// The run is over.
    Over,
    /// It goes on; look again later.
    Open,
}

/// Looks after a run: recovers it if its supervisor is gone.
pub async fn check_run(app: &Arc<Asgard>, id: &RunId) -> Result<RunCheck> {
    let Some(run) = app.store().read::<Run>(id.as_str()).await? else { return Ok(RunCheck::Over) };
    if run.status.is_over() {
        return Ok(RunCheck::Over);
    }
    if run.status == RunStatus::Running && recover(app, &run).await? {
        return Ok(RunCheck::Over);
    }
    Ok(RunCheck::Open)
}

/// Looks after every open run once, at start: launches what waits, recovers what is dead, and clears what is over.
pub async fn recover_at_start(app: &Arc<Asgard>) -> Result<usize> {
    let runs = open_runs(app).await?;
    for run in &runs {
        let done = if run.status.waits() {
            see_to_launch(app, run, true).await.map(|_| ())
        } else {
            check_run(app, &run.id).await.map(|_| ())
        };
        report(&run.id, done);
    }
    clean_up(app).await?;
    Ok(runs.len())
}

/// Looks after every open run, now and then.
pub(crate) async fn check_all_runs(app: &Arc<Asgard>) -> Result<usize> {
    let runs = in_turn(app).await?;
    for run in &runs {
        let done = if !run.status.waits() {
            check_run(app, &run.id).await.map(|_| ())
        } else if let waited = app.world().now().since(run.created_at)
            && waited > FORGOTTEN
        {
            see_to_launch(app, run, false).await.map(|launching| {
                // An alarm counts these lines: no other run keeps this one waiting.
                if launching == Launching::Stuck {
                    let (status, waited_secs) = (run.status.name(), waited.as_secs());
                    tracing::warn!(run.id = %run.id, run.op = run.op.name(), run.status = status, waited_secs, "A run is stuck: no supervisor has taken it.");
                }
            })
        } else {
            Ok(())
        };
        report(&run.id, done);
    }
    clean_up(app).await?;
    Ok(runs.len())
}

fn report(run: &RunId, done: Result<()>) {
    if let Err(error) = done {
        tracing::warn!(run.id = %run, error = error.chain(), "A run could not be looked after; it will be tried again.");
    }
}

/// The open runs, beginning anywhere: a round that is stopped half way, again and again, still comes to each of them.
pub(super) async fn in_turn(app: &Asgard) -> Result<Vec<Stored<Run>>> {
    let mut runs = open_runs(app).await?;
    let begin = usize::from(u16::from_be_bytes(app.world().random::<2>()));
    if let Some(begin) = begin.checked_rem(runs.len()) {
        runs.rotate_left(begin);
    }
    Ok(runs)
}

async fn open_runs(app: &Asgard) -> Result<Vec<Stored<Run>>> {
    let mut runs = Vec::new();
    let mut query = Query::new(&RUNS_OPEN, OPEN).take(100);
    loop {
        let page = app.store().list::<Run>(&query).await?;
        runs.extend(page.items);
        if page.next.is_none() || runs.len() >= MAX_RUNS {
            return Ok(runs);
        }
        query = query.after(page.next);
    }
}

/// Removes what runs that are over left behind on this host. What belongs to no run of this database stays: another Asgard
/// may work in the same folder.
async fn clean_up(app: &Asgard) -> Result<()> {
    for id in app.runner().left_over().await? {
        if let Some(run) = app.store().read::<Run>(id.as_str()).await?.filter(|run| run.status.is_over()) {
            report(&id, folder::clean(app, &run).await);
        }
    }
    Ok(())
}

fn system(run: &Run) -> Call {
    Call::system("recovery", run.trace.clone())
}

/// What keeps a waiting run from being launched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Launching {
    /// Other runs: they have the resource, or all the room there is.
    Waits,
    /// Nothing that would pass by itself.
    Stuck,
    /// Nothing: it does not wait any more.
    Begun,
}

/// Sees to it that there is a job that launches the run: appends another only when the present one is gone or dead. At the
/// start of a process the present one is done at once, because whoever had it may have ended.
pub(super) async fn see_to_launch(app: &Asgard, run: &Run, at_start: bool) -> Result<Launching> {
    let (call, id) = (system(run), &run.id);
    app.transact(&call, |tx| {
        Box::pin(async move {
            tx.as_system()?;
            let run = tx.need::<Run>(id.as_str()).await?;
            if !run.status.waits() {
                return Ok(Launching::Begun);
            }
            let job = match &run.launch {
                Some(job) => tx.read_checked::<Job>(job.as_str()).await?.filter(|job| job.dead.is_none()),
                None => None,
            };
            let waits_its_turn = job.as_ref().is_some_and(|job| job.waits_its_turn(tx.now()));
            match &job {
                Some(job) if at_start && job.claimed_by.as_ref() != Some(tx.app().holder()) => {
                    tx.waive_audit(AuditWaiver::LaunchMark)?;
                    tx.replace(job, &job.hurried(tx.now()))?;
                }
                Some(_) => {}
                None => {
                    let launch = Some(tx.job(Work::LaunchRun { run: id.clone() }, Duration::ZERO)?);
                    tx.replace(&run, &Run { launch, ..run.value.clone() })?;
                    let details = [("op", run.op.name().to_owned())];
                    tx.audit(Some(&run.project), AuditAction::RunRelaunched, id, &details)?;
                }
            }
            let lease = tx.read::<Lease>(&Run::lease_name(&run.resource)).await?;
            let held = lease.is_some_and(|lease| lease.holder.is_some());
            Ok(if held || waits_its_turn { Launching::Waits } else { Launching::Stuck })
        })
    })
    .await
}

/// Ends a run that no supervisor could be started for, and fails its request.
pub(crate) async fn give_up(app: &Asgard, id: &RunId, why: &str) -> Result<()> {
    let Some(seen) = app.store().read::<Run>(id.as_str()).await? else { return Ok(()) };
    let call = system(&seen);
    app.transact(&call, |tx| {
        Box::pin(async move {
            tx.as_system()?;
            let run = tx.need::<Run>(id.as_str()).await?;
            if !run.status.waits() {
                return Ok(());
            }
            let why = format!("No supervisor could be started: {why}");
            tx.replace(&run, &Run { error: Some(why.clone()), ..run.go(RunStatus::Failed, tx.now())? })?;
            free_refresh(tx, &run)?;
            if let Some(request) = &run.request {
                let request = tx.need::<Request>(request.as_str()).await?;
                let resource = tx.need::<Resource>(request.resource.as_str()).await?;
                if request.current_run.as_ref() == Some(id) && !request.status.is_over() {
                    let failed = request::failed(&request, &resource, &why, tx.now())?;
                    apply_transition(tx, &request, &resource, failed).await?;
                }
            }
            tx.audit(Some(&run.project), AuditAction::RunNotStarted, id, &[("why", why)])
        })
    })
    .await
}

/// Recovers a running run if its supervisor is gone. `false` when it is not, as far as can be told.
async fn recover(app: &Arc<Asgard>, run: &Run) -> Result<bool> {
    let Some(lease) = app.store().read::<Lease>(&Run::lease_name(&run.resource)).await? else {
        return Err(Error::bug(format!("{} is running without a lease", run.id)));
    };
    let now = app.cautious_now().await?;
    let liveness = match &lease.location {
        Some(place) => app.runner().probe(place, now).await,
        None => Liveness::Unknown,
    };
    let (seen, ttl, cannot_watch) = (app.watch().observe(&lease), lease_lasts(app), app.is_fleeting());
    let gone = match liveness {
        Liveness::Dead => true,
        // A supervisor that cannot renew has stopped its child by now, and whatever its child's life hangs on has when it was killed.
        Liveness::Unknown => seen.is_gone(ttl, now, lease.expires_at, cannot_watch),
        Liveness::Alive => seen.is_gone(ttl + STUCK, now, lease.expires_at.plus(STUCK), cannot_watch),
    };
    if !gone {
        return Ok(false);
    }
    let Some((claimed_run, run)) = take_over(app, run, &lease, liveness).await? else { return Ok(false) };
    let run = &run;
    tracing::warn!(run.id = %run.id, op = run.op.name(), ?liveness, "The supervisor of a run is gone; recovering.");
    let Some(Found { may_exist, complete, ended }) = salvage(&claimed_run, run).await? else { return Ok(false) };
    // A lease that ran out proves nothing about a Terraform whose life did not hang on it.
    if liveness == Liveness::Dead || ended || run.ends_in_time || !run.may_have_changed_things() {
        claimed_run.finish(RunOutcome::Interrupted { may_exist }).await?;
    } else {
        tracing::error!(run.id = %run.id, op = run.op.name(), "Whether Terraform is still at work for a run cannot be seen from here; a person has to look.");
        claimed_run.finish_unseen(may_exist).await?;
    }
    if complete {
        app.runner().clean(&run.id).await?;
    } else {
        folder::keep(app, run).await?;
    }
    Ok(true)
}

/// Takes the lease of a run under the next fence: from here on its old supervisor commits nothing any more.
async fn take_over(
    app: &Arc<Asgard>,
    run: &Run,
    seen: &Stored<Lease>,
    liveness: Liveness,
) -> Result<Option<(ClaimedRun, Run)>> {
    let holder: HolderId = app.world().id();
    let place = SupervisorLocation::InProcess { holder: app.holder().to_string() };
    let (call, id, owner, place) = (system(run), &run.id, &holder, &place);
    let taken = app
        .transact(&call, |tx| {
            Box::pin(async move {
                tx.as_system()?;
                let lease = tx.need::<Lease>(&seen.name).await?;
                let run = tx.need::<Run>(id.as_str()).await?;
                if lease.version != seen.version || run.status != RunStatus::Running {
                    return Ok(None);
                }
                let until = tx.now().plus(IN_PROCESS);
                let taken = Lease::taken(Some(&lease), &lease.name, owner.clone(), Some(place.clone()), until);
                tx.replace(&lease, &taken)?;
                // Where it ran stays on the run: that is where its left-overs are.
                let recovered = Run { fence: taken.fence, ..run.value.clone() };
                tx.replace(&run, &recovered)?;
                let details =
                    [("op", run.op.name().to_owned()), ("supervisor", format!("{liveness:?}").to_lowercase())];
                tx.audit(Some(&run.project), AuditAction::RunRecovered, id, &details)?;
                Ok(Some((taken, recovered)))
            })
        })
        .await?;
    Ok(taken.map(|(lease, run)| {
        let claimed = ClaimedRun {
            held_lease: HeldLease::new(Arc::clone(app), run.trace.clone(), &lease, holder, IN_PROCESS),
            run: run.id.clone(),
            op: run.op,
            resource: run.resource.clone(),
            inputs: None,
            module: None,
            log: tokio::sync::Mutex::new(LogBudget::default()),
        };
        (claimed, run)
    }))
}

/// What a dead supervisor left behind, stored.
struct Found {
    may_exist: Vec<String>,
    /// Whether all that the run had started is proven to have ended.
    ended: bool,
    /// Whether everything worth keeping is stored, so that the rest can go.
    complete: bool,
}

/// Stores what the dead supervisor left behind. `None` when the lease was lost meanwhile.
async fn salvage(claimed_run: &ClaimedRun, run: &Run) -> Result<Option<Found>> {
    let looking = claimed_run.app().runner().salvage(&run.id, run.location.as_ref());
    let Some(left) = renewing(claimed_run, looking).await? else { return Ok(None) };
    claimed_run.log(left.logged).await?;
    let adopted = match &left.state {
        Some(state) => adopt(claimed_run, state).await?,
        None => true,
    };
    // What cannot be read may be the only copy.
    let complete = adopted && !left.unreadable;
    let may_exist = if left.found || !run.may_have_changed_things() {
        left.may_exist
    } else {
        let Some(unseen) = renewing(claimed_run, unseen(claimed_run, run)).await? else { return Ok(None) };
        unseen
    };
    Ok(Some(Found { may_exist, ended: left.ended, complete }))
}

/// What may exist of a run whose folder is not here: all there is to go by is its plan and what it had sent, its log and states.
async fn unseen(claimed_run: &ClaimedRun, run: &Run) -> Result<Vec<String>> {
    let app = claimed_run.app();
    let planned = match &run.plan_of {
        Some(planned) => app.store().read::<Run>(planned.as_str()).await?.and_then(|planned| planned.value.summary),
        None => None,
    };
    log::may_exist(app, run, planned.as_ref()).await
}

/// Waits for something, renewing the lease meanwhile. `None` when the lease was lost.
async fn renewing<T>(claimed_run: &ClaimedRun, work: impl Future<Output = Result<T>>) -> Result<Option<T>> {
    tokio::pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done.map(Some),
            () = claimed_run.app().world().sleep(RENEW_EVERY) => {
                if !claimed_run.held_lease.renew().await? {
                    return Ok(None);
                }
            }
        }
    }
}

/// Makes a left-over state the current one if it is newer. `false` when it does not belong to what is stored: then it
/// stays where it is, for somebody to look at.
async fn adopt(claimed_run: &ClaimedRun, state: &[u8]) -> Result<bool> {
    let Err(error) = claimed_run.store_state(state).await else { return Ok(true) };
    match (error.kind(), error.code()) {
        (_, Code::StaleVersion) => Ok(true),
        (Kind::Invalid | Kind::Conflict, _) => {
            tracing::error!(run.id = %claimed_run.run, error = error.chain(), "A left-over state does not fit; it stays where it is.");
            Ok(false)
        }
        _ => Err(error),
    }
}
