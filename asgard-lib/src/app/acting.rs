//! Operations from Rust code, for somebody: the same checks, the same audit log, typed commands and answers.

use super::{
    Asgard, Call, Operation, Source,
    people::{self, Accepts, authenticate},
};
use crate::{
    domain::credential::{self, ProjectKey, Shape},
    error::{Code, Error, Result},
    kernel::{Actor, KeyId, TraceId},
    ports::{records::Records, store::Version},
};
use std::{fmt, sync::Arc, time::Duration};

/// Somebody for whom operations are run in this process. Made by [`Asgard::acting_as`] and its neighbours; each operation is
/// authorised, audited and committed as if it had come over HTTP.
#[derive(Clone)]
pub struct ActingAs {
    app: Arc<Asgard>,
    call: Call,
}

impl fmt::Debug for ActingAs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActingAs").field("call", &self.call).finish_non_exhaustive()
    }
}

impl Asgard {
    /// Runs operations as `actor`, whom the caller already knows: a person whom [`people::vouched_for`] gave back, an agent, or
    /// a part of the host.
    ///
    /// ```
    /// # use asgard_lib::{Result, app::{Asgard, people::{Accepts, authenticate}, projects::{GetProject, RegisterProject}}};
    /// # use std::sync::Arc;
    /// # async fn example(asgard: Arc<Asgard>, token: &str, register: RegisterProject) -> Result<()> {
    /// let actor = authenticate(&asgard, token, Accepts::People).await?;
    /// let ann = asgard.acting_as(actor);
    /// // Sent twice, it happens once.
    /// let project = ann.clone().once("order-4711").run(&register).await?;
    /// let read = ann.run(&GetProject::builder().project_id(project.project_id).build()).await?;
    /// assert_eq!(read.owner_email, register.owner_email);
    /// # Ok(())
    /// # }
    /// ```
    pub fn acting_as(self: &Arc<Self>, actor: Actor) -> ActingAs {
        ActingAs { call: Call::by(actor, self.new_trace()), app: Arc::clone(self) }
    }

    /// Runs operations as a person whom the host signed in, on its word, as [`people::vouched_for`] takes it.
    ///
    /// # Errors
    ///
    /// An account that an admin switched off, and an identity that is not the host's to vouch for.
    pub async fn as_person(self: &Arc<Self>, vouched: &people::Vouched) -> Result<ActingAs> {
        people::vouched_for(self, vouched).await.map(|actor| self.acting_as(actor))
    }

    /// Runs operations as whoever holds this credential: a session's token, a user token or a project key.
    ///
    /// # Errors
    ///
    /// A credential that is not known or no longer works.
    pub async fn as_holder_of(self: &Arc<Self>, credential: &str) -> Result<ActingAs> {
        let accepts = match credential::parse(credential) {
            Some(Shape::ProjectKey) => Accepts::Agents,
            Some(Shape::Session | Shape::UserToken) | None => Accepts::People,
        };
        authenticate(self, credential, accepts).await.map(|actor| self.acting_as(actor))
    }

    /// Whoever acts, as they are by now: an error where what ends access has ended theirs since. For a caller who has waited.
    ///
    /// # Errors
    ///
    /// A credential, an account or a project that does not work any more.
    pub async fn still(&self, actor: &Actor) -> Result<Actor> {
        super::authenticate::still(self, actor).await
    }

    /// Runs operations as the agent that has the key of this id; the key itself is not needed.
    ///
    /// # Errors
    ///
    /// A key that is not there or no longer works, and a project that does not either.
    pub async fn as_key(self: &Arc<Self>, key: &KeyId) -> Result<ActingAs> {
        let found = self.store().read::<ProjectKey>(key.as_str()).await?;
        let key =
            found.ok_or_else(|| Error::new(Code::NotFound, "There is no project key with this id.").at("key_id"))?;
        let holder =
            Actor::ProjectKey { key: key.id.clone(), project: key.project.clone(), minted_by: key.minted_by.clone() };
        super::authenticate::still(self, &holder).await.map(|actor| self.acting_as(actor))
    }
}

impl ActingAs {
    /// Who it is.
    pub fn actor(&self) -> Option<&Actor> {
        self.call.actor.as_ref()
    }

    /// Under this key, any text of the caller's own, an operation that creates something happens once within a day; a later
    /// call with the same command gets the first answer again, and one with another command is refused.
    #[must_use]
    pub fn once(mut self, key: impl Into<String>) -> Self {
        self.call.idempotency_key = Some(key.into());
        self
    }

    /// The version that the object must still have.
    #[must_use]
    pub fn if_version(mut self, version: Version) -> Self {
        self.call.if_match = Some(version);
        self
    }

    /// Follows the calls by the host's own trace id, in jobs and logs and the audit log; otherwise they have a new one.
    #[must_use]
    pub fn traced(mut self, trace: TraceId) -> Self {
        self.call.trace = trace;
        self
    }

    /// Where the calls really come from.
    #[must_use]
    pub fn from(mut self, source: Source) -> Self {
        self.call.source = source;
        self
    }

    /// What waits for something gives up when this long has passed from now.
    #[must_use]
    pub fn within(mut self, limit: Duration) -> Self {
        self.call.answer_by = Some(self.app.world().now().plus(limit));
        self
    }

    /// Runs an operation.
    ///
    /// # Errors
    ///
    /// Whatever the operation refuses or cannot do, as over HTTP.
    pub async fn run<O: Operation>(&self, command: &O) -> Result<O::Output> {
        self.app.run(&self.call, command).await
    }
}
