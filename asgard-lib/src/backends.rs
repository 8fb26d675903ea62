//! Stores: memory, SQLite, PostgreSQL, DynamoDB. All pass the same public suite, [`crate::contract`].
//!
//! [`open`] picks one by the scheme of a database URL:
//!
//! | URL | store |
//! |---|---|
//! | `sqlite://asgard.db`, `sqlite:///var/lib/asgard/asgard.db` | one file, relative or absolute; feature `sqlite` |
//! | `postgres://user:password@host:5432/database?sslmode=require` | PostgreSQL; feature `postgres` |
//! | `dynamodb://table?region=eu-west-1` | a DynamoDB table; feature `dynamodb` |

#[cfg(feature = "dynamodb")]
pub(crate) mod dynamo;
mod generation;
mod memory;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(crate) mod sql;

#[cfg(feature = "dynamodb")]
pub use dynamo::DynamoStore;
pub use generation::WRITER;
pub use memory::MemoryStore;
#[cfg(all(feature = "contract", any(feature = "sqlite", feature = "postgres")))]
#[doc(hidden)]
pub use sql::page_with_literals;
#[cfg(feature = "postgres")]
pub use sql::postgres::{PostgresOptions, PostgresStore};
#[cfg(feature = "sqlite")]
pub use sql::sqlite::{SqliteOptions, SqliteStore};

#[cfg(feature = "dynamodb")]
use crate::aws::Aws;
use crate::{
    error::{Code, Error, Result},
    kernel::{DatabaseLocation, DatabaseUrlFault},
    ports::{blobs::Blobs, store::Store},
};
use async_trait::async_trait;
use std::{path::Path, sync::Arc};

/// How databases are used. The defaults suit a server.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// For `sqlite://`.
    #[cfg(feature = "sqlite")]
    pub sqlite: SqliteOptions,
    /// For `postgres://`.
    #[cfg(feature = "postgres")]
    pub postgres: PostgresOptions,
    /// For `dynamodb://`: the way to AWS. Without one, the process's own credentials are used.
    #[cfg(feature = "dynamodb")]
    pub aws: Option<Aws>,
}

/// What a database needs besides being read and written.
#[async_trait]
pub trait Upkeep: Send + Sync + 'static {
    /// Brings the tables up to date. Safe from many processes at once.
    async fn migrate(&self) -> Result<()>;
    /// Changes nothing, and refuses tables that are not as this build knows them.
    async fn check_migrated(&self) -> Result<()>;
    /// Finishes what is queued and closes the connections.
    async fn close(&self);
    /// Where the data is, for people: never a password.
    fn place(&self) -> String;
    /// The database file, where it is one: a key file may stand beside it.
    fn file(&self) -> Option<&Path> {
        None
    }
}

/// A database that was opened.
#[derive(Clone)]
pub struct Opened {
    /// Records, claims and counters.
    pub store: Arc<dyn Store>,
    /// Write-once bytes.
    pub blobs: Arc<dyn Blobs>,
    upkeep: Arc<dyn Upkeep>,
}

crate::kernel::opaque!(Opened);

/// Opens the database at `url` with the default options.
pub async fn open(url: &str) -> Result<Opened> {
    open_with(url, Options::default()).await
}

/// Opens the database at `url`. It is not looked into before [`Opened::migrate`] or [`Opened::check`].
pub async fn open_with(url: &str, options: Options) -> Result<Opened> {
    open_at(url.parse().map_err(refused)?, options).await
}

#[cfg_attr(
    not(any(feature = "sqlite", feature = "postgres", feature = "dynamodb")),
    allow(unused_variables, reason = "no database with options is compiled in")
)]
pub(crate) async fn open_at(location: DatabaseLocation, options: Options) -> Result<Opened> {
    match location {
        #[cfg(feature = "sqlite")]
        DatabaseLocation::Sqlite { path } => SqliteStore::open(&path, options.sqlite).await.map(Opened::new),
        #[cfg(not(feature = "sqlite"))]
        DatabaseLocation::Sqlite { .. } => Err(not_compiled("SQLite", "sqlite")),
        #[cfg(feature = "postgres")]
        DatabaseLocation::Postgres { url } => {
            PostgresStore::connect(url.reveal(), options.postgres).await.map(Opened::new)
        }
        #[cfg(not(feature = "postgres"))]
        DatabaseLocation::Postgres { .. } => Err(not_compiled("PostgreSQL", "postgres")),
        #[cfg(feature = "dynamodb")]
        DatabaseLocation::DynamoDb { table } => {
            let aws = options.aws.unwrap_or_else(|| Aws::new().or_region(table.region.clone()));
            Ok(Opened::new(DynamoStore::open(table, &aws).await))
        }
        #[cfg(not(feature = "dynamodb"))]
        DatabaseLocation::DynamoDb { .. } => Err(not_compiled("DynamoDB", "dynamodb")),
    }
}

/// The message does not quote the URL: it may hold a password.
fn refused(why: DatabaseUrlFault) -> Error {
    const EXPECTED: &str = "Expected `sqlite://asgard.db`, `sqlite:///absolute/path.db`, `postgres://user:password@host:5432/database` or `dynamodb://table?region=eu-west-1`.";
    Error::new(Code::Config, format!("The database URL cannot be used: {why}. {EXPECTED}"))
}

#[cfg(not(all(feature = "sqlite", feature = "postgres", feature = "dynamodb")))]
fn not_compiled(database: &str, feature: &str) -> Error {
    let message = format!(
        "This build of Asgard has no {database} (feature `{feature}`): use a build that has, or another database URL."
    );
    Error::new(Code::NotSupported, message)
}

impl Opened {
    /// A store of any make, whose clones share what is stored.
    pub fn new(store: impl Store + Blobs + Upkeep + Clone) -> Self {
        Self { store: Arc::new(store.clone()), blobs: Arc::new(store.clone()), upkeep: Arc::new(store) }
    }

    /// Brings the tables up to date, and refuses a database whose data needs a newer Asgard. Safe from many processes at once.
    pub async fn migrate(&self) -> Result<()> {
        self.upkeep.migrate().await?;
        generation::settle(&*self.store).await
    }

    /// Changes nothing, and refuses a database that this build cannot work with as it is.
    pub async fn check(&self) -> Result<()> {
        self.upkeep.check_migrated().await?;
        self.check_data().await
    }

    /// Refuses only a database whose data needs a newer Asgard.
    pub async fn check_data(&self) -> Result<()> {
        generation::check(&*self.store).await
    }

    /// Where the data is, for people: never a password.
    pub fn place(&self) -> String {
        self.upkeep.place()
    }

    /// The database file, where it is one: a key file may stand beside it.
    pub fn file(&self) -> Option<&Path> {
        self.upkeep.file()
    }

    /// Finishes what is queued and closes the connections.
    pub async fn close(&self) {
        self.upkeep.close().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_not_there_is_refused_clearly() {
        let refusal =
            |url| async move { open(url).await.err().map(|error| (error.code(), error.message().to_owned())) };
        assert_eq!(refusal("dynamodb://a").await.unwrap().0, Code::Config);
        #[cfg(not(feature = "dynamodb"))]
        assert!(refusal("dynamodb://table").await.unwrap().1.contains("feature `dynamodb`"));
        #[cfg(not(feature = "sqlite"))]
        assert!(refusal("sqlite://asgard.db").await.unwrap().1.contains("feature `sqlite`"));
        #[cfg(not(feature = "postgres"))]
        assert!(refusal("postgres://host/db").await.unwrap().1.contains("feature `postgres`"));
    }
}
