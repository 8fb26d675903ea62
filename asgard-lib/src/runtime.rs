//! The composition root: from a [`Config`] to an [`Asgard`] that works. The binary, a Lambda function, tests and embedders
//! all start here, so they cannot be put together differently.
//!
//! [`Runtime::open`] opens the database, the keys, the catalogue and the runner. [`Runtime::spawn_background`] starts what
//! runs beside requests: the worker, the loops and the keyring's reloader. [`Runtime::close`] ends it all.

mod background;
mod chores;
mod database;
mod keys;
mod runner;
#[cfg(feature = "terraform")]
mod supervision;

pub use background::Background;
pub use keys::Master;
pub use runner::Supervisors;
#[cfg(feature = "terraform")]
pub use supervision::{Alone, supervise_alone};

use crate::{
    adapters::{Keyring, SealedSecrets, SealedVault},
    app::{Asgard, Catalog, Parts},
    backends::Opened,
    config::{self, Config},
    error::{Error, Result},
    ports::{runner::Runner, world::World},
};
use runner::Binding;
use std::{sync::Arc, time::Duration};

/// What becomes of a database that is not up to date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tables {
    /// Bring it up to date; make a SQLite file that is not there.
    Migrate,
    /// Refuse it.
    Require,
}

/// What kind of process this is: what it may start, and who carries runs out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    /// A machine with a disk and a process table: runs are its own processes, unless tasks are configured.
    Machine,
    /// A function that ends with its answer: runs are tasks or dry.
    Function,
    /// A task that was started for one run.
    Task,
}

/// How a [`Runtime`] is opened.
#[derive(Clone, Debug)]
pub struct RuntimeOptions {
    /// What becomes of a database that is not up to date.
    pub tables: Tables,
    /// How long to wait for a database that cannot be reached.
    pub patience: Duration,
    /// How supervisors of runs are started, once provisioning is armed.
    pub supervisors: Supervisors,
    /// What kind of process this is.
    pub host: Host,
}

impl RuntimeOptions {
    /// A server: migrates, and waits for its database as long as the configuration says.
    pub fn server(config: &Config, supervisors: Supervisors) -> Self {
        let patience = Duration::from_secs(config.database.startup_wait_secs);
        Self { tables: Tables::Migrate, patience, supervisors, host: Host::Machine }
    }

    /// A command beside the server: takes the database as it is or not at all.
    pub fn command(supervisors: Supervisors) -> Self {
        Self { tables: Tables::Require, patience: Duration::ZERO, supervisors, host: Host::Machine }
    }

    /// A function: takes the database as it is, and starts no processes.
    pub fn function() -> Self {
        Self { host: Host::Function, ..Self::command(Supervisors::none()) }
    }

    /// The task of one run: as a function, and a database that is away for a moment is waited for.
    pub fn task(patience: Duration) -> Self {
        Self { host: Host::Task, patience, ..Self::command(Supervisors::none()) }
    }
}

/// An open Asgard and what it stands on.
pub struct Runtime {
    app: Arc<Asgard>,
    database: Opened,
    vault: Arc<SealedVault>,
    master: Master,
}

impl Runtime {
    /// Opens everything that the configuration names. Nothing runs in the background yet.
    ///
    /// # Errors
    ///
    /// A database that stays out of reach, is damaged or newer than this build; a master key that is not the database's; a
    /// catalogue that cannot be read. The message says what to do.
    pub async fn open(config: &Config, options: RuntimeOptions) -> Result<Self> {
        let world = World::system();
        let catalog = load_catalog(config.clone());
        let database = database::open(&config.database, options.tables, options.patience);
        let (catalog, database) = tokio::join!(catalog, database);
        let database = database?;
        let runner = || runner::runner(config, options.supervisors, options.host);
        match Self::assemble(config, runner, database.clone(), catalog?, world).await {
            Ok(runtime) => Ok(runtime),
            Err(error) => {
                database.close().await;
                Err(error)
            }
        }
    }

    async fn assemble(
        config: &Config,
        runner: impl FnOnce() -> Result<(Arc<dyn Runner>, Binding)>,
        database: Opened,
        catalog: Catalog,
        world: World,
    ) -> Result<Self> {
        // Before anything is written: what is refused here leaves no key file behind.
        let (runner, binding) = runner()?;
        let (masters, master) = keys::masters(&config.keys, &*database.store, &world).await?;
        let keyring = Keyring::open(Arc::clone(&database.store), masters, world.clone()).await?;
        let vault = Arc::new(SealedVault::new(
            Arc::clone(&database.store),
            Arc::clone(&database.blobs),
            Arc::clone(&keyring),
            world.clone(),
        ));
        let app = Asgard::new(Parts {
            store: Arc::clone(&database.store),
            vault: Arc::clone(&vault) as _,
            seals: keyring,
            secrets: Arc::new(SealedSecrets::new(Arc::clone(&vault), world.clone())),
            runner,
            catalog,
            world,
            config: config.clone(),
        });
        binding.bind(&app);
        Ok(Self { app, database, vault, master })
    }

    /// The control plane.
    pub fn app(&self) -> &Arc<Asgard> {
        &self.app
    }

    /// The database.
    pub fn database(&self) -> &Opened {
        &self.database
    }

    /// The data keys.
    pub fn keyring(&self) -> &Arc<Keyring> {
        self.vault.keyring()
    }

    /// Encrypted bytes.
    pub fn vault(&self) -> &Arc<SealedVault> {
        &self.vault
    }

    /// Where the master key came from.
    pub fn master(&self) -> &Master {
        &self.master
    }

    /// Writes what is queued and closes the database. Stop what uses it first.
    pub async fn close(self) {
        self.database.close().await;
    }
}

/// Opens only the database, for whoever looks after its tables.
///
/// # Errors
///
/// As [`Runtime::open`] has for the database.
pub async fn open_database(settings: &config::Database, tables: Tables, patience: Duration) -> Result<Opened> {
    database::open(settings, tables, patience).await
}

/// Reads and compiles the manifests beside whatever waits for the database.
async fn load_catalog(config: Config) -> Result<Catalog> {
    tokio::task::spawn_blocking(move || Catalog::load(&config)).await.map_err(Error::bug)?
}

#[cfg(test)]
#[cfg(feature = "sqlite")]
mod tests;
