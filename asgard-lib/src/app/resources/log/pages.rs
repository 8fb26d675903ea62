//! Pages of a run's log. A run that says little at a time leaves many small segments, so that no page reads all of them: a page reads
//! what it shows, and segments before or after it only as far as they are put in order.

use super::Place;
use crate::{
    app::{
        Asgard,
        runs::{count_segments, segments},
    },
    domain::run::{LogLine, LogSegment},
    error::Result,
    kernel::RunId,
};

/// The most bytes of an answer's lines, unless it is one line.
const MAX_BYTES: usize = 512 * 1024;
/// How many segments are read first.
const AT_FIRST: u32 = 8;
/// How many are read at once at most.
const AT_ONCE: u32 = 64;
/// How many segments are put in the order of time: the first of a log, or its last. What is between is in the order in which it was
/// stored, which is that of time as well unless a line is very late.
pub(super) const ORDERED: u32 = 512;
/// The most segments of an answer. Each has a line, so that they are enough for the most lines.
const MOST: u32 = 2048;

/// A piece of a log.
pub(super) struct Page {
    pub(super) lines: Vec<LogLine>,
    pub(super) next: Place,
    /// Whether nothing comes after it.
    pub(super) ends: bool,
}

fn size(line: &LogLine) -> usize {
    line.message.len() + line.address.as_ref().map_or(0, String::len)
}

fn wide(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn count<T>(items: &[T]) -> u32 {
    u32::try_from(items.len()).unwrap_or(u32::MAX)
}

/// Lines that are small enough for an answer, and one at least.
fn fitting(lines: impl IntoIterator<Item = LogLine>, limit: u32) -> Vec<LogLine> {
    let mut bytes = 0;
    let fits = |(at, line): &(usize, LogLine)| {
        bytes += size(line);
        *at == 0 || bytes <= MAX_BYTES
    };
    lines.into_iter().take(wide(limit)).enumerate().take_while(fits).map(|(_, line)| line).collect()
}

/// Segments from a position on: `most`, or fewer once they have so many lines or fill an answer; and whether the log ends with them. Each
/// read asks for more than the one before, because the segments of a run that says little are small.
async fn read_on(app: &Asgard, run: &RunId, from: u32, lines: usize, most: u32) -> Result<(Vec<LogSegment>, bool)> {
    let (mut found, mut ask) = (Vec::<LogSegment>::new(), AT_FIRST);
    let (mut held, mut bytes) = (0, 0);
    while count(&found) < most && held < lines && bytes < MAX_BYTES {
        let asked = ask.min(most - count(&found));
        let more = segments(app, run, from.saturating_add(count(&found)), asked).await?;
        let ends = count(&more) < asked;
        for segment in &more {
            held += segment.lines.len();
            bytes += segment.lines.iter().map(size).sum::<usize>();
        }
        found.extend(more);
        if ends {
            return Ok((found, true));
        }
        ask = (ask * 2).min(AT_ONCE);
    }
    Ok((found, false))
}

/// The next lines as they were stored, those of this answer by their times.
pub(super) async fn as_stored(app: &Asgard, run: &RunId, segment: u32, line: u32, limit: u32) -> Result<Page> {
    let skipped = wide(line);
    let (found, ended) = read_on(app, run, segment, skipped.saturating_add(wide(limit)), MOST).await?;
    let sizes: Vec<u32> = found.iter().map(|segment| count(&segment.lines)).collect();
    let stored = found.into_iter().flat_map(|segment| segment.lines).skip(skipped);
    let mut lines = fitting(stored, limit);
    let mut left = line.saturating_add(count(&lines));
    let mut at = segment;
    for size in &sizes {
        if left < *size {
            break;
        }
        left -= size;
        at += 1;
    }
    let ends = ended && at == segment.saturating_add(count(&sizes));
    lines.sort_by_key(|line| line.at);
    Ok(Page { lines, next: Place::Stored { segment: at, line: left }, ends })
}

/// The lines of segments by time. Lines of one moment stay in the order in which they came.
fn by_time(segments: impl IntoIterator<Item = LogSegment>) -> Vec<LogLine> {
    let mut lines: Vec<LogLine> = segments.into_iter().flat_map(|segment| segment.lines).collect();
    lines.sort_by_key(|line| line.at);
    lines
}

/// The next lines of the beginning of a whole log, which is all of it unless it is very long. What comes after it is read on as it was
/// stored.
pub(super) async fn in_order(app: &Asgard, run: &RunId, after: u32, limit: u32) -> Result<Page> {
    let mut found = segments_from_the_first(app, run, ORDERED + 1).await?;
    let goes_on = count(&found) > ORDERED;
    found.truncate(wide(ORDERED));
    let all = by_time(found);
    let total = count(&all);
    let lines = fitting(all.into_iter().skip(wide(after)), limit);
    let next = after.saturating_add(count(&lines));
    let (next, ends) = match (next >= total, goes_on) {
        (true, true) => (Place::Stored { segment: ORDERED, line: 0 }, false),
        (shown, _) => (Place::InOrder(next), shown),
    };
    Ok(Page { lines, next, ends })
}

async fn segments_from_the_first(app: &Asgard, run: &RunId, most: u32) -> Result<Vec<LogSegment>> {
    let mut all: Vec<LogSegment> = Vec::new();
    while count(&all) < most {
        let asked = AT_ONCE.min(most - count(&all));
        let found = segments(app, run, count(&all), asked).await?;
        let ends = count(&found) < asked;
        all.extend(found);
        if ends {
            break;
        }
    }
    Ok(all)
}

/// The last lines. They are looked for from the log's end on backwards; what a run that goes on says after them is read on as it is
/// stored.
pub(super) async fn last(app: &Asgard, run: &RunId, tail: u32) -> Result<Page> {
    let end = count_segments(app, run).await?;
    let (mut from, mut held) = (end, 0);
    let mut pieces: Vec<Vec<LogSegment>> = Vec::new();
    while from > 0 && end - from < MOST && (end - from < ORDERED || held < wide(tail)) {
        let asked = AT_ONCE.min(from);
        from -= asked;
        let found = segments(app, run, from, asked).await?;
        held += found.iter().map(|segment| segment.lines.len()).sum::<usize>();
        pieces.push(found);
    }
    let mut all = by_time(pieces.into_iter().rev().flatten());
    all.reverse();
    let mut lines = fitting(all, tail);
    lines.reverse();
    Ok(Page { lines, next: Place::Stored { segment: end, line: 0 }, ends: true })
}
