//! Every route, in one value.

use super::{HttpState, Problem, api, frame, health, metrics};
use crate::error::{Code, Error};
use axum::{Router, middleware, routing::get};
use http::{Method, Uri};
use std::sync::Arc;

/// Everything that Asgard answers. The server, a Lambda function and tests mount the same value.
pub fn router(state: Arc<HttpState>) -> Router {
    let routes = Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(metrics::metrics))
        .merge(api::routes());
    #[cfg(feature = "mcp")]
    let routes = routes.merge(super::mcp::routes(&state));
    #[cfg(feature = "dashboard")]
    let routes = routes.merge(super::dashboard::routes());
    routes
        .fallback(nothing_here)
        .method_not_allowed_fallback(other_method)
        .layer(middleware::from_fn_with_state(Arc::clone(&state), frame::frame))
        .with_state(state)
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
