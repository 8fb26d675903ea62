//! A run's log: segments of lines, bounded in size and in total.

use super::supervision::{Supervision, lost};
use crate::{
    domain::run::{LogLine, LogSegment},
    error::{Error, Result},
    kernel::{RunId, Timestamp},
    ports::{kinds::LOG_BY_RUN, records::Records, store::Query},
};
use std::{collections::BTreeSet, time::Duration};

/// The most bytes of log that a run keeps.
const MOST_BYTES: usize = 5 * 1024 * 1024;
/// The most bytes of one line's message.
const LONGEST_LINE: usize = 8 * 1024;
/// How long logs are kept.
const KEPT: Duration = Duration::from_secs(90 * 86_400);
/// How many segments recovery reads back: more than the bound on bytes allows.
const MOST_SEGMENTS: usize = 1000;

/// What a supervision has logged so far.
#[derive(Debug, Default)]
pub(super) struct LogBudget {
    next: u32,
    bytes: usize,
    full: bool,
}

fn cut(text: &mut String, longest: usize) {
    if text.len() > longest {
        let mut end = longest;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push('…');
    }
}

/// Appends lines under the lease, in segments.
pub(super) async fn append(supervision: &Supervision, lines: Vec<LogLine>) -> Result<()> {
    let mut budget = supervision.log.lock().await;
    let mut segment = Vec::new();
    let mut size = 0;
    for mut line in lines {
        if budget.full {
            break;
        }
        cut(&mut line.message, LONGEST_LINE);
        cut(&mut line.kind, 100);
        cut(&mut line.level, 20);
        if let Some(address) = &mut line.address {
            cut(address, 1000);
        }
        // Counted as it is stored, so that escapes cannot push a record over the store's limit.
        let bytes = serde_json::to_vec(&line).map_err(Error::bug)?.len();
        budget.bytes += bytes;
        if budget.bytes > MOST_BYTES {
            budget.full = true;
            line = left_out(line.at);
        }
        if size + bytes > LogSegment::BYTES && !segment.is_empty() {
            write(supervision, &mut budget, std::mem::take(&mut segment)).await?;
            size = 0;
        }
        size += bytes;
        segment.push(line);
    }
    if segment.is_empty() { Ok(()) } else { write(supervision, &mut budget, segment).await }
}

fn left_out(at: Timestamp) -> LogLine {
    let message = "The log is longer than 5 MB; what follows is left out.".to_owned();
    LogLine { at, level: "warn".into(), kind: "asgard".into(), address: None, message }
}

async fn write(supervision: &Supervision, budget: &mut LogBudget, lines: Vec<LogLine>) -> Result<()> {
    let run = &supervision.run;
    let start = budget.next;
    let (hold, lines) = (&supervision.hold, &lines);
    let work = supervision.app().transact(hold.call(), |tx| {
        Box::pin(async move {
            if hold.mine(tx).await?.is_none() {
                return Ok(None);
            }
            // The place may be taken: by this very segment when a reply was lost, or by a supervisor before this one.
            let mut number = start;
            loop {
                let segment = LogSegment {
                    run: run.clone(),
                    position: LogSegment::position(number),
                    lines: lines.clone(),
                    at: tx.now(),
                    keep_until: tx.now().plus(KEPT),
                };
                match tx.peek::<LogSegment>(&format!("{run}/{}", segment.position)).await? {
                    None => return tx.insert(&segment).map(|()| Some(number)),
                    Some(found) if found.lines == segment.lines => return Ok(Some(number)),
                    Some(_) => number += 1,
                }
            }
        })
    });
    let written = hold.commit(work).await?;
    budget.next = written.ok_or_else(lost)? + 1;
    Ok(())
}

/// The addresses whose change was begun and not ended, as far as these lines tell.
pub(super) fn unfinished<'a>(lines: impl IntoIterator<Item = &'a LogLine>) -> BTreeSet<String> {
    let mut open = BTreeSet::new();
    for line in lines {
        let Some(address) = &line.address else { continue };
        match line.kind.as_str() {
            "apply_start" => open.insert(address.clone()),
            "apply_complete" | "apply_errored" => open.remove(address),
            _ => false,
        };
    }
    open
}

/// What a run has logged, for recovery.
pub(super) async fn read(supervision: &Supervision) -> Result<Vec<LogLine>> {
    read_all(supervision, &supervision.run).await
}

async fn read_all(supervision: &Supervision, run: &RunId) -> Result<Vec<LogLine>> {
    let store = supervision.app().store();
    let mut lines = Vec::new();
    let mut query = Query::new(&LOG_BY_RUN, run.to_string()).take(20);
    let mut segments = 0;
    loop {
        let page = store.list::<LogSegment>(&query).await?;
        segments += page.items.len();
        lines.extend(page.items.into_iter().flat_map(|segment| segment.value.lines));
        if page.next.is_none() || segments >= MOST_SEGMENTS {
            return Ok(lines);
        }
        query = query.after(page.next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_began_and_did_not_end() {
        let line = |kind: &str, address: &str| LogLine {
            at: Timestamp::from_millis(0),
            level: "info".into(),
            kind: kind.into(),
            address: Some(address.into()),
            message: String::new(),
        };
        let lines = [
            line("apply_start", "a"),
            line("apply_start", "b"),
            line("apply_start", "c"),
            line("apply_progress", "a"),
            line("apply_complete", "b"),
            line("apply_errored", "c"),
        ];
        assert_eq!(unfinished(&lines), BTreeSet::from(["a".to_owned()]));
    }

    #[test]
    fn cutting_keeps_characters_whole() {
        let mut text = "aé".repeat(10);
        cut(&mut text, 5);
        assert_eq!(text, "aéa…");
    }
}
