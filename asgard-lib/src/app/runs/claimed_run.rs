//! The seam between the control side and whatever executes a run: what a supervisor is given, what it may do while it
//! holds the run, and how it can end.

use super::{held_lease::HeldLease, log_budget::LogBudget};
use crate::{
    app::{Asgard, services::Service},
    domain::{
        project::Project,
        request::Request,
        resource::Resource,
        run::{Run, RunOp},
    },
    error::{Code, Error},
    kernel::{ResourceId, RunId, SecretText, Timestamp},
    ports::runner::SupervisorLocation,
};
use serde_json::{Map, Value};
use std::{sync::Arc, time::Duration};
use zeroize::Zeroizing;

/// Everything that a supervisor needs to execute a run. No `Debug`: it holds secrets.
pub struct Assignment {
    /// The run, as claimed.
    pub run: Run,
    /// The request that it carries out; a refresh has none.
    pub request: Option<Request>,
    /// The resource.
    pub resource: Resource,
    /// Its project.
    pub project: Project,
    /// Its service: manifest and Terraform files. For removing and comparing, those that the resource was last applied with.
    pub service: Arc<Service>,
    /// The lock file of the providers that the resource was last applied with, for removing and comparing. Where those are not offered
    /// any more, others within the module's constraints do, and the plan says so.
    pub lock: Option<Vec<u8>>,
    /// The module's variables: `name`, `project_id`, `rotation` and the spec, with secret references resolved.
    pub variables: Map<String, Value>,
    /// Values that must not show in logs, known from the start.
    pub secrets: Vec<SecretText>,
    /// The current Terraform state.
    pub state: Option<Zeroizing<Vec<u8>>>,
    /// For an apply or a destroy: the stored plan, as the engine side packed it.
    pub plan: Option<Zeroizing<Vec<u8>>>,
    /// Provider variables for the target's cloud.
    pub child_env: Vec<(String, SecretText)>,
    /// The role of the target, whose credentials the run gets; `child_env` has none then.
    pub role: Option<String>,
}

crate::kernel::opaque!(Assignment);

/// Who claims a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimant {
    pub(super) place: SupervisorLocation,
    pub(super) ends_in_time: bool,
}

impl Claimant {
    /// A supervisor at that place. Where it cannot be proven dead later, what its run was doing may be going on, and a person
    /// decides what becomes of the request.
    pub const fn at(place: SupervisorLocation) -> Self {
        Self { place, ends_in_time: false }
    }

    /// The promise that everything which the supervisor starts has ended when its lease runs out, also when the supervisor is killed
    /// or stopped: its life hangs on something else that knows until when the lease lasts. Then another supervisor may go on.
    #[must_use]
    pub fn ending_in_time(self) -> Self {
        Self { ends_in_time: true, ..self }
    }
}

/// What came of claiming a run.
#[allow(clippy::large_enum_variant, reason = "made once per run, and taken apart at once")]
pub enum Claim {
    /// It is this supervisor's.
    Claimed(Box<Assignment>, ClaimedRun),
    /// There is nothing to do: the run is over, or somebody else has it.
    NotNeeded {
        /// Why, for the log.
        why: String,
    },
    /// Another run has the resource.
    Held {
        /// When its lease runs out unless it is renewed.
        until: Timestamp,
    },
}

crate::kernel::opaque!(Claim);

/// The right to work on a run, for as long as its lease is held. Share it in an `Arc` while the run works; only
/// [`ClaimedRun::finish`] needs it back.
pub struct ClaimedRun {
    pub(super) held_lease: HeldLease,
    pub(super) run: RunId,
    pub(super) op: RunOp,
    pub(super) resource: ResourceId,
    /// The digest of the inputs that the run works with, once they were read.
    pub(super) inputs: Option<String>,
    /// For an apply that makes things: what it applies, to be kept once it begins.
    pub(super) module: Option<Arc<Service>>,
    pub(super) log: tokio::sync::Mutex<LogBudget>,
}

crate::kernel::opaque!(ClaimedRun);

impl ClaimedRun {
    /// How often to call [`RunReporter::renew`](crate::ports::runner::RunReporter::renew).
    pub const RENEW_EVERY: Duration = Duration::from_secs(15);
    /// How long before the lease runs out a child must have been stopped.
    pub const STOP_BEFORE: Duration = Duration::from_secs(10);

    /// The control plane.
    pub fn app(&self) -> &Arc<Asgard> {
        self.held_lease.app()
    }

    /// The run.
    pub fn run(&self) -> &RunId {
        &self.run
    }
}

/// What a supervisor is told that lost its lease.
pub(super) fn lost() -> Error {
    Error::new(Code::WrongState, "Another supervisor has taken over this run.")
}
