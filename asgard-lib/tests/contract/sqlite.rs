//! SQLite: the suite, and what is its own: the file, other processes, migrations.

use asgard_lib::{
    Code,
    backends::{SqliteOptions, SqliteStore},
    contract::{
        lab::{Lab, count, insert_empty, request},
        load, property,
    },
    ports::store::{Op, Store},
};
use futures_util::future::join_all;
use std::{path::Path, time::Duration};
use tempfile::TempDir;

async fn open(path: &Path) -> SqliteStore {
    let store = SqliteStore::open(path, SqliteOptions::default()).await.unwrap();
    store.migrate().await.unwrap();
    store
}

async fn fresh() -> (SqliteStore, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (open(&folder.path().join("asgard.db")).await, folder)
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
    assert!(load::workers_keep_every_rule(store, 8, Duration::from_secs(1)).await > 20);
}
