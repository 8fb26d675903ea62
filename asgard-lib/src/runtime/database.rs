//! Opening the database that the configuration names, and waiting for one that is not there yet.

use super::{RuntimeOptions, Tables, patience::patiently};
#[cfg(feature = "postgres")]
use crate::backends::PostgresOptions;
#[cfg(feature = "sqlite")]
use crate::backends::SqliteOptions;
use crate::{
    backends::{self, Opened, Options},
    config::{Database, DatabaseLocation},
    error::{Code, Error, Result},
};
use std::path::Path;
use tokio::time::Instant;

/// Opens the database and sees to its tables. One that cannot be reached is tried again until the patience is over; one that
/// is wrong is refused at once.
pub(super) async fn open(settings: &Database, how: &RuntimeOptions) -> Result<Opened> {
    patiently("The database", Instant::now() + how.patience, || attempt(settings, how)).await
}

async fn attempt(settings: &Database, how: &RuntimeOptions) -> Result<Opened> {
    let tables = how.tables;
    if let DatabaseLocation::Sqlite { path } = &settings.location
        && tables != Tables::Migrate
    {
        must_exist(path)?;
    }
    let opened = backends::open_at(settings.location.clone(), options(settings, how)).await?;
    if let Err(error) = see_to(&opened, tables).await {
        opened.close().await;
        return Err(error);
    }
    Ok(opened)
}

#[allow(unused_variables, reason = "a build without databases has no options")]
fn options(settings: &Database, how: &RuntimeOptions) -> Options {
    Options {
        #[cfg(feature = "sqlite")]
        sqlite: SqliteOptions { readers: settings.max_connections, ..SqliteOptions::default() },
        #[cfg(feature = "postgres")]
        postgres: PostgresOptions {
            max_connections: how.connections.unwrap_or(u32::MAX).min(settings.max_connections),
            detect_pooler: how.connections.is_none(),
            schema: settings.schema.clone(),
            ..PostgresOptions::default()
        },
        #[cfg(feature = "dynamodb")]
        aws: Some(how.cloud.aws.clone()),
    }
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
