//! Answering for a key that somebody else minted.

use super::{KeyView, view};
use crate::{
    app::{
        Hints, Meta, Route, SimpleOperation, Tx, authenticate, core::operation::Method::Post, core::scope::ReadMode,
    },
    domain::{
        access::{Action, key_flag},
        audit::AuditAction,
        credential::ProjectKey,
        person::User,
    },
    error::{Code, Error, Result},
    kernel::{KeyId, ProjectId},
};
use schemars::JsonSchema;
use serde::Deserialize;
use typed_builder::TypedBuilder;

/// Adopts a key: whoever calls answers for it from now on.
#[derive(Debug, Deserialize, JsonSchema, TypedBuilder)]
#[serde(deny_unknown_fields)]
#[builder(field_defaults(setter(into)))]
#[non_exhaustive]
pub struct AdoptKey {
    /// The project's id, `proj-YYYY-NNNN`, from `list_projects`.
    pub project_id: ProjectId,
    /// The key's id, from `list_keys` or `list_flagged_keys`; not the key itself.
    pub key_id: KeyId,
}

impl SimpleOperation for AdoptKey {
    type Output = KeyView;
    const META: Meta = Meta {
        name: "keys.adopt",
        title: "Adopt a project key",
        description: "Answers for a flagged key from now on, in place of whoever minted it. The project's owner or manager adopts a key; \
                      neither they nor those who held it before can then approve what it asks for.",
        action: Action::AdoptKey,
        routes: &[Route { method: Post, path: "/projects/{project_id}/keys/{key_id}/adopt", status: 200 }],
        tools: &["adopt_key"],
        hints: Hints::SET,
        creates: false,
    };

    async fn decide(&self, tx: &mut Tx<'_>) -> Result<KeyView> {
        let (project, subject) = tx.project(Some(&self.project_id), Action::AdoptKey, ReadMode::Checked).await?;
        authenticate::may_leave_credentials(tx).await?;
        let key = tx.need::<ProjectKey>(self.key_id.as_str()).await?;
        if key.project != project.id {
            return Err(Error::not_found("project key"));
        }
        let (app, now) = (tx.app(), tx.now());
        key.still_good(now, app.config().people.key_adoption()).map_err(|over| {
            Error::new(
                Code::WrongState,
                format!("{} A key that has ended is not adopted; mint a new one.", over.message()),
            )
        })?;
        if key.has_many_holders() {
            return Err(Error::new(
                Code::WrongState,
                "Too many people have held this key. Mint a new one and revoke it.",
            ));
        }
        let account = minter(tx, &key).await?;
        if key_flag(&key, &subject, account.as_ref(), now).is_none() {
            let message = format!("{} answers for this key and may; there is nothing to adopt.", key.minted_by);
            return Err(Error::new(Code::WrongState, message));
        }
        let by = tx.actor()?.answerable().ok_or_else(|| Error::bug("a key adopted by nobody"))?;
        let adopted = key.adopted(by);
        tx.replace(&key, &adopted)?;
        let details = [("name", key.name.to_string()), ("from", key.minted_by.to_string())];
        tx.audit(Some(&project.id), AuditAction::KeyAdopted, &key.id, &details)?;
        Ok(view::view(app, &adopted, key.noted_at, None))
    }
}

/// The account of whoever answers for the key. The commit depends on it.
pub(super) async fn minter(tx: &mut Tx<'_>, key: &ProjectKey) -> Result<Option<User>> {
    let Some(account) = view::account(tx.app(), &key.minted_by).await? else { return Ok(None) };
    Ok(tx.read_checked::<User>(account.id.as_str()).await?.map(|user| user.value))
}
