//! Sealing the audit log and appending to the event feed: pending events become blocks of their chains, marked with a key
//! that the store does not hold, and a segment of the feed, in one batch. See `docs/adr/0016-event-feed.md`.
//!
//! Several batches are under way at once. Each has a number of the feed that was reserved before, and no two of a round touch
//! the same chain. Whoever seals next fills the numbers that a dead sealer reserved and did not use; from then on what that
//! sealer may still have on its way is refused.

mod batches;

use super::{Next, Periodic, PeriodicTask};
use crate::{
    app::{
        Asgard, Call, Tx,
        audit::marks::{marked_block, sealed},
        core::waiver::AuditWaiver,
    },
    domain::audit::{AuditBlock, AuditEvent, AuditHead, FeedHead, FeedSegment, PENDING, SealFormat},
    error::{Code, Error, Result},
    kernel::EventId,
    ports::{
        kinds::AUDIT_PENDING,
        records::{Records, Stored},
        store::Query,
    },
};
use async_trait::async_trait;
use batches::{Chain, Waiting};
use futures_util::future::join_all;
use std::{ops::RangeInclusive, sync::Arc, time::Duration};

/// How long an event waits before it is sealed: what committed before it shows in the index by then.
pub(crate) const SETTLE: Duration = Duration::from_secs(2);
/// The most batches under way at once.
const IN_FLIGHT: usize = 8;

/// Its declaration.
pub const SEAL_AUDIT: Periodic = Periodic::every("audit-seal", Duration::from_secs(2));

/// Seals pending audit events, and appends them to the event feed.
#[derive(Debug)]
pub struct SealAudit;

#[async_trait]
impl PeriodicTask for SealAudit {
    fn declared(&self) -> Periodic {
        SEAL_AUDIT
    }

    async fn wanted(&self, app: &Arc<Asgard>) -> Result<bool> {
        Ok(!app.store().list::<AuditEvent>(&due(app).take(1)).await?.items.is_empty() || is_open(&head(app).await?))
    }

    async fn run(&self, app: &Arc<Asgard>) -> Result<Next> {
        let pending = app.store().list::<AuditEvent>(&due(app).take(Query::MAX_LIMIT)).await?;
        // The index may lag and show what was sealed just now.
        let mut waiting = Waiting::of(still_waiting(app, &pending.items).await?);
        loop {
            let round = waiting.round(IN_FLIGHT);
            if round.is_empty() {
                if is_open(&head(app).await?) {
                    reserve(app, 0).await?;
                    app.appended().notify_waiters();
                }
                return Ok(if pending.next.is_some() { Next::Again } else { Next::Rest });
            }
            let first = reserve(app, u64::try_from(round.len()).map_err(Error::bug)?).await?;
            let batches = (first..).zip(&round).map(|(number, batch)| append(app, number, batch));
            let appended = join_all(batches).await;
            app.appended().notify_waiters();
            for done in appended {
                match done? {
                    Appended::Here => {}
                    // Another process seals; what is left is its.
                    Appended::Superseded => return Ok(Next::Rest),
                }
            }
        }
    }
}

/// The events that have settled, oldest first.
fn due(app: &Asgard) -> Query {
    Query::new(&AUDIT_PENDING, PENDING).below(app.world().now().minus(SETTLE).to_string())
}

async fn head(app: &Asgard) -> Result<FeedHead> {
    let head = app.store().read::<FeedHead>(FeedHead::ID).await?;
    Ok(head.map_or_else(FeedHead::empty, |head| head.value))
}

/// Which of these segments are not there.
async fn missing(app: &Asgard, numbers: RangeInclusive<u64>) -> Result<Vec<u64>> {
    let ids: Vec<String> = numbers.clone().map(FeedSegment::id).collect();
    let found = app.store().read_many::<FeedSegment>(&ids).await?;
    Ok(numbers.zip(found).filter_map(|(number, segment)| segment.is_none().then_some(number)).collect())
}

/// Whether a number was reserved that nobody has seen to since: a sealer is at work, or died.
const fn is_open(head: &FeedHead) -> bool {
    head.reserved > head.settled
}

fn call(app: &Asgard) -> Call {
    Call::system("audit-seal", app.new_trace())
}

/// Reserves numbers of the feed and returns the first of them. What was reserved before and is not there is filled with empty
/// segments, so that everything below the new numbers is settled, and a batch that comes too late is refused.
async fn reserve(app: &Asgard, count: u64) -> Result<u64> {
    let call = call(app);
    app.transact(&call, |tx| {
        Box::pin(async move {
            tx.waive_audit(AuditWaiver::Sealing)?;
            let stored = tx.read_checked::<FeedHead>(FeedHead::ID).await?;
            let head = stored.as_ref().map_or_else(FeedHead::empty, |stored| stored.value.clone());
            if head.reserved > head.settled {
                for number in missing(tx.app(), head.settled + 1..=head.reserved).await? {
                    tx.insert(&FeedSegment { number, at: tx.now(), events: Vec::new() })?;
                }
            }
            let next = FeedHead { settled: head.reserved, reserved: head.reserved + count, ..head.clone() };
            match &stored {
                None => tx.insert(&next)?,
                Some(stored) => tx.replace(stored, &next)?,
            }
            Ok(head.reserved + 1)
        })
    })
    .await
}

/// What became of a batch.
enum Appended {
    /// Its segment is the one that was meant.
    Here,
    /// Another sealer filled the number; nothing of the batch was written.
    Superseded,
}

/// Seals the events of these chains and writes the segment of that number, in one batch.
async fn append(app: &Asgard, number: u64, batch: &[Chain]) -> Result<Appended> {
    let call = call(app);
    let mut tries = 0;
    let done = app
        .transact(&call, |tx| {
            tries += 1;
            let as_listed = tries == 1;
            Box::pin(async move {
                tx.waive_audit(AuditWaiver::Sealing)?;
                let fresh = if as_listed { None } else { Some(read_again(tx.app(), batch).await?) };
                let chains = fresh.as_deref().unwrap_or(batch);
                let names: Vec<String> = chains.iter().map(|chain| chain.name.clone()).collect();
                let heads = tx.app().store().read_many::<AuditHead>(&names).await?;
                let mut events = Vec::new();
                for (chain, head) in chains.iter().zip(&heads) {
                    seal(tx, chain, head.as_ref(), &mut events)?;
                }
                let superseded = Error::new(Code::StaleVersion, "Another process has used this number of the feed.");
                tx.insert_or(&FeedSegment { number, at: tx.now(), events }, superseded)
            })
        })
        .await;
    match done {
        Ok(()) => Ok(Appended::Here),
        Err(error) if error.code() == Code::StaleVersion => Ok(Appended::Superseded),
        Err(error) => Err(error),
    }
}

/// The same events as they are now, those that still wait.
async fn still_waiting<'e>(
    app: &Asgard,
    events: impl IntoIterator<Item = &'e Stored<AuditEvent>>,
) -> Result<Vec<Stored<AuditEvent>>> {
    let ids: Vec<String> = events.into_iter().map(|event| event.value.id.to_string()).collect();
    let found = app.store().read_many::<AuditEvent>(&ids).await?;
    Ok(found.into_iter().flatten().filter(|event| event.unsealed.is_some()).collect())
}

/// A batch again after another sealer was faster with some of it.
async fn read_again(app: &Asgard, batch: &[Chain]) -> Result<Vec<Chain>> {
    let events: Vec<&Stored<AuditEvent>> = batch.iter().flat_map(|chain| &chain.events).collect();
    Ok(Waiting::of(still_waiting(app, events).await?).everything())
}

/// Seals events of a chain into its next block.
fn seal(tx: &mut Tx<'_>, chain: &Chain, head: Option<&Stored<AuditHead>>, listed: &mut Vec<EventId>) -> Result<()> {
    let (number, previous) = head.map_or((1, String::new()), |head| (head.number + 1, head.mac.clone()));
    let mut covered = Vec::with_capacity(chain.events.len());
    for event in &chain.events {
        let (digest, draft) = sealed(event, number)?;
        tx.replace_draft(draft, &event.version)?;
        covered.push((event.id.clone(), digest));
        listed.push(event.id.clone());
    }
    let block = AuditBlock {
        format: SealFormat::Stored.number(),
        chain: chain.name.clone(),
        number,
        previous,
        events: covered,
        sealed_at: tx.now(),
        mac_key: String::new(),
        mac: String::new(),
    };
    let block = marked_block(tx.app().sealer(), block)?;
    let end = AuditHead { chain: chain.name.clone(), number, mac: block.mac.clone() };
    tx.insert(&block)?;
    match head {
        None => tx.insert(&end),
        Some(head) => tx.replace(head, &end),
    }
}
