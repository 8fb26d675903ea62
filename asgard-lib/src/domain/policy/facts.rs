//! What policy may weigh. Everything is a value that was read before; a policy reads nothing by itself.

use crate::{
    domain::{
        project::Lifecycle,
        resource::ResourceStatus,
        run::PlannedChange,
        service::Approval,
        target::Target,
        tier::{DataClass, Tier},
    },
    kernel::{ActorRef, ProjectId, ResourceName, Slug, Timestamp, Usd},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// When policy is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Moment {
    /// Before anything is planned. Only a denial counts: whether a person is asked is decided on the plan.
    Asking,
    /// On the plan: it passes, people are asked, or it ends here.
    Planned,
    /// When a person approves it.
    Approval,
    /// Just before a run of it starts. A denial counts, and where no person has approved what the run applies, a question too.
    Starting,
}

/// What kind of change a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// The resource is made.
    Create,
    /// The resource is changed.
    Update,
    /// The resource's secrets get new values.
    RotateSecrets,
    /// The resource is removed.
    Remove,
}

/// The project of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ProjectFacts {
    /// The project's id.
    pub id: ProjectId,
    /// How much depends on the project.
    pub tier: Tier,
    /// How sensitive its data is.
    pub data_class: DataClass,
    /// Where it is in its life.
    pub status: Lifecycle,
}

/// A resource as it is, or as it is wanted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StateFacts {
    /// The inputs; those that the manifest calls sensitive are references to secrets.
    pub spec: Map<String, Value>,
    /// What it costs a month.
    pub monthly: Usd,
    /// Whether the manifest wants a person to approve such a resource.
    pub asks_human: bool,
    /// Where the resource is in its life; none for what is wanted.
    pub status: Option<ResourceStatus>,
    /// How many addresses had drifted at the last refresh.
    pub drifted: usize,
}

/// The money that a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CostFacts {
    /// What the project has committed and in flight now, without what this request holds.
    pub now: Usd,
    /// What this request adds to that.
    pub adds: Usd,
    /// Both together.
    pub after: Usd,
    /// Up to where the project's tier lets things pass by themselves; none lets nothing that costs.
    pub ceiling: Option<Usd>,
    /// What counts over all projects of the project's owner; none before there is a plan.
    #[serde(default)]
    pub owner: Option<OwnerCostFacts>,
    /// Up to where things pass by themselves as long as the project's manager has never signed in; none once they have, and before
    /// there is a plan.
    #[serde(default)]
    pub unconfirmed: Option<Usd>,
}

/// What all projects of one owner have committed and in flight and no person has approved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct OwnerCostFacts {
    /// Now, without what this request holds.
    pub now: Usd,
    /// With what this request adds.
    pub after: Usd,
    /// Up to where a project of this tier lets things pass by themselves; none lets nothing that costs.
    pub ceiling: Option<Usd>,
}

/// What a plan would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PlanFacts {
    /// How many addresses would be created.
    pub create: u32,
    /// How many would change in place.
    pub update: u32,
    /// How many would be replaced.
    pub replace: u32,
    /// How many would be destroyed.
    pub destroy: u32,
    /// The addresses, at most 200.
    pub changes: Vec<PlannedChange>,
    /// Whether it was made after an interruption, and does more than the rest of what had been approved.
    pub grown: bool,
}

/// Everything that policy may weigh about one request at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Facts {
    /// When policy is asked.
    pub moment: Moment,
    /// The time.
    pub at: Timestamp,
    /// Who acts: whoever asked, and at an approval whoever approves.
    pub actor: ActorRef,
    /// Who asked.
    pub requested_by: ActorRef,
    /// The project.
    pub project: ProjectFacts,
    /// The service.
    pub service: Slug,
    /// The resource's name.
    pub name: ResourceName,
    /// What the service's manifest says about approval.
    pub approval: Approval,
    /// What kind of change it is.
    pub change: ChangeKind,
    /// Where.
    pub target: Target,
    /// Whether the allow-list names the target, or it needs no entry: because it is local, or because nothing was ever made there.
    pub target_listed: bool,
    /// The resource as it is; none when nothing of it can exist yet.
    pub present: Option<StateFacts>,
    /// The resource as it is wanted; none when it is to go.
    pub wanted: Option<StateFacts>,
    /// The money.
    pub cost: CostFacts,
    /// The plan, once there is one.
    pub plan: Option<PlanFacts>,
}
