//! Reading what was written.

use crate::{
    contract::store_fixture::{
        StoreFixture, claim, count, draft, hours_later, insert, insert_empty, insert_fields, noon, replace, request,
    },
    ports::{
        kinds::{Kind, PROJECTS},
        store::{Batch, Draft, Key, Op, Query, ReadBatch, Record, Store, StoreError},
    },
};
use futures_util::future::join_all;
use serde_json::json;

/// Every part of a record comes back.
pub async fn a_record_reads_back_exactly(store: &dyn Store) {
    let fixture = StoreFixture::new(store);
    for (kind, schema, expires_at) in
        [(Kind::Session, 1, None), (Kind::Session, u16::MAX, Some(hours_later(1))), (Kind::Meta, 0, None)]
    {
        let key = Key::new(kind, format!("{}-{schema}", kind.name()));
        let written = Draft { key: key.clone(), schema, body: r#"{"a":1}"#.into(), expires_at };
        let version = fixture.commit([Op::Insert(written)]).await;
        let wanted =
            Record { key: key.clone(), version, schema, body: r#"{"a":1}"#.into(), expires_at, noted_at: None };
        assert_eq!(fixture.get(&key).await, Some(wanted));
    }
    for kind in Kind::ALL {
        let key = Key::new(*kind, "one-of-each");
        assert_eq!(fixture.get(&key).await, None, "{key} was never written");
        fixture.commit([insert_empty(&key)]).await;
        assert_eq!(fixture.get(&key).await.map(|record| record.key), Some(key));
    }
}

/// A read that starts after a commit was answered sees it, whoever reads.
pub async fn reads_see_every_answered_commit(store: &dyn Store) {
    let fixture = StoreFixture::new(store);
    join_all((0..16).map(|i| {
        let fixture = fixture.clone();
        async move {
            let key = request(&format!("r{i}"));
            let mut version = fixture.commit([insert_empty(&key)]).await;
            for round in 0..10 {
                assert_eq!(fixture.version(&key).await, Some(version.clone()), "round {round}");
                version = fixture.commit([replace(&key, format!(r#"{{"round":{round}}}"#), &version)]).await;
            }
            fixture.commit([Op::Remove(key.clone(), version)]).await;
            assert_eq!(fixture.version(&key).await, None);
        }
    }))
    .await;
}

/// `get_many` answers key by key, over kinds, with holes and repetitions.
pub async fn reads_keep_the_order_of_the_keys(store: &dyn Store) {
    let fixture = StoreFixture::new(store);
    let keys: Vec<Key> = (0..40).map(|i| Key::new(Kind::ALL[i % 3], format!("k{}", 39 - i))).collect();
    fixture.commit(keys.iter().skip(1).step_by(2).map(insert_empty)).await;
    let mut asked = keys.clone();
    asked.push(keys[1].clone());
    let found = store.get_many(&asked).await.unwrap();
    assert_eq!(found.len(), asked.len());
    for (i, (key, record)) in asked.iter().zip(found).enumerate() {
        let wanted = (i % 2 == 1 || i == 40).then_some(key);
        assert_eq!(record.map(|record| record.key).as_ref(), wanted, "answer {i}");
    }
    assert_eq!(store.get_many(&[]).await.unwrap(), Vec::new());
}

/// An id is 1 to 200 bytes of printable ASCII, and every byte counts.
pub async fn ids_are_any_printable_text(store: &dyn Store) {
    let fixture = StoreFixture::new(store);
    let printable: String = (0x20u8..0x7f).map(char::from).collect();
    let longest = "x".repeat(Batch::MAX_NAME);
    let mut ids = vec![
        "a", "A", "a ", " a", "a%", "a_", "a'", "a\"", "a\\", "a;--", "a/b", "..", "#", "a#b", "$1", "{}", "?", "NULL",
    ];
    ids.extend([printable.as_str(), longest.as_str()]);
    let keys: Vec<Key> = ids.iter().map(|id| Key::new(Kind::Project, *id)).collect();
    fixture.commit(keys.iter().map(|key| insert_fields(key, &json!({ "id": key.id })))).await;
    for key in &keys {
        let record = fixture.get(key).await.unwrap_or_else(|| panic!("{key} is lost"));
        assert_eq!(record.body, json!({ "id": key.id }).to_string());
    }
    ids.sort_unstable();
    fixture.finds(&Query::new(&PROJECTS, "").take(7), &ids).await;
    for name in &ids {
        fixture.commit([Op::Claim { name: (*name).into(), owner: (*name).into() }]).await;
        assert_eq!(fixture.holds(name).await.as_deref(), Some(*name));
        assert_eq!(store.increment(name).await.unwrap(), 1, "{name}");
    }
}

/// A body holds up to 350 KB.
pub async fn bodies_may_be_large(store: &dyn Store) {
    let fixture = StoreFixture::new(store);
    let frame = json!({ "text": "" }).to_string().len();
    let body = json!({ "text": "é".repeat((Batch::MAX_RECORD - frame) / 2) }).to_string();
    assert!(body.len() > Batch::MAX_RECORD - 2);
    // Requests have indexes, so the body is also read by the database.
    let key = request("large");
    let version = fixture.commit([insert(&key, body.clone())]).await;
    assert_eq!(fixture.get(&key).await.unwrap().body, body);
    fixture.commit([replace(&key, body.clone(), &version)]).await;
    assert_eq!(fixture.get(&key).await.unwrap().body, body);
}

/// The store neither reorders nor rewrites a body: unknown fields, spaces, escapes and numbers stay as they are.
pub async fn bodies_come_back_as_they_were_written(store: &dyn Store) {
    let fixture = StoreFixture::new(store);
    let bodies = [
        r#"{"z":1,"a":2,"later":{"we":["do",{"not":"know"}]}}"#,
        "{ \"spaced\" : \t1 ,\n \"out\" : [ ] }",
        r#"{"numbers":[1.0,1e2,0.1,123456789012345678901234567890,-0]}"#,
        r#"{"escapes":"\u00e9\/\n\\ \" \\u0000","nul":"a\u0000b\u0000","pair":"\ud83e\udd80"}"#,
        "{\"text\":\"žluťoučký 🦀 \u{feff}\u{200b} 𝕏 'quoted' $1 ?\"}",
        r#"{"project":"p","inbox":null,"resource":7,"nested":{"project":"q"}}"#,
    ];
    for (i, body) in bodies.iter().enumerate() {
        let key = request(&format!("body{i}"));
        fixture.commit([insert(&key, *body)]).await;
        assert_eq!(fixture.get(&key).await.unwrap().body, *body);
    }
}

/// Notes leave versions alone, survive a rewrite, and never bring a record back.
pub async fn a_note_changes_no_version(store: &dyn Store) {
    let fixture = StoreFixture::new(store);
    let key = Key::new(Kind::Session, "s");
    store.note(&key, noon()).await.unwrap();
    assert_eq!(fixture.get(&key).await, None, "a note made a record");
    let version = fixture.commit([insert_empty(&key)]).await;
    store.note(&key, hours_later(1)).await.unwrap();
    store.note(&key, hours_later(2)).await.unwrap();
    let noted = fixture.get(&key).await.unwrap();
    assert_eq!((noted.version.clone(), noted.noted_at), (version.clone(), Some(hours_later(2))));
    fixture.commit([Op::Require(key.clone(), Some(version.clone()))]).await;
    let version = fixture.commit([replace(&key, r#"{"a":1}"#, &version)]).await;
    assert_eq!(fixture.get(&key).await.unwrap().noted_at, Some(hours_later(2)), "a rewrite lost the note");
    fixture.commit([Op::Remove(key.clone(), version)]).await;
    store.note(&key, hours_later(3)).await.unwrap();
    assert_eq!(fixture.get(&key).await, None);
    fixture.commit([Op::Insert(draft(&key, "{}"))]).await;
    assert_eq!(fixture.get(&key).await.unwrap().noted_at, None, "a new record remembers the old one's note");
}

/// Reads are bounded, and a store refuses what is out of bounds instead of cutting it.
pub async fn too_much_at_once_is_refused(store: &dyn Store) {
    let keys: Vec<Key> = (0..=Batch::MAX_READS).map(|i| request(&i.to_string())).collect();
    assert!(store.get_many(&keys[1..]).await.is_ok());
    assert!(matches!(store.get_many(&keys).await, Err(StoreError::Corrupt(_))));
    for limit in [0, Query::MAX_LIMIT + 1] {
        let query = Query { limit, ..Query::new(&PROJECTS, "") };
        assert!(matches!(store.query(&query).await, Err(StoreError::Corrupt(_))), "a page of {limit}");
    }
    assert!(matches!(store.query(&Query::new(&PROJECTS, "p")).await, Err(StoreError::Corrupt(_))));
    store.ping().await.unwrap();
}

/// One look shows what reading one by one shows, in the order in which it was asked for.
pub async fn a_look_shows_records_holders_and_counters(store: &dyn Store) {
    let fixture = StoreFixture::new(store);
    let (a, b, session) = (request("a"), request("b"), Key::new(Kind::Session, "s"));
    fixture
        .commit([insert(&a, r#"{"a":1}"#), insert_empty(&session), claim("taken", "me"), claim("also", "you")])
        .await;
    fixture.commit([Op::Count(count("n", 7)), Op::Count(count("m", -3))]).await;
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    for (keys, claims, counters) in [
        (vec![], names(&[]), names(&[])),
        (
            vec![b.clone(), a.clone(), session.clone(), a.clone()],
            names(&["free", "taken", "also"]),
            names(&["m", "none", "n"]),
        ),
        (vec![a.clone()], names(&["taken"]), names(&["n"])),
        (vec![], names(&["free"]), names(&[])),
        (vec![], names(&[]), names(&["n"])),
        (vec![session], names(&[]), names(&["n", "m"])),
    ] {
        let asked = ReadBatch { keys, claims, counters };
        let results = store.read_batch(&asked).await.unwrap();
        assert_eq!(results.records, store.get_many(&asked.keys).await.unwrap());
        let mut holders = Vec::new();
        for name in &asked.claims {
            holders.push(store.holder(name).await.unwrap());
        }
        let mut shown = Vec::new();
        for name in &asked.counters {
            shown.push(store.counter(name).await.unwrap());
        }
        assert_eq!((results.holders, results.counters), (holders, shown), "{asked:?}");
    }
    let much = ReadBatch { claims: (0..=Batch::MAX_READS).map(|n| format!("c{n}")).collect(), ..ReadBatch::default() };
    assert!(matches!(store.read_batch(&much).await, Err(StoreError::Corrupt(_))));
}
