//! Opening the database that the configuration names, and waiting for one that is not there yet.

use super::Tables;
use crate::{
    backends::Opened,
    config::{Database, DatabaseLocation},
    error::{Code, Error, Kind, Result},
    kernel::DynamoTable,
};
use std::{path::Path, time::Duration};
use tokio::time::Instant;

/// How long to wait before the second attempt; it doubles up to [`SLOWEST`].
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const SLOWEST: Duration = Duration::from_secs(4);

/// Opens the database and sees to its tables. One that cannot be reached is tried again until the patience is over; one that
/// is wrong is refused at once.
pub(super) async fn open(settings: &Database, tables: Tables, patience: Duration) -> Result<Opened> {
    let until = Instant::now() + patience;
    let mut pause = FIRST_PAUSE;
    loop {
        let error = match attempt(settings, tables).await {
            Ok(opened) => return Ok(opened),
            Err(error) => error,
        };
        let left = until.saturating_duration_since(Instant::now());
        if error.kind() != Kind::Unavailable || left.is_zero() {
            return Err(error);
        }
        tracing::warn!(
            error = error.chain(),
            "The database cannot be used yet; trying for another {} s.",
            left.as_secs()
        );
        tokio::time::sleep(pause.min(left)).await;
        pause = (pause * 2).min(SLOWEST);
    }
}

async fn attempt(settings: &Database, tables: Tables) -> Result<Opened> {
    let opened = match &settings.location {
        DatabaseLocation::Sqlite { path } => {
            if tables == Tables::Require {
                must_exist(path)?;
            }
            sqlite(path, settings).await?
        }
        DatabaseLocation::Postgres { url } => postgres(url.reveal(), settings).await?,
        DatabaseLocation::DynamoDb { table } => dynamo(table).await?,
    };
    let ready = match tables {
        Tables::Migrate => opened.migrate().await,
        Tables::Require => opened.check().await,
    };
    if let Err(error) = ready {
        opened.close().await;
        return Err(error);
    }
    Ok(opened)
}

/// A command in the wrong folder must not leave an empty database there.
fn must_exist(path: &Path) -> Result<()> {
    if path.exists() {
        return Ok(());
    }
    let message = format!(
        "There is no database file {}. Start the server or run `asgard migrate` to make it, or set ASGARD_DATABASE_URL to the file that the server uses.",
        path.display()
    );
    Err(Error::new(Code::Config, message))
}

#[cfg(feature = "sqlite")]
async fn sqlite(path: &Path, settings: &Database) -> Result<Opened> {
    use crate::backends::{SqliteOptions, SqliteStore};
    let options = SqliteOptions { readers: settings.max_connections, ..SqliteOptions::default() };
    SqliteStore::open(path, options).await.map(Opened::new)
}

#[cfg(not(feature = "sqlite"))]
#[allow(clippy::unused_async, reason = "the same signature as with the feature")]
async fn sqlite(_: &Path, _: &Database) -> Result<Opened> {
    Err(missing("SQLite", "sqlite"))
}

#[cfg(feature = "postgres")]
async fn postgres(url: &str, settings: &Database) -> Result<Opened> {
    use crate::backends::{PostgresOptions, PostgresStore};
    let options = PostgresOptions { max_connections: settings.max_connections, ..PostgresOptions::default() };
    PostgresStore::connect(url, options).await.map(Opened::new)
}

#[cfg(not(feature = "postgres"))]
#[allow(clippy::unused_async, reason = "the same signature as with the feature")]
async fn postgres(_: &str, _: &Database) -> Result<Opened> {
    Err(missing("PostgreSQL", "postgres"))
}

#[cfg(feature = "dynamodb")]
async fn dynamo(table: &DynamoTable) -> Result<Opened> {
    use crate::{aws::Aws, backends::DynamoStore};
    let aws = Aws::new().or_region(table.region.clone());
    Ok(Opened::new(DynamoStore::open(table.clone(), &aws).await))
}

#[cfg(not(feature = "dynamodb"))]
#[allow(clippy::unused_async, reason = "the same signature as with the feature")]
async fn dynamo(_: &DynamoTable) -> Result<Opened> {
    Err(missing("DynamoDB", "dynamodb"))
}

#[cfg(not(all(feature = "sqlite", feature = "postgres", feature = "dynamodb")))]
fn missing(database: &str, feature: &str) -> Error {
    let message = format!("This build of Asgard has no {database} (feature `{feature}`): use a build that has it.");
    Error::new(Code::NotSupported, message)
}
