//! Read, decide, commit, and again if somebody was faster. A transaction holds what was read and what shall be written;
//! its commit is one batch. After a lost reply the same batch is resubmitted under the same id; after a lost race the
//! decision is made again on fresh reads.

use super::{
    effects,
    reads::{Reads, Versions},
    submit::{pause, submit},
    waiver::AuditWaiver,
};
use crate::app::{Asgard, Call};
use crate::{
    domain::{
        audit::{AuditAction, AuditEvent},
        change::Change,
        job::{Job, Work},
    },
    error::{Code, Error, Result},
    kernel::{Actor, ActorRef, EventId, JobId, ProjectId},
    ports::{
        records::{self, Entity, Stored, key, store_error},
        store::{Batch, Count, Draft, Op, Outcome, Reason, Version},
        vault::marked_event,
    },
};
use std::{
    collections::BTreeMap,
    ops::{Deref, DerefMut},
    pin::Pin,
    time::Duration,
};

/// How often a decision is made again after a lost race.
const MAX_CONFLICT_RETRIES: u32 = 24;

/// What survives from one attempt of a transaction to the next.
#[derive(Default)]
pub(crate) struct RetryState {
    numbers: BTreeMap<String, i64>,
}

crate::kernel::opaque!(RetryState);

enum OnRefusal {
    Again,
    PrepareAgain,
    Fail(Error),
}

/// One attempt: reads, and the batch that it grows.
pub struct Tx<'a> {
    reads: Reads<'a>,
    memory: RetryState,
    batch: Batch,
    refusals: Vec<OnRefusal>,
    written: Versions,
    audited: bool,
    waiver: Option<AuditWaiver>,
    system: bool,
    moved: bool,
    wakes: Vec<JobId>,
}

crate::kernel::opaque!(Tx<'_>);

/// How an attempt ended.
enum Attempt {
    Committed,
    Again(RetryState),
    Moved,
}

/// How a transaction ended.
pub(crate) enum Settled<T> {
    /// The batch is committed, and this is what was decided.
    Committed(T),
    /// What was prepared does not hold any more.
    Moved,
}

/// A decision in progress: what the closures given to [`Asgard::transact`] return.
pub type DecideFuture<'t, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 't>>;

impl<'a> Deref for Tx<'a> {
    type Target = Reads<'a>;
    fn deref(&self) -> &Reads<'a> {
        &self.reads
    }
}

impl<'a> DerefMut for Tx<'a> {
    fn deref_mut(&mut self) -> &mut Reads<'a> {
        &mut self.reads
    }
}

impl<'a> Tx<'a> {
    fn begin(reads: Reads<'a>, memory: RetryState) -> Self {
        let batch = Batch::new(reads.id(), reads.now());
        Self {
            reads,
            memory,
            batch,
            refusals: Vec::new(),
            written: Versions::new(),
            audited: false,
            waiver: None,
            system: false,
            moved: false,
            wakes: Vec::new(),
        }
    }

    /// The half that only reads and asks.
    pub fn reads(&mut self) -> &mut Reads<'a> {
        &mut self.reads
    }

    /// Acts as Asgard itself, which needs nobody's permission: its own parts run it, and no caller reaches it. The commit still
    /// needs an audit event.
    pub(crate) fn as_system(&mut self) -> Result<()> {
        match &self.call().actor {
            Some(Actor::System { .. }) => {
                self.system = true;
                Ok(())
            }
            Some(_) | None => Err(Error::bug("somebody acts as Asgard itself who is not")),
        }
    }

    /// Acts as Asgard itself, and does what is no act: the commit needs no audit event, for this reason.
    pub(crate) fn waive_audit(&mut self, waiver: AuditWaiver) -> Result<()> {
        self.as_system()?;
        self.waiver = Some(waiver);
        Ok(())
    }

    /// Says that what was prepared does not fit what is there now. The error ends this attempt; nobody sees it unless
    /// preparing again comes to the same too often.
    pub fn prepare_again(&mut self) -> Error {
        self.moved = true;
        moving()
    }

    /// Keeps the reply to a call for its replay. A reply alone, to a call that changed nothing, is no act that is audited.
    pub(super) fn keeps_reply(&mut self) {
        if self.batch.is_empty() {
            self.waiver = Some(AuditWaiver::KeptReply);
        }
    }

    /// The next number of a sequence; the same one in every attempt. Counting happens at once and outside of the batch, and
    /// that is no effect that a decision must not have: a number that is never used is a gap, and gaps are allowed.
    pub async fn number(&mut self, sequence: &str) -> Result<i64> {
        if let Some(number) = self.memory.numbers.get(sequence) {
            return Ok(*number);
        }
        let number = self.reads.app().store().increment(sequence).await.map_err(store_error)?;
        self.memory.numbers.insert(sequence.to_owned(), number);
        Ok(number)
    }

    fn push(&mut self, op: Op, on_refusal: OnRefusal) -> Result<()> {
        if let Some(key) = op.key() {
            self.reads.checked.remove(key);
            match &op {
                Op::Replace(_, version) | Op::Remove(_, version) => {
                    self.written.insert(key.clone(), Some(version.clone()));
                }
                Op::Insert(_) => {
                    self.written.insert(key.clone(), None);
                }
                Op::Require(..) | Op::Claim { .. } | Op::Release { .. } | Op::Count(_) => {}
            }
        }
        self.batch.push(op).map_err(Error::bug)?;
        self.refusals.push(on_refusal);
        Ok(())
    }

    /// Writes a new record.
    pub fn insert<T: Entity>(&mut self, value: &T) -> Result<()> {
        self.insert_draft(records::draft(value)?)?;
        self.changed::<T>(value.record_id())
    }

    /// Has the list follow that shows records of this kind, if there is one.
    fn changed<T: Entity>(&mut self, object: String) -> Result<()> {
        let Some(list) = T::LIST else { return Ok(()) };
        let change = Change { id: self.id(), list: list.to_owned(), object, at: self.now() };
        self.insert_draft(records::draft(&change)?)
    }

    /// Writes a new record that somebody else drafted.
    pub fn insert_draft(&mut self, draft: Draft) -> Result<()> {
        self.push(Op::Insert(draft), OnRefusal::Again)
    }

    /// Writes a new record whose existence means `error`.
    pub fn insert_or<T: Entity>(&mut self, value: &T, error: Error) -> Result<()> {
        let draft = records::draft(value)?;
        self.push(Op::Insert(draft), OnRefusal::Fail(error))?;
        self.changed::<T>(value.record_id())
    }

    /// Writes over what was read.
    pub fn replace<T: Entity>(&mut self, read: &Stored<T>, value: &T) -> Result<()> {
        let draft = records::redraft(read, value)?;
        self.push(Op::Replace(draft, read.version.clone()), OnRefusal::Again)?;
        self.changed::<T>(value.record_id())
    }

    /// Writes a record that somebody else drafted over what was read.
    pub(crate) fn replace_draft(&mut self, draft: Draft, read: &Version) -> Result<()> {
        self.push(Op::Replace(draft, read.clone()), OnRefusal::Again)
    }

    /// Removes what was read.
    pub fn remove<T: Entity>(&mut self, read: &Stored<T>) -> Result<()> {
        self.push(Op::Remove(key::<T>(read.value.record_id()), read.version.clone()), OnRefusal::Again)?;
        self.changed::<T>(read.value.record_id())
    }

    /// Removes a record that `prepare` wrote, at the version that it wrote. If it is gone, `prepare` runs again.
    pub fn remove_prepared<T: Entity>(&mut self, id: &str, version: &Version) -> Result<()> {
        self.push(Op::Remove(key::<T>(id), version.clone()), OnRefusal::PrepareAgain)
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
        let actor = self.call().actor.as_ref().map_or_else(anonymous, Actor::reference);
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
        self.audit_event(actor, project, action, object, details).map(|_| ())
    }

    /// The same, for whoever names the event.
    pub(crate) fn audit_event(
        &mut self,
        actor: ActorRef,
        project: Option<&ProjectId>,
        action: AuditAction,
        object: impl std::fmt::Display,
        details: &[(&str, String)],
    ) -> Result<EventId> {
        self.app().vocabulary().check(&action, project.is_some())?;
        let details = details.iter().map(|(name, value)| ((*name).to_owned(), value.chars().take(500).collect()));
        let event = AuditEvent {
            project: project.cloned(),
            details: details.collect(),
            ..AuditEvent::new(self.id(), self.now(), actor, action, object.to_string(), self.call().trace.clone())
        };
        let event = marked_event(self.app().sealer(), event)?;
        self.audited = true;
        self.insert(&event)?;
        Ok(event.id)
    }

    /// Appends a job that is due `after` from now.
    pub fn job(&mut self, work: Work, after: Duration) -> Result<JobId> {
        let actor = self.call().actor.as_ref().map_or_else(anonymous, Actor::reference);
        let job = Job::new(self.id(), work, self.call().trace.clone(), actor, self.now(), self.now().plus(after));
        if after.is_zero() {
            self.wakes.push(job.id.clone());
        }
        self.insert(&job)?;
        Ok(job.id)
    }

    /// The version that everything written here will have.
    pub fn version(&self) -> &Version {
        self.batch.id()
    }

    async fn commit(mut self, seen: &Versions) -> Result<Attempt> {
        if self.batch.is_empty() {
            return Ok(Attempt::Committed);
        }
        if !self.audited && self.waiver.is_none() {
            return Err(Error::bug("a commit without an audit event"));
        }
        for (key, version) in seen {
            match self.written.get(key).or_else(|| self.reads.checked.get(key)) {
                Some(read) if read != version => return Ok(Attempt::Moved),
                Some(_) => {}
                None => self.push(Op::Require(key.clone(), version.clone()), OnRefusal::PrepareAgain)?,
            }
        }
        for (key, version) in std::mem::take(&mut self.reads.checked) {
            self.push(Op::Require(key, version), OnRefusal::Again)?;
        }
        let app = self.reads.app();
        match submit(app, &self.batch).await? {
            Outcome::Committed => {
                if !self.wakes.is_empty() {
                    app.wake_workers(&self.wakes);
                }
                Ok(Attempt::Committed)
            }
            Outcome::Refused(refusal) => {
                let position = refusal.step.min(self.refusals.len().saturating_sub(1));
                match (self.refusals.swap_remove(position), refusal.reason) {
                    (OnRefusal::Fail(error), _) => Err(error),
                    (OnRefusal::PrepareAgain, _) => Ok(Attempt::Moved),
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

/// What is decided upon changes faster than it can be prepared for.
pub(super) fn moving() -> Error {
    Error::new(Code::Busy, "Others are changing what this is about. Try again in a moment.").retry_after(1)
}

/// Nobody signed in: who failed to.
fn anonymous() -> ActorRef {
    Actor::System { name: "anonymous" }.reference()
}

impl Asgard {
    /// Runs `decide` until its batch is committed or it fails. What `decide` returns is returned once, after the commit.
    ///
    /// The closure is called again after a lost race, so it borrows what it needs:
    /// `app.transact(&call, |tx| Box::pin(async move { ... }))`.
    pub async fn transact<'x, T, F>(&'x self, call: &'x Call, decide: F) -> Result<T>
    where
        T: Send,
        F: for<'t> FnMut(&'t mut Tx<'x>) -> DecideFuture<'t, T> + Send,
    {
        match self.transact_on(call, &Versions::new(), None, decide).await? {
            Settled::Committed(value) => Ok(value),
            Settled::Moved => Err(Error::bug("a transaction that nothing was prepared for asked to prepare again")),
        }
    }

    /// The same for a decision that stands on what was `seen` before it: a batch that does not fit it is not committed. The
    /// first attempt goes on with `early` reads, if there are any.
    pub(crate) async fn transact_on<'x, T, F>(
        &'x self,
        call: &'x Call,
        seen: &Versions,
        mut early: Option<Reads<'x>>,
        mut decide: F,
    ) -> Result<Settled<T>>
    where
        T: Send,
        F: for<'t> FnMut(&'t mut Tx<'x>) -> DecideFuture<'t, T> + Send,
    {
        effects::outside_decide("another transaction")?;
        let mut memory = RetryState::default();
        for race in 0..MAX_CONFLICT_RETRIES {
            let reads = early.take().unwrap_or_else(|| Reads::begin(self, call));
            let mut tx = Tx::begin(reads, memory);
            let value = match effects::deciding(decide(&mut tx)).await? {
                Err(_) if tx.moved => return Ok(Settled::Moved),
                decided => decided?,
            };
            if !(tx.system || tx.was_granted_anything()) {
                return Err(Error::bug("a transaction that asked nobody's permission"));
            }
            match tx.commit(seen).await? {
                Attempt::Committed => return Ok(Settled::Committed(value)),
                Attempt::Moved => return Ok(Settled::Moved),
                Attempt::Again(kept) => memory = kept,
            }
            pause(self, race.min(5)).await;
        }
        Err(Error::new(Code::Busy, "Too many others are changing the same thing. Try again in a moment.")
            .retry_after(1))
    }
}
