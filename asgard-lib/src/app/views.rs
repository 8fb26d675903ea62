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
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A resource.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct ResourceView {
    /// The resource's id, `res_...`.
    pub resource_id: ResourceId,
    /// The id of the project that the resource belongs to.
    pub project_id: ProjectId,
    /// The id of the service that the resource is an instance of.
    pub service: Slug,
    /// The resource's name, unique for its project and service.
    pub name: ResourceName,
    /// The place where the resource is: cloud, account and region.
    pub target: Target,
    /// The resource's state; `provisioned` means that it exists as asked.
    pub status: ResourceStatus,
    /// The id of the last request about the resource.
    pub request_id: RequestId,
    /// The state of that request: `fulfilled` once it is done. Shown where one resource is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_state: Option<RequestStatus>,
    /// The inputs that were last applied, without the sensitive ones.
    pub spec: Map<String, Value>,
    /// The names of the sensitive inputs that were given; their values are kept as secrets and shown nowhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secret_inputs: Vec<String>,
    /// The outputs of the last apply that are no secrets.
    pub outputs: Map<String, Value>,
    /// The secret outputs, by output name: pass `name` to `get_secret`.
    pub secret_refs: BTreeMap<String, SecretRef>,
    /// The estimated cost of the resource in US dollars a month.
    pub monthly_usd: Dollars,
    /// `true` when nothing was really created and the outputs are made up.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// What somebody has to look at and do, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attention: Option<String>,
    /// The Terraform addresses that had drifted at the last refresh.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drift: Vec<String>,
    /// The time of the last refresh.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refreshed_at: Option<Timestamp>,
    /// The time of the first request for the resource.
    pub created_at: Timestamp,
    /// Who first asked for the resource.
    pub created_by: ActorRef,
    /// The time at which the resource first existed as asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provisioned_at: Option<Timestamp>,
    /// The time of the last change.
    pub updated_at: Timestamp,
    /// The version of this answer; pass it as `version` to change only what you have read.
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
            spec: resource.spec.values.clone(),
            secret_inputs: resource.spec.secret_inputs.keys().cloned().collect(),
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
#[non_exhaustive]
pub struct RunView {
    /// The run's id, `run_...`.
    pub run_id: RunId,
    /// The id of the resource that the run is about.
    pub resource_id: ResourceId,
    /// The id of the request that the run carries out; a refresh has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<RequestId>,
    /// The operation of Terraform: plan, apply, destroy or refresh.
    pub op: RunOp,
    /// The run's state; every state but `queued`, `starting` and `running` is final.
    pub status: RunStatus,
    /// The number of supervisors that have claimed the run.
    pub attempts: u32,
    /// Whether somebody asked the run to stop.
    pub cancel_requested: bool,
    /// What executes the run: `local-process`, `fargate` or `dry-run`.
    pub runner: String,
    /// The engine that executed the run, with its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    /// The SHA-256 of the module's files, in hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module_digest: Option<String>,
    /// What the plan would do: addresses and actions, never values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanSummary>,
    /// The Terraform addresses that had drifted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub drift: Vec<String>,
    /// The Terraform addresses that may exist without being recorded in the state.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub may_exist: Vec<String>,
    /// What went wrong, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The time at which the run was queued.
    pub created_at: Timestamp,
    /// The time at which a supervisor first started it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// The time at which it was over.
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
