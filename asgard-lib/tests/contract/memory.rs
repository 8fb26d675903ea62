//! The model itself, and the model behind faults.

use asgard_lib::{
    backends::MemoryStore,
    contract::{
        faults::{Conflict, Faulty, Lag, LostReply, Unplug},
        load, property,
        store_fixture::{StoreFixture, insert_empty, noon, refusal, replace, request},
    },
    ports::{
        blobs::Blobs,
        kinds::REQUESTS,
        store::{Outcome, Query, Reason, Store, StoreError},
    },
};
use std::time::Duration;

async fn fresh() -> (MemoryStore, ()) {
    (MemoryStore::new(), ())
}

mod store {
    asgard_lib::store_contract!(super::fresh);
}

mod blobs {
    asgard_lib::blobs_contract!(super::fresh);
}

mod feed {
    asgard_lib::feed_contract!(super::fresh);
}

mod feed_with_a_lagging_index {
    use super::*;

    async fn fresh() -> (Faulty<MemoryStore, Lag>, ()) {
        (Faulty::new(MemoryStore::new(), Lag::default()), ())
    }

    asgard_lib::feed_contract!(fresh);
}

mod feed_with_lost_replies {
    use super::*;

    async fn fresh() -> (Faulty<MemoryStore, LostReply>, ()) {
        (Faulty::new(MemoryStore::new(), LostReply::every(3)), ())
    }

    asgard_lib::feed_contract!(fresh);
}

mod feed_with_conflicts {
    use super::*;

    async fn fresh() -> (Faulty<MemoryStore, Conflict>, ()) {
        (Faulty::new(MemoryStore::new(), Conflict::every(4)), ())
    }

    asgard_lib::feed_contract!(fresh);
}

mod lagging {
    use super::*;

    async fn fresh() -> (Faulty<MemoryStore, Lag>, ()) {
        (Faulty::new(MemoryStore::new(), Lag::default()), ())
    }

    asgard_lib::store_contract!(fresh);

    #[test]
    fn random_histories_settle_to_the_models() {
        property::agrees_with_the_model(fresh, 50);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_keep_every_rule() {
    assert!(load::workers_keep_every_rule(MemoryStore::new(), 8, Duration::from_millis(300)).await > 100);
}

#[tokio::test]
async fn a_lagging_index_sees_an_older_moment() {
    let store = Faulty::new(MemoryStore::new(), Lag::default());
    let fixture = StoreFixture::new(&store);
    fixture.commit([insert_empty(&request("r"))]).await;
    assert!(fixture.get(&request("r")).await.is_some(), "reads by key do not lag");
    assert!(fixture.page(&Query::new(&REQUESTS, "")).await.records.is_empty());
    assert_eq!(fixture.page(&Query::new(&REQUESTS, "")).await.records.len(), 1, "a query lets it catch up");
    fixture.commit([insert_empty(&request("s"))]).await;
    store.fault.catch_up().await.unwrap();
    assert_eq!(fixture.page(&Query::new(&REQUESTS, "")).await.records.len(), 2);
}

#[tokio::test]
async fn a_lost_reply_is_cleared_up_by_asking_again() {
    let store = Faulty::new(MemoryStore::new(), LostReply::default());
    let fixture = StoreFixture::new(&store);
    let batch = fixture.batch([insert_empty(&request("r"))]);
    store.fault.next(1);
    assert!(matches!(store.commit(&batch).await, Err(StoreError::Unknown(_))));
    assert_eq!(fixture.version(&request("r")).await.as_ref(), Some(batch.id()), "it was committed all the same");
    assert_eq!(fixture.submit(&batch).await, Outcome::Committed);
}

#[tokio::test]
async fn a_conflict_strikes_where_a_version_is_expected_and_never_a_committed_batch() {
    let store = Faulty::new(MemoryStore::new(), Conflict::default());
    let fixture = StoreFixture::new(&store);
    store.fault.next(1);
    let seen = fixture.commit([insert_empty(&request("r"))]).await;
    let batch = fixture.batch([insert_empty(&request("s")), replace(&request("r"), "{}", &seen)]);
    assert_eq!(fixture.submit(&batch).await, refusal(1, Reason::Changed));
    assert_eq!(fixture.get(&request("s")).await, None);
    assert_eq!(fixture.submit(&batch).await, Outcome::Committed);
    store.fault.next(1);
    assert_eq!(fixture.submit(&batch).await, Outcome::Committed);
    let every_second = Faulty::new(MemoryStore::new(), Conflict::every(2));
    let fixture = StoreFixture::new(&every_second);
    let seen = fixture.commit([insert_empty(&request("r"))]).await;
    let seen = fixture.commit([replace(&request("r"), "{}", &seen)]).await;
    assert_eq!(fixture.try_commit([replace(&request("r"), "{}", &seen)]).await, refusal(0, Reason::Changed));
}

#[tokio::test]
async fn an_unplugged_store_does_nothing_at_all() {
    let store = Faulty::new(MemoryStore::new(), Unplug::default());
    let fixture = StoreFixture::new(&store);
    let (batch, id) = (fixture.batch([insert_empty(&request("r"))]), asgard_lib::ports::world::World::system().id());
    store.fault.off();
    assert!(matches!(store.commit(&batch).await, Err(StoreError::Unavailable(_))));
    assert!(matches!(store.get_many(&[request("r")]).await, Err(StoreError::Unavailable(_))));
    assert!(matches!(store.put(&id, b"x", noon()).await, Err(StoreError::Unavailable(_))));
    store.fault.on();
    assert_eq!(fixture.get(&request("r")).await, None);
    assert_eq!(store.get(&id).await.unwrap(), None);
    assert_eq!(fixture.submit(&batch).await, Outcome::Committed);
}
