//! Read, decide, commit, and again if somebody was faster. A transaction holds what was read and what shall be written;
//! its commit is one batch. After a lost reply the same batch is resubmitted under the same id; after a lost race the
//! decision is made again on fresh reads.

use crate::app::{Asgard, Call, CounterKind};
use crate::{
    domain::{
        access::{self, Action, Object},
        audit::{AuditAction, AuditEvent, PENDING},
        job::{Job, Work},
    },
    error::{Code, Error, Result},
    kernel::{Actor, ActorRef, JobId, ProjectId, Timestamp},
    ports::{
        records::{self, Entity, Records, Stored, key, store_error},
        store::{Batch, Count, Draft, Key, Op, Outcome, Reason, StoreError, Version},
    },
};
use std::{collections::BTreeMap, pin::Pin, time::Duration};

/// How often a decision is made again after a lost race.
const MAX_CONFLICT_RETRIES: u32 = 24;
/// How often a batch is resubmitted after a lost reply.
const MAX_RESUBMITS: u32 = 8;

/// What survives from one attempt of a transaction to the next.
#[derive(Default)]
pub struct RetryState {
    numbers: BTreeMap<String, i64>,
}

enum OnRefusal {
    Again,
    Fail(Error),
}

/// One attempt: reads, and the batch that it grows.
pub struct Tx<'a> {
    app: &'a Asgard,
    call: &'a Call,
    memory: RetryState,
    now: Timestamp,
    batch: Batch,
    refusals: Vec<OnRefusal>,
    relied: BTreeMap<Key, Option<Version>>,
    audited: bool,
    authorised: bool,
    wakes: Vec<JobId>,
}

/// How an attempt ended.
enum Attempt {
    Committed,
    Again(RetryState),
}

/// A decision in progress: what the closures given to [`Asgard::transact`] return.
pub type DecideFuture<'t, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 't>>;

impl<'a> Tx<'a> {
    fn begin(app: &'a Asgard, call: &'a Call, memory: RetryState) -> Self {
        let now = app.world.now();
        Self {
            app,
            call,
            memory,
            now,
            batch: Batch::new(app.world.id(), now),
            refusals: Vec::new(),
            relied: BTreeMap::new(),
            audited: false,
            authorised: false,
            wakes: Vec::new(),
        }
    }

    /// The control plane.
    pub fn app(&self) -> &'a Asgard {
        self.app
    }

    /// The call that this is an attempt of.
    pub fn call(&self) -> &'a Call {
        self.call
    }

    /// The moment of this attempt.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Who calls.
    pub fn actor(&self) -> Result<&'a Actor> {
        self.call.actor.as_ref().ok_or_else(|| {
            Error::new(Code::NoCredential, "Sign in, or send a credential as `Authorization: Bearer ...`.")
        })
    }

    /// A new id.
    pub fn id<T: crate::kernel::id::TimeOrdered>(&self) -> T {
        self.app.world.id()
    }

    /// Fails unless the caller may do `action` to `object`. Every operation asks at least once.
    pub fn allow(&mut self, action: Action, object: &Object<'_>) -> Result<()> {
        self.authorised = true;
        match action {
            Action::Open => Ok(()),
            _ => access::decide(action, self.actor()?, object),
        }
    }

    /// Says that the question was answered elsewhere: Asgard's own loops, which no caller reaches.
    pub(crate) fn internal(&mut self) {
        self.authorised = true;
        self.audited = true;
    }

    /// Reads without depending on it: credentials, groups, the catalogue.
    pub async fn read<T: Entity>(&self, id: &str) -> Result<Option<Stored<T>>> {
        self.app.store().read(id).await
    }

    /// Reads and depends on it: the commit is refused if it has changed by then, or has appeared.
    pub async fn read_checked<T: Entity>(&mut self, id: &str) -> Result<Option<Stored<T>>> {
        let found: Option<Stored<T>> = self.app.store().read(id).await?;
        self.relied.insert(key::<T>(id), found.as_ref().map(|stored| stored.version.clone()));
        Ok(found)
    }

    /// Reads several and depends on each that is there.
    pub async fn read_many_checked<T: Entity>(&mut self, ids: &[String]) -> Result<Vec<Stored<T>>> {
        let found: Vec<Stored<T>> = self.app.store().read_many(ids).await?.into_iter().flatten().collect();
        for stored in &found {
            self.relied.insert(key::<T>(stored.value.record_id()), Some(stored.version.clone()));
        }
        Ok(found)
    }

    /// Like [`Tx::read_checked`], and not-found when it is absent.
    pub async fn need<T: Entity>(&mut self, id: &str) -> Result<Stored<T>> {
        self.read_checked(id).await?.ok_or_else(|| Error::not_found(T::NOUN))
    }

    /// Who holds a claim. Looking decides nothing; a commit that depends on it claims or relies on the owner's record.
    pub async fn holder(&self, claim: &str) -> Result<Option<String>> {
        self.app.store().holder(claim).await.map_err(store_error)
    }

    /// What a counter shows. Looking decides nothing; a commit that depends on it counts with a ceiling.
    pub async fn counter(&self, name: &str) -> Result<i64> {
        self.app.store().counter(name).await.map_err(store_error)
    }

    /// The next number of a sequence; the same one in every attempt. Gaps are allowed.
    pub async fn number(&mut self, sequence: &str) -> Result<i64> {
        if let Some(number) = self.memory.numbers.get(sequence) {
            return Ok(*number);
        }
        let number = self.app.store().increment(sequence).await.map_err(store_error)?;
        self.memory.numbers.insert(sequence.to_owned(), number);
        Ok(number)
    }

    fn push(&mut self, op: Op, on_refusal: OnRefusal) -> Result<()> {
        if let Some(key) = op.key() {
            self.relied.remove(key);
        }
        self.batch.push(op).map_err(Error::bug)?;
        self.refusals.push(on_refusal);
        Ok(())
    }

    /// Writes a new record.
    pub fn insert<T: Entity>(&mut self, value: &T) -> Result<()> {
        self.insert_draft(records::draft(value)?)
    }

    /// Writes a new record that somebody else drafted.
    pub fn insert_draft(&mut self, draft: Draft) -> Result<()> {
        self.push(Op::Insert(draft), OnRefusal::Again)
    }

    /// Writes a new record whose existence means `error`.
    pub fn insert_or<T: Entity>(&mut self, value: &T, error: Error) -> Result<()> {
        let draft = records::draft(value)?;
        self.push(Op::Insert(draft), OnRefusal::Fail(error))
    }

    /// Writes over what was read.
    pub fn replace<T: Entity>(&mut self, read: &Stored<T>, value: &T) -> Result<()> {
        let draft = records::redraft(read, value)?;
        self.push(Op::Replace(draft, read.version.clone()), OnRefusal::Again)
    }

    /// Removes what was read.
    pub fn remove<T: Entity>(&mut self, read: &Stored<T>) -> Result<()> {
        self.push(Op::Remove(key::<T>(read.value.record_id()), read.version.clone()), OnRefusal::Again)
    }

    /// Takes a name; if somebody holds it the transaction fails with `error`.
    pub fn claim_or(&mut self, name: String, owner: impl std::fmt::Display, error: Error) -> Result<()> {
        self.push(Op::Claim { name, owner: owner.to_string() }, OnRefusal::Fail(error))
    }

    /// Takes a name; if somebody holds it by now the decision is made again.
    pub fn claim(&mut self, name: String, owner: impl std::fmt::Display) -> Result<()> {
        self.push(Op::Claim { name, owner: owner.to_string() }, OnRefusal::Again)
    }

    /// Gives up a name.
    pub fn release(&mut self, name: String, owner: impl std::fmt::Display) -> Result<()> {
        self.push(Op::Release { name, owner: owner.to_string() }, OnRefusal::Again)
    }

    /// Counts; passing a bound fails with `error`.
    pub fn count_or(&mut self, count: Count, error: Error) -> Result<()> {
        self.push(Op::Count(count), OnRefusal::Fail(error))
    }

    /// Counts; if a bound would be passed by now the decision is made again.
    pub fn count(&mut self, count: Count) -> Result<()> {
        self.push(Op::Count(count), OnRefusal::Again)
    }

    /// Appends an audit event by the caller.
    pub fn audit(
        &mut self,
        project: Option<&ProjectId>,
        action: AuditAction,
        object: impl std::fmt::Display,
        details: &[(&str, String)],
    ) -> Result<()> {
        let actor = self.call.actor.as_ref().map_or_else(anonymous, Actor::reference);
        self.audit_as(actor, project, action, object, details)
    }

    /// Appends an audit event by somebody else: the actor that a job carries.
    pub fn audit_as(
        &mut self,
        actor: ActorRef,
        project: Option<&ProjectId>,
        action: AuditAction,
        object: impl std::fmt::Display,
        details: &[(&str, String)],
    ) -> Result<()> {
        self.app.vocabulary().check(&action, project.is_some())?;
        let at = self.now;
        let event = AuditEvent {
            id: self.id(),
            at,
            day: at.to_string().chars().take(10).collect(),
            project: project.cloned(),
            actor,
            action,
            object: object.to_string(),
            trace: self.call.trace.clone(),
            details: details
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.chars().take(500).collect()))
                .collect(),
            unsealed: Some(PENDING.to_owned()),
            block: None,
        };
        self.audited = true;
        self.insert(&event)
    }

    /// Appends a job that is due `after` from now.
    pub fn job(&mut self, work: Work, after: Duration) -> Result<JobId> {
        let actor = self.call.actor.as_ref().map_or_else(anonymous, Actor::reference);
        let job = Job::new(self.id(), work, self.call.trace.clone(), actor, self.now, self.now.plus(after));
        if after.is_zero() {
            self.wakes.push(job.id.clone());
        }
        self.insert(&job)?;
        Ok(job.id)
    }

    /// Fails when the caller named another version than the present one: 412 for If-Match, 409 for a `version` in the body.
    pub fn expect_version(&self, present: &Version, from_body: Option<&Version>) -> Result<()> {
        let stale = |code| Error::new(code, "It has changed since you read it. Read it again and decide again.");
        match (&self.call.if_match, from_body) {
            (Some(wanted), _) if wanted != present => Err(stale(Code::PreconditionFailed)),
            (_, Some(wanted)) if wanted != present => Err(stale(Code::StaleVersion).at("version")),
            _ => Ok(()),
        }
    }

    /// The version that everything written here will have.
    pub fn version(&self) -> &Version {
        self.batch.id()
    }

    async fn finish(mut self) -> Result<Attempt> {
        if self.batch.is_empty() {
            return Ok(Attempt::Committed);
        }
        if !self.audited {
            return Err(Error::bug("a commit without an audit event"));
        }
        for (key, version) in std::mem::take(&mut self.relied) {
            self.push(Op::Require(key, version), OnRefusal::Again)?;
        }
        match submit(self.app, &self.batch).await? {
            Outcome::Committed => {
                if !self.wakes.is_empty() {
                    self.app.wake_workers(&self.wakes);
                }
                Ok(Attempt::Committed)
            }
            Outcome::Refused(refusal) => {
                let position = refusal.step.min(self.refusals.len().saturating_sub(1));
                match (self.refusals.swap_remove(position), refusal.reason) {
                    (OnRefusal::Fail(error), _) => Err(error),
                    (
                        OnRefusal::Again,
                        Reason::Exists
                        | Reason::Changed
                        | Reason::Taken
                        | Reason::NotHeld
                        | Reason::Ceiling
                        | Reason::Floor,
                    ) => Ok(Attempt::Again(self.memory)),
                }
            }
        }
    }
}

/// Nobody signed in: who failed to.
fn anonymous() -> ActorRef {
    Actor::System { name: "anonymous" }.reference()
}

/// Commits a batch, through lost replies: absence of an answer is never evidence, so the same batch goes again under the
/// same id until the store says what became of it.
pub async fn submit(app: &Asgard, batch: &Batch) -> Result<Outcome> {
    let mut unknown = false;
    let mut tries = 0;
    loop {
        match app.store.commit(batch).await {
            Ok(outcome) => {
                app.counters().add(match outcome {
                    Outcome::Committed => CounterKind::Committed,
                    Outcome::Refused(_) => CounterKind::Refused,
                });
                return Ok(outcome);
            }
            Err(error @ StoreError::Corrupt(_)) => {
                app.counters().add(CounterKind::CommitFailed);
                return Err(store_error(error));
            }
            Err(error) => {
                unknown |= matches!(error, StoreError::Unknown(_));
                tries += 1;
                if tries > MAX_RESUBMITS {
                    app.counters().add(CounterKind::CommitFailed);
                    let error = store_error(error);
                    return Err(if unknown {
                        error.caused_by(format!("commit {} may have happened", batch.id()))
                    } else {
                        error
                    });
                }
                pause(app, tries).await;
            }
        }
    }
}

/// A few milliseconds that double and differ between replicas, at most about a second.
pub(crate) async fn pause(app: &Asgard, tries: u32) {
    let [spread] = app.world.random::<1>();
    let base = 4u64 << tries.min(8);
    app.world.sleep(Duration::from_millis(base / 2 + base * u64::from(spread) / 256)).await;
}

impl Asgard {
    /// Runs `decide` until its batch is committed or it fails. What `decide` returns is returned once, after the commit.
    ///
    /// The closure is called again after a lost race, so it borrows what it needs:
    /// `app.transact(&call, |tx| Box::pin(async move { ... }))`.
    pub async fn transact<'x, T, F>(&'x self, call: &'x Call, mut decide: F) -> Result<T>
    where
        T: Send,
        F: for<'t> FnMut(&'t mut Tx<'x>) -> DecideFuture<'t, T> + Send,
    {
        let mut memory = RetryState::default();
        for race in 0..MAX_CONFLICT_RETRIES {
            let mut tx = Tx::begin(self, call, memory);
            let value = decide(&mut tx).await?;
            if !tx.authorised {
                return Err(Error::bug("a transaction that asked nobody's permission"));
            }
            match tx.finish().await? {
                Attempt::Committed => return Ok(value),
                Attempt::Again(kept) => memory = kept,
            }
            pause(self, race.min(5)).await;
        }
        Err(Error::new(Code::Busy, "Too many others are changing the same thing. Try again in a moment.")
            .retry_after(1))
    }
}
