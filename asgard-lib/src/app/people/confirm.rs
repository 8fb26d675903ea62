//! Confirming that an identity is an account's.

use super::users::UserView;
use crate::{
    app::{Hints, Meta, Route, SimpleOperation, Tx, core::operation::Method::Post},
    domain::{
        access::{self, Action},
        audit::AuditAction,
        person::{Identity, User},
    },
    error::{Code, Error, Result},
    kernel::{Issuer, IssuerSubject, UserId},
};
use schemars::JsonSchema;
use serde::Deserialize;
use typed_builder::TypedBuilder;

/// Confirms that an identity is an account's, which signs in through it from then on.
#[derive(Debug, Deserialize, JsonSchema, TypedBuilder)]
#[serde(deny_unknown_fields)]
#[builder(field_defaults(setter(into)))]
#[non_exhaustive]
pub struct ConfirmIdentity {
    /// The account's id, `usr_...`, from the list of users or, for one's own, from `auth.me`.
    pub user_id: UserId,
    /// The issuer of the identity, exactly as the account's `pending_identities` shows it.
    pub issuer: Issuer,
    /// What the issuer knows the person by, exactly as the account's `pending_identities` shows it.
    pub subject: IssuerSubject,
}

impl SimpleOperation for ConfirmIdentity {
    type Output = UserView;
    const META: Meta = Meta {
        name: "users.confirm_identity",
        title: "Confirm an identity",
        description: "Lets a person sign in to an admin's account through another identity provider, which has tried to in the last three \
                      days. An admin confirms it, or the account itself, in a session.",
        action: Action::ConfirmIdentity,
        routes: &[Route { method: Post, path: "/users/{user_id}/identities", status: 200 }],
        tools: &[],
        hints: Hints::SET,
        creates: false,
    };

    async fn decide(&self, tx: &mut Tx<'_>) -> Result<UserView> {
        let own = access::may_confirm(tx.actor()?, &self.user_id);
        let own = tx.answered(Action::ConfirmIdentity, own)?;
        let before = tx.need::<User>(self.user_id.as_str()).await?;
        let after = before.confirmed(&self.issuer, &self.subject, &tx.app().config().people.trust, tx.now())?;
        let taken = Error::new(Code::AlreadyExists, "Another account has this identity already.").at("subject");
        tx.claim_or(Identity::claim(&self.issuer, &self.subject), &after.id, taken)?;
        tx.replace(&before, &after)?;
        let by = if own { "the account itself" } else { "an admin" };
        let details = [("issuer", self.issuer.to_string()), ("by", by.to_owned())];
        tx.audit(None, AuditAction::UserIdentityAdded, &after.id, &details)?;
        Ok(UserView::of(&after, tx.now()))
    }
}
