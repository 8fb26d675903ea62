//! What happens when several want the same.

use crate::{
    contract::store_fixture::{StoreFixture, claim, count, insert_empty, refusal, release, replace, request, winners},
    ports::store::{Key, Op, Outcome, Reason, Store},
};
use futures_util::future::{join, join_all};

const ROUNDS: usize = 12;

/// Of many that replace the same version, one wins.
pub async fn one_replace_of_many_wins(store: &dyn Store) {
    let fixture = StoreFixture::new(store);
    let key = request("r");
    let mut version = fixture.commit([insert_empty(&key)]).await;
    for round in 0..ROUNDS {
        let outcomes = join_all((0..12).map(|i| {
            fixture.try_commit([replace(&key, format!(r#"{{"by":{i}}}"#), &version), Op::Count(count("won", 1))])
        }))
        .await;
        assert_eq!(winners(&outcomes), 1, "round {round}");
        let winner = outcomes.iter().position(|outcome| *outcome == Outcome::Committed);
        let record = fixture.get(&key).await.unwrap();
        assert_eq!(Some(record.body), winner.map(|i| format!(r#"{{"by":{i}}}"#)));
        version = record.version;
    }
    assert_eq!(fixture.shows("won").await, i64::try_from(ROUNDS).unwrap());
}

/// Of many that insert the same record, one wins.
pub async fn one_insert_of_many_wins(store: &dyn Store) {
    let fixture = StoreFixture::new(store);
    for round in 0..ROUNDS {
        let key = request(&format!("r{round}"));
        let outcomes = join_all((0..12).map(|_| fixture.try_commit([insert_empty(&key)]))).await;
        assert_eq!(winners(&outcomes), 1, "round {round}");
        assert!(
            outcomes.iter().all(|outcome| *outcome == Outcome::Committed || *outcome == refusal(0, Reason::Exists))
        );
    }
}

/// Of many that claim the same name, one wins, and is the holder.
pub async fn one_claim_of_many_wins(store: &dyn Store) {
    let fixture = StoreFixture::new(store);
    for round in 0..ROUNDS {
        let name = format!("name{}", round % 3);
        let owners: Vec<String> = (0..12).map(|i| format!("owner{i}")).collect();
        let outcomes = join_all(owners.iter().map(|owner| fixture.try_commit([claim(&name, owner)]))).await;
        assert_eq!(winners(&outcomes), 1, "round {round}");
        let winner = outcomes.iter().position(|outcome| *outcome == Outcome::Committed).unwrap();
        assert_eq!(fixture.holds(&name).await.as_ref(), Some(&owners[winner]));
        fixture.commit([release(&name, &owners[winner])]).await;
    }
}

/// Two batches that each rely on what the other changes cannot both commit.
pub async fn write_skew_is_refused(store: &dyn Store) {
    let fixture = StoreFixture::new(store);
    for round in 0..ROUNDS {
        let (a, b) = (request(&format!("a{round}")), request(&format!("b{round}")));
        let seen = fixture.commit([insert_empty(&a), insert_empty(&b)]).await;
        let skewed = |mine: &Key, theirs: &Key| {
            // The order of steps differs between the two on purpose.
            fixture
                .try_commit([replace(mine, r#"{"off":true}"#, &seen), Op::Require(theirs.clone(), Some(seen.clone()))])
        };
        let (one, two) = join(skewed(&a, &b), skewed(&b, &a)).await;
        assert_eq!(winners(&[one, two]), 1, "round {round}");
    }
}

/// Two batches that each rely on the absence of what the other inserts cannot both commit.
pub async fn absence_is_held_until_the_commit(store: &dyn Store) {
    let fixture = StoreFixture::new(store);
    for round in 0..ROUNDS {
        let (a, b) = (request(&format!("a{round}")), request(&format!("b{round}")));
        let lonely =
            |mine: &Key, theirs: &Key| fixture.try_commit([insert_empty(mine), Op::Require(theirs.clone(), None)]);
        let (one, two) = join(lonely(&a, &b), lonely(&b, &a)).await;
        assert_eq!(winners(&[one, two]), 1, "round {round}");
        assert_eq!(u8::from(fixture.get(&a).await.is_some()) + u8::from(fixture.get(&b).await.is_some()), 1);
    }
}

/// A rule over a set ("at most one open request per resource") holds when it is a claim, though nobody's record is shared.
pub async fn a_claim_protects_a_rule_over_a_set(store: &dyn Store) {
    let fixture = StoreFixture::new(store);
    for round in 0..ROUNDS {
        let rule = format!("open-request/res{round}");
        let open = |i: usize| {
            let id = format!("req{round}-{i}");
            let fixture = fixture.clone();
            let rule = rule.clone();
            async move { fixture.try_commit([insert_empty(&request(&id)), claim(&rule, &id)]).await }
        };
        let outcomes = join_all((0..8).map(open)).await;
        assert_eq!(winners(&outcomes), 1, "round {round}");
        let keys: Vec<Key> = (0..8).map(|i| request(&format!("req{round}-{i}"))).collect();
        let there: Vec<Key> =
            store.get_many(&keys).await.unwrap().into_iter().flatten().map(|record| record.key).collect();
        assert_eq!(there.len(), 1);
        assert_eq!(fixture.holds(&rule).await.as_ref(), Some(&there[0].id));
    }
}

/// Batches that touch the same items in opposite orders wait for each other, but not for ever, and all commit.
pub async fn batches_in_opposite_orders_do_not_block_each_other(store: &dyn Store) {
    let fixture = StoreFixture::new(store);
    let names: Vec<String> = (0..6).map(|i| format!("n{i}")).collect();
    let outcomes = join_all((0..24).map(|i| {
        let mut ops: Vec<Op> = names.iter().map(|name| Op::Count(count(name, 1))).collect();
        ops.push(insert_empty(&request(&format!("r{i}"))));
        if i % 2 == 0 {
            ops.reverse();
        }
        fixture.try_commit(ops)
    }))
    .await;
    assert_eq!(winners(&outcomes), 24);
    for name in &names {
        assert_eq!(fixture.shows(name).await, 24);
    }
}
