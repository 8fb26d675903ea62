//! JSON-RPC over HTTP as MCP lays it down: one request, one answer, as JSON or as a stream of events.

use crate::{
    client::PROTOCOL,
    failure::{Failure, Result},
    settings::{CLIENT_TOKEN, CLIENT_URL},
};
use asgard_lib::kernel::SecretText;
use serde_json::{Value, json};
use std::time::Duration;
use ureq::{
    Agent,
    http::{Response, header},
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
        let agent = Agent::config_builder()
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
            .hint(format!("Is the server running? --url or {CLIENT_URL} says where it is."))
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
                .hint(format!("--url or {CLIENT_URL} takes the server's address without a path.")),
            502..=504 => {
                Failure::unreachable(format!("{} is not ready: {text}", self.url)).hint("Try again in a moment.")
            }
            _ => Failure::failed(format!("{} answered {status}: {text}", self.url)),
        }
    }
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
