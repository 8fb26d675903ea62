//! Every route, in one value.

use super::{HttpState, Problem, api, docs, frame, health, metrics, openapi};
use crate::error::{Code, Error};
use axum::{
    Router, middleware,
    routing::{any, get},
};
use http::{Method, Uri};
use std::sync::Arc;

/// What is mounted. Everything else is answered as what is not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Surface {
    /// Everything.
    #[default]
    All,
    /// REST with its description, and the dashboard.
    Api,
    /// MCP, and where clients look for an authorisation server.
    Mcp,
}

/// Everything that Asgard answers. The server, a Lambda function and tests mount the same value.
pub fn router(state: Arc<HttpState>) -> Router {
    router_of(state, Surface::All)
}

/// A part of what Asgard answers, with `/healthz` and `/readyz`.
pub fn router_of(state: Arc<HttpState>, surface: Surface) -> Router {
    let routes = Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        // Clients look for an authorisation server here and read what is not JSON as a broken one.
        .route("/.well-known/{*document}", any(nothing_here))
        .route("/register", any(nothing_here));
    let routes = match surface {
        Surface::Mcp => routes,
        Surface::All | Surface::Api => rest(routes, &state),
    };
    #[cfg(feature = "mcp")]
    let routes = match surface {
        Surface::Api => routes,
        Surface::All | Surface::Mcp => routes.merge(super::mcp::routes(&state)),
    };
    let routes = routes.fallback(nothing_here).method_not_allowed_fallback(other_method);
    #[cfg(feature = "dashboard")]
    let routes = routes.layer(middleware::from_fn_with_state(Arc::clone(&state), super::dashboard::in_style));
    routes.layer(middleware::from_fn_with_state(Arc::clone(&state), frame::frame)).with_state(state)
}

fn rest(routes: Router<Arc<HttpState>>, state: &HttpState) -> Router<Arc<HttpState>> {
    let routes = routes
        .route("/metrics", get(metrics::metrics))
        .route("/api/openapi.json", get(openapi::openapi))
        .merge(docs::routes())
        .merge(api::routes(state.app().operations()));
    #[cfg(feature = "dashboard")]
    let routes = routes.merge(super::dashboard::routes());
    routes
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
