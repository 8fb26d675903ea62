//! The OpenAPI 3.1 document, made from the table of operations. Its schemas are those that commands and outputs are read and
//! written by, so it cannot say anything else than what happens.

mod examples;
mod paths;
mod schemas;
#[cfg(test)]
mod tests;

use super::{HttpState, Problem};
use crate::{
    app::Operations,
    error::{Code, Error},
    kernel::BasePath,
};
use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::header;
use schemas::Schemas;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// `/api/openapi.json`.
pub(super) async fn openapi(State(state): State<Arc<HttpState>>) -> Result<Response, Problem> {
    let text = serde_json::to_vec_pretty(state.openapi()).map_err(Error::bug)?;
    Ok(([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "max-age=300")], text).into_response())
}

const DESCRIPTION: &str = "Agents and people ask for things; a policy decides; the decision and its audit record are committed \
together or not at all. Lists come in pages: pass `next_cursor` back as `cursor`. Errors are problem documents (RFC 9457) with a \
stable `code`; `type` links to its page. Calls that create something honour `Idempotency-Key`. Objects carry a `version`, which is \
also their ETag: send it back as `If-Match` (412 when it has changed) or as `version` in the body (409). Every answer names its \
trace in `x-asgard-trace-id`. Agents use the same operations as MCP tools at";

/// The document of these operations, on a server below `base`.
pub(super) fn document(operations: &Operations, base: &BasePath) -> Value {
    let mut schemas = Schemas::new();
    let paths = paths::paths(operations, &mut schemas);
    let mut components = schemas.finish();
    components.insert("Problem".into(), problem_schema());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Asgard",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "A governance control plane for agents and the people who answer for them",
            "description": format!("{DESCRIPTION} `{}`, with a project key.", base.join("/mcp")),
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": base.join("/"), "description": "This server" }],
        "security": [{ "bearer": [] }, { "session": [] }],
        "tags": paths::tags(operations),
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "bearer": {
                    "type": "http", "scheme": "bearer",
                    "description": format!("A session's token from `POST {}`, or a user token (`asg_pat_...`).", base.join("/api/auth/login")),
                },
                "session": {
                    "type": "apiKey", "in": "cookie", "name": super::auth::session_cookie_name(base),
                    "description": "The session of a browser. Requests that change something must come from Asgard's own pages.",
                },
            },
            "parameters": {
                "IdempotencyKey": {
                    "name": "Idempotency-Key", "in": "header",
                    "description": "Any text of your own. The same key and body within a day does nothing new and gives the first answer again, with `Idempotency-Replayed: true`; what is shown only once is left out.",
                    "schema": { "type": "string", "pattern": "^[!-~]([ -~]{0,198}[!-~])?$" },
                },
                "IfMatch": {
                    "name": "If-Match", "in": "header",
                    "description": "The ETag of what you have read; 412 when it has changed since. `*` accepts any version.",
                    "schema": { "oneOf": [
                        { "const": "*" },
                        { "type": "string", "pattern": "^(W/)?\"cmt_[0-9a-hjkmnp-tv-z]{26}\"$" },
                    ] },
                },
            },
            "headers": {
                "ETag": { "description": "The version of what is in the body.", "schema": { "type": "string" } },
                "Location": { "description": "Where it can be read.", "schema": { "type": "string", "format": "uri-reference" } },
                "Trace": { "description": "What the request is followed by in logs and the audit log.", "schema": { "type": "string" } },
            },
            "responses": {
                "Problem": problem_response("What went wrong."),
                "Later": problem_response("Too much at once, or not just now: `retry_after` says when to try again, where that is known."),
            },
        },
    })
}

fn problem_response(description: &str) -> Value {
    json!({
        "description": description,
        "headers": { "x-asgard-trace-id": { "$ref": "#/components/headers/Trace" } },
        "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
    })
}

fn problem_schema() -> Value {
    let codes: Vec<&str> = Code::ALL.iter().map(|code| code.slug()).collect();
    let text = |description: &str| json!({ "type": "string", "description": description });
    let properties = [
        ("type", json!({ "type": "string", "format": "uri-reference", "description": "The page about this code." })),
        ("title", text("What the code means, the same every time.")),
        ("status", json!({ "type": "integer", "description": "The HTTP status." })),
        ("detail", text("What is wrong this time, and what is allowed.")),
        ("code", json!({ "type": "string", "enum": codes, "description": "Stable; decide by this." })),
        ("field", text("The field that is wrong, if one is.")),
        ("retry_after", json!({ "type": "integer", "description": "Seconds after which trying again makes sense." })),
        ("trace_id", text("Finds the request in the operator's log.")),
    ];
    let properties: Map<String, Value> =
        properties.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect();
    json!({
        "type": "object",
        "description": "An error as RFC 9457 problem details.",
        "properties": properties,
        "required": ["type", "title", "status", "detail", "code", "trace_id"],
    })
}
