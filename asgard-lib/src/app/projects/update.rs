//! Changing a project.

use super::{ProjectView, rules};
use crate::{
    app::{
        Hints, Meta, Route, SimpleOperation, Tx, core::operation::Method::Patch, core::scope::ReadMode, people::bind,
        spending,
    },
    domain::{
        access::{Action, Object},
        audit::AuditAction,
        project::{self, Changes},
        tier::DataClass,
    },
    error::{Error, Result},
    kernel::{DisplayName, Dollars, Email, Party, ProjectId, Slug},
    ports::store::Version,
};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;
use typed_builder::TypedBuilder;

/// Changes a project. What is left out stays as it is.
#[derive(Debug, Deserialize, JsonSchema, TypedBuilder)]
#[serde(deny_unknown_fields)]
#[builder(field_defaults(setter(into)))]
#[non_exhaustive]
pub struct UpdateProject {
    /// The project's id, `proj-YYYY-NNNN`, from `list_projects`; a project key may leave it out and acts on its own.
    #[serde(default)]
    #[builder(default)]
    pub project_id: Option<ProjectId>,
    /// The project's new name for people.
    #[serde(default)]
    #[builder(default)]
    pub name: Option<DisplayName>,
    /// The e-mail address of the new owner. Admins only.
    #[serde(default)]
    #[builder(default)]
    pub owner_email: Option<Email>,
    /// The e-mail address of the new manager. Admins only.
    #[serde(default)]
    #[builder(default)]
    pub manager_email: Option<Email>,
    /// The key of the new group; `list_groups` shows them. Managers and admins.
    #[serde(default)]
    #[builder(default)]
    pub group: Option<Slug>,
    /// The new data class. Managers and admins.
    #[serde(default)]
    #[builder(default)]
    pub data_class: Option<DataClass>,
    /// The new monthly budget in US dollars. Managers and admins.
    #[serde(default)]
    #[builder(default)]
    pub budget_usd: Option<Dollars>,
    /// The new description; empty text clears it.
    #[serde(default)]
    #[builder(default)]
    #[schemars(length(max = 2000), regex(pattern = crate::kernel::text::PROSE))]
    pub description: Option<String>,
    /// The evidence to set, by field name; empty text removes a field. `registration_requirements` lists the fields.
    #[serde(default)]
    #[builder(default)]
    #[schemars(schema_with = "super::evidence_schema")]
    pub evidence: BTreeMap<String, String>,
    /// The `version` of the project that you have read; the change is refused when the project has changed since.
    #[serde(default)]
    #[builder(default)]
    pub version: Option<Version>,
}

impl SimpleOperation for UpdateProject {
    type Output = ProjectView;
    const META: Meta = Meta {
        name: "projects.update",
        title: "Update a project",
        description: "Changes a project's name, description or evidence; its manager or an admin also group, budget and data class; \
                      an admin also owner and manager. The tier is set by the registration and does not change.",
        action: Action::DescribeProject,
        routes: &[Route { method: Patch, path: "/projects/{project_id}", status: 200 }],
        tools: &["update_project"],
        hints: Hints::SET,
        creates: false,
    };

    async fn decide(&self, tx: &mut Tx<'_>) -> Result<ProjectView> {
        let (before, subject) =
            tx.project(self.project_id.as_ref(), Action::DescribeProject, ReadMode::Checked).await?;
        if self.group.is_some() || self.data_class.is_some() || self.budget_usd.is_some() {
            tx.allow(Action::ManageProject, &Object::Project(&subject))?;
        }
        if self.owner_email.is_some() || self.manager_email.is_some() {
            tx.allow(Action::ReassignProject, &Object::Project(&subject))?;
        }
        tx.expect_version(&before.version, self.version.as_ref())?;
        let changes = Changes {
            name: self.name.clone(),
            owner: named(tx, self.owner_email.as_ref()).await?,
            manager: named(tx, self.manager_email.as_ref()).await?,
            group: self.group.clone(),
            data_class: self.data_class,
            budget: self.budget_usd.map(|dollars| dollars.0),
            description: self.description.clone(),
            evidence: self.evidence.clone(),
        };
        let named = self.changed_fields();
        if named.is_empty() {
            return Err(Error::invalid(
                "name",
                "Say what to change: name, description, evidence, group, data_class, budget_usd, owner_email, manager_email.",
            ));
        }
        let after = project::update(&before.value, changes, &rules(tx.app()), tx.now())?;
        spending::follow(tx, &before, &after).await?;
        tx.replace(&before, &after)?;
        tx.audit(Some(&after.id), AuditAction::ProjectUpdated, &after.id, &[("fields", named.join(", "))])?;
        Ok(ProjectView::of(tx.app(), &after).at(tx.version()))
    }
}

/// Whom a new address names.
async fn named(tx: &Tx<'_>, email: Option<&Email>) -> Result<Option<Party>> {
    match email {
        Some(email) => bind::party(tx, email).await.map(Some),
        None => Ok(None),
    }
}

impl UpdateProject {
    fn changed_fields(&self) -> Vec<&'static str> {
        [
            ("name", self.name.is_some()),
            ("owner_email", self.owner_email.is_some()),
            ("manager_email", self.manager_email.is_some()),
            ("group", self.group.is_some()),
            ("data_class", self.data_class.is_some()),
            ("budget_usd", self.budget_usd.is_some()),
            ("description", self.description.is_some()),
            ("evidence", !self.evidence.is_empty()),
        ]
        .into_iter()
        .filter_map(|(name, given)| given.then_some(name))
        .collect()
    }
}
