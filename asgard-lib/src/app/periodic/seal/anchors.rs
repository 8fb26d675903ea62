//! Handing the heads of chains to where anchors are kept. Every head that moved comes there at least once: how far it has come
//! is in the feed's head, which the sealer writes anyway, and what a sealer that died left out is found by the feed's segments.

use crate::{
    app::{
        Asgard,
        audit::{end_of, marks::anchors},
    },
    domain::audit::{AnchoredHead, AuditHead, FeedHead, FeedSegment},
    error::{Error, Result},
    ports::{kinds::AUDIT_HEADS, records::Records, store::Query},
};
use std::collections::BTreeSet;

/// How many segments of the feed one turn catches up with.
const SEGMENTS: u64 = 100;
/// How many heads are read at a time.
const HEADS: usize = 100;

/// How far everything is anchored, as far as this turn knows.
pub(super) struct Anchors {
    /// Every head that moved up to this segment of the feed.
    through: Option<u64>,
    /// Something could not be kept, so there is no use in trying again at once.
    failed: bool,
}

impl Anchors {
    /// Anchors what was left out before: all heads of a store or a place that has none, and those that moved since.
    pub(crate) async fn begin(app: &Asgard, head: &FeedHead) -> Self {
        let through = catch_up(app, head).await;
        Self { failed: through.is_err(), through: through.map_or_else(failed, Some) }
    }

    /// Anchors what the batches under these numbers of the feed sealed just now. What is left out here is found by its segment.
    pub(crate) async fn keep(&mut self, app: &Asgard, first: u64, count: u64, heads: &[AnchoredHead]) {
        let kept = write(app, heads).await.map_or_else(failed, Some);
        self.failed |= kept.is_none();
        if kept.is_some() && self.through.map(|through| through + 1) == Some(first) {
            self.through = Some(first + count - 1);
        }
    }

    /// How far everything is anchored, for the feed's head.
    pub(crate) fn through(&self, head: &FeedHead) -> Option<u64> {
        self.through.max(head.anchored)
    }

    /// Whether heads that moved before are left, and another turn may anchor them.
    pub(crate) fn lag(&self, head: &FeedHead) -> bool {
        !self.failed && self.through(head).is_none_or(|through| through < head.reserved)
    }
}

fn failed<T>(error: Error) -> Option<T> {
    tracing::error!(error = error.chain(), "Anchors of the audit log could not be kept; it will be tried again.");
    None
}

/// Anchors what lies before the settled end, and says how far it came.
async fn catch_up(app: &Asgard, head: &FeedHead) -> Result<u64> {
    let begun = match head.anchored {
        Some(anchored) if !app.anchors().is_empty().await? => anchored,
        Some(_) | None => {
            every_head(app).await?;
            return Ok(head.settled);
        }
    };
    let through = head.settled.min(begun + SEGMENTS);
    if through <= begun {
        return Ok(begun);
    }
    let from = (begun + 1).max(head.first);
    let ids: Vec<String> = (from..=through).map(FeedSegment::id).collect();
    let segments = app.store().read_many::<FeedSegment>(&ids).await?;
    let chains: BTreeSet<String> = segments.into_iter().flatten().flat_map(|segment| segment.value.chains).collect();
    ends(app, chains.into_iter().collect()).await?;
    Ok(through)
}

async fn every_head(app: &Asgard) -> Result<()> {
    let mut query = Query::new(&AUDIT_HEADS, "").take(HEADS);
    loop {
        let page = app.store().list::<AuditHead>(&query).await?;
        ends(app, page.items.into_iter().map(|head| head.value.chain).collect()).await?;
        let Some(next) = page.next else { return Ok(()) };
        query = query.after(Some(next));
    }
}

/// Anchors where these chains end.
async fn ends(app: &Asgard, chains: Vec<String>) -> Result<()> {
    let mut heads = Vec::new();
    for head in app.store().read_many::<AuditHead>(&chains).await?.into_iter().flatten() {
        match end_of(app, &head.value).await? {
            Some(end) => heads.push(end),
            None => tracing::error!(
                chain = head.chain,
                "The head of an audit chain does not name a block that Asgard sealed, so it is not anchored."
            ),
        }
    }
    write(app, &heads).await
}

async fn write(app: &Asgard, heads: &[AnchoredHead]) -> Result<()> {
    if heads.is_empty() {
        return Ok(());
    }
    app.anchors().keep(&anchors(app.sealer(), app.world().now(), heads)?).await
}
