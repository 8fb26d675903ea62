//! Waiting for records to change. Whoever waits in this process waits for one look at all that is waited for: one of them looks, and
//! the others are told. A commit of this process tells them without a look.

use crate::{
    app::Asgard,
    ports::store::{Batch, Changes, Key, Op, Record, Version},
};
use futures_util::StreamExt;
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync::Notify, time::Instant};

/// How long it takes from one look to the next: longer each time while nothing comes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    /// In tenths.
    grows: u32,
}

impl Backoff {
    /// In a process that stays: at most four reads a second, however many wait.
    pub(crate) const SERVER: Self =
        Self { first: Duration::from_millis(250), longest: Duration::from_secs(2), grows: 20 };
    /// In a function, where each look is paid for: after two seconds and after ten, whatever changes meanwhile. The end of the wait is a
    /// look by itself.
    pub(crate) const FUNCTION: Self =
        Self { first: Duration::from_secs(2), longest: Duration::from_secs(12), grows: 40 };

    /// The backoff of the rest of a wait, after something changed at the end of a `pause`. A process that stays begins anew: what has
    /// changed often changes again soon.
    pub(crate) fn resumed(self, pause: Duration) -> Self {
        if self == Self::SERVER { self } else { Self { first: pause.max(self.first), ..self } }
    }

    fn after(self, pause: Duration) -> Duration {
        (pause * self.grows / 10).min(self.longest)
    }
}

/// What is waited for.
#[derive(Debug, Default)]
pub(crate) struct Waits {
    board: Mutex<Board>,
    /// Whoever has it looks for all.
    turn: tokio::sync::Mutex<Ears>,
    /// Something changed.
    told: Notify,
    /// The next look is sooner than it was.
    sooner: Notify,
}

#[derive(Debug, Default)]
struct Board {
    waited: BTreeMap<Key, Waited>,
    pause: Duration,
    last: Option<Instant>,
    next: Option<Instant>,
}

#[derive(Debug)]
struct Waited {
    by: usize,
    /// The version that was seen last; none when it is gone.
    version: Option<Version>,
    /// The record of that version, where a look has read it.
    record: Option<Record>,
}

/// How waiting for a change ended.
#[derive(Debug)]
pub(crate) enum Waiting {
    /// The time is over.
    Over,
    /// It changed. The record is what a look has read; none where it is gone, or was changed by this process.
    Changed(Option<Record>),
}

/// What tells of commits of other processes, while somebody waits.
#[derive(Default)]
struct Ears(Option<Changes>);

impl std::fmt::Debug for Ears {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ears")
    }
}

impl Board {
    /// How far apart looks are at least: each is a read for every hundred records, and there are four reads a second.
    fn apart(&self, backoff: Backoff) -> Duration {
        let reads = self.waited.len().div_ceil(Batch::MAX_READS).max(1);
        backoff.first * u32::try_from(reads).unwrap_or(u32::MAX)
    }

    /// Has the next look in a moment, unless it is sooner anyway.
    fn hasten(&mut self, backoff: Backoff, from_now: Duration) -> bool {
        let apart = self.apart(backoff);
        self.pause = backoff.first;
        let soonest = Instant::now() + from_now;
        let soonest = self.last.map_or(soonest, |last| soonest.max(last + apart));
        let sooner = self.next.is_none_or(|next| soonest < next);
        if sooner {
            self.next = Some(soonest);
        }
        sooner
    }
}

/// A place among those who wait.
struct Place<'w> {
    waits: &'w Waits,
    key: Key,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut board = self.waits.board();
        if let Some(waited) = board.waited.get_mut(&self.key) {
            waited.by -= 1;
            if waited.by == 0 {
                board.waited.remove(&self.key);
            }
        }
        if board.waited.is_empty() {
            board.next = None;
            // Nobody looks any more, unless somebody has just come.
            if let Ok(mut ears) = self.waits.turn.try_lock() {
                ears.0 = None;
            }
        }
    }
}

impl Waits {
    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, key: &Key, seen: &Version, backoff: Backoff) -> Place<'_> {
        let mut board = self.board();
        let fresh = || Waited { by: 0, version: Some(seen.clone()), record: None };
        let waited = board.waited.entry(key.clone()).or_insert_with(fresh);
        waited.by += 1;
        // What a newcomer read is newer than what was seen before it.
        if waited.version.as_ref() != Some(seen) {
            (waited.version, waited.record) = (Some(seen.clone()), None);
            self.told.notify_waiters();
        }
        if board.hasten(backoff, backoff.first) {
            self.sooner.notify_one();
        }
        Place { waits: self, key: key.clone() }
    }

    /// How long it is from the last look to the next.
    pub(crate) fn pause(&self) -> Duration {
        self.board().pause
    }

    /// Waits until the record at `key` is no more at the version that was `seen`, for so long at most.
    pub(crate) async fn changed(
        &self,
        app: &Asgard,
        key: &Key,
        seen: &Version,
        within: Duration,
        backoff: Backoff,
    ) -> Waiting {
        let _place = self.enter(key, seen, backoff);
        let changed = async {
            loop {
                let told = self.told.notified();
                tokio::pin!(told);
                told.as_mut().enable();
                match self.board().waited.get(key) {
                    Some(waited) if waited.version.as_ref() == Some(seen) => {}
                    Some(waited) => return waited.record.clone(),
                    None => return None,
                }
                tokio::select! {
                    biased;
                    () = &mut told => {}
                    // Whoever looks for all is told like the others.
                    () = async {
                        let mut ears = self.turn.lock().await;
                        self.look(app, &mut ears, backoff).await;
                    } => {}
                }
            }
        };
        // What is there when the time is over is read by whoever waits.
        app.world().timeout(within, changed).await.map_or(Waiting::Over, Waiting::Changed)
    }

    /// Looks once, when it is time.
    async fn look(&self, app: &Asgard, ears: &mut Ears, backoff: Backoff) {
        loop {
            let left = self.board().next.map_or(backoff.first, |next| next.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                break;
            }
            if ears.0.is_none() && backoff == Backoff::SERVER {
                ears.0 = app.store().changes().await;
            }
            let heard = async {
                match &mut ears.0 {
                    Some(changes) => changes.next().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = app.world().sleep(left) => {}
                () = self.sooner.notified() => {}
                heard = heard => match heard {
                    Some(()) => {
                        self.board().hasten(backoff, Duration::ZERO);
                    }
                    None => {
                        ears.0 = None;
                        // Not at once: what tells of commits was lost, perhaps with the store.
                        app.world().sleep(left).await;
                    }
                },
            }
        }
        let keys: Vec<Key> = self.board().waited.keys().cloned().collect();
        let mut seen = Vec::new();
        for some in keys.chunks(Batch::MAX_READS) {
            match app.store().get_many(some).await {
                Ok(found) => seen.extend(some.iter().cloned().zip(found)),
                // An outage changes nothing; whoever waits hears of it when they read.
                Err(error) => tracing::debug!(error = %error, "What is waited for cannot be read just now."),
            }
        }
        let mut changed = false;
        let mut board = self.board();
        for (key, record) in seen {
            if let Some(waited) = board.waited.get_mut(&key) {
                let version = record.as_ref().map(|record| record.version.clone());
                if waited.version != version {
                    (waited.version, waited.record) = (version, record);
                    changed = true;
                }
            }
        }
        let now = Instant::now();
        board.last = Some(now);
        let begins_anew = changed && backoff == Backoff::SERVER;
        board.pause = if begins_anew { backoff.first } else { backoff.after(board.pause.max(backoff.first)) };
        board.next = Some(now + board.pause.max(board.apart(backoff)));
        drop(board);
        if changed {
            self.told.notify_waiters();
        }
    }

    /// A batch of this process is committed.
    pub(crate) fn committed(&self, batch: &Batch) {
        let mut board = self.board();
        if board.waited.is_empty() {
            return;
        }
        let mut changed = false;
        for op in batch.ops() {
            let (key, version) = match op {
                Op::Insert(draft) | Op::Replace(draft, _) => (&draft.key, Some(batch.id().clone())),
                Op::Remove(key, _) => (key, None),
                Op::Require(..) | Op::Claim { .. } | Op::Release { .. } | Op::Count(_) => continue,
            };
            if let Some(waited) = board.waited.get_mut(key) {
                (waited.version, waited.record) = (version, None);
                changed = true;
            }
        }
        drop(board);
        if changed {
            self.told.notify_waiters();
        }
    }
}
