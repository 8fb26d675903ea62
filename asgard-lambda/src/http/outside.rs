//! Answers from outside the router: it is not open yet, or the event never becomes a request.

use asgard_lib::{
    Error,
    http::{TRACE_HEADER, problem},
    kernel::{BasePath, TraceId},
    ports::world::World,
};
use axum::body::Body;
use lambda_http::{
    Response,
    http::{HeaderValue, header},
};

/// The problem document of an error.
pub(super) fn problem(error: &Error, world: &World, base: &BasePath) -> Response<Body> {
    let trace: TraceId = world.id();
    let mut response = Response::new(Body::from(problem::document(error, &trace, base).to_string()));
    *response.status_mut() = problem::status(error);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(trace) = HeaderValue::from_str(trace.as_str()) {
        headers.insert(TRACE_HEADER, trace);
    }
    if let Some(secs) = error.retry_after_secs() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(secs));
    }
    response
}
