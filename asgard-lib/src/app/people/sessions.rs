//! Sessions: one's own, and what lists of somebody's have in common.

#![allow(
    missing_debug_implementations,
    unnameable_types,
    reason = "about the builders that are derived within `list_command!`"
)]

use crate::{
    app::{
        Asgard, Hints, Meta, Route, SimpleOperation, Tx,
        core::list::{Paging, list_command},
        core::operation::Method::{Delete, Get},
    },
    domain::{
        access::{Action, Object},
        audit::AuditAction,
        credential::Session,
        person::User,
    },
    error::{Error, Result},
    kernel::{Actor, Page, SessionId, Timestamp, UserId},
    ports::{
        kinds,
        records::{Records, Stored},
        store::Query,
    },
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use typed_builder::TypedBuilder;

/// A session as its owner sees it.
#[derive(Debug, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct SessionView {
    /// The session's id.
    pub id: SessionId,
    /// The same under the name that addresses and commands have for it.
    pub session_id: SessionId,
    /// The time of the sign-in.
    pub created_at: Timestamp,
    /// The time of the last use, to within five minutes.
    pub last_used_at: Timestamp,
    /// The time at which the session ends whatever happens.
    pub expires_at: Timestamp,
    /// The network address that the sign-in came from.
    pub source: String,
    /// The browser or client that signed in, as it named itself.
    pub agent: String,
    /// Whether this is the session that asks.
    pub current: bool,
}

impl SessionView {
    fn of(session: &Stored<Session>, current: Option<&SessionId>) -> Self {
        Self {
            id: session.id.clone(),
            session_id: session.id.clone(),
            created_at: session.created_at,
            last_used_at: session.noted_at.unwrap_or(session.created_at),
            expires_at: session.valid_until,
            source: session.source.clone(),
            agent: session.agent.clone(),
            current: current == Some(&session.id),
        }
    }
}

list_command! {
    /// Lists one's own open sessions, newest first.
    #[derive(TypedBuilder)]
    pub struct ListSessions {}
}

impl SimpleOperation for ListSessions {
    type Output = Page<SessionView>;
    const META: Meta = Meta {
        name: "sessions.list",
        title: "List sessions",
        description: "One's own open sessions, newest first.",
        action: Action::OwnAccount,
        routes: &[Route { method: Get, path: "/auth/sessions", status: 200 }],
        tools: &[],
        hints: Hints::READ,
        creates: false,
    };

    async fn decide(&self, tx: &mut Tx<'_>) -> Result<Page<SessionView>> {
        tx.allow(Action::OwnAccount, &Object::Nothing)?;
        let app = tx.app();
        let (user, current) = match tx.actor()? {
            Actor::Human { person, sign_in, .. } => (person.user(), sign_in.session()),
            Actor::UserToken { person, .. } => (person.user(), None),
            Actor::ProjectKey { .. } | Actor::Agent { .. } | Actor::System { .. } => {
                return Err(Error::not_found("session"));
            }
        };
        sessions_of(app, user, current, self.paging(), tx.now()).await
    }
}

/// A page of somebody's open sessions, newest first.
pub(super) async fn sessions_of(
    app: &Asgard,
    user: &UserId,
    current: Option<&SessionId>,
    paging: Paging<'_>,
    now: Timestamp,
) -> Result<Page<SessionView>> {
    let account = app.store().read::<User>(user.as_str()).await?;
    let view = |session: Stored<Session>| {
        let open = session.still_good(session.noted_at, now).is_ok()
            && account.as_ref().is_none_or(|account| account.admits_session(&session).is_ok());
        open.then(|| SessionView::of(&session, current))
    };
    let query = Query::new(&kinds::SESSIONS_BY_USER, user.as_str()).newest_first();
    app.page(&format!("sessions/{user}"), paging, query, view).await
}

/// Ends a session, if it has not ended already.
pub(super) fn end_session(tx: &mut Tx<'_>, session: &Stored<Session>) -> Result<()> {
    if session.revoked_at.is_none() {
        tx.replace(session, &Session { revoked_at: Some(tx.now()), ..session.value.clone() })?;
        tx.audit(None, AuditAction::SessionRevoked, &session.id, &[("user", session.user.to_string())])?;
    }
    Ok(())
}

/// Ends one of one's own sessions.
#[derive(Debug, Deserialize, JsonSchema, TypedBuilder)]
#[serde(deny_unknown_fields)]
#[builder(field_defaults(setter(into)))]
#[non_exhaustive]
pub struct RevokeSession {
    /// The session's id, from the list of sessions.
    pub session_id: SessionId,
}

impl SimpleOperation for RevokeSession {
    type Output = super::login::Nothing;
    const META: Meta = Meta {
        name: "sessions.revoke",
        title: "End a session",
        description: "Ends one of one's own sessions at once.",
        action: Action::OwnAccount,
        routes: &[Route { method: Delete, path: "/auth/sessions/{session_id}", status: 200 }],
        tools: &[],
        hints: Hints::REMOVE,
        creates: false,
    };

    async fn decide(&self, tx: &mut Tx<'_>) -> Result<Self::Output> {
        tx.allow(Action::OwnAccount, &Object::Nothing)?;
        let session = tx.need::<Session>(self.session_id.as_str()).await?;
        tx.allow(Action::OwnAccount, &Object::Account(&session.user))?;
        end_session(tx, &session)?;
        Ok(super::login::Nothing {})
    }
}
