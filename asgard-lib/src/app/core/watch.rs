//! What this process has seen of leases that others hold. Moments in them are written by their holders' clocks, which may be wrong:
//! whether a holder is there shows in its renewals, and how long there were none in one's own monotonic clock.

use crate::{
    domain::lease::{Lease, Seen},
    ports::{records::Stored, store::Version},
};
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};
use tokio::time::Instant;

/// The most leases that are remembered. Forgetting them only means watching for longer.
const MOST: usize = 10_000;

#[derive(Debug)]
struct Look {
    version: Version,
    fence: u64,
    since: Instant,
    moved: bool,
}

/// The leases that were looked at.
#[derive(Debug, Default)]
pub(crate) struct LeaseWatch(Mutex<BTreeMap<String, Look>>);

impl LeaseWatch {
    /// Notes how a lease is now, and says what was seen of it so far.
    pub(crate) fn look(&self, lease: &Stored<Lease>) -> Seen {
        let mut looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if looks.len() >= MOST && !looks.contains_key(&lease.name) {
            looks.clear();
        }
        let fresh = || Look { version: lease.version.clone(), fence: lease.fence, since: Instant::now(), moved: false };
        let look = looks.entry(lease.name.clone()).or_insert_with(fresh);
        if look.version != lease.version {
            // Another holder was not seen to renew anything yet.
            *look = Look { moved: look.fence == lease.fence, ..fresh() };
        }
        Seen { silent: look.since.elapsed(), moved: look.moved }
    }
}
