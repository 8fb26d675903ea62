//! The composition root: from a [`Config`] to an [`Asgard`] that works. The binary, a Lambda function, tests and embedders
//! all start here, so they cannot be put together differently.
//!
//! [`Runtime::open`] opens the database, the keys, the catalogue and the runner; [`Runtime::open_on`] takes a database of
//! the embedder's own. [`Runtime::spawn_background`] starts what runs beside requests: the worker, the loops and the
//! keyring's reloader. [`Runtime::close`] ends it all.

mod background;
mod cloud;
mod database;
#[cfg(feature = "terraform")]
pub mod init;
mod keys;
mod patience;
mod periodic_tasks;
mod runner;
mod settings;
#[cfg(feature = "terraform")]
mod supervision;

pub use background::Background;
pub use cloud::Cloud;
pub use keys::Master;
pub use runner::Supervisors;
pub use settings::load_settings;
#[cfg(feature = "terraform")]
pub use supervision::{Alone, supervise_alone};

use crate::{
    adapters::{Keyring, LayeredSecrets, SealedSecrets, SealedVault},
    app::{Asgard, Parts, ServiceCatalog},
    backends::Opened,
    config::{self, Config, KeySource, SecretStoreKind},
    domain::audit::AuditVocabulary,
    error::{Error, Result},
    ports::{secrets::SecretStore, world::World},
};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// What becomes of a database that is not up to date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tables {
    /// Bring it up to date; make a SQLite file that is not there.
    Migrate,
    /// Refuse it.
    Require,
    /// Take it as it is: the deployment made it, and looking at it costs a function calls that nobody else makes.
    Trust,
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
    /// The way to the cloud. Give it the one that the settings came by, where both run in one async runtime.
    pub cloud: Cloud,
}

impl RuntimeOptions {
    /// A server: migrates, and waits for its database as long as the configuration says.
    pub fn server(config: &Config, supervisors: Supervisors) -> Self {
        let patience = Duration::from_secs(config.database.startup_wait_secs);
        Self { tables: Tables::Migrate, patience, supervisors, host: Host::Machine, cloud: Cloud::default() }
    }

    /// A command beside the server: takes the database as it is or not at all.
    pub fn command(supervisors: Supervisors) -> Self {
        let (tables, patience, host) = (Tables::Require, Duration::ZERO, Host::Machine);
        Self { tables, patience, supervisors, host, cloud: Cloud::default() }
    }

    /// A function: takes the database as it is, and starts no processes.
    pub fn function() -> Self {
        Self { host: Host::Function, tables: Tables::Trust, ..Self::command(Supervisors::none()) }
    }

    /// The task of one run: as a function, and a database that is away for a moment is waited for.
    pub fn task(patience: Duration) -> Self {
        Self { host: Host::Task, tables: Tables::Trust, patience, ..Self::command(Supervisors::none()) }
    }
}

/// An open Asgard and what it stands on.
pub struct Runtime {
    app: Arc<Asgard>,
    database: Opened,
    vault: Arc<SealedVault>,
    master: Master,
}

/// What there is before the application.
struct Ground {
    database: Opened,
    catalog: ServiceCatalog,
    world: World,
    cloud: Cloud,
    /// How long what is not there yet may be waited for.
    until: Instant,
}

impl Runtime {
    /// Opens everything that the configuration names. Nothing runs in the background yet.
    ///
    /// # Errors
    ///
    /// A database that stays out of reach, is damaged or newer than this build; a master key that is not the database's; a
    /// catalogue that cannot be read. The message says what to do.
    pub async fn open(config: &Config, options: RuntimeOptions) -> Result<Self> {
        let (world, cloud) = (World::system(), options.cloud);
        let until = Instant::now() + options.patience;
        let catalog = load_catalog(config.clone());
        let database = database::open(&config.database, options.tables, options.patience, &cloud);
        let (catalog, database) = tokio::join!(catalog, database);
        let database = database?;
        let ground = Ground { database: database.clone(), catalog: catalog?, world, cloud, until };
        match Self::assemble(config, options.supervisors, options.host, ground).await {
            Ok(runtime) => Ok(runtime),
            Err(error) => {
                database.close().await;
                Err(error)
            }
        }
    }

    /// The same on a database that the embedder opened: a store of their own, in [`Opened::new`]. `config.database` is not
    /// looked at, and nothing is waited for. The database is closed when this fails.
    ///
    /// Runs of Terraform are executed by processes of their own, which have to open the same database: arm provisioning
    /// only on a store that several processes can use, with `options.supervisors` that know how to open it.
    ///
    /// # Errors
    ///
    /// As [`Runtime::open`].
    pub async fn open_on(config: &Config, database: Opened, options: RuntimeOptions) -> Result<Self> {
        let opened = async {
            match options.tables {
                Tables::Migrate => database.migrate().await?,
                Tables::Require => database.check().await?,
                Tables::Trust => database.check_data().await?,
            }
            let catalog = load_catalog(config.clone()).await?;
            let (world, until) = (World::system(), Instant::now());
            let ground = Ground { database: database.clone(), catalog, world, cloud: options.cloud, until };
            Self::assemble(config, options.supervisors, options.host, ground).await
        };
        match opened.await {
            Ok(runtime) => Ok(runtime),
            Err(error) => {
                database.close().await;
                Err(error)
            }
        }
    }

    async fn assemble(config: &Config, supervisors: Supervisors, host: Host, ground: Ground) -> Result<Self> {
        let Ground { database, catalog, world, cloud, until } = ground;
        // Before anything is written: what is refused here leaves no key file behind.
        let (runner, binding) = runner::runner(config, supervisors, host, &cloud)?;
        let (keyring, master) = patience::patiently("The master key", until, || async {
            let (masters, master) = keys::masters(&config.keys, &*database.store, &world, &cloud).await?;
            Ok((Keyring::open(Arc::clone(&database.store), masters, world.clone()).await?, master))
        })
        .await?;
        let vault = Arc::new(SealedVault::new(
            Arc::clone(&database.store),
            Arc::clone(&database.blobs),
            Arc::clone(&keyring),
            world.clone(),
        ));
        let secrets = secrets(config, &vault, &world, &cloud).await?;
        let app = Asgard::new(Parts {
            store: Arc::clone(&database.store),
            vault: Arc::clone(&vault) as _,
            sealer: keyring,
            secrets,
            runner,
            catalog,
            vocabulary: AuditVocabulary::default(),
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

/// The secret store that the configuration names. Values from before it was Secrets Manager stay where they are.
async fn secrets(
    config: &Config,
    vault: &Arc<SealedVault>,
    world: &World,
    cloud: &Cloud,
) -> Result<Arc<dyn SecretStore>> {
    let sealed = Arc::new(SealedSecrets::new(Arc::clone(vault), world.clone()));
    match config.secrets.store {
        SecretStoreKind::Sealed => Ok(sealed),
        SecretStoreKind::SecretsManager => {
            let key = match &config.keys.source {
                KeySource::Kms(key) => Some(key),
                KeySource::Given(_) | KeySource::GeneratedFile { .. } => None,
            };
            let now = cloud.secrets_manager(&config.secrets.path, key).await?;
            Ok(Arc::new(LayeredSecrets { now, before: sealed }))
        }
    }
}

/// Opens only the database, for whoever looks after its tables.
///
/// # Errors
///
/// As [`Runtime::open`] has for the database.
pub async fn open_database(settings: &config::Database, tables: Tables, patience: Duration) -> Result<Opened> {
    database::open(settings, tables, patience, &Cloud::default()).await
}

/// Reads and compiles the manifests beside whatever waits for the database.
async fn load_catalog(config: Config) -> Result<ServiceCatalog> {
    tokio::task::spawn_blocking(move || ServiceCatalog::load(&config)).await.map_err(Error::bug)?
}

#[cfg(test)]
#[cfg(feature = "sqlite")]
mod tests;
