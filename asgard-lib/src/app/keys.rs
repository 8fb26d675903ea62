//! Project keys: minting, listing, revoking.

#![allow(
    missing_debug_implementations,
    unnameable_types,
    reason = "about the builders that are derived within `list_command!`"
)]

use super::{
    Asgard, Hints, Meta, Operation, Reads, Route, SimpleOperation, Tx,
    core::list::list_command,
    core::operation::Method::{Delete, Get, Post},
    core::operation::ShownOnce,
    core::scope::ReadMode,
    people::Nothing,
};
use crate::{
    domain::{
        access::{self, Action},
        audit::AuditAction,
        credential::{self, ProjectKey, Shape},
        project::Project,
    },
    error::{Error, Result},
    kernel::{DisplayName, KeyId, Page, ProjectId, Timestamp},
    ports::{
        kinds,
        records::Stored,
        store::{Count, Query},
    },
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use typed_builder::TypedBuilder;

/// The most keys that a project may have working at once.
const MAX_KEYS: i64 = 100;

fn keys_counter(project: &ProjectId) -> String {
    format!("keys/{project}")
}

/// Mints a key.
#[derive(Debug, Serialize, Deserialize, JsonSchema, TypedBuilder)]
#[serde(deny_unknown_fields)]
#[builder(field_defaults(setter(into)))]
#[non_exhaustive]
pub struct MintKey {
    /// The project's id, `proj-YYYY-NNNN`, from `list_projects`. The key acts on this project only.
    pub project_id: ProjectId,
    /// The key's name for people: what it will be used for.
    pub name: DisplayName,
    /// How many days it works: 1 to 3650. Without, it works until it is revoked.
    #[serde(default)]
    #[builder(default)]
    #[schemars(range(min = 1, max = 3650))]
    pub expires_in_days: Option<u64>,
}

/// A new key. The key itself is shown this once.
#[derive(Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct KeyMinted {
    /// The key; keep it, it is never shown again. Absent in a replayed answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The key's id; `revoke_key` takes it as `key_id`.
    pub id: KeyId,
    /// The last four characters of the key, to recognise it by.
    pub suffix: String,
    /// The id of the project that the key acts on.
    pub project_id: ProjectId,
    /// The key's name for people.
    pub name: DisplayName,
    /// The time from which the key no longer works; absent when it works until it is revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

crate::kernel::opaque!(KeyMinted);

impl Operation for MintKey {
    type Output = KeyMinted;
    crate::remembered_by_its_fields!();
    const META: Meta = Meta {
        name: "keys.mint",
        title: "Mint a project key",
        description: "Mints a key that lets an agent act on one project over MCP. It is shown once. Whoever mints it answers for it and cannot approve what it asks for.",
        action: Action::MintKey,
        routes: &[Route { method: Post, path: "/projects/{project_id}/keys", status: 201 }],
        tools: &[],
        hints: Hints::CREATE,
        creates: true,
    };

    type Permit = Stored<Project>;
    type Decided = ShownOnce<KeyMinted>;
    crate::prepares_nothing!();

    async fn authorise(&self, reads: &mut Reads<'_>) -> Result<Stored<Project>> {
        let (project, _) = reads.project(Some(&self.project_id), Action::MintKey, ReadMode::Checked).await?;
        Ok(project)
    }

    async fn decide(&self, tx: &mut Tx<'_>, project: Stored<Project>, (): &()) -> Result<ShownOnce<KeyMinted>> {
        project.require_active()?;
        if self.expires_in_days.is_some_and(|days| !(1..=3650).contains(&days)) {
            return Err(Error::invalid("expires_in_days", "A key works for 1 to 3650 days, or until it is revoked."));
        }
        let secret = credential::mint(Shape::ProjectKey, &tx.app().world().random());
        let print = credential::fingerprint(secret.reveal());
        let key = ProjectKey {
            id: KeyId::from_digest(&print),
            project: project.id.clone(),
            name: self.name.clone(),
            hash: credential::fingerprint_text(&print),
            suffix: credential::suffix(&secret),
            minted_by: tx.actor()?.answerable().ok_or_else(|| Error::bug("a key minted by nobody"))?,
            created_at: tx.now(),
            valid_until: self.expires_in_days.map(|days| tx.now().plus(Duration::from_secs(days * 86_400))),
            revoked_at: None,
        };
        let count = Count {
            counter: keys_counter(&project.id),
            delta: 1,
            floor: None,
            ceiling: Some(MAX_KEYS),
            expires_at: None,
        };
        tx.count_or(
            count,
            Error::new(
                crate::Code::QuotaReached,
                "A project has at most 100 keys that are not revoked. Revoke one first.",
            ),
        )?;
        tx.insert(&key)?;
        tx.audit(
            Some(&project.id),
            AuditAction::KeyMinted,
            &key.id,
            &[("name", key.name.to_string()), ("suffix", key.suffix.clone())],
        )?;
        let about = KeyMinted {
            key: None,
            id: key.id,
            suffix: key.suffix,
            project_id: key.project,
            name: key.name,
            expires_at: key.valid_until,
        };
        Ok(ShownOnce { credential: Some(secret), about })
    }

    async fn finish(&self, _: &Asgard, ShownOnce { credential, about }: ShownOnce<KeyMinted>) -> Result<KeyMinted> {
        Ok(KeyMinted { key: credential.map(|key| key.reveal().to_owned()), ..about })
    }
}

/// A key as lists show it.
#[derive(Debug, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct KeyView {
    /// The key's id; `revoke_key` takes it as `key_id`.
    pub id: KeyId,
    /// The id of the project that the key acts on.
    pub project_id: ProjectId,
    /// The key's name for people.
    pub name: DisplayName,
    /// The last four characters of the key, to recognise it by.
    pub suffix: String,
    /// The e-mail address of the person who minted the key and answers for it.
    pub minted_by: crate::kernel::Email,
    /// The time at which the key was minted.
    pub created_at: Timestamp,
    /// The time from which the key no longer works; absent when it works until it is revoked.
    pub expires_at: Option<Timestamp>,
    /// The time of the last use, to within five minutes.
    pub last_used_at: Option<Timestamp>,
    /// The time at which the key was revoked; absent while it is not.
    pub revoked_at: Option<Timestamp>,
}

impl KeyView {
    fn of(key: &Stored<ProjectKey>) -> Self {
        Self {
            id: key.id.clone(),
            project_id: key.project.clone(),
            name: key.name.clone(),
            suffix: key.suffix.clone(),
            minted_by: key.minted_by.email().clone(),
            created_at: key.created_at,
            expires_at: key.valid_until,
            last_used_at: key.noted_at,
            revoked_at: key.revoked_at,
        }
    }
}

list_command! {
    /// Lists a project's keys, newest first.
    #[derive(TypedBuilder)]
    pub struct ListKeys {
        /// The project's id, `proj-YYYY-NNNN`, from `list_projects`; a project key may leave it out and acts on its own.
        #[serde(default)]
        #[builder(default)]
        pub project_id: Option<ProjectId>,
    }
}

impl SimpleOperation for ListKeys {
    type Output = Page<KeyView>;
    const META: Meta = Meta {
        name: "keys.list",
        title: "List project keys",
        description: "A project's keys, newest first, with their last four characters and when they were last used; never the keys themselves.",
        action: Action::ReadProject,
        routes: &[Route { method: Get, path: "/projects/{project_id}/keys", status: 200 }],
        tools: &["list_keys"],
        hints: Hints::READ,
        creates: false,
    };

    async fn decide(&self, tx: &mut Tx<'_>) -> Result<Page<KeyView>> {
        let (project, _) = tx.project(self.project_id.as_ref(), Action::ReadProject, ReadMode::Plain).await?;
        let app = tx.app();
        let query = Query::new(&kinds::KEYS_BY_PROJECT, project.id.as_str()).newest_first();
        let view = |key: Stored<ProjectKey>| Some(KeyView::of(&key));
        app.page(&format!("keys/{}", project.id), self.paging(), query, view).await
    }
}

/// Revokes a key.
#[derive(Debug, Deserialize, JsonSchema, TypedBuilder)]
#[serde(deny_unknown_fields)]
#[builder(field_defaults(setter(into)))]
#[non_exhaustive]
pub struct RevokeKey {
    /// The project's id, `proj-YYYY-NNNN`, from `list_projects`; a project key may leave it out and acts on its own.
    #[serde(default)]
    #[builder(default)]
    pub project_id: Option<ProjectId>,
    /// The key's id, from `list_keys`; not the key itself.
    pub key_id: KeyId,
}

impl SimpleOperation for RevokeKey {
    type Output = Nothing;
    const META: Meta = Meta {
        name: "keys.revoke",
        title: "Revoke a project key",
        description: "Revokes a key at once. A project key may revoke itself, nothing else.",
        action: Action::RevokeKey,
        routes: &[Route { method: Delete, path: "/projects/{project_id}/keys/{key_id}", status: 200 }],
        tools: &["revoke_key"],
        hints: Hints::REMOVE,
        creates: false,
    };

    async fn decide(&self, tx: &mut Tx<'_>) -> Result<Nothing> {
        let (project, subject) = tx.project(self.project_id.as_ref(), Action::ReadProject, ReadMode::Plain).await?;
        let answer = access::may_revoke(tx.actor()?, &subject, &self.key_id);
        tx.answered(Action::RevokeKey, answer)?;
        let key = tx.need::<ProjectKey>(self.key_id.as_str()).await?;
        if key.project != project.id {
            return Err(Error::not_found("project key"));
        }
        if key.revoked_at.is_none() {
            tx.replace(&key, &ProjectKey { revoked_at: Some(tx.now()), ..key.value.clone() })?;
            tx.count(Count {
                counter: keys_counter(&project.id),
                delta: -1,
                floor: None,
                ceiling: None,
                expires_at: None,
            })?;
            tx.audit(Some(&project.id), AuditAction::KeyRevoked, &key.id, &[("name", key.name.to_string())])?;
        }
        Ok(Nothing {})
    }
}
