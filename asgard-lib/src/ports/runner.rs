//! Where runs are executed. A runner only starts a supervisor and can tell whether one still lives; what a supervisor does
//! is the same everywhere (see [`crate::app`]).

pub use crate::domain::run::SupervisorLocation;
use crate::{
    domain::run::{LogLine, PlanSummary},
    error::Result,
    kernel::{RunId, Timestamp},
};
use async_trait::async_trait;
use serde_json::Value;
use std::{collections::BTreeMap, time::Duration};
use zeroize::Zeroizing;

/// What a runner knows about a supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Liveness {
    /// It runs.
    Alive,
    /// It is proven dead, with everything it started.
    Dead,
    /// It cannot be told from here, for example because it is on another host.
    Unknown,
}

/// Starts supervisors.
#[async_trait]
pub trait Runner: Send + Sync + 'static {
    /// A name for records and logs: `local-process`, `dry-run`.
    fn name(&self) -> &'static str;

    /// Whether outputs are made up. Only the dry run says yes.
    fn is_dry(&self) -> bool {
        false
    }

    /// How long a supervisor that was started gets to claim its run before another is started.
    fn claim_within(&self) -> Duration {
        Duration::from_secs(30)
    }

    /// Starts the supervisor of a run, which claims the run itself. Starting one twice is harmless: the second claim loses.
    ///
    /// # Errors
    ///
    /// Of [`Kind::Limit`](crate::Kind::Limit) when there is no room: the run waits, as long as it takes.
    /// [`Code::RunnerUnavailable`](crate::Code::RunnerUnavailable) when it cannot be asked just now: the run waits for an
    /// hour. Both may say when to ask again. Anything else counts as a failed attempt. What an error says is shown to
    /// whoever asked for the run; what is for operators only is its cause.
    async fn launch(&self, run: &RunId) -> Result<()>;

    /// Why no supervisor of a run ever claimed it, for people, as far as can be told.
    async fn why_unclaimed(&self, _run: &RunId) -> Option<String> {
        None
    }

    /// Whether the supervisor at `place` lives. `Dead` is a promise that nothing it started lives either; the runner may
    /// have to end left-over processes to keep it.
    async fn probe(&self, place: &SupervisorLocation, now: Timestamp) -> Liveness;

    /// What a supervisor that is proven dead left behind. Asked only after [`Runner::probe`] said `Dead`, or once the lease
    /// has run out; changes nothing but ends processes that the run left over, so it may be asked again.
    async fn salvage(&self, _run: &RunId, _place: Option<&SupervisorLocation>) -> Result<Salvage> {
        Ok(Salvage::default())
    }

    /// Removes what a run left behind, once [`Runner::salvage`] was committed or the run is over. Removing nothing is fine.
    async fn clean(&self, _run: &RunId) -> Result<()> {
        Ok(())
    }

    /// Keeps what a run left behind, where neither [`Runner::clean`] nor [`Runner::left_over`] finds it again, and says where that is.
    /// Asked when it holds the only copy of a Terraform state.
    async fn set_aside(&self, _run: &RunId) -> Result<Option<String>> {
        Ok(None)
    }

    /// The runs that left something behind here. Asked at boot and now and then: those that are over get cleaned.
    async fn left_over(&self) -> Result<Vec<RunId>> {
        Ok(Vec::new())
    }
}

/// What a dead supervisor left behind.
#[derive(Default)]
pub struct Salvage {
    /// Whether the run's folder is here. Without it nobody can tell what the run did: silence is no evidence.
    pub found: bool,
    /// Whether all that the run started is proven to have ended: where it ran can be seen from here, and what was left of it was ended
    /// before anything was looked at.
    pub ended: bool,
    /// The newest complete Terraform state in the left-over work directory.
    pub state: Option<Zeroizing<Vec<u8>>>,
    /// Whether there is a state file that cannot be read whole. Nobody can tell what is in it, so the folder has to stay.
    pub unreadable: bool,
    /// Addresses that were being created and that neither the log nor the state says are finished, at most 200.
    pub may_exist: Vec<String>,
    /// Lines that had not reached the store; free text is left out, because nobody can tell any more what is secret in it.
    pub logged: Vec<LogLine>,
}

crate::kernel::opaque!(Salvage);

/// An output as Terraform gave it. No `Debug`: the value may be a secret.
#[derive(Clone, PartialEq)]
pub struct OutputValue {
    /// The value.
    pub value: Value,
    /// Whether it is a secret: Terraform marks it as sensitive, or the manifest declares it secret.
    pub sensitive: bool,
}

crate::kernel::opaque!(OutputValue);

/// What renewing a run's lease came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// It is held, for another while.
    Held {
        /// Whether somebody asked to cancel the run.
        cancel: bool,
    },
    /// Somebody else has it, or the run is over: stop now and commit nothing.
    Lost,
}

/// How a run ended.
pub enum RunOutcome {
    /// A plan was made.
    Planned {
        /// What it would do.
        summary: PlanSummary,
        /// What an apply needs, as opaque bytes that hold secrets.
        plan: Zeroizing<Vec<u8>>,
    },
    /// The plan was applied.
    Applied {
        /// The outputs.
        outputs: BTreeMap<String, OutputValue>,
    },
    /// Everything was destroyed.
    Destroyed,
    /// What exists was compared with the state.
    Refreshed {
        /// The addresses that drifted, at most 200.
        drift: Vec<String>,
    },
    /// It did not work.
    Failed {
        /// Why, for people, with secrets taken out.
        error: String,
        /// What may exist without being in the state.
        may_exist: Vec<String>,
    },
    /// The plan does not fit what is there any more. Nothing was changed; a new plan is needed.
    Stale {
        /// What changed since the plan was made.
        why: String,
    },
    /// Somebody cancelled it.
    Cancelled {
        /// What may exist without being in the state.
        may_exist: Vec<String>,
    },
    /// It took longer than the service allows.
    TimedOut {
        /// What may exist without being in the state.
        may_exist: Vec<String>,
    },
    /// The supervisor was asked to stop, or Terraform was ended by something else than Asgard: another run goes on.
    Interrupted {
        /// What may exist without being in the state.
        may_exist: Vec<String>,
    },
}

crate::kernel::opaque!(RunOutcome);

impl RunOutcome {
    /// The name for logs.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Planned { .. } => "planned",
            Self::Applied { .. } => "applied",
            Self::Destroyed => "destroyed",
            Self::Refreshed { .. } => "refreshed",
            Self::Failed { .. } => "failed",
            Self::Stale { .. } => "stale",
            Self::Cancelled { .. } => "cancelled",
            Self::TimedOut { .. } => "timed_out",
            Self::Interrupted { .. } => "interrupted",
        }
    }
}

/// What a supervisor reports to while it works. The control side implements it over the store; every call is fenced by the
/// run's lease, so that after a `Lost` nothing is committed any more.
#[async_trait]
pub trait RunReporter: Send + Sync {
    /// Renews the lease. An error that lasts until [`RunReporter::stop_by`] means the same as `Lost`.
    async fn renew(&self) -> Result<Renewal>;

    /// The moment at which nothing that the supervisor started may run any more, unless the lease is renewed before.
    fn stop_by(&self) -> Timestamp;

    /// Records the engine (name and version) and the module's digest.
    async fn engine(&self, engine: &str, module_digest: &str) -> Result<()>;

    /// Records that the plan begins to be applied. Nothing may be changed before this was committed: what a run was
    /// interrupted before is planned as if it had never been tried.
    ///
    /// For an apply the module is kept by this, with `lock`, the lock file of the providers that are about to apply it. From the first
    /// state that the run stores on, the resource is compared and removed with that module and the inputs of this run.
    ///
    /// # Errors
    ///
    /// When the module is too large to be kept; then nothing may be changed.
    async fn applying(&self, lock: Option<&[u8]>) -> Result<()>;

    /// Stores a Terraform state of a greater serial than the last; the same serial with the same bytes is fine.
    async fn store_state(&self, state: &[u8]) -> Result<()>;

    /// Adds lines to the run's log, already redacted.
    async fn log(&self, lines: Vec<LogLine>) -> Result<()>;
}
