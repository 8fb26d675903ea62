//! A whole Asgard on the store: what was registered and asked for is there after a restart.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first thing that is wrong")]

use asgard_lib::{
    app::{
        Call,
        people::{Vouched, vouched_for},
        projects::RegisterProject,
        requests::{GetRequest, RequestResource},
    },
    kernel::Role,
    runtime::{Master, Runtime},
};
use serde_json::json;
use std::{path::Path, time::Duration};
use tokio_util::sync::CancellationToken;

async fn open(file: &Path) -> Runtime {
    custom_store::asgard::open(file, "127.0.0.1:0".parse().unwrap()).await.unwrap()
}

async fn ann(runtime: &Runtime) -> Call {
    let app = runtime.app();
    let ann = vouched_for(app, &Vouched::new("ann@corp.example".parse().unwrap(), Role::Member)).await.unwrap();
    Call::by(ann, app.new_trace())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_for_is_carried_out_and_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("asgard.redb");
    let runtime = open(&file).await;
    let key = folder.path().join("asgard.redb.key");
    assert_eq!(runtime.master(), &Master::File { path: key.clone(), created: true });
    let background = runtime.spawn_background(&CancellationToken::new());
    let project: RegisterProject = serde_json::from_value(
        json!({"name": "Pilot", "owner_email": "ann@corp.example", "manager_email": "bob@corp.example", "group": "g"}),
    )
    .unwrap();
    let project = runtime.app().run(&ann(&runtime).await, &project).await.unwrap();
    let ask: RequestResource =
        serde_json::from_value(json!({"project_id": project.project_id, "service": "random-secret", "name": "token"}))
            .unwrap();
    let asked = runtime.app().run(&ann(&runtime).await, &ask).await.unwrap();
    let get: GetRequest =
        serde_json::from_value(json!({"request_id": asked.request.request_id, "wait_s": 20})).unwrap();
    let done = runtime.app().run(&ann(&runtime).await, &get).await.unwrap();
    assert_eq!(serde_json::to_value(done.status).unwrap(), "fulfilled");
    background.stop(Duration::from_secs(20)).await;
    runtime.close().await;

    let runtime = open(&file).await;
    assert_eq!(runtime.master(), &Master::File { path: key, created: false });
    let again = runtime.app().run(&ann(&runtime).await, &get).await.unwrap();
    assert_eq!(again.request_id, asked.request.request_id);
    runtime.close().await;
}

/// A database that is refused is closed again, so that somebody else can open it.
#[tokio::test]
async fn a_refused_database_is_let_go() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("asgard.redb");
    open(&file).await.close().await;
    std::fs::write(folder.path().join("asgard.redb.key"), "not a key").unwrap();
    let refusal = custom_store::asgard::open(&file, "127.0.0.1:0".parse().unwrap()).await.err().unwrap();
    assert!(refusal.message().contains("asgard.redb.key"), "{refusal}");
    custom_store::RedbStore::open(&file).await.unwrap();
}
