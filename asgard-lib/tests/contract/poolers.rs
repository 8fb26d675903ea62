//! PostgreSQL behind what stands between: poolers, and connections that are read-only, refused or dropped in silence.

use super::postgres::{Database, fresh};
use asgard_lib::{
    Code,
    backends::{PostgresOptions, PostgresStore, Upkeep},
    contract::{
        load, property,
        store_fixture::{StoreFixture, count, insert_empty, request},
    },
    ports::store::{Op, Store, StoreError},
};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use std::time::{Duration, Instant};

/// The URL of a database as a pooler has it.
fn through(variable: &str, database: &Database) -> String {
    let pooler = std::env::var(variable).unwrap_or_else(|_| {
        panic!("{variable} is not set: these tests need PgBouncer. Run them with `tests/run --peers`, which starts it.")
    });
    format!("{}/{}", pooler.rsplit_once('/').expect("a URL with a database").0, database.name())
}

const TRANSACTION: &str = "ASGARD_TEST_TRANSACTION_POOLER_URL";
const SESSION: &str = "ASGARD_TEST_SESSION_POOLER_URL";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_in_transaction_mode_is_refused_with_what_to_change() {
    let (_store, database) = fresh().await;
    let url = through(TRANSACTION, &database);
    for _ in 0..3 {
        let store = PostgresStore::connect(&url, PostgresOptions::default()).await.unwrap();
        for refusal in [store.migrate().await.unwrap_err(), store.check_migrated().await.unwrap_err()] {
            assert_eq!(refusal.code(), Code::Config, "{}", refusal.chain());
            assert!(refusal.message().contains("pool_mode = session"), "{}", refusal.message());
            assert_eq!(refusal.message().matches(". ").count(), 0, "it is one sentence: {}", refusal.message());
        }
        store.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_in_session_mode_serves() {
    let database = Database::create().await;
    let url = through(SESSION, &database);
    let options = PostgresOptions { max_connections: 5, ..PostgresOptions::default() };
    let store = PostgresStore::connect(&url, options).await.unwrap();
    store.migrate().await.unwrap();
    store.check_migrated().await.unwrap();
    let committed = load::workers_keep_every_rule(store.clone(), 4, Duration::from_secs(2)).await;
    assert!(committed > 0, "{committed}");
    store.close().await;
}

async fn fresh_without_a_path() -> (PostgresStore, Database) {
    let (store, database) = fresh().await;
    // What every later session is told: nothing is found by its bare name any more.
    let mut admin = PgConnection::connect(&database.url()).await.unwrap();
    let sql = format!("ALTER DATABASE {} SET search_path = 'nowhere'", database.name());
    admin.execute(AssertSqlSafe(sql)).await.unwrap();
    let sql = "SELECT count(*) FROM (SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND \
               pid <> pg_backend_pid()) ended";
    let _: i64 = sqlx::query_scalar(sql).bind(database.name()).fetch_one(&mut admin).await.unwrap();
    (store, database)
}

/// No statement and no function relies on the `search_path` of its session, which does not survive a pooler.
#[test]
fn random_histories_agree_with_the_model_where_the_search_path_leads_nowhere() {
    property::agrees_with_the_model(fresh_without_a_path, 20);
}

/// What was migrated by an earlier version, without a schema, has its functions pinned by the next migration.
#[tokio::test]
async fn functions_of_an_earlier_version_are_told_their_schema() {
    let (store, database) = fresh().await;
    let mut admin = PgConnection::connect(&database.url()).await.unwrap();
    let functions = "SELECT oid::regprocedure::text FROM pg_proc WHERE proname = 'asgard_commit'";
    let function: String = sqlx::query_scalar(functions).fetch_one(&mut admin).await.unwrap();
    admin.execute(AssertSqlSafe(format!("ALTER FUNCTION {function} RESET search_path"))).await.unwrap();
    store.check_migrated().await.unwrap();
    store.migrate().await.unwrap();
    let pinned =
        "SELECT count(*) FROM pg_proc WHERE proname = 'asgard_commit' AND proconfig::text LIKE '%search_path=public%'";
    let pinned: i64 = sqlx::query_scalar(pinned).fetch_one(&mut admin).await.unwrap();
    assert_eq!(pinned, 1);
}

/// A server that only reads is not ready, and a connection that is found to be read-only is not used again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_takes_no_writes_does_not_answer_a_ping() {
    let (store, database) = fresh().await;
    store.ping().await.unwrap();
    let mut admin = PgConnection::connect(&database.url()).await.unwrap();
    // As a primary that is being replaced: connections are kept, and what they begin is read-only.
    let sql = format!("ALTER DATABASE {} SET default_transaction_read_only = on", database.name());
    admin.execute(AssertSqlSafe(sql)).await.unwrap();
    let options = PostgresOptions { acquire_timeout: Duration::from_secs(2), ..PostgresOptions::default() };
    let refusal = PostgresStore::connect(&database.url(), options).await.unwrap_err();
    assert!(refusal.message().contains("takes no writes"), "{}", refusal.message());
    let sql = "SELECT count(*) FROM (SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND \
               pid <> pg_backend_pid()) ended";
    let _: i64 = sqlx::query_scalar(sql).bind(database.name()).fetch_one(&mut admin).await.unwrap();
    assert!(matches!(store.ping().await, Err(StoreError::Unavailable(_))));
    admin.execute("SET default_transaction_read_only = off").await.unwrap();
    let sql = format!("ALTER DATABASE {} RESET default_transaction_read_only", database.name());
    admin.execute(AssertSqlSafe(sql)).await.unwrap();
    store.ping().await.unwrap();
}

/// Being refused a connection is an outage to wait for, at the start and later, and says what to raise.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_without_connections_left_is_waited_for() {
    let (owner, database) = fresh().await;
    let mut admin = PgConnection::connect(&database.url()).await.unwrap();
    let role = format!("{}_few", database.name());
    let made = format!(
        "CREATE ROLE {role} LOGIN PASSWORD 'few' CONNECTION LIMIT 1; GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}"
    );
    admin.execute(sqlx::raw_sql(AssertSqlSafe(made))).await.unwrap();
    let url = database.url_with(&format!("user={role}&password=few"));
    let options =
        PostgresOptions { max_connections: 2, acquire_timeout: Duration::from_secs(1), ..PostgresOptions::default() };
    let taken = PgConnection::connect(&url).await.unwrap();
    let refusal = PostgresStore::connect(&url, options.clone()).await.unwrap_err();
    assert_eq!(refusal.code(), Code::StoreUnavailable, "{}", refusal.chain());
    assert!(refusal.message().contains("no more connections") && refusal.message().contains("CONNECTION LIMIT"));
    taken.close().await.unwrap();

    let store = PostgresStore::connect(&url, options).await.unwrap();
    let taken = PgConnection::connect(&url).await.unwrap();
    let key = request("r");
    let batch = StoreFixture::new(&store).batch([insert_empty(&key)]);
    assert!(matches!(store.commit(&batch).await, Err(StoreError::Unavailable(_))));
    taken.close().await.unwrap();
    store.commit(&batch).await.unwrap();
    assert!(StoreFixture::new(&owner).get(&key).await.is_some());
    store.close().await;
    admin.execute(sqlx::raw_sql(AssertSqlSafe(format!("DROP OWNED BY {role}; DROP ROLE {role}")))).await.unwrap();
}

/// What stands between forgets connections in silence: what is sent on them goes nowhere, and no answer comes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_were_dropped_in_silence_cost_seconds() {
    let (_owner, database) = fresh().await;
    let hole = super::hole::Hole::before(&database.url()).await;
    let store = PostgresStore::connect(&hole.url(), PostgresOptions::default()).await.unwrap();
    let fixture = StoreFixture::new(&store);
    futures_util::future::join_all((0..5).map(|_| fixture.commit([Op::Count(count("n", 1))]))).await;

    // Idle ones are asked before they are used.
    tokio::time::sleep(Duration::from_secs(6)).await;
    hole.swallow();
    let begun = Instant::now();
    assert_eq!(fixture.shows("n").await, 5);
    fixture.commit([Op::Count(count("n", 1))]).await;
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());

    // One in use is given up after its own time, and those beside it at once.
    futures_util::future::join_all((0..5).map(|_| fixture.commit([Op::Count(count("n", 1))]))).await;
    hole.swallow();
    let begun = Instant::now();
    assert_eq!(fixture.shows("n").await, 11);
    futures_util::future::join_all((0..5).map(|_| fixture.commit([Op::Count(count("n", 1))]))).await;
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    assert_eq!(fixture.shows("n").await, 16);
}
