//! Pages for what cannot be shown.

use super::layout::{Banner, Layout};
use crate::{
    error::{Error, Kind},
    http::{
        Arrival, Caller, HttpState, Problem,
        problem::{Failed, told},
    },
    kernel::TraceId,
};
use askama::Template;
use axum::{
    extract::{OptionalFromRequestParts, Request, State},
    middleware::Next,
    response::{Html, IntoResponse, Response},
};
use http::{HeaderValue, Method, header};
use std::sync::Arc;

/// A page about an error.
#[derive(Template)]
#[template(path = "pages/error.html")]
pub(crate) struct ErrorPage {
    layout: Layout,
    status: u16,
    banner: Banner,
    advice: &'static str,
}

impl ErrorPage {
    fn new(layout: Layout, trace: &TraceId, error: &Error) -> Self {
        Self {
            status: error.code().status(),
            banner: Banner::new(error, trace, &layout.base),
            layout: Layout { flash: None, ..layout },
            advice: advice(error.kind()),
        }
    }

    /// The answer that tells about an error within a frame.
    pub(crate) fn answer(layout: Layout, trace: &TraceId, error: Error) -> Response {
        match Self::new(layout, trace, &error).render() {
            Ok(html) => told(error, Html(html).into_response()),
            Err(broken) => Problem(Error::bug(broken)).into_response(),
        }
    }
}

/// What programs ask for; they get problem documents whatever they say they accept.
const PROGRAMS: [&str; 7] = ["/api", "/mcp", "/graphql", "/.well-known", "/healthz", "/readyz", "/metrics"];

fn reads_pages(request: &Request) -> bool {
    let path = request.uri().path();
    let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let program = |root: &&str| path.strip_prefix(*root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    accept.contains("text/html") && !PROGRAMS.iter().any(program)
}

/// Shows browsers a page where programs get a problem document: an address that is not there, a method that it does not
/// take, a form that cannot be read.
pub(crate) async fn in_style(State(state): State<Arc<HttpState>>, request: Request, next: Next) -> Response {
    if !reads_pages(&request) {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let mut asked = parts.clone();
    let mut response = next.run(Request::from_parts(parts, body)).await;
    let Some(failed) = response.extensions().get::<Failed>().filter(|failed| !failed.told).cloned() else {
        return response;
    };
    // The visitor is looked up as for a page that is read: a refused form says nothing about who may see the navigation.
    asked.method = Method::GET;
    let caller = <Caller as OptionalFromRequestParts<_>>::from_request_parts(&mut asked, &state).await.ok().flatten();
    let layout = caller.map_or_else(|| Layout::bare(&state), |caller| Layout::of(&state, &caller.actor, None));
    let Some(arrival) = asked.extensions.get::<Arrival>() else { return response };
    match ErrorPage::new(layout, &arrival.trace, &failed.error).render() {
        Ok(html) => {
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
            *response.body_mut() = html.into();
            response.extensions_mut().insert(Failed { told: true, ..failed });
            response
        }
        Err(broken) => Problem(Error::bug(broken)).into_response(),
    }
}

const fn advice(kind: Kind) -> &'static str {
    match kind {
        Kind::Invalid => "Go back, change what is named above, and try again.",
        Kind::Unauthenticated => "Sign in and try again.",
        Kind::Denied => "Somebody with the right role or standing can do this.",
        Kind::NotFound => {
            "It may be gone, it may belong to a project that you have no part in, or the address may be mistyped."
        }
        Kind::Conflict => "Go back, load the page again, and decide on what it shows now.",
        Kind::Limit => "Wait a little and try again.",
        Kind::Upstream | Kind::Unavailable => {
            "Trying again in a moment may help. If it does not, give the trace id to whoever runs this system."
        }
        Kind::Bug => "Give the trace id to whoever runs this system; it finds the failure in the log.",
    }
}
