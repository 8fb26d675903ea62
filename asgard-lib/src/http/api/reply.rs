//! An answer of an operation as a response.

use crate::{
    app::{
        Route,
        operations::{Answer, Entry},
    },
    error::{Error, Result},
    http::{
        Arrival, Caller, HttpState,
        auth::{self, Via},
    },
};
use axum::{body::Body, response::Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde_json::Value;

/// Says that the answer is that of an earlier call under the same idempotency key.
pub(in crate::http) const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The answer with its status and headers.
pub(super) fn render(
    state: &HttpState,
    entry: &Entry,
    route: &Route,
    arrival: &Arrival,
    caller: Option<&Caller>,
    answer: Answer,
) -> Result<Response> {
    let bytes = serde_json::to_vec(&answer.value).map_err(Error::bug)?;
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = StatusCode::from_u16(route.status).map_err(Error::bug)?;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(version) = answer.value.get("version").and_then(Value::as_str) {
        put(headers, header::ETAG, &format!("\"{version}\""))?;
    }
    if answer.replayed {
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
    }
    if let Some(location) = location(state, entry, route, &answer.value) {
        put(headers, header::LOCATION, &location)?;
    }
    if let Some(cookie) = cookie(state, entry, arrival, caller, &answer.value)? {
        headers.append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

fn put(headers: &mut HeaderMap, name: HeaderName, text: &str) -> Result<()> {
    headers.insert(name, HeaderValue::from_str(text).map_err(Error::bug)?);
    Ok(())
}

/// Where what was made or asked for can be read: a request under its id, anything else with the `get` of its area.
fn location(state: &HttpState, entry: &Entry, route: &Route, value: &Value) -> Option<String> {
    if !matches!(route.status, 201 | 202) {
        return None;
    }
    let request = value.get("request").filter(|request| request.get("request_id").is_some());
    let (area, value) = match request {
        Some(request) => ("requests", request),
        None => (entry.meta.name.split('.').next()?, value),
    };
    let get = state.app().operations().named(&format!("{area}.get"))?.meta.routes.first()?;
    let mut path = super::PREFIX.to_owned();
    for part in get.path.split('/').skip(1) {
        path.push('/');
        match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            // Ids only: letters, digits, dashes and underscores.
            Some(field) => path.push_str(value.get(field)?.as_str()?),
            None => path.push_str(part),
        }
    }
    Some(state.base().join(&path))
}

/// Signing in hands a browser its session; whatever ends the session takes it back.
fn cookie(
    state: &HttpState,
    entry: &Entry,
    arrival: &Arrival,
    caller: Option<&Caller>,
    value: &Value,
) -> Result<Option<HeaderValue>> {
    match entry.meta.name {
        "auth.login" => {
            let token =
                value.get("token").and_then(Value::as_str).ok_or_else(|| Error::bug("a login without a token"))?;
            let max_age = state.app().config().people.session_hours * 3600;
            auth::session_cookie_header(state, arrival, token, max_age).map(Some)
        }
        "auth.logout" | "auth.change_password" if caller.is_some_and(|caller| caller.via == Via::Cookie) => {
            auth::session_cookie_header(state, arrival, "", 0).map(Some)
        }
        _ => Ok(None),
    }
}
