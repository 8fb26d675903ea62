//! Keys that KMS has opened lately, so that a restart of the keyring's reading does not ask again. Bounded in number, age and
//! uses, and found only by the wrap and the context together: a warm cache opens nothing that KMS would not.

use crate::adapters::cipher::Root;
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;
use zeroize::Zeroizing;

/// The most keys that are kept.
pub(super) const MAX: usize = 64;
/// How long one is kept: as long a key that was disabled in KMS still opens what this process opened before.
pub(super) const AGE: Duration = Duration::from_secs(300);
/// How often one is used.
pub(super) const USES: u32 = 100;

/// The digest of a wrap and its context.
pub(super) type Name = [u8; 32];

/// Names what was opened.
pub(super) fn name(wrap: &[u8], context: &[u8]) -> Name {
    let mut digest = Sha256::new();
    digest.update(wrap.len().to_be_bytes());
    digest.update(wrap);
    digest.update(context);
    digest.finalize().into()
}

struct Kept {
    key: Root,
    until: Instant,
    uses: u32,
}

/// The cache. Keys are wiped when they leave it.
#[derive(Default)]
pub(super) struct Opened(Mutex<HashMap<Name, Kept>>);

impl Opened {
    /// The key of that name, if it may still be used; counts as a use.
    pub(crate) fn take_use(&self, name: &Name) -> Option<Root> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        kept.retain(|_, kept| kept.until > now && kept.uses > 0);
        let found = kept.get_mut(name)?;
        found.uses -= 1;
        Some(Zeroizing::new(*found.key))
    }

    /// Keeps a key; the one that would leave first makes room.
    pub(crate) fn keep(&self, name: Name, key: &Root) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MAX
            && let Some(oldest) = kept.iter().min_by_key(|(_, kept)| kept.until).map(|(name, _)| *name)
        {
            kept.remove(&oldest);
        }
        kept.insert(name, Kept { key: Zeroizing::new(**key), until: Instant::now() + AGE, uses: USES });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(fill: u8) -> Root {
        Zeroizing::new([fill; 32])
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_opened_is_kept_for_a_while_and_so_many_uses() {
        let opened = Opened::default();
        let (a, b) = (name(b"wrap", b"context"), name(b"wrap", b"other"));
        opened.keep(a, &key(1));
        assert_eq!(*opened.take_use(&a).unwrap(), [1; 32]);
        assert!(opened.take_use(&b).is_none(), "the context is part of the name");
        assert_ne!(name(b"wrapc", b"ontext"), a, "and the joint is unambiguous");
        for _ in 1..USES {
            assert!(opened.take_use(&a).is_some());
        }
        assert!(opened.take_use(&a).is_none(), "used up");
        opened.keep(a, &key(1));
        tokio::time::advance(AGE - Duration::from_secs(1)).await;
        assert!(opened.take_use(&a).is_some());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(opened.take_use(&a).is_none(), "too old");
        for n in 0..200u8 {
            opened.keep(name(&[n], b""), &key(n));
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        assert_eq!(opened.0.lock().unwrap().len(), MAX);
        assert!(opened.take_use(&name(&[199], b"")).is_some() && opened.take_use(&name(&[0], b"")).is_none());
    }
}
