//! An Asgard on the store.

use crate::RedbStore;
use asgard_lib::{
    Result,
    backends::Opened,
    config::{Config, KeySource},
    runtime::Runtime,
};
use std::{net::SocketAddr, path::Path};

/// Opens an Asgard on the file, with the defaults for everything else: nothing armed, the master key in a file beside the
/// database. `config.database` would name SQLite or PostgreSQL and is not looked at.
///
/// # Errors
///
/// A file or a key that cannot be used.
pub async fn open(file: &Path, bind: SocketAddr) -> Result<Runtime> {
    let mut config = Config::default();
    config.server.bind = bind;
    let mut key = file.as_os_str().to_owned();
    key.push(".key");
    config.keys.source = KeySource::GeneratedFile { path: key.into() };
    // Supervisors would carry out runs of Terraform once provisioning is armed. It never is here: they are other processes, and
    // redb lets only one open the file.
    let store = RedbStore::open(file).await?;
    Runtime::builder(config).database(Opened::new(store)).open().await
}
