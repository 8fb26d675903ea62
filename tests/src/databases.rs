//! Databases of a test's own, and everything that is in them.

use crate::{Peers, dynamodb};
use rusqlite::types::ValueRef;
use sqlx::{Connection, Executor, PgConnection, Row};
use std::{
    error::Error,
    fs,
    future::Future,
    path::{Path, PathBuf},
};

/// Where a site keeps its records.
pub enum Database {
    /// A file, with what SQLite puts beside it.
    Sqlite(PathBuf),
    /// A database of a PostgreSQL server; gone when this is dropped.
    Postgres {
        /// Its name.
        name: String,
        /// Its URL.
        url: String,
    },
    /// A table of the emulator of DynamoDB; gone when this is dropped.
    DynamoDb {
        /// Its name.
        table: String,
    },
}

/// A name that nobody has.
fn unique() -> String {
    let unique = tempfile::Builder::new().prefix("").rand_bytes(12).tempdir().expect("a unique name");
    format!("asgard_test_{}", unique.path().file_name().expect("a name").to_string_lossy().to_lowercase())
}

fn now<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(work)
}

/// A value of SQLite's as text.
fn text(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => String::new(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => String::from_utf8_lossy(bytes).into_owned(),
    }
}

fn on_server(statement: String) {
    now(async {
        let mut server = PgConnection::connect(&Peers::get().postgres_url).await.expect("PostgreSQL answers");
        server.execute(sqlx::AssertSqlSafe(statement)).await.expect("the statement works");
    });
}

impl Database {
    /// A file in `dir`.
    pub fn sqlite(dir: &Path) -> Self {
        Self::Sqlite(dir.join("asgard.db"))
    }

    /// A new, empty database.
    pub fn postgres() -> Self {
        let name = unique();
        on_server(format!("CREATE DATABASE {name}"));
        let base = Peers::get().postgres_url.rsplit_once('/').expect("a URL with a database").0;
        Self::Postgres { url: format!("{base}/{name}"), name }
    }

    /// A new table, made at the first start.
    pub fn dynamodb() -> Self {
        Self::DynamoDb { table: unique() }
    }

    /// What ASGARD_DATABASE_URL takes.
    pub fn url(&self) -> String {
        match self {
            Self::Sqlite(path) => format!("sqlite://{}", path.display()),
            Self::Postgres { url, .. } => url.clone(),
            Self::DynamoDb { table } => {
                format!("dynamodb://{table}?region=eu-west-1&endpoint={}", Peers::get().dynamodb_url)
            }
        }
    }

    /// Everything that it holds, as one heap of bytes: the files, or every row of every table as text.
    pub fn dump(&self) -> Vec<u8> {
        match self {
            Self::Sqlite(path) => ["", "-wal", "-shm", "-journal"]
                .iter()
                .flat_map(|suffix| fs::read(format!("{}{suffix}", path.display())).unwrap_or_default())
                .collect(),
            Self::Postgres { .. } => self.rows("SELECT 1").map(|_| self.all_rows()).unwrap_or_default().into_bytes(),
            Self::DynamoDb { table } => dynamodb::dump(&Peers::get().dynamodb_url, table),
        }
    }

    fn all_rows(&self) -> String {
        let tables = "SELECT quote_ident(table_name) FROM information_schema.tables \
                      WHERE table_schema = 'public' AND table_type = 'BASE TABLE' ORDER BY 1";
        let tables = self.rows(tables).expect("the list of tables");
        assert!(tables.len() > 10, "a database of Asgard has more tables than {tables:?}");
        let rows = |table: &String| self.rows(&format!("SELECT t::text FROM {table} t")).expect("the rows of a table");
        tables.iter().flat_map(rows).collect::<Vec<_>>().join("\n")
    }

    /// The first column of a query, as text.
    pub fn rows(&self, query: &str) -> Result<Vec<String>, Box<dyn Error>> {
        match self {
            Self::Sqlite(path) => {
                let file = rusqlite::Connection::open(path)?;
                let mut statement = file.prepare(query)?;
                let texts = statement.query_map([], |row| Ok(text(row.get_ref(0)?)))?;
                Ok(texts.collect::<Result<_, _>>()?)
            }
            Self::Postgres { url, .. } => now(async {
                let mut database = PgConnection::connect(url).await?;
                let rows = sqlx::query(sqlx::AssertSqlSafe(query.to_owned())).fetch_all(&mut database).await?;
                let texts = rows.iter().map(|row| row.try_get_unchecked::<String, _>(0)).collect::<Result<_, _>>();
                database.close().await?;
                Ok(texts?)
            }),
            Self::DynamoDb { .. } => Err("a table of DynamoDB takes no SQL".into()),
        }
    }

    /// Changes something behind Asgard's back.
    pub fn execute(&self, statement: &str) {
        match self {
            Self::Sqlite(path) => {
                let file = rusqlite::Connection::open(path).expect("the file opens");
                file.execute_batch(statement).expect("the statement works");
            }
            Self::Postgres { url, .. } => now(async {
                let mut database = PgConnection::connect(url).await.expect("the database answers");
                let statement = sqlx::AssertSqlSafe(statement.to_owned());
                database.execute(statement).await.expect("the statement works");
            }),
            Self::DynamoDb { .. } => panic!("a table of DynamoDB takes no SQL"),
        }
    }

    /// Shuts everybody out of a PostgreSQL database, as if the server were gone, or lets them in again.
    pub fn admit(&self, everybody: bool) {
        let Self::Postgres { name, .. } = self else { panic!("only a server can be shut") };
        on_server(format!("ALTER DATABASE {name} WITH ALLOW_CONNECTIONS {everybody}"));
        if !everybody {
            on_server(format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"));
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Self::DynamoDb { table } = self {
            dynamodb::drop_table(&Peers::get().dynamodb_url, table);
        }
        if let Self::Postgres { name, .. } = self {
            let drop = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
            now(async {
                // The server may be gone already, with everything in it.
                if let Ok(mut server) = PgConnection::connect(&Peers::get().postgres_url).await {
                    let _ = server.execute(sqlx::AssertSqlSafe(drop)).await;
                }
            });
        }
    }
}
