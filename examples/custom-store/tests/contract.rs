//! Everything that the ports ask for, as the library's own backends have to keep it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first thing that is wrong"
)]

use asgard_lib::{
    Code,
    backends::{Opened, Upkeep},
    contract::{
        load, property,
        store_fixture::{StoreFixture, insert_empty, request},
    },
    ports::store::{Outcome, Store, StoreError},
};
use custom_store::RedbStore;
use std::{fs, path::Path, time::Duration};
use tempfile::TempDir;

async fn open(path: &Path) -> RedbStore {
    let store = RedbStore::open(path).await.unwrap();
    store.migrate().await.unwrap();
    store
}

async fn fresh() -> (RedbStore, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (open(&folder.path().join("asgard.redb")).await, folder)
}

mod store {
    asgard_lib::store_contract!(super::fresh);
}

mod blobs {
    asgard_lib::blobs_contract!(super::fresh);
}

#[test]
fn random_histories_agree_with_the_model() {
    property::agrees_with_the_model(fresh, 150);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_keep_every_rule() {
    let (store, _folder) = fresh().await;
    assert!(load::workers_keep_every_rule(store, 8, Duration::from_secs(2)).await > 20);
}

#[tokio::test]
async fn a_closed_store_has_written_everything_and_takes_nothing_more() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("asgard.redb");
    let store = open(&path).await;
    let fixture = StoreFixture::new(&store);
    let (first, second) = (fixture.batch([insert_empty(&request("r"))]), fixture.batch([insert_empty(&request("s"))]));
    let (outcome, ()) = tokio::join!(store.commit(&first), store.close());
    assert_eq!(outcome.unwrap(), Outcome::Committed);
    assert!(matches!(store.commit(&second).await, Err(StoreError::Unavailable(_))));
    assert!(matches!(store.ping().await, Err(StoreError::Unavailable(_))));
    let again = open(&path).await;
    assert!(StoreFixture::new(&again).get(&request("r")).await.is_some());
    assert!(StoreFixture::new(&again).get(&request("s")).await.is_none());
}

#[tokio::test]
async fn a_file_that_cannot_be_used_is_refused_clearly() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("text.redb"), "this is not a database, and long enough to be taken for one".repeat(200)).unwrap();
    let _other = open(&at("open.redb")).await;
    for (name, says) in [
        ("text.redb", "cannot be used"),
        ("open.redb", "another process has it open"),
        ("missing/a.redb", "No such file"),
    ] {
        let before = fs::read(at(name)).ok();
        let refusal = RedbStore::open(&at(name)).await.err().unwrap();
        assert_eq!(refusal.code(), Code::Config);
        assert!(refusal.message().contains(says) && refusal.message().contains(name), "{name}: {refusal:?}");
        assert!(fs::read(at(name)).ok() == before, "{name} was changed");
    }
    let unmigrated = Opened::new(RedbStore::open(&at("new.redb")).await.unwrap());
    assert!(unmigrated.check().await.unwrap_err().message().contains("migrate it first"));
    unmigrated.migrate().await.unwrap();
    unmigrated.check().await.unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn only_its_owner_reads_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let (store, _folder) = fresh().await;
    let mode = fs::metadata(store.file().unwrap()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}
