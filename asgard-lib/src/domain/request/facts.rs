//! From a request, its resource and what they depend on to the facts that policy weighs.

use super::{Command, Request, added_cost};
use crate::{
    domain::{
        policy::{ChangeKind, CostFacts, Facts, Moment, OwnerCostFacts, PlanFacts, ProjectFacts, StateFacts},
        project::Project,
        resource::Resource,
        run::PlanSummary,
        service::Manifest,
        target::AllowList,
    },
    kernel::{ActorRef, Timestamp, Usd},
};
use serde_json::{Map, Value};

/// What the facts of a request come from, beside the request and its resource.
#[derive(Clone, Copy, Debug)]
pub struct Basis<'a> {
    /// The project.
    pub project: &'a Project,
    /// The service.
    pub manifest: &'a Manifest,
    /// Where things may be created.
    pub allow_list: AllowList<'a>,
    /// The tier's ceiling in monthly dollars; none asks a person for everything that costs.
    pub ceiling: Option<Usd>,
    /// What the project has committed and in flight.
    pub committed: Usd,
    /// What counts beside the project's own money; none before there is a plan.
    pub spending: Option<Spending>,
}

/// What lies beyond the project, and lets less pass by itself.
#[derive(Clone, Copy, Debug)]
pub struct Spending {
    /// What of all that the projects of the project's owner have committed and in flight no person has approved.
    pub owner: Usd,
    /// Up to where that may go; none where the tier lets nothing that costs pass.
    pub owner_ceiling: Option<Usd>,
    /// The ceiling of a project whose manager has never signed in; none where the manager has.
    pub unconfirmed: Option<Usd>,
}

/// At which moment, by whom and when policy is asked, and about which plan.
#[derive(Clone, Debug)]
pub struct Step<'a> {
    /// The moment.
    pub moment: Moment,
    /// Who acts.
    pub actor: ActorRef,
    /// The time.
    pub at: Timestamp,
    /// The plan, once there is one.
    pub plan: Option<&'a PlanSummary>,
    /// Whether that plan was made after an interruption and does more than what had been approved.
    pub grown: bool,
}

/// The facts of a request.
pub fn facts(basis: Basis<'_>, request: &Request, resource: &Resource, step: Step<'_>) -> Facts {
    let Basis { project, manifest, allow_list, ceiling, committed, spending } = basis;
    let state = |spec: &Map<String, Value>, monthly, status, drifted| StateFacts {
        spec: spec.clone(),
        monthly,
        asks_human: manifest.asks_human(spec),
        status,
        drifted,
    };
    let wanted = match &request.command {
        Command::Provision { spec } => Some(state(spec, request.monthly, None, 0)),
        Command::RotateSecrets => Some(state(&resource.spec, request.monthly, None, 0)),
        Command::Deprovision => None,
    };
    // Until something was applied a new resource has the spec that is wanted; another spec is that of an attempt before.
    let fresh = resource.provisioned_at.is_none()
        && !resource.half_made_asks
        && matches!(&request.command, Command::Provision { spec } if *spec == resource.spec);
    let present = (!fresh).then(|| {
        let known = state(&resource.spec, resource.committed, Some(resource.status), resource.drift.len());
        StateFacts { asks_human: known.asks_human || resource.half_made_asks, ..known }
    });
    let adds = added_cost(request, resource);
    // What the request holds by now is what it adds: nothing counts twice, and it is weighed as if it were asked for now.
    let now = committed.saturating_sub(request.reserved);
    let owner = spending.map(|spending| {
        let now = spending.owner.saturating_sub(request.unapproved);
        OwnerCostFacts { now, after: now + adds, ceiling: spending.owner_ceiling }
    });
    let unconfirmed = spending.and_then(|spending| spending.unconfirmed);
    Facts {
        moment: step.moment,
        at: step.at,
        actor: step.actor,
        requested_by: request.requested_by.clone(),
        project: ProjectFacts {
            id: project.id.clone(),
            tier: project.classification,
            data_class: project.data_class,
            status: project.status.lifecycle(),
        },
        service: request.service.clone(),
        name: request.name.clone(),
        approval: manifest.approval.clone(),
        change: match (&request.command, &present) {
            (Command::Provision { .. }, None) => ChangeKind::Create,
            (Command::Provision { .. }, Some(_)) => ChangeKind::Update,
            (Command::RotateSecrets, _) => ChangeKind::RotateSecrets,
            (Command::Deprovision, _) => ChangeKind::Remove,
        },
        target: request.target.clone(),
        target_listed: allow_list.names(&request.target),
        present,
        wanted,
        cost: CostFacts { now, adds, after: now + adds, ceiling, owner, unconfirmed },
        plan: step.plan.map(|plan| PlanFacts {
            create: plan.create,
            update: plan.update,
            replace: plan.replace,
            destroy: plan.delete,
            changes: plan.changes.clone(),
            grown: step.grown,
        }),
    }
}
