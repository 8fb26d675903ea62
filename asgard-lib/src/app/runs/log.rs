//! A run's log: segments of lines, bounded in size and in total.

use super::{
    claimed_run::{ClaimedRun, lost},
    log_budget::LogBudget,
    state,
};
use crate::{
    app::{Asgard, Tx, core::waiver::AuditWaiver},
    domain::run::{CreationTracker, Inventory, LogLine, LogSegment, PlanSummary, Run},
    error::{Error, Result},
    kernel::RunId,
    ports::records::Records,
};
use std::{collections::BTreeSet, time::Duration};

/// The most bytes of one line's message.
const MAX_LINE: usize = 8 * 1024;
/// How long logs are kept.
const KEPT: Duration = Duration::from_secs(90 * 86_400);
/// The longest address that is logged.
const MAX_ADDRESS: usize = 1000;
/// How many segments recovery reads at once.
const AT_ONCE: u32 = 32;
/// How many it reads at most: what a supervisor writes in a day that never pauses.
const MAX_SEGMENTS: u32 = 400_000;
/// Positions have fewer bits than this: they are 8 digits.
const POSITION_BITS: u32 = 26;

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
pub(super) async fn append(claimed_run: &ClaimedRun, lines: Vec<LogLine>) -> Result<()> {
    let mut budget = claimed_run.log.lock().await;
    let mut segment = Vec::new();
    let mut size = 0;
    for mut line in lines {
        cut(&mut line.message, MAX_LINE);
        cut(&mut line.kind, 100);
        cut(&mut line.level, 20);
        if let Some(address) = &mut line.address {
            cut(address, MAX_ADDRESS);
        }
        // Counted as it is stored, so that escapes cannot push a record over the store's limit.
        let bytes = serde_json::to_vec(&line).map_err(Error::bug)?.len();
        let Some(line) = budget.admit(line, bytes) else { continue };
        if size + bytes > LogSegment::BYTES && !segment.is_empty() {
            write(claimed_run, &mut budget, std::mem::take(&mut segment)).await?;
            size = 0;
        }
        size += bytes;
        segment.push(line);
    }
    if segment.is_empty() { Ok(()) } else { write(claimed_run, &mut budget, segment).await }
}

async fn write(claimed_run: &ClaimedRun, budget: &mut LogBudget, lines: Vec<LogLine>) -> Result<()> {
    let run = &claimed_run.run;
    let start = budget.next;
    let (held_lease, lines) = (&claimed_run.held_lease, &lines);
    let work = claimed_run.app().transact(held_lease.call(), |tx| {
        Box::pin(async move {
            if held_lease.mine(tx).await?.is_none() {
                return Ok(None);
            }
            tx.waive_audit(AuditWaiver::LogSegment)?;
            match place(tx, run, start, lines).await? {
                Place::Taken(number) => Ok(Some(number)),
                Place::Free(number) => {
                    let segment = LogSegment {
                        run: run.clone(),
                        position: LogSegment::position(number),
                        lines: lines.clone(),
                        at: tx.now(),
                        keep_until: tx.now().plus(KEPT),
                    };
                    tx.insert(&segment).map(|()| Some(number))
                }
            }
        })
    });
    let written = held_lease.commit(work).await?;
    budget.next = written.ok_or_else(lost)? + 1;
    Ok(())
}

/// Where a segment goes.
enum Place {
    /// There.
    Free(u32),
    /// It is there already: the reply was lost.
    Taken(u32),
}

/// The first free position from `from` on. Others may be taken by a supervisor before this one; there is no gap among
/// them, so their end is found in a few steps however many they are.
async fn place(tx: &Tx<'_>, run: &RunId, from: u32, lines: &[LogLine]) -> Result<Place> {
    let (mut taken, mut free, mut last) = (from, None, None::<LogSegment>);
    let mut probe = from;
    loop {
        match tx.read::<LogSegment>(&LogSegment::id(run, probe)).await? {
            None => free = Some(probe),
            Some(found) if found.lines == lines => return Ok(Place::Taken(probe)),
            Some(found) => (taken, last) = (probe, Some(found.value)),
        }
        probe = match (free, &last) {
            (Some(free), None) => return Ok(Place::Free(free)),
            (Some(free), Some(_)) if free <= taken + 1 => return Ok(Place::Free(free)),
            (Some(free), Some(_)) => taken + (free - taken) / 2,
            (None, _) => taken.saturating_add((taken - from).max(1)),
        };
    }
}

/// Up to `most` segments of a run's log, from a position on. They are read by their ids and up to the first that is missing:
/// a query may lag, and show a segment before the one that was written before it.
pub(crate) async fn segments(app: &Asgard, run: &RunId, from: u32, most: u32) -> Result<Vec<LogSegment>> {
    let ids: Vec<String> = (from..from.saturating_add(most)).map(|number| LogSegment::id(run, number)).collect();
    let found = app.store().read_many::<LogSegment>(&ids).await?;
    Ok(found.into_iter().map_while(|segment| segment.map(|segment| segment.value)).collect())
}

/// How many segments a run's log has. There is no gap among them, so that their end is found in a few reads however many they are.
pub(crate) async fn count_segments(app: &Asgard, run: &RunId) -> Result<u32> {
    let present = async |numbers: &[u32]| {
        let ids: Vec<String> = numbers.iter().map(|number| LogSegment::id(run, *number)).collect();
        let found = app.store().read_many::<LogSegment>(&ids).await?;
        Ok::<usize, Error>(found.iter().take_while(|segment| segment.is_some()).count())
    };
    // One read finds the two powers of two between which the end is, and each after it a sixteenth of what is left.
    let mut probes: Vec<u32> = (0..POSITION_BITS).map(|bit| (1 << bit) - 1).collect();
    let (mut there, mut free) = (0, 1 << POSITION_BITS);
    loop {
        match present(&probes).await? {
            0 if there == 0 && probes.first() == Some(&0) => return Ok(0),
            found => {
                free = probes.get(found).copied().unwrap_or(free);
                there = found.checked_sub(1).and_then(|last| probes.get(last)).copied().unwrap_or(there);
            }
        }
        if free - there <= 1 {
            return Ok(there + 1);
        }
        let step = ((free - there) / 16).max(1);
        probes = (1..16).map(|n| there + n * step).take_while(|probe| *probe < free).collect();
    }
}

/// What a run that left nothing here may have created without its being in the current state. A log that tells everything says what;
/// otherwise it is all that its plan creates and everything that the log says was begun, but for what the run is known to have
/// recorded.
pub(super) async fn may_exist(app: &Asgard, run: &Run, planned: Option<&PlanSummary>) -> Result<Vec<String>> {
    let (mut creations, mut ended) = (CreationTracker::default(), false);
    for from in (0..MAX_SEGMENTS).step_by(AT_ONCE as usize) {
        let found = segments(app, &run.id, from, AT_ONCE).await?;
        found.iter().flat_map(|segment| &segment.lines).for_each(|line| creations.follow(line));
        if found.len() < AT_ONCE as usize {
            ended = true;
            break;
        }
    }
    let whole = ended && creations.is_whole();
    let recorded = if whole {
        // The newest state was stored before the log's last line.
        state::current_state(app, &run.resource)
            .await?
            .map(|state| Inventory::of(&state).addresses())
            .unwrap_or_default()
    } else {
        state::recorded_by(app, run).await?
    };
    // As they are logged.
    let recorded = recorded.into_iter().map(logged).collect::<BTreeSet<_>>();
    let mut all: BTreeSet<String> = creations.may_exist(&recorded).map(str::to_owned).collect();
    if !whole {
        all.extend(planned.map(|planned| planned.may_exist(&recorded)).unwrap_or_default().into_iter().map(logged));
    }
    Ok(all.into_iter().collect())
}

fn logged(mut address: String) -> String {
    cut(&mut address, MAX_ADDRESS);
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cutting_keeps_characters_whole() {
        let mut text = "aé".repeat(10);
        cut(&mut text, 5);
        assert_eq!(text, "aéa…");
    }
}
