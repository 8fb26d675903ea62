//! Every route, in one value.

use super::{HttpState, Problem, api, docs, frame, health, metrics, openapi};
use crate::error::{Code, Error};
use axum::{
    Router, middleware,
    routing::{any, get},
};
use http::{Method, Uri};
use std::sync::Arc;

/// Everything that Asgard answers. The server, a Lambda function and tests mount the same value.
pub fn router(state: Arc<HttpState>) -> Router {
    let routes = Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(metrics::metrics))
        .route("/api/openapi.json", get(openapi::openapi))
        .merge(docs::routes())
        .merge(api::routes())
        // Clients look for an authorisation server here and read what is not JSON as a broken one.
        .route("/.well-known/{*document}", any(nothing_here))
        .route("/register", any(nothing_here));
    #[cfg(feature = "mcp")]
    let routes = routes.merge(super::mcp::routes(&state));
    #[cfg(feature = "dashboard")]
    let routes = routes.merge(super::dashboard::routes());
    let routes = routes.fallback(nothing_here).method_not_allowed_fallback(other_method);
    #[cfg(feature = "dashboard")]
    let routes = routes.layer(middleware::from_fn_with_state(Arc::clone(&state), super::dashboard::in_style));
    routes.layer(middleware::from_fn_with_state(Arc::clone(&state), frame::frame)).with_state(state)
}

async fn nothing_here(uri: Uri) -> Problem {
    let path: String = uri.path().chars().take(200).collect();
    Error::new(Code::NotFound, format!("There is nothing at {path}. /api/openapi.json lists what there is.")).into()
}

async fn other_method(method: Method, uri: Uri) -> Problem {
    let path: String = uri.path().chars().take(200).collect();
    Error::new(Code::MethodNotAllowed, format!("{path} does not take {method}; the Allow header says what it takes."))
        .into()
}
