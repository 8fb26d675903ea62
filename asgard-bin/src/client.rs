//! A client of a running server: MCP over HTTP, with a person's token or a project key. It can do what an agent can do.

pub mod arguments;
mod rpc;

use crate::{
    cli::ServerArgs,
    failure::{Failure, Result},
    settings::{CLIENT_TOKEN, CLIENT_TOKEN_FILE, CLIENT_URL},
};
use asgard_lib::{config::Environment, kernel::SecretText};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::path::PathBuf;

/// Where a server is when nobody says.
const DEFAULT_URL: &str = "http://localhost:8080";
/// The newest protocol that begins with `initialize`.
const PROTOCOL: &str = "2025-11-25";
/// Pages of tools that are read at most.
const MAX_PAGES: usize = 50;

/// A connection that was greeted.
pub struct Client {
    rpc: rpc::Rpc,
}

/// A tool as the server describes it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tool {
    pub name: String,
    #[serde(default)]
    pub title: Option<String>,
    #[serde(default)]
    pub description: Option<String>,
    #[serde(default)]
    pub input_schema: Value,
    #[serde(default)]
    pub annotations: Map<String, Value>,
}

impl Client {
    /// Greets the server that the arguments and the environment name.
    pub fn connect(args: &ServerArgs) -> Result<Self> {
        let env = Environment::from_process();
        let url = args.url.clone().or_else(|| env.get(CLIENT_URL).map(|url| url.reveal().to_owned()));
        let url = url.unwrap_or_else(|| DEFAULT_URL.to_owned());
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(Failure::usage(format!("`{url}` is not the address of a server"))
                .hint("Expected something like http://localhost:8080, in --url or ASGARD_URL."));
        }
        let mut rpc = rpc::Rpc::new(url.trim_end_matches('/'), token(args, &env)?);
        let hello = json!({
            "protocolVersion": PROTOCOL,
            "capabilities": {},
            "clientInfo": {"name": "asgard-cli", "version": env!("CARGO_PKG_VERSION")},
        });
        let welcome = rpc.call("initialize", hello)?;
        let spoken = welcome.get("protocolVersion").and_then(Value::as_str).unwrap_or(PROTOCOL);
        rpc.speak(spoken);
        rpc.notify("notifications/initialized")?;
        Ok(Self { rpc })
    }

    /// Every tool, by name.
    pub fn tools(&mut self) -> Result<Vec<Tool>> {
        let read = |tool| serde_json::from_value(tool).map_err(|error| strange("a tool", &error));
        let mut tools: Vec<Tool> = self.described()?.into_iter().map(read).collect::<Result<_>>()?;
        tools.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(tools)
    }

    /// Every tool, as the server describes it.
    pub fn described(&mut self) -> Result<Vec<Value>> {
        let mut tools: Vec<Value> = Vec::new();
        let mut cursor: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let page =
                self.rpc.call("tools/list", cursor.map_or_else(|| json!({}), |cursor| json!({"cursor": cursor})))?;
            let page: ToolPage = serde_json::from_value(page).map_err(|error| strange("the list of tools", &error))?;
            tools.extend(page.tools);
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        Ok(tools)
    }

    /// Calls a tool. A refusal by the tool is a failure with its sentence.
    pub fn call(&mut self, tool: &str, arguments: Map<String, Value>) -> Result<Value> {
        let answer = self.rpc.call("tools/call", json!({"name": tool, "arguments": arguments}))?;
        let answer: ToolAnswer =
            serde_json::from_value(answer).map_err(|error| strange("the tool's answer", &error))?;
        let text = answer.content.iter().filter_map(|part| part.text.as_deref()).collect::<Vec<_>>().join("\n");
        if answer.is_error {
            return Err(refused(tool, answer.structured_content, &text));
        }
        Ok(match answer.structured_content {
            Some(value) => value,
            None => serde_json::from_str(&text).unwrap_or(Value::String(text)),
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToolPage {
    tools: Vec<Value>,
    #[serde(default)]
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToolAnswer {
    #[serde(default)]
    content: Vec<Content>,
    #[serde(default)]
    structured_content: Option<Value>,
    #[serde(default)]
    is_error: bool,
}

#[derive(Deserialize)]
struct Content {
    #[serde(default)]
    text: Option<String>,
}

/// The credential, if one was given: calls without one are refused by the server, with its own words.
fn token(args: &ServerArgs, env: &Environment) -> Result<Option<SecretText>> {
    let (direct, named) = (env.get(CLIENT_TOKEN), env.get(CLIENT_TOKEN_FILE));
    let whole = |token: &str| !token.contains(|c: char| c.is_whitespace() || c.is_control());
    let (origin, path) = match (&args.token_file, direct, named) {
        (Some(path), ..) => ("--token-file", path.clone()),
        (None, Some(_), Some(_)) => {
            return Err(Failure::usage(format!(
                "{CLIENT_TOKEN} and {CLIENT_TOKEN_FILE} are both set; set one of them"
            )));
        }
        (None, None, Some(path)) => (CLIENT_TOKEN_FILE, PathBuf::from(path.reveal())),
        (None, Some(direct), None) => {
            return match direct.reveal().trim() {
                token if whole(token) => Ok(Some(SecretText::new(token))),
                _ => Err(Failure::usage(format!("{CLIENT_TOKEN} holds more than one word; a credential is one"))),
            };
        }
        (None, None, None) => return Ok(None),
    };
    let cannot = |why: &dyn std::fmt::Display| Failure::usage(format!("{origin} {}: {why}", path.display()));
    let text = zeroize::Zeroizing::new(std::fs::read_to_string(&path).map_err(|error| cannot(&error))?);
    match text.trim() {
        "" => Err(cannot(&"the file is empty")),
        token if whole(token) => Ok(Some(SecretText::new(token))),
        _ => Err(cannot(&"the file holds more than the credential, which is one word")),
    }
}

fn strange(what: &str, error: &dyn std::fmt::Display) -> Failure {
    Failure::failed(format!("{what} is not as expected: {error}")).hint("Is the server of another version?")
}

/// The sentence of a tool that refused, and what it says to do about it.
fn refused(tool: &str, problem: Option<Value>, text: &str) -> Failure {
    let problem = problem.or_else(|| serde_json::from_str(text).ok()).unwrap_or_default();
    let part = |name: &str| problem.get(name).and_then(Value::as_str);
    let message = part("message").unwrap_or(text);
    let failure = Failure::failed(match part("field") {
        Some(field) => format!("{tool}: {field}: {message}"),
        None => format!("{tool}: {message}"),
    });
    let facts = [("", part("what_to_do")), ("Code: ", part("code")), ("Trace: ", part("trace_id"))];
    let facts: Vec<String> =
        facts.into_iter().filter_map(|(name, value)| value.map(|value| format!("{name}{value}"))).collect();
    if facts.is_empty() { failure } else { failure.hint(facts.join("\n")) }
}
