//! Sealing the audit log and appending to the event feed: pending events become blocks of their chains, marked with a key
//! that the store does not hold, and a segment of the feed, in one batch. See `docs/adr/0016-event-feed.md`.
//!
//! Several batches are under way at once. Each has a number of the feed that was reserved before, and no two of a round touch
//! the same chain. Whoever seals next fills the numbers that a dead sealer reserved and did not use; from then on what that
//! sealer may still have on its way is refused.

mod anchors;
mod batches;
mod marking;
mod oldest;

use super::{Next, Periodic, PeriodicTask};
use crate::{
    app::{
        Asgard, Call, Tx,
        audit::marks::{is_genuine_event, marked_block, sealed},
        core::waiver::AuditWaiver,
    },
    domain::audit::{
        AnchoredHead, AuditBlock, AuditEvent, AuditHead, AuditMarking, FeedHead, FeedSegment, PENDING, SealFormat,
    },
    error::{Code, Error, Result},
    kernel::{EventId, Timestamp},
    ports::{
        kinds::AUDIT_PENDING,
        records::{Records, Stored},
        store::Query,
    },
};
use anchors::Anchors;
use async_trait::async_trait;
use batches::{Chain, Waiting};
use futures_util::future::join_all;
use std::{ops::RangeInclusive, sync::Arc, time::Duration};

/// How long an event waits before it is sealed: what committed before it shows in the index by then.
pub(crate) const SETTLE: Duration = Duration::from_secs(2);
/// What is dated further ahead than clocks disagree was dated by a wrong one.
const AHEAD: Duration = Duration::from_secs(60);
/// The most batches under way at once.
const IN_FLIGHT: usize = 8;
/// The most pages of waiting events that a turn looks through for one that can be sealed.
const PAGES: usize = 20;

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
        let head = head(app).await?;
        let behind = head.settled > 0 && head.anchored.is_none_or(|anchored| anchored < head.settled);
        if is_open(&head) || behind {
            return Ok(true);
        }
        // Mostly nothing waits at all, and one look shows it.
        if app.store().list::<AuditEvent>(&Query::new(&AUDIT_PENDING, PENDING).take(1)).await?.items.is_empty() {
            return Ok(false);
        }
        for query in due(app) {
            if !app.store().list::<AuditEvent>(&query.take(1)).await?.items.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn run(&self, app: &Arc<Asgard>) -> Result<Next> {
        let marking = marking::settled(app).await?;
        let stored = app.store().read::<FeedHead>(FeedHead::ID).await?;
        oldest::find_once(app, stored.as_ref()).await?;
        let mut anchors = Anchors::begin(app, &stored.map_or_else(FeedHead::empty, |stored| stored.value)).await;
        for query in due(app) {
            if let Some(next) = seal_due(app, marking.as_ref(), query, &mut anchors).await? {
                return Ok(next);
            }
        }
        let head = head(app).await?;
        if is_open(&head) || anchors.through(&head) != head.anchored {
            reserve(app, 0, None, &anchors).await?;
            app.appended().notify_waiters();
        }
        Ok(if anchors.lag(&head) { Next::Again } else { Next::Rest })
    }
}

/// Seals what a query finds; what is next where that was not all.
async fn seal_due(
    app: &Asgard,
    marking: Option<&AuditMarking>,
    query: Query,
    anchors: &mut Anchors,
) -> Result<Option<Next>> {
    let mut query = query.take(Query::MAX_LIMIT);
    for _ in 0..PAGES {
        let pending = app.store().list::<AuditEvent>(&query).await?;
        // The index may lag and show what was sealed just now.
        let events = still_waiting(app, &pending.items).await?;
        let events = match marking {
            Some(_) => marking::genuine(app, events).await?,
            None => events,
        };
        let looked_in_vain = events.is_empty();
        if !seal_all(app, marking, events, anchors).await? {
            // Another process seals; what is left is its.
            return Ok(Some(Next::Rest));
        }
        match pending.next {
            // Nothing on this page can be sealed: what can be is behind it.
            Some(next) if looked_in_vain => query = query.after(Some(next)),
            Some(_) => return Ok(Some(Next::Again)),
            None => break,
        }
    }
    Ok(None)
}

/// Seals these events in rounds. `false` when another process was faster.
async fn seal_all(
    app: &Asgard,
    marking: Option<&AuditMarking>,
    events: Vec<Stored<AuditEvent>>,
    anchors: &mut Anchors,
) -> Result<bool> {
    let mut waiting = Waiting::of(events);
    loop {
        let round = waiting.round(IN_FLIGHT);
        if round.is_empty() {
            return Ok(true);
        }
        let count = u64::try_from(round.len()).map_err(Error::bug)?;
        let oldest = round.iter().flatten().flat_map(|chain| &chain.events).map(|event| event.at).min();
        let first = reserve(app, count, oldest, anchors).await?;
        let batches = (first..).zip(&round).map(|(number, batch)| append(app, marking, number, batch));
        let appended = join_all(batches).await;
        app.appended().notify_waiters();
        let (mut heads, mut superseded) = (Vec::new(), false);
        for done in appended {
            match done? {
                Some(sealed) => heads.extend(sealed),
                None => superseded = true,
            }
        }
        anchors.keep(app, first, count, &heads).await;
        if superseded {
            return Ok(false);
        }
    }
}

/// What can be sealed: the events that have settled, oldest first, and then those that a wrong clock has dated far ahead, which would
/// otherwise wait until then.
fn due(app: &Asgard) -> [Query; 2] {
    let (now, query) = (app.world().now(), Query::new(&AUDIT_PENDING, PENDING));
    [query.clone().below(now.minus(SETTLE).to_string()), query.from(now.plus(AHEAD).to_string())]
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
/// segments, so that everything below the new numbers is settled, and a batch that comes too late is refused. The `oldest` of the events
/// that are sealed under these numbers is known before they are.
async fn reserve(app: &Asgard, count: u64, oldest: Option<Timestamp>, anchors: &Anchors) -> Result<u64> {
    let call = call(app);
    app.transact(&call, |tx| {
        Box::pin(async move {
            tx.waive_audit(AuditWaiver::Sealing)?;
            let stored = tx.read_checked::<FeedHead>(FeedHead::ID).await?;
            let head = stored.as_ref().map_or_else(FeedHead::empty, |stored| stored.value.clone());
            if head.reserved > head.settled {
                for number in missing(tx.app(), head.settled + 1..=head.reserved).await? {
                    tx.insert(&FeedSegment::empty(number, tx.now()))?;
                }
            }
            let anchored = anchors.through(&head);
            let oldest = match &stored {
                Some(stored) if stored.oldest.is_none() => None,
                Some(_) | None => head.oldest.into_iter().chain(oldest).min(),
            };
            let (settled, reserved) = (head.reserved, head.reserved + count);
            let next = FeedHead { settled, reserved, anchored, oldest, ..head.clone() };
            match &stored {
                None => tx.insert(&next)?,
                Some(stored) => tx.replace(stored, &next)?,
            }
            Ok(head.reserved + 1)
        })
    })
    .await
}

/// Seals the events of these chains and writes the segment of that number, in one batch. Says where the chains end now; `None` when
/// another sealer filled the number and nothing of the batch was written.
async fn append(
    app: &Asgard,
    marking: Option<&AuditMarking>,
    number: u64,
    batch: &[Chain],
) -> Result<Option<Vec<AnchoredHead>>> {
    let call = call(app);
    let mut tries = 0;
    let done = app
        .transact(&call, |tx| {
            tries += 1;
            let as_listed = tries == 1;
            Box::pin(async move {
                tx.waive_audit(AuditWaiver::Sealing)?;
                let fresh = if as_listed { None } else { Some(read_again(tx.app(), marking, batch).await?) };
                let chains = fresh.as_deref().unwrap_or(batch);
                let names: Vec<String> = chains.iter().map(|chain| chain.name.clone()).collect();
                let heads = tx.app().store().read_many::<AuditHead>(&names).await?;
                let (mut events, mut ends) = (Vec::new(), Vec::new());
                for (chain, head) in chains.iter().zip(&heads) {
                    ends.push(seal(tx, marking, chain, head.as_ref(), &mut events)?);
                }
                let superseded = Error::new(Code::StaleVersion, "Another process has used this number of the feed.");
                tx.insert_or(&FeedSegment { number, at: tx.now(), events, chains: names }, superseded)?;
                Ok(ends)
            })
        })
        .await;
    match done {
        Ok(ends) => Ok(Some(ends)),
        Err(error) if error.code() == Code::StaleVersion => Ok(None),
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
    let waits = |event: &Stored<AuditEvent>| event.unsealed.as_deref() == Some(PENDING);
    Ok(found.into_iter().flatten().filter(waits).collect())
}

/// A batch again after another sealer was faster with some of it, or an event was changed meanwhile.
async fn read_again(app: &Asgard, marking: Option<&AuditMarking>, batch: &[Chain]) -> Result<Vec<Chain>> {
    let events: Vec<&Stored<AuditEvent>> = batch.iter().flat_map(|chain| &chain.events).collect();
    let mut waiting = Vec::new();
    for event in still_waiting(app, events).await? {
        if marking.is_none() || is_genuine_event(app, &event).await? {
            waiting.push(event);
        }
    }
    Ok(Waiting::of(waiting).everything())
}

/// Seals events of a chain into its next block, and says where the chain ends then.
fn seal(
    tx: &mut Tx<'_>,
    marking: Option<&AuditMarking>,
    chain: &Chain,
    head: Option<&Stored<AuditHead>>,
    listed: &mut Vec<EventId>,
) -> Result<AnchoredHead> {
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
        marking: None,
        mac_key: String::new(),
        mac: String::new(),
    };
    let block = marked_block(tx.app().sealer(), marking, block)?;
    let end = AuditHead { chain: chain.name.clone(), number, mac: block.mac.clone() };
    tx.insert(&block)?;
    match head {
        None => tx.insert(&end)?,
        Some(head) => tx.replace(head, &end)?,
    }
    Ok(AnchoredHead { chain: end.chain, number, mac: end.mac })
}
