//! A project as clients see it.

use crate::{
    app::Asgard,
    domain::{
        project::{Lifecycle, Project, ProjectStatus, missing_evidence},
        tier::{DataClass, Tier},
    },
    kernel::{DisplayName, Dollars, Email, Party, ProjectId, Slug, Timestamp},
    ports::{records::Stored, store::Version},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A project.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct ProjectView {
    /// The project's id, `proj-YYYY-NNNN`.
    pub project_id: ProjectId,
    /// The name that people gave the project.
    pub name: DisplayName,
    /// The e-mail address of the owner, who answers for what the project does.
    pub owner_email: Email,
    /// The e-mail address of the manager, who answers for the owner and approves requests.
    pub manager_email: Email,
    /// The key of the group that the project belongs to; `list_groups` shows them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<Slug>,
    /// The cost center that the project's cost is charged to; it follows from the group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_center: Option<String>,
    /// The tier: how much depends on the project.
    pub classification: Tier,
    /// The data class: how sensitive the project's data may be.
    pub data_class: DataClass,
    /// The monthly budget in US dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget_usd: Option<Dollars>,
    /// What the project is for, in the words of its people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The evidence given for the tier, by field name; `registration_requirements` lists the fields.
    pub evidence: BTreeMap<String, String>,
    /// The evidence fields that the tier asks for and that are still empty.
    pub missing_evidence: Vec<String>,
    /// The project's state: `active`, `killed` or `decommissioned`.
    pub status: Lifecycle,
    /// The reason given when the project was killed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub killed_reason: Option<String>,
    /// Whether only an admin can lift the kill.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub killed_by_admin: Option<bool>,
    /// The time of the registration.
    pub created_at: Timestamp,
    /// The time of the last change.
    pub updated_at: Timestamp,
    /// The version of this answer; pass it as `version` to change only what you have read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// The owner as authority knows them: not part of what clients see, and absent in a replayed answer.
    #[serde(skip)]
    pub owner: Option<Party>,
    /// The manager as authority knows them: not part of what clients see, and absent in a replayed answer.
    #[serde(skip)]
    pub manager: Option<Party>,
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
            owner: Some(project.owner.clone()),
            manager: Some(project.manager.clone()),
            owner_email: project.owner.email().clone(),
            manager_email: project.manager.email().clone(),
            group: project.group.clone(),
            cost_center: project.cost_center.clone(),
            classification: project.classification,
            data_class: project.data_class,
            budget_usd: project.budget.map(Dollars),
            description: project.description.clone(),
            evidence: project.evidence.clone(),
            missing_evidence: missing_evidence(project.classification, &project.evidence, required),
            status: project.status.lifecycle(),
            killed_reason: reason,
            killed_by_admin: by_admin,
            created_at: project.created_at,
            updated_at: project.updated_at,
            version: None,
        }
    }
}
