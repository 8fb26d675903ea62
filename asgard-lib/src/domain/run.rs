//! Runs: one execution of Terraform (or of the dry run) for a resource.

use crate::{
    error::{Code, Error, Result},
    kernel::{ActorRef, JobId, ProjectId, RequestId, ResourceId, RunId, Timestamp, TraceId},
};
use serde::{Deserialize, Serialize};

mod creation;
mod location;

pub use creation::{ChangeAction, CreationTracker, Step, addresses};
pub use location::SupervisorLocation;

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

/// What a plan would do to one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Create it.
    Create,
    /// Change it in place.
    Update,
    /// Destroy and create it.
    Replace,
    /// Destroy it.
    Delete,
}

/// One address of a plan.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PlannedChange {
    /// The address of the thing in Terraform's configuration.
    pub address: String,
    /// What would happen to the thing.
    pub change: Change,
}

/// What a plan would do: addresses and actions, never values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PlanSummary {
    /// The number of things that would be created.
    pub create: u32,
    /// The number of things that would be changed in place.
    pub update: u32,
    /// The number of things that would be destroyed and created again.
    pub replace: u32,
    /// The number of things that would be destroyed.
    pub delete: u32,
    /// Whether only outputs would change.
    pub outputs_changed: bool,
    /// The addresses with their actions, at most 200.
    pub changes: Vec<PlannedChange>,
    /// What the approval binds to: SHA-256 over the module, the inputs, the state's serial and the engine.
    pub digest: String,
}

impl PlanSummary {
    /// The most addresses that a summary keeps.
    pub const MAX_CHANGES: usize = 200;

    /// Whether carrying it out would do nothing at all.
    pub fn is_empty(&self) -> bool {
        self.create + self.update + self.replace + self.delete == 0 && !self.outputs_changed
    }

    /// Whether this plan does nothing to any address that `approved` did not already name: what is left of an interrupted
    /// apply. A half-made thing may have to be replaced; that is not growth.
    pub fn is_rest_of(&self, approved: &Self) -> bool {
        let complete = |summary: &Self| {
            summary.changes.len()
                == usize::try_from(summary.create + summary.update + summary.replace + summary.delete)
                    .unwrap_or(usize::MAX)
        };
        complete(self)
            && complete(approved)
            && self.changes.iter().all(|mine| {
                approved.changes.iter().any(|theirs| {
                    theirs.address == mine.address
                        && match (theirs.change, mine.change) {
                            (Change::Delete, mine) => mine == Change::Delete,
                            (Change::Create | Change::Update | Change::Replace, Change::Delete) => false,
                            (Change::Create | Change::Replace, Change::Create | Change::Update | Change::Replace) => {
                                true
                            }
                            (Change::Update, mine) => mine == Change::Update,
                        }
                })
            })
    }
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whereabouts: Option<SupervisorLocation>,
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

    fn summary(changes: &[(&str, Change)]) -> PlanSummary {
        let mut all = PlanSummary::default();
        for (address, change) in changes {
            match change {
                Change::Create => all.create += 1,
                Change::Update => all.update += 1,
                Change::Replace => all.replace += 1,
                Change::Delete => all.delete += 1,
            }
            all.changes.push(PlannedChange { address: (*address).into(), change: *change });
        }
        all
    }

    #[test]
    fn the_rest_of_a_plan_never_grows() {
        use Change::{Create, Delete, Replace, Update};
        let approved = summary(&[("a", Create), ("b", Update), ("c", Delete), ("d", Replace)]);
        for rest in [&[][..], &[("a", Create)], &[("a", Replace), ("d", Create)], &[("c", Delete), ("b", Update)]] {
            assert!(summary(rest).is_rest_of(&approved), "{rest:?}");
        }
        for more in [&[("e", Create)][..], &[("b", Delete)], &[("b", Replace)], &[("a", Delete)], &[("c", Create)]] {
            assert!(!summary(more).is_rest_of(&approved), "{more:?}");
        }
        let mut cut = approved;
        cut.create += 1;
        assert!(!summary(&[("a", Create)]).is_rest_of(&cut), "a summary that was cut short proves nothing");
    }

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
