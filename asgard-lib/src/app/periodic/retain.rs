//! Removing what the audit log keeps no longer: the leading blocks of each chain with their events, and the leading segments of
//! the event feed. A chain is left with a marked stub, so that what remains still verifies.

use super::{Next, Periodic, PeriodicTask, deletes_nothing};
use crate::{
    app::{
        Asgard, Call, Tx,
        audit::marks::{is_genuine_block, marked_stub},
        core::waiver::AuditWaiver,
    },
    domain::audit::{AuditAction, AuditBlock, AuditEvent, AuditHead, AuditStub, FeedHead, FeedSegment},
    error::Result,
    kernel::Timestamp,
    ports::{
        kinds::{AUDIT_HEADS, Kind},
        records::{Entity, Records, Stored, draft},
        store::{Position, Query},
    },
};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};

/// Its declaration.
pub const RETAIN_AUDIT: Periodic = Periodic::every("audit-retention", Duration::from_secs(3600));

/// How many blocks one turn removes at most.
const BLOCKS: usize = 50;
/// How many chains one turn looks at.
const CHAINS: usize = 50;
/// How many of the blocks that follow one are asked when that was sealed.
const LOOKS_AHEAD: u64 = 20;
/// How many segments of the feed one batch removes.
const SEGMENTS: u64 = 90;
const DAY: u64 = 86_400;

/// Removes audit events that are older than `audit.retention_days`.
#[derive(Debug)]
pub struct RetainAudit;

/// How far the walk over the chains is. Losing it only means beginning again.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Walk {
    id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<Position>,
}

const WALK: &str = "loop/audit-retention";

impl Entity for Walk {
    const KIND: Kind = Kind::Meta;
    const NOUN: &'static str = "progress of audit retention";
    fn record_id(&self) -> String {
        self.id.clone()
    }
}

#[async_trait]
impl PeriodicTask for RetainAudit {
    fn declared(&self) -> Periodic {
        RETAIN_AUDIT
    }

    async fn wanted(&self, app: &Arc<Asgard>) -> Result<bool> {
        Ok(app.config().audit.retention_days > 0)
    }

    async fn run(&self, app: &Arc<Asgard>) -> Result<Next> {
        let days = app.config().audit.retention_days;
        if days == 0 {
            return Ok(Next::Rest);
        }
        let before = app.cautious_now().await?.minus(Duration::from_secs(days * DAY));
        // The feed first: a follower learns from its head that events are gone.
        if remove_segments(app, before).await? {
            return Ok(Next::Again);
        }
        let walk = app.store().read::<Walk>(WALK).await?;
        let after = walk.as_ref().and_then(|walk| walk.after.clone());
        let query = Query::new(&AUDIT_HEADS, "").after(after.clone()).take(CHAINS);
        let page = app.store().list::<AuditHead>(&query).await?;
        let (mut removed, mut done) = (0, after.clone());
        for head in &page.items {
            while remove_block(app, &head.chain, before).await? {
                removed += 1;
                if removed >= BLOCKS {
                    remember(app, walk.as_ref(), done).await?;
                    return Ok(Next::Again);
                }
            }
            done = Some(Position { sort: String::new(), id: head.chain.clone() });
        }
        let next = page.next.as_ref().and(done);
        let pace = if next.is_some() { Next::Again } else { Next::Rest };
        remember(app, walk.as_ref(), next).await?;
        Ok(pace)
    }

    async fn run_unsteadily(&self, _: &Arc<Asgard>) -> Result<Next> {
        Ok(deletes_nothing(self.name()))
    }
}

async fn remember(app: &Asgard, walk: Option<&Stored<Walk>>, after: Option<Position>) -> Result<()> {
    if walk.and_then(|walk| walk.after.as_ref()) == after.as_ref() {
        return Ok(());
    }
    let call = call(app);
    let now = &Walk { id: WALK.to_owned(), after };
    app.transact(&call, |tx| {
        Box::pin(async move {
            tx.waive_audit(AuditWaiver::Sweep)?;
            match tx.read_checked::<Walk>(WALK).await? {
                None => tx.insert(now),
                Some(before) => tx.replace(&before, now),
            }
        })
    })
    .await
}

fn call(app: &Asgard) -> Call {
    Call::system("audit-retention", app.new_trace())
}

/// The moments of what was appended one after another. One that lies far ahead was written by a wrong clock, and would keep everything
/// behind it until then: what follows was appended later, so its moment is taken instead.
fn believed(moments: &[Option<Timestamp>], now: Timestamp) -> Vec<Option<Timestamp>> {
    let mut next: Option<Timestamp> = None;
    let mut all: Vec<_> = moments
        .iter()
        .rev()
        .map(|moment| {
            let at = if moment.is_some_and(|at| at.is_far_ahead_of(now)) { next.or(*moment) } else { *moment };
            next = at.or(next);
            at
        })
        .collect();
    all.reverse();
    all
}

/// Whether a block that seems to be sealed in the future was sealed before this moment, because one of those that follow it was.
async fn was_sealed_before(tx: &Tx<'_>, chain: &str, number: u64, before: Timestamp) -> Result<bool> {
    let following: Vec<String> = (number + 1..=number + LOOKS_AHEAD).map(|next| AuditBlock::id(chain, next)).collect();
    let following = tx.app().store().read_many::<AuditBlock>(&following).await?;
    Ok(following.into_iter().flatten().any(|block| block.sealed_at < before))
}

/// Removes leading segments of the feed that were appended before this moment. `true` when there may be more.
async fn remove_segments(app: &Asgard, before: Timestamp) -> Result<bool> {
    let call = call(app);
    app.transact(&call, |tx| {
        Box::pin(async move {
            tx.waive_audit(AuditWaiver::Sweep)?;
            let Some(head) = tx.read_checked::<FeedHead>(FeedHead::ID).await? else { return Ok(false) };
            let last = head.settled.min(head.first + SEGMENTS - 1);
            let ids: Vec<String> = (head.first..=last).map(FeedSegment::id).collect();
            let mut first = head.first;
            let segments = tx.app().store().read_many::<FeedSegment>(&ids).await?;
            let moments: Vec<_> = segments.iter().map(|segment| segment.as_ref().map(|segment| segment.at)).collect();
            for (segment, at) in segments.into_iter().zip(believed(&moments, tx.now())) {
                match segment {
                    Some(segment) if at.is_some_and(|at| at < before) => tx.remove(&segment)?,
                    Some(_) => break,
                    None => {}
                }
                first += 1;
            }
            if first == head.first {
                return Ok(false);
            }
            tx.replace(&head, &FeedHead { first, ..head.value.clone() })?;
            Ok(first > last)
        })
    })
    .await
}

/// Removes the first block of a chain and its events, if it was sealed before this moment. `false` when there is nothing to remove.
async fn remove_block(app: &Asgard, chain: &str, before: Timestamp) -> Result<bool> {
    let call = call(app);
    app.transact(&call, |tx| {
        Box::pin(async move {
            tx.as_system()?;
            let stub = tx.read_checked::<AuditStub>(&AuditStub::id(chain)).await?;
            let number = stub.as_ref().map_or(1, |stub| stub.through + 1);
            let Some(block) = tx.read_checked::<AuditBlock>(&AuditBlock::id(chain, number)).await? else {
                return Ok(false);
            };
            if block.sealed_at >= before {
                let ahead = block.sealed_at.is_far_ahead_of(tx.now());
                if !ahead || !was_sealed_before(tx, chain, number, before).await? {
                    return Ok(false);
                }
            }
            // What was tampered with is evidence.
            if !is_genuine_block(tx.app(), &block).await? {
                tracing::error!(
                    chain,
                    number,
                    "A block of the audit log is not genuine, so retention leaves it where it is."
                );
                return Ok(false);
            }
            let ids: Vec<String> = block.events.iter().map(|(id, _)| id.to_string()).collect();
            let events: Vec<_> = tx.app().store().read_many::<AuditEvent>(&ids).await?.into_iter().flatten().collect();
            // Whoever sealed the block may have had a clock that was behind. What happened since is kept.
            if events.iter().any(|event| event.at >= before && !event.at.is_far_ahead_of(tx.now())) {
                return Ok(false);
            }
            for event in &events {
                tx.remove(event)?;
            }
            tx.remove(&block)?;
            let gone = u64::try_from(ids.len()).unwrap_or(u64::MAX);
            let next = marked_stub(
                tx.app().sealer(),
                AuditStub {
                    chain: chain.to_owned(),
                    through: number,
                    last_mac: block.mac.clone(),
                    events: stub.as_ref().map_or(0, |stub| stub.events) + gone,
                    removed_at: tx.now(),
                    mac_key: String::new(),
                    mac: String::new(),
                },
            )?;
            match &stub {
                None => tx.insert(&next)?,
                // As it is marked: nothing of the one before is carried over.
                Some(before) => tx.replace_draft(draft(&next)?, &before.version)?,
            }
            let details = [("block", number.to_string()), ("events", gone.to_string())];
            tx.audit(None, AuditAction::AuditRemoved, chain, &details)?;
            Ok(true)
        })
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_appended_far_ahead_is_as_old_as_what_follows() {
        let now = Timestamp::from_millis(1_800_000_000_000);
        let at = |days: i64| Some(Timestamp::from_millis(1_800_000_000_000 + days * 86_400_000));
        for (written, taken) in [
            (vec![at(-3), at(-2), at(-1)], vec![at(-3), at(-2), at(-1)]),
            (vec![at(-3), at(365), at(-1)], vec![at(-3), at(-1), at(-1)]),
            (vec![at(365), at(365), None, at(-1)], vec![at(-1), at(-1), None, at(-1)]),
            (vec![at(-3), at(365)], vec![at(-3), at(365)]),
            (vec![at(0), at(-365), at(0)], vec![at(0), at(-365), at(0)]),
        ] {
            assert_eq!(believed(&written, now), taken, "{written:?}");
        }
    }
}
