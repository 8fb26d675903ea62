//! What is kept of a judgement: with the request, and bounded.

use super::{Answer, Approver, ChangeKind, Facts, Judgement, Moment};
use crate::{
    domain::{
        project::Lifecycle,
        resource::ResourceStatus,
        target::Target,
        tier::{DataClass, Tier},
    },
    kernel::{ActorRef, Timestamp, Usd},
};
use serde::{Deserialize, Serialize};

/// The most judgements that a request keeps; the oldest go first.
pub const MAX_JUDGED: usize = 12;

/// A judgement as a request keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judged {
    /// When policy was asked.
    pub at: Timestamp,
    /// At which moment of the request.
    pub moment: Moment,
    /// Who acted: whoever asked, and at an approval whoever approved.
    pub actor: ActorRef,
    /// What it answered, and why.
    pub judgement: Judgement,
    /// What it weighed.
    pub weighed: Weighed,
}

/// The facts that mattered, without specs and addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Weighed {
    /// What kind of change it was.
    pub change: ChangeKind,
    /// The project's tier then.
    pub tier: Tier,
    /// The project's data class then.
    pub data_class: DataClass,
    /// Where the project was in its life.
    pub project_status: Lifecycle,
    /// Where.
    pub target: Target,
    /// Whether the allow-list named the target.
    pub target_listed: bool,
    /// Whether the manifest wanted a person for what existed; none when nothing did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub present_asks_human: Option<bool>,
    /// Where the resource was in its life; none when nothing of it existed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub present_status: Option<ResourceStatus>,
    /// How many addresses had drifted at the last refresh.
    #[serde(default)]
    pub drifted: usize,
    /// Whether the manifest wanted a person for what was wanted; none for a removal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wanted_asks_human: Option<bool>,
    /// What the project had committed and in flight.
    pub cost_now: Usd,
    /// What the request added.
    pub cost_adds: Usd,
    /// The tier's ceiling, if it had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ceiling: Option<Usd>,
    /// What no person had approved over all projects of the owner, once there was a plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_now: Option<Usd>,
    /// The ceiling of that, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_ceiling: Option<Usd>,
    /// The ceiling as long as the project's manager had never signed in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unconfirmed_ceiling: Option<Usd>,
    /// How many addresses would be created, changed, replaced and destroyed, once there was a plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<[u32; 4]>,
    /// Whether the plan did more than what was approved before an interruption.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub grown: bool,
}

impl Judged {
    /// What is kept of a judgement of these facts.
    pub fn new(facts: &Facts, judgement: Judgement) -> Self {
        let plan = facts.plan.as_ref();
        Self {
            at: facts.at,
            moment: facts.moment,
            actor: facts.actor.clone(),
            judgement,
            weighed: Weighed {
                change: facts.change,
                tier: facts.project.tier,
                data_class: facts.project.data_class,
                project_status: facts.project.status,
                target: facts.target.clone(),
                target_listed: facts.target_listed,
                present_asks_human: facts.present.as_ref().map(|state| state.asks_human),
                present_status: facts.present.as_ref().and_then(|state| state.status),
                drifted: facts.present.as_ref().map_or(0, |state| state.drifted),
                wanted_asks_human: facts.wanted.as_ref().map(|state| state.asks_human),
                cost_now: facts.cost.now,
                cost_adds: facts.cost.adds,
                ceiling: facts.cost.ceiling,
                owner_now: facts.cost.owner.map(|owner| owner.now),
                owner_ceiling: facts.cost.owner.and_then(|owner| owner.ceiling),
                unconfirmed_ceiling: facts.cost.unconfirmed,
                plan: plan.map(|plan| [plan.create, plan.update, plan.replace, plan.destroy]),
                grown: plan.is_some_and(|plan| plan.grown),
            },
        }
    }
}

/// Adds a judgement, and drops the oldest where there are too many.
pub fn record(judgements: &mut Vec<Judged>, judged: Judged) {
    judgements.push(judged);
    let excess = judgements.len().saturating_sub(MAX_JUDGED);
    judgements.drain(..excess);
}

/// Who has to approve by what was judged on the newest plan, or since then before its run. A request of a version that kept no
/// judgements waits for the project's manager or an admin.
pub fn waits_for(judgements: &[Judged]) -> Vec<Approver> {
    let planned = judgements.iter().rev().find(|judged| matches!(judged.moment, Moment::Planned | Moment::Starting));
    match planned.map(|judged| &judged.judgement.answer) {
        Some(Answer::Ask { approvers }) => approvers.clone(),
        Some(Answer::Allow | Answer::Deny { .. }) | None => vec![Approver::ManagerOrAdmin],
    }
}
