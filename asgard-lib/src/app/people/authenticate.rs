//! From a presented credential to an actor. At most two rounds of reads.

use crate::{
    app::Asgard,
    domain::{
        credential::{self, Fingerprint, NOTE_EVERY, ProjectKey, Session, Shape, UserToken},
        person::User,
        project::Project,
    },
    error::{Code, Error, Result},
    kernel::{Actor, KeyId, SessionId, Timestamp, TokenId, UserId},
    ports::{
        records::{Entity, Records, Stored, key, store_error},
        store::Version,
    },
};

/// Which kinds of credential a surface takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepts {
    /// REST and the dashboard: sessions and user tokens.
    People,
    /// MCP: project keys and user tokens.
    Agents,
}

/// Who presents this credential.
pub async fn authenticate(app: &Asgard, credential: &str, accepts: Accepts) -> Result<Actor> {
    let shape = credential::parse(credential).ok_or_else(|| {
        Error::new(
            Code::BadCredential,
            "That is not one of Asgard's credentials, or it was not copied whole: its check characters do not fit.",
        )
    })?;
    let print = credential::fingerprint(credential);
    match (shape, accepts) {
        (Shape::ProjectKey, Accepts::Agents) => project_key(app, &print).await,
        (Shape::UserToken, Accepts::Agents | Accepts::People) => user_token(app, &print).await,
        (Shape::Session, Accepts::People) => session(app, &print).await,
        (Shape::ProjectKey, Accepts::People) => Err(Error::new(
            Code::BadCredential,
            "A project key works on /mcp. For the REST API sign in, or use a user token (asg_pat_...).",
        )),
        (Shape::Session, Accepts::Agents) => Err(Error::new(
            Code::BadCredential,
            "A session does not work on /mcp. Send a project key (asg_...) or a user token (asg_pat_...) as Authorization: Bearer.",
        )),
    }
}

async fn found<T: Entity>(app: &Asgard, id: &str) -> Result<Stored<T>> {
    app.store().read(id).await?.ok_or_else(credential::unknown)
}

/// Notes the use of a credential, at most every five minutes. The answer does not wait for more than the write, and a
/// failed note fails nothing.
async fn note<T: Entity>(app: &Asgard, stored: &Stored<T>, now: Timestamp) {
    if stored.noted_at.is_none_or(|noted| now.since(noted) >= NOTE_EVERY) {
        let result = app.store().note(&key::<T>(stored.value.record_id()), now).await.map_err(store_error);
        if let Err(error) = result {
            tracing::warn!(error = error.chain(), "the use of a credential could not be noted");
        }
    }
}

async fn project_key(app: &Asgard, print: &Fingerprint) -> Result<Actor> {
    let now = app.world().now();
    let key = found::<ProjectKey>(app, KeyId::from_digest(print).as_str()).await?;
    key.check(print, now)?;
    let project = found::<Project>(app, key.project.as_str()).await?;
    project.require_active().map_err(|inactive| Error::new(Code::BadCredential, inactive.message().to_owned()))?;
    note(app, &key, now).await;
    Ok(Actor::ProjectKey { key: key.id.clone(), project: key.project.clone(), minted_by: key.minted_by.clone() })
}

pub(super) async fn person(app: &Asgard, user: &UserId, since: Timestamp) -> Result<User> {
    let user = found::<User>(app, user.as_str()).await?.value;
    if !user.active {
        return Err(Error::new(
            Code::BadCredential,
            "This account has been switched off; an admin can switch it on again.",
        ));
    }
    if since < user.credentials_from {
        return Err(Error::new(Code::BadCredential, "This credential ended when the password changed; sign in again."));
    }
    Ok(user)
}

async fn user_token(app: &Asgard, print: &Fingerprint) -> Result<Actor> {
    let now = app.world().now();
    let token = found::<UserToken>(app, TokenId::from_digest(print).as_str()).await?;
    token.check(print, now)?;
    // A token outlives a change of password; it is revoked by itself, or with the account.
    let user = person(app, &token.user, Timestamp::from_millis(i64::MAX)).await?;
    note(app, &token, now).await;
    Ok(Actor::UserToken { user: user.id, email: user.email, role: user.role, token: token.id.clone() })
}

async fn session(app: &Asgard, print: &Fingerprint) -> Result<Actor> {
    let now = app.world().now();
    let session = found::<Session>(app, SessionId::from_digest(print).as_str()).await?;
    session.check(print, session.noted_at, now)?;
    let user = person(app, &session.user, session.created_at).await?;
    note(app, &session, now).await;
    Ok(Actor::Human { user: user.id, email: user.email, role: user.role, session: session.id.clone() })
}

/// The version of a record as clients name it.
pub fn version(text: &str) -> Result<Version> {
    text.parse().map_err(|_| Error::invalid("version", "Expected the `version` (or ETag) of an earlier answer."))
}
