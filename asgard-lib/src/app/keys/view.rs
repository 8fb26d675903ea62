//! A key as lists show it, with what its owner and manager should know as things are now.

use crate::{
    app::Asgard,
    domain::{
        access::{Subject, key_flag},
        credential::{KeyFlag, KeyReveals, ProjectKey},
        person::User,
        project::Project,
    },
    error::Result,
    kernel::{DisplayName, Email, KeyId, Page, Party, ProjectId, Timestamp},
    ports::records::{Records, Stored, store_error},
};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

/// A key as lists show it.
#[derive(Debug, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct KeyView {
    /// The key's id; `revoke_key` and `adopt_key` take it as `key_id`.
    pub id: KeyId,
    /// The same under the name that addresses and commands have for it.
    pub key_id: KeyId,
    /// The id of the project that the key acts on.
    pub project_id: ProjectId,
    /// The key's name for people.
    pub name: DisplayName,
    /// The last four characters of the key, to recognise it by.
    pub suffix: String,
    /// The e-mail address of the person who minted or adopted the key and answers for it.
    pub minted_by: Email,
    /// The e-mail addresses of those who answered for the key before; they may still hold it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub held_by: Vec<Email>,
    /// What the project's owner and manager should look at; absent when there is nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flag: Option<KeyFlagView>,
    /// What the key revealed while somebody else than the project's owner or manager answered for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reveals: Option<KeyReveals>,
    /// The time at which the key was minted.
    pub created_at: Timestamp,
    /// The time from which the key no longer works; absent when it works until it is revoked.
    pub expires_at: Option<Timestamp>,
    /// The time of the last use, to within five minutes.
    pub last_used_at: Option<Timestamp>,
    /// The time at which the key was revoked; absent while it is not.
    pub revoked_at: Option<Timestamp>,
}

/// What the owner and the manager of a key's project should look at. Either ends it with `adopt_key` or `revoke_key`.
#[derive(Debug, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct KeyFlagView {
    /// The reason to look at the key.
    pub why: KeyFlagReason,
    /// The time from which an unattended key no longer works unless somebody adopts it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stops_at: Option<Timestamp>,
    /// The same in a sentence for people.
    pub sentence: String,
}

/// Why a key is flagged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyFlagReason {
    /// An admin answers for it who neither owns nor manages the project.
    MintedByAdmin,
    /// Whoever answers for it may not mint keys of the project any more.
    Unattended,
}

impl KeyFlagView {
    fn of(app: &Asgard, key: &ProjectKey, flag: &KeyFlag) -> Self {
        let (minter, stops_at) = (&key.minted_by, flag.stops_at(app.config().people.key_adoption()));
        match flag {
            KeyFlag::MintedByAdmin => Self {
                why: KeyFlagReason::MintedByAdmin,
                stops_at,
                sentence: format!(
                    "{minter} answers for it, an admin who neither owns nor manages the project. Adopt it or revoke it."
                ),
            },
            KeyFlag::Unattended { .. } => Self {
                why: KeyFlagReason::Unattended,
                stops_at,
                sentence: format!(
                    "{minter} answers for it and may not mint keys of the project any more. Adopt it or revoke it; if nobody \
                     does, it stops."
                ),
            },
        }
    }
}

/// The account of whoever a key names, if there is one.
pub(super) async fn account(app: &Asgard, party: &Party) -> Result<Option<Stored<User>>> {
    let id = match party {
        Party::User { id, .. } => Some(id.to_string()),
        Party::Address(email) => app.store().holder(&User::email_claim(email)).await.map_err(store_error)?,
    };
    match id {
        Some(id) => app.store().read::<User>(&id).await,
        None => Ok(None),
    }
}

/// A page of keys as clients see it. Each account and project is read once.
pub(super) async fn page(app: &Asgard, page: Page<Stored<ProjectKey>>, now: Timestamp) -> Result<Page<KeyView>> {
    let mut accounts: BTreeMap<String, Option<User>> = BTreeMap::new();
    let mut projects: BTreeMap<ProjectId, Option<Subject>> = BTreeMap::new();
    let mut items = Vec::with_capacity(page.items.len());
    for key in page.items {
        let minter = key.minted_by.user().map_or_else(|| key.minted_by.to_string(), ToString::to_string);
        if !accounts.contains_key(&minter) {
            accounts.insert(minter.clone(), account(app, &key.minted_by).await?.map(|user| user.value));
        }
        if !projects.contains_key(&key.project) {
            let project = app.store().read::<Project>(key.project.as_str()).await?;
            projects.insert(key.project.clone(), project.map(|project| Subject::from(&project.value)));
        }
        let account = accounts.get(&minter).and_then(Option::as_ref);
        let flag = match projects.get(&key.project) {
            Some(Some(subject)) if key.revoked_at.is_none() => key_flag(&key, subject, account, now),
            Some(_) | None => None,
        };
        items.push(view(app, &key, key.noted_at, flag.as_ref()));
    }
    Ok(Page { items, next_cursor: page.next_cursor })
}

/// A key with a flag.
pub(super) fn view(app: &Asgard, key: &ProjectKey, last_used_at: Option<Timestamp>, flag: Option<&KeyFlag>) -> KeyView {
    KeyView {
        id: key.id.clone(),
        key_id: key.id.clone(),
        project_id: key.project.clone(),
        name: key.name.clone(),
        suffix: key.suffix.clone(),
        minted_by: key.minted_by.email().clone(),
        held_by: key.held_by.iter().map(|party| party.email().clone()).collect(),
        flag: flag.map(|flag| KeyFlagView::of(app, key, flag)),
        reveals: key.reveals.clone(),
        created_at: key.created_at,
        expires_at: key.valid_until,
        last_used_at,
        revoked_at: key.revoked_at,
    }
}
