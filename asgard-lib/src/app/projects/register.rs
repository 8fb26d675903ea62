//! Registering a project.

use super::{ProjectView, rules};
use crate::{
    app::{Hints, Meta, Operation, Reads, Route, Tx, core::operation::Method::Post, people::bind},
    domain::{
        access::{Action, Object},
        audit::AuditAction,
        project::{self, Registration},
        tier::{DataClass, Tier},
    },
    error::{Code, Error, Result},
    kernel::{DisplayName, Dollars, Email, ProjectId, Role, Slug},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use typed_builder::TypedBuilder;

/// Registers a project.
#[derive(Debug, Serialize, Deserialize, JsonSchema, TypedBuilder)]
#[serde(deny_unknown_fields)]
#[builder(field_defaults(setter(into)))]
#[non_exhaustive]
pub struct RegisterProject {
    /// The project's name for people, 1 to 120 characters on one line; it need not be unique.
    pub name: DisplayName,
    /// The e-mail address of the owner, who answers for what the project does. Members register projects they own;
    /// admins anybody's.
    pub owner_email: Email,
    /// The e-mail address of the manager, who answers for the owner and approves requests. Somebody else than the
    /// owner, unless this Asgard is configured otherwise.
    #[serde(default)]
    #[builder(default)]
    pub manager_email: Option<Email>,
    /// The key of the group that the project belongs to; `registration_requirements` lists them.
    #[serde(default)]
    #[builder(default)]
    pub group: Option<Slug>,
    /// The tier: how much depends on the project; `poc` unless told.
    #[serde(default)]
    #[builder(default)]
    pub classification: Option<Tier>,
    /// The data class: how sensitive the project's data may be; `internal` unless told.
    #[serde(default)]
    #[builder(default)]
    pub data_class: Option<DataClass>,
    /// The monthly budget in US dollars, 0 or more.
    #[serde(default)]
    #[builder(default)]
    pub budget_usd: Option<Dollars>,
    /// What the project is for, in a sentence or two.
    #[serde(default)]
    #[builder(default)]
    #[schemars(length(max = 2000), regex(pattern = crate::kernel::text::PROSE))]
    pub description: Option<String>,
    /// The evidence for a tier above poc, by field name; `registration_requirements` lists the fields of each tier.
    #[serde(default)]
    #[builder(default)]
    #[schemars(schema_with = "super::evidence_schema")]
    pub evidence: BTreeMap<String, String>,
}

impl Operation for RegisterProject {
    type Output = ProjectView;
    crate::remembered_by_its_fields!();
    const META: Meta = Meta {
        name: "projects.register",
        title: "Register a project",
        description: "Registers a project: the gate, since nothing provisions or spends without one. Needs a session or a user token, \
                      not a project key. Returns the project with its project_id.",
        action: Action::RegisterProject,
        routes: &[Route { method: Post, path: "/projects", status: 201 }],
        tools: &["register_project"],
        hints: Hints::CREATE,
        creates: true,
    };

    /// Whether an admin registers it.
    type Permit = bool;
    crate::prepares_nothing!();
    crate::answers_as_decided!();

    async fn authorise(&self, reads: &mut Reads<'_>) -> Result<bool> {
        reads.allow(Action::RegisterProject, &Object::Nothing)?;
        let actor = reads.actor()?;
        let admin = actor.role() == Some(Role::Admin);
        if !admin && !actor.person().is_some_and(|person| person.has(&self.owner_email)) {
            return Err(Error::new(
                Code::Denied,
                "Members register projects that they own themselves; an admin registers for others.",
            )
            .at("owner_email"));
        }
        Ok(admin)
    }

    async fn decide(&self, tx: &mut Tx<'_>, admin: bool, (): &()) -> Result<ProjectView> {
        let actor = tx.actor()?;
        let wanted = Registration {
            name: self.name.clone(),
            owner: bind::party(tx, &self.owner_email).await?,
            manager: match &self.manager_email {
                Some(email) => Some(bind::party(tx, email).await?),
                None => None,
            },
            group: self.group.clone(),
            classification: self.classification.unwrap_or_default(),
            data_class: self.data_class.unwrap_or_default(),
            budget: self.budget_usd.map(|dollars| dollars.0),
            description: self.description.clone(),
            evidence: self.evidence.clone(),
        };
        // Judged before a number is taken, so that a refused registration leaves no gap.
        let (app, now) = (tx.app(), tx.now());
        let judge = |id| project::register(wanted.clone(), &rules(app), actor.reference(), admin, id, now);
        judge(ProjectId::new(now.year(), 0))?;
        let number = tx.number(&format!("projects/{}", now.year())).await?;
        let project = judge(ProjectId::new(now.year(), number))?;
        tx.insert(&project)?;
        tx.audit(
            Some(&project.id),
            AuditAction::ProjectRegistered,
            &project.id,
            &[("name", project.name.to_string()), ("owner", project.owner.to_string())],
        )?;
        Ok(ProjectView::of(app, &project).at(tx.version()))
    }
}
