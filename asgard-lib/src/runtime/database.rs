//! Opening the database that the configuration names, and waiting for one that is not there yet.

use super::{Tables, cloud::Cloud, patience::patiently};
use crate::{
    backends::Opened,
    config::{Database, DatabaseLocation},
    error::{Code, Error, Result},
    kernel::DynamoTable,
};
use std::{path::Path, time::Duration};
use tokio::time::Instant;

/// Opens the database and sees to its tables. One that cannot be reached is tried again until the patience is over; one that
/// is wrong is refused at once.
pub(super) async fn open(settings: &Database, tables: Tables, patience: Duration, cloud: &Cloud) -> Result<Opened> {
    patiently("The database", Instant::now() + patience, || attempt(settings, tables, cloud)).await
}

async fn attempt(settings: &Database, tables: Tables, cloud: &Cloud) -> Result<Opened> {
    let opened = match &settings.location {
        DatabaseLocation::Sqlite { path } => {
            if tables != Tables::Migrate {
                must_exist(path)?;
            }
            sqlite(path, settings).await?
        }
        DatabaseLocation::Postgres { url } => postgres(url.reveal(), settings).await?,
        DatabaseLocation::DynamoDb { table } => dynamo(table, cloud).await?,
    };
    if let Err(error) = see_to(&opened, tables).await {
        opened.close().await;
        return Err(error);
    }
    Ok(opened)
}

/// Brings the tables up to date, or checks that they are.
pub(super) async fn see_to(opened: &Opened, tables: Tables) -> Result<()> {
    match tables {
        Tables::Migrate => opened.migrate().await,
        Tables::Require => opened.check().await,
        Tables::Trust => opened.check_data().await,
    }
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
    let options = PostgresOptions {
        max_connections: settings.max_connections,
        schema: settings.schema.clone(),
        ..PostgresOptions::default()
    };
    PostgresStore::connect(url, options).await.map(Opened::new)
}

#[cfg(not(feature = "postgres"))]
#[allow(clippy::unused_async, reason = "the same signature as with the feature")]
async fn postgres(_: &str, _: &Database) -> Result<Opened> {
    Err(missing("PostgreSQL", "postgres"))
}

#[cfg(feature = "dynamodb")]
async fn dynamo(table: &DynamoTable, cloud: &Cloud) -> Result<Opened> {
    Ok(Opened::new(crate::backends::DynamoStore::open(table.clone(), &cloud.aws).await))
}

#[cfg(not(feature = "dynamodb"))]
#[allow(clippy::unused_async, reason = "the same signature as with the feature")]
async fn dynamo(_: &DynamoTable, _: &Cloud) -> Result<Opened> {
    Err(missing("DynamoDB", "dynamodb"))
}

#[cfg(not(all(feature = "sqlite", feature = "postgres", feature = "dynamodb")))]
fn missing(database: &str, feature: &str) -> Error {
    let message = format!("This build of Asgard has no {database} (feature `{feature}`): use a build that has it.");
    Error::new(Code::NotSupported, message)
}
