//! Lambda as `cargo-lambda` emulates it: its runtime API for programs that were built before, and HTTP turned into the
//! events of a function URL.

use crate::{Process, Site, eventually_within, peers, processes::alive, quiet_port};
use rustix::process::Signal;
use serde_json::Value;
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

/// What it knows: one name for each environment, so that a test says which one answers. The cold ones share nothing with the
/// others but the table.
pub const FUNCTIONS: [&str; 5] = ["api", "api-cold", "mcp", "events", "events-cold"];

/// The emulator, while it lives.
pub struct Emulator {
    child: Child,
    port: u16,
}

impl Emulator {
    /// Starts it in a folder of the site.
    pub fn start(site: &Site) -> Self {
        let folder = site.dir().join("emulator");
        fs::create_dir(&folder).expect("a folder can be made");
        // It takes the names of functions from the programs of a package, which it is told not to build.
        let programs = FUNCTIONS.map(|name| format!("[[bin]]\nname = \"{name}\"\npath = \"none.rs\"\n")).concat();
        let package = format!(
            "[package]\nname = \"functions\"\nversion = \"0.0.0\"\nedition = \"2024\"\n{programs}[workspace]\n"
        );
        fs::write(folder.join("Cargo.toml"), package).expect("a file can be written");
        // A port that somebody took meanwhile ends it at once.
        (0..5)
            .find_map(|_| Self::launch(site, &folder))
            .unwrap_or_else(|| panic!("cargo-lambda ended five times: see emulator.log in {}", site.dir().display()))
    }

    /// Starts it and waits until it listens; `None` when it ends instead.
    fn launch(site: &Site, folder: &Path) -> Option<Self> {
        let port = quiet_port();
        let log = site.dir().join("emulator.log");
        let log = File::options().append(true).create(true).open(log).expect("the log can be made");
        let program = Path::new(&peers::needed("ASGARD_TEST_PYTHON_BIN")).join("cargo-lambda");
        let mut command = site.program(&program);
        // It asks cargo what is in the package, and cargo is found in the home of whoever runs the tests.
        for name in ["HOME", "CARGO_HOME", "RUSTUP_HOME"] {
            if let Some(value) = peers::variable(name) {
                command.env(name, value);
            }
        }
        command
            .args(["lambda", "watch", "--only-lambda-apis", "--disable-cors", "--invoke-address", "127.0.0.1"])
            .args(["--invoke-port", &port.to_string()])
            .current_dir(folder)
            .stdout(log.try_clone().expect("the log can be shared"))
            .stderr(log);
        let child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let mut emulator = Self { child, port };
        // That somebody answers at the port would not say that it is this one.
        let listens = eventually_within(Duration::from_secs(60), "cargo-lambda listens", || {
            match Process::of(emulator.child.id()) {
                Some(process) => process.listens(port).then_some(true),
                None => emulator.child.try_wait().expect("a child can be asked").map(|_| false),
            }
        });
        listens.then_some(emulator)
    }

    /// Where people and agents reach a function.
    pub fn url(&self, function: &str) -> String {
        format!("http://127.0.0.1:{}/lambda-url/{function}", self.port)
    }

    /// Where a program asks for the events of a function.
    fn runtime_api(&self, function: &str) -> String {
        format!("http://127.0.0.1:{}/.rt/{function}", self.port)
    }

    /// How a function is invoked synchronously.
    pub fn invoker(&self) -> Invoker {
        Invoker { base: format!("http://127.0.0.1:{}/2015-03-31/functions", self.port) }
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Invokes functions at the emulator.
#[derive(Clone)]
pub struct Invoker {
    base: String,
}

impl Invoker {
    /// What a function returned, or why it did not.
    pub fn invoke(&self, function: &str, payload: &Value) -> Result<Value, String> {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(120)))
            .proxy(None)
            .build()
            .into();
        let sent = agent.post(format!("{}/{function}/invocations", self.base)).send(payload.to_string());
        let text = sent.and_then(|mut answer| answer.body_mut().read_to_string()).map_err(|error| error.to_string())?;
        let answer: Value = serde_json::from_str(&text).map_err(|_| text.clone())?;
        if answer.get("errorType").is_some() { Err(text) } else { Ok(answer) }
    }
}

/// A running environment of a function: one process that asks for events.
pub struct Environment {
    child: Child,
}

impl Environment {
    /// Starts the program `program` as an environment of `function`.
    pub fn start(site: &Site, emulator: &Emulator, function: &str, program: &str, more: &[(&str, &str)]) -> Self {
        Self::at(site, &emulator.runtime_api(function), function, program, more)
    }

    /// The same at any runtime API.
    pub fn at(site: &Site, runtime_api: &str, function: &str, program: &str, more: &[(&str, &str)]) -> Self {
        // What an earlier environment said stays.
        let log = site.dir().join(format!("function-{function}.log"));
        let log = File::options().append(true).create(true).open(log).expect("the log can be made");
        let program = built(program);
        let mut command: Command = site.program(&program);
        command
            .env("AWS_LAMBDA_RUNTIME_API", runtime_api)
            .env("AWS_LAMBDA_FUNCTION_NAME", function)
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
            .envs(more.iter().copied())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the log can be shared"))
            .stderr(log);
        let child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        Self { child }
    }

    /// Its process.
    pub fn process(&self) -> Process {
        Process::of(self.child.id()).expect("the environment lives")
    }
}

impl Drop for Environment {
    fn drop(&mut self) {
        if let Some(process) = Process::of(self.child.id()).filter(alive) {
            process.signal(Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

/// A program of the package `asgard-lambda`, beside the server's.
pub fn built(name: &str) -> PathBuf {
    let program = crate::Peers::get().asgard.with_file_name(name);
    assert!(
        program.is_file(),
        "there is no {}. Build it with `cargo build --workspace --all-features --bins`.",
        program.display()
    );
    program
}
