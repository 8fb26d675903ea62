//! One course of events: hosts, people and faults, all from one seed, and what must hold of it.

use crate::{
    cloud::Cloud,
    dice::Dice,
    faults,
    host::{BEGINNING, Host},
    invariants, keys,
    keys::RotateKeys,
    people::People,
    runner::HostRunner,
};
use asgard_lib::{
    Result,
    adapters::{LocalKey, MasterKeys, SealedSecrets, SealedVault},
    app::{
        Asgard, Parts, ServiceCatalog,
        periodic::{self, Expire, PeriodicTask, ReconcileRuns, ReviewKeys, SealAudit},
        runs,
        services::Service,
        worker,
    },
    backends::MemoryStore,
    config::Config,
    kernel::Timestamp,
    ports::runner::Runner,
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

/// What happens besides work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Course {
    /// How many minutes people work and faults happen.
    pub minutes: u64,
    /// Power cuts, killed servers and supervisors, links that are cut for seconds, lost replies.
    pub faults: bool,
    /// Hosts that are cut off, or without power, for longer than a lease lasts.
    pub long_outages: bool,
    /// Services whose module is another one after a restart.
    pub upgrades: bool,
    /// Clocks that are set: within what they may disagree by, and far beyond.
    pub clocks: bool,
}

/// What came of a course of events.
#[derive(Debug)]
pub struct Report {
    /// What must not have happened, and did.
    pub violations: Vec<String>,
    /// A digest of everything that happened, in order.
    pub trace: u64,
    /// How many calls people made, and how many of them were answered with an error.
    pub calls: (u64, u64),
    /// How many things were made.
    pub made: usize,
    /// How many runs applied a plan.
    pub applied: usize,
    /// How many data keys were retired.
    pub rotated: usize,
    /// How many faults happened.
    pub faults: u64,
}

/// A plan that Terraform began to apply.
#[derive(Clone, Debug)]
pub struct Applied {
    /// The run.
    pub run: String,
    /// The request that it carries out.
    pub request: Option<String>,
    /// What the plan was made from.
    pub basis: String,
}

#[derive(Debug, Default)]
struct Noted {
    applied: Vec<Applied>,
    approved: BTreeMap<String, BTreeSet<String>>,
    violations: Vec<String>,
}

/// What is noted on the way, for the invariants.
#[derive(Debug, Default)]
pub struct Notes {
    noted: Mutex<Noted>,
    trace: AtomicU64,
    /// Which edition of the modules servers that start now read.
    pub edition: AtomicU64,
    calls: AtomicU64,
    refused: AtomicU64,
    faults: AtomicU64,
}

impl Notes {
    fn lock(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something happened.
    pub fn event(&self, what: &str) {
        let before = self.trace.load(SeqCst);
        let after = what.bytes().fold(before ^ 0xCBF2_9CE4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
        });
        self.trace.store(after, SeqCst);
    }

    /// A fault happened.
    pub fn fault(&self, what: &str) {
        self.faults.fetch_add(1, SeqCst);
        self.event(what);
    }

    /// Somebody called, and was or was not refused.
    pub fn called(&self, what: &str, refused: bool) {
        self.calls.fetch_add(1, SeqCst);
        self.refused.fetch_add(u64::from(refused), SeqCst);
        self.event(what);
    }

    /// Terraform begins to apply a plan.
    pub fn applied(&self, applied: Applied) {
        self.event(&format!("applies {}", applied.run));
        self.lock().applied.push(applied);
    }

    /// A person approves a plan with that basis.
    pub fn approved(&self, request: &str, basis: &str) {
        self.lock().approved.entry(request.to_owned()).or_default().insert(basis.to_owned());
    }

    /// Something that must not happen did.
    pub fn violation(&self, what: String) {
        self.lock().violations.push(what);
    }

    /// The plans that were applied.
    pub fn all_applied(&self) -> Vec<Applied> {
        self.lock().applied.clone()
    }

    /// Whether a person approved a plan with that basis for a request.
    pub fn was_approved(&self, request: &str, basis: &str) -> bool {
        self.lock().approved.get(request).is_some_and(|bases| bases.contains(basis))
    }
}

/// The services of the simulation: approved by policy and safe to retry, not safe, or approved by a person.
pub fn services(edition: u64) -> Result<ServiceCatalog> {
    let service = |id: &str, approval: &str, retry: &str| -> Result<Service> {
        let manifest: Value = json!({
            "id": id, "title": id, "description": "Things in the model cloud.", "cloud": "local", "connector": "terraform",
            "approval": approval, "retry": retry, "timeout_secs": 900, "grace_secs": 10, "cost": {"monthly_usd": 1.5},
            "inputs": {"type": "object", "required": ["things"], "properties": {
                "things": {"type": "integer", "minimum": 0, "maximum": 6, "description": "How many."},
                "label": {"type": "string", "maxLength": 10, "default": "", "description": "What each is called."},
            }},
            "outputs": {"things": {"description": "How many."}, "token": {"description": "A secret.", "secret": true}},
        });
        let manifest = serde_json::from_value(manifest).map_err(asgard_lib::Error::bug)?;
        let module = format!("# edition {edition}").into_bytes();
        Service::new(manifest, BTreeMap::from([("main.tf".to_owned(), module)]))
    };
    let all = [
        service("counted", "auto", "safe")?,
        service("fragile", "auto", "unsafe")?,
        service("asked", "human", "safe")?,
    ];
    Ok(ServiceCatalog::of(all, Vec::new()))
}

/// A control plane in a process of a host.
pub async fn open(
    host: &Arc<Host>,
    cloud: &Arc<Cloud>,
    notes: &Arc<Notes>,
    pid: u32,
    seed: u64,
) -> Result<(Arc<Asgard>, Arc<SealedVault>)> {
    let world = host.world(pid);
    let store = Arc::clone(&host.link);
    let masters = MasterKeys::only(Arc::new(LocalKey::new(Zeroizing::new([7; 32]), world.clone())));
    let vault = SealedVault::on(Arc::clone(&store) as _, Arc::clone(&store) as _, masters, world.clone()).await?;
    let keyring = Arc::clone(vault.keyring());
    let secrets = Arc::new(SealedSecrets::new(Arc::clone(&vault), world.clone()));
    let runner: Arc<dyn Runner> =
        Arc::new(HostRunner { host: Arc::clone(host), cloud: Arc::clone(cloud), notes: Arc::clone(notes), seed });
    let parts = Parts::new(store, Arc::clone(&vault) as _, keyring, secrets, runner);
    let services = services(notes.edition.load(SeqCst))?;
    Ok((Asgard::new(parts.services(services).world(world).config(settings())), vault))
}

/// What a server does now and then.
fn tasks(simulation: &Arc<Simulation>, vault: &Arc<SealedVault>) -> Vec<Arc<dyn PeriodicTask>> {
    let period = Duration::from_secs(settings().runs.reconcile_secs);
    vec![
        Arc::new(ReconcileRuns { period }),
        Arc::new(SealAudit),
        Arc::new(Expire),
        Arc::new(ReviewKeys),
        Arc::new(RotateKeys::new(simulation, vault)),
    ]
}

/// The usual settings, but for leases that run out sooner: a course of events then needs less time to settle.
fn settings() -> Config {
    let mut config = Config::default();
    config.runs.lease_ttl_secs = 60;
    config
}

/// A server: its process, its control plane, and what is sealed.
pub type Server = (u32, Arc<Asgard>, Arc<SealedVault>);

/// A simulation that runs.
pub struct Simulation {
    /// The seed.
    pub seed: u64,
    /// What happens.
    pub course: Course,
    /// The store, past every link.
    pub store: MemoryStore,
    /// The hosts.
    pub hosts: Vec<Arc<Host>>,
    /// The cloud.
    pub cloud: Arc<Cloud>,
    /// The notes.
    pub notes: Arc<Notes>,
    /// The control planes that serve, by host.
    pub serving: Mutex<BTreeMap<&'static str, Server>>,
    /// What was seen of the data keys.
    pub data_keys: keys::Seen,
}

/// How long everything is left alone at the end: longer than any lease and any run.
const SETTLES: Duration = Duration::from_secs(10 * 60);

impl Simulation {
    /// Plays a course of events to its end, and looks at what came of it. Needs a runtime of one thread whose clock is paused.
    pub async fn play(seed: u64, course: Course) -> Report {
        let store = MemoryStore::new();
        let dice = Dice::of(seed, "hosts");
        let host = |name| Host::new(name, &store, seed, i64::try_from(dice.below(4_000)).unwrap_or(0) - 2_000);
        let hosts = vec![host("one"), host("two")];
        let simulation = Arc::new(Self {
            seed,
            course,
            store,
            hosts,
            cloud: Arc::default(),
            notes: Arc::default(),
            serving: Mutex::default(),
            data_keys: keys::Seen::default(),
        });
        invariants::keep_something(&simulation.store).await;
        for host in &simulation.hosts {
            simulation.serve(host);
        }
        sleep(Duration::from_secs(5)).await;
        let watch = tokio::spawn(keys::watch(Arc::clone(&simulation)));
        let people = tokio::spawn(People::work(Arc::clone(&simulation)));
        if course.clocks {
            tokio::spawn(keys::ask_for_rotations(Arc::clone(&simulation)));
        }
        let faults = tokio::spawn(faults::happen(Arc::clone(&simulation)));
        let _ = tokio::join!(people, faults);
        // Everything works from here on, and nobody asks for anything.
        for host in &simulation.hosts {
            host.link.cut(false);
            host.link.lose(0);
            if simulation.server_of(host).is_none() {
                simulation.serve(host);
            }
        }
        sleep(SETTLES).await;
        invariants::check(&simulation).await;
        watch.abort();
        simulation.hosts.iter().for_each(|host| host.power_off());
        let notes = &simulation.notes;
        let noted = notes.lock();
        Report {
            violations: noted.violations.clone(),
            trace: notes.trace.load(SeqCst),
            calls: (notes.calls.load(SeqCst), notes.refused.load(SeqCst)),
            made: simulation.cloud.made(),
            applied: noted.applied.len(),
            rotated: simulation.data_keys.retired(),
            faults: notes.faults.load(SeqCst),
        }
    }

    fn serving(&self) -> MutexGuard<'_, BTreeMap<&'static str, Server>> {
        self.serving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the server of a host.
    pub fn serve(self: &Arc<Self>, host: &Arc<Host>) {
        let pid = host.start();
        host.set_server(Some(pid));
        let (simulation, here) = (Arc::clone(self), Arc::clone(host));
        host.run(pid, async move {
            let (app, vault) = loop {
                match open(&here, &simulation.cloud, &simulation.notes, pid, simulation.seed).await {
                    Ok(opened) => break opened,
                    Err(_) => sleep(Duration::from_secs(1)).await,
                }
            };
            let stop = CancellationToken::new();
            let _worker = worker::spawn(Arc::clone(&app), stop.clone());
            let mut loops = periodic::spawn(&app, tasks(&simulation, &vault), &stop);
            let _reloader = Arc::clone(vault.keyring()).spawn_reloader(stop.clone());
            simulation.serving().insert(here.name, (pid, Arc::clone(&app), vault));
            // What fails now is the loop's to do again.
            let _ = runs::recover_at_start(&app).await;
            while loops.next_ended().await.is_some() {}
        });
    }

    /// The server of a host, once it serves.
    pub fn server_of(&self, host: &Host) -> Option<(u32, Arc<Asgard>)> {
        let serving = self.serving().get(host.name).cloned();
        serving.filter(|(pid, ..)| host.server() == Some(*pid)).map(|(pid, app, _)| (pid, app))
    }

    /// What a host's server seals with, once it serves.
    pub fn vault_of(&self, host: &Host) -> Option<(u32, Arc<SealedVault>)> {
        let serving = self.serving().get(host.name).cloned();
        serving.filter(|(pid, ..)| host.server() == Some(*pid)).map(|(pid, _, vault)| (pid, vault))
    }

    /// The true time.
    pub fn now(&self) -> Timestamp {
        self.hosts.first().map_or_else(|| Timestamp::from_millis(BEGINNING), |host| host.true_now())
    }
}
