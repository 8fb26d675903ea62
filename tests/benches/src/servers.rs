//! The servers under measurement, as processes of their own.

use crate::load::{Wire, request};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

/// The list that is measured.
pub(crate) const LIST: &str = "/api/projects?limit=10";
/// The tools that are measured.
pub(crate) const TOOLS: [&str; 2] = ["list_services", "project_state"];

/// A process that ends with its handle.
pub(crate) struct Server {
    pub(crate) address: String,
    child: Child,
}

impl Server {
    /// Resident memory in MB.
    pub(crate) fn memory_mb(&self) -> io::Result<f64> {
        let pid = self.child.id().ok_or_else(|| io::Error::other("the server is gone"))?;
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
        let kib: f64 = line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or_default();
        Ok(kib / 1024.0)
    }

    /// Ends the server and waits for it.
    pub(crate) async fn stop(mut self) -> io::Result<()> {
        self.child.kill().await
    }

    /// One request, with its answer as JSON.
    pub(crate) async fn call(
        &self,
        method: &str,
        path: &str,
        bearer: Option<&str>,
        body: Option<&Value>,
    ) -> io::Result<Value> {
        let body = body.map(Value::to_string);
        let reply = Wire::open(&self.address).await?.ask(&request(method, path, bearer, body.as_deref())).await?;
        let text = String::from_utf8_lossy(&reply.body).into_owned();
        if !(200..300).contains(&reply.status) {
            return Err(io::Error::other(format!("{method} {path} answered {}: {text}", reply.status)));
        }
        serde_json::from_str(&text).map_err(io::Error::other)
    }
}

/// The programs are built beside this one.
pub(crate) fn program(name: &str) -> io::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let path = own.parent().unwrap_or_else(|| Path::new(".")).join(name);
    if path.exists() {
        Ok(path)
    } else {
        Err(io::Error::other(format!("{} is not built; run tests/bench", path.display())))
    }
}

/// The bare servers, which give these answers.
pub(crate) async fn bare(folder: &Path, answers: &BTreeMap<&str, Value>) -> io::Result<Server> {
    let file = folder.join("answers.json");
    fs::write(&file, serde_json::to_vec(answers).map_err(io::Error::other)?)?;
    let mut child = Command::new(program("bare")?).arg(file).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
    let out = child.stdout.take().ok_or_else(|| io::Error::other("no output"))?;
    let address = BufReader::new(out)
        .lines()
        .next_line()
        .await?
        .ok_or_else(|| io::Error::other("the bare server did not start"))?;
    Ok(Server { address, child })
}

pub(crate) const PASSWORD: &str = "a bench password, not a secret";

/// Asgard on a SQLite file in `folder`, once it answers `ready`; with the time from exec to that. Where the admin's password
/// is configured, a start compares it with the account's, which takes a password hash.
pub(crate) async fn asgard(folder: &Path, password: Option<&str>) -> io::Result<(Server, Duration)> {
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let address = format!("127.0.0.1:{port}");
    let log = fs::File::create(folder.join("asgard.log"))?;
    let mut command = Command::new(program("asgard")?);
    command
        .arg("serve")
        .env_clear()
        .env("ASGARD_DATABASE_URL", format!("sqlite://{}", folder.join("asgard.db").display()))
        .env("ASGARD_BIND", &address)
        .envs(password.map(|password| ("ASGARD_ADMIN_PASSWORD", password)))
        .current_dir(folder)
        .stdout(log.try_clone()?)
        .stderr(log)
        .kill_on_drop(true);
    let started = Instant::now();
    let child = command.spawn()?;
    let server = Server { address, child };
    let ready = request("GET", "/readyz", None, None);
    while started.elapsed() < Duration::from_secs(60) {
        if let Ok(mut wire) = Wire::open(&server.address).await
            && wire.ask(&ready).await.is_ok_and(|reply| reply.status == 200)
        {
            return Ok((server, started.elapsed()));
        }
        tokio::time::sleep(Duration::from_micros(500)).await;
    }
    Err(io::Error::other(format!("asgard was not ready within a minute; see {}", folder.join("asgard.log").display())))
}

/// What the measurements need: a token and a project with a key.
pub(crate) struct Credentials {
    pub(crate) token: String,
    pub(crate) project: String,
    pub(crate) key: String,
}

fn text(value: &Value, field: &str) -> io::Result<String> {
    value
        .get(field)
        .and_then(Value::as_str)
        .map(str::to_owned)
        .ok_or_else(|| io::Error::other(format!("no {field} in {value}")))
}

/// The body of a registration.
pub(crate) fn registration() -> Value {
    json!({"name": "Bench", "owner_email": "owner@corp.example", "manager_email": "manager@corp.example", "group": "platform"})
}

/// The body of a call of a tool without arguments.
pub(crate) fn tool_call(tool: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": {}}})
}

/// What Asgard answers to everything that is compared, by name.
pub(crate) async fn answers(server: &Server, who: &Credentials) -> io::Result<BTreeMap<&'static str, Value>> {
    let project = format!("/api/projects/{}", who.project);
    let mut answers = BTreeMap::new();
    answers.insert("project", server.call("GET", &project, Some(&who.token), None).await?);
    answers.insert("projects", server.call("GET", LIST, Some(&who.token), None).await?);
    for tool in TOOLS {
        let mut answer = server.call("POST", "/mcp", Some(&who.key), Some(&tool_call(tool))).await?;
        let content = answer.pointer_mut("/result/structuredContent").map(Value::take);
        answers.insert(tool, content.ok_or_else(|| io::Error::other(format!("{tool} answered {answer}")))?);
    }
    Ok(answers)
}

pub(crate) async fn prepare(server: &Server) -> io::Result<Credentials> {
    let login = json!({"username": "admin", "password": PASSWORD});
    let session = text(&server.call("POST", "/api/auth/login", None, Some(&login)).await?, "token")?;
    let token = server.call("POST", "/api/auth/tokens", Some(&session), Some(&json!({"name": "bench"}))).await?;
    let token = text(&token, "token")?;
    let project = server.call("POST", "/api/projects", Some(&token), Some(&registration())).await?;
    let project = text(&project, "project_id")?;
    let key = server
        .call("POST", &format!("/api/projects/{project}/keys"), Some(&token), Some(&json!({"name": "bench"})))
        .await?;
    Ok(Credentials { token, key: text(&key, "key")?, project })
}
