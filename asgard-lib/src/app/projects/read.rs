//! Reading a project, its state, and what a registration needs.

use super::{GroupView, ProjectView, list::groups};
use crate::{
    app::{Hints, Meta, Route, SimpleOperation, Tx, core::operation::Method::Get, core::scope::ReadMode, spending},
    domain::{
        access::{Action, Object},
        project::Project,
        tier::{DataClass, Tier},
    },
    error::Result,
    kernel::{Dollars, ProjectId, Usd},
    ports::store::ReadBatch,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use typed_builder::TypedBuilder;

/// Reads a project.
#[derive(Debug, Deserialize, JsonSchema, TypedBuilder)]
#[serde(deny_unknown_fields)]
#[builder(field_defaults(setter(into)))]
#[non_exhaustive]
pub struct GetProject {
    /// The project's id, `proj-YYYY-NNNN`, from `list_projects`; a project key may leave it out and acts on its own.
    #[serde(default)]
    #[builder(default)]
    pub project_id: Option<ProjectId>,
}

impl SimpleOperation for GetProject {
    type Output = ProjectView;
    const META: Meta = Meta {
        name: "projects.get",
        title: "Get a project",
        description: "A project with its owner, manager, tier, evidence and status.",
        action: Action::ReadProject,
        routes: &[Route { method: Get, path: "/projects/{project_id}", status: 200 }],
        tools: &["project_get"],
        hints: Hints::READ,
        creates: false,
    };

    async fn decide(&self, tx: &mut Tx<'_>) -> Result<ProjectView> {
        let (project, _) = tx.project(self.project_id.as_ref(), Action::ReadProject, ReadMode::Plain).await?;
        Ok(ProjectView::stored(tx.app(), &project))
    }
}

/// Where a project stands.
#[derive(Debug, Deserialize, JsonSchema, TypedBuilder)]
#[serde(deny_unknown_fields)]
#[builder(field_defaults(setter(into)))]
#[non_exhaustive]
pub struct ProjectState {
    /// The project's id, `proj-YYYY-NNNN`, from `list_projects`; a project key may leave it out and acts on its own.
    #[serde(default)]
    #[builder(default)]
    pub project_id: Option<ProjectId>,
}

/// Where a project stands.
#[derive(Debug, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct ProjectStateView {
    /// The project's record.
    pub project: ProjectView,
    /// The number of the project's resources that are not destroyed.
    pub resources: i64,
    /// What its resources cost a month, committed or in flight, in dollars.
    pub committed_monthly_usd: Dollars,
    /// What its tier lets pass without a person, in monthly dollars in all; absent when everything that costs is approved by a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_approve_monthly_usd: Option<Dollars>,
    /// What passes without a person as long as the project's manager has never signed in, in monthly dollars in all; absent once they
    /// have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unconfirmed_manager_monthly_usd: Option<Dollars>,
}

impl SimpleOperation for ProjectState {
    type Output = ProjectStateView;
    const META: Meta = Meta {
        name: "projects.state",
        title: "Project state",
        description: "Where a project stands: status, missing evidence, how many resources it has, what they cost a month, and how much passes without approval.",
        action: Action::ReadProject,
        routes: &[Route { method: Get, path: "/projects/{project_id}/state", status: 200 }],
        tools: &["project_state"],
        hints: Hints::READ,
        creates: false,
    };

    async fn decide(&self, tx: &mut Tx<'_>) -> Result<ProjectStateView> {
        let (project, _) = tx.project(self.project_id.as_ref(), Action::ReadProject, ReadMode::Plain).await?;
        let counters = vec![Project::resources_counter(&project.id), Project::committed_counter(&project.id)];
        tx.ahead(ReadBatch { counters, ..ReadBatch::default() });
        let confirmed = spending::has_signed_in(tx, &project.manager).await?;
        let resources = tx.counter(&Project::resources_counter(&project.id)).await?;
        let committed = tx.counter(&Project::committed_counter(&project.id)).await?;
        let unconfirmed = tx.app().config().provisioning.auto_approve_unconfirmed;
        Ok(ProjectStateView {
            resources,
            unconfirmed_manager_monthly_usd: (!confirmed).then_some(Dollars(unconfirmed)),
            committed_monthly_usd: Dollars(Usd::from_micros(committed)),
            auto_approve_monthly_usd: tx
                .app()
                .config()
                .provisioning
                .auto_approve
                .get(&project.classification)
                .copied()
                .map(Dollars),
            project: ProjectView::stored(tx.app(), &project),
        })
    }
}

/// What a registration needs here.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RegistrationRequirements {}

/// What a registration needs here.
#[derive(Debug, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct RequirementsView {
    /// Whether a manager other than the owner must be named.
    pub require_manager: bool,
    /// Whether a group must be named.
    pub require_group: bool,
    /// Whether the group must have a cost center.
    pub require_cost_center: bool,
    /// The groups that a registration may name; an empty list means that any group is accepted.
    pub groups: Vec<GroupView>,
    /// The tiers that exist, lowest first.
    pub tiers: Vec<Tier>,
    /// The data classes, least sensitive first.
    pub data_classes: Vec<DataClass>,
    /// The evidence fields that each tier asks for.
    pub evidence: BTreeMap<Tier, Vec<String>>,
}

impl SimpleOperation for RegistrationRequirements {
    type Output = RequirementsView;
    const META: Meta = Meta {
        name: "projects.requirements",
        title: "Registration requirements",
        description: "What register_project needs here: groups, tiers, data classes and the evidence that each tier asks for.",
        action: Action::ReadServices,
        routes: &[Route { method: Get, path: "/registration/requirements", status: 200 }],
        tools: &["registration_requirements"],
        hints: Hints::READ,
        creates: false,
    };

    async fn decide(&self, tx: &mut Tx<'_>) -> Result<RequirementsView> {
        tx.allow(Action::ReadServices, &Object::Nothing)?;
        let config = tx.app().config();
        Ok(RequirementsView {
            require_manager: config.registration.require_manager,
            require_group: config.registration.require_group,
            require_cost_center: config.registration.require_cost_center,
            groups: groups(tx.app()),
            tiers: Tier::ALL.to_vec(),
            data_classes: DataClass::ALL.to_vec(),
            evidence: config.governance.classification_requirements.by_tier().clone(),
        })
    }
}
