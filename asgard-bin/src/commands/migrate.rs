//! Migrating by hand: before the replicas of a new version start, or with rights that the server does not have.

use super::start;
use crate::{failure::Result, logging::Talk, output};
use asgard_lib::runtime::{Tables, open_database};
use std::{path::PathBuf, time::Duration};

pub fn run(config: Option<PathBuf>, check: bool) -> Result<()> {
    let loaded = start(config, Talk::Usual)?;
    let tables = if check { Tables::Require } else { Tables::Migrate };
    crate::process::one_thread()?.block_on(async {
        let database = open_database(&loaded.config.database, tables, Duration::ZERO).await?;
        let place = database.place();
        database.close().await;
        output::line(format!("The database is up to date: {place}."))
    })
}
