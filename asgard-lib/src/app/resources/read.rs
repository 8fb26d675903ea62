//! Reading resources and their runs.

#![allow(
    missing_debug_implementations,
    unnameable_types,
    reason = "about the builders that are derived within `list_command!`"
)]

use super::{ResourceView, RunView, load};
use crate::{
    app::{
        Hints, Meta, Reads, Route, SimpleOperation, Tx, core::list::list_command, core::operation::Method::Get,
        core::scope::ReadMode,
    },
    domain::{
        access::Action,
        request::Request,
        resource::{Resource, ResourceStatus},
        run::Run,
    },
    error::Result,
    kernel::{Page, ProjectId, ResourceId, RunId},
    ports::{kinds, records::Stored, store::Query},
};
use schemars::JsonSchema;
use serde::Deserialize;
use typed_builder::TypedBuilder;

/// Reads a resource.
#[derive(Debug, Deserialize, JsonSchema, TypedBuilder)]
#[serde(deny_unknown_fields)]
#[builder(field_defaults(setter(into)))]
#[non_exhaustive]
pub struct GetResource {
    /// The id of the resource's project; it may be left out, because the resource's id says it.
    #[serde(default)]
    #[builder(default)]
    pub project_id: Option<ProjectId>,
    /// The resource's id, `res_...`, from `list_resources`.
    pub resource_id: ResourceId,
}

impl SimpleOperation for GetResource {
    type Output = ResourceView;
    const META: Meta = Meta {
        name: "resources.get",
        title: "Get a resource",
        description: "A resource with its outputs and the state of its last request. Secret values are not in it; secret_refs name them for get_secret.",
        action: Action::ReadProject,
        routes: &[Route { method: Get, path: "/projects/{project_id}/resources/{resource_id}", status: 200 }],
        tools: &["get_resource"],
        hints: Hints::READ,
        creates: false,
    };

    async fn decide(&self, tx: &mut Tx<'_>) -> Result<ResourceView> {
        let (resource, ..) =
            load(tx, self.project_id.as_ref(), &self.resource_id, Action::ReadProject, ReadMode::Plain).await?;
        let request = tx.read::<Request>(resource.request.as_str()).await?;
        Ok(ResourceView::of(&resource.value, request.as_ref().map(|r| &r.value), &resource.version))
    }
}

list_command! {
    /// Lists a project's resources.
    #[derive(TypedBuilder)]
    pub struct ListResources {
        /// The project's id, `proj-YYYY-NNNN`, from `list_projects`; a project key may leave it out and acts on its own.
        #[serde(default)]
        #[builder(default)]
        pub project_id: Option<ProjectId>,
        /// Whether destroyed resources are listed too; `false` unless told.
        #[serde(default)]
        #[builder(default)]
        pub include_destroyed: bool,
    }
}

impl SimpleOperation for ListResources {
    type Output = Page<ResourceView>;
    const META: Meta = Meta {
        name: "resources.list",
        title: "List resources",
        description: "A project's resources, newest first, without destroyed ones unless asked for.",
        action: Action::ReadProject,
        routes: &[Route { method: Get, path: "/projects/{project_id}/resources", status: 200 }],
        tools: &["list_resources"],
        hints: Hints::READ,
        creates: false,
    };

    async fn decide(&self, tx: &mut Tx<'_>) -> Result<Page<ResourceView>> {
        let (project, _) = tx.project(self.project_id.as_ref(), Action::ReadProject, ReadMode::Plain).await?;
        let app = tx.app();
        let query = Query::new(&kinds::RESOURCES_BY_PROJECT, project.id.as_str()).newest_first();
        let view = |resource: Stored<Resource>| {
            let shown = self.include_destroyed || resource.status != ResourceStatus::Destroyed;
            shown.then(|| ResourceView::of(&resource.value, None, &resource.version))
        };
        app.page(&format!("resources/{}", project.id), self.paging(), query, view).await
    }
}

list_command! {
    /// Lists a resource's runs.
    #[derive(TypedBuilder)]
    pub struct ResourceRuns {
        /// The id of the resource's project; it may be left out, because the resource's id says it.
        #[serde(default)]
        #[builder(default)]
        pub project_id: Option<ProjectId>,
        /// The resource's id, `res_...`, from `list_resources`.
        pub resource_id: ResourceId,
    }
}

impl SimpleOperation for ResourceRuns {
    type Output = Page<RunView>;
    const META: Meta = Meta {
        name: "runs.list",
        title: "List a resource's runs",
        description: "Plans, applies, destroys and refreshes of a resource, newest first.",
        action: Action::ReadProject,
        routes: &[Route { method: Get, path: "/projects/{project_id}/resources/{resource_id}/runs", status: 200 }],
        tools: &["resource_runs"],
        hints: Hints::READ,
        creates: false,
    };

    async fn decide(&self, tx: &mut Tx<'_>) -> Result<Page<RunView>> {
        let (resource, ..) =
            load(tx, self.project_id.as_ref(), &self.resource_id, Action::ReadProject, ReadMode::Plain).await?;
        let app = tx.app();
        let query = Query::new(&kinds::RUNS_BY_RESOURCE, resource.id.as_str()).newest_first();
        let view = |run: Stored<Run>| Some(RunView::of(&run.value));
        app.page(&format!("runs/{}", resource.id), self.paging(), query, view).await
    }
}

/// Reads a run.
#[derive(Debug, Deserialize, JsonSchema, TypedBuilder)]
#[serde(deny_unknown_fields)]
#[builder(field_defaults(setter(into)))]
#[non_exhaustive]
pub struct GetRun {
    /// The run's id, `run_...`, from `resource_runs` or a request's `current_run`.
    pub run_id: RunId,
}

impl SimpleOperation for GetRun {
    type Output = RunView;
    const META: Meta = Meta {
        name: "runs.get",
        title: "Get a run",
        description: "One plan, apply, destroy or refresh.",
        action: Action::ReadProject,
        routes: &[Route { method: Get, path: "/runs/{run_id}", status: 200 }],
        tools: &[],
        hints: Hints::READ,
        creates: false,
    };

    async fn decide(&self, tx: &mut Tx<'_>) -> Result<RunView> {
        Ok(RunView::of(&run_of(tx, &self.run_id).await?))
    }
}

/// A run that the caller may see.
pub(super) async fn run_of(reads: &mut Reads<'_>, id: &RunId) -> Result<Run> {
    let Some(run) = reads.read::<Run>(id.as_str()).await? else {
        return Err(reads.unknown("run"));
    };
    reads.project_of("run", &run.project, Action::ReadProject, ReadMode::Plain).await?;
    Ok(run.value)
}
