//! A client of REST and MCP that knows nothing of Asgard's own types.

use serde_json::{Value, json};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use ureq::{Agent, http};

/// Everything that was answered, for looking through later.
#[derive(Debug, Default)]
pub struct Transcript(Mutex<Vec<u8>>);

impl Transcript {
    fn add(&self, bytes: &[u8]) {
        let mut all = self.0.lock().expect("nobody panicked while writing");
        all.extend_from_slice(bytes);
        all.push(b'\n');
    }

    /// All of it.
    pub fn bytes(&self) -> Vec<u8> {
        self.0.lock().expect("nobody panicked while writing").clone()
    }
}

/// Somebody who talks to a server.
#[derive(Clone, Debug)]
pub struct Client {
    agent: Agent,
    base: String,
    credential: Option<String>,
    transcript: Arc<Transcript>,
    /// Why the last answer did not come.
    why: Arc<Mutex<String>>,
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    /// What was asked, for messages.
    pub asked: String,
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: http::HeaderMap,
    /// The body.
    pub text: String,
}

impl Reply {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{self:?} is not JSON: {error}"))
    }

    /// The body of a success.
    pub fn ok(&self) -> Value {
        assert!((200..300).contains(&self.status), "expected a success: {self:?}");
        self.json()
    }

    /// A problem document of this status and code.
    pub fn refused(&self, status: u16, code: &str) -> Value {
        let body = self.json();
        assert_eq!((self.status, body["code"].as_str()), (status, Some(code)), "{self:?}");
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        assert_eq!(body["status"], status, "{self:?}");
        assert_eq!(body["type"], format!("/docs/errors/{code}"), "{self:?}");
        assert!(body["detail"].as_str().is_some_and(|text| text.len() > 10), "{self:?}");
        assert!(body["trace_id"].is_string(), "{self:?}");
        body
    }

    /// A header, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// What a tool answered.
#[derive(Debug)]
pub struct Tool {
    /// The structured content.
    pub content: Value,
    /// Whether the tool failed.
    pub failed: bool,
}

impl Tool {
    /// The content of a success.
    pub fn ok(self) -> Value {
        assert!(!self.failed, "expected the tool to work: {:#}", self.content);
        self.content
    }

    /// The error's code.
    pub fn code(&self) -> &str {
        assert!(self.failed, "expected the tool to refuse: {:#}", self.content);
        self.content["code"].as_str().unwrap_or_else(|| panic!("a refusal without a code: {:#}", self.content))
    }
}

impl Client {
    pub(crate) fn new(base: &str, transcript: Arc<Transcript>) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(90)))
            .max_redirects(0)
            .proxy(None);
        Self { agent: config.build().into(), base: base.to_owned(), credential: None, transcript, why: Arc::default() }
    }

    /// The same client with another credential.
    pub fn with(&self, credential: &str) -> Self {
        Self { credential: Some(credential.to_owned()), ..self.clone() }
    }

    /// The same client for another server of the same site.
    pub fn at(&self, base: &str) -> Self {
        Self { base: base.to_owned(), ..self.clone() }
    }

    /// Where it talks to.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// What it presents.
    pub fn credential(&self) -> &str {
        self.credential.as_deref().unwrap_or_default()
    }

    /// Sends anything; `None` when no answer came.
    pub fn try_send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> Option<Reply> {
        let mut request = http::Request::builder().method(method).uri(format!("{}{path}", self.base));
        if let Some(credential) = &self.credential {
            request = request.header("authorization", format!("Bearer {credential}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let sent = match body {
            Some(body) => self.agent.run(request.body(body).expect("a request")),
            None => self.agent.run(request.body(()).expect("a request")),
        };
        let read = sent.and_then(|mut response| {
            let bytes = response.body_mut().with_config().limit(32 * 1024 * 1024).read_to_vec()?;
            Ok((response, bytes))
        });
        let (response, bytes) = match read {
            Ok(read) => read,
            Err(error) => {
                *self.why.lock().expect("nobody panicked while writing") = error.to_string();
                return None;
            }
        };
        let asked: String = format!("{method} {path}").chars().take(200).collect();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Some(Reply { asked, status: response.status().as_u16(), headers: response.headers().clone(), text })
    }

    /// Sends anything.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> Reply {
        let reply = self.try_send(method, path, headers, body);
        let why = || self.why.lock().expect("nobody panicked while writing").clone();
        let reply = reply.unwrap_or_else(|| panic!("no answer to {method} {}{path}: {}", self.base, why()));
        self.transcript.add(format!("{:?}", reply.headers).as_bytes());
        // Who signs in is shown a token; that is not what is looked for.
        self.transcript.add(reply.text.as_bytes());
        reply
    }

    /// A GET that may find nobody.
    pub fn try_get(&self, path: &str) -> Option<Reply> {
        self.try_send("GET", path, &[], None)
    }

    /// A GET.
    pub fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[], None)
    }

    /// A POST of JSON.
    pub fn post(&self, path: &str, body: &Value) -> Reply {
        self.json("POST", path, body)
    }

    /// A DELETE.
    pub fn delete(&self, path: &str) -> Reply {
        self.send("DELETE", path, &[], None)
    }

    /// JSON by any method.
    pub fn json(&self, method: &str, path: &str, body: &Value) -> Reply {
        self.send(method, path, &[("content-type", "application/json")], Some(body.to_string().as_bytes()))
    }

    /// A JSON-RPC message to `/mcp`, as text.
    pub fn mcp_text(&self, message: &str) -> Reply {
        self.mcp_reply(message, true)
    }

    fn mcp_reply(&self, message: &str, keep: bool) -> Reply {
        let headers = [
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
            ("mcp-protocol-version", "2025-11-25"),
        ];
        if keep {
            return self.send("POST", "/mcp", &headers, Some(message.as_bytes()));
        }
        self.try_send("POST", "/mcp", &headers, Some(message.as_bytes())).expect("an answer from /mcp")
    }

    /// A JSON-RPC call and its whole answer.
    pub fn mcp(&self, method: &str, params: &Value) -> Reply {
        self.mcp_text(&json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string())
    }

    /// A tool, and what it answered.
    pub fn tool(&self, name: &str, arguments: &Value) -> Tool {
        self.tool_reply(name, arguments, true)
    }

    /// The value of a secret. The answer stays out of the transcript: it is the one place where the value belongs.
    pub fn secret(&self, name: &str, project: Option<&str>) -> Tool {
        let mut arguments = json!({"name": name});
        if let Some(project) = project {
            arguments["project_id"] = project.into();
        }
        self.tool_reply("get_secret", &arguments, false)
    }

    fn tool_reply(&self, name: &str, arguments: &Value, keep: bool) -> Tool {
        let params = json!({"name": name, "arguments": arguments});
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).to_string();
        let reply = self.mcp_reply(&message, keep);
        let result = reply.ok()["result"].clone();
        assert!(result.is_object(), "a tool call without a result: {reply:?}");
        let failed = result["isError"] == true;
        let text = result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("a result without text: {reply:?}"));
        let content = match &result["structuredContent"] {
            Value::Null => {
                serde_json::from_str(text).unwrap_or_else(|_| panic!("neither structured nor JSON: {reply:?}"))
            }
            structured => {
                let same: Option<Value> = serde_json::from_str(text).ok();
                assert!(failed || same.as_ref() == Some(structured), "text and structured content differ: {reply:?}");
                structured.clone()
            }
        };
        Tool { content, failed }
    }

    /// Waits until a request is over or waits for a person, and returns it.
    pub fn settled(&self, request: &str) -> Value {
        self.settled_within(Duration::from_secs(60), request)
    }

    /// The same, with another limit. Answers that do not come are asked for again: servers die in these tests.
    pub fn settled_within(&self, limit: Duration, request: &str) -> Value {
        let mut last = Value::Null;
        let start = std::time::Instant::now();
        loop {
            let reply = self.try_get(&format!("/api/requests/{request}?wait_s=2"));
            if let Some(reply) = reply.filter(|reply| reply.status == 200) {
                self.transcript.add(reply.text.as_bytes());
                last = reply.json();
                if !matches!(last["status"].as_str(), Some("planning" | "approved" | "running")) {
                    return last;
                }
            }
            assert!(start.elapsed() < limit, "request {request} is not settled after {} s: {last:#}", limit.as_secs());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}
