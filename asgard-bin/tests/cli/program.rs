//! The binary in a folder of its own, with nothing in its environment but what a test sets.

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::{
    fs::{self, File},
    io::Write,
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// The longest that anything here may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder to run in, with variables for every command.
pub struct Place {
    folder: TempDir,
    variables: Vec<(String, String)>,
}

/// What a command left.
#[derive(Debug)]
pub struct Done {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Place {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), variables: Vec::new() }
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.retain(|(other, _)| other != name);
        self.variables.push((name.into(), value.into()));
        self
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_asgard"));
        command.args(args).current_dir(self.folder.path()).env_clear();
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin").env("TMPDIR", self.folder.path());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    pub fn run(&self, args: &[&str]) -> Done {
        self.run_with(args, "")
    }

    pub fn run_with(&self, args: &[&str], stdin: &str) -> Done {
        let mut command = self.command(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A command that does not read its input may be gone already.
        let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
        let output = child.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let done =
            Done { code: output.status.code().unwrap_or(-1), stdout: text(output.stdout), stderr: text(output.stderr) };
        for unwanted in ["panicked", "RUST_BACKTRACE", "Error {"] {
            assert!(!done.stderr.contains(unwanted), "{args:?}: {}", done.stderr);
        }
        done
    }

    /// Starts a server that chooses its port, without waiting for anything.
    pub fn start(&self) -> Server {
        self.start_with(&["serve", "--bind", "127.0.0.1:0"])
    }

    pub fn start_with(&self, args: &[&str]) -> Server {
        let log = self.path("server.log");
        let file = File::create(&log).unwrap();
        let mut command = self.command(args);
        command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
        Server { child: command.spawn().unwrap(), log, port: None }
    }

    /// Starts a server that is not root's, and waits until it is ready.
    pub fn serve_as_nobody_if_root(&self) -> Server {
        const NOBODY: u32 = 65534;
        if !rustix::process::geteuid().is_root() {
            return self.serve();
        }
        // The folder that the binary is in may be closed to others.
        let program = self.path("asgard");
        let built = env!("CARGO_BIN_EXE_asgard");
        fs::hard_link(built, &program).or_else(|_| fs::copy(built, &program).map(drop)).unwrap();
        chown(self.folder.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        let log = self.path("server.log");
        let file = File::create(&log).unwrap();
        let mut command = Command::new(program);
        command.args(["serve", "--bind", "127.0.0.1:0"]).current_dir(self.folder.path()).env_clear();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file).uid(NOBODY).gid(NOBODY);
        let mut server = Server { child: command.spawn().unwrap(), log, port: None };
        server.wait_for("is ready at");
        server
    }

    /// Starts a server and waits until it is ready.
    pub fn serve(&self) -> Server {
        let mut server = self.start();
        server.wait_for("is ready at");
        server
    }
}

/// A running process that serves. Killed when dropped.
pub struct Server {
    child: Child,
    log: PathBuf,
    port: Option<u16>,
}

impl Server {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until the log has a line with `text`, and gives the line.
    pub fn wait_for(&mut self, text: &str) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            let log = self.log();
            // A line without its end is still being written.
            let complete = log.rfind('\n').map_or("", |end| &log[..end]);
            if let Some(line) = complete.lines().find(|line| line.contains(text)) {
                return line.to_owned();
            }
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("it ended with {status} before it said `{text}`:\n{}", self.log());
            }
            assert!(Instant::now() < until, "it never said `{text}`:\n{log}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn url(&mut self) -> String {
        let port = match self.port {
            Some(port) => port,
            None => {
                let line = self.wait_for("127.0.0.1:");
                let digits = line.split("127.0.0.1:").nth(1).unwrap();
                digits.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
            }
        };
        self.port = Some(port);
        format!("http://127.0.0.1:{port}")
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub fn ended(&mut self) -> ExitStatus {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < until, "it did not end:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn terminate(&mut self) {
        self.signal(Signal::TERM);
        let status = self.ended();
        assert!(status.success(), "{status}:\n{}", self.log());
    }

    pub fn get(&mut self, path: &str, token: Option<&str>) -> (u16, String) {
        let mut request = agent().get(format!("{}{path}", self.url()));
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let mut response = request.call().unwrap();
        (response.status().as_u16(), response.body_mut().read_to_string().unwrap())
    }

    pub fn post(&mut self, path: &str, token: Option<&str>, body: &Value) -> (u16, Value) {
        let mut request = agent().post(format!("{}{path}", self.url()));
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let mut response = request.send_json(body).unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        (response.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// Signs in and gives the session, or the status of the refusal.
    pub fn login(&mut self, username: &str, password: &str) -> Result<String, u16> {
        let (status, body) = self.post("/api/auth/login", None, &json!({"username": username, "password": password}));
        body["token"].as_str().map(str::to_owned).ok_or(status)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE)).build().new_agent()
}

/// The password in a line that shows one.
pub fn password_in(line: &str) -> String {
    let rest = line.split("password: ").nth(1).unwrap();
    rest.chars().take_while(|c| c.is_ascii_alphanumeric()).collect()
}

/// A file of the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}
