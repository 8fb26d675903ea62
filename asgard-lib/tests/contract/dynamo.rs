//! DynamoDB: the suite against an emulator that keeps its transactions, and what is its own: tables that are made, checked
//! and refused.

use asgard_lib::{
    Code,
    aws::Aws,
    backends::{DynamoStore, Upkeep},
    contract::{
        faults::{Conflict, Faulty, LostReply},
        lab::{Lab, count, insert_empty, noon, request},
        load, property,
    },
    kernel::DynamoTable,
    ports::{
        blobs::Blobs,
        store::{Op, Store},
        world::World,
    },
};
use futures_util::future::join_all;
use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

const VARIABLE: &str = "ASGARD_TEST_DYNAMODB_URL";

/// A table of its own for one test. The emulator keeps it until it ends.
fn table() -> DynamoTable {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let endpoint = std::env::var(VARIABLE).unwrap_or_else(|_| {
        panic!("{VARIABLE} is not set: these tests need an emulator of DynamoDB. Run them with `tests/run --peers`, which starts one.")
    });
    let name = format!("asgard_test_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    DynamoTable { name, region: Some("eu-west-1".into()), endpoint: Some(endpoint) }
}

async fn open(table: DynamoTable) -> DynamoStore {
    DynamoStore::open(table, &Aws::new()).await
}

async fn fresh() -> (DynamoStore, ()) {
    let store = open(table()).await;
    store.migrate().await.unwrap();
    (store, ())
}

mod store {
    asgard_lib::store_contract!(super::fresh);
}

mod blobs {
    asgard_lib::blobs_contract!(super::fresh);
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
async fn workers_keep_every_rule_where_replies_are_lost_and_others_are_faster() {
    let (store, ()) = fresh().await;
    let faulty = Faulty::new(Faulty::new(store, LostReply::every(3)), Conflict::every(5));
    assert!(load::workers_keep_every_rule(faulty, 8, Duration::from_secs(2)).await > 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_make_one_table_and_share_it() {
    let table = table();
    let unmade = open(table.clone()).await;
    let refusal = unmade.check_migrated().await.unwrap_err();
    assert_eq!((refusal.code(), refusal.message().contains("asgard migrate")), (Code::Config, true), "{refusal}");
    assert!(refusal.message().contains(&table.name) && refusal.message().contains("eu-west-1"), "{refusal}");
    let stores = join_all((0..4).map(|_| open(table.clone()))).await;
    for made in join_all(stores.iter().map(|store| store.migrate())).await {
        made.unwrap();
    }
    unmade.check_migrated().await.unwrap();
    join_all(stores.iter().map(|store| async move { Lab::new(store).commit([Op::Count(count("n", 1))]).await })).await;
    assert_eq!(Lab::new(&unmade).shows("n").await, 4);
}

/// Somebody else's table is not taken for Asgard's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_kind_of_table_is_refused() {
    use aws_sdk_dynamodb::types::{AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType};
    let table = table();
    let aws = Aws::new();
    let config = aws_sdk_dynamodb::config::Builder::from(aws.sdk().await)
        .endpoint_url(table.endpoint.clone().unwrap())
        .region(aws_sdk_dynamodb::config::Region::new("eu-west-1"));
    let client = aws_sdk_dynamodb::Client::from_conf(config.build());
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

/// A writer that died between the pieces of a blob leaves an upload, which goes with the pieces when its day is over; and
/// the same bytes can be stored again in the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_was_not_finished_is_cleared_away() {
    let table = table();
    let store = open(table.clone()).await;
    store.migrate().await.unwrap();
    let aws = Aws::new();
    let config = aws_sdk_dynamodb::config::Builder::from(aws.sdk().await)
        .endpoint_url(table.endpoint.clone().unwrap())
        .region(aws_sdk_dynamodb::config::Region::new("eu-west-1"));
    let client = aws_sdk_dynamodb::Client::from_conf(config.build());
    let items = async || client.scan().table_name(&table.name).send().await.unwrap().count();
    let empty = items().await;
    let id = World::system().id();
    let bytes = vec![7u8; 1_000_000];
    // Whoever stores other bytes under the id of a blob that is there gets as far as the pieces.
    store.put(&id, b"there already", noon()).await.unwrap();
    assert!(store.put(&id, &bytes, noon()).await.is_err());
    assert_eq!(items().await, empty + 1 + 1 + 3, "the blob, the upload and its pieces");
    let late = noon().plus(Duration::from_secs(25 * 3600));
    Lab::new(&store).expires(late, 100, 1).await;
    assert_eq!(items().await, empty + 1);
    store.delete(&id).await.unwrap();
    store.put(&id, &bytes, noon()).await.unwrap();
    assert_eq!(items().await, empty + 1 + 3);
    Lab::new(&store).expires(late, 100, 0).await;
    assert_eq!(store.get(&id).await.unwrap().unwrap().len(), bytes.len());
    store.delete(&id).await.unwrap();
    assert_eq!(items().await, empty, "nothing is left of it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_cannot_be_reached_is_unavailable_and_says_so() {
    let nobody = DynamoTable { endpoint: Some("http://127.0.0.1:9".into()), ..table() };
    let store = open(nobody).await;
    let refusal = store.check_migrated().await.unwrap_err();
    assert_eq!(refusal.code(), Code::StoreUnavailable, "{refusal}");
    let error = Store::get_many(&store, &[request("r")]).await.unwrap_err();
    assert!(matches!(error, asgard_lib::ports::store::StoreError::Unavailable(_)), "{error}");
    let lab = Lab::new(&store);
    let error = store.commit(&lab.batch([insert_empty(&request("r"))])).await.unwrap_err();
    assert!(!matches!(error, asgard_lib::ports::store::StoreError::Corrupt(_)), "{error}");
}
