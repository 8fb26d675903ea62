//! Errors as RFC 9457 problem details, and the one place that logs failures.

use crate::{
    error::{Code, Error, Kind},
    kernel::{BasePath, TraceId},
};
use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Map, Value};
use std::sync::Arc;

/// An error on its way out. The frame around every request renders it, because it knows the trace id, and logs it once.
#[derive(Debug)]
pub struct Problem(pub Error);

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

/// An error that a response stands for.
#[derive(Clone)]
pub(super) struct Failed {
    pub error: Arc<Error>,
    /// Whether the body already tells it, as a page does.
    pub told: bool,
}

/// The status that an error is answered with.
pub fn status(error: &Error) -> StatusCode {
    StatusCode::from_u16(error.code().status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = status(&self.0);
        response.extensions_mut().insert(Failed { error: Arc::new(self.0), told: false });
        response
    }
}

/// Marks a page that already tells the person about `error`, so that the frame logs the error and leaves the page alone.
pub fn told(error: Error, mut page: Response) -> Response {
    *page.status_mut() = status(&error);
    page.extensions_mut().insert(Failed { error: Arc::new(error), told: true });
    page
}

/// The problem document. Its type is a page below `base`: [`HttpState::base`](super::HttpState::base).
pub fn document(error: &Error, trace: &TraceId, base: &BasePath) -> Value {
    let code = error.code();
    let mut map = Map::new();
    map.insert("type".into(), page(code, base).into());
    map.insert("title".into(), code.title().into());
    map.insert("status".into(), code.status().into());
    map.insert("detail".into(), error.message().into());
    map.insert("code".into(), code.slug().into());
    if let Some(field) = error.field() {
        map.insert("field".into(), field.into());
    }
    if let Some(secs) = error.retry_after_secs() {
        map.insert("retry_after".into(), secs.into());
    }
    map.insert("trace_id".into(), trace.as_str().into());
    Value::Object(map)
}

/// Where a code is explained.
pub(super) fn page(code: Code, base: &BasePath) -> String {
    base.join(&format!("/docs/errors/{}", code.slug()))
}

/// Turns a response that stands for an error into a problem document, unless its body already tells it.
pub(super) fn render(response: &mut Response, trace: &TraceId, base: &BasePath) {
    let Some(failed) = response.extensions_mut().remove::<Failed>() else { return };
    log(&failed.error, trace);
    if failed.told {
        return;
    }
    let error = &failed.error;
    *response.status_mut() = status(error);
    *response.body_mut() = Body::from(document(error, trace, base).to_string());
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_LENGTH);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    if let Some(secs) = error.retry_after_secs() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(secs));
    }
    if error.kind() == Kind::Unauthenticated {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
}

/// Logs a failure, once, where it is answered. The chain is for the operator; it never holds a secret.
pub(super) fn log(error: &Error, trace: &TraceId) {
    let (code, chain) = (error.code().slug(), error.chain());
    match error.kind() {
        // Asked again and again while a process starts or stops, and nothing is wrong with it.
        Kind::Unavailable if error.code() == Code::NotReady => {
            tracing::debug!(trace.id = %trace, error.code = code, "a request came too early or too late");
        }
        Kind::Bug | Kind::Unavailable | Kind::Upstream => {
            tracing::error!(trace.id = %trace, error.code = code, error.chain = chain, "a request failed");
        }
        Kind::Denied | Kind::Limit => {
            tracing::info!(trace.id = %trace, error.code = code, error.chain = chain, "a request was refused");
        }
        // The sentence may quote what was sent, and what was sent may be a secret in the wrong place.
        Kind::Invalid => {
            let field = error.field().unwrap_or_default();
            tracing::debug!(trace.id = %trace, error.code = code, error.field = field, "a request was refused");
        }
        Kind::Unauthenticated | Kind::NotFound | Kind::Conflict => {
            tracing::debug!(trace.id = %trace, error.code = code, error.chain = chain, "a request was refused");
        }
    }
}
