//! Listing, revealing and rotating secrets.

#![allow(
    missing_debug_implementations,
    unnameable_types,
    reason = "about the builders that are derived within `list_command!`"
)]

use crate::{
    app::{
        Asgard, Hints, Meta, Operation, Reads, Route, SimpleOperation, Tx,
        core::list::list_command,
        core::operation::Method::{Get, Post},
        core::operation::Unremembered,
        core::scope::ReadMode,
        keys::notify,
        requests::{Requested, Wanted, open},
    },
    domain::{
        access::{Action, Subject},
        audit::AuditAction,
        credential::ProjectKey,
        project::Project,
        request::Command,
        resource::{Resource, ResourceStatus},
        secret::{NAME_PATTERN, Secret, check_name},
    },
    error::{Code, Error, Result},
    kernel::{Actor, Page, Party, ProjectId, ResourceId, SecretId, Timestamp},
    ports::{
        kinds,
        records::{Records, Stored},
        store::Query,
    },
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use typed_builder::TypedBuilder;

/// A secret without its value.
#[derive(Debug, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct SecretView {
    /// The secret's id.
    pub secret_id: SecretId,
    /// The secret's name, `<service>.<resource>.<output>`; `get_secret` takes it as `name`.
    pub name: String,
    /// The id of the project that the secret belongs to.
    pub project_id: ProjectId,
    /// The id of the resource that the secret came from.
    pub resource_id: ResourceId,
    /// The number of the present value, counted from 1.
    pub version: u32,
    /// The time at which the first value was stored.
    pub created_at: Timestamp,
    /// The time at which the present value was stored.
    pub rotated_at: Timestamp,
}

impl SecretView {
    fn of(secret: &Secret) -> Self {
        Self {
            secret_id: secret.id.clone(),
            name: secret.name.clone(),
            project_id: secret.project.clone(),
            resource_id: secret.resource.clone(),
            version: secret.version,
            created_at: secret.created_at,
            rotated_at: secret.rotated_at,
        }
    }
}

list_command! {
    /// Lists a project's secrets, without values.
    #[derive(TypedBuilder)]
    pub struct ListSecrets {
        /// The project's id, `proj-YYYY-NNNN`, from `list_projects`; a project key may leave it out and acts on its own.
        #[serde(default)]
        #[builder(default)]
        pub project_id: Option<ProjectId>,
    }
}

impl SimpleOperation for ListSecrets {
    type Output = Page<SecretView>;
    const META: Meta = Meta {
        name: "secrets.list",
        title: "List secrets",
        description: "A project's secrets by name, without their values; get_secret reveals one.",
        action: Action::ReadProject,
        routes: &[Route { method: Get, path: "/projects/{project_id}/secrets", status: 200 }],
        tools: &["list_secrets"],
        hints: Hints::READ,
        creates: false,
    };

    async fn decide(&self, tx: &mut Tx<'_>) -> Result<Page<SecretView>> {
        let (project, _) = tx.project(self.project_id.as_ref(), Action::ReadProject, ReadMode::Plain).await?;
        let app = tx.app();
        let query = Query::new(&kinds::SECRETS_BY_PROJECT, project.id.as_str());
        let view = |secret: Stored<Secret>| Some(SecretView::of(&secret.value));
        app.page(&format!("secrets/{}", project.id), self.paging(), query, view).await
    }
}

async fn by_name(reads: &mut Reads<'_>, project: &ProjectId, name: &str) -> Result<Stored<Secret>> {
    check_name(name)?;
    let id = reads.holder(&Secret::claim(project, name)).await?;
    let found = match id {
        Some(id) => reads.read_checked::<Secret>(&id).await?,
        None => None,
    };
    found.ok_or_else(no_such_secret)
}

fn no_such_secret() -> Error {
    Error::new(Code::NotFound, "There is no secret of that name; list_secrets shows the names.").at("name")
}

/// Reveals a secret's value.
#[derive(Debug, Deserialize, JsonSchema, TypedBuilder)]
#[serde(deny_unknown_fields)]
#[builder(field_defaults(setter(into)))]
#[non_exhaustive]
pub struct GetSecret {
    /// The project's id, `proj-YYYY-NNNN`, from `list_projects`; a project key may leave it out and acts on its own.
    #[serde(default)]
    #[builder(default)]
    pub project_id: Option<ProjectId>,
    /// The secret's name, `<service>.<resource>.<output>`, from `list_secrets` or a resource's `secret_refs`.
    #[schemars(regex(pattern = NAME_PATTERN))]
    pub name: String,
}

/// A secret's value. The only answer in Asgard that holds one.
#[derive(Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Revealed {
    /// The secret's name, `<service>.<resource>.<output>`.
    pub name: String,
    /// The number of the value, counted from 1; the audit event names it.
    pub version: u32,
    /// The secret value itself. Use it, and do not write it down.
    pub value: String,
}

crate::kernel::opaque!(Revealed);

impl Operation for GetSecret {
    type Output = Revealed;
    const META: Meta = Meta {
        name: "secrets.reveal",
        title: "Get a secret's value",
        description: "Reveals a secret's present value to the project's key, or to the owner's or manager's user token. Every reveal is audited. \
                      Pass it on only where it is used, and never write it into a file or a log.",
        action: Action::RevealSecret,
        routes: &[],
        tools: &["get_secret"],
        hints: Hints { read_only: true, destructive: false, idempotent: true },
        creates: false,
    };

    type Permit = Stored<Project>;
    type Decided = Unremembered<Secret>;
    crate::prepares_nothing!();

    async fn authorise(&self, reads: &mut Reads<'_>) -> Result<Stored<Project>> {
        let (project, _) = reads.project(self.project_id.as_ref(), Action::RevealSecret, ReadMode::Checked).await?;
        Ok(project)
    }

    async fn decide(&self, tx: &mut Tx<'_>, project: Stored<Project>, (): &()) -> Result<Unremembered<Secret>> {
        let secret = by_name(tx, &project.id, &self.name).await?;
        let secret = secret.value;
        // Removing the secrets of a resource that is gone takes a moment when they are many.
        let of = tx.read::<Resource>(secret.resource.as_str()).await?;
        if of.is_none_or(|resource| resource.status == ResourceStatus::Destroyed) {
            return Err(no_such_secret());
        }
        tx.audit(
            Some(&project.id),
            AuditAction::SecretRevealed,
            &secret.id,
            &[("name", secret.name.clone()), ("version", secret.version.to_string())],
        )?;
        tell_those_who_may_reveal(tx, &project, &secret).await?;
        Ok(Unremembered(secret))
    }

    /// Reads exactly the value that the audit event names.
    async fn finish(&self, app: &Asgard, Unremembered(secret): Unremembered<Secret>) -> Result<Revealed> {
        let (id, version) = secret.stored();
        if let Some(value) = app.secrets().get(id, version, &secret.owner()).await? {
            return Ok(Revealed { name: secret.name, version: secret.version, value: value.reveal().to_owned() });
        }
        let present = app.store().read::<Secret>(secret.id.as_str()).await?;
        if present.is_some_and(|present| present.value == secret) {
            return Err(Error::bug(format!("secret {} version {} has no value", secret.id, secret.version)));
        }
        Err(Error::new(Code::Busy, "The secret was replaced or removed just now. Ask for it again.").retry_after(1))
    }
}

/// Tells the project's owner and manager when whoever answers for what called may not reveal this as themselves.
async fn tell_those_who_may_reveal(tx: &mut Tx<'_>, project: &Project, secret: &Secret) -> Result<()> {
    let named = |party: &Party| Subject::from(project).names(party);
    let details = [("secret", secret.name.clone()), ("version", secret.version.to_string())];
    match tx.actor()?.clone() {
        Actor::ProjectKey { key, minted_by, .. } if !named(&minted_by) => {
            let key = tx.need::<ProjectKey>(key.as_str()).await?;
            tx.replace(&key, &key.revealed(&secret.name, tx.now()))?;
            notify(tx, project, AuditAction::SecretRevealedByAdminKey, &key, &details)
        }
        Actor::Agent { agent, on_behalf_of: Some(person), .. } if !named(&person.party()) => {
            let [name, version] = details;
            let who = [
                ("on_behalf_of", person.party().to_string()),
                ("owner", project.owner.to_string()),
                ("manager", project.manager.to_string()),
                name,
                version,
            ];
            tx.audit(Some(&project.id), AuditAction::SecretRevealedByAgentOfOther, &agent, &who)
        }
        // They may as themselves, or nobody is behind the agent who could not.
        Actor::ProjectKey { .. }
        | Actor::Agent { .. }
        | Actor::Human { .. }
        | Actor::UserToken { .. }
        | Actor::System { .. } => Ok(()),
    }
}

/// Makes a new value for a secret.
#[derive(Debug, Serialize, Deserialize, JsonSchema, TypedBuilder)]
#[serde(deny_unknown_fields)]
#[builder(field_defaults(setter(into)))]
#[non_exhaustive]
pub struct RotateSecret {
    /// The project's id, `proj-YYYY-NNNN`, from `list_projects`; a project key may leave it out and acts on its own.
    #[serde(default)]
    #[builder(default)]
    pub project_id: Option<ProjectId>,
    /// The secret's name, `<service>.<resource>.<output>`, from `list_secrets`.
    #[schemars(regex(pattern = NAME_PATTERN))]
    pub name: String,
}

impl Operation for RotateSecret {
    type Output = Requested;
    crate::remembered_by_its_fields!();
    const META: Meta = Meta {
        name: "secrets.rotate",
        title: "Rotate a secret",
        description: "Asks for a new value of a secret, and of the other secrets of its resource. Answers at once with a request; when it is fulfilled, get_secret gives the new value.",
        action: Action::RotateSecret,
        routes: &[Route { method: Post, path: "/projects/{project_id}/secrets/{name}/rotate", status: 202 }],
        tools: &["rotate_secret"],
        hints: Hints { read_only: false, destructive: true, idempotent: false },
        creates: true,
    };

    type Permit = Stored<Project>;
    crate::prepares_nothing!();
    crate::answers_as_decided!();

    async fn authorise(&self, reads: &mut Reads<'_>) -> Result<Stored<Project>> {
        let (project, _) = reads.project(self.project_id.as_ref(), Action::RotateSecret, ReadMode::Checked).await?;
        Ok(project)
    }

    async fn decide(&self, tx: &mut Tx<'_>, project: Stored<Project>, (): &()) -> Result<Requested> {
        let secret = by_name(tx, &project.id, &self.name).await?;
        let resource = tx.need::<Resource>(secret.resource.as_str()).await?;
        if resource.status == ResourceStatus::Destroyed {
            let message =
                "The resource of this secret is destroyed, and the secret goes with it. There is nothing to rotate.";
            return Err(Error::new(Code::WrongState, message).at("name"));
        }
        let service = tx.app().services().need(&resource.service)?;
        if !service.manifest.secret_outputs().any(|output| output == secret.output) {
            return Err(Error::new(
                Code::WrongState,
                "This secret came in as an input; give a new value with request_resource.",
            )
            .at("name"));
        }
        let wanted = Wanted {
            project: &project,
            service,
            name: &resource.name,
            target: resource.target.clone(),
            command: Command::RotateSecrets,
            fresh: tx.id(),
        };
        let asked = open(tx, wanted).await?;
        Requested::of(tx, asked)
    }
}
