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
const MAX_LEASES: usize = 10_000;

#[derive(Debug)]
struct SeenLease {
    version: Version,
    fence: u64,
    since: Instant,
    moved: bool,
}

/// The leases that were looked at.
#[derive(Debug, Default)]
pub(crate) struct LeaseWatch(Mutex<BTreeMap<String, SeenLease>>);

impl LeaseWatch {
    /// Notes how a lease is now, and says what was seen of it so far.
    pub(crate) fn observe(&self, lease: &Stored<Lease>) -> Seen {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= MAX_LEASES && !seen.contains_key(&lease.name) {
            seen.clear();
        }
        let fresh =
            || SeenLease { version: lease.version.clone(), fence: lease.fence, since: Instant::now(), moved: false };
        let lease_seen = seen.entry(lease.name.clone()).or_insert_with(fresh);
        if lease_seen.version != lease.version {
            // Another holder was not seen to renew anything yet.
            *lease_seen = SeenLease { moved: lease_seen.fence == lease.fence, ..fresh() };
        }
        Seen { silent: lease_seen.since.elapsed(), moved: lease_seen.moved }
    }
}
