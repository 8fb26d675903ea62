//! Places for connections: so many in all, and so many for each peer. A connection without a place is not refused before it has said
//! what it wants: a probe is answered, and everything else waits for a place.

use crate::kernel::network::counted_as;
use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// How many connections wait for a place at most. The next one takes the place of the oldest, so that whoever opens many and says
/// nothing keeps no probe out.
const WAITING: usize = 256;

/// Whether this is asked for by whoever looks after the process.
pub(super) fn is_probe(path: &str) -> bool {
    matches!(path, "/healthz" | "/readyz")
}

/// The places of a listener.
pub(super) struct Places {
    all: usize,
    a_peer: usize,
    taken: Mutex<Taken>,
    freed: Notify,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Taken {
    all: usize,
    by_peer: BTreeMap<IpAddr, usize>,
}

#[derive(Default)]
struct Waiting {
    next: u64,
    by_age: BTreeMap<u64, CancellationToken>,
}

/// A place; given back when dropped.
pub(super) struct Place {
    places: Arc<Places>,
    peer: IpAddr,
}

/// A wait for a place; it is over when dropped.
pub(super) struct Wait {
    places: Arc<Places>,
    number: u64,
    /// Cancelled when somebody else needs to be heard.
    pub over: CancellationToken,
}

/// A map of numbers is whole whoever panicked beside it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Places {
    /// So many places in all, and for each peer.
    pub(super) fn new(all: u32, a_peer: u32) -> Arc<Self> {
        let size = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
        Arc::new(Self {
            all: size(all),
            a_peer: size(a_peer),
            taken: Mutex::default(),
            freed: Notify::new(),
            waiting: Mutex::default(),
        })
    }

    /// A place for a connection of this peer, if there is one.
    pub(super) fn take(self: &Arc<Self>, peer: IpAddr) -> Option<Place> {
        let peer = counted_as(peer);
        let mut taken = lock(&self.taken);
        let of_peer = taken.by_peer.get(&peer).copied().unwrap_or_default();
        if taken.all >= self.all || of_peer >= self.a_peer {
            return None;
        }
        taken.all += 1;
        taken.by_peer.insert(peer, of_peer + 1);
        Some(Place { places: Arc::clone(self), peer })
    }

    /// A place for a connection of this peer, as soon as there is one.
    pub(super) async fn wait(self: &Arc<Self>, peer: IpAddr) -> Place {
        loop {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            // From here on no place is given back unnoticed.
            freed.as_mut().enable();
            if let Some(place) = self.take(peer) {
                return place;
            }
            freed.await;
        }
    }

    /// Joins those without a place.
    pub(super) fn join(self: &Arc<Self>) -> Wait {
        let mut waiting = lock(&self.waiting);
        if waiting.by_age.len() >= WAITING
            && let Some((_, oldest)) = waiting.by_age.pop_first()
        {
            oldest.cancel();
        }
        let (number, over) = (waiting.next, CancellationToken::new());
        waiting.next += 1;
        waiting.by_age.insert(number, over.clone());
        Wait { places: Arc::clone(self), number, over }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = lock(&self.places.taken);
        taken.all = taken.all.saturating_sub(1);
        let left = taken.by_peer.get(&self.peer).copied().unwrap_or_default().saturating_sub(1);
        if left == 0 {
            taken.by_peer.remove(&self.peer);
        } else {
            taken.by_peer.insert(self.peer, left);
        }
        drop(taken);
        self.places.freed.notify_waiters();
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        lock(&self.places.waiting).by_age.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_peer_has_its_share_and_a_network_of_ipv6_is_one_peer() {
        let places = Places::new(3, 2);
        let (one, two) = (peer("192.0.2.1"), peer("192.0.2.2"));
        let first = places.take(one).unwrap();
        let _second = places.take(one).unwrap();
        assert!(places.take(one).is_none(), "its share is taken");
        let _third = places.take(two).unwrap();
        assert!(places.take(two).is_none(), "all are taken");
        drop(first);
        assert!(places.take(two).is_some());
        let places = Places::new(9, 1);
        let _host = places.take(peer("2001:db8::1")).unwrap();
        assert!(places.take(peer("2001:db8::ffff")).is_none());
        assert!(places.take(peer("2001:db8:0:1::1")).is_some());
        let _v4 = places.take(peer("::ffff:192.0.2.9")).unwrap();
        assert!(places.take(peer("192.0.2.9")).is_none());
    }

    #[test]
    fn the_oldest_wait_ends_when_too_many_wait() {
        let places = Places::new(0, 0);
        let waits: Vec<Wait> = (0..=WAITING).map(|_| places.join()).collect();
        let over: Vec<usize> = (0..waits.len()).filter(|at| waits[*at].over.is_cancelled()).collect();
        assert_eq!(over, [0]);
        drop(waits);
        assert!(lock(&places.waiting).by_age.is_empty());
    }
}
