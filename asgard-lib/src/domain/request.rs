//! Requests: typed commands that are admitted, planned, approved and carried out.

use super::{
    policy::{Approver, Judged},
    resource::{Resource, Spec},
    run::PlanSummary,
};
use crate::{
    error::{Code, Error, Result},
    kernel::{
        ActorRef, DisplayName, Party, ProjectId, RequestId, ResourceId, ResourceName, RunId, Slug, Timestamp, Usd,
    },
};
use serde::{Deserialize, Serialize};

mod admission;
mod facts;
mod money;
mod opening;
mod outcome;
mod row;

pub use super::target::Target;
pub use admission::{added_cost, admit};
pub use facts::{Basis, Spending, Step, facts};
pub use money::Ceilings;
pub use opening::{NewResource, monthly, opened};
pub use outcome::{
    Left, NextRun, Planned, Produced, Transition, applied, approved, asked_again, cancelled, failed, interrupted,
    left_behind, partly_approved, planned, rejected, stale,
};
pub use row::{REQUEST_LIST, RequestRow};

/// What a request does when it is carried out. There is no other way to reach provisioning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Command {
    /// Create the resource, or change it in place to this spec.
    Provision {
        /// The inputs, validated against the service's manifest.
        #[serde(flatten)]
        spec: Spec,
    },
    /// Make new secret values, leaving everything else as it is.
    RotateSecrets,
    /// Destroy the resource.
    Deprovision,
}

/// What a command does, without its inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CommandKind {
    /// Create a resource, or change it in place.
    Provision,
    /// Make new secret values.
    RotateSecrets,
    /// Destroy a resource.
    Deprovision,
}

impl CommandKind {
    /// The name in records, answers and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Provision => "provision",
            Self::RotateSecrets => "rotate_secrets",
            Self::Deprovision => "deprovision",
        }
    }
}

impl Command {
    /// What it does.
    pub const fn kind(&self) -> CommandKind {
        match self {
            Self::Provision { .. } => CommandKind::Provision,
            Self::RotateSecrets => CommandKind::RotateSecrets,
            Self::Deprovision => CommandKind::Deprovision,
        }
    }

    /// What the module gets when this is carried out: the spec, and how often the secrets were rotated by then.
    pub const fn inputs<'a>(&'a self, resource: &'a Resource) -> (&'a Spec, u32) {
        match self {
            Self::Provision { spec } => (spec, resource.rotation),
            Self::RotateSecrets => (&resource.spec, resource.rotation + 1),
            Self::Deprovision => (&resource.spec, resource.rotation),
        }
    }

    /// The command's name.
    pub const fn name(&self) -> &'static str {
        self.kind().name()
    }
}

/// Where a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RequestStatus {
    /// Terraform works out what would change.
    Planning,
    /// A person has to decide.
    Pending,
    /// Decided; waiting to be carried out.
    Approved,
    /// Being carried out.
    Running,
    /// Done.
    Fulfilled,
    /// A person or a policy said no.
    Rejected,
    /// Taken back.
    Cancelled,
    /// It did not work; nothing is left running.
    Failed,
    /// It was interrupted and cannot safely be tried again without somebody looking.
    NeedsAttention,
}

impl RequestStatus {
    /// Every status.
    pub const ALL: [Self; 9] = [
        Self::Planning,
        Self::Pending,
        Self::Approved,
        Self::Running,
        Self::Fulfilled,
        Self::Rejected,
        Self::Cancelled,
        Self::Failed,
        Self::NeedsAttention,
    ];

    /// The one table of where a request may go next.
    pub const fn next(self) -> &'static [Self] {
        match self {
            Self::Planning => &[
                Self::Pending,
                Self::Approved,
                Self::Fulfilled,
                Self::Rejected,
                Self::Failed,
                Self::Cancelled,
                Self::NeedsAttention,
            ],
            Self::Pending => &[Self::Approved, Self::Rejected, Self::Cancelled],
            Self::Approved => {
                &[Self::Planning, Self::Pending, Self::Running, Self::Failed, Self::Cancelled, Self::NeedsAttention]
            }
            Self::Running => &[Self::Planning, Self::Fulfilled, Self::Failed, Self::Cancelled, Self::NeedsAttention],
            Self::Fulfilled | Self::Rejected | Self::Cancelled | Self::Failed | Self::NeedsAttention => &[],
        }
    }

    /// Whether the request is over.
    pub const fn is_over(self) -> bool {
        self.next().is_empty()
    }

    /// The status's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Planning => "planning",
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Running => "running",
            Self::Fulfilled => "fulfilled",
            Self::Rejected => "rejected",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
            Self::NeedsAttention => "needs_attention",
        }
    }
}

/// Why a request needs a person, or does not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// Policy let it pass.
    Auto {
        /// The rule that did.
        reason: String,
    },
    /// A person has to approve.
    Human {
        /// The rule that asks for one.
        reason: String,
    },
}

/// What a person decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Decision {
    /// Who decided: the credential, and the person behind it.
    pub by: ActorRef,
    /// The time of the decision.
    pub at: Timestamp,
    /// The remark that the person left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Whether they approved their own request, as an admin alone may.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub self_approval: bool,
}

/// An approval, and whom it satisfies of those that policy asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approved {
    /// The approval.
    pub decision: Decision,
    /// Whom it satisfies.
    pub satisfies: Vec<Approver>,
}

/// A request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Its id.
    pub id: RequestId,
    /// The project it is for.
    pub project: ProjectId,
    /// The project's name when it was asked, for the inbox.
    pub project_name: DisplayName,
    /// The resource it is about.
    pub resource: ResourceId,
    /// The resource's service.
    pub service: Slug,
    /// The resource's name.
    pub name: ResourceName,
    /// Where.
    pub target: Target,
    /// What.
    pub command: Command,
    /// Where it is.
    pub status: RequestStatus,
    /// Who asked.
    pub requested_by: ActorRef,
    /// Who may not approve it beside whoever asked, whatever becomes of the project: its owner when it was asked for, and everybody
    /// who may hold the key that asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub barred: Vec<Party>,
    /// What it will cost a month, as estimated from the manifest.
    pub monthly: Usd,
    /// What it adds to what the resource costs now; held against the project's headroom while in flight.
    pub reserved: Usd,
    /// How much of that no person has approved.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub unapproved: Usd,
    /// Whether policy or a person decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// What a person decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decision>,
    /// What policy answered, oldest first; none for requests of a version that kept none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub judgements: Vec<Judged>,
    /// Approvals of the present plan while others are still waited for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvals: Vec<Approved>,
    /// What Terraform would do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanSummary>,
    /// The run whose plan is to be applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan_run: Option<RunId>,
    /// The run that is open now, if one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_run: Option<RunId>,
    /// How often it was started again after an interruption.
    #[serde(default)]
    pub resumed: u32,
    /// Whether a plan of it began to be applied: from then on something may exist.
    #[serde(default)]
    pub began: bool,
    /// Whether what is wanted is of a kind that a person has to approve, as of its last plan.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub asks_human: bool,
    /// Whether somebody asked to cancel it while it ran.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cancel_requested: bool,
    /// What went wrong, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Present only while it is pending: the approvals inbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inbox: Option<String>,
    /// When it was asked.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn is_nothing(amount: &Usd) -> bool {
    *amount == Usd::ZERO
}

/// The partition of the approvals inbox.
pub const INBOX: &str = "pending";

impl Request {
    /// The claim that lets a resource have one open request.
    pub fn open_claim(project: &ProjectId, service: &Slug, name: &ResourceName) -> String {
        format!("open/{project}/{service}/{name}")
    }

    /// This request's own claim.
    pub fn claim(&self) -> String {
        Self::open_claim(&self.project, &self.service, &self.name)
    }

    /// Fails unless it waits for a person.
    pub fn require_pending(&self) -> Result<()> {
        if self.status == RequestStatus::Pending {
            return Ok(());
        }
        let message = format!("Request {} is {} and waits for nobody's approval.", self.id, self.status.name());
        Err(Error::new(Code::WrongState, message))
    }

    /// Moves to `status` if the table allows it.
    pub(crate) fn go(&self, status: RequestStatus, now: Timestamp) -> Result<Self> {
        if !self.status.next().contains(&status) {
            return Err(Error::new(
                Code::WrongState,
                format!("Request {} is {} and cannot become {}.", self.id, self.status.name(), status.name()),
            ));
        }
        let inbox = (status == RequestStatus::Pending).then(|| INBOX.to_owned());
        Ok(Self { status, inbox, updated_at: now, ..self.clone() })
    }
}
