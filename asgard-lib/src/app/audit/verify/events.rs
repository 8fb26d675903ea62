//! The events of a chain: each is in the block that it names, or waits to be sealed.

use super::{DAY, PAGE, Seen, Walk};
use crate::{
    app::audit::marks::{digest, is_genuine_event},
    domain::audit::{AuditBlock, AuditEvent, ORG_CHAIN, PENDING},
    error::Result,
    kernel::Timestamp,
    ports::{
        kinds::{AUDIT_BY_DAY, AUDIT_BY_PROJECT},
        records::{Records, Stored},
        store::Query,
    },
};
use std::collections::BTreeSet;

/// No event is older: the first version of Asgard is of 2026.
const FIRST_DAY: &str = "2025-01-01T00:00:00Z";
/// How many days before the first event are looked at, where everything is.
const DAYS_BEFORE: u32 = 400;

impl Walk<'_> {
    /// Walks a chain's events: each is in the block that it names, or waits to be sealed.
    pub(super) async fn events(
        &mut self,
        chain: &str,
        others: Option<&BTreeSet<String>>,
        seen: &mut Seen,
    ) -> Result<()> {
        if chain != ORG_CHAIN {
            let query = Query::new(&AUDIT_BY_PROJECT, chain).take(PAGE);
            seen.all_events = self.page_through(chain, query, None, seen).await?;
            return Ok(());
        }
        let end = self.report.as_of.plus(DAY);
        // Where everything is looked at, an event that is put before the first one shows too.
        let first = seen.since.unwrap_or(self.report.as_of).minus(DAY);
        let before = FIRST_DAY.parse::<Timestamp>()?.max(first.minus(DAY * DAYS_BEFORE));
        let mut day = if others.is_some() { before.min(first) } else { first };
        while day <= end {
            let text: String = day.to_string().chars().take(10).collect();
            let query = Query::new(&AUDIT_BY_DAY, text).take(PAGE);
            if !self.page_through(chain, query, others, seen).await? {
                return Ok(());
            }
            day = day.plus(DAY);
        }
        seen.all_events = true;
        Ok(())
    }

    /// Looks at the events of a chain, and at those of chains that are not among the `others`. `false` when it ended early.
    async fn page_through(
        &mut self,
        chain: &str,
        mut query: Query,
        others: Option<&BTreeSet<String>>,
        seen: &mut Seen,
    ) -> Result<bool> {
        while !self.spent() {
            let page = self.app.store().list::<AuditEvent>(&query).await?;
            self.budget = self.budget.saturating_sub(page.items.len());
            for event in &page.items {
                let own = event.chain();
                if own == chain {
                    self.event(chain, event, seen).await?;
                } else if others.is_some_and(|others| !others.contains(own)) {
                    // A project that was registered just now is not among those that were listed.
                    self.event(own, event, &mut Seen { all: true, ..Seen::default() }).await?;
                }
            }
            let Some(next) = page.next else { return Ok(true) };
            query = query.after(Some(next));
        }
        Ok(false)
    }

    async fn event(&mut self, chain: &str, event: &Stored<AuditEvent>, seen: &mut Seen) -> Result<()> {
        if let Some(listed) = seen.events.get(&event.id) {
            // The record that has the event's id was compared with its block. Another one may claim to have it.
            if digest(listed.format, event)?.as_ref() != Some(&listed.digest) {
                let block = Some(listed.block);
                self.breaks(chain, block, Some(&event.id), "Another record says that it is this event, and it is not.");
            }
            return Ok(());
        }
        match (event.block, event.unsealed.as_deref()) {
            (None, Some(state)) => self.waiting(chain, event, state, seen).await?,
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
                seen.begun |= sealed_since && self.begins(chain, event);
            }
            (Some(_), _) => {}
        }
        Ok(())
    }

    /// An event that is in no block: its own mark proves it.
    async fn waiting(&mut self, chain: &str, event: &Stored<AuditEvent>, state: &str, seen: &mut Seen) -> Result<()> {
        let genuine = is_genuine_event(self.app, event).await?;
        let of_before = self.marking.is_none() && !event.has_mark();
        match state {
            PENDING if genuine || of_before => {
                self.report.unsealed += 1;
                seen.begun |= self.begins(chain, event);
            }
            _ if genuine => {
                let what = "The event was kept from being sealed: it is genuine and does not wait as it should.";
                self.breaks(chain, None, Some(&event.id), what);
            }
            _ => {
                let what =
                    "The event waits to be sealed and its mark is not genuine: Asgard did not commit it in this form.";
                self.breaks(chain, None, Some(&event.id), what);
            }
        }
        Ok(())
    }
}
