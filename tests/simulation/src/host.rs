//! A host: a clock of its own, a disk that outlives its processes, and processes that can be killed at any await.

use crate::{dice::Dice, link::Link};
use asgard_lib::{
    backends::MemoryStore,
    domain::run::{Inventory, LogLine},
    kernel::Timestamp,
    ports::{
        runner::SupervisorLocation,
        world::{Clock, Entropy, Executor, Work, World},
    },
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicI64, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::{
    task::{AbortHandle, JoinHandle},
    time::Instant,
};

/// The moment at which every simulation begins.
pub const BEGINNING: i64 = 1_800_000_000_000;

/// A thing as Terraform's state has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The thing's id in the cloud.
    pub id: u64,
    /// The label that it was given last.
    pub label: String,
}

/// What Terraform's state knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Names the state; empty before there is one.
    pub lineage: String,
    /// Grows with every write.
    pub serial: u64,
    /// The things, by address.
    pub things: BTreeMap<String, Recorded>,
}

/// The work folder of a run.
#[derive(Clone, Debug, Default)]
pub struct Folder {
    /// The state that Terraform wrote last.
    pub state: State,
    /// What was in the state that the run began with.
    pub began_with: Inventory,
    /// Whether Terraform wrote any.
    pub written: bool,
    /// What Terraform printed.
    pub log: Vec<LogLine>,
    /// How many lines of it the supervisor has sent.
    pub sent: usize,
    /// How Terraform ended, once it has.
    pub ended: Option<Result<(), String>>,
}

#[derive(Debug, Default)]
struct Processes {
    next: u32,
    boot: u32,
    live: BTreeMap<u32, Vec<AbortHandle>>,
    /// Terraform's process, by run.
    children: BTreeMap<String, u32>,
    /// The processes on which Terraform's life hangs.
    guards: BTreeSet<u32>,
    server: Option<u32>,
}

/// A host.
#[derive(Debug)]
pub struct Host {
    /// Its name.
    pub name: &'static str,
    /// Its way to the store.
    pub link: Arc<Link>,
    seed: u64,
    begun: Instant,
    offset_ms: AtomicI64,
    disk: Mutex<BTreeMap<String, Folder>>,
    processes: Mutex<Processes>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The time that it is, for who knows when everything began.
pub fn true_time(begun: Instant) -> Timestamp {
    Timestamp::from_millis(BEGINNING + i64::try_from(begun.elapsed().as_millis()).unwrap_or(0))
}

impl Host {
    /// A host whose clock is wrong by `offset_ms`.
    pub fn new(name: &'static str, store: &MemoryStore, seed: u64, offset_ms: i64) -> Arc<Self> {
        let link = Link::new(store, Dice::of(seed, &format!("{name} link")));
        Arc::new(Self {
            name,
            link,
            seed,
            begun: Instant::now(),
            offset_ms: AtomicI64::new(offset_ms),
            disk: Mutex::default(),
            processes: Mutex::default(),
        })
    }

    /// The host's time.
    pub fn now(&self) -> Timestamp {
        let offset = self.offset_ms.load(SeqCst);
        Timestamp::from_millis(true_time(self.begun).as_millis() + offset)
    }

    /// The true time.
    pub fn true_now(&self) -> Timestamp {
        true_time(self.begun)
    }

    /// Sets the host's clock: wrong by that much from now on. Returns by how much it was.
    pub fn set_clock(&self, offset_ms: i64) -> i64 {
        self.offset_ms.swap(offset_ms, SeqCst)
    }

    /// Starts a process. It ends when it is killed.
    pub fn start(self: &Arc<Self>) -> u32 {
        let mut processes = lock(&self.processes);
        processes.next += 1;
        let pid = processes.next;
        processes.live.insert(pid, Vec::new());
        pid
    }

    /// Starts a guard of a Terraform.
    pub fn start_guard(self: &Arc<Self>) -> u32 {
        let pid = self.start();
        lock(&self.processes).guards.insert(pid);
        pid
    }

    /// Runs something in a process; nothing, when that has been killed.
    pub fn run(&self, pid: u32, work: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        let handle = tokio::spawn(work);
        match lock(&self.processes).live.get_mut(&pid) {
            Some(handles) => {
                handles.retain(|handle| !handle.is_finished());
                handles.push(handle.abort_handle());
            }
            None => handle.abort(),
        }
        handle
    }

    /// Kills a process, at whatever await it is.
    pub fn kill(&self, pid: u32) {
        let handles = lock(&self.processes).live.remove(&pid).unwrap_or_default();
        handles.iter().for_each(AbortHandle::abort);
    }

    /// Whether a process lives.
    pub fn lives(&self, pid: u32) -> bool {
        lock(&self.processes).live.contains_key(&pid)
    }

    /// Kills everything, as when the power goes. The disk stays.
    pub fn power_off(&self) {
        let pids: Vec<u32> = lock(&self.processes).live.keys().copied().collect();
        pids.into_iter().for_each(|pid| self.kill(pid));
        let mut processes = lock(&self.processes);
        processes.boot += 1;
        processes.server = None;
        processes.children.clear();
        processes.guards.clear();
    }

    /// Kills some process that is not the server: a supervisor, with the Terraform that it started.
    pub fn kill_a_supervisor(&self, dice: &Dice) {
        if let Some(pid) = dice.pick(&self.supervisors()) {
            self.kill(*pid);
        }
    }

    /// Kills every supervisor, and none of what they started.
    pub fn kill_supervisors(&self) {
        self.supervisors().into_iter().for_each(|pid| self.kill(pid));
    }

    fn supervisors(&self) -> Vec<u32> {
        let processes = lock(&self.processes);
        let children: BTreeSet<u32> = processes.children.values().chain(&processes.guards).copied().collect();
        let others = processes.live.keys().filter(|pid| Some(**pid) != processes.server && !children.contains(pid));
        others.copied().collect()
    }

    /// The server's process.
    pub fn server(&self) -> Option<u32> {
        let processes = lock(&self.processes);
        processes.server.filter(|pid| processes.live.contains_key(pid))
    }

    /// Says which process is the server.
    pub fn set_server(&self, pid: Option<u32>) {
        lock(&self.processes).server = pid;
    }

    /// Says which process is the Terraform of a run.
    pub fn set_child(&self, run: &str, pid: u32) {
        lock(&self.processes).children.insert(run.to_owned(), pid);
    }

    /// Kills the Terraform of a run.
    pub fn kill_child(&self, run: &str) {
        let child = lock(&self.processes).children.remove(run);
        if let Some(pid) = child {
            self.kill(pid);
        }
    }

    /// Where a process is, as a lease keeps it.
    pub fn place(&self, pid: u32) -> SupervisorLocation {
        let boot = lock(&self.processes).boot.to_string();
        SupervisorLocation::Process {
            host: self.name.to_owned(),
            boot,
            pid,
            started: u64::from(pid),
            installation: None,
        }
    }

    /// Whether a process of that boot lives here.
    pub fn proves(&self, boot: &str, pid: u32) -> bool {
        lock(&self.processes).boot.to_string() == boot && self.lives(pid)
    }

    /// Looks at or changes the folder of a run.
    pub fn folder<T>(&self, run: &str, act: impl FnOnce(&mut Folder) -> T) -> Option<T> {
        lock(&self.disk).get_mut(run).map(act)
    }

    /// Makes the folder of a run.
    pub fn make_folder(&self, run: &str, folder: Folder) {
        lock(&self.disk).insert(run.to_owned(), folder);
    }

    /// Removes the folder of a run.
    pub fn remove_folder(&self, run: &str) {
        lock(&self.disk).remove(run);
    }

    /// Puts the folder of a run where no runner looks for it.
    pub fn set_aside(&self, run: &str) {
        let mut disk = lock(&self.disk);
        if let Some(folder) = disk.remove(run) {
            disk.insert(format!("kept-{run}"), folder);
        }
    }

    /// The runs that have a folder here, those that are kept among them.
    pub fn folders(&self) -> Vec<(String, Folder)> {
        lock(&self.disk).iter().map(|(run, folder)| (run.clone(), folder.clone())).collect()
    }

    /// The world as a process of this host has it.
    pub fn world(self: &Arc<Self>, pid: u32) -> World {
        let clock = HostClock(Arc::downgrade(self));
        let entropy = HostEntropy(Dice::of(self.seed, &format!("{} process {pid}", self.name)));
        World::new(Arc::new(clock), Arc::new(entropy))
            .with_executor(Arc::new(Process { host: Arc::downgrade(self), pid }))
    }
}

struct HostClock(Weak<Host>);

impl Clock for HostClock {
    fn now(&self) -> Timestamp {
        self.0.upgrade().map_or_else(|| Timestamp::from_millis(BEGINNING), |host| host.now())
    }
}

struct HostEntropy(Dice);

impl Entropy for HostEntropy {
    fn fill(&self, out: &mut [u8]) {
        for chunk in out.chunks_mut(8) {
            for (slot, byte) in chunk.iter_mut().zip(self.0.next().to_le_bytes()) {
                *slot = byte;
            }
        }
    }
}

struct Process {
    host: Weak<Host>,
    pid: u32,
}

impl Executor for Process {
    fn sleep(&self, time: Duration) -> Work {
        Box::pin(tokio::time::sleep(time))
    }

    fn spawn(&self, work: Work) -> JoinHandle<()> {
        match self.host.upgrade() {
            Some(host) => host.run(self.pid, work),
            None => tokio::spawn(async {}),
        }
    }

    /// At once: a thread of its own would come back in no order that follows from the seed.
    fn compute(&self, calculation: Box<dyn FnOnce() + Send>) -> Work {
        Box::pin(async move { calculation() })
    }
}
