//! Verifying the audit log: every hash and mark is computed again, and every event is looked for in the block that it names.
//! What a writer to the database could do without the key shows: changing, removing, adding, moving. Cutting off the end of a
//! chain, or setting everything back, shows only against anchors from outside. What retention removed is said, and its marked
//! stub proves what the rest follows. What cannot be known is said as well. See the table in `docs/audit.md`.

mod anchored;
mod events;
mod report;

pub use report::{AnchorReport, Break, RemovedBlocks, VerifyReport};

use crate::{
    app::{
        Asgard,
        audit::marks::{digest, is_genuine_block, is_genuine_stub, marking},
    },
    domain::{
        audit::{AuditAction, AuditBlock, AuditEvent, AuditHead, AuditMarking, AuditStub, ORG_CHAIN, SealFormat},
        project::Project,
    },
    error::Result,
    kernel::{EventId, Timestamp},
    ports::{
        kinds::{AUDIT_HEADS, PROJECTS},
        records::{Records, Stored},
        store::Query,
    },
};
use anchored::{Anchored, Named};
use report::Doubts;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// How many blocks and events one call looks at.
const BUDGET: usize = 50_000;
/// The most breaks that a report lists.
const MAX_BREAKS: usize = 100;
/// The most chains whose removed blocks a report lists.
const MAX_REMOVED: usize = 100;
/// How many blocks are read at a time.
const BLOCKS: u64 = 20;
const PAGE: usize = 500;
/// How long after its registration a project has to have a chain.
const SETTLED: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

/// Verifies one chain, or all of them.
pub async fn verify(app: &Asgard, chain: Option<&str>) -> Result<VerifyReport> {
    verify_within(app, chain, None, BUDGET).await
}

/// The same, against anchors: any text that has them in it, such as a log.
pub async fn verify_anchored(app: &Asgard, chain: Option<&str>, anchors: &str) -> Result<VerifyReport> {
    verify_within(app, chain, Some(anchors), BUDGET).await
}

/// The same, looking at about `budget` blocks and events.
pub async fn verify_within(
    app: &Asgard,
    chain: Option<&str>,
    anchors: Option<&str>,
    budget: usize,
) -> Result<VerifyReport> {
    let as_of = app.world().now();
    let (anchored, anchors) = match anchors {
        Some(text) => {
            let (anchored, report) = anchored::read(app, text).await?;
            (anchored, Some(report))
        }
        None => (Anchored::default(), None),
    };
    let report = VerifyReport {
        chains: 0,
        blocks: 0,
        events: 0,
        breaks: Vec::new(),
        unsealed: 0,
        removed: Vec::new(),
        as_of,
        anchors,
        cannot_know: Vec::new(),
        complete: true,
    };
    let mut walk = Walk { app, budget, report, anchored, marking: None, doubts: Doubts::default() };
    walk.look_at_marking().await?;
    let chains = match chain {
        Some(chain) => BTreeSet::from([chain.to_owned()]),
        None => walk.chains().await?,
    };
    for name in &chains {
        if walk.spent() {
            break;
        }
        walk.report.chains += 1;
        let mut seen = walk.blocks(name).await?;
        walk.events(name, chain.is_none().then_some(&chains), &mut seen).await?;
        walk.beginning(name, &seen);
    }
    let Walk { mut report, doubts, .. } = walk;
    report.cannot_know = doubts.sentences(&report, chain.is_some());
    Ok(report)
}

struct Walk<'a> {
    app: &'a Asgard,
    budget: usize,
    report: VerifyReport,
    anchored: Anchored,
    /// Since when events are marked.
    marking: Option<AuditMarking>,
    doubts: Doubts,
}

/// An event as its block lists it.
struct ListedEvent {
    block: u64,
    format: SealFormat,
    digest: String,
}

/// What the blocks of a chain say.
#[derive(Default)]
struct Seen {
    /// The events that blocks list.
    events: BTreeMap<EventId, ListedEvent>,
    /// When the first event happened.
    since: Option<Timestamp>,
    /// Whether the event was there that the chain begins with.
    begun: bool,
    /// Whether blocks that retention removed came before.
    shortened: bool,
    /// The present layout of blocks was seen, so none of an earlier may follow.
    marked: bool,
    /// Whether every block was looked at.
    all: bool,
    /// Whether every event was.
    all_events: bool,
}

impl Walk<'_> {
    fn spent(&mut self) -> bool {
        self.report.complete &= self.budget > 0;
        self.budget == 0
    }

    fn pay(&mut self, items: usize) {
        self.budget = self.budget.saturating_sub(items.max(1));
    }

    fn breaks(&mut self, chain: &str, block: Option<u64>, event: Option<&EventId>, what: impl Into<String>) {
        if self.report.breaks.len() < MAX_BREAKS {
            self.report.breaks.push(Break { chain: chain.to_owned(), block, event: event.cloned(), what: what.into() });
        }
    }

    async fn look_at_marking(&mut self) -> Result<()> {
        if let Some((marking, genuine)) = marking(self.app).await? {
            if !genuine {
                let what = "The mark of the record that says since when events are marked is not genuine.";
                self.breaks(ORG_CHAIN, None, Some(&marking.event), what);
            }
            self.marking = Some(marking);
        }
        Ok(())
    }

    /// Every chain there is or should be: one whose head was removed is still a project's, and an anchor's.
    async fn chains(&mut self) -> Result<BTreeSet<String>> {
        let mut chains: BTreeSet<String> = self.anchored.chains.keys().cloned().collect();
        chains.insert(ORG_CHAIN.to_owned());
        let mut heads = Query::new(&AUDIT_HEADS, "").take(PAGE);
        while !self.spent() {
            let page = self.app.store().list::<AuditHead>(&heads).await?;
            self.pay(page.items.len());
            chains.extend(page.items.into_iter().map(|head| head.value.chain));
            let Some(next) = page.next else { break };
            heads = heads.after(Some(next));
        }
        let mut projects = Query::new(&PROJECTS, "").take(PAGE);
        while !self.spent() {
            let page = self.app.store().list::<Project>(&projects).await?;
            self.pay(page.items.len());
            // The events of one that was registered just now may not show yet.
            let settled =
                page.items.into_iter().filter(|project| project.created_at < self.report.as_of.minus(SETTLED));
            chains.extend(settled.map(|project| project.value.id.to_string()));
            let Some(next) = page.next else { break };
            projects = projects.after(Some(next));
        }
        Ok(chains)
    }

    async fn head(&self, chain: &str) -> Result<Option<Stored<AuditHead>>> {
        self.app.store().read::<AuditHead>(chain).await
    }

    async fn block_exists(&self, chain: &str, number: u64) -> Result<bool> {
        Ok(self.app.store().read::<AuditBlock>(&AuditBlock::id(chain, number)).await?.is_some())
    }

    /// The chain's stub, if retention left one that is genuine.
    async fn stub(&mut self, chain: &str) -> Result<Option<AuditStub>> {
        let Some(stub) = self.app.store().read::<AuditStub>(&AuditStub::id(chain)).await? else { return Ok(None) };
        if is_genuine_stub(self.app, chain, &stub).await? {
            return Ok(Some(stub.value));
        }
        self.breaks(chain, Some(0), None, "The mark of what retention removed is not genuine.");
        Ok(None)
    }

    /// Whether retention removed this block since the walk along its chain began.
    async fn was_removed(&mut self, chain: &str, number: u64) -> Result<bool> {
        Ok(self.stub(chain).await?.is_some_and(|stub| stub.through >= number))
    }

    /// Walks a chain's blocks from the first that is kept to its head.
    async fn blocks(&mut self, chain: &str) -> Result<Seen> {
        let stub = self.stub(chain).await?;
        let head = self.head(chain).await?;
        let last = head.as_ref().map_or(0, |head| head.number);
        let mut seen = Seen::default();
        let mut previous = Some(stub.as_ref().map_or_else(String::new, |stub| stub.last_mac.clone()));
        let mut number = stub.as_ref().map_or(1, |stub| stub.through + 1);
        seen.shortened = stub.is_some();
        let mut named = self.anchored.chains.remove(chain).unwrap_or_default();
        if let Some(report) = &mut self.report.anchors
            && named.last_key_value().is_none_or(|(number, _)| *number < last)
            && last > 0
        {
            report.chains_ahead += 1;
        }
        if let Some(stub) = &stub {
            // What lies before the last block that was removed is proven by that block's mark, which the stub keeps.
            named = named.split_off(&stub.through);
            self.compare(chain, stub.through, &stub.last_mac, &mut named);
        }
        if let Some(AuditStub { chain, through, events, removed_at, .. }) = stub
            && self.report.removed.len() < MAX_REMOVED
        {
            self.report.removed.push(RemovedBlocks { chain, through, events, removed_at });
        }
        while number <= last {
            if self.spent() {
                return Ok(seen);
            }
            let end = last.min(number + BLOCKS - 1);
            let ids: Vec<String> = (number..=end).map(|n| AuditBlock::id(chain, n)).collect();
            for (n, block) in (number..=end).zip(self.app.store().read_many::<AuditBlock>(&ids).await?) {
                match block {
                    Some(block) => {
                        self.block(chain, n, &block, previous.as_deref(), &mut seen).await?;
                        self.compare(chain, n, &block.mac, &mut named);
                        previous = Some(block.value.mac);
                    }
                    None => {
                        if !self.was_removed(chain, n).await? {
                            self.breaks(chain, Some(n), None, "The block is missing.");
                        }
                        named.remove(&n);
                        previous = None;
                    }
                }
            }
            number = end + 1;
        }
        seen.all = true;
        self.beyond(chain, last, &named).await?;
        if let (Some(head), Some(previous)) = (&head, &previous)
            && head.mac != *previous
        {
            self.breaks(chain, Some(last), None, "The chain's head does not name its last block.");
        }
        // Blocks are made one by one, so one that follows the head means that the head was set back, unless it moved just now.
        if self.block_exists(chain, last + 1).await? && self.head(chain).await?.map_or(0, |head| head.number) <= last {
            self.breaks(chain, Some(last + 1), None, "There is a block after the chain's head.");
        }
        Ok(seen)
    }

    /// Compares a block with what anchors say of its number.
    fn compare(&mut self, chain: &str, number: u64, mac: &str, named: &mut Named) {
        let Some(marks) = named.remove(&number) else { return };
        for (_, at) in marks.iter().filter(|(named, _)| *named != mac) {
            let what = format!(
                "An anchor of {at} names another block of this number: the chain was cut off there and went on."
            );
            self.breaks(chain, Some(number), None, what);
        }
    }

    /// What anchors say lies after the end of the chain.
    async fn beyond(&mut self, chain: &str, last: u64, named: &Named) -> Result<()> {
        let Some((number, marks)) = named.last_key_value() else { return Ok(()) };
        // An anchor is made after its block, so one that was made since this walk began has its block by now.
        if self.block_exists(chain, *number).await? {
            return Ok(());
        }
        let at = marks.values().min().map(ToString::to_string).unwrap_or_default();
        let what = if last == 0 {
            format!("An anchor of {at} says that the chain had {number} blocks: the whole chain was removed.")
        } else {
            format!(
                "An anchor of {at} says that the chain had {number} blocks, and it has {last}: its end was cut off."
            )
        };
        self.breaks(chain, Some(*number), None, what);
        Ok(())
    }

    async fn block(
        &mut self,
        chain: &str,
        number: u64,
        block: &Stored<AuditBlock>,
        previous: Option<&str>,
        seen: &mut Seen,
    ) -> Result<()> {
        self.pay(1 + block.events.len());
        self.report.blocks += 1;
        if block.chain != chain || block.number != number {
            self.breaks(chain, Some(number), None, "The block belongs elsewhere.");
        }
        if previous.is_some_and(|previous| previous != block.previous) {
            self.breaks(chain, Some(number), None, "The block does not follow the one before it.");
        }
        let Some(format) = SealFormat::of(block.format) else {
            self.breaks(chain, Some(number), None, "The block has a format that this version does not know.");
            return Ok(());
        };
        self.form(chain, number, format, block, seen);
        if !is_genuine_block(self.app, block).await? {
            self.breaks(chain, Some(number), None, "The block's mark is not genuine: the block has been changed.");
        }
        let ids: Vec<String> = block.events.iter().map(|(id, _)| id.to_string()).collect();
        let found = self.app.store().read_many::<AuditEvent>(&ids).await?;
        for ((id, listed), event) in block.events.iter().zip(found) {
            self.report.events += 1;
            match event {
                None => {
                    if !self.was_removed(chain, number).await? {
                        self.breaks(chain, Some(number), Some(id), "The event is missing.");
                    }
                }
                Some(event) if digest(format, &event)?.as_ref() != Some(listed) => {
                    self.breaks(chain, Some(number), Some(id), "The event has been changed.");
                }
                Some(event) if event.block != Some(number) => {
                    self.breaks(chain, Some(number), Some(id), "The event names another block.");
                }
                Some(event) => {
                    seen.since = Some(seen.since.map_or(event.at, |since| since.min(event.at)));
                    seen.begun |= self.begins(chain, &event);
                    self.doubts.sealed(format, event.at, block.sealed_at);
                }
            }
            let listed = ListedEvent { block: number, format, digest: listed.clone() };
            if seen.events.insert(id.clone(), listed).is_some() {
                self.breaks(chain, Some(number), Some(id), "The event is in two blocks.");
            }
        }
        Ok(())
    }

    /// Whether a block is of the marking that the store has, and none of an earlier form comes after one of this.
    fn form(&mut self, chain: &str, number: u64, format: SealFormat, block: &AuditBlock, seen: &mut Seen) {
        match format {
            SealFormat::Fields | SealFormat::Stored if seen.marked => {
                let what = "The block is of an earlier form than one before it, so its events may be anybody's.";
                self.breaks(chain, Some(number), None, what);
            }
            SealFormat::Fields | SealFormat::Stored => {}
            SealFormat::Marked => {
                seen.marked = true;
                let marking = self.marking.as_ref().map(|marking| &marking.event);
                if marking != block.marking.as_ref() {
                    let what = "The block is of another marking of events than the store has: the record of that was removed or made again.";
                    self.breaks(chain, Some(number), None, what);
                }
            }
        }
    }

    /// Whether this is the event that the chain begins with: its project's registration, or that with which marking began.
    fn begins(&self, chain: &str, event: &AuditEvent) -> bool {
        if chain == ORG_CHAIN {
            self.marking.as_ref().is_some_and(|marking| marking.event == event.id)
        } else {
            event.action == AuditAction::ProjectRegistered && event.chain() == chain
        }
    }

    /// Whether the chain has its beginning. One that lost everything would begin anew with what happens next.
    fn beginning(&mut self, chain: &str, seen: &Seen) {
        let known = seen.all && seen.all_events && !seen.shortened;
        if !known || seen.begun || (chain == ORG_CHAIN && self.marking.is_none()) {
            return;
        }
        let what = if chain == ORG_CHAIN {
            "The chain does not hold the event with which marking began: its beginning was removed."
        } else {
            "The chain does not hold its project's registration: its beginning was removed, or all of it."
        };
        self.breaks(chain, None, None, what);
    }
}
