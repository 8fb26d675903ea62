//! What may vanish, and what may not.

use crate::{
    contract::store_fixture::{StoreFixture, count, draft, hours_later, insert_empty, noon, refusal, replace, request},
    ports::{
        kinds::{Kind, SESSIONS_BY_USER},
        store::{Count, Draft, Key, MARKERS_KEPT, Op, Outcome, Query, Reason, Store},
    },
};
use serde_json::json;
use std::time::Duration;

fn session(id: &str) -> Key {
    Key::new(Kind::Session, id)
}

fn until(key: &Key, hours: u64) -> Draft {
    let body = json!({ "user": "ann", "created_at": key.id }).to_string();
    Draft { expires_at: Some(hours_later(hours)), ..draft(key, body) }
}

/// Records vanish after their expiry, from reads and indexes, and not a microsecond before.
pub async fn only_what_expired_vanishes(store: &dyn Store) {
    let fixture = StoreFixture::new(store);
    let keys = ["one", "two", "three", "forever"].map(session);
    let [one, two, three, forever] = &keys;
    let seen = fixture
        .commit([
            Op::Insert(until(one, 1)),
            Op::Insert(until(two, 2)),
            Op::Insert(until(three, 3)),
            insert_empty(forever),
        ])
        .await;
    assert_eq!(store.expire(hours_later(1), 100).await.unwrap(), 0, "its last moment is not after it");
    assert!(fixture.get(one).await.is_some());
    // What a record says last holds: two now lives longer, and three for ever.
    fixture.commit([Op::Replace(until(two, 9), seen.clone()), replace(three, "{}", &seen)]).await;
    if !fixture.expires(hours_later(5), 100, 1).await {
        return;
    }
    let left: Vec<bool> = store.get_many(&keys).await.unwrap().iter().map(Option::is_some).collect();
    assert_eq!(left, [false, true, true, true]);
    fixture.finds(&Query::new(&SESSIONS_BY_USER, "ann"), &["two"]).await;
    assert_eq!(fixture.try_commit([Op::Require(one.clone(), Some(seen))]).await, refusal(0, Reason::Changed));
    fixture.commit([Op::Insert(until(one, 1))]).await;
}

/// One call deletes no more than it may, and says how many.
pub async fn expiry_keeps_its_limit(store: &dyn Store) {
    let fixture = StoreFixture::new(store);
    let keys: Vec<Key> =
        (0..9).map(|i| Key::new(if i % 2 == 0 { Kind::Session } else { Kind::Idempotency }, format!("s{i}"))).collect();
    fixture.commit(keys.iter().map(|key| Op::Insert(until(key, 1)))).await;
    assert!(store.expire(hours_later(2), 4).await.unwrap() <= 4);
    let left = store.get_many(&keys).await.unwrap().iter().flatten().count();
    assert!((5..=9).contains(&left), "{left} of 9 are left");
    if !fixture.expires(hours_later(2), 4, left).await {
        return;
    }
    assert!(store.get_many(&keys).await.unwrap().iter().all(Option::is_none));
}

/// A counter with an expiry counts from 0 again afterwards; the last count's word on expiry holds.
pub async fn a_counter_starts_again_after_its_expiry(store: &dyn Store) {
    let fixture = StoreFixture::new(store);
    let timed = |name, hours: Option<u64>| Op::Count(Count { expires_at: hours.map(hours_later), ..count(name, 5) });
    fixture.commit([timed("window", Some(1)), timed("kept", Some(1)), timed("plain", None)]).await;
    fixture.commit([timed("kept", None)]).await;
    assert_eq!(store.increment("window").await.unwrap(), 6);
    if !fixture.expires(hours_later(2), 100, 1).await {
        return;
    }
    assert_eq!((fixture.shows("window").await, fixture.shows("kept").await, fixture.shows("plain").await), (0, 10, 5));
}

/// A commit's marker stays for a day, and goes afterwards.
pub async fn a_commit_is_remembered_for_a_day(store: &dyn Store) {
    let fixture = StoreFixture::new(store);
    let batch = fixture.batch([insert_empty(&request("r")), Op::Count(count("n", 1))]);
    assert_eq!(fixture.submit(&batch).await, Outcome::Committed);
    assert_eq!(store.expire(noon().plus(MARKERS_KEPT), 100).await.unwrap(), 0);
    assert_eq!(fixture.submit(&batch).await, Outcome::Committed);
    assert_eq!(fixture.shows("n").await, 1);
    if !fixture.expires(noon().plus(MARKERS_KEPT).plus(Duration::from_secs(1)), 100, 1).await {
        return;
    }
    assert_eq!(fixture.submit(&batch).await, refusal(0, Reason::Exists), "the marker is still there");
}
