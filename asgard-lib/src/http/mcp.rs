//! MCP at `/mcp`: one stateless endpoint over the table of operations, answered in plain JSON, so that any replica or
//! Lambda function can answer any request. The credential is checked before anything else, on every request and method.

mod aside;
mod guard;
mod rpc;
mod server;
mod tools;

use super::{Arrival, Caller, HttpState, Problem, api, auth};
use crate::{
    app::people::{Accepts, authenticate},
    error::{Code, Error, Result},
};
use aside::Aside;
use axum::{
    Router,
    body::Body,
    extract::{FromRequestParts, Request, State},
    response::{IntoResponse, Response},
    routing::any,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use http_body_util::BodyExt;
use rmcp::{
    model::CallToolResult,
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::never::NeverSessionManager,
    },
};
use serde_json::Value;
use server::McpServer;
use std::sync::Arc;
use tools::Tools;

/// Where MCP lives, and nowhere else.
const PATH: &str = "/mcp";
/// What many clients make of it.
const SAME: &str = "/mcp/";

type Service = StreamableHttpService<Arc<McpServer>, NeverSessionManager>;

/// The endpoint. Its tool list is made once; requests share it.
pub(super) fn routes(state: &Arc<HttpState>) -> Router<Arc<HttpState>> {
    let server = Arc::new(McpServer::new(Arc::clone(state), Tools::of(state.app().operations())));
    let limit = usize::try_from(state.settings().max_body_bytes).unwrap_or(usize::MAX);
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        // The guard below answers for these, in JSON and after the credential.
        .disable_allowed_hosts()
        .disable_allowed_origins()
        .with_max_request_body_bytes(limit);
    let service: Service = StreamableHttpService::new(move || Ok(Arc::clone(&server)), Arc::default(), config);
    let handler = move |State(state): State<Arc<HttpState>>, request: Request| {
        let service = service.clone();
        async move { answer(&state, &service, request).await }
    };
    // Without a redirect: a client that followed one would send its credential a second time, or would not at all.
    Router::new().route(PATH, any(handler.clone())).route(SAME, any(handler))
}

async fn answer(state: &Arc<HttpState>, service: &Service, request: Request) -> Result<Response, Problem> {
    let (mut parts, body) = request.into_parts();
    let arrival = Arrival::from_request_parts(&mut parts, state).await?;
    let caller = identify(state, &parts.headers).await?;
    guard::check(state, &parts)?;
    if parts.method != Method::POST {
        let message = format!("{PATH} takes POST only: it keeps no sessions and sends no events of its own.");
        let problem = Problem(Error::new(Code::MethodNotAllowed, message));
        return Ok(([(header::ALLOW, "POST")], problem).into_response());
    }
    if !api::is_json(&parts.headers) {
        return Err(Error::new(Code::UnsupportedMedia, "Send JSON-RPC with `Content-Type: application/json`.").into());
    }
    let bytes = api::collect(state, &parts.headers, body).await?;
    let mut message = match rpc::read(&bytes) {
        Ok(message) => message,
        Err(fault) => return Ok(fault.into_response()),
    };
    let aside = Aside::take(&mut message);
    let hollow = serde_json::to_vec(&message).map_err(Error::bug)?;
    widen_accept(&mut parts.headers);
    // The credential has been judged and goes no further; the caller does.
    parts.headers.remove(header::AUTHORIZATION);
    parts.headers.remove(header::COOKIE);
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.extensions.insert(arrival);
    parts.extensions.insert(caller);
    parts.extensions.insert(aside.clone());
    let response = service.handle(Request::from_parts(parts, Body::from(hollow))).await;
    let response = in_json(response.map(Body::new)).await;
    match aside.result() {
        Some(result) => whole(response, result).await.map_err(Problem),
        None => Ok(response),
    }
}

/// Who calls: the project key or user token in the Authorization header, and nothing else; neither a cookie nor a listener
/// whose sign-in is switched off lets anybody in here.
async fn identify(state: &HttpState, headers: &HeaderMap) -> Result<Caller> {
    let Some(credential) = auth::bearer(headers)? else {
        let keys = state.base().join("/api/projects/{project_id}/keys");
        return Err(Error::new(
            Code::NoCredential,
            format!(
                "Send a project key (asg_...) or a user token (asg_pat_...) as `Authorization: Bearer <key>`. A project's owner mints keys with POST {keys} or on the project's page."
            ),
        ));
    };
    let actor = authenticate(state.app(), credential, Accepts::Agents).await?;
    Ok(Caller { actor, via: auth::Via::Bearer })
}

/// Clients have to accept both JSON and event streams, and simple scripts do not know; the answer is JSON in any case.
fn widen_accept(headers: &mut HeaderMap) {
    let takes_json = |value: &HeaderValue| {
        let kinds = value.to_str().unwrap_or_default().split(',');
        let mut essences = kinds.map(|kind| kind.split(';').next().unwrap_or_default().trim());
        essences.any(|essence| {
            matches!(essence, "*/*" | "application/*") || essence.eq_ignore_ascii_case("application/json")
        })
    };
    let mut values = headers.get_all(header::ACCEPT).iter().peekable();
    if values.peek().is_none() || values.any(takes_json) {
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
    }
}

/// The answer to a tool call: the protocol layer's, with the result in it.
async fn whole(response: Response, result: CallToolResult) -> Result<Response> {
    let (mut parts, body) = response.into_parts();
    let bytes = body.collect().await.map_err(Error::bug)?.to_bytes();
    let mut answer: Value = serde_json::from_slice(&bytes).map_err(Error::bug)?;
    // An error here is the protocol layer's own, made after the tool had answered; there is nothing to put the result into.
    if let Some(Value::Object(hollow)) = answer.get_mut("result")
        && let Value::Object(fields) = serde_json::to_value(result).map_err(Error::bug)?
    {
        hollow.extend(fields);
    }
    parts.headers.remove(header::CONTENT_LENGTH);
    Ok(Response::from_parts(parts, Body::from(serde_json::to_vec(&answer).map_err(Error::bug)?)))
}

/// A refusal of the protocol layer that is plain text becomes a JSON-RPC error, so that every client can read it.
async fn in_json(response: Response) -> Response {
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if response.status() < StatusCode::BAD_REQUEST || kind.starts_with("application/json") {
        return response;
    }
    let (parts, body) = response.into_parts();
    let text = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let status = match parts.status {
        // Well-formed JSON that is no message: the media type is not what is wrong with it.
        StatusCode::UNSUPPORTED_MEDIA_TYPE => StatusCode::BAD_REQUEST,
        status => status,
    };
    rpc::Fault::invalid(status, String::from_utf8_lossy(&text).chars().take(300).collect()).into_response()
}
