//! Project keys: minting, listing, revoking, and who answers for them.

#![allow(
    missing_debug_implementations,
    unnameable_types,
    reason = "about the builders that are derived within `list_command!`"
)]

mod adopt;
mod flagged;
mod review;
#[cfg(test)]
mod tests;
mod view;

pub use adopt::AdoptKey;
pub use flagged::ListFlaggedKeys;
pub(crate) use review::{Round, review_some};
pub use view::{KeyFlagReason, KeyFlagView, KeyView};

use super::{
    Asgard, Hints, Meta, Operation, Reads, Route, SimpleOperation, Tx, authenticate,
    core::list::list_command,
    core::operation::Method::{Delete, Get, Post},
    core::operation::ShownOnce,
    core::scope::ReadMode,
    people::Nothing,
};
use crate::{
    domain::{
        access::{self, Action, Subject},
        audit::AuditAction,
        credential::{self, KeyFlag, ProjectKey, Shape},
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

crate::app::core::entry::table! {
    MintKey,
    ListKeys,
    RevokeKey,
    AdoptKey,
    ListFlaggedKeys,
}

/// The most keys that a project may have working at once.
const MAX_KEYS: i64 = 100;

fn keys_counter(project: &ProjectId) -> String {
    format!("keys/{project}")
}

/// Revokes a key, and counts it no longer.
fn revoke(tx: &mut Tx<'_>, key: &Stored<ProjectKey>) -> Result<()> {
    tx.replace(key, &key.revoked(tx.now()))?;
    let counter = keys_counter(&key.project);
    tx.count(Count { counter, delta: -1, floor: None, ceiling: None, expires_at: None })
}

/// Says of a key what the project's owner and manager are to know: whoever follows the event feed finds both in the event.
pub(in crate::app) fn notify(
    tx: &mut Tx<'_>,
    project: &Project,
    action: AuditAction,
    key: &ProjectKey,
    more: &[(&str, String)],
) -> Result<()> {
    let mut details = vec![
        ("key_name", key.name.to_string()),
        ("minted_by", key.minted_by.to_string()),
        ("owner", project.owner.to_string()),
        ("manager", project.manager.to_string()),
    ];
    details.extend(more.iter().cloned());
    tx.audit(Some(&project.id), action, &key.id, &details)
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
    /// The same under the name that addresses and commands have for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "KeyId")]
    pub key_id: Option<KeyId>,
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
        description: "Mints a key that lets an agent act on one project over MCP. It is shown once. Whoever mints it answers for it and cannot approve what it asks for. One that an admin mints for a project of others is shown to its owner and manager, and so is each secret that it reveals.",
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
        authenticate::may_leave_credentials(tx).await?;
        let minted_by = tx.actor()?.answerable().ok_or_else(|| Error::bug("a key minted by nobody"))?;
        let others = !Subject::from(&project.value).names(&minted_by);
        let secret = credential::mint(Shape::ProjectKey, &tx.app().world().random());
        let print = credential::fingerprint(secret.reveal());
        let key = ProjectKey {
            id: KeyId::from_digest(&print),
            project: project.id.clone(),
            name: self.name.clone(),
            hash: credential::fingerprint_text(&print),
            suffix: credential::suffix(&secret),
            minted_by,
            created_at: tx.now(),
            valid_until: self.expires_in_days.map(|days| tx.now().plus(Duration::from_secs(days * 86_400))),
            revoked_at: None,
            flag: None,
            inbox: None,
            held_by: Vec::new(),
            reveals: None,
        };
        let key = key.flagged(others.then_some(KeyFlag::MintedByAdmin));
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
        if others {
            notify(tx, &project, AuditAction::KeyMintedByAdmin, &key, &[])?;
        }
        let about = KeyMinted {
            key: None,
            key_id: Some(key.id.clone()),
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
        description: "A project's keys, newest first, with their last four characters, who answers for them and when they were last used; never the keys themselves.",
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
        let page = app.page(&format!("keys/{}", project.id), self.paging(), query, Some).await?;
        view::page(app, page, tx.now()).await
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
            revoke(tx, &key)?;
            tx.audit(Some(&project.id), AuditAction::KeyRevoked, &key.id, &[("name", key.name.to_string())])?;
        }
        Ok(Nothing {})
    }
}
