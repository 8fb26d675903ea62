//! The scenarios for [`SecretStore`]. A store is asked only about secrets that the scenario made, so it may hold others.

use crate::{
    Code,
    domain::secret::SecretOwner,
    kernel::{ProjectId, ResourceId, SecretId, SecretText},
    ports::{secrets::SecretStore, world::World},
};
use futures_util::future::BoxFuture;

/// A scenario: its name, and what runs it.
pub type Scenario = (&'static str, for<'a> fn(&'a dyn SecretStore) -> BoxFuture<'a, ()>);

macro_rules! scenarios {
    ($d:tt $($name:ident,)*) => {
        /// Every scenario.
        pub const ALL: &[Scenario] = &[$((stringify!($name), |store| Box::pin($name(store))),)*];

        /// Makes a `#[tokio::test]` of every scenario for [`SecretStore`]. Takes the name of an async function without
        /// arguments that returns a secret store and anything to be dropped after the test.
        #[macro_export]
        macro_rules! secrets_contract {
            ($d make:path) => {$(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let (store, _kept) = $d make().await;
                    $crate::contract::secrets::$name(&store).await;
                }
            )*};
        }
    };
}

scenarios! { $
    values_come_back_as_they_were_put,
    a_version_is_written_once,
    putting_again_is_putting_once,
    versions_may_come_late_and_with_gaps,
    forgetting_goes_up_to_a_version,
    what_is_forgotten_stays_forgotten,
    a_forgotten_secret_takes_new_versions,
    no_refusal_shows_a_value,
    nobody_but_the_owner_gets_a_value,
}

/// Runs every scenario in turn, each on a store of its own.
pub async fn all<S: SecretStore, G>(make: impl AsyncFn() -> (S, G)) {
    for (name, run) in ALL {
        tracing::info!(scenario = name, "running");
        let (store, _kept) = make().await;
        run(&store).await;
    }
}

fn new_id() -> SecretId {
    World::system().id()
}

fn owner() -> SecretOwner {
    SecretOwner { project: ProjectId::new(2026, 7), resource: ResourceId::from_digest(&[7; 32]) }
}

async fn put(store: &dyn SecretStore, id: &SecretId, version: u32, value: &str) {
    store.put(id, version, &SecretText::new(value), &owner()).await.unwrap();
}

async fn shows(store: &dyn SecretStore, id: &SecretId, version: u32) -> Option<String> {
    store.get(id, version, &owner()).await.unwrap().map(|value| value.reveal().to_owned())
}

/// Any text, short or as long as every store takes; each version its own.
pub async fn values_come_back_as_they_were_put(store: &dyn SecretStore) {
    let (id, other) = (new_id(), new_id());
    assert_eq!(shows(store, &id, 1).await, None, "a secret that never was");
    let values = ["hunter1", " two\nlines\t\"quoted\" ", "ключ 🔑", &"x".repeat(65_536)];
    for (version, value) in (1..).zip(values) {
        put(store, &id, version, value).await;
    }
    put(store, &other, 1, "another").await;
    for (version, value) in (1..).zip(values) {
        assert!(shows(store, &id, version).await.as_deref() == Some(value), "version {version} came back changed");
    }
    assert_eq!(shows(store, &id, 5).await, None);
    assert_eq!(shows(store, &other, 1).await.as_deref(), Some("another"));
    assert_eq!(shows(store, &other, 2).await, None);
}

/// Another value under the same number is refused, and the first stays.
pub async fn a_version_is_written_once(store: &dyn SecretStore) {
    let id = new_id();
    put(store, &id, 1, "first").await;
    let error = store.put(&id, 1, &SecretText::new("second"), &owner()).await.unwrap_err();
    assert_eq!(error.code(), Code::AlreadyExists, "{}", error.chain());
    assert_eq!(shows(store, &id, 1).await.as_deref(), Some("first"));
}

/// An attempt that was cut short is made again: the same value, once or after newer ones.
pub async fn putting_again_is_putting_once(store: &dyn SecretStore) {
    let id = new_id();
    for _ in 0..3 {
        put(store, &id, 1, "one").await;
    }
    put(store, &id, 2, "two").await;
    put(store, &id, 1, "one").await;
    assert_eq!(shows(store, &id, 1).await.as_deref(), Some("one"));
    assert_eq!(shows(store, &id, 2).await.as_deref(), Some("two"));
}

/// Numbers that were skipped, and an older version after a newer one.
pub async fn versions_may_come_late_and_with_gaps(store: &dyn SecretStore) {
    let id = new_id();
    put(store, &id, 3, "three").await;
    put(store, &id, 60, "sixty").await;
    put(store, &id, 2, "two").await;
    for (version, value) in [(1, None), (2, Some("two")), (3, Some("three")), (59, None), (60, Some("sixty"))] {
        assert_eq!(shows(store, &id, version).await.as_deref(), value, "version {version}");
    }
}

/// What is at or below the version goes, what is above stays, and other secrets are not touched.
pub async fn forgetting_goes_up_to_a_version(store: &dyn SecretStore) {
    let (id, other) = (new_id(), new_id());
    for version in 1..=5 {
        put(store, &id, version, &format!("v{version}")).await;
    }
    put(store, &other, 1, "other").await;
    store.forget(&id, 3, Some(&owner())).await.unwrap();
    for version in 1..=3 {
        assert_eq!(shows(store, &id, version).await, None, "version {version} is forgotten");
    }
    for version in 4..=5 {
        assert_eq!(shows(store, &id, version).await, Some(format!("v{version}")));
    }
    assert_eq!(shows(store, &other, 1).await.as_deref(), Some("other"));
    put(store, &id, 6, "v6").await;
    assert_eq!(shows(store, &id, 6).await.as_deref(), Some("v6"));
}

/// Forgetting twice, forgetting more than there is, and forgetting what never was.
pub async fn what_is_forgotten_stays_forgotten(store: &dyn SecretStore) {
    let id = new_id();
    store.forget(&id, 10, Some(&owner())).await.unwrap();
    put(store, &id, 1, "one").await;
    put(store, &id, 2, "two").await;
    for _ in 0..2 {
        store.forget(&id, 52, Some(&owner())).await.unwrap();
        assert_eq!((shows(store, &id, 1).await, shows(store, &id, 2).await), (None, None));
    }
}

/// A secret whose versions are all gone is one that may have new ones; the old do not come back with them.
pub async fn a_forgotten_secret_takes_new_versions(store: &dyn SecretStore) {
    let id = new_id();
    put(store, &id, 1, "one").await;
    put(store, &id, 2, "two").await;
    store.forget(&id, 2, Some(&owner())).await.unwrap();
    put(store, &id, 3, "three").await;
    for (version, value) in [(1, None), (2, None), (3, Some("three"))] {
        assert_eq!(shows(store, &id, version).await.as_deref(), value, "version {version}");
    }
    store.forget(&id, 3, Some(&owner())).await.unwrap();
    assert_eq!(shows(store, &id, 3).await, None);
}

/// Another resource of the project, and another project, get an error or nothing, and forget nothing.
pub async fn nobody_but_the_owner_gets_a_value(store: &dyn SecretStore) {
    let id = new_id();
    put(store, &id, 1, "the owner's").await;
    let others = [
        SecretOwner { resource: ResourceId::from_digest(&[8; 32]), ..owner() },
        SecretOwner { project: ProjectId::new(2026, 8), ..owner() },
    ];
    for other in &others {
        let found = store.get(&id, 1, other).await;
        assert!(found.is_err() || found.is_ok_and(|found| found.is_none()), "somebody else got the value");
        let _: Result<(), crate::Error> = store.forget(&id, 1, Some(other)).await;
    }
    assert_eq!(shows(store, &id, 1).await.as_deref(), Some("the owner's"));
}

/// Neither the person who asked nor the log sees a value.
pub async fn no_refusal_shows_a_value(store: &dyn SecretStore) {
    let id = new_id();
    let (hidden, longer) = ("correct-horse-battery", "correct-horse-battery".repeat(2_000_000));
    put(store, &id, 1, hidden).await;
    for (version, value) in [(1, "correct-horse-staple"), (0, hidden), (2, &longer)] {
        let error = store.put(&id, version, &SecretText::new(value), &owner()).await.unwrap_err();
        let said = format!("{error} {} {error:?}", error.chain());
        assert!(!said.contains("correct-horse"), "version {version}: {said}");
    }
}
