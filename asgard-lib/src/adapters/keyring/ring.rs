//! The keys in memory: what was unwrapped, derived once, wiped when dropped.

use super::{ORG, record::KeyState};
use crate::{
    adapters::cipher::{Root, hmac},
    error::{Error, Result},
    kernel::{DataKeyId, Timestamp},
};
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::time::Instant;

/// What is derived from a data key, each for one use, so that no two uses share a key.
pub(in crate::adapters) struct Roots {
    /// Seals what is stored.
    pub seal: Root,
    /// Seals what clients hold for a while.
    pub token: Root,
}

impl Roots {
    pub(crate) fn of(secret: &[u8; 32]) -> Self {
        Self { seal: hmac(secret, &[b"asgard seal root"]), token: hmac(secret, &[b"asgard token root"]) }
    }
}

/// The root of a data key's MACs.
pub(super) fn mac_root(secret: &[u8; 32]) -> Root {
    hmac(secret, &[b"asgard mac root"])
}

/// A data key in memory. A retired one has no roots, and its MAC root is unwrapped on first use.
pub(in crate::adapters) struct Held {
    pub id: DataKeyId,
    pub state: KeyState,
    pub roots: Option<Arc<Roots>>,
    pub mac: Arc<OnceLock<Root>>,
}

impl Held {
    /// What seals under this key; a retired one has nothing.
    pub(crate) fn roots(&self) -> Result<&Roots> {
        self.roots
            .as_deref()
            .ok_or_else(|| Error::bug(format!("data key {} is {} and has no roots", self.id, self.state.name())))
    }

    /// What everything sealed under this key is bound to, besides `context`.
    pub(crate) fn bound_to(&self, layer: &str, context: &str) -> Vec<u8> {
        // Id and org have no `|`, so the joint cannot be read in two ways.
        format!("asgard|{ORG}|{layer}|{}|{context}", self.id).into_bytes()
    }
}

/// Shows no key.
impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.id, self.state.name())
    }
}

/// All keys, as of one reading of the store.
#[derive(Debug)]
pub(in crate::adapters) struct Ring {
    pub active: Arc<Held>,
    pub keys: BTreeMap<DataKeyId, Arc<Held>>,
    /// When the reading began.
    pub read_at: Timestamp,
    /// The same by the monotonic clock, which nobody sets back.
    pub read: Instant,
}

impl Ring {
    /// How old the reading is: by the clock or by the monotonic one, whichever says more. A clock was set back if it is before the
    /// reading, and then nobody knows.
    pub(super) fn age(&self, now: Timestamp) -> Duration {
        let by_clock = if now < self.read_at { Duration::MAX } else { now.since(self.read_at) };
        by_clock.max(self.read.elapsed())
    }
}
