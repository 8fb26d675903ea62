//! JSON-RPC as far as it has to be judged before the protocol layer sees it: what is no message gets an answer that says so.

use crate::http::json;
use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Map, Value, json};

const PARSE_ERROR: i32 = -32700;
const INVALID_REQUEST: i32 = -32600;

/// A message that cannot be answered as one.
pub(super) struct Fault {
    status: StatusCode,
    code: i32,
    id: Value,
    message: String,
}

impl Fault {
    /// A message that is not one, or not for us.
    pub(crate) fn invalid(status: StatusCode, message: String) -> Self {
        Self { status, code: INVALID_REQUEST, id: Value::Null, message }
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let body = json!({
            "jsonrpc": "2.0", "id": self.id, "error": { "code": self.code, "message": self.message },
        });
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() = self.status;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }
}

/// Reads the bytes as one JSON-RPC message.
pub(super) fn read(bytes: &[u8]) -> Result<Map<String, Value>, Fault> {
    let bad = |code, id, message: String| Fault { status: StatusCode::BAD_REQUEST, code, id, message };
    let message = json::parse(bytes).map_err(|fault| match fault {
        json::Fault::Syntax(why) => bad(PARSE_ERROR, Value::Null, format!("The body is not valid JSON: {why}.")),
        json::Fault::Unclear(why) => bad(INVALID_REQUEST, Value::Null, format!("The message is not accepted: {why}.")),
    })?;
    let Value::Object(message) = message else {
        let why = "Send one JSON-RPC message, as a JSON object; batches are not part of the protocol any more.";
        return Err(bad(INVALID_REQUEST, Value::Null, why.to_owned()));
    };
    let id = message.get("id");
    let known = id.filter(|id| id.is_string() || id.is_i64() || id.is_u64());
    let refuse = |why: &str| Err(bad(INVALID_REQUEST, known.cloned().unwrap_or_default(), why.to_owned()));
    if message.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
        return refuse("`jsonrpc` must be \"2.0\".");
    }
    if id.is_some() && known.is_none() {
        return refuse("`id` must be a string or a whole number; leave it out of a notification.");
    }
    match (message.get("method"), message.contains_key("result") || message.contains_key("error")) {
        (Some(Value::String(_)), _) | (None, true) => {}
        (Some(_), _) => return refuse("`method` must be text."),
        (None, false) => return refuse("The message has no `method`."),
    }
    if message.get("params").is_some_and(|params| !params.is_object()) {
        return refuse("`params` must be an object.");
    }
    Ok(message)
}
