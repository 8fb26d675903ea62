//! From a presented credential to an actor. At most two rounds of reads.

use crate::{
    app::{Asgard, Tx},
    domain::{
        credential::{self, Fingerprint, NOTE_EVERY, ProjectKey, Session, Shape, UserToken},
        person::User,
        project::Project,
    },
    error::{Code, Error, Result},
    kernel::{Actor, Generation, KeyId, SessionId, SignIn, Timestamp, TokenId, UserId},
    ports::{
        records::{Entity, Records, Stored, decode, key, store_error},
        store::{ReadBatch, Version},
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
            "A project key works on MCP and nowhere else. For the REST API sign in, or use a user token (asg_pat_...).",
        )),
        (Shape::Session, Accepts::Agents) => Err(Error::new(
            Code::BadCredential,
            "A session does not work on MCP. Send a project key (asg_...) or a user token (asg_pat_...) as Authorization: Bearer.",
        )),
    }
}

async fn found<T: Entity>(app: &Asgard, id: &str) -> Result<Stored<T>> {
    app.store().read(id).await?.ok_or_else(credential::unknown)
}

/// Notes the use of a credential, at most every five minutes. The answer does not wait for more than the write, and a
/// failed note fails nothing.
async fn note<T: Entity>(app: &Asgard, stored: &Stored<T>, now: Timestamp) {
    if stored.noted_at.is_none_or(|noted| !noted.is_within(NOTE_EVERY, now)) {
        let result = app.store().note(&key::<T>(stored.value.record_id()), now).await.map_err(store_error);
        if let Err(error) = result {
            tracing::warn!(error = error.chain(), "the use of a credential could not be noted");
        }
    }
}

async fn project_key(app: &Asgard, print: &Fingerprint) -> Result<Actor> {
    let now = app.world().now();
    let key = found::<ProjectKey>(app, KeyId::from_digest(print).as_str()).await?;
    key.check(print, now, app.config().people.key_adoption())?;
    let project = found::<Project>(app, key.project.as_str()).await?;
    let actor = key_holder(&project, &key)?;
    note(app, &key, now).await;
    Ok(actor)
}

fn key_holder(project: &Project, key: &ProjectKey) -> Result<Actor> {
    project.require_active().map_err(|inactive| Error::new(Code::BadCredential, inactive.message().to_owned()))?;
    Ok(Actor::ProjectKey { key: key.id.clone(), project: key.project.clone(), minted_by: key.minted_by.clone() })
}

async fn account(app: &Asgard, user: &UserId) -> Result<User> {
    found::<User>(app, user.as_str()).await.map(|user| user.value)
}

/// The account of somebody who is known by a credential of this generation.
async fn person(app: &Asgard, user: &UserId, generation: Generation) -> Result<User> {
    let user = account(app, user).await?;
    user.admits(generation)?;
    Ok(user)
}

/// The account of somebody whom another service has signed in just now: under whichever generation is the present one.
pub(super) async fn vouched_for(app: &Asgard, user: &UserId) -> Result<User> {
    let user = account(app, user).await?;
    user.admits(user.generation)?;
    Ok(user)
}

/// Fails unless the person who acts may leave a new credential behind: whatever ended the one that they act with has not been
/// committed when the new one is. Whom Asgard has no account of is the embedding service's to know.
pub(in crate::app) async fn may_leave_credentials(tx: &mut Tx<'_>) -> Result<Generation> {
    let Some(person) = tx.actor()?.person() else { return Ok(Generation::FIRST) };
    match tx.read_checked::<User>(person.user().as_str()).await? {
        Some(user) => user.admits(person.generation()).map(|()| user.generation),
        None => Ok(person.generation()),
    }
}

async fn user_token(app: &Asgard, print: &Fingerprint) -> Result<Actor> {
    let now = app.world().now();
    let token = found::<UserToken>(app, TokenId::from_digest(print).as_str()).await?;
    token.check(print, now)?;
    let actor = token_holder(&account(app, &token.user).await?, &token)?;
    note(app, &token, now).await;
    Ok(actor)
}

fn token_holder(user: &User, token: &UserToken) -> Result<Actor> {
    user.admits(token.generation)?;
    Ok(Actor::UserToken { person: user.person(), role: user.role, token: token.id.clone() })
}

async fn session(app: &Asgard, print: &Fingerprint) -> Result<Actor> {
    let now = app.world().now();
    let session = found::<Session>(app, SessionId::from_digest(print).as_str()).await?;
    session.check(print, session.noted_at, now)?;
    let actor = signed_in(&account(app, &session.user).await?, &session)?;
    note(app, &session, now).await;
    Ok(actor)
}

fn signed_in(user: &User, session: &Session) -> Result<Actor> {
    user.admits_session(session)?;
    Ok(Actor::Human { person: user.person(), role: user.role, sign_in: SignIn::Session(session.id.clone()) })
}

/// What is known by its id, read in one round trip: the credential, and the account or project that it is for.
async fn both<C: Entity, O: Entity>(app: &Asgard, credential: &str, of: &str) -> Result<(Stored<C>, Stored<O>)> {
    let batch = ReadBatch { keys: vec![key::<C>(credential), key::<O>(of)], ..ReadBatch::default() };
    let mut found = app.store().read_batch(&batch).await.map_err(store_error)?.records.into_iter();
    let mut next = || found.next().flatten().ok_or_else(credential::unknown);
    Ok((decode(next()?)?, decode(next()?)?))
}

/// Who a caller is by now, for a call that has waited: what ends access ends it for calls that are under way too. The
/// credential is found by its id, since what was presented is not kept.
pub(in crate::app) async fn still(app: &Asgard, actor: &Actor) -> Result<Actor> {
    let now = app.world().now();
    match actor {
        Actor::Human { person, sign_in: SignIn::Session(session), .. } => {
            let (session, user) = both::<Session, User>(app, session.as_str(), person.user().as_str()).await?;
            session.still_good(session.noted_at, now)?;
            signed_in(&user, &session)
        }
        Actor::Human { person: known, sign_in: SignIn::Host | SignIn::DevInsecure | SignIn::Earlier, .. } => {
            // Somebody else signed this person in and says what their role is; the account is ours.
            person(app, known.user(), known.generation()).await?;
            Ok(actor.clone())
        }
        Actor::UserToken { person, token, .. } => {
            let (token, user) = both::<UserToken, User>(app, token.as_str(), person.user().as_str()).await?;
            token.still_good(now)?;
            token_holder(&user, &token)
        }
        Actor::ProjectKey { key, project, .. } => {
            let (key, project) = both::<ProjectKey, Project>(app, key.as_str(), project.as_str()).await?;
            key.still_good(now, app.config().people.key_adoption())?;
            key_holder(&project, &key)
        }
        // Whatever makes agents says when they end; the person for whom one acts, and its project, are ours.
        Actor::Agent { project, on_behalf_of, .. } => {
            if let Some(known) = on_behalf_of {
                person(app, known.user(), known.generation()).await?;
            }
            let project = found::<Project>(app, project.as_str()).await?;
            project
                .require_active()
                .map_err(|inactive| Error::new(Code::BadCredential, inactive.message().to_owned()))?;
            Ok(actor.clone())
        }
        Actor::System { .. } => Ok(actor.clone()),
    }
}

/// The version of a record as clients name it.
pub fn version(text: &str) -> Result<Version> {
    text.parse().map_err(|_| Error::invalid("version", "Expected the `version` (or ETag) of an earlier answer."))
}
