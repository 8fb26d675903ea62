//! The service on a listener, and what browsers and agents send to it.

use asgard_lib::{kernel::Timestamp, ports::world::World};
use data_encoding::HEXLOWER;
use embed_axum::{
    parts::CompanyClock,
    service::Service,
    session::{COOKIE, Sessions, Visitor},
};
use serde_json::{Value, json};
use std::{net::SocketAddr, ops::Deref, path::Path, process::Stdio, sync::Arc, time::Duration};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

pub const KEY: [u8; 32] = [42; 32];
pub const JSON: (&str, &str) = ("content-type", "application/json");

/// Whoever sends requests to an address.
pub struct Client {
    pub address: SocketAddr,
}

/// The service in this process.
pub struct Running {
    client: Client,
    pub stop: CancellationToken,
    pub clock: Arc<CompanyClock>,
    served: JoinHandle<std::io::Result<()>>,
}

impl Deref for Running {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

/// The service as a process of its own, which is killed when it is dropped.
pub struct Program {
    pub client: Client,
    child: Child,
}

pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

impl Running {
    pub async fn start(data: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let service = Service::open(data, address, Sessions::new(KEY)).await.unwrap();
        let (stop, clock) = (service.stop(), Arc::clone(service.clock()));
        Self { client: Client { address }, stop, clock, served: tokio::spawn(service.serve(listener)) }
    }

    pub async fn stop(self) {
        self.stop.cancel();
        self.served.await.unwrap().unwrap();
    }
}

impl Program {
    pub async fn start(data: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_embed-axum"))
            .args(["serve", data.to_str().unwrap(), "127.0.0.1:0"])
            .env("CORP_SESSION_KEY", HEXLOWER.encode(&KEY))
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut said = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).await.unwrap();
        let address = said.trim().rsplit_once("//").unwrap().1.parse().unwrap();
        Self { client: Client { address }, child }
    }

    /// Ends it without a warning.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }
}

impl Client {
    /// One request over a connection of its own. HTTP/1.0, so that the answer ends where the connection does.
    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let mut text =
            format!("{method} {path} HTTP/1.0\r\nhost: {}\r\ncontent-length: {}\r\n", self.address, body.len());
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(format!("{text}\r\n{body}").as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        Reply {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head: head.to_ascii_lowercase(),
            body: body.to_owned(),
        }
    }

    pub async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Reply {
        self.send("GET", path, headers, "").await
    }

    /// What a page of this service sends.
    pub async fn post(&self, path: &str, cookie: &str, body: &Value) -> Reply {
        let origin = format!("http://{}", self.address);
        self.send("POST", path, &[JSON, ("cookie", cookie), ("origin", &origin)], &body.to_string()).await
    }

    /// Registers Ann's project and mints a key for its agent.
    pub async fn project(&self) -> (String, String) {
        let ann = cookie("ann", &[]);
        let project = self.post("/governance/api/projects", &ann, &registration()).await.json();
        let project = project["project_id"].as_str().unwrap().to_owned();
        let path = format!("/governance/api/projects/{project}/keys");
        let minted = self.post(&path, &ann, &json!({"name": "agent"})).await.json();
        (project, format!("Bearer {}", minted["key"].as_str().unwrap()))
    }

    /// What a tool answers to the agent with this key, or its error.
    pub async fn agent(&self, key: &str, tool: &str, arguments: Value) -> Result<Value, Value> {
        let answer = self.tool(&[("authorization", key)], tool, arguments).await.json();
        let result = &answer["result"];
        if result["isError"] == true {
            return Err(serde_json::from_str(result["content"][0]["text"].as_str().unwrap()).unwrap());
        }
        Ok(result["structuredContent"].clone())
    }

    pub async fn mcp(&self, headers: &[(&str, &str)], tool: &str) -> Reply {
        self.tool(headers, tool, json!({})).await
    }

    pub async fn tool(&self, headers: &[(&str, &str)], tool: &str, arguments: Value) -> Reply {
        let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}});
        let mut all = vec![JSON, ("accept", "application/json, text/event-stream")];
        all.extend(headers);
        self.send("POST", "/governance/mcp", &all, &call.to_string()).await
    }
}

pub fn now() -> Timestamp {
    World::system().now()
}

pub fn token(sessions: &Sessions, name: &str, groups: &[&str], at: Timestamp) -> String {
    let groups = groups.iter().map(|group| (*group).to_owned()).collect();
    let visitor = Visitor { email: format!("{name}@corp.example").parse().unwrap(), groups };
    sessions.sign(visitor, at, Duration::from_secs(3600)).unwrap()
}

pub fn cookie(name: &str, groups: &[&str]) -> String {
    format!("{COOKIE}={}", token(&Sessions::new(KEY), name, groups, now()))
}

pub fn registration() -> Value {
    json!({"name": "Editor", "owner_email": "ann@corp.example", "manager_email": "bob@corp.example", "group": "tools"})
}

pub fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}
