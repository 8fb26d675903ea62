//! A run from its claim to its end: prepare the folder, run the engine, see what came of it. Beside it, as long as it takes,
//! the lease is kept, states and lines are stored, and reasons to stop are listened for.

use super::{
    confine::Around,
    engine::{self, Engine},
    environment::{self, Environment},
    helper::Helper,
    keeper, local_process, nothing, processes,
    record::Record,
    salvage,
    stop::{Reason, Stop},
    term::Term,
    watch,
    workdir::{self, Layout, WorkDir},
};
use crate::{
    adapters::SealedVault,
    domain::run::{Inventory, RunOp, listed},
    error::Result,
    kernel::{RunId, SecretText, Timestamp},
    ports::{
        roles::Roles,
        runner::{Renewal, RunOutcome, RunReporter, SupervisorLocation},
        world::World,
    },
};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

/// What there is to do. No `Debug`: it holds secrets.
pub(super) struct Order {
    /// The run.
    pub run: RunId,
    /// What it does.
    pub op: RunOp,
    /// The module's files by relative path.
    pub files: BTreeMap<String, Vec<u8>>,
    /// SHA-256 of the module.
    pub module_digest: String,
    /// The outputs that the manifest declares, and whether they are secret.
    pub outputs: BTreeMap<String, bool>,
    /// The module's variables.
    pub variables: Map<String, Value>,
    /// Values that no log may show.
    pub secrets: Vec<SecretText>,
    /// The state that the run begins with.
    pub state: Option<Zeroizing<Vec<u8>>>,
    /// The lock file that the resource was last applied with, for a plan to destroy and for comparing.
    pub lock: Option<Vec<u8>>,
    /// For an apply: what the plan run stored.
    pub plan: Option<Zeroizing<Vec<u8>>>,
    /// Variables of the environment for the target's provider.
    pub child_env: Vec<(String, SecretText)>,
    /// How long the run may take.
    pub timeout: Duration,
    /// How long Terraform gets to stop.
    pub grace: Duration,
}

/// How runs are executed here.
#[derive(Clone, Debug)]
pub struct SuperviseOptions {
    /// Where the runs' private folders are made.
    pub work_dir: PathBuf,
    /// The engine: a path, or a name to look for on the PATH.
    pub bin: PathBuf,
    /// A folder of providers, the only place that they come from; without one, they are fetched from where their names say.
    pub mirror: Option<PathBuf>,
    /// How much room the work folder's disk must have, in bytes.
    pub min_free_bytes: u64,
    /// Cancelled when the supervisor itself has to stop, for example on SIGTERM.
    pub stop: CancellationToken,
    /// The most of a service's grace that Terraform gets after [`SuperviseOptions::stop`], where the platform ends this
    /// process a while after it asked. Cancelled runs and those out of time have all of it.
    pub hurry: Option<Duration>,
    /// Where this process is, so that others can prove it dead; without it, what the process table says.
    pub place: Option<SupervisorLocation>,
    /// Whether this process exists for the run alone. Then it is closed to other processes (see
    /// [`super::harden_process`]); turn it off where a service supervises runs inside itself and takes care of that.
    pub own_process: bool,
    /// That this program can stand between the supervisor and Terraform. Then Terraform's life hangs on a guard that ends it before
    /// the lease does, also when this process is killed or stopped, and Terraform is confined where the kernel can do that. Without
    /// it a run whose supervisor cannot be proven dead waits for a person.
    pub helper: Option<Helper>,
    /// Folders and files that every module may read, besides the system's own.
    pub readable: Vec<PathBuf>,
    /// What no module may read wherever it lies: the database, key files, settings. The work folder belongs to it by itself.
    pub closed: Vec<PathBuf>,
    /// What assumes the roles of targets that name one.
    pub roles: Option<Arc<dyn Roles>>,
}

impl SuperviseOptions {
    /// With the usual rest: providers from their registries, 256 MB of room, never stopped from outside.
    pub fn new(work_dir: impl Into<PathBuf>, bin: impl Into<PathBuf>) -> Self {
        Self {
            work_dir: work_dir.into(),
            bin: bin.into(),
            mirror: None,
            min_free_bytes: 256 << 20,
            stop: CancellationToken::new(),
            hurry: None,
            place: None,
            own_process: true,
            helper: None,
            readable: Vec::new(),
            closed: Vec::new(),
            roles: None,
        }
    }

    /// What confined programs may and may not reach, whatever they do.
    pub(super) fn around(&self) -> Around {
        let in_full = |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
        let readable = self.readable.iter().chain(&self.mirror).map(in_full).collect();
        let closed = self.closed.iter().chain([&self.work_dir]).map(in_full).collect();
        Around { readable, closed }
    }
}

/// Everything that the steps of a run need.
pub(super) struct Conductor<'a> {
    pub order: &'a Order,
    pub reporter: &'a dyn RunReporter,
    pub world: &'a World,
    pub stop: &'a Stop,
    pub record: &'a Record,
    pub dir: &'a WorkDir,
    pub engine: Engine,
    pub environment: Environment,
    pub helper: Option<Helper>,
    pub around: Around,
    pub term: &'a Term,
}

impl Conductor<'_> {
    pub(crate) fn now(&self) -> Timestamp {
        self.world.now()
    }

    /// Records that the plan begins to be applied, before anything is changed. `Some` when the run has to stop instead.
    pub(crate) async fn applying(&self) -> Result<Option<RunOutcome>> {
        let lock = self.dir.lock()?;
        let noted = noted(self.order, self.stop, || self.reporter.applying(lock.as_deref())).await?;
        Ok(noted.err().map(|reason| stopped(reason, Vec::new())))
    }
}

/// Carries an order out. `None` means that the lease was lost: nothing more may be committed, and the folder stays where it
/// is, for whoever has the lease now.
pub(super) async fn conduct(
    order: &Order,
    reporter: &dyn RunReporter,
    world: &World,
    options: &SuperviseOptions,
) -> Option<RunOutcome> {
    let stop = Stop::new(options.hurry);
    let record = Record::default();
    let clock = world.clock();
    let layout = workdir::parent(&options.work_dir).map(|parent| Layout::new(&parent, &order.run));
    let kept = layout.as_ref().ok();
    let term = Term::new(reporter, &*clock);
    let lease = keeper::keep(reporter, &*clock, &term, &stop);
    tokio::pin!(lease);

    let (done, mut lease_ended) = (CancellationToken::new(), false);
    let storing = record.keep_storing(reporter, kept, &done);
    tokio::pin!(storing);

    let mut dir = None;
    let ending = {
        let work = perform(order, reporter, world, options, (&stop, &term), &record, &mut dir);
        let limits = limits(order, options, &stop, kept);
        tokio::pin!(work, limits);
        loop {
            tokio::select! {
                biased;
                ending = &mut work => break ending,
                () = &mut lease, if !lease_ended => lease_ended = true,
                () = &mut storing => {}
                () = &mut limits => {}
            }
        }
    };
    let ending = ending.unwrap_or_else(|error| {
        tracing::error!(run.id = %order.run, "the run could not be carried out: {}", error.chain());
        RunOutcome::Failed { error: error.message().to_owned(), may_exist: Vec::new() }
    });
    record.end(world.now(), format!("The run ended: {}.", ending.name()));

    // Terraform is dead, so time does not matter any more. The state goes to the store before anything else, for as long as nobody
    // else has the lease, however long ago it ran out; the folder is removed only when it is there.
    done.cancel();
    let (holding, enough) = (keeper::hold(reporter, &stop), tokio::time::sleep(STORES_FOR));
    tokio::pin!(holding, enough);
    loop {
        tokio::select! {
            biased;
            () = stop.taken() => return None,
            () = &mut lease, if !lease_ended => lease_ended = true,
            () = &mut storing => break,
            () = &mut holding, if lease_ended => {}
            () = &mut enough => {
                tracing::error!(run.id = %order.run, "what the run left could not be stored; its folder stays");
                return None;
            }
        }
    }
    let Some(refusal) = record.refusal() else {
        if let Some(dir) = dir {
            dir.remove();
        }
        return Some(ending);
    };
    // A refusal may mean that somebody else has the run by now; only the lease can tell.
    if matches!(reporter.renew().await, Ok(Renewal::Lost)) {
        tracing::error!(run.id = %order.run, "the run's lease was lost: {}", refusal.chain());
        return None;
    }
    let mut may_exist = match ending {
        RunOutcome::Failed { may_exist, .. }
        | RunOutcome::Cancelled { may_exist }
        | RunOutcome::TimedOut { may_exist }
        | RunOutcome::Interrupted { may_exist } => may_exist,
        RunOutcome::Planned { .. }
        | RunOutcome::Applied { .. }
        | RunOutcome::Destroyed
        | RunOutcome::Refreshed { .. }
        | RunOutcome::Stale { .. } => Vec::new(),
    };
    // The folder may go with the machine, as a task's does: what was made is named where it lasts.
    if let Some((_, newest)) = kept.and_then(watch::newest) {
        let began_with = order.state.as_deref().map(|bytes| Inventory::of(bytes)).unwrap_or_default();
        let made = Inventory::of(&newest).recorded_since(&began_with);
        may_exist.extend(made.into_iter().filter(|address| !may_exist.contains(address)).collect::<Vec<_>>());
    }
    Some(RunOutcome::Failed {
        error: format!("Terraform's state could not be stored: {}", refusal.message()),
        may_exist: listed(may_exist),
    })
}

/// How long what a run left is tried to be stored.
const STORES_FOR: Duration = Duration::from_secs(6 * 3600);

/// Asks to stop when the time is up or the supervisor has to. Never returns.
async fn limits(order: &Order, options: &SuperviseOptions, stop: &Stop, layout: Option<&Layout>) {
    tokio::select! {
        () = tokio::time::sleep(order.timeout) => stop.ask(Reason::TimedOut),
        () = options.stop.cancelled() => stop.ask(Reason::Stopped),
        () = bound_log(layout, &order.run) => {}
    }
    std::future::pending::<()>().await;
}

/// Looks at this supervisor's own log now and then. Never returns.
async fn bound_log(layout: Option<&Layout>, run: &RunId) {
    loop {
        tokio::time::sleep(Duration::from_secs(10)).await;
        if let Some(parent) = layout.and_then(|layout| layout.root().parent()) {
            local_process::bound_log(parent, run);
        }
    }
}

async fn perform(
    order: &Order,
    reporter: &dyn RunReporter,
    world: &World,
    options: &SuperviseOptions,
    (stop, term): (&Stop, &Term),
    record: &Record,
    kept: &mut Option<WorkDir>,
) -> Result<RunOutcome> {
    let parent = workdir::parent(&options.work_dir)?;
    let layout = Layout::new(&parent, &order.run);
    if layout.root().exists() {
        return salvage_own(order, record, &layout).await;
    }
    let mirror = options.mirror.as_deref().map(workdir::mirror).transpose()?;
    let (helper, around) = (options.helper, options.around());
    let engine = engine::find(&options.bin, &order.child_env, helper, &around).await?;
    let name = engine.name();
    let noted = noted(order, stop, || reporter.engine(&name, &order.module_digest)).await?;
    if let Err(reason) = noted {
        return Ok(stopped(reason, Vec::new()));
    }

    if let Some(why) = too_large(order) {
        return Ok(failed(why));
    }
    if nothing::is_there(order) {
        return remove_nothing(order, reporter, world, stop, record, &name).await;
    }
    let dir = kept.insert(WorkDir::create(
        &parent,
        &order.run,
        &workdir::facts(&parent, order.grace.as_secs()),
        options.min_free_bytes,
    )?);
    dir.put_module(&order.files)?;
    if let Some(lock) = &order.lock {
        dir.put_lock(lock)?;
    }
    dir.put_variables(&order.variables)?;
    dir.put_cli_config(mirror.as_deref())?;
    if let Some(state) = &order.state {
        dir.put_state(state)?;
    }
    let environment = Environment::of_run(&order.child_env, dir.layout());
    let conductor = Conductor { order, reporter, world, stop, record, dir, engine, environment, helper, around, term };
    let ending = match order.op {
        RunOp::Plan | RunOp::PlanDestroy => conductor.plan().await,
        RunOp::Apply | RunOp::Destroy => conductor.apply().await,
        RunOp::Refresh => conductor.refresh().await,
    };
    // Whatever the steps came to, nothing of the run may outlive it.
    processes::kill_all(dir.layout()).await;
    ending
}

/// From which size on a state has no room left to grow in: three quarters of what can be stored.
const FULL: usize = SealedVault::MAX / 4 * 3;

/// Why nothing may be added to a state: said before a plan is approved and before anything is changed. What removes and what only looks
/// makes no state larger.
fn too_large(order: &Order) -> Option<String> {
    let grows = match order.op {
        RunOp::Plan | RunOp::Apply => true,
        RunOp::PlanDestroy | RunOp::Destroy | RunOp::Refresh => false,
    };
    let size = order.state.as_ref().map_or(0, |state| state.len());
    (grows && size > FULL).then(|| {
        format!(
            "The Terraform state has {} MB. Asgard stores up to {} MB and changes nothing from {} MB on, so that what is made is always \
             recorded. Split the service into several resources.",
            size >> 20,
            SealedVault::MAX >> 20,
            FULL >> 20,
        )
    })
}

/// Plans or carries out the removal of what is not there.
async fn remove_nothing(
    order: &Order,
    reporter: &dyn RunReporter,
    world: &World,
    stop: &Stop,
    record: &Record,
    engine: &str,
) -> Result<RunOutcome> {
    record.say(world.now(), "info", nothing::SAID);
    if !order.op.changes_things() {
        return nothing::plan(order, engine, &world.random());
    }
    if let Some(why) = nothing::differs(order, engine)? {
        return Ok(RunOutcome::Stale { why });
    }
    let begun = noted(order, stop, || reporter.applying(None)).await?;
    Ok(begun.err().map_or(RunOutcome::Destroyed, |reason| stopped(reason, Vec::new())))
}

/// Records something of the run, through outages of the store, unless the run has to stop first.
async fn noted<F>(order: &Order, stop: &Stop, mut note: impl FnMut() -> F) -> Result<Result<(), Reason>>
where
    F: Future<Output = Result<()>>,
{
    loop {
        match note().await {
            Err(error) if error.kind().retryable() => tracing::warn!(run.id = %order.run, "{}", error.chain()),
            noted => return noted.map(Ok),
        }
        tokio::select! {
            reason = stop.asked() => return Ok(Err(reason)),
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
        }
    }
}

/// An earlier supervisor of this very run died here. What it left is stored; going on is for recovery to decide.
async fn salvage_own(order: &Order, record: &Record, layout: &Layout) -> Result<RunOutcome> {
    let found = salvage::salvage(layout).await?;
    if let Some(state) = found.state {
        let mut watch = watch::Watch::new(layout, order.state.as_deref().map(Vec::as_slice));
        if watch.last().is_some() {
            record.state(state);
        }
    }
    record.lines(found.logged, None);
    Ok(RunOutcome::Interrupted { may_exist: found.may_exist })
}

/// The values that are secret from the start.
pub(super) fn known_secrets(order: &Order) -> impl Iterator<Item = &str> {
    order.secrets.iter().map(SecretText::reveal).chain(environment::secrets(&order.child_env))
}

/// A run that was stopped before or between its commands.
pub(super) fn stopped(reason: Reason, may_exist: Vec<String>) -> RunOutcome {
    match reason {
        Reason::Cancelled => RunOutcome::Cancelled { may_exist },
        Reason::TimedOut => RunOutcome::TimedOut { may_exist },
        Reason::Stopped | Reason::Fading | Reason::Lost => RunOutcome::Interrupted { may_exist },
    }
}

/// Where an error came from matters to people only when it is theirs to mend.
pub(super) fn failed(error: impl Into<String>) -> RunOutcome {
    RunOutcome::Failed { error: error.into(), may_exist: Vec::new() }
}
