//! Submitting a batch again, because the reply was lost.

use crate::{
    contract::store_fixture::{
        StoreFixture, claim, count, insert, insert_empty, refusal, release, replace, request, winners,
    },
    ports::store::{Op, Outcome, Reason, Store},
};
use futures_util::future::join_all;

/// The second submission answers `Committed`, and nothing is written or counted again.
pub async fn a_committed_batch_changes_nothing_twice(store: &dyn Store) {
    let fixture = StoreFixture::new(store);
    let (a, b, gone) = (request("a"), request("b"), request("gone"));
    let seen = fixture.commit([insert_empty(&b), insert_empty(&gone), claim("old", "me")]).await;
    let batch = fixture.batch([
        insert(&a, r#"{"a":1}"#),
        replace(&b, r#"{"b":1}"#, &seen),
        Op::Remove(gone.clone(), seen),
        claim("new", "me"),
        release("old", "me"),
        Op::Count(count("n", 7)),
    ]);
    for time in 0..3 {
        assert_eq!(fixture.submit(&batch).await, Outcome::Committed, "submission {time}");
        assert_eq!(
            (fixture.version(&a).await.as_ref(), fixture.version(&b).await.as_ref()),
            (Some(batch.id()), Some(batch.id()))
        );
        assert_eq!(
            (fixture.get(&gone).await, fixture.holds("old").await, fixture.holds("new").await),
            (None, None, Some("me".into()))
        );
        assert_eq!(fixture.shows("n").await, 7, "submission {time}");
    }
}

/// A committed batch is not refused because the world has moved on, and does not move it back.
pub async fn a_committed_batch_stays_committed_whatever_came_after(store: &dyn Store) {
    let fixture = StoreFixture::new(store);
    let key = request("r");
    let batch = fixture.batch([insert(&key, r#"{"by":"first"}"#), claim("name", "first"), Op::Count(count("n", 1))]);
    assert_eq!(fixture.submit(&batch).await, Outcome::Committed);
    let second = fixture
        .commit([replace(&key, r#"{"by":"second"}"#, batch.id()), release("name", "first"), Op::Count(count("n", -1))])
        .await;
    fixture.commit([claim("name", "second")]).await;
    assert_eq!(fixture.submit(&batch).await, Outcome::Committed);
    let record = fixture.get(&key).await.unwrap();
    assert_eq!((record.version.clone(), record.body.as_str()), (second, r#"{"by":"second"}"#));
    assert_eq!((fixture.holds("name").await.as_deref(), fixture.shows("n").await), (Some("second"), 0));
    fixture.commit([Op::Remove(key.clone(), record.version)]).await;
    assert_eq!(fixture.submit(&batch).await, Outcome::Committed);
    assert_eq!(fixture.get(&key).await, None, "a resubmitted insert brought a removed record back");
}

/// A refusal leaves no trace: the same batch commits once nothing stands in its way.
pub async fn a_refused_batch_may_commit_later(store: &dyn Store) {
    let fixture = StoreFixture::new(store);
    let key = request("r");
    fixture.commit([claim("name", "other")]).await;
    let batch = fixture.batch([insert_empty(&key), claim("name", "me")]);
    assert_eq!(fixture.submit(&batch).await, refusal(1, Reason::Taken));
    assert_eq!(fixture.submit(&batch).await, refusal(1, Reason::Taken));
    fixture.commit([release("name", "other")]).await;
    assert_eq!(fixture.submit(&batch).await, Outcome::Committed);
    assert_eq!(fixture.version(&key).await.as_ref(), Some(batch.id()));
}

/// A reply that is only late: the batch is submitted again while the first submission still runs.
pub async fn racing_submissions_of_one_batch_commit_it_once(store: &dyn Store) {
    let fixture = StoreFixture::new(store);
    for round in 0..10 {
        let batch = fixture.batch([
            insert_empty(&request(&format!("r{round}"))),
            Op::Count(count("n", 1)),
            claim(&format!("c{round}"), "me"),
        ]);
        let outcomes = join_all((0..8).map(|_| fixture.submit(&batch))).await;
        assert_eq!(winners(&outcomes), 8, "round {round}: {outcomes:?}");
        assert_eq!(fixture.shows("n").await, round + 1);
    }
}

/// A refusal after a lost reply is made final: a copy of the batch that arrives late changes nothing, whatever has become of what
/// stood in its way.
pub async fn a_withdrawn_batch_never_commits_however_late_a_copy_arrives(store: &dyn Store) {
    let fixture = StoreFixture::new(store);
    let key = request("r");
    fixture.commit([claim("name", "other"), Op::Count(count("n", 1))]).await;
    let batch = fixture.batch([insert_empty(&key), claim("name", "me"), Op::Count(count("n", 10))]);
    assert_eq!(fixture.submit(&batch).await, refusal(1, Reason::Taken));
    assert!(store.withdraw(&batch).await.unwrap());
    fixture.commit([release("name", "other")]).await;
    for time in 0..3 {
        // What it answers is heard by nobody.
        store.commit(&batch).await.unwrap();
        assert_eq!((fixture.get(&key).await, fixture.holds("name").await, fixture.shows("n").await), (None, None, 1));
        assert!(store.withdraw(&batch).await.unwrap(), "withdrawing it again says the same, time {time}");
    }
}

/// Withdrawing comes too late for a batch that was committed, and takes nothing back.
pub async fn a_committed_batch_cannot_be_withdrawn(store: &dyn Store) {
    let fixture = StoreFixture::new(store);
    let key = request("r");
    let batch = fixture.batch([insert_empty(&key), Op::Count(count("n", 1))]);
    assert_eq!(fixture.submit(&batch).await, Outcome::Committed);
    for _ in 0..2 {
        assert!(!store.withdraw(&batch).await.unwrap());
        assert_eq!((fixture.version(&key).await.as_ref(), fixture.shows("n").await), (Some(batch.id()), 1));
    }
    assert_eq!(fixture.submit(&batch).await, Outcome::Committed);
}

/// A late copy that arrives while the batch is withdrawn has its whole effect or none, and the withdrawal knows which.
pub async fn a_withdrawal_and_a_late_copy_agree_on_what_happened(store: &dyn Store) {
    let fixture = StoreFixture::new(store);
    let mut happened = 0;
    for round in 0..10 {
        let key = request(&format!("r{round}"));
        let batch = fixture.batch([insert_empty(&key), Op::Count(count("n", 1))]);
        let copy = async { store.commit(&batch).await.unwrap() };
        let (_, withdrawn) = if round % 2 == 0 {
            futures_util::future::join(copy, store.withdraw(&batch)).await
        } else {
            let (withdrawn, copied) = futures_util::future::join(store.withdraw(&batch), copy).await;
            (copied, withdrawn)
        };
        let withdrawn = withdrawn.unwrap();
        assert_eq!(fixture.get(&key).await.is_none(), withdrawn, "round {round}");
        happened += i64::from(!withdrawn);
        assert_eq!(fixture.shows("n").await, happened, "round {round}");
    }
}
