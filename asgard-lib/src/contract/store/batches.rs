//! What each step needs, and that a batch is all or nothing.

use crate::{
    contract::store_fixture::{
        StoreFixture, claim, count, count_to, insert, insert_empty, refusal, release, replace, request,
    },
    kernel::CommitId,
    ports::store::{Batch, Key, Op, Outcome, Reason, Store},
};
use std::collections::BTreeSet;

/// Insert is refused where a record is, and changes nothing there.
pub async fn insert_needs_absence(store: &dyn Store) {
    let fixture = StoreFixture::new(store);
    let key = request("r");
    let version = fixture.commit([insert(&key, r#"{"first":true}"#)]).await;
    assert_eq!(fixture.try_commit([insert_empty(&key)]).await, refusal(0, Reason::Exists));
    let record = fixture.get(&key).await.unwrap();
    assert_eq!((record.version, record.body.as_str()), (version, r#"{"first":true}"#));
}

/// Replace is refused where the record is absent or has another version.
pub async fn replace_needs_the_version(store: &dyn Store) {
    let fixture = StoreFixture::new(store);
    let key = request("r");
    let nobody = fixture.commit_id();
    assert_eq!(fixture.try_commit([replace(&key, "{}", &nobody)]).await, refusal(0, Reason::Changed));
    assert_eq!(fixture.get(&key).await, None, "a refused replace made a record");
    let first = fixture.commit([insert_empty(&key)]).await;
    assert_eq!(fixture.try_commit([replace(&key, "{}", &nobody)]).await, refusal(0, Reason::Changed));
    let second = fixture.commit([replace(&key, r#"{"n":2}"#, &first)]).await;
    assert_eq!(fixture.try_commit([replace(&key, r#"{"n":3}"#, &first)]).await, refusal(0, Reason::Changed));
    let record = fixture.get(&key).await.unwrap();
    assert_eq!((record.version, record.body.as_str()), (second, r#"{"n":2}"#));
}

/// Remove is refused where the record is absent or has another version.
pub async fn remove_needs_the_version(store: &dyn Store) {
    let fixture = StoreFixture::new(store);
    let key = request("r");
    let nobody = fixture.commit_id();
    assert_eq!(fixture.try_commit([Op::Remove(key.clone(), nobody.clone())]).await, refusal(0, Reason::Changed));
    let version = fixture.commit([insert_empty(&key)]).await;
    assert_eq!(fixture.try_commit([Op::Remove(key.clone(), nobody)]).await, refusal(0, Reason::Changed));
    assert_eq!(fixture.version(&key).await, Some(version.clone()));
    fixture.commit([Op::Remove(key.clone(), version.clone())]).await;
    assert_eq!(fixture.get(&key).await, None);
    assert_eq!(fixture.try_commit([Op::Remove(key.clone(), version)]).await, refusal(0, Reason::Changed));
}

/// Require looks and does not touch.
pub async fn require_needs_what_it_says_and_writes_nothing(store: &dyn Store) {
    let fixture = StoreFixture::new(store);
    let key = request("r");
    fixture.commit([Op::Require(key.clone(), None)]).await;
    assert_eq!(fixture.get(&key).await, None, "requiring absence made a record");
    let stranger = fixture.commit_id();
    assert_eq!(
        fixture.try_commit([Op::Require(key.clone(), Some(stranger.clone()))]).await,
        refusal(0, Reason::Changed)
    );
    let version = fixture.commit([insert(&key, r#"{"a":1}"#)]).await;
    let before = fixture.get(&key).await;
    fixture.commit([Op::Require(key.clone(), Some(version))]).await;
    assert_eq!(fixture.get(&key).await, before, "requiring changed the record");
    assert_eq!(fixture.try_commit([Op::Require(key.clone(), None)]).await, refusal(0, Reason::Exists));
    assert_eq!(fixture.try_commit([Op::Require(key.clone(), Some(stranger))]).await, refusal(0, Reason::Changed));
}

/// Whichever step is refused, wherever it stands, nothing of the batch is there; of several, the first is named.
pub async fn all_or_nothing_and_the_first_step_is_named(store: &dyn Store) {
    let fixture = StoreFixture::new(store);
    let (kept, doomed) = (request("kept"), request("doomed"));
    let seen = fixture
        .commit([insert_empty(&kept), insert_empty(&doomed), claim("held", "me"), Op::Count(count("n", 5))])
        .await;
    let nobody = fixture.commit_id();
    let refused = [
        (insert_empty(&kept), Reason::Exists),
        (replace(&kept, "{}", &nobody), Reason::Changed),
        (Op::Remove(kept.clone(), nobody.clone()), Reason::Changed),
        (Op::Require(kept.clone(), Some(nobody)), Reason::Changed),
        (Op::Require(kept.clone(), None), Reason::Exists),
        (claim("held", "other"), Reason::Taken),
        (release("held", "other"), Reason::NotHeld),
        (count_to("n", 1, 5), Reason::Ceiling),
    ];
    let fine = |i: usize| {
        [
            insert_empty(&request(&format!("new{i}"))),
            replace(&doomed, r#"{"changed":true}"#, &seen),
            claim(&format!("free{i}"), "me"),
            Op::Count(count(&format!("fresh{i}"), 1)),
        ]
    };
    for (i, (op, reason)) in refused.iter().enumerate() {
        for place in 0..=4 {
            let mut ops = fine(i).to_vec();
            ops.insert(place, op.clone());
            assert_eq!(fixture.try_commit(ops).await, refusal(place, *reason), "{op:?} at {place}");
        }
        assert_eq!(fixture.get(&request(&format!("new{i}"))).await, None, "{op:?} left a record");
        assert_eq!(fixture.version(&doomed).await.as_ref(), Some(&seen), "{op:?} left a change");
        assert_eq!(fixture.holds(&format!("free{i}")).await, None, "{op:?} left a claim");
        assert_eq!(
            (fixture.shows(&format!("fresh{i}")).await, fixture.shows("n").await),
            (0, 5),
            "{op:?} left a count"
        );
        assert_eq!(fixture.holds("held").await.as_deref(), Some("me"));
    }
    let two = [insert_empty(&request("new")), refused[7].0.clone(), refused[5].0.clone(), refused[0].0.clone()];
    assert_eq!(fixture.try_commit(two).await, refusal(1, Reason::Ceiling));
    let turned = [refused[0].0.clone(), refused[5].0.clone(), refused[7].0.clone()];
    assert_eq!(fixture.try_commit(turned).await, refusal(0, Reason::Exists));
}

/// Versions are commit ids: one for all records of a batch, and never the same again.
pub async fn a_version_is_the_commit_that_wrote_it(store: &dyn Store) {
    let fixture = StoreFixture::new(store);
    let (a, b) = (request("a"), request("b"));
    let mut seen: BTreeSet<CommitId> = BTreeSet::new();
    let mut version = fixture.commit([insert_empty(&a), insert_empty(&b)]).await;
    for _ in 0..3 {
        assert_eq!(
            (fixture.version(&a).await.as_ref(), fixture.version(&b).await.as_ref()),
            (Some(&version), Some(&version))
        );
        assert!(seen.insert(version.clone()));
        // Written with the same words, removed and written again: each is another version.
        version = fixture.commit([replace(&a, "{}", &version), replace(&b, "{}", &version)]).await;
        assert!(seen.insert(version.clone()));
        fixture.commit([Op::Remove(a.clone(), version.clone()), Op::Remove(b.clone(), version)]).await;
        version = fixture.commit([insert_empty(&a), insert_empty(&b)]).await;
    }
    for old in &seen {
        assert_eq!(fixture.try_commit([Op::Require(a.clone(), Some(old.clone()))]).await, refusal(0, Reason::Changed));
    }
}

/// A batch without steps commits, and again.
pub async fn an_empty_batch_commits(store: &dyn Store) {
    let fixture = StoreFixture::new(store);
    let batch = fixture.batch([]);
    assert_eq!(fixture.submit(&batch).await, Outcome::Committed);
    assert_eq!(fixture.submit(&batch).await, Outcome::Committed);
}

/// The limits of a batch can be used up: 99 steps, and 3.5 MB.
pub async fn the_largest_batch_commits(store: &dyn Store) {
    let fixture = StoreFixture::new(store);
    let many: Vec<Key> = (0..Batch::MAX_ITEMS - 1).map(|i| request(&format!("m{i:03}"))).collect();
    let seen = fixture.commit(many.iter().map(insert_empty)).await;
    fixture.commit(many.iter().map(|key| replace(key, r#"{"again":1}"#, &seen))).await;
    let found = store.get_many(&many).await.unwrap();
    assert!(found.iter().all(|record| record.as_ref().is_some_and(|record| record.body == r#"{"again":1}"#)));

    let mut batch = Batch::new(fixture.commit_id(), crate::contract::store_fixture::noon());
    let mut large = Vec::new();
    let body = format!(r#"{{"text":"{}"}}"#, "x".repeat(Batch::MAX_RECORD - 100));
    while batch.push(insert(&request(&format!("l{}", large.len())), body.clone())).is_ok() {
        large.push(request(&format!("l{}", large.len())));
    }
    assert!(large.len() >= 10, "3.5 MB hold ten large records");
    assert_eq!(fixture.submit(&batch).await, Outcome::Committed);
    assert!(
        store
            .get_many(&large)
            .await
            .unwrap()
            .iter()
            .all(|record| record.as_ref().is_some_and(|record| record.body == body))
    );
}
