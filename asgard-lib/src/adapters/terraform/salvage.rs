//! What a dead supervisor left in its folder: the newest state, what may exist beside it, and lines that were not stored.

use super::{messages, place, processes, tail::Tail, tracker::Tracker, watch, workdir::Layout};
use crate::{
    domain::run::{Inventory, LogLine},
    error::{Code, Error, Result},
    kernel::Timestamp,
    ports::runner::Salvage,
};
use std::time::Duration;

/// How long a Terraform that outlived its supervisor gets to write its state, at most: recovery waits for it.
const PATIENCE: Duration = Duration::from_secs(30);
/// The most lines that are told.
const LINES: usize = 2000;

/// How long the Terraform in a folder gets.
pub(super) fn patience(layout: &Layout) -> Duration {
    layout.facts().map_or(PATIENCE, |facts| Duration::from_secs(facts.grace_secs).min(PATIENCE))
}

/// Ends what still runs in the folder and reads what is in it. Nothing is changed.
pub(super) async fn salvage(layout: &Layout) -> Result<Salvage> {
    if !processes::end_left_over(layout, patience(layout)).await {
        let message = format!("Processes of run {} are still there and cannot be ended.", layout.name());
        return Err(Error::new(Code::RunnerFailed, message));
    }
    let newest = watch::newest(layout);
    let began_with = layout.began_with().unwrap_or_default();
    let recorded = newest.as_ref().map(|(_, bytes)| Inventory::of(bytes).recorded_since(&began_with));
    let mut tracker = Tracker::default();
    let mut logged = Vec::new();
    for step in ["plan", "apply"] {
        let (lines, followed) = read(layout, step)?;
        logged.extend(lines);
        tracker = followed;
    }
    logged.truncate(LINES);
    let may_exist = tracker.may_exist(&recorded.unwrap_or_default());
    let unreadable = watch::is_unreadable(layout);
    // Processes of another machine or container that has the folder, too, cannot be seen from here.
    let seen = layout.facts().zip(layout.root().parent());
    let ended = seen.is_some_and(|(facts, parent)| place::look(&facts.supervisor, parent) != place::Sight::Unclear);
    Ok(Salvage { found: true, ended, state: newest.map(|(_, bytes)| bytes), unreadable, may_exist, logged })
}

/// Follows a step's output from its beginning, and gives out the lines that had not been stored.
fn read(layout: &Layout, step: &str) -> Result<(Vec<LogLine>, Tracker)> {
    let logged = layout.logged(step);
    let mut tail = Tail::new(&layout.stdout(step));
    let mut tracker = Tracker::default();
    let mut lines = Vec::new();
    let mut at_byte = 0;
    loop {
        let (fresh, at_end) = tail.lines()?;
        for text in fresh {
            // The line was stored if it ends where storing had come to, or before.
            at_byte += text.len() as u64 + 1;
            let Ok((at, message)) = messages::read(&text, Timestamp::from_millis(0)) else { continue };
            tracker.follow(&message);
            if at_byte > logged && lines.len() < LINES {
                lines.extend(message.line(at));
            }
        }
        if at_end {
            return Ok((lines, tracker));
        }
    }
}
