//! Everything that an account has to sign in with: listed and ended by an admin, or ended at once by its own person.

#![allow(
    missing_debug_implementations,
    unnameable_types,
    reason = "about the builders that are derived within `list_command!`"
)]

use super::{
    login::Nothing,
    sessions::{SessionView, end_session, sessions_of},
    tokens::{TokenView, revoke_token, tokens_of},
    users::UserView,
};
use crate::{
    app::{
        Hints, Meta, Route, SimpleOperation, Tx,
        core::list::list_command,
        core::operation::Method::{Delete, Get, Post},
    },
    domain::{
        access::{self, Action, Object},
        audit::AuditAction,
        credential::{Session, UserToken},
        person::User,
    },
    error::{Error, Result},
    kernel::{Malformed, Page, SessionId, TokenId, UserId},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, fmt, str::FromStr};
use typed_builder::TypedBuilder;

/// Reads an account.
#[derive(Debug, Deserialize, JsonSchema, TypedBuilder)]
#[serde(deny_unknown_fields)]
#[builder(field_defaults(setter(into)))]
#[non_exhaustive]
pub struct GetUser {
    /// The account's id, `usr_...`, from the list of users.
    pub user_id: UserId,
}

impl SimpleOperation for GetUser {
    type Output = UserView;
    const META: Meta = Meta {
        name: "users.get",
        title: "Get a user",
        description: "One account. Admins only.",
        action: Action::ManageUsers,
        routes: &[Route { method: Get, path: "/users/{user_id}", status: 200 }],
        tools: &[],
        hints: Hints::READ,
        creates: false,
    };

    async fn decide(&self, tx: &mut Tx<'_>) -> Result<UserView> {
        tx.allow(Action::ManageUsers, &Object::Nothing)?;
        let user = tx.read::<User>(self.user_id.as_str()).await?.ok_or_else(|| Error::not_found("user"))?;
        Ok(UserView::of(&user, tx.now()))
    }
}

list_command! {
    /// Lists somebody's open sessions, newest first.
    #[derive(TypedBuilder)]
    pub struct ListUserSessions {
        /// The account's id, `usr_...`, from the list of users.
        pub user_id: UserId,
    }
}

impl SimpleOperation for ListUserSessions {
    type Output = Page<SessionView>;
    const META: Meta = Meta {
        name: "users.sessions",
        title: "List a user's sessions",
        description: "An account's open sessions, newest first. Admins only.",
        action: Action::ManageUsers,
        routes: &[Route { method: Get, path: "/users/{user_id}/sessions", status: 200 }],
        tools: &["list_user_sessions"],
        hints: Hints::READ,
        creates: false,
    };

    async fn decide(&self, tx: &mut Tx<'_>) -> Result<Page<SessionView>> {
        tx.allow(Action::ManageUsers, &Object::Nothing)?;
        known(tx, &self.user_id).await?;
        let current = tx.actor()?.session();
        sessions_of(tx.app(), &self.user_id, current, self.paging(), tx.now()).await
    }
}

list_command! {
    /// Lists somebody's tokens, newest first.
    #[derive(TypedBuilder)]
    pub struct ListUserTokens {
        /// The account's id, `usr_...`, from the list of users.
        pub user_id: UserId,
    }
}

impl SimpleOperation for ListUserTokens {
    type Output = Page<TokenView>;
    const META: Meta = Meta {
        name: "users.tokens",
        title: "List a user's tokens",
        description: "An account's tokens (PATs), newest first, without the tokens themselves. Admins only.",
        action: Action::ManageUsers,
        routes: &[Route { method: Get, path: "/users/{user_id}/tokens", status: 200 }],
        tools: &["list_user_tokens"],
        hints: Hints::READ,
        creates: false,
    };

    async fn decide(&self, tx: &mut Tx<'_>) -> Result<Page<TokenView>> {
        tx.allow(Action::ManageUsers, &Object::Nothing)?;
        known(tx, &self.user_id).await?;
        tokens_of(tx.app(), &self.user_id, self.paging(), tx.now()).await
    }
}

/// Fails unless there is such an account.
async fn known(tx: &Tx<'_>, user: &UserId) -> Result<()> {
    tx.read::<User>(user.as_str()).await?.map(drop).ok_or_else(|| Error::not_found("user"))
}

/// The id of something that a person signs in with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialId {
    /// A session.
    Session(SessionId),
    /// A user token.
    Token(TokenId),
}

impl FromStr for CredentialId {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let session = text.parse().map(Self::Session).ok();
        session.or_else(|| text.parse().map(Self::Token).ok()).ok_or(Malformed {
            what: "id of a session or token",
            allowed: "the id of a session or a token from the lists of the account's",
        })
    }
}

impl fmt::Display for CredentialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Session(id) => id.fmt(f),
            Self::Token(id) => id.fmt(f),
        }
    }
}

impl Serialize for CredentialId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CredentialId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for CredentialId {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "CredentialId".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let (session, token) = (SessionId::PREFIX, TokenId::PREFIX);
        schemars::json_schema!({ "type": "string", "pattern": format!("^({session}|{token})_[0-9a-hjkmnp-tv-z]{{26}}$") })
    }
}

/// Ends a session or token of somebody's.
#[derive(Debug, Deserialize, JsonSchema, TypedBuilder)]
#[serde(deny_unknown_fields)]
#[builder(field_defaults(setter(into)))]
#[non_exhaustive]
pub struct RevokeUserCredential {
    /// The account's id, `usr_...`, from the list of users.
    pub user_id: UserId,
    /// The id of a session or a token of the account's, from `list_user_sessions` or `list_user_tokens`.
    pub credential_id: CredentialId,
}

impl SimpleOperation for RevokeUserCredential {
    type Output = Nothing;
    const META: Meta = Meta {
        name: "users.revoke_credential",
        title: "End a user's session or token",
        description: "Ends one session or revokes one token of an account, at once. Admins only.",
        action: Action::ManageUsers,
        routes: &[Route { method: Delete, path: "/users/{user_id}/credentials/{credential_id}", status: 200 }],
        tools: &["revoke_user_credential"],
        hints: Hints::REMOVE,
        creates: false,
    };

    async fn decide(&self, tx: &mut Tx<'_>) -> Result<Nothing> {
        tx.allow(Action::ManageUsers, &Object::Nothing)?;
        match &self.credential_id {
            CredentialId::Session(id) => {
                let session = tx.need::<Session>(id.as_str()).await?;
                if session.user != self.user_id {
                    return Err(Error::not_found("session"));
                }
                end_session(tx, &session)?;
            }
            CredentialId::Token(id) => {
                let token = tx.need::<UserToken>(id.as_str()).await?;
                if token.user != self.user_id {
                    return Err(Error::not_found("user token"));
                }
                revoke_token(tx, &token)?;
            }
        }
        Ok(Nothing {})
    }
}

/// Ends everything that an account has to sign in with.
#[derive(Debug, Deserialize, JsonSchema, TypedBuilder)]
#[serde(deny_unknown_fields)]
#[builder(field_defaults(setter(into)))]
#[non_exhaustive]
pub struct SignOutEverywhere {
    /// The account's id, `usr_...`, from the list of users or, for one's own, from `auth.me`.
    pub user_id: UserId,
}

impl SimpleOperation for SignOutEverywhere {
    type Output = UserView;
    const META: Meta = Meta {
        name: "users.sign_out",
        title: "Sign a user out everywhere",
        description: "Ends every session and every token of an account, at once and for good: for one's own account in a session, and for \
                      any as an admin. Project keys that the person minted go on.",
        action: Action::SignOut,
        routes: &[Route { method: Post, path: "/users/{user_id}/sign-out", status: 200 }],
        tools: &["sign_out_user"],
        hints: Hints::REMOVE,
        creates: false,
    };

    async fn decide(&self, tx: &mut Tx<'_>) -> Result<UserView> {
        let own = access::may_sign_out(tx.actor()?, &self.user_id);
        let own = tx.answered(Action::SignOut, own)?;
        let before = tx.need::<User>(self.user_id.as_str()).await?;
        let after = before.signed_out(tx.now());
        tx.replace(&before, &after)?;
        let by = if own { "the account itself" } else { "an admin" };
        tx.audit(None, AuditAction::UserSignedOut, &after.id, &[("by", by.to_owned())])?;
        Ok(UserView::of(&after, tx.now()))
    }
}
