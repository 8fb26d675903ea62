//! Pages of indexes.

use crate::{
    contract::store_fixture::{StoreFixture, insert_fields, replace},
    ports::{
        kinds::{JOBS_DUE, KEYS_BY_PROJECT, Kind, PROJECTS, REQUESTS_BY_PROJECT, REQUESTS_PENDING, SECRETS_BY_PROJECT},
        store::{Key, Op, Position, Query, Store},
    },
};
use serde_json::{Value, json};

fn job(id: &str) -> Key {
    Key::new(Kind::Job, id)
}

fn due(shard: &str, at: &str) -> Value {
    json!({ "shard": shard, "due_at": at })
}

/// Twelve jobs in shard `s`, in the order of (due, id), and one elsewhere.
async fn twelve_jobs(fixture: &StoreFixture<'_>) -> Vec<String> {
    let mut ids = Vec::new();
    let mut ops = vec![insert_fields(&job("elsewhere"), &due("t", "2026-01-01"))];
    for hour in 0..4 {
        for twin in ["a", "b", "c"] {
            let id = format!("{twin}-{hour}");
            ops.push(insert_fields(&job(&id), &due("s", &format!("2026-01-01T0{hour}"))));
            ids.push(id);
        }
    }
    ops.reverse();
    fixture.commit(ops).await;
    ids
}

/// Whatever the size of a page, the pages together are the index, each record once, in both orders.
pub async fn pages_cover_the_index_once(store: &dyn Store) {
    let fixture = StoreFixture::new(store);
    let mut ids = twelve_jobs(&fixture).await;
    let sizes = [1, 2, 5, 11, 12, 13, 1000];
    for size in sizes {
        fixture.finds(&Query::new(&JOBS_DUE, "s").take(size), &ids).await;
    }
    ids.reverse();
    for size in sizes {
        fixture.finds(&Query::new(&JOBS_DUE, "s").newest_first().take(size), &ids).await;
    }
    let found = fixture.page(&Query::new(&JOBS_DUE, "t")).await;
    assert_eq!(
        found.records.iter().map(|record| record.body.clone()).collect::<Vec<_>>(),
        [due("t", "2026-01-01").to_string()]
    );
}

/// `next` is the last record's place, and absent exactly when nothing follows.
pub async fn the_last_page_says_so(store: &dyn Store) {
    let fixture = StoreFixture::new(store);
    twelve_jobs(&fixture).await;
    let at = |sort: &str, id: &str| Some(Position { sort: sort.into(), id: id.into() });
    let query = Query::new(&JOBS_DUE, "s");
    fixture.finds_page(&query.clone().take(2), &["a-0", "b-0"], at("2026-01-01T00", "b-0")).await;
    let rest = query.clone().after(at("2026-01-01T02", "c-2"));
    fixture.finds_page(&rest.clone().take(3), &["a-3", "b-3", "c-3"], None).await;
    fixture.finds_page(&rest.take(2), &["a-3", "b-3"], at("2026-01-01T03", "b-3")).await;
    fixture.finds_page(&query.clone().after(at("2026-01-01T03", "c-3")), &[], None).await;
    // A place between two records, where nothing is, is as good as any.
    fixture
        .finds_page(&query.clone().after(at("2026-01-01T02", "zzz")).take(1), &["a-3"], at("2026-01-01T03", "a-3"))
        .await;
    fixture
        .finds_page(&query.newest_first().after(at("2026-01-01T01", "")).take(1), &["c-0"], at("2026-01-01T00", "c-0"))
        .await;
    fixture.finds_page(&Query::new(&JOBS_DUE, "nobody"), &[], None).await;
}

/// `from` is included and `below` is not, in both orders and beside `after`.
pub async fn bounds_cut_a_range(store: &dyn Store) {
    let fixture = StoreFixture::new(store);
    let ids = twelve_jobs(&fixture).await;
    let query = Query::new(&JOBS_DUE, "s").take(2);
    fixture.finds(&query.clone().from("2026-01-01T02"), &ids[6..]).await;
    fixture.finds(&query.clone().below("2026-01-01T02"), &ids[..6]).await;
    let middle = query.from("2026-01-01T01").below("2026-01-01T03");
    fixture.finds(&middle, &ids[3..9]).await;
    let turned: Vec<&String> = ids[3..9].iter().rev().collect();
    fixture.finds(&middle.clone().newest_first(), &turned).await;
    fixture.finds(&middle.after(Some(Position { sort: "2026-01-01T02".into(), id: "a-2".into() })), &ids[7..9]).await;
}

/// Text is ordered by its bytes, not by a language's rules.
pub async fn the_order_is_that_of_the_bytes(store: &dyn Store) {
    let fixture = StoreFixture::new(store);
    let mut names =
        vec!["a", "B", "b", "Z", "_", "-", "aa", "a b", "ab", "á", "é", "e", "f", "ž", "10", "9", "", "🦀", "\u{ffff}"];
    fixture
        .commit(names.iter().enumerate().map(|(i, name)| {
            insert_fields(&Key::new(Kind::Secret, format!("{:02}", 40 - i)), &json!({ "project": "p", "name": name }))
        }))
        .await;
    names.sort_unstable();
    fixture.finds(&Query::new(&SECRETS_BY_PROJECT, "p").take(3), &lab_ids(&fixture, &names).await).await;
    let from_e: Vec<&str> = names.iter().copied().filter(|name| *name >= "e").collect();
    fixture.finds(&Query::new(&SECRETS_BY_PROJECT, "p").from("e"), &lab_ids(&fixture, &from_e).await).await;
}

/// The ids of the secrets with these names.
async fn lab_ids(fixture: &StoreFixture<'_>, names: &[&str]) -> Vec<String> {
    let keys: Vec<Key> = (0..=40).map(|i| Key::new(Kind::Secret, format!("{i:02}"))).collect();
    let records = fixture.get_many(&keys).await.unwrap();
    let named = |name: &str| {
        let there = records
            .iter()
            .flatten()
            .find(|record| serde_json::from_str::<Value>(&record.body).unwrap()["name"] == *name);
        there.unwrap().key.id.clone()
    };
    names.iter().map(|name| named(name)).collect()
}

/// A record without text in an index's fields is not in that index, and is in the others.
pub async fn an_index_holds_only_records_with_its_fields(store: &dyn Store) {
    let fixture = StoreFixture::new(store);
    let bodies = [
        json!({ "project": "p", "inbox": "all" }),
        json!({ "project": "p" }),
        json!({ "project": "p", "inbox": null }),
        json!({ "project": "p", "inbox": 1 }),
        json!({ "project": "p", "inbox": true }),
        json!({ "project": "p", "inbox": ["all"] }),
        json!({ "project": "p", "nested": { "inbox": "all" } }),
        json!({ "inbox": "all" }),
        json!({ "project": "", "inbox": "" }),
    ];
    fixture
        .commit(
            bodies.iter().enumerate().map(|(i, body)| insert_fields(&Key::new(Kind::Request, format!("r{i}")), body)),
        )
        .await;
    fixture.finds(&Query::new(&REQUESTS_BY_PROJECT, "p"), &["r0", "r1", "r2", "r3", "r4", "r5", "r6"]).await;
    fixture.finds(&Query::new(&REQUESTS_PENDING, "all"), &["r0", "r7"]).await;
    fixture.finds(&Query::new(&REQUESTS_PENDING, ""), &["r8"]).await;
    fixture.finds::<&str>(&Query::new(&REQUESTS_PENDING, "1"), &[]).await;
    fixture.finds::<&str>(&Query::new(&REQUESTS_PENDING, "null"), &[]).await;
    // Both fields are needed where an index has two.
    let job_bodies = [
        json!({ "shard": "s" }),
        json!({ "due_at": "2026" }),
        json!({ "shard": "s", "due_at": 2026 }),
        due("s", "2026"),
    ];
    fixture.commit(job_bodies.iter().enumerate().map(|(i, body)| insert_fields(&job(&format!("j{i}")), body))).await;
    fixture.finds(&Query::new(&JOBS_DUE, "s"), &["j3"]).await;
}

/// An index follows every rewrite and removal.
pub async fn a_record_moves_when_its_fields_change(store: &dyn Store) {
    let fixture = StoreFixture::new(store);
    let key = job("j");
    let seen = fixture.commit([insert_fields(&key, &due("s", "1")), insert_fields(&job("k"), &due("s", "2"))]).await;
    fixture.finds(&Query::new(&JOBS_DUE, "s"), &["j", "k"]).await;
    let seen = fixture.commit([replace(&key, due("s", "3").to_string(), &seen)]).await;
    fixture.finds(&Query::new(&JOBS_DUE, "s"), &["k", "j"]).await;
    let seen = fixture.commit([replace(&key, due("t", "3").to_string(), &seen)]).await;
    fixture.finds(&Query::new(&JOBS_DUE, "s"), &["k"]).await;
    fixture.finds(&Query::new(&JOBS_DUE, "t"), &["j"]).await;
    let seen = fixture.commit([replace(&key, "{}", &seen)]).await;
    fixture.finds::<&str>(&Query::new(&JOBS_DUE, "t"), &[]).await;
    let seen = fixture.commit([replace(&key, due("t", "4").to_string(), &seen)]).await;
    fixture.finds(&Query::new(&JOBS_DUE, "t"), &["j"]).await;
    fixture.commit([Op::Remove(key, seen)]).await;
    fixture.finds::<&str>(&Query::new(&JOBS_DUE, "t"), &[]).await;
}

/// An index without a partition holds every record of its kind; without a sort field, the bounds are about ids.
pub async fn an_index_without_partition_holds_everything_by_id(store: &dyn Store) {
    let fixture = StoreFixture::new(store);
    let ids: Vec<String> = (0..12).map(|i| format!("proj-2026-{i:04}")).collect();
    let ops = ids.iter().rev().map(|id| insert_fields(&Key::new(Kind::Project, id.as_str()), &json!({ "any": id })));
    fixture.commit(ops.chain([insert_fields(&Key::new(Kind::Request, "no-project"), &json!({}))])).await;
    let query = Query::new(&PROJECTS, "").take(5);
    fixture.finds(&query, &ids).await;
    fixture.finds(&query.clone().from("proj-2026-0004").below("proj-2026-0009"), &ids[4..9]).await;
    let turned: Vec<&String> = ids.iter().rev().collect();
    fixture.finds(&query.clone().newest_first(), &turned).await;
    let at = Position { sort: String::new(), id: "proj-2026-0010".into() };
    fixture.finds_page(&query.take(5).after(Some(at)), &["proj-2026-0011"], None).await;
}

/// Partitions with similar names are different partitions.
pub async fn partitions_do_not_mix(store: &dyn Store) {
    let fixture = StoreFixture::new(store);
    let partitions = ["p", "P", "p ", " p", "p%", "p_", "p#", "p\\", "pp", "p\u{301}", "", "'", "%", "é"];
    fixture
        .commit(partitions.iter().enumerate().map(|(i, partition)| {
            insert_fields(
                &Key::new(Kind::ProjectKey, format!("k{i:02}")),
                &json!({ "project": partition, "created_at": "2026" }),
            )
        }))
        .await;
    for (i, partition) in partitions.iter().enumerate() {
        fixture.finds(&Query::new(&KEYS_BY_PROJECT, *partition), &[format!("k{i:02}")]).await;
    }
}

/// Who walks the pages while others insert, change and remove sees every record that stays, once, and in order.
pub async fn a_walk_is_steady_while_others_write(store: &dyn Store) {
    let fixture = StoreFixture::new(store);
    let steady: Vec<String> = (0..30).map(|i| format!("steady-{i:02}")).collect();
    let passing: Vec<String> = (0..30).map(|i| format!("passing-{i:02}")).collect();
    fixture
        .commit(steady.iter().enumerate().map(|(i, id)| insert_fields(&job(id), &due("s", &format!("{i:02}")))))
        .await;
    fixture.finds(&Query::new(&JOBS_DUE, "s").take(1000), &steady).await;
    let mut query = Query::new(&JOBS_DUE, "s").take(4);
    let mut seen: Vec<String> = Vec::new();
    let mut round = 0;
    loop {
        // Insert one before and one after the walker, and remove one that was inserted earlier.
        for (place, id) in [(round, &passing[round % 30]), (29 - round, &passing[(round + 15) % 30])] {
            if fixture.get(&job(id)).await.is_none() {
                fixture.commit([insert_fields(&job(id), &due("s", &format!("{place:02}")))]).await;
            }
        }
        let old = job(&passing[(round + 29) % 30]);
        if let Some(version) = fixture.version(&old).await {
            fixture.commit([Op::Remove(old, version)]).await;
        }
        let found = fixture.page(&query).await;
        seen.extend(found.records.into_iter().map(|record| record.key.id));
        round += 1;
        match found.next {
            Some(next) if round < 29 => query.after = Some(next),
            _ => break,
        }
    }
    let kept: Vec<String> = seen.into_iter().filter(|id| id.starts_with("steady")).collect();
    assert_eq!(kept, steady);
}
