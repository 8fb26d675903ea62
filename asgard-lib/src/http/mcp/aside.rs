//! What the protocol library does not get to see. It writes the messages that it carries into the log of whoever turned its
//! target on, so the arguments and the result of a tool call go past it: it gets the message without them, and its answer
//! gets the result after it was written.

use rmcp::model::CallToolResult;
use serde_json::{Map, Value};
use std::sync::{Arc, Mutex, PoisonError};

/// The methods whose parameters the protocol itself defines, and what it needs of them. Of all other parameters it gets none.
const PROTOCOL: [(&str, &[&str]); 4] = [
    ("initialize", &["protocolVersion", "capabilities", "clientInfo", "_meta"]),
    ("server/discover", &["_meta"]),
    ("tools/list", &["cursor", "_meta"]),
    ("tools/call", &["name", "arguments", "task", "_meta"]),
];

/// The arguments and the result of one tool call. No `Debug`: they may be secret.
#[derive(Clone, Default)]
pub(super) struct Aside(Arc<Mutex<Values>>);

#[derive(Default)]
struct Values {
    arguments: Option<Map<String, Value>>,
    result: Option<CallToolResult>,
}

impl Aside {
    /// Takes out of a message what the protocol does not need.
    pub(crate) fn take(message: &mut Map<String, Value>) -> Self {
        let aside = Self::default();
        let method = message.get("method").and_then(Value::as_str).unwrap_or_default();
        let known = PROTOCOL.iter().find(|(known, _)| *known == method).map_or(&["_meta"][..], |(_, needed)| needed);
        // An answer of the client's, which this server never asks for.
        for name in ["result", "error"] {
            if let Some(value) = message.get_mut(name) {
                *value = hollow(value);
            }
        }
        let Some(Value::Object(params)) = message.get_mut("params") else { return aside };
        params.retain(|name, _| known.contains(&name.as_str()));
        if let Some(value) = params.get_mut("arguments") {
            // What is no object stays something that is none, so that it is refused as before.
            let empty = hollow(value);
            if let Value::Object(arguments) = std::mem::replace(value, empty) {
                aside.with(|values| values.arguments = Some(arguments));
            }
        }
        aside
    }

    /// The arguments of the call. They are there once.
    pub(crate) fn arguments(&self) -> Map<String, Value> {
        self.with(|values| values.arguments.take()).unwrap_or_default()
    }

    /// Keeps the result, and gives back an empty one for the protocol library.
    pub(crate) fn keep(&self, result: CallToolResult) -> CallToolResult {
        self.with(|values| values.result = Some(result));
        CallToolResult::success(Vec::new())
    }

    /// The result, if the tool came to one.
    pub(crate) fn result(&self) -> Option<CallToolResult> {
        self.with(|values| values.result.take())
    }

    fn with<T>(&self, change: impl FnOnce(&mut Values) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// An empty value of the same type.
fn hollow(value: &Value) -> Value {
    match value {
        Value::Null => Value::Null,
        Value::Bool(_) => Value::Bool(false),
        Value::Number(_) => Value::from(0),
        Value::String(_) => Value::String(String::new()),
        Value::Array(_) => Value::Array(Vec::new()),
        Value::Object(_) => Value::Object(Map::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_protocol_gets_its_own_parameters_and_no_value_of_anybodys() {
        for (message, left) in [
            (
                json!({"id": 1, "method": "tools/call", "params": {"name": "get_secret", "arguments": {"a": "s3cret"}, "x": "s3cret"}}),
                json!({"id": 1, "method": "tools/call", "params": {"name": "get_secret", "arguments": {}}}),
            ),
            (
                json!({"method": "tools/call", "params": {"name": "x", "arguments": ["s3cret"]}}),
                json!({"method": "tools/call", "params": {"name": "x", "arguments": []}}),
            ),
            (
                json!({"method": "tools/call", "params": {"name": "x"}}),
                json!({"method": "tools/call", "params": {"name": "x"}}),
            ),
            (
                json!({"method": "tool/call", "params": {"arguments": {"a": "s3cret"}, "_meta": {"progressToken": 1}}}),
                json!({"method": "tool/call", "params": {"_meta": {"progressToken": 1}}}),
            ),
            (
                json!({"method": "notifications/x", "params": {"a": "s3cret"}}),
                json!({"method": "notifications/x", "params": {}}),
            ),
            (json!({"id": 1, "result": {"a": "s3cret"}}), json!({"id": 1, "result": {}})),
            (json!({"id": 1, "method": "ping"}), json!({"id": 1, "method": "ping"})),
        ] {
            let Value::Object(mut map) = message.clone() else { panic!("{message}") };
            let arguments = Aside::take(&mut map).arguments();
            assert_eq!(Value::Object(map), left, "{message}");
            let given = message.pointer("/params/arguments").filter(|_| message["method"] == "tools/call");
            assert_eq!(given.and_then(Value::as_object).cloned().unwrap_or_default(), arguments, "{message}");
        }
    }
}
