//! A batch as the arguments of `asgard_commit`, and what to do when that fails.

use super::{
    Failure, PostgresEngine,
    listen::{CHANNEL, is_told},
};
use crate::ports::store::{Batch, Count, Draft, Op, Outcome, Reason, Refusal, StoreError};
use sha2::{Digest, Sha256};
use sqlx::AssertSqlSafe;
use std::time::Duration;

const PARAMETERS: &str = "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14";
/// How often a commit that was undone for another's sake is tried again: about five seconds of pauses in all.
const CONFLICTS: u32 = 25;
/// The longest pause between two tries.
const MAX_PAUSE: Duration = Duration::from_millis(250);

/// The steps, one column each, as the function takes them.
#[derive(Default)]
struct Steps<'a> {
    places: Vec<i32>,
    acts: Vec<&'static str>,
    kinds: Vec<Option<&'static str>>,
    names: Vec<&'a str>,
    owners: Vec<Option<&'a str>>,
    seens: Vec<Option<&'a str>>,
    schemas: Vec<Option<i32>>,
    bodies: Vec<Option<&'a str>>,
    expiries: Vec<Option<String>>,
    deltas: Vec<Option<i64>>,
    floors: Vec<Option<i64>>,
    ceilings: Vec<Option<i64>>,
}

/// The order in which every batch takes its locks. Counters come last: they are shared most, and so are held shortest.
fn lock_order(op: &Op) -> (u8, Option<&'static str>, &str) {
    let class = match op {
        Op::Insert(_) | Op::Replace(..) | Op::Remove(..) | Op::Require(..) => 0,
        Op::Claim { .. } | Op::Release { .. } => 1,
        Op::Count(_) => 2,
    };
    (class, op.key().map(|key| key.kind.name()), op.target())
}

impl<'a> Steps<'a> {
    fn of(batch: &'a Batch) -> Self {
        let mut ordered: Vec<(i32, &Op)> = (0..).zip(batch.ops()).collect();
        ordered.sort_by(|(_, a), (_, b)| lock_order(a).cmp(&lock_order(b)));
        let mut steps = Self::default();
        for (place, op) in ordered {
            steps.places.push(place);
            steps.push(op);
        }
        steps
    }

    fn push(&mut self, op: &'a Op) {
        let (act, draft, seen, owner, count): (_, Option<&Draft>, _, Option<&String>, Option<&Count>) = match op {
            Op::Insert(draft) => ("insert", Some(draft), None, None, None),
            Op::Replace(draft, seen) => ("replace", Some(draft), Some(seen), None, None),
            Op::Remove(_, seen) => ("remove", None, Some(seen), None, None),
            Op::Require(_, Some(seen)) => ("require", None, Some(seen), None, None),
            Op::Require(_, None) => ("absent", None, None, None, None),
            Op::Claim { owner, .. } => ("claim", None, None, Some(owner), None),
            Op::Release { owner, .. } => ("release", None, None, Some(owner), None),
            Op::Count(count) => ("count", None, None, None, Some(count)),
        };
        let expires_at = draft.and_then(|draft| draft.expires_at).or_else(|| count.and_then(|count| count.expires_at));
        self.acts.push(act);
        self.kinds.push(op.key().map(|key| key.kind.name()));
        self.names.push(op.target());
        self.owners.push(owner.map(String::as_str));
        self.seens.push(seen.map(|seen| seen.as_str()));
        self.schemas.push(draft.map(|draft| draft.schema.into()));
        self.bodies.push(draft.map(|draft| draft.body.as_str()));
        self.expiries.push(expires_at.map(|at| at.to_string()));
        self.deltas.push(count.map(|count| count.delta));
        self.floors.push(count.and_then(|count| count.floor));
        self.ceilings.push(count.and_then(|count| count.ceiling));
    }
}

/// A pause before try number `tried`, different for every commit, so that those who met do not meet again. Taken from the
/// commit's id, which is random enough for this.
fn pause(batch: &Batch, tried: u32) -> Duration {
    let digest = Sha256::new().chain_update(batch.id().as_str()).chain_update(tried.to_be_bytes()).finalize();
    let random = digest.iter().take(2).fold(0u32, |all, byte| all << 8 | u32::from(*byte));
    let longest = Duration::from_millis(2).saturating_mul(1 << tried.min(10)).min(MAX_PAUSE);
    longest.mul_f64(f64::from(random) / 65536.0)
}

fn outcome(place: Option<i32>, reason: Option<String>) -> Result<Outcome, StoreError> {
    let (Some(place), Some(reason)) = (place, reason) else { return Ok(Outcome::Committed) };
    let reason = match reason.as_str() {
        "exists" => Reason::Exists,
        "changed" => Reason::Changed,
        "taken" => Reason::Taken,
        "not_held" => Reason::NotHeld,
        "ceiling" => Reason::Ceiling,
        "floor" => Reason::Floor,
        other => return Err(StoreError::Corrupt(format!("asgard_commit gave the reason {other:?}"))),
    };
    let step =
        usize::try_from(place).map_err(|e| StoreError::Corrupt(format!("asgard_commit named step {place}: {e}")))?;
    Ok(Outcome::Refused(Refusal { step, reason }))
}

impl PostgresEngine {
    pub(super) async fn commit_batch(&self, batch: &Batch) -> Result<Outcome, StoreError> {
        let (steps, at) = (Steps::of(batch), batch.at().to_string());
        // In the transaction of the commit: it is told when that is there, and not when it was refused.
        let told = if is_told(batch) {
            format!("CASE WHEN place IS NULL THEN pg_notify('{CHANNEL}', '')::text END")
        } else {
            "NULL::text".to_owned()
        };
        let sql = format!("SELECT place, reason, {told} FROM {}({PARAMETERS})", self.named("asgard_commit"));
        let (mut conflicts, mut lost) = (0, None);
        loop {
            match self.once(async |connection| call(connection, &sql, batch, &at, &steps).await).await {
                Ok((place, reason, _)) => {
                    return match (outcome(place, reason)?, lost) {
                        // The copy that was lost may still be on its way, and nothing stands in its way for ever.
                        (Outcome::Refused(_), Some((_, error))) => Err(StoreError::Unknown(Box::new(error))),
                        (outcome, _) => Ok(outcome),
                    };
                }
                Err(failure) if failure.is_conflict() && conflicts < CONFLICTS => {
                    conflicts += 1;
                    tokio::time::sleep(pause(batch, conflicts)).await;
                }
                // The marker makes it safe to ask again; a batch whose fate stays unknown is the caller's to submit again.
                Err(Failure::Lost(error)) if lost.as_ref().is_none_or(|(times, _)| *times < self.attempts) => {
                    lost = Some((lost.map_or(1, |(times, _)| times + 1), error));
                }
                Err(failure) => {
                    // Whatever a later try is told, the one that was lost may have been carried out.
                    return Err(match (failure.into(), lost) {
                        (_, Some((_, error))) => StoreError::Unknown(Box::new(error)),
                        (failure, None) => failure,
                    });
                }
            }
        }
    }
}

async fn call(
    connection: &mut sqlx::PgConnection,
    sql: &str,
    batch: &Batch,
    at: &str,
    steps: &Steps<'_>,
) -> Result<(Option<i32>, Option<String>, Option<String>), sqlx::Error> {
    sqlx::query_as(AssertSqlSafe(sql))
        .bind(batch.id().as_str())
        .bind(at)
        .bind(&steps.places)
        .bind(&steps.acts)
        .bind(&steps.kinds)
        .bind(&steps.names)
        .bind(&steps.owners)
        .bind(&steps.seens)
        .bind(&steps.schemas)
        .bind(&steps.bodies)
        .bind(&steps.expiries)
        .bind(&steps.deltas)
        .bind(&steps.floors)
        .bind(&steps.ceilings)
        .fetch_one(connection)
        .await
}
