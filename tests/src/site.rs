//! A deployment of a test's own: a folder, a database, a configuration. Servers come and go in it; what it holds stays.

use crate::{
    Cast, Database, Peers, Process, Server, Transcript, assert_absent, client::Client, eventually_within,
    processes::alive,
};
use rustix::process::Signal;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tempfile::TempDir;

/// A deployment.
pub struct Site {
    // Servers are stopped before the database and the folder go: see `Drop`.
    database: Database,
    dir: TempDir,
    env: BTreeMap<String, String>,
    yaml: String,
    starts: AtomicU32,
    transcript: Arc<Transcript>,
}

/// The configuration of the deploy runbook's step 2.
const GROUPS: &str = "groups:\n- { key: platform, display_name: Platform, cost_center: CC-100 }\n";

impl Site {
    fn on(database: impl FnOnce(&Path) -> Database) -> Self {
        let dir = tempfile::Builder::new().prefix("asgard-e2e-").tempdir().expect("a folder can be made");
        let database = database(dir.path());
        let mut env = BTreeMap::new();
        for folder in ["home", "tmp", "work"] {
            fs::create_dir(dir.path().join(folder)).expect("a folder can be made");
        }
        let path = |name: &str| dir.path().join(name).display().to_string();
        #[allow(clippy::disallowed_methods, reason = "programs are found where the test program finds them")]
        env.insert("PATH".into(), std::env::var("PATH").expect("PATH is set"));
        env.insert("HOME".into(), path("home"));
        env.insert("TMPDIR".into(), path("tmp"));
        env.insert("ASGARD_DATABASE_URL".into(), database.url());
        env.insert("ASGARD_ADMIN_PASSWORD".into(), crate::PASSWORD.into());
        env.insert("ASGARD_LOG".into(), "info,asgard=debug,asgard_lib=debug".into());
        if matches!(database, Database::DynamoDb { .. }) {
            env.insert("AWS_ACCESS_KEY_ID".into(), "test".into());
            env.insert("AWS_SECRET_ACCESS_KEY".into(), "test".into());
        }
        if !matches!(database, Database::Sqlite(_)) {
            env.insert("ASGARD_SECRET_KEY".into(), data_encoding::HEXLOWER.encode(&unique()));
        }
        Self { database, dir, env, yaml: GROUPS.into(), starts: AtomicU32::new(0), transcript: Arc::default() }
    }

    /// On SQLite.
    pub fn sqlite() -> Self {
        Self::on(Database::sqlite)
    }

    /// On a PostgreSQL database of its own.
    pub fn postgres() -> Self {
        Self::on(|_| Database::postgres())
    }

    /// On a DynamoDB table of its own.
    pub fn dynamodb() -> Self {
        Self::on(|_| Database::dynamodb())
    }

    /// With the real Terraform, armed by the environment as the deploy runbook's step 8 says.
    pub fn armed(mut self) -> Self {
        self.arm();
        self
    }

    /// Arms it for the servers that start from now on.
    pub fn arm(&mut self) {
        let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../modules");
        self.set(
            "ASGARD_TF_MODULES_DIR",
            &modules.canonicalize().expect("the modules are there").display().to_string(),
        );
        self.set("ASGARD_TF_WORK_DIR", &self.work_dir().display().to_string());
        self.set("ASGARD_TF_READABLE", &readable(&Peers::get().terraform));
        // Whatever machine the tests run on, it is not asked for its role.
        self.set("ASGARD_TF_INSTANCE_METADATA", "127.0.0.1:1");
        self.set("ASGARD_TF_BIN", &Peers::get().terraform.display().to_string());
    }

    /// What its armed servers let modules read.
    pub fn readable(&self) -> String {
        readable(&Peers::get().terraform)
    }

    /// Sets a variable for the servers that start from now on; empty unsets it.
    pub fn set(&mut self, name: &str, value: &str) {
        if value.is_empty() {
            self.env.remove(name);
        } else {
            self.env.insert(name.into(), value.into());
        }
    }

    /// The same, while building.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.set(name, value);
        self
    }

    /// Adds to `asgard.yaml`.
    pub fn yaml(mut self, text: &str) -> Self {
        self.yaml.push_str(text);
        self
    }

    /// Its folder.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Where Terraform works.
    pub fn work_dir(&self) -> PathBuf {
        self.dir().join("work")
    }

    /// Its database.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Everything that its servers have answered, revealed secrets left out.
    pub fn transcript(&self) -> &Arc<Transcript> {
        &self.transcript
    }

    /// The configuration file, written.
    pub fn config_file(&self) -> PathBuf {
        let path = self.dir().join("asgard.yaml");
        fs::write(&path, &self.yaml).expect("the configuration can be written");
        path
    }

    /// The binary with this site's environment and nothing else of ours.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&Peers::get().asgard);
        command.env_clear().envs(&self.env).current_dir(self.dir()).args(arguments).stdin(Stdio::null());
        command.arg("--config").arg(self.config_file());
        command
    }

    /// Another program with this site's environment and nothing else of ours.
    pub(crate) fn program(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().envs(&self.env).current_dir(self.dir()).stdin(Stdio::null());
        command
    }

    /// The environment of its programs.
    pub(crate) const fn variables(&self) -> &BTreeMap<String, String> {
        &self.env
    }

    /// Runs the binary to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the binary starts")
    }

    /// A number for the next log file.
    pub(crate) fn next_start(&self) -> u32 {
        self.starts.fetch_add(1, Ordering::Relaxed)
    }

    /// Starts a server and waits until it is ready.
    pub fn start(&self) -> Server {
        Server::start(self)
    }

    /// A client for an address, without a credential, that takes part in the transcript.
    pub fn client(&self, base: &str) -> Client {
        Client::new(base, Arc::clone(&self.transcript))
    }

    /// People with accounts, sessions and tokens: see [`Cast`].
    pub fn cast(&self, server: &Server) -> Cast {
        Cast::new(self, server.base())
    }

    /// Every living process of this site, other than the test.
    pub fn processes(&self) -> Vec<Process> {
        Process::below(self.dir(), &self.work_dir())
    }

    /// The living supervisors.
    pub fn supervisors(&self) -> Vec<Process> {
        self.processes().into_iter().filter(Process::is_supervisor).collect()
    }

    /// The living guards of runs.
    pub fn guards(&self) -> Vec<Process> {
        self.processes().into_iter().filter(Process::is_guard).collect()
    }

    /// The living engines that do `step`.
    pub fn terraforms(&self, step: &str) -> Vec<Process> {
        self.processes().into_iter().filter(|process| process.is_terraform(step)).collect()
    }

    /// All logs of all its processes, in one.
    pub fn logs(&self) -> Vec<u8> {
        let mut paths: Vec<PathBuf> = fs::read_dir(self.dir())
            .expect("the folder can be read")
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
            .collect();
        paths.sort();
        paths.iter().flat_map(|path| fs::read(path).unwrap_or_default()).collect()
    }

    /// Waits until only the server lives: no supervisor, no engine, nothing that an engine started.
    pub fn assert_no_orphans(&self) {
        eventually_within(Duration::from_secs(20), "no process of a run is left", || {
            let left: Vec<Process> = self
                .processes()
                .into_iter()
                .filter(|process| !process.command.iter().any(|word| word == "serve"))
                .collect();
            if left.is_empty() { Some(()) } else { None }
        });
    }

    /// Waits until nothing is left in the folder where Terraform works.
    pub fn assert_no_leftovers(&self) {
        eventually_within(Duration::from_secs(20), "the work folder is empty", || {
            let entries = fs::read_dir(self.work_dir()).expect("the work folder can be read");
            let mut left = entries.flatten().map(|entry| entry.file_name()).filter(|name| name != ".installation");
            left.next().is_none().then_some(())
        });
    }

    /// Fails when one of the secrets stands anywhere but where `get_secret` put it: in the database, in an answer, in a log,
    /// in a file of this site.
    pub fn assert_kept(&self, secrets: &[String]) {
        let (dump, answers, logs) = (self.database.dump(), self.transcript.bytes(), self.logs());
        let heaps = [("the database", &*dump), ("the answers", &*answers), ("the logs", &*logs)];
        assert_absent(secrets, &heaps, &[self.dir()]);
    }
}

/// What the engine needs that is not the system's: the stand-in is a Python program in a folder of its own.
fn readable(engine: &Path) -> String {
    let Some(home) = engine.parent().and_then(Path::parent).filter(|home| home.join("bin/python").exists()) else {
        return String::new();
    };
    let python = home.join("bin/python").canonicalize().expect("a link to Python");
    let prefix = python.parent().and_then(Path::parent).expect("Python lies in a folder of programs");
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
    [home, prefix, &program].map(|path| path.display().to_string()).join(",")
}

/// Sixteen bytes twice: enough for a key that nobody else has.
pub(crate) fn unique() -> Vec<u8> {
    let id = || fs::read_to_string("/proc/sys/kernel/random/uuid").expect("a random number");
    let hex: String = [id(), id()].concat().chars().filter(char::is_ascii_hexdigit).collect();
    data_encoding::HEXLOWER.decode(hex.as_bytes()).expect("hex digits")
}

impl Drop for Site {
    fn drop(&mut self) {
        // Twice, because what dies may have been about to start something.
        for _ in 0..2 {
            let left = self.processes();
            left.iter().for_each(|process| {
                process.signal(Signal::KILL);
            });
            while left.iter().any(alive) {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        #[allow(clippy::print_stderr, reason = "shown with the failure")]
        if std::thread::panicking() {
            let logs = self.logs();
            let tail = &logs[logs.len().saturating_sub(12_000)..];
            eprintln!("--- the end of the logs in {}\n{}", self.dir().display(), String::from_utf8_lossy(tail));
        }
    }
}
