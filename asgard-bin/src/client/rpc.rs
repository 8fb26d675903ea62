//! JSON-RPC over HTTP as MCP lays it down: one request, one answer, as JSON or as a stream of events.

use crate::{
    client::PROTOCOL,
    failure::{Failure, Result},
    settings::{CLIENT_TOKEN, CLIENT_URL},
};
use asgard_lib::kernel::SecretText;
use serde_json::{Value, json};
use std::{net::IpAddr, time::Duration};
use ureq::{
    Agent,
    http::{Response, Uri, header},
};

/// The largest answer that is read.
const LARGEST: u64 = 32 * 1024 * 1024;
/// A tool may wait for a while before it answers.
const PATIENCE: Duration = Duration::from_secs(120);
const CONNECT: Duration = Duration::from_secs(10);

pub struct Rpc {
    agent: Agent,
    url: String,
    token: Option<SecretText>,
    protocol: String,
    session: Option<String>,
    next: u64,
}

impl Rpc {
    pub fn new(server: &str, token: Option<SecretText>) -> Self {
        let mut agent = Agent::config_builder();
        if names_this_machine(server) {
            // A variable such as HTTP_PROXY is about the world outside; another machine cannot reach this one's loopback.
            agent = agent.proxy(None);
        }
        let agent = agent
            .timeout_global(Some(PATIENCE))
            .timeout_connect(Some(CONNECT))
            .http_status_as_error(false)
            // A redirect could carry the credential to somebody else.
            .max_redirects(0)
            .user_agent(concat!("asgard-cli/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        let url = if server.ends_with("/mcp") { server.to_owned() } else { format!("{server}/mcp") };
        Self { agent, url, token, protocol: PROTOCOL.to_owned(), session: None, next: 1 }
    }

    /// Goes on in the protocol that the server chose.
    pub fn speak(&mut self, protocol: &str) {
        protocol.clone_into(&mut self.protocol);
    }

    /// A method with an answer.
    pub fn call(&mut self, method: &str, params: Value) -> Result<Value> {
        let id = self.next;
        self.next += 1;
        let mut response = self.post(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))?;
        let status = response.status().as_u16();
        let kind =
            response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let stream = kind.starts_with("text/event-stream");
        if let Some(session) = response.headers().get("mcp-session-id").and_then(|value| value.to_str().ok()) {
            self.session = Some(session.to_owned());
        }
        let body = response.body_mut().with_config().limit(LARGEST).read_to_string();
        let body = body.map_err(|error| self.lost(&error))?;
        match status {
            401 => return Err(self.not_signed_in(&body)),
            200..=299 => {}
            _ => return Err(self.odd(status, &body)),
        }
        let answer = if stream { answer_in(&body, id) } else { serde_json::from_str(&body).ok() };
        let mut answer: Value = answer.ok_or_else(|| self.odd(status, &body))?;
        if let Some(error) = answer.get("error") {
            let message = error.get("message").and_then(Value::as_str).unwrap_or("an error without a message");
            return Err(Failure::failed(format!("the server refused {method}: {message}")));
        }
        Ok(answer.get_mut("result").map(Value::take).unwrap_or_default())
    }

    /// A method without an answer.
    pub fn notify(&mut self, method: &str) -> Result<()> {
        self.post(&json!({"jsonrpc": "2.0", "method": method})).map(drop)
    }

    fn post(&self, message: &Value) -> Result<Response<ureq::Body>> {
        let mut request = self
            .agent
            .post(&self.url)
            .header(header::ACCEPT, "application/json, text/event-stream")
            .header("mcp-protocol-version", &self.protocol);
        if let Some(session) = &self.session {
            request = request.header("mcp-session-id", session);
        }
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", token.reveal()));
        }
        request.send_json(message).map_err(|error| self.lost(&error))
    }

    fn lost(&self, error: &ureq::Error) -> Failure {
        Failure::unreachable(format!("{} cannot be reached: {error}", self.url))
            .hint(format!("Is the server running? --url or {CLIENT_URL} says where it is.{}", self.by_proxy()))
    }

    /// That a proxy was asked, and how to go around it.
    fn by_proxy(&self) -> &'static str {
        match self.agent.config().proxy() {
            Some(_) => {
                " The call went through the proxy that HTTP_PROXY, HTTPS_PROXY or ALL_PROXY names; NO_PROXY lists the hosts that \
                 are reached without it."
            }
            None => "",
        }
    }

    fn not_signed_in(&self, body: &str) -> Failure {
        let failure = match &self.token {
            Some(_) => Failure::unreachable(format!("{} does not accept the credential: {}", self.url, detail(body))),
            None => Failure::unreachable(format!("{} needs a credential", self.url)),
        };
        failure.hint(format!(
            "Set {CLIENT_TOKEN}, or --token-file, to a user token (asg_pat_...) or a project key (asg_...)."
        ))
    }

    fn odd(&self, status: u16, body: &str) -> Failure {
        let text = detail(body);
        match status {
            404 => Failure::unreachable(format!("there is no MCP endpoint at {}", self.url))
                .hint(format!("--url or {CLIENT_URL} takes the server's address without a path.{}", self.by_proxy())),
            407 => Failure::unreachable(format!("a proxy in front of {} wants a credential", self.url))
                .hint(self.by_proxy().trim_start()),
            502..=504 => Failure::unreachable(format!("{} is not ready: {text}", self.url))
                .hint(format!("Try again in a moment.{}", self.by_proxy())),
            _ => Failure::failed(format!("{} answered {status}: {text}", self.url)),
        }
    }
}

/// Whether an address is one of this machine's own that no other machine can reach.
fn names_this_machine(server: &str) -> bool {
    let Some(host) = server.parse::<Uri>().ok().and_then(|uri| uri.host().map(str::to_owned)) else { return false };
    let plain = host.trim_start_matches('[').trim_end_matches(']');
    let name = plain.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost") || plain.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// What an error body says for people, shortened.
fn detail(body: &str) -> String {
    let parsed: Option<Value> = serde_json::from_str(body).ok();
    let said = parsed.as_ref().and_then(|value| {
        let detail = value.get("detail").or_else(|| value.get("error")?.get("message"));
        detail.and_then(Value::as_str)
    });
    let text = said.unwrap_or(body).trim();
    if text.is_empty() { "nothing".to_owned() } else { text.chars().filter(|c| !c.is_control()).take(300).collect() }
}

/// The answer to `id` in a stream of events.
fn answer_in(stream: &str, id: u64) -> Option<Value> {
    let stream = stream.replace("\r\n", "\n");
    stream
        .split("\n\n")
        .map(|event| {
            let data = event.lines().filter_map(|line| line.strip_prefix("data:"));
            data.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect::<Vec<_>>().join("\n")
        })
        .filter_map(|data| serde_json::from_str::<Value>(&data).ok())
        .find(|message| message.get("id").and_then(Value::as_u64) == Some(id) && message.get("method").is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_proxy_is_asked_for_this_machine() {
        for (server, own) in [
            ("http://localhost:8080", true),
            ("http://LOCALHOST.:8080/x", true),
            ("http://asgard.localhost", true),
            ("http://127.0.0.2:1", true),
            ("http://[::1]:8080", true),
            ("https://localhost.example.com", false),
            ("http://10.0.0.1", false),
            ("https://asgard.example.com", false),
        ] {
            assert_eq!(names_this_machine(server), own, "{server}");
        }
    }

    #[test]
    fn the_answer_is_found_among_events() {
        let stream = "id: 0\r\nretry: 3000\r\ndata: \r\n\r\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\"}\r\n\r\n\
                      event: message\r\ndata: {\"id\":3,\r\ndata: \"result\":{\"a\":1}}\r\n\r\n";
        assert_eq!(answer_in(stream, 3), Some(json!({"id": 3, "result": {"a": 1}})));
        assert_eq!(answer_in(stream, 4), None);
    }

    #[test]
    fn an_error_says_what_the_server_said_and_no_more() {
        assert_eq!(detail(r#"{"detail": "No.", "title": "x"}"#), "No.");
        assert_eq!(detail(r#"{"error": {"message": "Bad id."}}"#), "Bad id.");
        assert_eq!(detail("<html>\u{1b}[2Jgone"), "<html>[2Jgone");
        assert_eq!(detail(&"x".repeat(10_000)).len(), 300);
    }
}
