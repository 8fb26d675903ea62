//! How pending events are cut into batches: as full as a batch may be, and each chain in at most one batch of a round, because
//! the blocks of a chain follow each other.

use crate::{
    domain::audit::{AuditAction, AuditEvent},
    ports::{records::Stored, store::Batch},
};
use std::collections::{BTreeMap, VecDeque};

/// The items of a batch that are neither events nor a chain's: the commit's marker and the feed's segment.
const OWN: usize = 2;
/// The items of a chain: its block and its head.
const CHAIN: usize = 2;
/// The most events in a block. Retention removes a block with its events, its stub and an audit event in one batch.
const BLOCK: usize = 90;
/// The most bytes of events in a batch; their block, head and segment come on top.
const BYTES: usize = 1_500_000;

/// Events of a chain, oldest first.
#[derive(Debug)]
pub(super) struct Chain {
    pub name: String,
    pub events: Vec<Stored<AuditEvent>>,
}

/// What waits to be sealed, by chain; the chain of the oldest event first.
pub(super) struct Waiting(VecDeque<(String, VecDeque<Stored<AuditEvent>>)>);

impl Waiting {
    pub(crate) fn of(events: Vec<Stored<AuditEvent>>) -> Self {
        let mut places: BTreeMap<String, usize> = BTreeMap::new();
        let mut chains: VecDeque<(String, VecDeque<_>)> = VecDeque::new();
        for event in events {
            let name = event.chain().to_owned();
            match places.get(&name).and_then(|place| chains.get_mut(*place)) {
                Some((_, events)) => events.push_back(event),
                None => {
                    places.insert(name.clone(), chains.len());
                    chains.push_back((name, VecDeque::from([event])));
                }
            }
        }
        for (_, events) in &mut chains {
            // A chain begins with its project's registration, whatever the clocks of those say who committed what follows.
            let first = events.iter().position(|event| event.action == AuditAction::ProjectRegistered);
            if let Some(registration) = first.and_then(|at| events.remove(at)) {
                events.push_front(registration);
            }
        }
        Self(chains)
    }

    /// Everything, whatever its size: what was one batch before still fits into one.
    pub(crate) fn everything(self) -> Vec<Chain> {
        self.0.into_iter().map(|(name, events)| Chain { name, events: events.into() }).collect()
    }

    /// The next batches, at most `batches`. What does not fit waits for the next round.
    pub(crate) fn round(&mut self, batches: usize) -> Vec<Vec<Chain>> {
        let mut round: Vec<Vec<Chain>> = Vec::new();
        let (mut items, mut bytes) = (usize::MAX, usize::MAX);
        let mut later = VecDeque::new();
        while let Some((name, mut events)) = self.0.pop_front() {
            // A batch with room for the chain and one of its events takes what it can.
            let next = events.front().map_or(0, Stored::size);
            if items.saturating_add(CHAIN + 1) > Batch::MAX_ITEMS || bytes.saturating_add(next) > BYTES {
                if round.len() >= batches {
                    self.0.push_front((name, events));
                    break;
                }
                round.push(Vec::new());
                (items, bytes) = (OWN, 0);
            }
            items += CHAIN;
            let mut taken = Vec::new();
            while taken.len() < BLOCK && items < Batch::MAX_ITEMS {
                if events.front().is_none_or(|event| !taken.is_empty() && bytes + event.size() > BYTES) {
                    break;
                }
                let Some(event) = events.pop_front() else { break };
                items += 1;
                bytes += event.size();
                taken.push(event);
            }
            if let Some(batch) = round.last_mut() {
                batch.push(Chain { name: name.clone(), events: taken });
            }
            if !events.is_empty() {
                later.push_back((name, events));
            }
        }
        // What is left of a chain is older than what was not reached.
        later.append(&mut self.0);
        self.0 = later;
        round
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::audit::PENDING,
        kernel::{CommitId, Timestamp, id::TimeOrdered},
        ports::{
            records::{decode, key},
            store::Record,
        },
    };
    use serde_json::json;
    use std::collections::BTreeSet;

    fn event(number: u32, chain: u32, size: usize) -> Stored<AuditEvent> {
        let at = Timestamp::from_millis(1_800_000_000_000 + i64::from(number));
        let mut random = [0; 10];
        random[..4].copy_from_slice(&number.to_be_bytes());
        let id = crate::kernel::EventId::build(at, random);
        let body = json!({
            "id": id, "at": at, "day": "2027-01-15", "project": format!("proj-2026-{:04}", chain + 1), "actor": { "kind": "system", "id": "x" },
            "action": "run.started", "object": "run_1", "trace": "trc_00000000000000000000000000", "unsealed": PENDING,
            "details": { "text": "x".repeat(size) },
        });
        let version = CommitId::build(at, random);
        let key = key::<AuditEvent>(id.to_string());
        decode(Record { key, version, schema: 1, body: body.to_string(), expires_at: None, noted_at: None }).unwrap()
    }

    fn items(batch: &[Chain]) -> usize {
        OWN + batch.iter().map(|chain| CHAIN + chain.events.len()).sum::<usize>()
    }

    /// Whatever the mix: batches keep the limits, chains keep their order, a round has a chain once, and all is done.
    #[test]
    fn everything_is_sealed_once_in_the_order_of_its_chain() {
        for (events, chains, size) in
            [(1, 1, 10), (300, 1, 10), (300, 300, 10), (1000, 7, 10), (1000, 120, 10), (40, 3, 200_000)]
        {
            let all: Vec<_> = (0..events).map(|n| event(n, n * 7 % chains, size)).collect();
            let mut waiting = Waiting::of(all.clone());
            let mut done: BTreeMap<String, Vec<_>> = BTreeMap::new();
            let mut rounds = 0;
            loop {
                let round = waiting.round(3);
                if round.is_empty() {
                    break;
                }
                rounds += 1;
                assert!(round.len() <= 3 && rounds <= 400, "{events} in {chains}");
                let mut names = BTreeSet::new();
                for batch in &round {
                    assert!(items(batch) <= Batch::MAX_ITEMS && !batch.is_empty());
                    let bytes: usize = batch.iter().flat_map(|chain| &chain.events).map(Stored::size).sum();
                    assert!(bytes <= BYTES, "{bytes}");
                    for chain in batch {
                        assert!(names.insert(chain.name.clone()), "a chain twice in a round");
                        assert!(!chain.events.is_empty() && chain.events.len() <= BLOCK);
                        done.entry(chain.name.clone()).or_default().extend(chain.events.iter().map(|e| e.id.clone()));
                    }
                }
            }
            let mut expected: BTreeMap<String, Vec<_>> = BTreeMap::new();
            for event in &all {
                expected.entry(event.chain().to_owned()).or_default().push(event.id.clone());
            }
            assert_eq!(done, expected, "{events} in {chains}");
        }
    }

    #[test]
    fn batches_are_full_where_there_is_enough() {
        let mut waiting = Waiting::of((0..800).map(|n| event(n, n % 80, 10)).collect());
        let round = waiting.round(8);
        assert_eq!(round.len(), 8);
        for batch in &round {
            assert!(items(batch) > Batch::MAX_ITEMS - CHAIN - 1, "{}", items(batch));
        }
    }
}
