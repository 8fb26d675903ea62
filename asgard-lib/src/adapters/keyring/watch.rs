//! What this process has seen of the data keys while they rotate, by its own monotonic clock. Moments in records are written by
//! clocks that may be wrong, and retiring a key too early loses for ever what somebody still seals under it.

use super::record::{DataKey, KeyState};
use crate::{
    kernel::DataKeyId,
    ports::{records::Stored, store::Version},
};
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// For how long a key has been as it is, as far as this process has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::adapters) struct Seen {
    state: Duration,
    version: Duration,
}

impl Seen {
    /// What somebody says who cannot watch: the clock decides alone.
    pub(in crate::adapters) const ENOUGH: Self = Self { state: Duration::MAX, version: Duration::MAX };

    /// How much longer the key has to be watched in its state.
    pub(in crate::adapters) fn left_of_state(self, time: Duration) -> Duration {
        time.saturating_sub(self.state)
    }

    /// How much longer the key's record has to be watched without a change.
    pub(in crate::adapters) fn left_of_version(self, time: Duration) -> Duration {
        time.saturating_sub(self.version)
    }
}

struct Look {
    state: KeyState,
    state_since: Instant,
    version: Option<(Version, Instant)>,
}

/// The keys that were looked at: as many as rotate, which are two, besides those that this process has seen come to their end.
#[derive(Default)]
pub(in crate::adapters) struct KeyWatch(Mutex<BTreeMap<DataKeyId, Look>>);

impl KeyWatch {
    /// Notes that a key is in this state. A state that was left does not come back, so what was read a while ago says no more than that.
    pub(in crate::adapters) fn notice(&self, id: &DataKeyId, state: KeyState) {
        let mut looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match state {
            KeyState::Active | KeyState::Retired => {
                looks.remove(id);
            }
            KeyState::Readable | KeyState::Draining => {
                let fresh = || Look { state, state_since: Instant::now(), version: None };
                let look = looks.entry(id.clone()).or_insert_with(fresh);
                if look.state < state {
                    *look = fresh();
                }
            }
        }
    }

    /// Notes how a key's record is now, and says what was seen of it so far.
    pub(in crate::adapters) fn look(&self, key: &Stored<DataKey>) -> Seen {
        self.notice(&key.id, key.state);
        let mut looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(look) = looks.get_mut(&key.id) else { return Seen { state: Duration::ZERO, version: Duration::ZERO } };
        let since = match &look.version {
            Some((version, since)) if *version == key.version => *since,
            Some(_) | None => Instant::now(),
        };
        look.version = Some((key.version.clone(), since));
        Seen { state: look.state_since.elapsed(), version: since.elapsed() }
    }
}
