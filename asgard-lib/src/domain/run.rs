//! Runs: one execution of Terraform (or of the dry run) for a resource.

use crate::{
    error::{Code, Error, Result},
    kernel::{ActorRef, JobId, ProjectId, RequestId, ResourceId, RunId, Timestamp, TraceId},
};
use serde::{Deserialize, Serialize};

mod creation;
mod location;
mod plan;

pub use creation::{ChangeAction, CreationTracker, Inventory, MAX_ADDRESSES, Step, listed};
pub use location::SupervisorLocation;
pub use plan::{Change, PlanSummary, PlannedChange, ProviderChange};

/// What a run does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunOp {
    /// Work out what an apply would change.
    Plan,
    /// Work out what a destroy would remove.
    PlanDestroy,
    /// Apply exactly the stored plan.
    Apply,
    /// Apply exactly the stored destroy plan.
    Destroy,
    /// Compare what exists with the state, changing nothing.
    Refresh,
}

impl RunOp {
    /// The name for people and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::PlanDestroy => "plan_destroy",
            Self::Apply => "apply",
            Self::Destroy => "destroy",
            Self::Refresh => "refresh",
        }
    }

    /// Whether it changes what exists.
    pub const fn changes_things(self) -> bool {
        match self {
            Self::Apply | Self::Destroy => true,
            Self::Plan | Self::PlanDestroy | Self::Refresh => false,
        }
    }
}

/// Where a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Waiting for a supervisor to be started.
    Queued,
    /// A supervisor is being started.
    Starting,
    /// A supervisor has it.
    Running,
    /// It worked.
    Succeeded,
    /// It did not work.
    Failed,
    /// It was cancelled.
    Cancelled,
    /// It took too long.
    TimedOut,
    /// Its supervisor died; another run takes over.
    Interrupted,
    /// It was interrupted, and what it left behind has to be looked at.
    NeedsAttention,
}

impl RunStatus {
    /// Every status.
    pub const ALL: [Self; 9] = [
        Self::Queued,
        Self::Starting,
        Self::Running,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
        Self::TimedOut,
        Self::Interrupted,
        Self::NeedsAttention,
    ];

    /// The one table of where a run may go next.
    pub const fn next(self) -> &'static [Self] {
        match self {
            Self::Queued => &[Self::Starting, Self::Running, Self::Failed, Self::Cancelled],
            Self::Starting => &[Self::Starting, Self::Running, Self::Failed, Self::Cancelled],
            Self::Running => &[
                Self::Running,
                Self::Succeeded,
                Self::Failed,
                Self::Cancelled,
                Self::TimedOut,
                Self::Interrupted,
                Self::NeedsAttention,
            ],
            Self::Succeeded
            | Self::Failed
            | Self::Cancelled
            | Self::TimedOut
            | Self::Interrupted
            | Self::NeedsAttention => &[],
        }
    }

    /// Whether the run is over.
    pub const fn is_over(self) -> bool {
        self.next().is_empty()
    }

    /// Whether the run waits for a supervisor.
    pub const fn waits(self) -> bool {
        match self {
            Self::Queued | Self::Starting => true,
            Self::Running
            | Self::Succeeded
            | Self::Failed
            | Self::Cancelled
            | Self::TimedOut
            | Self::Interrupted
            | Self::NeedsAttention => false,
        }
    }

    /// The status's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::TimedOut => "timed_out",
            Self::Interrupted => "interrupted",
            Self::NeedsAttention => "needs_attention",
        }
    }
}

/// Which Terraform state of a resource is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredState {
    /// The state's lineage.
    pub lineage: String,
    /// The state's serial.
    pub serial: u64,
}

/// A run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// The project.
    pub project: ProjectId,
    /// The resource.
    pub resource: ResourceId,
    /// The request it carries out; a refresh has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestId>,
    /// What it does.
    pub op: RunOp,
    /// Where it is.
    pub status: RunStatus,
    /// Present while it is not over, for recovery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open: Option<String>,
    /// For an apply: the run whose plan it applies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan_of: Option<RunId>,
    /// For a plan after an interruption: go on without asking if the rest is no more than what was approved.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub resume: bool,
    /// Who caused it.
    pub actor: ActorRef,
    /// The trace that caused it.
    pub trace: TraceId,
    /// The fence of the lease it runs under.
    #[serde(default)]
    pub fence: u64,
    /// How many supervisors have claimed it.
    #[serde(default)]
    pub attempts: u32,
    /// Where its supervisor is.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "whereabouts")]
    pub location: Option<SupervisorLocation>,
    /// Whether everything that its supervisor started ends with the lease, whatever becomes of the supervisor. Of a version before
    /// nobody knows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ends_in_time: bool,
    /// Whether it should stop.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cancel: bool,
    /// The job that launches it: while that is there and not dead, no other is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub launch: Option<JobId>,
    /// The runner that executes it.
    pub runner: String,
    /// Engine and version, once known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    /// SHA-256 of the module's files, once known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module_digest: Option<String>,
    /// For a run that changes things: whether it began to. None for runs that a version before claimed, which noted nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applying: Option<bool>,
    /// A digest of the inputs under a key of Asgard's, once known: equal inputs of a resource have an equal one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs: Option<String>,
    /// The newest state that is stored of what it did; the one that it began with, before it stored any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<StoredState>,
    /// For an apply that has begun: the digest of the kept module that it holds a reference to, until its first state takes the reference
    /// over or it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<String>,
    /// Whether its folder is kept because a state in it was never stored.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub folder_kept: bool,
    /// What a plan found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<PlanSummary>,
    /// For a refresh: the addresses that drifted, at most 200.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drift: Vec<String>,
    /// What may exist without being in the state, at most 200 addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub may_exist: Vec<String>,
    /// What went wrong, for people, with secrets taken out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// When it was queued.
    pub created_at: Timestamp,
    /// When its first supervisor claimed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
}

/// The partition of open runs.
pub const OPEN: &str = "open";

impl Run {
    /// The lease that lets a resource have one run at a time.
    pub fn lease_name(resource: &ResourceId) -> String {
        format!("resource/{resource}")
    }

    /// Whether it may have changed something.
    pub fn may_have_changed_things(&self) -> bool {
        self.op.changes_things() && self.applying != Some(false)
    }

    /// Whether both runs work from one basis: the same module, inputs and engine. Only the state may have moved between them.
    /// What is not known of either is not the same.
    pub fn shares_basis(&self, other: &Self) -> bool {
        let same = |mine: &Option<String>, theirs: &Option<String>| mine.is_some() && mine == theirs;
        self.resource == other.resource
            && self.runner == other.runner
            && same(&self.module_digest, &other.module_digest)
            && same(&self.inputs, &other.inputs)
            && same(&self.engine, &other.engine)
    }

    /// Moves to `status` if the table allows it.
    pub fn go(&self, status: RunStatus, now: Timestamp) -> Result<Self> {
        if !self.status.next().contains(&status) {
            return Err(Error::new(
                Code::WrongState,
                format!("Run {} is {} and cannot become {}.", self.id, self.status.name(), status.name()),
            ));
        }
        let over = status.is_over();
        let mut next = Self { status, ..self.clone() };
        if over {
            next.open = None;
            next.finished_at = Some(now);
        }
        Ok(next)
    }
}

/// A piece of a run's log. Pieces are numbered without a gap, so that they are read by their ids.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogSegment {
    /// The run.
    pub run: RunId,
    /// Its number in the run, from 0, as 8 digits.
    pub position: String,
    /// The lines.
    pub lines: Vec<LogLine>,
    /// When it was stored.
    pub at: Timestamp,
    /// After this moment it may vanish.
    pub keep_until: Timestamp,
}

impl LogSegment {
    /// The most bytes of messages in a segment.
    pub const BYTES: usize = 64 * 1024;

    /// The id of the segment at a position.
    pub fn id(run: &RunId, number: u32) -> String {
        format!("{run}/{}", Self::position(number))
    }

    /// The text of a position.
    pub fn position(number: u32) -> String {
        format!("{number:08}")
    }
}

/// A line of a run's log: allow-listed fields of Terraform's own messages, redacted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LogLine {
    /// The time at which Terraform printed the line.
    pub at: Timestamp,
    /// The level: `info`, `warn` or `error`.
    pub level: String,
    /// Terraform's message type, for example `apply_start`; `asgard` for the supervisor's own lines.
    pub kind: String,
    /// The Terraform address that the line is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// What is being done to the address, for lines of a change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<ChangeAction>,
    /// The text of the line, with secret values taken out.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_is_over_stays_over() {
        for status in RunStatus::ALL {
            assert_eq!(status.is_over(), status.next().is_empty());
            for next in status.next() {
                assert!(RunStatus::ALL.contains(next));
            }
        }
        assert!(!RunStatus::Running.is_over() && RunStatus::Interrupted.is_over());
    }
}
