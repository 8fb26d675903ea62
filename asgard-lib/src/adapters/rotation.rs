//! Replacing the active data key and sealing everything under it again, in small steps that any replica may take, twice or
//! at the same time: every step reads strongly, writes with versions, and says in the store how far it came.

#[cfg(test)]
mod tests;

use super::{
    keyring::{DataKey, KeyState, KeyWatch, Seen, Sweep, Timing},
    vault::{Resealed, SealedRecord, SealedVault},
};
use crate::{
    app::AuditWaiver,
    domain::audit::AuditAction,
    error::{Kind, Result},
    kernel::{DataKeyId, Timestamp},
    ports::{
        kinds::SEALED_BY_KEY,
        records::{Records, Stored, redraft},
        store::{Op, Query},
    },
};
use std::{sync::Arc, time::Duration};

/// Records in a page of a sweep; the most that one step moves is four pages.
const PAGE: usize = 25;
const PAGES: usize = 4;

/// What a step did, and so when the next one makes sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing is rotating.
    Idle,
    /// Nothing to do before this moment.
    Waiting(Timestamp),
    /// The key is active now, the one before it drains. Take the next step at once.
    Activated(DataKeyId),
    /// Sealed some ciphertexts of a draining key again. Take the next step at once.
    Swept {
        /// The draining key.
        key: DataKeyId,
        /// How many this step moved.
        moved: u64,
        /// How many this step could not move; see the log.
        stuck: u64,
    },
    /// The key is retired and its wraps are wiped.
    Retired(DataKeyId),
    /// Another replica took this step. Take the next one at once.
    Raced,
}

/// Who says how much time has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Witness {
    /// The clock alone: for processes that are frozen between their turns, and can watch nothing.
    Clock,
    /// The clock, and this process: nothing that depends on time is done before this process itself has seen the time pass, by its
    /// monotonic clock. A clock that is wrong, here or where a moment was written, then decides nothing.
    Process,
}

/// The rotation of a store's data keys.
pub struct Rotation {
    vault: Arc<SealedVault>,
    watch: KeyWatch,
}

crate::kernel::opaque!(Rotation);

impl Rotation {
    /// Rotates the keys of this vault's keyring.
    pub fn new(vault: Arc<SealedVault>) -> Self {
        Self { vault, watch: KeyWatch::default() }
    }

    /// Notes what this process has read of the keys by now. A process that does so between its turns has watched for longer.
    pub fn watch(&self) {
        let ring = self.vault.keyring().ring();
        ring.keys.values().for_each(|held| self.watch.notice(&held.id, held.state));
    }

    /// Takes one bounded step: at most a hundred ciphertexts. Meant for a leased loop; safe without the lease.
    pub async fn step(&self, now: Timestamp, witness: Witness) -> Result<Step> {
        let keyring = self.vault.keyring();
        keyring.reload().await?;
        let (records, timing) = (keyring.records().await?, keyring.timing());
        let mut wait: Option<Timestamp> = None;
        let mut later = |at: Timestamp| wait = Some(wait.map_or(at, |soonest: Timestamp| soonest.min(at)));
        let seen = |key: &Stored<DataKey>| match witness {
            Witness::Clock => Seen::ENOUGH,
            Witness::Process => self.watch.look(key),
        };
        if let Some(next) = records.iter().find(|key| key.state == KeyState::Readable) {
            let seen = seen(next);
            if next.state_since.is_far_ahead_of(now) {
                return self.begin_again(next, now).await;
            }
            let due = timing.active_from(next).max(now.plus(seen.left_of_state(timing.reload * 2)));
            if now >= due {
                return self.activate(next, &records, now).await;
            }
            later(due);
        }
        for key in records.iter().filter(|key| key.state == KeyState::Draining) {
            let seen = seen(key);
            if key.state_since.is_far_ahead_of(now) {
                return self.begin_again(key, now).await;
            }
            let mut sweep = key.sweep.clone().unwrap_or_else(|| Sweep::starting(key.state_since));
            sweep.distrust(now, timing);
            if !sweep.running {
                let due = sweep.pass_from.max(now.plus(sweep.left(seen, timing)));
                if due > now {
                    later(due);
                    continue;
                }
                sweep.begin(now, seen.left_of_state(timing.settle).is_zero());
            }
            return self.sweep(key, sweep, now).await;
        }
        Ok(wait.map_or(Step::Idle, Step::Waiting))
    }

    /// A clock that was far ahead wrote since when the key is in its state. It is in it for longer than that: the time begins now.
    async fn begin_again(&self, key: &Stored<DataKey>, now: Timestamp) -> Result<Step> {
        tracing::warn!(key.id = %key.id, "A clock that was far ahead has written since when a data key is in its state; that counts from now on.");
        let sweep = key.sweep.clone().map(|sweep| Sweep { moved: sweep.moved, ..Sweep::starting(now) });
        let corrected = DataKey { state_since: now, sweep, ..key.value.clone() };
        Ok(if self.vault.keyring().write(vec![replace(key, &corrected)?], Some(AuditWaiver::Resealing)).await? {
            Step::Waiting(now.plus(self.vault.keyring().timing().reload))
        } else {
            Step::Raced
        })
    }

    async fn activate(&self, next: &Stored<DataKey>, records: &[Stored<DataKey>], now: Timestamp) -> Result<Step> {
        let mut ops = vec![replace(next, &next.becoming(KeyState::Active, now)?)?];
        for active in records.iter().filter(|key| key.state == KeyState::Active) {
            ops.push(replace(active, &active.becoming(KeyState::Draining, now)?)?);
        }
        ops.push(self.vault.keyring().noted(AuditAction::DataKeyActivated, &next.id)?);
        if !self.vault.keyring().write(ops, None).await? {
            return Ok(Step::Raced);
        }
        tracing::info!(key.id = %next.id, "The data key is active; the one before it drains.");
        Ok(Step::Activated(next.id.clone()))
    }

    async fn sweep(&self, key: &Stored<DataKey>, mut sweep: Sweep, now: Timestamp) -> Result<Step> {
        let (mut moved, mut stuck) = (0, 0);
        for _ in 0..PAGES {
            let query = Query::new(&SEALED_BY_KEY, key.id.as_str()).after(sweep.after.take()).take(PAGE);
            let page = self.vault.store().list::<SealedRecord>(&query).await?;
            for sealed in &page.items {
                match self.vault.reseal(&sealed.id).await {
                    Ok(Resealed::Moved) => moved += 1,
                    // The index lags: it is gone, or not under this key any more.
                    Ok(Resealed::Gone | Resealed::Current) => {}
                    // A writer was faster. What it wrote is looked at by the next pass.
                    Ok(Resealed::Raced) => sweep.found += 1,
                    Err(error) if error.kind() == Kind::Bug => {
                        tracing::error!(
                            sealed.id,
                            error = error.chain(),
                            "A ciphertext cannot be sealed again, so its data key cannot be retired."
                        );
                        stuck += 1;
                    }
                    Err(error) => return Err(error),
                }
            }
            sweep.after = page.next;
            if sweep.after.is_none() {
                break;
            }
        }
        sweep.found += moved + stuck;
        sweep.moved += moved;
        sweep.stuck += stuck;
        if sweep.after.is_none() && sweep.finish(key.state_since, now, self.vault.keyring().timing()) {
            return self.retire(key, now).await;
        }
        let swept = DataKey { sweep: Some(sweep), ..key.value.clone() };
        if !self.vault.keyring().write(vec![replace(key, &swept)?], Some(AuditWaiver::Resealing)).await? {
            return Ok(Step::Raced);
        }
        Ok(Step::Swept { key: key.id.clone(), moved, stuck })
    }

    async fn retire(&self, key: &Stored<DataKey>, now: Timestamp) -> Result<Step> {
        let noted = self.vault.keyring().noted(AuditAction::DataKeyRetired, &key.id)?;
        if !self.vault.keyring().write(vec![replace(key, &key.becoming(KeyState::Retired, now)?)?, noted], None).await?
        {
            return Ok(Step::Raced);
        }
        tracing::info!(key.id = %key.id, "The data key is retired and its wraps are wiped.");
        Ok(Step::Retired(key.id.clone()))
    }
}

fn replace(stored: &Stored<DataKey>, key: &DataKey) -> Result<Op> {
    Ok(Op::Replace(redraft(stored, key)?, stored.version.clone()))
}

impl Sweep {
    /// Before the first pass, which may begin at once: the more is moved early, the less is left when passes count.
    pub(super) const fn starting(from: Timestamp) -> Self {
        Self {
            pass_from: from,
            after: None,
            running: false,
            settled: false,
            found: 0,
            stuck: 0,
            moved: 0,
            clean: false,
        }
    }

    /// Begins a pass. `settled` says that whoever begins it has seen the key drain for as long as it takes to settle.
    pub(super) fn begin(&mut self, now: Timestamp, settled: bool) {
        *self = Self { pass_from: now, after: None, running: true, settled, found: 0, stuck: 0, ..self.clone() };
    }

    /// Believes no moment that can only come from a clock that was wrong. A pass began before now, and one is never put off for longer
    /// than the key takes to settle and one reload period.
    pub(super) fn distrust(&mut self, now: Timestamp, timing: Timing) {
        if self.running {
            self.pass_from = self.pass_from.min(now);
        } else if self.pass_from > now.plus(timing.settle + timing.reload) {
            (self.pass_from, self.clean) = (now, false);
        }
    }

    /// For how long whoever has seen this much of the key has to go on watching before the next pass. The second pass that counts
    /// begins a reload period after the first, by somebody for whom it counts; the others may begin whenever they are due.
    pub(super) fn left(&self, seen: Seen, timing: Timing) -> Duration {
        if self.clean {
            seen.left_of_version(timing.reload).max(seen.left_of_state(timing.settle))
        } else {
            Duration::ZERO
        }
    }

    /// Ends a pass and says whether the key can be retired: this pass and the one before it found nothing, both began after
    /// the key had settled, and this one began a reload period after the other ended.
    pub(super) fn finish(&mut self, draining_since: Timestamp, now: Timestamp, timing: Timing) -> bool {
        let settled = draining_since.plus(timing.settle);
        let counts = self.found == 0 && self.settled && self.pass_from >= settled;
        if counts && self.clean {
            return true;
        }
        self.running = false;
        self.clean = counts;
        // An early pass that found nothing need not be repeated before one can count. Otherwise replicas that still seal
        // under the key are given the time to learn better, instead of being chased.
        self.pass_from =
            if self.found == 0 && self.pass_from < settled { settled.max(now) } else { now.plus(timing.reload) };
        false
    }
}
