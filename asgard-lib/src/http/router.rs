//! Every route, in one value; and how it stands beside a host's.

use super::{HttpState, Problem, api, docs, frame, health, metrics, openapi};
use crate::{
    error::{Code, Error},
    kernel::BasePath,
};
use axum::{
    Router,
    extract::{OriginalUri, State},
    middleware,
    response::{IntoResponse, Redirect, Response},
    routing::{any, get},
};
use http::{HeaderMap, Method, header};
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

/// Everything that Asgard answers, to be nested at [`HttpState::base`], or to have a whole address where that is the root.
pub fn router(state: Arc<HttpState>) -> Router {
    router_of(state, Surface::All)
}

/// A part of what Asgard answers, with `/healthz` and `/readyz`, to be nested at [`HttpState::base`].
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

/// Everything that Asgard answers, already below [`HttpState::base`], to be merged with a host's router. It has no route and
/// no fallback outside of that path. At the root there is no outside: a host that has the rest of the address gives Asgard
/// what it does not know itself, with `fallback_service(router(state))`.
pub fn mounted(state: Arc<HttpState>) -> Router {
    below(state, Surface::All)
}

fn below(state: Arc<HttpState>, surface: Surface) -> Router {
    let base = state.base().clone();
    let routes = router_of(state, surface);
    // As a service, because `/governance/` belongs to `/governance` as well.
    if base.is_root() { routes } else { Router::new().nest_service(base.as_str(), routes) }
}

/// What a server or a function that has the whole address answers: [`router_of`] at its base, and beside it, at the root,
/// `/healthz`, `/readyz` and `/metrics` for whoever looks after the process, and [`well_known`].
pub fn server(state: Arc<HttpState>, surface: Surface) -> Router {
    if state.base().is_root() {
        return router_of(state, surface);
    }
    let root = Router::new().route("/healthz", get(health::healthz)).route("/readyz", get(health::readyz));
    let root = match surface {
        Surface::Mcp => root,
        Surface::All | Surface::Api => root.route("/metrics", get(metrics::metrics)),
    };
    let root = root
        .fallback(elsewhere)
        .method_not_allowed_fallback(other_method)
        .layer(middleware::from_fn_with_state(Arc::clone(&state), frame::frame))
        .with_state(Arc::clone(&state));
    root.merge(well_known(Arc::clone(&state))).merge(below(state, surface))
}

/// The documents about Asgard that clients look for at the root of an address, whatever path Asgard is below: those of an
/// issuer and of a protected resource (RFC 8414 and RFC 9728) have its path behind their names. A host whose Asgard is below
/// a path merges this into its own router; at the root [`router()`] has them. No authorisation server is part of this version:
/// they say so in JSON, because clients read anything else as a broken one.
pub fn well_known(state: Arc<HttpState>) -> Router {
    let mut routes = Router::new();
    for path in well_known_paths(state.base()) {
        routes = routes.route(&path, any(nothing_here));
    }
    // Not around the fallback: whoever merges this would answer what is not there at all in our frame.
    routes.route_layer(middleware::from_fn_with_state(Arc::clone(&state), frame::frame)).with_state(state)
}

fn well_known_paths(base: &BasePath) -> Vec<String> {
    let issuer = ["oauth-authorization-server", "openid-configuration"];
    let issuer = issuer.map(|name| format!("/.well-known/{name}{base}"));
    let resource =
        [base.to_string(), base.join("/mcp")].map(|path| format!("/.well-known/oauth-protected-resource{path}"));
    issuer.into_iter().chain(resource).collect()
}

fn rest(routes: Router<Arc<HttpState>>, state: &Arc<HttpState>) -> Router<Arc<HttpState>> {
    let routes = routes
        .route("/metrics", get(metrics::metrics))
        .route("/api/openapi.json", get(openapi::openapi))
        .merge(docs::routes())
        .merge(api::routes(state.app().operations()));
    #[cfg(feature = "dashboard")]
    let routes = routes.merge(super::dashboard::routes(state));
    routes
}

/// A path as it is shown, whatever was sent.
fn shown(path: &str) -> String {
    path.chars().take(200).collect()
}

async fn nothing_here(
    State(state): State<Arc<HttpState>>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Problem {
    let path = shown(uri.path());
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accepted.contains("text/html") {
        // A person, who has no use for the description of an API.
        return Error::new(Code::NotFound, format!("There is no page at {path}.")).into();
    }
    let list = state.base().join("/api/openapi.json");
    Error::new(Code::NotFound, format!("There is nothing at {path}. {list} lists what there is.")).into()
}

/// Outside of the base path.
async fn elsewhere(State(state): State<Arc<HttpState>>, method: Method, OriginalUri(uri): OriginalUri) -> Response {
    if method == Method::GET && uri.path() == "/" {
        return Redirect::to(state.base().as_str()).into_response();
    }
    let message = format!("There is nothing at {}. Asgard is at {}.", shown(uri.path()), state.base());
    Problem(Error::new(Code::NotFound, message)).into_response()
}

async fn other_method(method: Method, OriginalUri(uri): OriginalUri) -> Problem {
    let path = shown(uri.path());
    Error::new(Code::MethodNotAllowed, format!("{path} does not take {method}; the Allow header says what it takes."))
        .into()
}
