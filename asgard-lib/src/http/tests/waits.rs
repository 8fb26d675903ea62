//! What a wait costs on a function, over HTTP: round trips to the store, from the credential to the answer.

use crate::{
    app::testkit::{Stage, StoreFaults, boot_fleeting},
    backends::MemoryStore,
    domain::request::Request,
    http::{
        HttpState, router,
        testkit::{Client, TestApp},
    },
    ports::{
        records::{Records, redraft},
        store::{Batch, Op, Outcome, Store},
        world::{SeededEntropy, World},
    },
};
use serde_json::json;
use std::{
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

/// Another process changes a request.
async fn change(store: &MemoryStore, world: &World, request: &str) {
    let store: &dyn Store = store;
    let read = store.read::<Request>(request).await.unwrap().unwrap();
    let mut batch = Batch::new(world.id(), world.now());
    batch.push(Op::Replace(redraft(&read, &read.value).unwrap(), read.version.clone())).unwrap();
    assert_eq!(store.commit(&batch).await.unwrap(), Outcome::Committed);
}

#[tokio::test(start_paused = true)]
async fn a_wait_on_a_function_makes_at_most_eight_round_trips_whoever_waits_and_however_often_it_changes() {
    let app = TestApp::new().await;
    let ask = json!({"service": "local-demo", "name": "slow", "spec": {}});
    let asked = app.owner.post(&format!("/api/projects/{}/resources", app.project), ask).await.json();
    let request = asked["request"]["request_id"].as_str().unwrap();
    let world = World::new(Arc::clone(&app.clock) as _, Arc::new(SeededEntropy::new(9)));
    let store = Arc::new(StoreFaults::on(&app.store));
    let function = boot_fleeting(Arc::clone(&store), &world, Arc::new(Stage::default()) as _).await;
    let router = router(HttpState::new(function));
    for every in [0, 1, 2, 5, 20] {
        for (what, who) in [("a session", &app.owner), ("a user token", &app.pat), ("a project key", &app.key)] {
            let is_key = what == "a project key";
            let client = Client::of(router.clone()).with(who.credential.as_deref().unwrap());
            let wait = async |seconds: u64| {
                if is_key {
                    let arguments = json!({"request_id": request, "wait_s": seconds});
                    client.tool("get_request", arguments).await.unwrap()["status"].clone()
                } else {
                    client.get(&format!("/api/requests/{request}?wait_s={seconds}")).await.json()["status"].clone()
                }
            };
            // The use of a credential is noted once in a while.
            wait(0).await;
            let (before, begun) = (store.fault.calls.load(SeqCst), tokio::time::Instant::now());
            let passing = async {
                for second in 1..=20 {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    app.clock.advance(Duration::from_secs(1));
                    if every > 0 && second % every == 0 {
                        change(&app.store, &world, request).await;
                    }
                }
            };
            let (status, ()) = tokio::join!(wait(50), passing);
            let reads = store.fault.calls.load(SeqCst) - before;
            assert_eq!(status, "planning", "{what}, changed every {every} seconds");
            assert!(begun.elapsed() >= Duration::from_secs(20), "{:?}", begun.elapsed());
            assert!((5..=8).contains(&reads), "{reads} round trips for {what}, changed every {every} seconds");
        }
    }
}
