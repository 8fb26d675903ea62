//! Counters with bounds.

use crate::{
    contract::store_fixture::{StoreFixture, count, count_to, refusal, winners},
    ports::store::{Count, Op, Outcome, Reason, Store},
};
use futures_util::future::join_all;
use std::collections::BTreeSet;

/// Both bounds hold for the result, on a fresh counter too, and a step of zero asks without changing.
pub async fn bounds_are_kept(store: &dyn Store) {
    let fixture = StoreFixture::new(store);
    let within = |delta| Op::Count(Count { floor: Some(-2), ceiling: Some(3), ..count("n", delta) });
    let steps = [
        (4, Some(Reason::Ceiling), 0),
        (-3, Some(Reason::Floor), 0),
        (3, None, 3),
        (1, Some(Reason::Ceiling), 3),
        (0, None, 3),
        (-5, None, -2),
        (-1, Some(Reason::Floor), -2),
        (2, None, 0),
    ];
    for (delta, reason, shows) in steps {
        let wanted = reason.map_or(Outcome::Committed, |reason| refusal(0, reason));
        assert_eq!(fixture.try_commit([within(delta)]).await, wanted, "step {delta}");
        assert_eq!(fixture.shows("n").await, shows, "after step {delta}");
    }
    // A bound that was lowered below what the counter shows refuses even a step towards it.
    fixture.commit([Op::Count(count("n", 10))]).await;
    assert_eq!(fixture.try_commit([count_to("n", -1, 5)]).await, refusal(0, Reason::Ceiling));
    assert_eq!(fixture.try_commit([count_to("n", 0, 10)]).await, Outcome::Committed);
    assert_eq!(
        fixture.try_commit([Op::Count(Count { floor: Some(11), ceiling: Some(9), ..count("n", 0) })]).await,
        refusal(0, Reason::Ceiling)
    );
}

/// A counter refuses to leave an `i64`.
pub async fn the_ends_of_an_i64_are_bounds_too(store: &dyn Store) {
    let fixture = StoreFixture::new(store);
    for (name, end, reason) in [("up", i64::MAX, Reason::Ceiling), ("down", i64::MIN, Reason::Floor)] {
        fixture.commit([Op::Count(count(name, end))]).await;
        assert_eq!(fixture.shows(name).await, end);
        assert_eq!(fixture.try_commit([Op::Count(count(name, end.signum()))]).await, refusal(0, reason));
        assert_eq!(fixture.try_commit([Op::Count(count(name, end))]).await, refusal(0, reason));
        assert_eq!(fixture.shows(name).await, end);
    }
    assert!(store.increment("up").await.is_err());
    assert_eq!(fixture.shows("up").await, i64::MAX);
}

/// Both ways to count see each other.
pub async fn increment_and_count_share_a_counter(store: &dyn Store) {
    let fixture = StoreFixture::new(store);
    assert_eq!(fixture.shows("n").await, 0);
    assert_eq!(store.increment("n").await.unwrap(), 1);
    fixture.commit([Op::Count(count("n", 10))]).await;
    assert_eq!(store.increment("n").await.unwrap(), 12);
    assert_eq!(fixture.shows("n").await, 12);
    assert_eq!(fixture.shows("m").await, 0);
}

/// Fifty at once, room for seventeen: seventeen win. Then the room is given back by fifty at once, and no more.
pub async fn exactly_as_many_counts_win_as_there_is_room(store: &dyn Store) {
    let fixture = StoreFixture::new(store);
    let up = join_all((0..50).map(|_| fixture.try_commit([count_to("quota", 3, 51)]))).await;
    assert_eq!((winners(&up), fixture.shows("quota").await), (17, 51));
    assert!(up.iter().all(|outcome| matches!(outcome, Outcome::Committed) || *outcome == refusal(0, Reason::Ceiling)));
    let down =
        join_all((0..50).map(|_| fixture.try_commit([Op::Count(Count { floor: Some(0), ..count("quota", -3) })])))
            .await;
    assert_eq!((winners(&down), fixture.shows("quota").await), (17, 0));
}

/// Numbers drawn at once are all different, and without gaps when every reply arrived.
pub async fn increments_are_unique(store: &dyn Store) {
    let drawn = join_all((0..60).map(|_| store.increment("number"))).await;
    let drawn: BTreeSet<i64> = drawn.into_iter().map(|number| number.expect("the store answers")).collect();
    assert_eq!(drawn, (1..=60).collect());
}
