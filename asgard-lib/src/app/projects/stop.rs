//! Kill, unkill, decommission.

use super::ProjectView;
use crate::{
    app::{Hints, Meta, Route, SimpleOperation, Tx, core::operation::Method::Post, core::scope::ReadMode},
    domain::{
        access::Action,
        audit::AuditAction,
        project::{self, Project},
    },
    error::{Code, Error, Result},
    kernel::{ProjectId, Role},
    ports::{
        records::Stored,
        store::{Count, Version},
    },
};
use schemars::JsonSchema;
use serde::Deserialize;
use typed_builder::TypedBuilder;

/// Stops a project at once.
#[derive(Debug, Deserialize, JsonSchema, TypedBuilder)]
#[serde(deny_unknown_fields)]
#[builder(field_defaults(setter(into)))]
#[non_exhaustive]
pub struct Kill {
    /// The project's id, `proj-YYYY-NNNN`, from `list_projects`.
    pub project_id: ProjectId,
    /// Why the project is stopped; everybody who works on it reads this.
    #[schemars(length(max = 500), regex(pattern = crate::kernel::text::ONE_LINE))]
    pub reason: String,
    /// The `version` of what you have read; the change is refused when it has changed since.
    #[serde(default)]
    #[builder(default)]
    pub version: Option<Version>,
}

impl SimpleOperation for Kill {
    type Output = ProjectView;
    const META: Meta = Meta {
        name: "projects.kill",
        title: "Kill a project",
        description: "Stops a project at once: its keys are refused and nothing new starts. What exists stays. An admin's kill is lifted only by an admin.",
        action: Action::StopProject,
        routes: &[Route { method: Post, path: "/projects/{project_id}/kill", status: 200 }],
        tools: &[],
        hints: Hints::REMOVE,
        creates: false,
    };

    async fn decide(&self, tx: &mut Tx<'_>) -> Result<ProjectView> {
        let (before, admin) = stoppable(tx, &self.project_id, Action::StopProject, self.version.as_ref()).await?;
        let after = project::kill(&before.value, tx.actor()?.reference(), admin, &self.reason, tx.now())?;
        finish(tx, &before, &after, AuditAction::ProjectKilled, Some(self.reason.trim()))
    }
}

/// Lifts a kill.
#[derive(Debug, Deserialize, JsonSchema, TypedBuilder)]
#[serde(deny_unknown_fields)]
#[builder(field_defaults(setter(into)))]
#[non_exhaustive]
pub struct Unkill {
    /// The project's id, `proj-YYYY-NNNN`, from `list_projects`.
    pub project_id: ProjectId,
    /// The `version` of what you have read; the change is refused when it has changed since.
    #[serde(default)]
    #[builder(default)]
    pub version: Option<Version>,
}

impl SimpleOperation for Unkill {
    type Output = ProjectView;
    const META: Meta = Meta {
        name: "projects.unkill",
        title: "Lift a kill",
        description: "Lets a killed project work again. An admin's kill is lifted only by an admin.",
        action: Action::StopProject,
        routes: &[Route { method: Post, path: "/projects/{project_id}/unkill", status: 200 }],
        tools: &[],
        hints: Hints::SET,
        creates: false,
    };

    async fn decide(&self, tx: &mut Tx<'_>) -> Result<ProjectView> {
        let (before, admin) = stoppable(tx, &self.project_id, Action::StopProject, self.version.as_ref()).await?;
        let after = project::unkill(&before.value, admin, tx.now())?;
        finish(tx, &before, &after, AuditAction::ProjectUnkilled, None)
    }
}

/// Ends a project for good.
#[derive(Debug, Deserialize, JsonSchema, TypedBuilder)]
#[serde(deny_unknown_fields)]
#[builder(field_defaults(setter(into)))]
#[non_exhaustive]
pub struct Decommission {
    /// The project's id, `proj-YYYY-NNNN`, from `list_projects`.
    pub project_id: ProjectId,
    /// The `version` of what you have read; the change is refused when it has changed since.
    #[serde(default)]
    #[builder(default)]
    pub version: Option<Version>,
}

impl SimpleOperation for Decommission {
    type Output = ProjectView;
    const META: Meta = Meta {
        name: "projects.decommission",
        title: "Decommission a project",
        description: "Ends a project for good, once every resource of it has been deprovisioned. Its id is never used again.",
        action: Action::EndProject,
        routes: &[Route { method: Post, path: "/projects/{project_id}/decommission", status: 200 }],
        tools: &[],
        hints: Hints::REMOVE,
        creates: false,
    };

    async fn decide(&self, tx: &mut Tx<'_>) -> Result<ProjectView> {
        let (before, _) = stoppable(tx, &self.project_id, Action::EndProject, self.version.as_ref()).await?;
        let after = project::decommission(&before.value, tx.actor()?.reference(), tx.now())?;
        let none = Count {
            counter: Project::resources_counter(&after.id),
            delta: 0,
            floor: None,
            ceiling: Some(0),
            expires_at: None,
        };
        tx.count_or(
            none,
            Error::new(
                Code::DependentsExist,
                "The project still has resources. Deprovision them first; list_resources shows them.",
            ),
        )?;
        finish(tx, &before, &after, AuditAction::ProjectDecommissioned, None)
    }
}

async fn stoppable(
    tx: &mut Tx<'_>,
    id: &ProjectId,
    action: Action,
    version: Option<&Version>,
) -> Result<(Stored<Project>, bool)> {
    let (project, _) = tx.project(Some(id), action, ReadMode::Checked).await?;
    tx.expect_version(&project.version, version)?;
    let admin = tx.actor()?.role() == Some(Role::Admin);
    Ok((project, admin))
}

fn finish(
    tx: &mut Tx<'_>,
    before: &Stored<Project>,
    after: &Project,
    action: AuditAction,
    reason: Option<&str>,
) -> Result<ProjectView> {
    tx.replace(before, after)?;
    let details: Vec<(&str, String)> = reason.map(|reason| ("reason", reason.to_owned())).into_iter().collect();
    tx.audit(Some(&after.id), action, &after.id, &details)?;
    Ok(ProjectView::of(tx.app(), after).at(tx.version()))
}
