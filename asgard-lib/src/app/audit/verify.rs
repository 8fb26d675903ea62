//! Verifying the sealed audit log: every hash and mark is computed again, and every event is looked for in the block that it
//! names. What a writer to the database could do without the key shows: changing, removing, adding, moving, cutting off. What
//! retention removed is said, and its marked stub proves what the rest follows.

use crate::{
    app::{
        Asgard,
        audit::marks::{digest, is_genuine_block, is_genuine_stub},
    },
    domain::{
        audit::{AuditBlock, AuditEvent, AuditHead, AuditStub, ORG_CHAIN, SealFormat},
        project::Project,
    },
    error::Result,
    kernel::{EventId, Timestamp},
    ports::{
        kinds::{AUDIT_BY_DAY, AUDIT_BY_PROJECT, AUDIT_HEADS, PROJECTS},
        records::{Records, Stored},
        store::Query,
    },
};
use schemars::JsonSchema;
use serde::Serialize;
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
const DAY: Duration = Duration::from_secs(86_400);

/// Where the log is not what was sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Break {
    /// The audit chain: a project's id, or `org` for what belongs to no project.
    pub chain: String,
    /// The number of the block that does not verify.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub block: Option<u64>,
    /// The id of the event that does not verify.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<EventId>,
    /// What is wrong with it, in a sentence.
    pub what: String,
}

/// Blocks that retention removed from the beginning of a chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct RemovedBlocks {
    /// The chain: a project's id, or `org`.
    pub chain: String,
    /// The number of the last block that was removed; every block before it was removed too.
    pub through: u64,
    /// How many events were in them.
    pub events: u64,
    /// The time at which the last of them was removed.
    pub removed_at: Timestamp,
}

/// What verifying found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct VerifyReport {
    /// The number of chains that were verified.
    pub chains: u64,
    /// The number of blocks that were verified.
    pub blocks: u64,
    /// The number of sealed events that were verified.
    pub events: u64,
    /// The places where the log is not what was sealed, at most 100.
    pub breaks: Vec<Break>,
    /// Events that are not sealed yet; nothing protects them so far.
    pub unsealed: u64,
    /// The time of this verification.
    pub as_of: Timestamp,
    /// What retention removed, for the first 100 chains where it did. The rest of such a chain is proven all the same.
    pub removed: Vec<RemovedBlocks>,
    /// Whether everything was looked at; a very long log takes more than one call, chain by chain.
    pub complete: bool,
}

/// Verifies one chain, or all of them.
pub async fn verify(app: &Asgard, chain: Option<&str>) -> Result<VerifyReport> {
    verify_within(app, chain, BUDGET).await
}

/// The same, looking at about `budget` blocks and events.
pub async fn verify_within(app: &Asgard, chain: Option<&str>, budget: usize) -> Result<VerifyReport> {
    let as_of = app.world().now();
    let report = VerifyReport {
        chains: 0,
        blocks: 0,
        events: 0,
        breaks: Vec::new(),
        unsealed: 0,
        removed: Vec::new(),
        as_of,
        complete: true,
    };
    let mut walk = Walk { app, budget, report };
    let chains = match chain {
        Some(chain) => BTreeSet::from([chain.to_owned()]),
        None => walk.chains().await?,
    };
    for chain in chains {
        if walk.spent() {
            break;
        }
        walk.report.chains += 1;
        let seen = walk.blocks(&chain).await?;
        walk.events(&chain, &seen).await?;
    }
    Ok(walk.report)
}

struct Walk<'a> {
    app: &'a Asgard,
    budget: usize,
    report: VerifyReport,
}

/// What the blocks of a chain say.
#[derive(Default)]
struct Seen {
    /// The block that lists each event.
    events: BTreeMap<EventId, u64>,
    /// When the first event happened.
    since: Option<Timestamp>,
    /// Whether every block was looked at.
    all: bool,
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

    /// Every chain there is or should be: a chain whose head was removed is still a project's.
    async fn chains(&mut self) -> Result<BTreeSet<String>> {
        let mut chains = BTreeSet::from([ORG_CHAIN.to_owned()]);
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
            chains.extend(page.items.into_iter().map(|project| project.value.id.to_string()));
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
                        previous = Some(block.value.mac);
                    }
                    None => {
                        if !self.was_removed(chain, n).await? {
                            self.breaks(chain, Some(n), None, "The block is missing.");
                        }
                        previous = None;
                    }
                }
            }
            number = end + 1;
        }
        seen.all = true;
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
                }
            }
            if seen.events.insert(id.clone(), number).is_some() {
                self.breaks(chain, Some(number), Some(id), "The event is in two blocks.");
            }
        }
        Ok(())
    }

    /// Walks a chain's events: each is in the block that it names, or waits to be sealed.
    async fn events(&mut self, chain: &str, seen: &Seen) -> Result<()> {
        if chain != ORG_CHAIN {
            return self.page_through(chain, Query::new(&AUDIT_BY_PROJECT, chain).take(PAGE), seen).await;
        }
        let end = self.report.as_of.plus(DAY);
        let mut day = seen.since.unwrap_or(self.report.as_of).minus(DAY);
        while day <= end && !self.spent() {
            let text: String = day.to_string().chars().take(10).collect();
            self.page_through(chain, Query::new(&AUDIT_BY_DAY, text).take(PAGE), seen).await?;
            day = day.plus(DAY);
        }
        Ok(())
    }

    async fn page_through(&mut self, chain: &str, mut query: Query, seen: &Seen) -> Result<()> {
        while !self.spent() {
            let page = self.app.store().list::<AuditEvent>(&query).await?;
            self.pay(page.items.len());
            for event in page.items.iter().filter(|event| event.chain() == chain) {
                self.event(chain, event, seen).await?;
            }
            let Some(next) = page.next else { return Ok(()) };
            query = query.after(Some(next));
        }
        Ok(())
    }

    async fn event(&mut self, chain: &str, event: &AuditEvent, seen: &Seen) -> Result<()> {
        if seen.events.contains_key(&event.id) {
            return Ok(());
        }
        match (event.block, &event.unsealed) {
            (None, Some(_)) => self.report.unsealed += 1,
            (None, None) => self.breaks(chain, None, Some(&event.id), "The event is neither sealed nor waiting to be."),
            (Some(block), _) if seen.all => {
                // It may have been sealed since the blocks were read.
                let listed = self.app.store().read::<AuditBlock>(&AuditBlock::id(chain, block)).await?;
                let listed = listed.is_some_and(|listed| listed.events.iter().any(|(id, _)| *id == event.id));
                let sealed_since = listed && self.head(chain).await?.is_some_and(|head| head.number >= block);
                // Or retention removed both, and the index does not know it yet.
                let there = self.app.store().read::<AuditEvent>(event.id.as_str()).await?.is_some();
                if !sealed_since && there {
                    self.breaks(chain, Some(block), Some(&event.id), "The event is not in the block that it names.");
                }
            }
            (Some(_), _) => {}
        }
        Ok(())
    }
}
