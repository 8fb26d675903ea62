//! A request as clients see it.

use crate::{
    domain::{
        request::{Command, Decision, Request, RequestStatus, Target, Verdict},
        run::PlanSummary,
    },
    kernel::{ActorRef, Dollars, ProjectId, RequestId, ResourceId, ResourceName, RunId, Slug, Timestamp},
    ports::{records::Stored, store::Version},
};
use schemars::JsonSchema;
use serde::Serialize;

/// A request.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct RequestView {
    /// Its id.
    pub request_id: RequestId,
    /// The project it is for.
    pub project_id: ProjectId,
    /// That project's name when it was asked.
    pub project_name: String,
    /// The resource it is about.
    pub resource_id: ResourceId,
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
    /// What the resource will cost a month, in dollars, as estimated.
    pub monthly_usd: Dollars,
    /// Whether policy or a person decides, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// What a person decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decision>,
    /// What Terraform would do: addresses and actions, never values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanSummary>,
    /// The run that is open now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_run: Option<RunId>,
    /// Whether somebody asked to cancel it while it ran.
    pub cancel_requested: bool,
    /// What went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// When it was asked.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Its version; pass it back to decide only on what you have read.
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
            monthly_usd: Dollars(request.monthly),
            verdict: request.verdict.clone(),
            decision: request.decision.clone(),
            plan: request.plan.clone(),
            current_run: request.current_run.clone(),
            cancel_requested: request.cancel_requested,
            error: request.error.clone(),
            created_at: request.created_at,
            updated_at: request.updated_at,
            version: version.clone(),
        }
    }
}
