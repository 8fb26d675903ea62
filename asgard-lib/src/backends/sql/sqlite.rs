//! SQLite: one file, one writer that groups commits, a few readers. Other processes of the same host may write it too.

mod open;
mod readers;
mod writer;

pub use open::SqliteOptions;

use super::{Arg, Engine, Row, SqlStore, migrations::embedded};
use crate::{
    backends::Upkeep,
    error::{Error, Result},
    ports::store::{Batch, Changes, Outcome, StoreError},
};
use async_trait::async_trait;
use rusqlite::{Connection, params_from_iter, types::Value};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

embedded!("sqlite", Sqlite: 1 = "0001_tables", 2 = "0002_log_by_id");

/// A store and blobs in one SQLite file.
pub type SqliteStore = SqlStore<SqliteEngine>;

/// The connections to one SQLite file.
#[expect(
    unnameable_types,
    reason = "what SqliteStore and PostgresStore share; a store of another kind implements the port"
)]
pub struct SqliteEngine {
    path: PathBuf,
    readers: readers::Readers,
    writer: writer::Writer,
}

crate::kernel::opaque!(SqliteEngine);

impl SqliteStore {
    /// Opens the file, and creates it when it is not there.
    pub async fn open(path: &Path, options: SqliteOptions) -> Result<Self> {
        let path = path.to_owned();
        apart(move || open::open(&path, &options)).await.map(|engine| Self(engine.into()))
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.0.path
    }
}

/// Does what may take long away from the async threads.
async fn apart<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(Error::bug)?
}

#[async_trait]
impl Upkeep for SqliteStore {
    async fn migrate(&self) -> Result<()> {
        let path = self.0.path.clone();
        apart(move || open::migrate(&path, true)).await
    }

    async fn check_migrated(&self) -> Result<()> {
        let path = self.0.path.clone();
        apart(move || open::migrate(&path, false)).await
    }

    async fn close(&self) {
        // The writer goes last: only it may fold the log into the file.
        self.0.readers.close().await;
        self.0.writer.close().await;
    }

    fn place(&self) -> String {
        format!("SQLite, {}", self.0.path.display())
    }

    fn file(&self) -> Option<&Path> {
        Some(&self.0.path)
    }
}

fn closed() -> StoreError {
    StoreError::Unavailable("the database was closed".into())
}

/// SQLite numbers its parameters as `?1`; `$1` would be a name there.
fn numbered(sql: &str) -> String {
    sql.replace('$', "?")
}

fn value(arg: Arg) -> Value {
    match arg {
        Arg::Text(text) => Value::Text(text),
        Arg::Texts(texts) => Value::Text(serde_json::Value::from(texts).to_string()),
        Arg::Number(number) => Value::Integer(number),
        Arg::Bytes(bytes) => Value::Blob(bytes),
    }
}

/// Runs a statement and makes something of each row.
fn rows<T>(
    connection: &Connection,
    sql: &str,
    args: Vec<Arg>,
    row: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    let mut statement = connection.prepare_cached(&numbered(sql))?;
    statement.query_map(params_from_iter(args.into_iter().map(value)), row)?.collect()
}

/// The primary result code: the low byte of the extended one.
fn primary_code(error: &rusqlite::Error) -> Option<i32> {
    error.sqlite_error().map(|error| error.extended_code & 0xff)
}

/// What a failed statement means when nothing of it can have been committed.
fn failed(error: rusqlite::Error) -> StoreError {
    match primary_code(&error) {
        // Busy, locked, out of memory, read-only, interrupted, input or output failed, full, cannot open: the host's trouble.
        Some(5 | 6 | 7 | 8 | 9 | 10 | 13 | 14) => StoreError::Unavailable(Box::new(error)),
        // A value that is not of its column's type is as corrupt as what SQLite finds to be.
        Some(_) | None => StoreError::Corrupt(error.to_string()),
    }
}

/// How often the file is asked whether another connection has committed: a glance at memory that processes share.
const GLANCE_EVERY: Duration = Duration::from_millis(100);

/// The number that changes with every commit of another connection, of this process or another.
fn data_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))
}

#[async_trait]
impl Engine for SqliteEngine {
    async fn changes(&self) -> Option<Changes> {
        let connection = open::connect(&self.path, true).ok()?;
        let seen = data_version(&connection).ok()?;
        let watched = futures_util::stream::unfold((connection, seen), |(connection, seen)| async move {
            loop {
                tokio::time::sleep(GLANCE_EVERY).await;
                let version = data_version(&connection).ok()?;
                if version != seen {
                    return Some(((), (connection, version)));
                }
            }
        });
        Some(Box::pin(watched))
    }

    const ONE_OF: &'static str = "IN (SELECT value FROM json_each({}))";
    const SKIP_LOCKED: &'static str = "";

    async fn records(&self, sql: String, args: Vec<Arg>) -> Result<Vec<Row>, StoreError> {
        self.readers.glance(move |connection| rows(connection, &sql, args.clone(), record)).await
    }

    async fn page(&self, sql: String, args: Vec<Arg>) -> Result<Vec<Row>, StoreError> {
        self.readers.study(move |connection| rows(connection, &sql, args, record)).await
    }

    async fn texts(&self, sql: String, args: Vec<Arg>) -> Result<Vec<String>, StoreError> {
        self.readers.glance(move |connection| rows(connection, &sql, args.clone(), |row| row.get(0))).await
    }

    async fn bytes(&self, sql: String, args: Vec<Arg>) -> Result<Option<Vec<u8>>, StoreError> {
        let found = self.readers.study(move |connection| rows(connection, &sql, args, |row| row.get(0))).await?;
        Ok(found.into_iter().next())
    }

    async fn change(&self, sql: String, args: Vec<Arg>) -> Result<Vec<String>, StoreError> {
        self.writer.change(sql, args).await
    }

    async fn commit(&self, batch: &Batch) -> Result<Outcome, StoreError> {
        self.writer.commit(batch.clone()).await
    }
}

fn record(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?))
}
