//! Jobs: work that a commit causes and somebody does afterwards (the outbox).

use crate::kernel::{ActorRef, HolderId, JobId, RunId, SecretId, Timestamp, TraceId};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How many shards the due index has, so that no partition gets hot.
pub const SHARDS: u8 = 4;
/// How often a job is tried before it is put aside as dead.
pub const MOST_ATTEMPTS: u32 = 8;
/// How long a claim holds without a heartbeat.
pub const CLAIM: Duration = Duration::from_secs(60);

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
}

/// Versions of a secret whose values are not needed any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForgottenSecret {
    /// The secret.
    pub id: SecretId,
    /// The last version to forget.
    pub through: u32,
}

impl Work {
    /// The name for metrics and logs.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::LaunchRun { .. } => "launch_run",
            Self::CheckRun { .. } => "check_run",
            Self::Forget { .. } => "forget",
        }
    }
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

    /// The job as it waits for its next turn: nothing failed, and the attempts count only if `counted`.
    pub fn again(&self, due: Timestamp, counted: bool) -> Self {
        let attempts = if counted { self.attempts } else { 0 };
        Self { due_at: Some(due), attempts, claimed_by: None, last_error: None, ..self.clone() }
    }

    /// The job after a failed attempt: later again, or dead. `spread` in 0..=255 keeps replicas from moving in step.
    pub fn failed(&self, error: &str, now: Timestamp, spread: u8) -> Self {
        let last_error = Some(error.chars().take(500).collect());
        if self.attempts >= MOST_ATTEMPTS {
            return Self { due_at: None, dead: Some("dead".into()), claimed_by: None, last_error, ..self.clone() };
        }
        Self { due_at: Some(now.plus(backoff(self.attempts, spread))), claimed_by: None, last_error, ..self.clone() }
    }
}

/// One second doubled per attempt up to five minutes, plus up to a quarter.
pub fn backoff(attempts: u32, spread: u8) -> Duration {
    let base = Duration::from_secs(1u64 << attempts.saturating_sub(1).min(9)).min(Duration::from_secs(300));
    base + base * u32::from(spread) / 1024
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{ActorKind, id::TimeOrdered};

    #[test]
    fn a_job_backs_off_and_then_dies() {
        let now = Timestamp::from_millis(1_000);
        let actor = ActorRef { kind: ActorKind::System, id: "t".into(), person: None };
        let work = Work::CheckRun { run: RunId::build(now, [1; 10]) };
        let mut job = Job::new(JobId::build(now, [2; 10]), work, TraceId::build(now, [3; 10]), actor, now, now);
        let mut waits = Vec::new();
        while job.dead.is_none() {
            job = job.claimed(HolderId::build(now, [4; 10]), now);
            job = job.failed("boom", now, 255);
            waits.extend(job.due_at.map(|due| due.since(now)));
            assert!(job.attempts <= MOST_ATTEMPTS);
        }
        assert!(waits.is_sorted() && waits.iter().all(|w| *w <= Duration::from_secs(375)));
        assert_eq!((job.attempts, job.due_at), (MOST_ATTEMPTS, None), "a dead job leaves the due index");
    }
}
