//! Opening and migrating the file.

use super::{MIGRATIONS, SqliteEngine, VIEWS, writer::Writer};
use crate::{
    backends::sql::migrations::{self, Applied},
    error::{Code, Error, Result},
};
use sqlx::{
    Connection, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use std::{fs::OpenOptions, io::ErrorKind, path::Path, time::Duration};

/// Marks a file as Asgard's, so that it never writes into another program's database ("Asgd").
const APPLICATION_ID: i64 = 0x4173_6764;
/// How long to wait for another process that is writing.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// How a file is opened.
#[derive(Clone, Debug)]
pub struct SqliteOptions {
    /// Connections that read at the same time.
    pub readers: u32,
    /// Wait for the disk at every commit. Off only where losing the last commits to a power cut does not matter.
    pub durable: bool,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self { readers: 4, durable: true }
    }
}

/// A file that cannot be used, and what to do about it.
fn unusable(path: &Path, why: impl std::fmt::Display) -> Error {
    Error::new(
        Code::Config,
        format!(
            "The SQLite file {} cannot be used: {why}. Restore it from a backup, or name another file in the database URL.",
            path.display()
        ),
    )
}

fn refused(path: &Path, error: sqlx::Error) -> Error {
    let why = match &error {
        sqlx::Error::Database(database) => database.message().to_owned(),
        _ => "it cannot be opened".to_owned(),
    };
    unusable(path, why).caused_by(error)
}

/// Creates the file so that only its owner reads it. SQLite gives its side files the same mode.
fn create(path: &Path) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_file() => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(unusable(path, "it is not a file")),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(unusable(path, "its folder does not exist")),
        Err(error) => Err(unusable(path, error.to_string()).caused_by(error)),
    }
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(path).busy_timeout(BUSY_TIMEOUT).statement_cache_capacity(256)
}

pub(super) async fn open(path: &Path, wanted: SqliteOptions) -> Result<SqliteEngine> {
    create(path)?;
    // With a write-ahead log, FULL is what makes an answered commit survive a power cut.
    let synchronous = if wanted.durable { SqliteSynchronous::Full } else { SqliteSynchronous::Normal };
    let writing = options(path).journal_mode(SqliteJournalMode::Wal).synchronous(synchronous);
    // Looked at before anything is changed: turning the log on writes to the file.
    let mut connection = SqliteConnection::connect_with(&options(path)).await.map_err(|e| refused(path, e))?;
    check_owner(&mut connection, path).await?;
    connection.close().await.map_err(|e| refused(path, e))?;
    let connection = SqliteConnection::connect_with(&writing).await.map_err(|e| refused(path, e))?;
    let readers = SqlitePoolOptions::new()
        .max_connections(wanted.readers.max(1))
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_with(options(path).read_only(true))
        .await
        .map_err(|e| refused(path, e))?;
    Ok(SqliteEngine { path: path.to_owned(), readers, writer: Writer::start(writing, connection) })
}

/// Refuses a file that is damaged or belongs to another program. Reading the list of tables touches the header and the
/// first pages, and SQLite compares the header's size with the file's.
async fn check_owner(connection: &mut SqliteConnection, path: &Path) -> Result<()> {
    let owner: i64 =
        sqlx::query_scalar("PRAGMA application_id").fetch_one(&mut *connection).await.map_err(|e| refused(path, e))?;
    let tables: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_schema")
        .fetch_one(&mut *connection)
        .await
        .map_err(|e| refused(path, e))?;
    if owner != APPLICATION_ID && tables > 0 {
        return Err(unusable(path, "it is the database of another program"));
    }
    Ok(())
}

/// Runs what is missing, each in an exclusive transaction; without `apply` only says what is missing.
pub(super) async fn migrate(path: &Path, apply: bool) -> Result<()> {
    let mut connection = SqliteConnection::connect_with(&options(path)).await.map_err(|e| refused(path, e))?;
    let result = migrate_on(&mut connection, apply).await;
    let closed = connection.close().await;
    let done = result.and_then(|done| closed.map(|()| done));
    done.map_err(|e| refused(path, e)).flatten()
}

async fn migrate_on(connection: &mut SqliteConnection, apply: bool) -> Result<Result<()>, sqlx::Error> {
    loop {
        let mut transaction = connection.begin_with("BEGIN EXCLUSIVE").await?;
        sqlx::query(migrations::TABLE).execute(&mut *transaction).await?;
        let applied: Vec<Applied> =
            sqlx::query_as("SELECT number, checksum FROM migrations").fetch_all(&mut *transaction).await?;
        let migration = match migrations::next(MIGRATIONS, &VIEWS, &applied) {
            Ok(Some(migration)) if apply => migration,
            Ok(Some(migration)) => return Ok(Err(migrations::pending(migration))),
            Ok(None) => return Ok(Ok(())),
            Err(refusal) => return Ok(Err(refusal)),
        };
        sqlx::raw_sql(migration.sql).execute(&mut *transaction).await?;
        sqlx::query(
            "INSERT OR REPLACE INTO migrations (number, name, checksum, applied_at) \
             VALUES ($1, $2, $3, strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))",
        )
        .bind(migration.number)
        .bind(migration.name)
        .bind(migration.checksum())
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
    }
}
