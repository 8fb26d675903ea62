//! The scenarios for [`Blobs`].

use super::store_fixture::{hours_later, noon};
use crate::{
    kernel::BlobId,
    ports::{
        blobs::{Blobs, MAX_BLOB},
        store::StoreError,
        world::World,
    },
};
use futures_util::future::{BoxFuture, join_all};

/// A scenario: its name, and what runs it.
pub type Scenario = (&'static str, for<'a> fn(&'a dyn Blobs) -> BoxFuture<'a, ()>);

macro_rules! scenarios {
    ($d:tt $($name:ident,)*) => {
        /// Every scenario.
        pub const ALL: &[Scenario] = &[$((stringify!($name), |blobs| Box::pin($name(blobs))),)*];

        /// Makes a `#[tokio::test]` of every scenario for [`Blobs`]. Takes the name of an async function without arguments that
        /// returns fresh blobs and anything to be dropped after the test.
        #[macro_export]
        macro_rules! blobs_contract {
            ($d make:path) => {$(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let (blobs, _kept) = $d make().await;
                    $crate::contract::blobs::$name(&blobs).await;
                }
            )*};
        }
    };
}

scenarios! { $
    blobs_come_back_as_they_were_put,
    a_blob_has_a_limit,
    a_blob_is_written_once,
    deleting_is_idempotent,
    lists_are_ordered_paged_and_bounded_by_time,
    racing_puts_agree,
}

/// Runs every scenario in turn, each on blobs of its own.
pub async fn all<B: Blobs, G>(make: impl AsyncFn() -> (B, G)) {
    for (name, run) in ALL {
        tracing::info!(scenario = name, "running");
        let (blobs, _kept) = make().await;
        run(&blobs).await;
    }
}

fn ids(n: usize) -> Vec<BlobId> {
    let world = World::system();
    let mut ids: Vec<BlobId> = (0..n).map(|_| world.id()).collect();
    ids.sort_unstable();
    ids
}

/// Any bytes, none, and as many as are allowed.
pub async fn blobs_come_back_as_they_were_put(blobs: &dyn Blobs) {
    let every: Vec<u8> = (0..=u8::MAX).collect();
    let large: Vec<u8> = (0..MAX_BLOB).map(|i| i.to_le_bytes()[i % 4]).collect();
    for (id, bytes) in ids(3).iter().zip([Vec::new(), every, large]) {
        assert_eq!(blobs.get(id).await.unwrap(), None);
        blobs.put(id, &bytes, noon()).await.unwrap();
        assert!(blobs.get(id).await.unwrap().as_ref() == Some(&bytes), "{} bytes came back changed", bytes.len());
    }
}

/// More than that is refused on every backend, because the smallest backend's limit is everybody's.
pub async fn a_blob_has_a_limit(blobs: &dyn Blobs) {
    let id = &ids(1)[0];
    assert!(matches!(blobs.put(id, &vec![0; MAX_BLOB + 1], noon()).await, Err(StoreError::Corrupt(_))));
    assert_eq!(blobs.get(id).await.unwrap(), None);
}

/// The same bytes again are fine; others are refused, and the first stay.
pub async fn a_blob_is_written_once(blobs: &dyn Blobs) {
    let id = &ids(1)[0];
    blobs.put(id, b"first", noon()).await.unwrap();
    blobs.put(id, b"first", hours_later(1)).await.unwrap();
    assert!(matches!(blobs.put(id, b"second", noon()).await, Err(StoreError::Corrupt(_))));
    assert!(matches!(blobs.put(id, b"", noon()).await, Err(StoreError::Corrupt(_))));
    assert_eq!(blobs.get(id).await.unwrap().as_deref(), Some(b"first".as_slice()));
}

/// Deleting what is not there is fine; what was deleted is gone.
pub async fn deleting_is_idempotent(blobs: &dyn Blobs) {
    let ids = ids(2);
    blobs.delete(&ids[0]).await.unwrap();
    for id in &ids {
        blobs.put(id, b"x", noon()).await.unwrap();
    }
    blobs.delete(&ids[0]).await.unwrap();
    blobs.delete(&ids[0]).await.unwrap();
    assert_eq!(blobs.get(&ids[0]).await.unwrap(), None);
    assert!(blobs.get(&ids[1]).await.unwrap().is_some());
    assert_eq!(blobs.list(hours_later(1), None, 10).await.unwrap(), ids[1..]);
}

/// Orphans are collected page by page, and only old ones.
pub async fn lists_are_ordered_paged_and_bounded_by_time(blobs: &dyn Blobs) {
    let ids = ids(7);
    for (i, id) in ids.iter().enumerate().rev() {
        let at = if i == 3 { hours_later(2) } else { noon() };
        blobs.put(id, b"x", at).await.unwrap();
    }
    let old: Vec<BlobId> = ids.iter().enumerate().filter(|(i, _)| *i != 3).map(|(_, id)| id.clone()).collect();
    assert_eq!(blobs.list(hours_later(1), None, 100).await.unwrap(), old);
    assert_eq!(blobs.list(hours_later(3), None, 100).await.unwrap(), ids);
    assert_eq!(blobs.list(noon(), None, 100).await.unwrap(), [], "stored at that moment is not before it");
    let mut walked: Vec<BlobId> = Vec::new();
    loop {
        let page = blobs.list(hours_later(1), walked.last(), 4).await.unwrap();
        assert!(page.len() <= 4);
        if page.is_empty() {
            break;
        }
        walked.extend(page);
    }
    assert_eq!(walked, old);
}

/// Of many that put other bytes under one id, one wins, and everybody reads its bytes.
pub async fn racing_puts_agree(blobs: &dyn Blobs) {
    for id in ids(5) {
        let results = join_all((0..8u8).map(|i| {
            let id = id.clone();
            async move { blobs.put(&id, &[i; 100], noon()).await.is_ok() }
        }))
        .await;
        assert_eq!(results.iter().filter(|won| **won).count(), 1);
        let winner = u8::try_from(results.iter().position(|won| *won).unwrap()).unwrap();
        assert_eq!(blobs.get(&id).await.unwrap(), Some(vec![winner; 100]));
    }
}
