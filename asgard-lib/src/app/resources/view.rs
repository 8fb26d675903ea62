//! Resources and runs as clients see them.

use crate::{
    domain::{
        request::{Request, RequestStatus, Target},
        resource::{Resource, ResourceStatus, SecretRef},
        run::{PlanSummary, Run, RunOp, RunStatus},
    },
    kernel::{ActorRef, Dollars, ProjectId, RequestId, ResourceId, ResourceName, RunId, Slug, Timestamp},
    ports::store::Version,
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A resource.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ResourceView {
    /// Its id.
    pub resource_id: ResourceId,
    /// The project it belongs to.
    pub project_id: ProjectId,
    /// The service it is an instance of.
    pub service: Slug,
    /// Its name.
    pub name: ResourceName,
    /// Where it is.
    pub target: Target,
    /// Where it is in its life.
    pub status: ResourceStatus,
    /// The last request about it.
    pub request_id: RequestId,
    /// Where that request is: `fulfilled` once it is done. Shown where one resource is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_state: Option<RequestStatus>,
    /// The spec that was last applied.
    pub spec: Map<String, Value>,
    /// Plain outputs of the last apply.
    pub outputs: Map<String, Value>,
    /// Secret outputs: pass `name` to `get_secret`.
    pub secret_refs: BTreeMap<String, SecretRef>,
    /// What it costs a month, in dollars, as estimated.
    pub monthly_usd: Dollars,
    /// `true` when nothing was really created and the outputs are made up.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// What somebody has to look at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attention: Option<String>,
    /// Addresses that drifted at the last refresh.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub drift: Vec<String>,
    /// When it was last refreshed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refreshed_at: Option<Timestamp>,
    /// When it was first asked for.
    pub created_at: Timestamp,
    /// Who asked first.
    pub created_by: ActorRef,
    /// When it first existed as asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provisioned_at: Option<Timestamp>,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Its version.
    pub version: Version,
}

impl ResourceView {
    /// A resource of a known version, with its last request where that is at hand.
    pub fn of(resource: &Resource, request: Option<&Request>, version: &Version) -> Self {
        Self {
            resource_id: resource.id.clone(),
            project_id: resource.project.clone(),
            service: resource.service.clone(),
            name: resource.name.clone(),
            target: resource.target.clone(),
            status: resource.status,
            request_id: resource.request.clone(),
            request_state: request.map(|request| request.status),
            spec: resource.spec.clone(),
            outputs: resource.outputs.clone(),
            secret_refs: resource.secret_refs.clone(),
            monthly_usd: Dollars(resource.committed),
            dry_run: resource.dry_run,
            attention: resource.attention.clone(),
            drift: resource.drift.clone(),
            refreshed_at: resource.refreshed_at,
            created_at: resource.created_at,
            created_by: resource.created_by.clone(),
            provisioned_at: resource.provisioned_at,
            updated_at: resource.updated_at,
            version: version.clone(),
        }
    }
}

/// A run.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct RunView {
    /// Its id.
    pub run_id: RunId,
    /// The resource.
    pub resource_id: ResourceId,
    /// The request it carries out; a refresh has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<RequestId>,
    /// What it does.
    pub op: RunOp,
    /// Where it is.
    pub status: RunStatus,
    /// How many supervisors have claimed it.
    pub attempts: u32,
    /// Whether it was asked to stop.
    pub cancel_requested: bool,
    /// What executes it: `local-process`, `dry-run`.
    pub runner: String,
    /// Engine and version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    /// SHA-256 of the module's files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module_digest: Option<String>,
    /// What a plan found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanSummary>,
    /// Addresses that drifted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub drift: Vec<String>,
    /// What may exist without being recorded.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub may_exist: Vec<String>,
    /// What went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// When it was queued.
    pub created_at: Timestamp,
    /// When it started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it was over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
}

impl RunView {
    /// A run.
    pub fn of(run: &Run) -> Self {
        Self {
            run_id: run.id.clone(),
            resource_id: run.resource.clone(),
            request_id: run.request.clone(),
            op: run.op,
            status: run.status,
            attempts: run.attempts,
            cancel_requested: run.cancel,
            runner: run.runner.clone(),
            engine: run.engine.clone(),
            module_digest: run.module_digest.clone(),
            plan: run.summary.clone(),
            drift: run.drift.clone(),
            may_exist: run.may_exist.clone(),
            error: run.error.clone(),
            created_at: run.created_at,
            started_at: run.started_at,
            finished_at: run.finished_at,
        }
    }
}
