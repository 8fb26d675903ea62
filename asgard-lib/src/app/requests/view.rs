//! A request as clients see it.

use super::explain::outstanding;
use crate::{
    domain::{
        policy::{Approver, RuleId},
        request::{Command, Decision, Request, RequestStatus, Target, Verdict},
        run::PlanSummary,
    },
    kernel::{ActorRef, Dollars, Party, ProjectId, RequestId, ResourceId, ResourceName, RunId, Slug, Timestamp},
    ports::{records::Stored, store::Version},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A request.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct RequestView {
    /// The request's id, `req_...`.
    pub request_id: RequestId,
    /// The id of the project that the request is for.
    pub project_id: ProjectId,
    /// The name of the project when the request was made.
    pub project_name: String,
    /// The id of the resource that the request is about.
    pub resource_id: ResourceId,
    /// The id of the resource's service.
    pub service: Slug,
    /// The resource's name.
    pub name: ResourceName,
    /// The place that is asked for: cloud, account and region.
    pub target: Target,
    /// What is asked for: provision, update, rotate secrets or deprovision, with its inputs.
    pub command: Command,
    /// The request's state; `fulfilled`, `rejected`, `cancelled`, `failed` and `needs_attention` are final.
    pub status: RequestStatus,
    /// Who asked: the credential, and the person behind it.
    pub requested_by: ActorRef,
    /// Who may not approve it besides; for surfaces in this process.
    #[serde(skip)]
    #[schemars(skip)]
    pub barred: Vec<Party>,
    /// The estimated cost of the resource in US dollars a month.
    pub monthly_usd: Dollars,
    /// Whether policy or a person decides, and the reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// The id of the rule that gave policy's last answer; `explain_request` shows all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<RuleId>,
    /// Those who still have to approve it; absent unless it waits for an approval.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waits_for: Vec<Approver>,
    /// The decision of the person who approved or rejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decision>,
    /// What Terraform would do: addresses and actions, never values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanSummary>,
    /// The id of the run that made the plan; its `run_log` names every change, those too that the plan's list leaves out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan_run: Option<RunId>,
    /// The id of the run that is open now; `run_log` shows how it goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_run: Option<RunId>,
    /// Whether somebody asked to cancel it while it ran.
    pub cancel_requested: bool,
    /// What went wrong, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The time at which the request was made.
    pub created_at: Timestamp,
    /// The time of the last change.
    pub updated_at: Timestamp,
    /// The version of this answer; pass it as `version` to decide only on what you have read.
    pub version: Version,
}

impl RequestView {
    /// A request as it was read.
    pub fn stored(request: &Stored<Request>) -> Self {
        Self::of(&request.value, &request.version)
    }

    /// A request of a known version.
    pub fn of(request: &Request, version: &Version) -> Self {
        Self {
            request_id: request.id.clone(),
            project_id: request.project.clone(),
            project_name: request.project_name.to_string(),
            resource_id: request.resource.clone(),
            service: request.service.clone(),
            name: request.name.clone(),
            target: request.target.clone(),
            command: request.command.clone(),
            status: request.status,
            requested_by: request.requested_by.clone(),
            barred: request.barred.clone(),
            monthly_usd: Dollars(request.monthly),
            verdict: request.verdict.clone(),
            rule: request.judgements.last().map(|judged| judged.judgement.rule.clone()),
            waits_for: if request.status == RequestStatus::Pending { outstanding(request) } else { Vec::new() },
            decision: request.decision.clone(),
            plan: request.plan.clone(),
            plan_run: request.plan_run.clone(),
            current_run: request.current_run.clone(),
            cancel_requested: request.cancel_requested,
            error: request.error.clone(),
            created_at: request.created_at,
            updated_at: request.updated_at,
            version: version.clone(),
        }
    }
}
