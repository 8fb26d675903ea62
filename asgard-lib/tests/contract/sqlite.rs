//! SQLite: the suite, and what is its own: the file, other processes, migrations.

use super::{before, views};
use asgard_lib::{
    Code,
    backends::{self, Opened, SqliteOptions, SqliteStore, Upkeep},
    contract::{
        load, property,
        store_fixture::{StoreFixture, count, insert_empty, insert_fields, request},
    },
    ports::{
        kinds::{INDEXES, Kind, REQUESTS_PENDING},
        store::{Key, Op, Outcome, Query, Store, StoreError},
    },
};
use futures_util::future::join_all;
use rusqlite::{Connection, types::ValueRef};
use std::{fs, path::Path, time::Duration};
use tempfile::TempDir;

pub fn raw(path: &Path) -> Connection {
    Connection::open(path).unwrap()
}

/// One column of a query.
pub fn column<T: rusqlite::types::FromSql>(connection: &Connection, sql: &str, at: usize) -> Vec<T> {
    connection.prepare(sql).unwrap().query_map([], |row| row.get(at)).unwrap().map(Result::unwrap).collect()
}

async fn open(path: &Path) -> SqliteStore {
    let store = SqliteStore::open(path, SqliteOptions::default()).await.unwrap();
    store.migrate().await.unwrap();
    store
}

pub async fn fresh() -> (SqliteStore, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (open(&folder.path().join("asgard.db")).await, folder)
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
    super::keeps_pace("sqlite", 2_000.0, 20_000, fresh).await;
}

#[tokio::test]
async fn a_database_of_the_version_before_works() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("asgard.db");
    fs::copy(before::file("sqlite.db"), &path).unwrap();
    let store = SqliteStore::open(&path, SqliteOptions::default()).await.unwrap();
    let copy = before::Copy::open(Opened::new(store), "sqlite.json").await;
    before::works(&copy).await;
    copy.database.close().await;
}

#[test]
fn random_histories_agree_with_the_model() {
    property::agrees_with_the_model(fresh, 150);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_keep_every_rule() {
    let (store, _folder) = fresh().await;
    assert!(load::workers_keep_every_rule(store, 8, Duration::from_secs(1)).await > 20);
}

/// What is declared and not there is made, also in a file that has records; what is there stays as it is.
#[tokio::test]
async fn what_is_declared_is_made_where_it_is_missing() {
    let (store, _folder) = fresh().await;
    let body = serde_json::json!({ "project": "p", "inbox": "open" });
    StoreFixture::new(&store).commit([insert_fields(&request("r"), &body)]).await;
    raw(store.path())
        .execute_batch("DROP INDEX request_pending; ALTER TABLE request DROP COLUMN f_inbox; DROP TABLE lease")
        .unwrap();
    assert!(store.check_migrated().await.unwrap_err().message().contains("asgard migrate"));
    store.migrate().await.unwrap();
    store.check_migrated().await.unwrap();
    assert_eq!(store.query(&Query::new(&REQUESTS_PENDING, "open")).await.unwrap().records.len(), 1);
    let lease = insert_empty(&Key::new(Kind::Lease, "l"));
    StoreFixture::new(&store).commit([lease]).await;
}

/// Each index of `ports/kinds.rs` exists, and its pages come from it without sorting.
#[tokio::test]
async fn declared_indexes_serve_their_queries() {
    let (store, _folder) = fresh().await;
    let connection = raw(store.path());
    for index in INDEXES {
        let explain = format!("EXPLAIN QUERY PLAN {}", backends::page_with_literals(index));
        let text = column::<String>(&connection, &explain, 3).join("\n");
        let everything = index.partition.is_none() && index.sort.is_none();
        let served_by =
            if everything { format!("sqlite_autoindex_{}_1", index.kind.name()) } else { index.name.into() };
        assert!(
            text.contains(&format!("USING INDEX {served_by}")) && !text.contains("TEMP B-TREE"),
            "{}:\n{text}",
            index.name
        );
    }
}

/// The server and `asgard run` write one file: what one commits the other reads, and neither loses a count.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_processes_share_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("asgard.db");
    let stores = join_all((0..3).map(|_| open(&path))).await;
    join_all(stores.iter().map(|store| async {
        let fixture = StoreFixture::new(store);
        join_all((0..20).map(|_| fixture.commit([Op::Count(count("n", 1))]))).await;
    }))
    .await;
    for store in &stores {
        assert_eq!(StoreFixture::new(store).shows("n").await, 60);
    }
}

#[tokio::test]
async fn a_closed_store_has_written_everything_and_takes_nothing_more() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("asgard.db");
    let opened = backends::open(&format!("sqlite://{}", path.display())).await.unwrap();
    opened.migrate().await.unwrap();
    assert_eq!(opened.file(), Some(path.as_path()));
    let store = opened.store.clone();
    let batch = StoreFixture::new(&*store).batch([insert_empty(&request("r"))]);
    let (outcome, ()) = tokio::join!(store.commit(&batch), opened.close());
    assert_eq!(outcome.unwrap(), Outcome::Committed);
    assert!(matches!(store.commit(&batch).await, Err(StoreError::Unavailable(_))));
    assert!(matches!(store.ping().await, Err(StoreError::Unavailable(_))));
    assert!(!path.with_extension("db-wal").exists(), "the log was not folded into the file");
    let opened = backends::open(&format!("sqlite://{}", path.display())).await.unwrap();
    opened.check().await.unwrap();
    assert!(StoreFixture::new(&*opened.store).get(&request("r")).await.is_some());
}

#[cfg(unix)]
#[tokio::test]
async fn only_its_owner_reads_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let (store, folder) = fresh().await;
    StoreFixture::new(&store).commit([insert_empty(&request("r"))]).await;
    let mut seen = 0;
    for entry in fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.file_name());
        seen += 1;
    }
    assert_eq!(seen, 3, "the file, its log and its index of the log");
}

/// A file that is not what it should be is named, with what to do, and is left as it was.
#[tokio::test]
async fn a_file_that_cannot_be_used_is_refused_clearly() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("text.db"), "this is not a database, and long enough to be taken for one".repeat(100)).unwrap();
    let whole = open(&at("whole.db")).await;
    whole.close().await;
    let bytes = fs::read(at("whole.db")).unwrap();
    fs::write(at("truncated.db"), &bytes[..bytes.len() / 2]).unwrap();
    fs::write(at("stump.db"), &bytes[..60]).unwrap();
    raw(&at("foreign.db")).execute_batch("CREATE TABLE precious (id INTEGER)").unwrap();
    fs::create_dir(at("folder.db")).unwrap();
    let (restore, another) = ("Restore it from a backup", "To use another one, name another file");
    for (name, says, remedy) in [
        ("text.db", "file is not a database", restore),
        ("truncated.db", "malformed", restore),
        ("stump.db", "malformed", restore),
        ("foreign.db", "another program", another),
        ("folder.db", "not a file", another),
        ("missing/asgard.db", "folder does not exist", another),
    ] {
        let before = fs::read(at(name)).ok();
        let error = SqliteStore::open(&at(name), SqliteOptions::default()).await.unwrap_err();
        assert_eq!(error.code(), Code::Config);
        assert!(error.message().contains(says) && error.message().contains(name), "{name}: {error:?}");
        assert!(
            error.message().contains(remedy) && error.message().contains("ASGARD_DATABASE_URL"),
            "{name}: {error:?}"
        );
        assert!(fs::read(at(name)).ok() == before, "{name} was changed");
    }
}

/// A table `migrations` of another shape was made by another program, and is not read as if it were ours.
#[tokio::test]
async fn a_foreign_table_of_migrations_is_named() {
    let (store, _folder) = fresh().await;
    raw(store.path())
        .execute_batch("DROP TABLE migrations; CREATE TABLE migrations (number INTEGER, checksum BLOB, batch INTEGER)")
        .unwrap();
    for refusal in [store.migrate().await.unwrap_err(), store.check_migrated().await.unwrap_err()] {
        assert!(refusal.code() == Code::Config && refusal.message().contains("another program made it"), "{refusal}");
    }
}

#[tokio::test]
async fn an_edited_migration_and_a_newer_database_are_refused() {
    let (store, _folder) = fresh().await;
    store.check_migrated().await.unwrap();
    let connection = raw(store.path());
    connection.execute_batch("UPDATE migrations SET checksum = 'edited' WHERE number = 1").unwrap();
    let refusal = store.migrate().await.unwrap_err();
    assert_eq!((refusal.code(), refusal.message().contains("must not be edited")), (Code::Config, true), "{refusal}");
    connection.execute_batch("INSERT INTO migrations VALUES (999, 'later', 'x', 'now')").unwrap();
    connection.execute_batch("DELETE FROM migrations WHERE number = 1").unwrap();
    for refusal in [store.migrate().await.unwrap_err(), store.check_migrated().await.unwrap_err()] {
        assert!(refusal.message().contains("newer Asgard"), "{refusal}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_migrated_once_however_many_come() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("asgard.db");
    let unmigrated = SqliteStore::open(&path, SqliteOptions::default()).await.unwrap();
    assert!(unmigrated.check_migrated().await.unwrap_err().message().contains("asgard migrate"));
    join_all((0..6).map(|_| open(&path))).await;
    unmigrated.check_migrated().await.unwrap();
    let rows: Vec<i64> = column(&raw(&path), "SELECT count(*) FROM migrations", 0);
    assert_eq!(rows, [3], "two migrations, and the views");
}

/// A body that the database cannot read fails alone: the batches that shared its transaction commit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_batch_fails_alone() {
    let (store, _folder) = fresh().await;
    let fixture = StoreFixture::new(&store);
    let broken = fixture.batch([
        insert_empty(&request("x")),
        asgard_lib::contract::store_fixture::insert(&request("broken"), "not json"),
    ]);
    let good = join_all((0..40).map(|i| fixture.try_commit([insert_empty(&request(&format!("r{i}")))])));
    let (good, broken) = tokio::join!(good, store.commit(&broken));
    assert!(matches!(broken, Err(StoreError::Corrupt(_))), "{broken:?}");
    assert!(good.iter().all(|outcome| *outcome == Outcome::Committed));
    assert_eq!(fixture.get(&request("x")).await, None);
}

#[tokio::test]
async fn views_show_everything_but_what_is_hidden() {
    let (store, _folder) = fresh().await;
    views::fill(&store).await;
    let connection = raw(store.path());
    for view in views::VIEWS {
        let mut statement = connection.prepare(&format!("SELECT * FROM {view}")).unwrap();
        let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let mut rows = statement.query([]).unwrap();
        let row = rows.next().unwrap().unwrap();
        for (at, name) in names.iter().enumerate() {
            let text = match row.get_ref(at).unwrap() {
                ValueRef::Null => panic!("{view}.{name} shows nothing"),
                ValueRef::Integer(number) => number.to_string(),
                ValueRef::Real(number) => number.to_string(),
                ValueRef::Text(text) | ValueRef::Blob(text) => String::from_utf8_lossy(text).into_owned(),
            };
            assert!(!text.contains(views::HIDDEN), "{view}.{name} shows what it must not");
            if name.ends_with("_usd") {
                assert_eq!(text, "12.345678", "{view}.{name}");
            }
        }
    }
}
