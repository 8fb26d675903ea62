//! Putting a [`Runtime`] together from a configuration and from what the embedder gives instead.

use super::{
    Host, Runtime, RuntimeOptions, Supervisors, Tables, database, instance_role,
    keys::{self, GivenKey},
    patience,
    periodic_tasks::PERIODIC_TASKS,
    runner::{self, Binding},
    secrets,
};
use crate::{
    adapters::{AnchorFile, Keyring, SealedVault},
    app::{
        Asgard, Operation, Operations, Parts, ServiceCatalog, operations::Entry, periodic::PeriodicTask,
        services::Service,
    },
    backends::Opened,
    config::{Config, MasterKey},
    domain::audit::{AuditActionSpec, AuditVocabulary},
    error::{Code, Error, Result},
    ports::{
        anchors::{AnchorSink, LogAnchors},
        policy::Policy,
        runner::Runner,
        secrets::{KeyWrapper, SecretStore},
        world::{Clock, SystemEntropy, World},
    },
};
use std::{fmt, sync::Arc};
use tokio::time::Instant;

/// What becomes of the parts before they are an [`Asgard`].
type Adjust = Box<dyn FnOnce(Parts) -> Parts + Send + Sync>;

/// Puts a [`Runtime`] together. What is not given is what the configuration says, so background work, key rotation and the
/// collection of left-over bytes come with every runtime. [`Runtime::builder`] begins one, [`RuntimeBuilder::open`] ends it.
#[must_use = "nothing is opened before `open`"]
pub struct RuntimeBuilder {
    config: Config,
    options: RuntimeOptions,
    database: Option<Opened>,
    world: Option<World>,
    master: Option<GivenKey>,
    secrets: Option<Arc<dyn SecretStore>>,
    runner: Option<Arc<dyn Runner>>,
    all_services: Option<ServiceCatalog>,
    services: Vec<Service>,
    operations: Vec<Entry>,
    audited: Vec<AuditActionSpec>,
    periodic: Vec<Arc<dyn PeriodicTask>>,
    adjust: Vec<Adjust>,
}

impl fmt::Debug for RuntimeBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuntimeBuilder")
            .field("options", &self.options)
            .field("operations", &self.operations)
            .finish_non_exhaustive()
    }
}

impl Runtime {
    /// Begins a runtime of a server: it migrates its database, and no process is started for a run unless
    /// [`RuntimeBuilder::options`] or [`RuntimeBuilder::supervisors`] say how.
    pub fn builder(config: Config) -> RuntimeBuilder {
        let options = RuntimeOptions::server(&config, Supervisors::none());
        RuntimeBuilder {
            config,
            options,
            database: None,
            world: None,
            master: None,
            secrets: None,
            runner: None,
            all_services: None,
            services: Vec::new(),
            operations: Vec::new(),
            audited: Vec::new(),
            periodic: Vec::new(),
            adjust: Vec::new(),
        }
    }
}

impl RuntimeBuilder {
    /// What kind of process this is.
    pub fn options(mut self, options: RuntimeOptions) -> Self {
        self.options = options;
        self
    }

    /// How supervisors of runs are started, once provisioning is armed.
    pub fn supervisors(mut self, supervisors: Supervisors) -> Self {
        self.options.supervisors = supervisors;
        self
    }

    /// What becomes of a database that is not up to date.
    pub fn tables(mut self, tables: Tables) -> Self {
        self.options.tables = tables;
        self
    }

    /// A database that the embedder opened, such as a store of their own in [`Opened::new`]. `config.database` is not looked
    /// at, and nothing is waited for. It is closed with the runtime, and when opening fails.
    ///
    /// Runs of Terraform are executed by processes of their own, which have to open the same database: arm provisioning
    /// only on a store that several processes can use, with supervisors that know how to open it.
    pub fn database(mut self, database: Opened) -> Self {
        self.database = Some(database);
        self
    }

    /// The master key, instead of the one that the configuration names. Keys on their way out stay those of the
    /// configuration.
    pub fn master_key(mut self, key: MasterKey) -> Self {
        self.master = Some(GivenKey::Bytes(key));
        self
    }

    /// What wraps data keys under a master key, such as a key service of the embedder's own; instead of
    /// [`RuntimeBuilder::master_key`].
    pub fn key_wrapper(mut self, wrapper: Arc<dyn KeyWrapper>) -> Self {
        self.master = Some(GivenKey::Wrapper(wrapper));
        self
    }

    /// Where the values of secrets are, instead of the store that `config.secrets` names.
    pub fn secrets(mut self, secrets: Arc<dyn SecretStore>) -> Self {
        self.secrets = Some(secrets);
        self
    }

    /// What carries runs out, instead of the one that follows from `config.provisioning`. One that drives runs by itself
    /// learns of the control plane from [`Runtime::app`], before [`Runtime::spawn_background`] starts any run.
    pub fn runner(mut self, runner: Arc<dyn Runner>) -> Self {
        self.runner = Some(runner);
        self
    }

    /// A policy of the host's own, asked beside Asgard's rules, which it can only make stricter.
    pub fn policy(self, policy: Arc<dyn Policy>) -> Self {
        self.parts(|parts| parts.policy(policy))
    }

    /// The clock, instead of the operating system's. Randomness stays the operating system's.
    pub fn clock(self, clock: Arc<dyn Clock>) -> Self {
        self.world(World::new(clock, Arc::new(SystemEntropy)))
    }

    /// The clock and the randomness, instead of the operating system's.
    pub fn world(mut self, world: World) -> Self {
        self.world = Some(world);
        self
    }

    /// The services that can be asked for, instead of the shipped ones and those of the configured folders.
    pub fn services(mut self, services: ServiceCatalog) -> Self {
        self.all_services = Some(services);
        self
    }

    /// A service of the embedder's own, beside the others.
    pub fn service(mut self, service: Service) -> Self {
        self.services.push(service);
        self
    }

    /// An operation of the embedder's own: it becomes a REST route, an MCP tool and an entry of the API's description like the
    /// shipped ones.
    pub fn operation<O: Operation>(mut self) -> Self {
        self.operations.push(Entry::of::<O>());
        self
    }

    /// What operations of the embedder's own write to the audit log: names of the form `x.<vendor>.<name>`.
    pub fn audit_actions(mut self, actions: impl IntoIterator<Item = AuditActionSpec>) -> Self {
        self.audited.extend(actions);
        self
    }

    /// A periodic task of the embedder's own, beside the shipped ones: one process at a time does it.
    pub fn periodic(mut self, task: Arc<dyn PeriodicTask>) -> Self {
        self.periodic.push(task);
        self
    }

    /// Replaces parts of the control plane at the last moment, each by the method of its name: `parts(|parts| parts.policy(mine))`.
    ///
    /// What was opened before keeps what this builder was given: keyring, vault and the configured secret store and runner have
    /// the database, the world and the configuration of [`RuntimeBuilder::database`], [`RuntimeBuilder::world`] and
    /// [`Runtime::builder`]. A store that is given here is one around that database, and clock and settings are given there.
    /// Targets' roles are assumed by the process of a run: see `Alone::roles`.
    pub fn parts(mut self, adjust: impl FnOnce(Parts) -> Parts + Send + Sync + 'static) -> Self {
        self.adjust.push(Box::new(adjust));
        self
    }

    /// Opens everything. Nothing runs in the background yet: [`Runtime::spawn_background`] starts that.
    ///
    /// # Errors
    ///
    /// A database that stays out of reach, is damaged or newer than this build; a master key that is not the database's; a
    /// catalogue that cannot be read; an operation, a service, an audit action or a periodic task whose name is taken. The
    /// message says what to do. A database that was given is closed then.
    pub async fn open(self) -> Result<Runtime> {
        // Opening holds a lot across its waits, and whoever awaits it would hold it too.
        Box::pin(self.opened()).await
    }

    async fn opened(mut self) -> Result<Runtime> {
        let given = self.database.take();
        // Before anything is opened or written: what is refused here leaves nothing behind.
        let own = match self.checked() {
            Ok(own) => own,
            Err(error) => return Err(closed(given.as_ref(), error).await),
        };
        let (offered, database, role) =
            tokio::join!(self.configured_services(), self.ready(given.as_ref()), self.instance_role());
        let (database, until) = match database {
            Ok(ready) => ready,
            Err(error) => return Err(closed(given.as_ref(), error).await),
        };
        if let Err(error) = role {
            return Err(closed(Some(&database), error).await);
        }
        let assembled = async { Box::pin(self.assemble(own, offered?, database.clone(), until)).await };
        match Box::pin(assembled).await {
            Ok(runtime) => Ok(runtime),
            Err(error) => Err(closed(Some(&database), error).await),
        }
    }

    /// What operations and audit actions there are, once nothing of the embedder's own takes what another one has.
    fn checked(&mut self) -> Result<(Arc<Operations>, AuditVocabulary)> {
        let mut names: Vec<&str> = PERIODIC_TASKS.iter().map(|declaration| declaration.periodic.name).collect();
        for task in &self.periodic {
            let name = task.name();
            if names.contains(&name) {
                let message = format!("The periodic task `{name}`: there is another one of this name.");
                return Err(Error::new(Code::Config, message));
            }
            names.push(name);
        }
        let vocabulary = AuditVocabulary::default().with(std::mem::take(&mut self.audited))?;
        Ok((Operations::with_own(std::mem::take(&mut self.operations))?, vocabulary))
    }

    async fn configured_services(&self) -> Result<ServiceCatalog> {
        match &self.all_services {
            Some(services) => Ok(services.clone()),
            None => load_services(self.config.clone()).await,
        }
    }

    /// Whether modules of Terraform would have the role of this machine. Asked by servers, whose runs are processes of it.
    async fn instance_role(&self) -> Result<()> {
        let provisioning = &self.config.provisioning;
        let serves = matches!((self.options.host, self.options.tables), (Host::Machine, Tables::Migrate));
        match (&provisioning.terraform, &provisioning.fargate) {
            (Some(terraform), None) if serves && self.runner.is_none() => instance_role::refuse(terraform).await,
            (Some(_) | None, _) => Ok(()),
        }
    }

    /// The database with its tables as they have to be, and until when what is not there yet may be waited for.
    async fn ready(&self, given: Option<&Opened>) -> Result<(Opened, Instant)> {
        let Some(database) = given else {
            let until = Instant::now() + self.options.patience;
            return Ok((database::open(&self.config.database, &self.options).await?, until));
        };
        database::see_to(database, self.options.tables).await?;
        Ok((database.clone(), Instant::now()))
    }

    async fn assemble(
        self,
        (operations, vocabulary): (Arc<Operations>, AuditVocabulary),
        mut offered: ServiceCatalog,
        database: Opened,
        until: Instant,
    ) -> Result<Runtime> {
        let Self { config, options, world, master: given, services, periodic, adjust, .. } = self;
        let RuntimeOptions { supervisors, host, cloud, .. } = options;
        let (world, fleeting) = (world.unwrap_or_else(World::system), matches!(host, Host::Function));
        for service in services {
            offered = offered.with(service)?;
        }
        // Before anything is written: what is refused here leaves no key file behind.
        let (runner, binding) = match self.runner {
            Some(runner) => (runner, Binding::Nothing),
            None => runner::runner(&config, supervisors, host, &cloud)?,
        };
        let anchors = config.audit.anchor_file.as_deref().map(AnchorFile::at).transpose()?;
        let (keyring, master) = patience::patiently("The master key", until, || async {
            let (masters, master) =
                keys::masters(&config.keys, given.as_ref(), &*database.store, &world, &cloud).await?;
            Ok((Keyring::open(Arc::clone(&database.store), masters, world.clone()).await?, master))
        })
        .await?;
        let vault = Arc::new(SealedVault::new(
            Arc::clone(&database.store),
            Arc::clone(&database.blobs),
            Arc::clone(&keyring),
            world.clone(),
        ));
        let secrets = match self.secrets {
            Some(secrets) => secrets,
            None => secrets::configured(&config, &vault, &world, &cloud).await?,
        };
        let anchors: Arc<dyn AnchorSink> = match anchors {
            Some(file) => Arc::new(file),
            None => Arc::new(LogAnchors),
        };
        let parts = Parts::new(Arc::clone(&database.store), Arc::clone(&vault) as _, keyring, secrets, runner)
            .anchors(anchors)
            .services(offered)
            .operations(operations)
            .vocabulary(vocabulary)
            .world(world)
            .fleeting(fleeting)
            .config(config);
        let app = Asgard::new(adjust.into_iter().fold(parts, |parts, adjust| adjust(parts)));
        binding.bind(&app);
        Ok(Runtime { app, database, vault, master, periodic })
    }
}

/// The error, once the database is closed.
async fn closed(database: Option<&Opened>, error: Error) -> Error {
    if let Some(database) = database {
        database.close().await;
    }
    error
}

/// Reads and compiles the manifests beside whatever waits for the database.
async fn load_services(config: Config) -> Result<ServiceCatalog> {
    tokio::task::spawn_blocking(move || ServiceCatalog::load(&config)).await.map_err(Error::bug)?
}
