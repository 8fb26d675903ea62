//! A project as clients see it.

use crate::{
    app::Asgard,
    domain::{
        project::{Project, ProjectStatus, missing_evidence},
        tier::{DataClass, Tier},
    },
    kernel::{DisplayName, Dollars, Email, ProjectId, Slug, Timestamp},
    ports::{records::Stored, store::Version},
};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

/// A project.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ProjectView {
    /// Its id.
    pub project_id: ProjectId,
    /// What people call it.
    pub name: DisplayName,
    /// Who answers for what it does.
    pub owner_email: Email,
    /// Who answers for the owner, and approves.
    pub manager_email: Email,
    /// The group it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<Slug>,
    /// Where its cost goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_center: Option<String>,
    /// How much depends on it.
    pub classification: Tier,
    /// How sensitive its data is.
    pub data_class: DataClass,
    /// Monthly budget in dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget_usd: Option<Dollars>,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Evidence for its tier.
    pub evidence: BTreeMap<String, String>,
    /// Evidence that its tier asks for and that is not there yet.
    pub missing_evidence: Vec<String>,
    /// `active`, `killed` or `decommissioned`.
    pub status: &'static str,
    /// Why it was killed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub killed_reason: Option<String>,
    /// Whether only an admin can lift the kill.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub killed_by_admin: Option<bool>,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Its version; pass it back to change only what you have read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
}

impl ProjectView {
    /// A project as it was read.
    pub fn stored(app: &Asgard, project: &Stored<Project>) -> Self {
        Self::of(app, &project.value).at(&project.version)
    }

    /// The same, of a known version.
    pub fn at(self, version: &Version) -> Self {
        Self { version: Some(version.clone()), ..self }
    }

    /// A project as it is about to be committed.
    pub fn of(app: &Asgard, project: &Project) -> Self {
        let (reason, by_admin) = match &project.status {
            ProjectStatus::Killed { reason, by_admin, .. } => (Some(reason.clone()), Some(*by_admin)),
            ProjectStatus::Active | ProjectStatus::Decommissioned { .. } => (None, None),
        };
        let required = app.config().governance.classification_requirements.by_tier();
        Self {
            project_id: project.id.clone(),
            name: project.name.clone(),
            owner_email: project.owner.clone(),
            manager_email: project.manager.clone(),
            group: project.group.clone(),
            cost_center: project.cost_center.clone(),
            classification: project.classification,
            data_class: project.data_class,
            budget_usd: project.budget.map(Dollars),
            description: project.description.clone(),
            evidence: project.evidence.clone(),
            missing_evidence: missing_evidence(project.classification, &project.evidence, required),
            status: project.status.name(),
            killed_reason: reason,
            killed_by_admin: by_admin,
            created_at: project.created_at,
            updated_at: project.updated_at,
            version: None,
        }
    }
}
