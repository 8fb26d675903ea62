//! PostgreSQL: the suite, and what is its own: dead connections, isolation levels, replicas that migrate at once.

use super::{before, views};
use asgard_lib::{
    Code,
    app::{
        Call,
        people::{Vouched, vouched_for},
        projects::ListProjects,
    },
    backends::{Opened, PostgresOptions, PostgresStore, Upkeep},
    config::{Config, MasterKey},
    contract::{
        load, property,
        store_fixture::{StoreFixture, claim, count, insert_empty, insert_fields, refusal as refused, request},
    },
    kernel::Role,
    ports::{
        kinds::{INDEXES, Kind, REQUESTS_PENDING},
        store::{Key, Op, Query, Reason, Store},
    },
    runtime::Runtime,
};
use futures_util::future::join_all;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

const VARIABLE: &str = "ASGARD_TEST_POSTGRES_URL";

fn in_schema(schema: &str) -> PostgresOptions {
    PostgresOptions { schema: Some(schema.parse().unwrap()), ..PostgresOptions::default() }
}

/// A database of its own for one test; dropped with it.
pub struct Database {
    admin: String,
    name: String,
}

impl Database {
    pub async fn create() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let admin = std::env::var(VARIABLE).unwrap_or_else(|_| {
            panic!("{VARIABLE} is not set: these tests need a PostgreSQL server. Run them with `tests/run --peers`, which starts one.")
        });
        let name = format!("asgard_test_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let mut connection = PgConnection::connect(&admin).await.expect("the test server answers");
        // A language's collation, where the server has one: the order must be that of the bytes all the same.
        let icu = format!("CREATE DATABASE {name} TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US'");
        if connection.execute(AssertSqlSafe(icu)).await.is_err() {
            connection
                .execute(AssertSqlSafe(format!("CREATE DATABASE {name}")))
                .await
                .expect("the test user may create databases");
        }
        connection.close().await.unwrap();
        Self { admin, name }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn url(&self) -> String {
        let (server, query) =
            self.admin.split_once('?').map_or((self.admin.as_str(), String::new()), |(s, q)| (s, format!("?{q}")));
        let (server, _) = server.rsplit_once('/').expect("the test URL names a database");
        format!("{server}/{}{query}", self.name)
    }

    pub fn url_with(&self, parameter: &str) -> String {
        let url = self.url();
        let glue = if url.contains('?') { '&' } else { '?' };
        format!("{url}{glue}{parameter}")
    }

    async fn store(&self, url: &str) -> PostgresStore {
        let store = PostgresStore::connect(url, PostgresOptions::default()).await.unwrap();
        store.migrate().await.unwrap();
        store
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (admin, sql) = (self.admin.clone(), format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut connection = PgConnection::connect(&admin).await?;
                connection.execute(AssertSqlSafe(sql)).await
            })
        });
        // Left-over databases only cost room on a server that is thrown away.
        drop(dropped.join());
    }
}

pub async fn fresh() -> (PostgresStore, Database) {
    let database = Database::create().await;
    (database.store(&database.url()).await, database)
}

mod store {
    asgard_lib::store_contract!(super::fresh);
}

mod blobs {
    asgard_lib::blobs_contract!(super::fresh);
}

#[tokio::test]
async fn verifying_says_what_the_table_says_to_every_attack() {
    asgard_lib::contract::audit::shows_every_attack(fresh).await;
}

mod feed {
    asgard_lib::feed_contract!(super::fresh);
}

/// The sealer keeps up with what a busy installation commits. A measurement: run it in a release build, by its name and with
/// `--ignored --nocapture`; docs/performance.md says what it is held to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn sealing_keeps_pace() {
    super::keeps_pace("postgresql", 1_000.0, 10_000, fresh).await;
}

#[tokio::test]
async fn a_database_of_the_version_before_works() {
    let database = Database::create().await;
    let mut connection = PgConnection::connect(&database.url()).await.unwrap();
    connection.execute(sqlx::raw_sql(AssertSqlSafe(before::text("postgres.sql")))).await.unwrap();
    connection.close().await.unwrap();
    let store = PostgresStore::connect(&database.url(), PostgresOptions::default()).await.unwrap();
    let copy = before::Copy::open(Opened::new(store), "postgres.json").await;
    before::works(&copy).await;
    copy.database.close().await;
}

#[test]
fn random_histories_agree_with_the_model() {
    property::agrees_with_the_model(fresh, 150);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_keep_every_rule() {
    let (store, _database) = fresh().await;
    assert!(load::workers_keep_every_rule(store, 8, Duration::from_secs(2)).await > 100);
}

/// The rules do not lean on one isolation level: an operator may make a stricter one the default.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_keep_every_rule_where_every_transaction_is_serializable() {
    let database = Database::create().await;
    let store = database.store(&database.url_with("options=-c%20default_transaction_isolation%3Dserializable")).await;
    assert!(load::workers_keep_every_rule(store, 8, Duration::from_secs(2)).await > 50);
}

/// Connections are killed all the time, some between a commit and its reply: nothing is lost, and nothing happens twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_keep_every_rule_while_connections_die() {
    let (store, database) = fresh().await;
    let (admin, name) = (database.admin.clone(), database.name.clone());
    let killer = tokio::spawn(async move {
        let mut connection = PgConnection::connect(&admin).await.unwrap();
        let mut killed = 0;
        loop {
            tokio::time::sleep(Duration::from_millis(7)).await;
            let sql = "SELECT count(*) FROM (SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 \
                       AND state = 'active' ORDER BY random() LIMIT 2) killed";
            killed += sqlx::query_scalar::<_, i64>(sql).bind(&name).fetch_one(&mut connection).await.unwrap();
            if killed > 12 {
                return killed;
            }
        }
    });
    let committed = load::workers_keep_every_rule(store, 8, Duration::from_secs(5)).await;
    assert!(committed > 50, "{committed}");
    assert!(killer.is_finished(), "too few connections were killed to show anything");
}

/// The server was restarted while nothing happened: every pooled connection is dead, and nobody notices.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_idle_connections_are_replaced_unseen() {
    let (store, database) = fresh().await;
    let fixture = StoreFixture::new(&store);
    let mut admin = PgConnection::connect(&database.admin).await.unwrap();
    for round in 0..3 {
        join_all((0..10).map(|_| fixture.commit([Op::Count(count("n", 1))]))).await;
        let sql =
            "SELECT count(*) FROM (SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1) killed";
        let killed: i64 = sqlx::query_scalar(sql).bind(&database.name).fetch_one(&mut admin).await.unwrap();
        assert!(killed > 1, "{killed}");
        match round {
            0 => assert_eq!(fixture.shows("n").await, 10),
            1 => drop(fixture.commit([Op::Count(count("n", -10))]).await),
            _ => assert_eq!(store.increment("n").await.unwrap(), 21),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_migrate_at_once_and_share_the_store() {
    let database = Database::create().await;
    let url = database.url();
    let unmigrated = PostgresStore::connect(&url, PostgresOptions::default()).await.unwrap();
    assert!(unmigrated.check_migrated().await.unwrap_err().message().contains("asgard migrate"));
    let stores = join_all((0..6).map(|_| database.store(&url))).await;
    unmigrated.check_migrated().await.unwrap();
    let outcomes = join_all(stores.iter().map(|store| async {
        let fixture = StoreFixture::new(store);
        join_all((0..10).map(|_| fixture.commit([Op::Count(count("n", 1))]))).await;
    }));
    outcomes.await;
    assert_eq!(StoreFixture::new(&stores[0]).shows("n").await, 60);
}

async fn fresh_in_a_schema() -> (PostgresStore, Database) {
    let database = Database::create().await;
    let store = PostgresStore::connect(&database.url(), in_schema("asgard")).await.unwrap();
    store.migrate().await.unwrap();
    (store, database)
}

#[test]
fn random_histories_in_a_schema_agree_with_the_model() {
    property::agrees_with_the_model(fresh_in_a_schema, 40);
}

/// A host has tables of the same names, and two Asgards share its database: nobody sees or touches what is another's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn schemas_keep_programs_apart() {
    let database = Database::create().await;
    let url = database.url();
    let mut host = PgConnection::connect(&url).await.unwrap();
    let tables = "CREATE TABLE migrations (version text); INSERT INTO migrations VALUES ('host'); \
                  CREATE TABLE project (id integer, name text); INSERT INTO project VALUES (1, 'host'); \
                  CREATE TABLE job (id integer); CREATE TABLE session (id integer); CREATE TABLE claims (id integer)";
    host.execute(sqlx::raw_sql(tables)).await.unwrap();
    let collides = PostgresStore::connect(&url, PostgresOptions::default()).await.unwrap();
    for refusal in [collides.migrate().await.unwrap_err(), collides.check_migrated().await.unwrap_err()] {
        assert!(
            refusal.code() == Code::Config && refusal.message().contains("ASGARD_DATABASE_SCHEMA"),
            "{}",
            refusal.chain()
        );
    }
    let other = "DROP TABLE migrations; CREATE TABLE migrations (number integer, checksum bytea, batch integer)";
    host.execute(sqlx::raw_sql(other)).await.unwrap();
    let refusal = collides.migrate().await.unwrap_err();
    assert!(refusal.message().contains("The table `migrations`"), "{}", refusal.chain());
    assert!(refusal.message().contains("ASGARD_DATABASE_SCHEMA"), "{}", refusal.chain());
    host.execute("DROP TABLE migrations").await.unwrap();
    let refusal = collides.migrate().await.unwrap_err();
    assert!(refusal.message().contains("ASGARD_DATABASE_SCHEMA"), "{}", refusal.chain());

    let connect = async |schema: &str| PostgresStore::connect(&url, in_schema(schema)).await.unwrap();
    let (one, two) = (connect("asgard_one").await, connect("asgard_two").await);
    assert!(one.check_migrated().await.unwrap_err().message().contains("asgard migrate"));
    let schemas: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'asgard%'")
        .fetch_one(&mut host)
        .await
        .unwrap();
    assert_eq!(schemas, 0, "a check makes nothing");
    let replicas = [connect("asgard_one").await, connect("asgard_two").await, connect("asgard_one").await];
    for migrated in join_all(replicas.iter().chain([&one, &two]).map(Upkeep::migrate)).await {
        migrated.unwrap();
    }
    one.check_migrated().await.unwrap();
    assert!(one.place().ends_with(", schema asgard_one"), "{}", one.place());

    let (first, second) = (StoreFixture::new(&one), StoreFixture::new(&two));
    for fixture in [&first, &second] {
        let steps = [insert_empty(&request("r")), claim("name", "r"), Op::Count(count("n", 1))];
        fixture.commit(steps).await;
    }
    assert_eq!(first.try_commit([claim("name", "other")]).await, refused(0, Reason::Taken));
    first.commit([Op::Count(count("n", 5))]).await;
    assert_eq!((first.shows("n").await, second.shows("n").await), (6, 1));
    let load = |store: PostgresStore| load::workers_keep_every_rule(store, 4, Duration::from_secs(1));
    let (of_one, of_two) = tokio::join!(load(one.clone()), load(two.clone()));
    assert!(of_one > 0 && of_two > 0, "{of_one} {of_two}");

    let untouched: (i64, i64, i64) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM public.project WHERE name = 'host'), \
         (SELECT count(*) FROM information_schema.columns WHERE table_schema = 'public'), \
         (SELECT count(*) FROM information_schema.tables WHERE table_schema = 'asgard_one' AND table_type = 'VIEW')",
    )
    .fetch_one(&mut host)
    .await
    .unwrap();
    assert_eq!(untouched, (1, 5, i64::try_from(views::VIEWS.len()).unwrap()));
    host.execute("DROP SCHEMA asgard_one CASCADE").await.unwrap();
    assert_eq!(second.shows("n").await, 1);
}

/// Who may create no schemas gets one made by somebody else.
#[tokio::test]
async fn a_schema_that_is_there_needs_no_right_to_create_schemas() {
    let database = Database::create().await;
    let mut admin = PgConnection::connect(&database.url()).await.unwrap();
    let role = format!("{}_limited", database.name);
    admin.execute(AssertSqlSafe(format!("CREATE ROLE {role}; CREATE SCHEMA made AUTHORIZATION {role}"))).await.unwrap();
    let url = database.url_with(&format!("options=-c%20role%3D{role}"));
    let store = PostgresStore::connect(&url, in_schema("made")).await.unwrap();
    store.migrate().await.unwrap();
    StoreFixture::new(&store).commit([Op::Count(count("n", 1))]).await;
    let refusal = PostgresStore::connect(&url, in_schema("other")).await.unwrap().migrate().await.unwrap_err();
    assert!(refusal.message().contains("to create the schema"), "{}", refusal.chain());
    store.close().await;
    admin.execute(AssertSqlSafe(format!("DROP OWNED BY {role}; DROP ROLE {role}"))).await.unwrap();
}

/// What is declared and not there is made, also in a database that has records; what is there stays as it is.
#[tokio::test]
async fn what_is_declared_is_made_where_it_is_missing() {
    let (store, database) = fresh().await;
    let fixture = StoreFixture::new(&store);
    let body = serde_json::json!({ "project": "p", "inbox": "open" });
    fixture.commit([insert_fields(&request("r"), &body)]).await;
    let mut connection = PgConnection::connect(&database.url()).await.unwrap();
    connection
        .execute(sqlx::raw_sql("ALTER TABLE request DROP COLUMN f_inbox; DROP TABLE lease; DROP INDEX job_due"))
        .await
        .unwrap();
    assert!(store.check_migrated().await.unwrap_err().message().contains("asgard migrate"));
    let url = database.url();
    let stores = join_all((0..3).map(|_| database.store(&url))).await;
    stores[0].check_migrated().await.unwrap();
    let query = Query::new(&REQUESTS_PENDING, "open");
    assert_eq!(stores[1].query(&query).await.unwrap().records.len(), 1);
    StoreFixture::new(&stores[2]).commit([insert_empty(&Key::new(Kind::Lease, "l"))]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_of_the_hosts_own_serves_and_is_left_open() {
    let database = Database::create().await;
    let pool = sqlx::postgres::PgPoolOptions::new().max_connections(3).connect(&database.url()).await.unwrap();
    let runtime = Runtime::builder(Config::default())
        .database(Opened::new(PostgresStore::on_pool(pool.clone(), &PostgresOptions::default())))
        .master_key(MasterKey::new([7; 32]))
        .open()
        .await
        .unwrap();
    let app = runtime.app();
    let ann = vouched_for(app, &Vouched::new("ann@corp.example".parse().unwrap(), Role::Member)).await.unwrap();
    let call = Call::by(ann, app.new_trace());
    let list = ListProjects::builder().build();
    assert!(app.run(&call, &list).await.unwrap().items.is_empty());
    runtime.close().await;
    let users: i64 = sqlx::query_scalar("SELECT count(*) FROM person").fetch_one(&pool).await.unwrap();
    assert_eq!(users, 1, "the host goes on with its pool");
    pool.close().await;
}

#[tokio::test]
async fn an_edited_migration_and_a_newer_database_are_refused() {
    let (store, database) = fresh().await;
    let mut connection = PgConnection::connect(&database.url()).await.unwrap();
    connection.execute("UPDATE migrations SET checksum = 'edited' WHERE number = 1").await.unwrap();
    let refusal = store.migrate().await.unwrap_err();
    assert_eq!((refusal.code(), refusal.message().contains("must not be edited")), (Code::Config, true), "{refusal}");
    connection.execute("DELETE FROM migrations WHERE number = 1").await.unwrap();
    assert!(store.migrate().await.unwrap_err().message().contains("not migrated by Asgard"));
    connection.execute("INSERT INTO migrations VALUES (999, 'later', 'x', 'now')").await.unwrap();
    for refusal in [store.migrate().await.unwrap_err(), store.check_migrated().await.unwrap_err()] {
        assert!(refusal.message().contains("newer Asgard"), "{refusal}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_server_is_named_and_its_password_is_not() {
    let database = Database::create().await;
    let refusal = async |url: &str| {
        let options = PostgresOptions { acquire_timeout: Duration::from_secs(2), ..PostgresOptions::default() };
        let error = PostgresStore::connect(url, options).await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        (error.code(), error.message().to_owned())
    };
    let (code, message) = refusal("postgres://ann:hunter2@127.0.0.1:9/asgard").await;
    assert_eq!(
        (code, message.as_str()),
        (Code::StoreUnavailable, "PostgreSQL at 127.0.0.1:9/asgard cannot be reached.")
    );
    let (code, message) = refusal("postgres://ann:hunter2@[bad").await;
    assert!(code == Code::Config && message.contains("cannot be read"), "{message}");
    let (code, message) = refusal(&database.url().replace(&database.name, "no_such_database")).await;
    assert!(
        code == Code::Config && message.contains("no_such_database") && message.contains("Create it first"),
        "{message}"
    );
    let stranger = database.url_with("user=no_such_user&password=hunter2");
    let (code, message) = refusal(&stranger).await;
    assert!(code == Code::Config && message.contains("refuses the user no_such_user"), "{message}");
}

/// Each index of `ports/kinds.rs` exists, and the planner can answer its pages from it without sorting.
#[tokio::test]
async fn declared_indexes_serve_their_queries() {
    let (_store, database) = fresh().await;
    let mut connection = PgConnection::connect(&database.url()).await.unwrap();
    connection.execute("SET enable_seqscan = off; SET enable_sort = off").await.unwrap();
    for index in INDEXES {
        let explain = format!("EXPLAIN {}", asgard_lib::backends::page_with_literals(index));
        let lines: Vec<(String,)> = sqlx::query_as(AssertSqlSafe(explain)).fetch_all(&mut connection).await.unwrap();
        let text = lines.into_iter().map(|(line,)| line).collect::<Vec<_>>().join("\n");
        let served_by = if index.partition.is_none() && index.sort.is_none() {
            format!("{}_pkey", index.kind.name())
        } else {
            index.name.into()
        };
        assert!(text.contains(&format!("using {served_by} ")) && !text.contains("Sort"), "{}:\n{text}", index.name);
    }
}

#[tokio::test]
async fn views_show_everything_but_what_is_hidden() {
    let (store, database) = fresh().await;
    views::fill(&store).await;
    let mut connection = PgConnection::connect(&database.url()).await.unwrap();
    for view in views::VIEWS {
        // As JSON, so that every type can be looked at in one way.
        let sql = AssertSqlSafe(format!("SELECT to_jsonb(v)::text FROM {view} v"));
        let text: String = sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap();
        assert!(!text.contains(views::HIDDEN), "{view} shows what it must not: {text}");
        let row: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text).unwrap();
        for (name, value) in row {
            assert!(!value.is_null(), "{view}.{name} shows nothing");
            if name.ends_with("_usd") {
                assert_eq!(value.to_string(), "12.345678", "{view}.{name}");
            }
            if name.ends_with("_at") || name == "at" {
                assert!(value.to_string().contains("-11-22"), "{view}.{name}: {value}");
            }
        }
    }
}

/// Both dialects have the same views with the same columns: a report written for one works on the other.
#[tokio::test]
async fn views_have_the_same_columns_in_both_dialects() {
    let (_store, database) = fresh().await;
    let mut connection = PgConnection::connect(&database.url()).await.unwrap();
    let (lite, folder) = super::sqlite::fresh().await;
    let lite_connection = super::sqlite::raw(lite.path());
    for view in views::VIEWS {
        let sql =
            "SELECT column_name::text FROM information_schema.columns WHERE table_name = $1 ORDER BY ordinal_position";
        let columns: Vec<String> = sqlx::query_scalar(sql).bind(view).fetch_all(&mut connection).await.unwrap();
        let sql = format!("SELECT name FROM pragma_table_info('{view}') ORDER BY cid");
        let lite_columns: Vec<String> = super::sqlite::column(&lite_connection, &sql, 0);
        assert!(!columns.is_empty());
        assert_eq!(columns, lite_columns, "{view}");
    }
    drop(folder);
}
