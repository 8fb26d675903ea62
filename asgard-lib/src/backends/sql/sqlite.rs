//! SQLite: one file, one writer that groups commits, a few readers. Other processes of the same host may write it too.

mod open;
mod writer;

pub use open::SqliteOptions;

use super::{Arg, Engine, Row, SqlStore, migrations::embedded};
use crate::{
    backends::Upkeep,
    error::Result,
    ports::store::{Batch, Outcome, StoreError},
};
use async_trait::async_trait;
use sqlx::{AssertSqlSafe, Sqlite, SqlitePool, query::Query, sqlite::SqliteArguments};
use std::path::{Path, PathBuf};

embedded!("sqlite": 1 = "0001_tables");

/// A store and blobs in one SQLite file.
pub type SqliteStore = SqlStore<SqliteEngine>;

/// The connections to one SQLite file.
pub struct SqliteEngine {
    path: PathBuf,
    readers: SqlitePool,
    writer: writer::Writer,
}

impl SqliteStore {
    /// Opens the file, and creates it when it is not there.
    pub async fn open(path: &Path, options: SqliteOptions) -> Result<Self> {
        open::open(path, options).await.map(|engine| Self(engine.into()))
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.0.path
    }
}

#[async_trait]
impl Upkeep for SqliteStore {
    async fn migrate(&self) -> Result<()> {
        open::migrate(&self.0.path, true).await
    }

    async fn check_migrated(&self) -> Result<()> {
        open::migrate(&self.0.path, false).await
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

type Statement<'q> = Query<'q, Sqlite, SqliteArguments>;

fn statement<'q>(sql: String, args: Vec<Arg>) -> Statement<'q> {
    let mut statement = sqlx::query(AssertSqlSafe(sql));
    for arg in args {
        statement = match arg {
            Arg::Text(text) => statement.bind(text),
            Arg::Texts(texts) => statement.bind(serde_json::Value::from(texts).to_string()),
            Arg::Number(number) => statement.bind(number),
            Arg::Bytes(bytes) => statement.bind(bytes),
        };
    }
    statement
}

/// What a failed statement means when nothing of it can have been committed.
fn failed(error: sqlx::Error) -> StoreError {
    if let sqlx::Error::Database(database) = &error {
        // The primary code is the low byte of the extended one.
        let code = database.code().and_then(|code| code.parse::<i32>().ok()).map_or(0, |code| code & 0xff);
        // Busy, locked, out of memory, read-only, interrupted, input or output failed, full, cannot open: the host's trouble.
        if ![5, 6, 7, 8, 9, 10, 13, 14].contains(&code) {
            return StoreError::Corrupt(database.message().to_owned());
        }
        return StoreError::Unavailable(Box::new(error));
    }
    match error {
        error @ (sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::Encode(_)) => {
            StoreError::Corrupt(error.to_string())
        }
        error => StoreError::Unavailable(Box::new(error)),
    }
}

#[async_trait]
impl Engine for SqliteEngine {
    const ONE_OF: &'static str = "IN (SELECT value FROM json_each({}))";
    const SKIP_LOCKED: &'static str = "";

    async fn records(&self, sql: String, args: Vec<Arg>) -> Result<Vec<Row>, StoreError> {
        let rows = statement(sql, args).try_map(|row| <Row as sqlx::FromRow<'_, _>>::from_row(&row));
        rows.fetch_all(&self.readers).await.map_err(failed)
    }

    async fn texts(&self, sql: String, args: Vec<Arg>) -> Result<Vec<String>, StoreError> {
        let rows = statement(sql, args).try_map(|row| <(String,) as sqlx::FromRow<'_, _>>::from_row(&row));
        Ok(rows.fetch_all(&self.readers).await.map_err(failed)?.into_iter().map(|(text,)| text).collect())
    }

    async fn bytes(&self, sql: String, args: Vec<Arg>) -> Result<Option<Vec<u8>>, StoreError> {
        let row = statement(sql, args).try_map(|row| <(Vec<u8>,) as sqlx::FromRow<'_, _>>::from_row(&row));
        Ok(row.fetch_optional(&self.readers).await.map_err(failed)?.map(|(bytes,)| bytes))
    }

    async fn change(&self, sql: String, args: Vec<Arg>) -> Result<Vec<String>, StoreError> {
        self.writer.change(sql, args).await
    }

    async fn commit(&self, batch: &Batch) -> Result<Outcome, StoreError> {
        self.writer.commit(batch.clone()).await
    }
}
