//! DynamoDB: the suite against an emulator that keeps its transactions, and what is its own: tables that are made, checked
//! and refused.

mod trips;
mod troubled;

use super::before;
use asgard_lib::{
    Code,
    backends::{DynamoStore, Opened, Upkeep},
    contract::{
        load, property,
        store_fixture::{StoreFixture, count, draft, insert_empty, noon, request},
    },
    kernel::DynamoTable,
    ports::store::{Count, Draft, MARKERS_KEPT, Op, Store, StoreError},
};
use aws_sdk_dynamodb::{
    Client,
    config::{BehaviorVersion, Builder, Credentials, Region},
    primitives::Blob,
    types::AttributeValue,
};
use futures_util::future::join_all;
use serde_json::{Map, Value};
use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

const VARIABLE: &str = "ASGARD_TEST_DYNAMODB_URL";
/// Another emulator, by other people: what both do is more likely what DynamoDB does.
const SECOND: &str = "ASGARD_TEST_AWS_URL";

/// A table of its own for one test. The emulator keeps it until it ends.
fn table() -> DynamoTable {
    table_at(VARIABLE)
}

fn table_at(variable: &str) -> DynamoTable {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let endpoint = std::env::var(variable).unwrap_or_else(|_| {
        panic!("{variable} is not set: these tests need an emulator of DynamoDB. Run them with `tests/run --peers`, which starts one.")
    });
    let name = format!("asgard_test_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    DynamoTable { name, region: Some("eu-west-1".into()), endpoint: Some(endpoint) }
}

/// How an emulator is reached: nobody's credentials, and nothing of this machine's settings.
fn settings(table: &DynamoTable) -> Builder {
    Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .endpoint_url(table.endpoint.as_deref().unwrap())
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
}

fn open(table: DynamoTable) -> DynamoStore {
    DynamoStore::with(Client::from_conf(settings(&table).build()), table)
}

pub async fn fresh() -> (DynamoStore, ()) {
    let store = open(table());
    store.migrate().await.unwrap();
    (store, ())
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

/// The sealer keeps up with what a busy installation commits. A measurement: run it in a release build, by its name and with
/// `--ignored --nocapture`; docs/performance.md says what it is held to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn sealing_keeps_pace() {
    super::keeps_pace("dynamodb", 200.0, 2_000, fresh).await;
}

mod on_another_emulator {
    use super::*;

    async fn fresh() -> (DynamoStore, ()) {
        let store = open(table_at(SECOND));
        store.migrate().await.unwrap();
        (store, ())
    }

    asgard_lib::store_contract!(fresh);
    asgard_lib::blobs_contract!(fresh);
}

#[tokio::test]
async fn a_database_of_the_version_before_works() {
    let (store, ()) = fresh().await;
    let client = Client::from_conf(settings(store.table()).build());
    for line in before::text("dynamodb.items").lines() {
        let item: Map<String, Value> = serde_json::from_str(line).unwrap();
        let item = item.iter().map(|(name, value)| (name.clone(), attribute(value))).collect();
        client.put_item().table_name(&store.table().name).set_item(Some(item)).send().await.unwrap();
    }
    let copy = before::Copy::open(Opened::new(store), "dynamodb.json").await;
    before::works(&copy).await;
}

/// An attribute from the service's own JSON.
fn attribute(value: &Value) -> AttributeValue {
    let (kind, value) = value.as_object().unwrap().iter().next().unwrap();
    match kind.as_str() {
        "S" => AttributeValue::S(value.as_str().unwrap().into()),
        "N" => AttributeValue::N(value.as_str().unwrap().into()),
        "B" => AttributeValue::B(Blob::new(data_encoding::BASE64.decode(value.as_str().unwrap().as_bytes()).unwrap())),
        kind => panic!("an attribute of a kind that the fixture has not: {kind}"),
    }
}

#[test]
fn random_histories_agree_with_the_model() {
    property::agrees_with_the_model(fresh, 40);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_keep_every_rule() {
    let (store, ()) = fresh().await;
    assert!(load::workers_keep_every_rule(store, 8, Duration::from_secs(2)).await > 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_make_one_table_and_share_it() {
    let table = table();
    let unmade = open(table.clone());
    let refusal = unmade.check_migrated().await.unwrap_err();
    assert_eq!((refusal.code(), refusal.message().contains("asgard migrate")), (Code::Config, true), "{refusal}");
    assert!(refusal.message().contains(&table.name) && refusal.message().contains("eu-west-1"), "{refusal}");
    let stores = (0..4).map(|_| open(table.clone())).collect::<Vec<_>>();
    for made in join_all(stores.iter().map(|store| store.migrate())).await {
        made.unwrap();
    }
    unmade.check_migrated().await.unwrap();
    join_all(
        stores.iter().map(|store| async move { StoreFixture::new(store).commit([Op::Count(count("n", 1))]).await }),
    )
    .await;
    assert_eq!(StoreFixture::new(&unmade).shows("n").await, 4);
}

/// DynamoDB deletes by `ttl` alone, so that is what has to be right: never early, and gone when the last word is to stay.
#[tokio::test]
async fn what_expires_carries_its_second_and_what_stays_carries_none() {
    let (store, ()) = fresh().await;
    let fixture = StoreFixture::new(&store);
    let client = Client::from_conf(settings(store.table()).build());
    let ttl = async |pk: &str| {
        let key = AttributeValue::S(format!("default/{pk}"));
        let got = client.get_item().table_name(&store.table().name).key("pk", key).send().await.unwrap();
        got.item.unwrap().get("ttl").map(|ttl| ttl.as_n().unwrap().parse::<i64>().unwrap())
    };
    let soon = noon().plus(Duration::from_millis(1));
    let until = |expires_at| Draft { expires_at, ..draft(&request("r"), "{}") };
    let window = |expires_at| Op::Count(Count { expires_at, ..count("n", 1) });

    let seen = fixture.commit([Op::Insert(until(Some(soon))), window(Some(soon))]).await;
    assert_eq!(ttl("r/request/r").await, Some(noon().as_secs() + 1));
    assert_eq!(ttl("n/n").await, Some(noon().as_secs() + 1));
    let kept = noon().plus(MARKERS_KEPT).as_secs();
    assert_eq!(ttl(&format!("m/{seen}")).await, Some(kept + 1));
    fixture.commit([Op::Replace(until(None), seen), window(None)]).await;
    assert_eq!((ttl("r/request/r").await, ttl("n/n").await), (None, None));
}

/// Somebody else's table is not taken for Asgard's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_kind_of_table_is_refused() {
    use aws_sdk_dynamodb::types::{AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType};
    let table = table();
    let client = Client::from_conf(settings(&table).build());
    let key = KeySchemaElement::builder().attribute_name("id").key_type(KeyType::Hash).build().unwrap();
    let attribute = AttributeDefinition::builder().attribute_name("id").attribute_type(ScalarAttributeType::S);
    client
        .create_table()
        .table_name(&table.name)
        .key_schema(key)
        .attribute_definitions(attribute.build().unwrap())
        .billing_mode(BillingMode::PayPerRequest)
        .send()
        .await
        .unwrap();
    let store = DynamoStore::with(client, table);
    for refusal in [store.migrate().await.unwrap_err(), store.check_migrated().await.unwrap_err()] {
        assert_eq!((refusal.code(), refusal.message().contains("primary key")), (Code::Config, true), "{refusal}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_cannot_be_reached_is_unavailable_and_says_so() {
    let nobody = DynamoTable { endpoint: Some("http://127.0.0.1:9".into()), ..table() };
    let store = open(nobody);
    let refusal = store.check_migrated().await.unwrap_err();
    assert_eq!(refusal.code(), Code::StoreUnavailable, "{refusal}");
    let error = Store::get_many(&store, &[request("r")]).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    let fixture = StoreFixture::new(&store);
    let error = store.commit(&fixture.batch([insert_empty(&request("r"))])).await.unwrap_err();
    assert!(!matches!(error, StoreError::Corrupt(_)), "{error}");
}
