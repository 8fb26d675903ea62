//! Removing, retrying and refreshing a resource.

use super::load;
use crate::{
    app::{
        Hints, Meta, Operation, Reads, Route, SimpleOperation, Tx,
        core::operation::Method::{Delete, Post},
        core::scope::ReadMode,
        requests::{Requested, Wanted, open, remove_unmade},
        runs,
        services::kept::judged_by,
    },
    domain::{
        access::Action,
        audit::AuditAction,
        project::Project,
        request::{Command, Request, RequestStatus},
        resource::{Resource, ResourceStatus},
    },
    error::{Code, Error, Result},
    kernel::{ProjectId, ResourceId, RunId},
    ports::{records::Stored, store::Version},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use typed_builder::TypedBuilder;

/// Removes a resource.
#[derive(Debug, Deserialize, JsonSchema, TypedBuilder)]
#[serde(deny_unknown_fields)]
#[builder(field_defaults(setter(into)))]
#[non_exhaustive]
pub struct DeprovisionResource {
    /// The id of the resource's project; it may be left out, because the resource's id says it.
    #[serde(default)]
    #[builder(default)]
    pub project_id: Option<ProjectId>,
    /// The resource's id, `res_...`, from `list_resources`.
    pub resource_id: ResourceId,
    /// The `version` of the resource that you have read; the removal is refused when the resource has changed since.
    #[serde(default)]
    #[builder(default)]
    pub version: Option<Version>,
}

async fn ask(
    tx: &mut Tx<'_>,
    resource: &Stored<Resource>,
    project: &Stored<Project>,
    command: Command,
) -> Result<Requested> {
    if command == Command::Deprovision
        && let Some(removed) = remove_unmade(tx, project, resource).await?
    {
        return Requested::of(tx, removed);
    }
    let service = match judged_by(tx, &command, resource).await? {
        Some(service) => service,
        None if command == Command::Deprovision => {
            let open = Request::open_claim(&project.id, &resource.service, &resource.name);
            return Err(match tx.holder(&open).await? {
                Some(open) => {
                    let message =
                        format!("Request {open} about this resource is open. Wait for it, or cancel it first.");
                    Error::new(Code::OpenRequest, message)
                }
                None => nothing_kept(resource),
            });
        }
        None => Arc::clone(tx.app().services().need(&resource.service)?),
    };
    let wanted = Wanted {
        project,
        service: &service,
        name: &resource.name,
        target: resource.target.clone(),
        command,
        fresh: tx.id(),
    };
    let asked = open(tx, wanted).await?;
    Requested::of(tx, asked)
}

/// Nobody knows how to remove it.
fn nothing_kept(resource: &Resource) -> Error {
    let message = format!(
        "Service {} is not in the catalogue any more, and nothing is kept of how this resource was made: it was applied by a version of Asgard that kept no modules, or not by Terraform. An operator puts the service back; then it can be removed.",
        resource.service
    );
    Error::new(Code::WrongState, message)
}

impl SimpleOperation for DeprovisionResource {
    type Output = Requested;
    const META: Meta = Meta {
        name: "resources.deprovision",
        title: "Deprovision a resource",
        description: "Asks to destroy a resource and forget its secrets. Answers at once with a request; a resource of a service that people approve needs approval to go as well.",
        action: Action::Ask,
        routes: &[Route { method: Delete, path: "/projects/{project_id}/resources/{resource_id}", status: 202 }],
        tools: &["deprovision_resource"],
        hints: Hints::REMOVE,
        creates: false,
    };

    async fn decide(&self, tx: &mut Tx<'_>) -> Result<Requested> {
        let (resource, project, _) =
            load(tx, self.project_id.as_ref(), &self.resource_id, Action::Ask, ReadMode::Checked).await?;
        tx.expect_version(&resource.version, self.version.as_ref())?;
        if resource.status == ResourceStatus::Destroyed {
            return Err(Error::new(Code::WrongState, "The resource is destroyed already."));
        }
        ask(tx, &resource, &project, Command::Deprovision).await
    }
}

/// Tries the last change of a failed resource again.
#[derive(Debug, Serialize, Deserialize, JsonSchema, TypedBuilder)]
#[serde(deny_unknown_fields)]
#[builder(field_defaults(setter(into)))]
#[non_exhaustive]
pub struct RetryResource {
    /// The id of the resource's project; it may be left out, because the resource's id says it.
    #[serde(default)]
    #[builder(default)]
    pub project_id: Option<ProjectId>,
    /// The resource's id, `res_...`, from `list_resources`.
    pub resource_id: ResourceId,
}

impl Operation for RetryResource {
    type Output = Requested;
    crate::remembered_by_its_fields!();
    const META: Meta = Meta {
        name: "resources.retry",
        title: "Retry a resource",
        description: "Asks again for what the last failed request about a resource wanted. It is planned and approved anew.",
        action: Action::Ask,
        routes: &[Route { method: Post, path: "/projects/{project_id}/resources/{resource_id}/retry", status: 202 }],
        tools: &["retry_resource"],
        hints: Hints { read_only: false, destructive: false, idempotent: true },
        creates: true,
    };

    type Permit = (Stored<Resource>, Stored<Project>);
    crate::prepares_nothing!();
    crate::answers_as_decided!();

    async fn authorise(&self, reads: &mut Reads<'_>) -> Result<Self::Permit> {
        let (resource, project, _) =
            load(reads, self.project_id.as_ref(), &self.resource_id, Action::Ask, ReadMode::Checked).await?;
        Ok((resource, project))
    }

    async fn decide(&self, tx: &mut Tx<'_>, (resource, project): Self::Permit, (): &()) -> Result<Requested> {
        let last = tx.read::<Request>(resource.request.as_str()).await?.ok_or_else(|| Error::not_found("request"))?;
        match last.status {
            RequestStatus::Failed
            | RequestStatus::NeedsAttention
            | RequestStatus::Cancelled
            | RequestStatus::Rejected => {}
            RequestStatus::Planning | RequestStatus::Pending | RequestStatus::Approved | RequestStatus::Running => {
                return Err(Error::new(
                    Code::OpenRequest,
                    format!("Request {} is {}; there is nothing to retry yet.", last.id, last.status.name()),
                ));
            }
            RequestStatus::Fulfilled => {
                return Err(Error::new(
                    Code::WrongState,
                    "The last request about this resource worked; ask for a change with request_resource.",
                ));
            }
        }
        if resource.status == ResourceStatus::Destroyed {
            return Err(Error::new(
                Code::WrongState,
                "The resource is destroyed; ask for it anew with request_resource.",
            ));
        }
        if let Command::Provision { spec } = &last.command {
            let service = tx.app().services().need(&resource.service)?;
            // What was admitted once is admitted again only as the catalogue is now.
            service.check_kept_spec(spec).map_err(|error| {
                let message = format!(
                    "The service takes other inputs than when this was asked for: {} Ask anew with request_resource.",
                    error.message()
                );
                Error::new(Code::WrongState, message)
            })?;
        }
        ask(tx, &resource, &project, last.command.clone()).await
    }
}

/// Compares what exists with what is recorded.
#[derive(Debug, Serialize, Deserialize, JsonSchema, TypedBuilder)]
#[serde(deny_unknown_fields)]
#[builder(field_defaults(setter(into)))]
#[non_exhaustive]
pub struct RefreshResource {
    /// The id of the resource's project; it may be left out, because the resource's id says it.
    #[serde(default)]
    #[builder(default)]
    pub project_id: Option<ProjectId>,
    /// The resource's id, `res_...`, from `list_resources`.
    pub resource_id: ResourceId,
}

/// A refresh that has begun.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct RefreshStarted {
    /// The id of the resource that is refreshed.
    pub resource_id: ResourceId,
    /// The id of the run; `resource_runs` and `run_log` show how it goes.
    pub run_id: RunId,
}

impl Operation for RefreshResource {
    type Output = RefreshStarted;
    crate::remembered_by_its_fields!();
    const META: Meta = Meta {
        name: "resources.refresh",
        title: "Refresh a resource",
        description: "Starts a run that compares what exists with what is recorded, changing nothing. What drifted is then shown on the resource.",
        action: Action::Ask,
        routes: &[Route { method: Post, path: "/projects/{project_id}/resources/{resource_id}/refresh", status: 202 }],
        tools: &["refresh_resource"],
        hints: Hints { read_only: false, destructive: false, idempotent: true },
        creates: true,
    };

    type Permit = (Stored<Resource>, Stored<Project>);
    crate::prepares_nothing!();
    crate::answers_as_decided!();

    async fn authorise(&self, reads: &mut Reads<'_>) -> Result<Self::Permit> {
        let (resource, project, _) =
            load(reads, self.project_id.as_ref(), &self.resource_id, Action::Ask, ReadMode::Checked).await?;
        Ok((resource, project))
    }

    async fn decide(&self, tx: &mut Tx<'_>, (resource, project): Self::Permit, (): &()) -> Result<RefreshStarted> {
        project.require_active()?;
        if resource.status != ResourceStatus::Provisioned {
            return Err(Error::new(
                Code::WrongState,
                format!("Only a provisioned resource is refreshed; this one is {}.", resource.status.name()),
            ));
        }
        let run_id = runs::queue_refresh(tx, &resource.value)?;
        tx.audit(Some(&project.id), AuditAction::ResourceRefreshStarted, &resource.id, &[("run", run_id.to_string())])?;
        Ok(RefreshStarted { resource_id: resource.id.clone(), run_id })
    }
}
