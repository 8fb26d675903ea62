//! Following what was committed: pages from a position, and waiting for more.

use crate::{
    app::Asgard,
    domain::audit::{AuditEvent, Event, EventPosition, FeedHead, FeedSegment},
    error::{Code, Error, Result},
    ports::records::{PAGE_BYTES, Records},
};
use serde::Serialize;
use std::time::Duration;

/// How many segments are read at a time.
const SEGMENTS: u64 = 16;
/// How often the store is asked for what another process appended.
const POLL: Duration = Duration::from_secs(1);
/// How often a page is begun again because retention removed segments meanwhile.
const MAX_RESTARTS: u32 = 3;

/// A page of the event feed.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct EventPage {
    /// The events, oldest first.
    pub events: Vec<Event>,
    /// Where the next page starts. Keep it once the events are dealt with: after a crash they come again.
    pub next: EventPosition,
    /// Whether the page ended because it was full: there may be more at once.
    pub more: bool,
    /// Whether retention removed events that this follower would have got. They cannot be had any more.
    pub removed: bool,
}

/// What was committed, at least once, oldest first, from a position that the caller keeps. A page is read strongly, so any
/// process may serve it; nothing is ever put before an event that was given out.
#[derive(Clone, Copy)]
pub struct EventFeed<'a> {
    app: &'a Asgard,
}

impl std::fmt::Debug for EventFeed<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EventFeed")
    }
}

impl<'a> EventFeed<'a> {
    /// The most events on a page.
    pub const MAX_PAGE: usize = 500;
    /// The longest that [`EventFeed::wait`] waits.
    pub const MAX_WAIT: Duration = Duration::from_secs(60);

    pub(crate) fn new(app: &'a Asgard) -> Self {
        Self { app }
    }

    async fn head(self) -> Result<FeedHead> {
        let head = self.app.store().read::<FeedHead>(FeedHead::ID).await?;
        Ok(head.map_or_else(FeedHead::empty, |head| head.value))
    }

    /// After everything that can be read now: where a follower begins that wants only what is new.
    ///
    /// # Errors
    ///
    /// The database cannot be reached.
    pub async fn end(self) -> Result<EventPosition> {
        let head = self.head().await?;
        let mut next = head.settled + 1;
        while next <= head.reserved {
            let found = self.segments(next, head.reserved).await?;
            let there = found.iter().take_while(|segment| segment.is_some()).count();
            next += u64::try_from(there).map_err(Error::bug)?;
            if there < found.len() {
                break;
            }
        }
        Ok(EventPosition::before(next))
    }

    /// Up to `limit` events after `position`, at most [`EventFeed::MAX_PAGE`], and fewer where they are large. An empty page is
    /// no end: [`EventFeed::wait`] for more.
    ///
    /// # Errors
    ///
    /// A position that this feed has not given yet, because it is another database's or this one was restored from an older
    /// copy; a database that cannot be reached.
    pub async fn after(self, position: EventPosition, limit: usize) -> Result<EventPage> {
        for _ in 0..MAX_RESTARTS {
            if let Some(page) = self.page(position, limit.clamp(1, Self::MAX_PAGE)).await? {
                return Ok(page);
            }
        }
        Err(Error::new(Code::Busy, "Old events are being removed just now. Try again in a moment.").retry_after(1))
    }

    /// Waits until there is something after `position`, at most for `timeout`. `false` when there is nothing yet. What this process
    /// seals wakes it at once; what others seal is seen within a second.
    ///
    /// # Errors
    ///
    /// As [`EventFeed::after`].
    pub async fn wait(self, position: EventPosition, timeout: Duration) -> Result<bool> {
        let world = self.app.world();
        let over = world.sleep(timeout.min(Self::MAX_WAIT));
        tokio::pin!(over);
        let mut waiting = true;
        loop {
            let appended = self.app.appended().notified();
            tokio::pin!(appended);
            // From here on a wake-up is not lost, though nobody waits for it yet.
            appended.as_mut().enable();
            let page = self.after(position, 1).await?;
            if !page.events.is_empty() || page.removed {
                return Ok(true);
            }
            if !waiting {
                return Ok(false);
            }
            tokio::select! {
                biased;
                () = appended => {}
                () = &mut over => waiting = false,
                () = world.sleep(POLL) => {}
            }
        }
    }

    async fn segments(self, from: u64, to: u64) -> Result<Vec<Option<FeedSegment>>> {
        let ids: Vec<String> = (from..=to.min(from + SEGMENTS - 1)).map(FeedSegment::id).collect();
        let found = self.app.store().read_many::<FeedSegment>(&ids).await?;
        Ok(found.into_iter().map(|segment| segment.map(|stored| stored.value)).collect())
    }

    /// The page, or nothing when segments were removed while it was read.
    async fn page(self, position: EventPosition, limit: usize) -> Result<Option<EventPage>> {
        let head = self.head().await?;
        if position.segment > head.reserved + 1 {
            let message = "This position of the event feed lies after its end. It is another database's, or this database was restored \
                           from an older copy; begin again from a position that is known to be good, or from the start.";
            return Err(Error::new(Code::InvalidCursor, message).at("position"));
        }
        let removed = position.segment < head.first;
        let mut at = if removed { EventPosition::before(head.first) } else { position };
        let mut found: Vec<(EventPosition, String)> = Vec::new();
        'segments: while at.segment <= head.reserved {
            for segment in self.segments(at.segment, head.reserved).await? {
                let Some(segment) = segment else {
                    if at.segment <= head.settled {
                        return Ok(None);
                    }
                    // A batch is under way here. What comes after it is not read before it.
                    break 'segments;
                };
                let read = usize::try_from(at.index).map_err(Error::bug)?;
                for (index, id) in (at.index + 1..).zip(segment.events.iter().skip(read)) {
                    if found.len() >= limit {
                        break 'segments;
                    }
                    at = EventPosition { segment: segment.number, index };
                    found.push((at, id.to_string()));
                }
                at = EventPosition::before(segment.number + 1);
            }
        }
        let mut page = EventPage { events: Vec::new(), next: at, more: found.len() >= limit, removed };
        let mut bytes = 0;
        for some in found.chunks(100) {
            let ids: Vec<String> = some.iter().map(|(_, id)| id.clone()).collect();
            let read = self.app.store().read_many::<AuditEvent>(&ids).await?;
            for ((place, _), event) in some.iter().zip(read) {
                // Retention removes an event after the segment that names it, and may be ahead of this page.
                let Some(event) = event else { continue };
                bytes += event.size();
                if bytes > PAGE_BYTES && !page.events.is_empty() {
                    page.next = EventPosition { index: place.index - 1, ..*place };
                    page.more = true;
                    return Ok(Some(page));
                }
                page.events.push(Event::of(FeedSegment::seq(place.segment, place.index - 1), event.value));
            }
        }
        Ok(Some(page))
    }
}
