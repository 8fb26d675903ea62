//! Jobs: work that a commit causes and somebody does afterwards (the outbox).

use super::secret::SecretOwner;
use crate::kernel::{ActorRef, HolderId, JobId, ResourceId, RunId, SecretId, Timestamp, TraceId, UserId};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How many shards the due index has, so that no partition gets hot.
pub const SHARDS: u8 = 4;
/// How often a job is tried before it is put aside as dead.
pub const MAX_ATTEMPTS: u32 = 8;
/// The longest pause after a failed attempt.
pub const MAX_PAUSE: Duration = Duration::from_secs(6 * 3600);
/// How long a claim holds without a heartbeat.
pub const CLAIM: Duration = Duration::from_secs(60);
/// How long a runner that cannot be reached is waited for before asking it in vain counts as failing.
pub const OUTAGE: Duration = Duration::from_secs(3600);
/// The longest that a job is put off which has not failed.
pub const MAX_WAIT: Duration = Duration::from_secs(900);
/// A job that is due for longer than this is done by nobody.
pub const OVERDUE: Duration = Duration::from_secs(600);

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Work {
    /// Start the supervisor of a run.
    LaunchRun {
        /// Which run.
        run: RunId,
    },
    /// Look after a run that should have ended or renewed its lease by now.
    CheckRun {
        /// Which run.
        run: RunId,
    },
    /// Forget sealed bytes and secret values that no record names any more.
    Forget {
        /// Ids of sealed bytes.
        sealed: Vec<String>,
        /// Secret values.
        secrets: Vec<ForgottenSecret>,
    },
    /// Remove secrets that a resource does not have any more, one commit for each: together they may be more than a batch holds.
    DropSecrets {
        /// The resource that they came from.
        resource: ResourceId,
        /// The secrets.
        secrets: Vec<SecretId>,
    },
    /// Remove a kept module, unless a state or a run refers to it.
    CollectModule {
        /// The module's digest.
        module: String,
    },
    /// Bind what names an address to the account that has it.
    BindAccount {
        /// Which account.
        user: UserId,
    },
}

/// Versions of a secret whose values are not needed any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForgottenSecret {
    /// The secret.
    pub id: SecretId,
    /// The last version to forget.
    pub through: u32,
    /// Whose it is; absent in jobs of versions before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<SecretOwner>,
}

impl Work {
    /// The name for metrics and logs.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::LaunchRun { .. } => "launch_run",
            Self::CheckRun { .. } => "check_run",
            Self::Forget { .. } => "forget",
            Self::DropSecrets { .. } => "drop_secrets",
            Self::CollectModule { .. } => "collect_module",
            Self::BindAccount { .. } => "bind_account",
        }
    }

    /// Whether it is given up after [`MAX_ATTEMPTS`]. Nothing else removes what is to be forgotten, so that is tried without end,
    /// less and less often.
    pub const fn gives_up(&self) -> bool {
        match self {
            Self::LaunchRun { .. } | Self::CheckRun { .. } | Self::BindAccount { .. } => true,
            Self::Forget { .. } | Self::DropSecrets { .. } | Self::CollectModule { .. } => false,
        }
    }
}

/// What is in the way of a job, through no fault of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BlockReason {
    /// Another run has the resource.
    Resource,
    /// The runner has no room for another run.
    Room,
    /// The runner cannot be reached.
    Runner,
}

impl BlockReason {
    /// How long it is waited for. What other runs occupy comes free, however long it takes; nobody can say that of an outage.
    pub const fn patience(self) -> Option<Duration> {
        match self {
            Self::Resource | Self::Room => None,
            Self::Runner => Some(OUTAGE),
        }
    }
}

/// What a job waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// What is in its way.
    #[serde(rename = "for")]
    pub reason: BlockReason,
    /// Since when nothing else was.
    pub since: Timestamp,
}

/// A job. `due_at` is the one time that says when it may be taken: queued, backing off or claimed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// What is to be done.
    pub work: Work,
    /// Which shard of the index.
    pub shard: String,
    /// When it may be taken; gone once it is dead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    /// How often it was taken.
    pub attempts: u32,
    /// Who has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed_by: Option<HolderId>,
    /// What is in its way, if something was at its last turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Waiting>,
    /// Why the last attempt failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// Present once it gave up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead: Option<String>,
    /// The trace of the commit that caused it.
    pub trace: TraceId,
    /// Who caused it.
    pub actor: ActorRef,
    /// When it was appended.
    pub created_at: Timestamp,
}

impl Job {
    /// A new job that is due at `due`.
    pub fn new(id: JobId, work: Work, trace: TraceId, actor: ActorRef, now: Timestamp, due: Timestamp) -> Self {
        let shard = id.as_str().bytes().last().map_or(0, |b| b % SHARDS).to_string();
        Self {
            id,
            work,
            shard,
            due_at: Some(due),
            attempts: 0,
            claimed_by: None,
            waiting: None,
            last_error: None,
            dead: None,
            trace,
            actor,
            created_at: now,
        }
    }

    /// The job as `holder` has it until the claim runs out.
    pub fn claimed(&self, holder: HolderId, now: Timestamp) -> Self {
        Self { due_at: Some(now.plus(CLAIM)), attempts: self.attempts + 1, claimed_by: Some(holder), ..self.clone() }
    }

    fn put_off(&self, due: Timestamp, attempts: u32) -> Self {
        Self { due_at: Some(due), attempts, claimed_by: None, waiting: None, last_error: None, ..self.clone() }
    }

    /// The job as it waits for its next turn, this one counted: it was done, and nobody can say yet whether it worked.
    pub fn retried(&self, due: Timestamp) -> Self {
        self.put_off(due, self.attempts)
    }

    /// The job as if it were new: it worked, and the same is to be done again at `due`.
    pub fn repeated(&self, due: Timestamp) -> Self {
        self.put_off(due, 0)
    }

    /// The job as if this turn had not been, due now.
    pub fn handed_back(&self, now: Timestamp) -> Self {
        Self { waiting: self.waiting, ..self.put_off(now, self.attempts.saturating_sub(1)) }
    }

    /// Whether it may go on waiting for `reason`.
    pub fn may_wait_for(&self, reason: BlockReason, now: Timestamp) -> bool {
        reason.patience().is_none_or(|most| now.since(self.waiting_since(reason, now)) < most)
    }

    /// The job as it waits for `reason` until `due`. The turn does not count; those that failed before still do.
    pub fn waits_for(&self, reason: BlockReason, now: Timestamp, due: Timestamp) -> Self {
        let since = self.waiting_since(reason, now);
        let waiting = Some(Waiting { reason, since });
        Self { waiting, ..self.put_off(due, self.attempts.saturating_sub(1)) }
    }

    fn waiting_since(&self, reason: BlockReason, now: Timestamp) -> Timestamp {
        let same = |waiting: &Waiting| waiting.reason == reason && !waiting.since.is_far_ahead_of(now);
        self.waiting.filter(same).map_or(now, |waiting| waiting.since)
    }

    /// Whether it only waits until other runs have ended, and somebody sees to it in time.
    pub fn waits_its_turn(&self, now: Timestamp) -> bool {
        let patient = self.waiting.is_some_and(|waiting| waiting.reason.patience().is_none());
        patient && self.due_at.is_some_and(|due| now.since(due) < OVERDUE)
    }

    /// The job due now, for whoever comes first: whoever had it may be gone. It is no younger than that.
    pub fn hurried(&self, now: Timestamp) -> Self {
        Self { due_at: Some(now), claimed_by: None, created_at: self.created_at.min(now), ..self.clone() }
    }

    /// Whether it is due later than any job that was tried so often ever is: a clock that was wrong has written that.
    pub fn is_stranded(&self, now: Timestamp) -> bool {
        let most = MAX_WAIT.max(backoff(self.attempts, u8::MAX));
        self.due_at.is_some_and(|due| due > now.plus(most))
    }

    /// Whether it has failed as often as a job may that gives up.
    pub const fn is_exhausted(&self) -> bool {
        self.attempts >= MAX_ATTEMPTS
    }

    /// The job after a failed attempt: later again, or dead. `spread` in 0..=255 keeps replicas from moving in step.
    pub fn failed(&self, error: &str, now: Timestamp, spread: u8) -> Self {
        let last_error = Some(error.chars().take(500).collect());
        if self.is_exhausted() && self.work.gives_up() {
            return Self { due_at: None, dead: Some("dead".into()), claimed_by: None, last_error, ..self.clone() };
        }
        Self { due_at: Some(now.plus(backoff(self.attempts, spread))), claimed_by: None, last_error, ..self.clone() }
    }
}

/// One second doubled per attempt up to six hours, plus up to a quarter.
pub fn backoff(attempts: u32, spread: u8) -> Duration {
    let base = Duration::from_secs(1u64 << attempts.saturating_sub(1).min(20)).min(MAX_PAUSE);
    base + base * u32::from(spread) / 1024
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{ActorKind, id::TimeOrdered};

    fn fresh(now: Timestamp) -> Job {
        let actor = ActorRef { kind: ActorKind::System, id: "t".into(), person: None, user: None };
        let work = Work::CheckRun { run: RunId::build(now, [1; 10]) };
        Job::new(JobId::build(now, [2; 10]), work, TraceId::build(now, [3; 10]), actor, now, now)
    }

    fn taken(job: &Job, now: Timestamp) -> Job {
        job.claimed(HolderId::build(now, [4; 10]), now)
    }

    #[test]
    fn waiting_neither_counts_nor_forgets_what_failed_before() {
        let now = Timestamp::from_millis(1_000);
        let failed = taken(&taken(&fresh(now), now).failed("boom", now, 0), now).failed("boom", now, 0);
        let mut job = failed;
        for _ in 0..100 {
            job = taken(&job, now).waits_for(BlockReason::Room, now, now);
        }
        assert_eq!(job.attempts, 2);
        assert_eq!(taken(&job, now).retried(now).attempts, 3, "a turn that may have worked counts");
        assert_eq!(taken(&job, now).repeated(now).attempts, 0, "one that worked makes it new");
        assert_eq!(taken(&job, now).handed_back(now).attempts, 2, "one that was not carried out does not count");
    }

    #[test]
    fn an_outage_is_waited_for_an_hour_and_room_for_as_long_as_it_takes() {
        let begin = Timestamp::from_millis(1_000);
        let at = |minutes: u64| begin.plus(Duration::from_secs(60 * minutes));
        let mut job = fresh(begin);
        for minute in 0..60 {
            assert!(job.may_wait_for(BlockReason::Runner, at(minute)), "{minute}");
            job = taken(&job, at(minute)).waits_for(BlockReason::Runner, at(minute), at(minute + 1));
            assert!(!job.waits_its_turn(at(minute)), "nobody knows when it ends");
        }
        assert!(!job.may_wait_for(BlockReason::Runner, at(60)));
        assert!(
            !taken(&job, at(60)).failed("boom", at(60), 0).may_wait_for(BlockReason::Runner, at(61)),
            "once is enough"
        );
        assert!(job.may_wait_for(BlockReason::Room, at(60)));
        let job = taken(&job, at(60)).waits_for(BlockReason::Room, at(60), at(61));
        assert!(job.may_wait_for(BlockReason::Room, at(60_000)) && job.may_wait_for(BlockReason::Runner, at(61)));
        assert!(job.waits_its_turn(at(61)) && !job.waits_its_turn(at(80)), "then nobody does it");
    }

    #[test]
    fn what_is_to_be_forgotten_is_tried_without_end_and_less_and_less_often() {
        let now = Timestamp::from_millis(1_000);
        let mut job = Job { work: Work::Forget { sealed: Vec::new(), secrets: Vec::new() }, ..fresh(now) };
        let mut waits = Vec::new();
        for _ in 0..100 {
            job = taken(&job, now).failed("boom", now, 0);
            waits.push(job.due_at.expect("it is due again").since(now));
        }
        assert!(waits.is_sorted() && waits.last() == Some(&MAX_PAUSE));
        assert!(job.is_exhausted() && job.dead.is_none());
    }

    #[test]
    fn a_job_backs_off_and_then_dies() {
        let now = Timestamp::from_millis(1_000);
        let mut job = fresh(now);
        let mut waits = Vec::new();
        while job.dead.is_none() {
            job = taken(&job, now);
            job = job.failed("boom", now, 255);
            waits.extend(job.due_at.map(|due| due.since(now)));
            assert!(job.attempts <= MAX_ATTEMPTS);
        }
        assert!(waits.is_sorted() && waits.iter().all(|w| *w <= Duration::from_secs(375)));
        assert_eq!((job.attempts, job.due_at), (MAX_ATTEMPTS, None), "a dead job leaves the due index");
    }
}
