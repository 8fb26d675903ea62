//! Tokens (PATs): one's own, and what lists of somebody's have in common.

#![allow(
    missing_debug_implementations,
    unnameable_types,
    reason = "about the builders that are derived within `list_command!`"
)]

use super::login::Nothing;
use crate::{
    app::{
        Asgard, Hints, Meta, Operation, Reads, Route, SimpleOperation, Tx, authenticate,
        core::list::{Paging, list_command},
        core::operation::Method::{Delete, Get, Post},
        core::operation::ShownOnce,
    },
    domain::{
        access::{Action, Object},
        audit::AuditAction,
        credential::{self, Shape, UserToken},
        person::User,
    },
    error::{Error, Result},
    kernel::{DisplayName, Page, Timestamp, TokenId, UserId},
    ports::{
        kinds,
        records::{Records, Stored},
        store::Query,
    },
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use typed_builder::TypedBuilder;

/// A token as its owner sees it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct TokenView {
    /// The token's id, for revoking it.
    pub id: TokenId,
    /// The same under the name that addresses and commands have for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "TokenId")]
    pub token_id: Option<TokenId>,
    /// The token's name for people.
    pub name: DisplayName,
    /// The last four characters of the token, to recognise it by.
    pub suffix: String,
    /// The time at which the token was made.
    pub created_at: Timestamp,
    /// The time from which the token no longer works.
    pub expires_at: Timestamp,
    /// The time of the last use, to within five minutes.
    pub last_used_at: Option<Timestamp>,
    /// The time at which the token was revoked; absent while it is not.
    pub revoked_at: Option<Timestamp>,
    /// Whether the token works. It does not once it is revoked or expired, nor once its account was signed out everywhere, got
    /// another password or was switched off.
    #[serde(default)]
    pub works: bool,
}

impl TokenView {
    fn of(token: &Stored<UserToken>, account: Option<&User>, now: Timestamp) -> Self {
        let admitted = account.is_none_or(|account| account.admits(token.generation).is_ok());
        let works = admitted && token.still_good(now).is_ok();
        Self { last_used_at: token.noted_at, works, ..Self::new(&token.value) }
    }

    fn new(token: &UserToken) -> Self {
        Self {
            id: token.id.clone(),
            token_id: Some(token.id.clone()),
            name: token.name.clone(),
            suffix: token.suffix.clone(),
            created_at: token.created_at,
            expires_at: token.valid_until,
            last_used_at: None,
            revoked_at: token.revoked_at,
            works: token.revoked_at.is_none(),
        }
    }
}

list_command! {
    /// Lists one's own tokens, newest first.
    #[derive(TypedBuilder)]
    pub struct ListTokens {}
}

impl SimpleOperation for ListTokens {
    type Output = Page<TokenView>;
    const META: Meta = Meta {
        name: "tokens.list",
        title: "List user tokens",
        description: "One's own tokens (PATs), newest first, without the tokens themselves.",
        action: Action::OwnAccount,
        routes: &[Route { method: Get, path: "/auth/tokens", status: 200 }],
        tools: &[],
        hints: Hints::READ,
        creates: false,
    };

    async fn decide(&self, tx: &mut Tx<'_>) -> Result<Page<TokenView>> {
        tx.allow(Action::OwnAccount, &Object::Nothing)?;
        let app = tx.app();
        let user = tx.actor()?.user().ok_or_else(|| Error::not_found("user"))?;
        tokens_of(app, user, self.paging(), tx.now()).await
    }
}

/// A page of somebody's tokens, newest first.
pub(super) async fn tokens_of(
    app: &Asgard,
    user: &UserId,
    paging: Paging<'_>,
    now: Timestamp,
) -> Result<Page<TokenView>> {
    let account = app.store().read::<User>(user.as_str()).await?.map(|account| account.value);
    let query = Query::new(&kinds::TOKENS_BY_USER, user.as_str()).newest_first();
    let view = |token: Stored<UserToken>| Some(TokenView::of(&token, account.as_ref(), now));
    app.page(&format!("tokens/{user}"), paging, query, view).await
}

/// Revokes a token, if it is not revoked already.
pub(super) fn revoke_token(tx: &mut Tx<'_>, token: &Stored<UserToken>) -> Result<()> {
    if token.revoked_at.is_none() {
        tx.replace(token, &UserToken { revoked_at: Some(tx.now()), ..token.value.clone() })?;
        tx.audit(None, AuditAction::TokenRevoked, &token.id, &[("user", token.user.to_string())])?;
    }
    Ok(())
}

/// Makes a token for oneself.
#[derive(Debug, Serialize, Deserialize, JsonSchema, TypedBuilder)]
#[serde(deny_unknown_fields)]
#[builder(field_defaults(setter(into)))]
#[non_exhaustive]
pub struct CreateToken {
    /// The token's name for people: what it will be used for.
    pub name: DisplayName,
    /// The number of days that the token works: 1 to 365, 90 unless told.
    #[serde(default)]
    #[builder(default)]
    #[schemars(range(min = 1, max = 365))]
    pub expires_in_days: Option<u64>,
}

/// A new token. The token itself is shown this once.
#[derive(Serialize, JsonSchema)]
#[non_exhaustive]
pub struct TokenCreated {
    /// The token; keep it, it is never shown again. Absent in a replayed answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// What is kept of the token: its id, name and times.
    #[serde(flatten)]
    pub about: TokenView,
}

crate::kernel::opaque!(TokenCreated);

impl Operation for CreateToken {
    type Output = TokenCreated;
    crate::remembered_by_its_fields!();
    const META: Meta = Meta {
        name: "tokens.create",
        title: "Create a user token",
        description: "Makes a token (PAT) with one's own authority, for the CLI and for agents that act as oneself. It is shown once.",
        action: Action::OwnAccountInSession,
        routes: &[Route { method: Post, path: "/auth/tokens", status: 201 }],
        tools: &[],
        hints: Hints::CREATE,
        creates: true,
    };

    type Permit = ();
    type Decided = ShownOnce<TokenView>;
    crate::prepares_nothing!();

    async fn authorise(&self, reads: &mut Reads<'_>) -> Result<()> {
        reads.allow(Action::OwnAccountInSession, &Object::Nothing)
    }

    async fn decide(&self, tx: &mut Tx<'_>, (): (), (): &()) -> Result<ShownOnce<TokenView>> {
        let app = tx.app();
        let days = self.expires_in_days.unwrap_or_else(|| app.config().people.token_days);
        if !(1..=365).contains(&days) {
            return Err(Error::invalid("expires_in_days", "A token works for 1 to 365 days."));
        }
        let user = tx.actor()?.user().cloned().ok_or_else(|| Error::not_found("user"))?;
        let generation = authenticate::may_leave_credentials(tx).await?;
        let secret = credential::mint(Shape::UserToken, &app.world().random());
        let print = credential::fingerprint(secret.reveal());
        let token = UserToken {
            id: TokenId::from_digest(&print),
            user,
            name: self.name.clone(),
            hash: credential::fingerprint_text(&print),
            suffix: credential::suffix(&secret),
            created_at: tx.now(),
            valid_until: tx.now().plus(Duration::from_secs(days * 86_400)),
            generation,
            revoked_at: None,
        };
        tx.insert(&token)?;
        tx.audit(None, AuditAction::TokenCreated, &token.id, &[("name", token.name.to_string())])?;
        Ok(ShownOnce { credential: Some(secret), about: TokenView::new(&token) })
    }

    async fn finish(&self, _: &Asgard, ShownOnce { credential, about }: ShownOnce<TokenView>) -> Result<TokenCreated> {
        Ok(TokenCreated { token: credential.map(|token| token.reveal().to_owned()), about })
    }
}

/// Revokes one of one's own tokens.
#[derive(Debug, Deserialize, JsonSchema, TypedBuilder)]
#[serde(deny_unknown_fields)]
#[builder(field_defaults(setter(into)))]
#[non_exhaustive]
pub struct RevokeToken {
    /// The token's id, from the list of tokens; not the token itself.
    pub token_id: TokenId,
}

impl SimpleOperation for RevokeToken {
    type Output = Nothing;
    const META: Meta = Meta {
        name: "tokens.revoke",
        title: "Revoke a user token",
        description: "Revokes one of one's own tokens at once.",
        action: Action::OwnAccount,
        routes: &[Route { method: Delete, path: "/auth/tokens/{token_id}", status: 200 }],
        tools: &[],
        hints: Hints::REMOVE,
        creates: false,
    };

    async fn decide(&self, tx: &mut Tx<'_>) -> Result<Nothing> {
        tx.allow(Action::OwnAccount, &Object::Nothing)?;
        let token = tx.need::<UserToken>(self.token_id.as_str()).await?;
        tx.allow(Action::OwnAccount, &Object::Account(&token.user))?;
        revoke_token(tx, &token)?;
        Ok(Nothing {})
    }
}
