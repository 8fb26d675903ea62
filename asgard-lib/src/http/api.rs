//! REST, made from the table of operations: every route of every operation, nothing by hand.

mod body;
mod fields;
mod input;
mod reply;

use super::{Arrival, Caller, HttpState, Problem};
use crate::{
    app::{Operations, Route, core::operation::Method, operations::Entry, people},
    domain::access::Action,
    error::{Error, Result},
    kernel::CommitId,
};
use axum::{
    Router,
    extract::{FromRequestParts, RawPathParams, Request, State},
    response::Response,
    routing::{MethodRouter, delete, get, patch, post},
};
#[cfg(feature = "mcp")]
pub(super) use body::{collect, is_json};
pub(super) use fields::{Fields, Shape};
use http::{HeaderMap, HeaderName, header};
use std::sync::Arc;

/// Where REST lives.
pub(super) const PREFIX: &str = "/api";

pub(super) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A route of an operation with what is worked out once.
struct Endpoint {
    entry: Entry,
    route: &'static Route,
    fields: Fields,
}

/// Every route of every operation.
pub(super) fn routes(operations: &Operations) -> Router<Arc<HttpState>> {
    let mut router = Router::new();
    for entry in operations {
        for route in entry.meta.routes {
            let endpoint = Arc::new(Endpoint { entry: *entry, route, fields: Fields::of(&entry.input_schema()) });
            router = router.route(&format!("{PREFIX}{}", route.path), method(endpoint));
        }
    }
    router
}

fn method(endpoint: Arc<Endpoint>) -> MethodRouter<Arc<HttpState>> {
    let verb = endpoint.route.method;
    let handler = move |State(state): State<Arc<HttpState>>, request: Request| {
        let endpoint = Arc::clone(&endpoint);
        async move { answer(&state, &endpoint, request).await.map_err(Problem) }
    };
    match verb {
        Method::Get => get(handler),
        Method::Post => post(handler),
        Method::Patch => patch(handler),
        Method::Delete => delete(handler),
    }
}

/// Who calls: nobody in particular where nobody has to be known.
async fn caller(state: &Arc<HttpState>, entry: &Entry, parts: &mut http::request::Parts) -> Result<Option<Caller>> {
    match entry.meta.action {
        Action::Open => Ok(None),
        _ => <Caller as FromRequestParts<_>>::from_request_parts(parts, state)
            .await
            .map(Some)
            .map_err(|problem| problem.0),
    }
}

async fn answer(state: &Arc<HttpState>, endpoint: &Endpoint, request: Request) -> Result<Response> {
    let (mut parts, body) = request.into_parts();
    let arrival = Arrival::from_request_parts(&mut parts, state).await.map_err(|problem| problem.0)?;
    // Who it is comes first: a stranger learns nothing about what a body should look like, and is not read from.
    let caller = caller(state, &endpoint.entry, &mut parts).await?;
    let path = RawPathParams::from_request_parts(&mut parts, state)
        .await
        .map_err(|_| Error::invalid("path", "The path is not UTF-8 text."))?;
    let fixed: Vec<(&str, &str)> = path.iter().collect();
    let body = body::read(state, endpoint.route.method, &parts.headers, body).await?;
    let input = input::merge(&endpoint.fields, endpoint.route.method, &fixed, parts.uri.query(), body)?;
    let mut call = state.call(&arrival, caller.as_ref());
    call.idempotency_key = idempotency_key(&parts.headers)?;
    call.if_match = if_match(&parts.headers)?;
    let answer = state.perform(&endpoint.entry, &call, input).await?;
    reply::render(state, &endpoint.entry, endpoint.route, &arrival, caller.as_ref(), answer)
}

fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    match (value.to_str(), values.next()) {
        (Ok(text), None) => Ok(Some(text.trim())),
        (Ok(_) | Err(_), _) => {
            Err(Error::invalid(name.as_str().to_owned(), "Send this header once, in printable ASCII."))
        }
    }
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>> {
    // Quotes are part of it: two keys are the same when they are the same text.
    Ok(single(headers, &IDEMPOTENCY_KEY)?.map(str::to_owned))
}

/// The version that an `If-Match` header names. `*` asks only that there is one, which every operation does.
fn if_match(headers: &HeaderMap) -> Result<Option<CommitId>> {
    let Some(text) = single(headers, &header::IF_MATCH)? else { return Ok(None) };
    if text == "*" {
        return Ok(None);
    }
    let tag = text.strip_prefix("W/").unwrap_or(text).trim_matches('"');
    people::version(tag).map(Some).map_err(|_| Error::invalid("if-match", "Send one ETag of an earlier answer."))
}
