//! The composition root: from a [`Config`] to an [`Asgard`] that works. The binary, a Lambda function, tests and embedders
//! all start here, so they cannot be put together differently.
//!
//! [`Runtime::builder`] takes what the embedder gives instead of what the configuration says: a database, a runner, a clock,
//! operations and services of their own. [`Runtime::open`] opens what the configuration says, and [`Runtime::open_on`] the same on
//! a database of the embedder's own. [`Runtime::spawn_background`] starts what runs beside requests: the worker, the loops and the
//! keyring's reloader. [`Runtime::close`] ends it all.

mod background;
mod builder;
mod built_with;
mod cloud;
mod database;
#[cfg(feature = "terraform")]
pub mod init;
mod instance_role;
mod keys;
mod patience;
mod periodic_tasks;
mod runner;
mod secrets;
mod settings;
#[cfg(feature = "terraform")]
mod supervision;

pub use background::Background;
pub use builder::RuntimeBuilder;
pub use cloud::Cloud;
pub use keys::Master;
pub use periodic_tasks::{Declaration, PERIODIC_TASKS};
pub use runner::Supervisors;
pub use settings::load_settings;
#[cfg(feature = "terraform")]
pub use supervision::{Alone, supervise_alone, try_runs};

use crate::{
    adapters::{Keyring, SealedVault},
    app::{Asgard, periodic::PeriodicTask},
    backends::Opened,
    config::{self, Config},
    error::Result,
};
use std::{fmt, sync::Arc, time::Duration};

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

/// How a [`Runtime`] is opened. One of the functions here begins one, and a method each changes a part of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
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
    /// The most connections to a database server, where that is less than the configuration says: for processes of which there are
    /// many. One that has so few does not look for a pooler either; the server that started it has.
    pub connections: Option<u32>,
}

/// How many connections the process of one run has: it stores what Terraform says while it renews its lease.
const CONNECTIONS_OF_A_RUN: u32 = 2;

impl RuntimeOptions {
    /// A server: migrates, and waits for its database as long as the configuration says.
    pub fn server(config: &Config, supervisors: Supervisors) -> Self {
        let patience = Duration::from_secs(config.database.startup_wait_secs);
        Self {
            tables: Tables::Migrate,
            patience,
            supervisors,
            host: Host::Machine,
            cloud: Cloud::default(),
            connections: None,
        }
    }

    /// A command beside the server: takes the database as it is or not at all.
    pub fn command(supervisors: Supervisors) -> Self {
        let (tables, patience, host) = (Tables::Require, Duration::ZERO, Host::Machine);
        Self { tables, patience, supervisors, host, cloud: Cloud::default(), connections: None }
    }

    /// The supervisor of one run beside a server: one of many processes, with few connections, that waits for a database which is
    /// away or refuses it one.
    pub fn supervisor(supervisors: Supervisors) -> Self {
        let patience = Duration::from_secs(600);
        Self { patience, connections: Some(CONNECTIONS_OF_A_RUN), ..Self::command(supervisors) }
    }

    /// A function: takes the database as it is, and starts no processes.
    pub fn function() -> Self {
        Self { host: Host::Function, tables: Tables::Trust, ..Self::command(Supervisors::none()) }
    }

    /// The task of one run: as a function, and a database that is away for a moment is waited for.
    pub fn task(patience: Duration) -> Self {
        let connections = Some(CONNECTIONS_OF_A_RUN);
        Self { host: Host::Task, tables: Tables::Trust, patience, connections, ..Self::command(Supervisors::none()) }
    }

    /// The same, with something else becoming of a database that is not up to date.
    #[must_use]
    pub fn tables(self, tables: Tables) -> Self {
        Self { tables, ..self }
    }

    /// The same, waiting so long for a database that cannot be reached.
    #[must_use]
    pub fn patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// The same, on this way to the cloud.
    #[must_use]
    pub fn cloud(self, cloud: Cloud) -> Self {
        Self { cloud, ..self }
    }
}

/// An open Asgard and what it stands on.
pub struct Runtime {
    app: Arc<Asgard>,
    database: Opened,
    vault: Arc<SealedVault>,
    master: Master,
    periodic: Vec<Arc<dyn PeriodicTask>>,
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime").field("database", &self.database.place()).finish_non_exhaustive()
    }
}

impl Runtime {
    /// Opens everything that the configuration names. Nothing runs in the background yet.
    ///
    /// # Errors
    ///
    /// A database that stays out of reach, is damaged or newer than this build; a master key that is not the database's; a
    /// catalogue that cannot be read. The message says what to do.
    pub async fn open(config: &Config, options: RuntimeOptions) -> Result<Self> {
        Self::builder(config.clone()).options(options).open().await
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
        Self::builder(config.clone()).options(options).database(database).open().await
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
    let how = RuntimeOptions::command(Supervisors::none()).tables(tables).patience(patience);
    database::open(settings, &how).await
}

#[cfg(test)]
#[cfg(feature = "sqlite")]
mod tests;
