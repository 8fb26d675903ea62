//! The frame around every request: where it comes from, its trace id, its time limit, what becomes of a panic, the headers
//! of every answer.

use super::{HttpState, problem, rest_of_body::RestOfBody};
use crate::{
    app::Source,
    error::{Code, Error},
    kernel::{BasePath, Timestamp, TraceId},
};
use axum::{
    extract::{FromRequestParts, MatchedPath, NestedPath, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue, header, request::Parts};
use std::{
    net::IpAddr,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};
use tracing::Instrument;

/// The header that carries a trace id in and out.
pub const TRACE_HEADER: HeaderName = HeaderName::from_static("x-asgard-trace-id");

/// The other end of the connection. The listener puts it into every request; a Lambda function says what its front end says.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// Its address.
    pub address: IpAddr,
    /// Whether the connection itself is TLS.
    pub tls: bool,
}

/// The name that the platform itself gave this endpoint and that the request reached it by: from the event of a function, and
/// never from a header. `/mcp` takes it as one of its own.
#[derive(Clone, Debug)]
pub struct OwnName(pub String);

/// How long this one request may take, where its front end is less patient than the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Limit(pub Duration);

/// How a request arrived.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// What it is followed by.
    pub trace: TraceId,
    /// The client, as far as trusted proxies tell.
    pub source: Source,
    /// Whether the client speaks TLS, to us or to a trusted proxy.
    pub tls: bool,
    /// When the client has to have an answer.
    pub answer_by: Timestamp,
}

impl Arrival {
    fn of(state: &HttpState, request: &Request, limit: Duration) -> Self {
        let headers = request.headers();
        let peer = request.extensions().get::<Peer>().copied();
        let settings = state.settings();
        let trusted = peer.is_some_and(|peer| settings.trusts(peer.address));
        let forwarded_tls =
            trusted && forwarded_proto(headers).is_some_and(|proto| proto.eq_ignore_ascii_case("https"));
        let address = match peer {
            Some(peer) if trusted => client(headers, peer.address, |address| settings.trusts(address)).to_string(),
            Some(peer) => peer.address.to_canonical().to_string(),
            None => "unknown".to_owned(),
        };
        let connecting = peer.map(|peer| peer.address.to_canonical().to_string()).unwrap_or_default();
        let connecting = if connecting == address { String::new() } else { connecting };
        let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        Self {
            trace: incoming_trace(headers).unwrap_or_else(|| state.app().new_trace()),
            source: Source { address, peer: connecting, agent: agent.chars().take(120).collect() },
            tls: forwarded_tls || peer.is_some_and(|peer| peer.tls),
            answer_by: state.app().world().now().plus(limit),
        }
    }
}

impl FromRequestParts<Arc<HttpState>> for Arrival {
    type Rejection = problem::Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<HttpState>) -> Result<Self, Self::Rejection> {
        let arrival: Option<&Self> = parts.extensions.get();
        arrival.cloned().ok_or_else(|| Error::bug("a request outside the frame").into())
    }
}

fn forwarded_proto(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get("x-forwarded-proto")?.to_str().ok()?;
    value.split(',').next().map(str::trim)
}

/// The right-most address that no trusted proxy vouches for as one of its own; when all are proxies, the first of them.
fn client(headers: &HeaderMap, peer: IpAddr, trusts: impl Fn(IpAddr) -> bool) -> IpAddr {
    let mut farthest = peer;
    let values: Vec<&str> = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok()).collect();
    for entry in values.iter().rev().flat_map(|value| value.rsplit(',')).take(32) {
        let Some(address) = address(entry.trim()) else { break };
        farthest = address;
        if !trusts(address) {
            break;
        }
    }
    farthest.to_canonical()
}

/// An address as proxies write it: plain, in brackets, with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let bracketed = text.strip_prefix('[').and_then(|rest| rest.split_once(']')).map(|(inner, _)| inner);
    let plain = bracketed.unwrap_or(text);
    let without_port = || plain.rsplit_once(':').map(|(host, _)| host);
    plain.parse().ok().or_else(|| without_port()?.parse::<std::net::Ipv4Addr>().ok().map(IpAddr::from))
}

/// The caller's own trace id, when it is well formed: ours, or the trace id of a W3C `traceparent`.
fn incoming_trace(headers: &HeaderMap) -> Option<TraceId> {
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let own = text(&TRACE_HEADER).and_then(|text| text.parse().ok().or_else(|| w3c(text)));
    own.or_else(|| {
        let mut parts = text(&HeaderName::from_static("traceparent"))?.split('-');
        let version = parts.next().filter(|version| version.len() == 2 && *version != "ff")?;
        let known = u8::from_str_radix(version, 16).is_ok();
        parts.next().filter(|_| known).and_then(w3c)
    })
}

fn w3c(hex: &str) -> Option<TraceId> {
    let bytes = data_encoding::HEXLOWER.decode(hex.as_bytes()).ok().filter(|bytes| bytes.len() == 16)?;
    let mut digest = [0u8; 32];
    for (slot, byte) in digest.iter_mut().zip(&bytes) {
        *slot = *byte;
    }
    bytes.iter().any(|byte| *byte != 0).then(|| TraceId::from_digest(&digest))
}

/// Runs a request inside the frame.
pub(super) async fn frame(State(state): State<Arc<HttpState>>, mut request: Request, next: Next) -> Response {
    let began = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let limit = Duration::from_secs(state.settings().request_timeout_secs);
    let limit = request.extensions().get::<Limit>().map_or(limit, |Limit(less)| limit.min(*less));
    let arrival = Arrival::of(&state, &request, limit);
    let (trace, tls) = (arrival.trace.clone(), arrival.tls || state.settings().force_https);
    request.extensions_mut().insert(arrival);
    let waits = request.headers().contains_key(header::EXPECT);
    let rest = RestOfBody::default();
    let request = request.map(|body| rest.lend(body));
    let nested = request.extensions().get::<NestedPath>().cloned();
    let template = template(route.as_ref().map(MatchedPath::as_str), nested.as_ref().map(NestedPath::as_str));
    let span = tracing::info_span!("request", trace.id = %trace, http.method = %method, http.route = template);
    let answering = async {
        match misplaced(state.base(), nested.as_ref().map(NestedPath::as_str)) {
            Some(error) => problem::Problem(error).into_response(),
            None => next.run(request).await,
        }
    };
    let answer = AssertUnwindSafe(tokio::time::timeout(limit, answering)).catch_unwind().instrument(span).await;
    let mut response = match answer {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => problem::Problem(
            Error::new(
                Code::Timeout,
                format!(
                    "The request took longer than {} seconds and was ended. What it had committed by then stays.",
                    limit.as_secs()
                ),
            )
            .retry_after(1),
        )
        .into_response(),
        Err(panic) => problem::Problem(Error::bug(panic_text(&*panic))).into_response(),
    };
    // A client that asks before it sends is told without being read from.
    if response.status().is_client_error() && !waits {
        rest.drain().await;
    }
    problem::render(&mut response, &trace, state.base());
    finish(response.headers_mut(), &trace, tls);
    state.meters().request(template, &method, response.status(), began.elapsed());
    response
}

/// The route without what the host put before it, so that a host's path changes no label.
fn template<'r>(route: Option<&'r str>, nested: Option<&str>) -> &'r str {
    let Some(route) = route else { return "unmatched" };
    match route.strip_prefix(nested.unwrap_or_default()) {
        // With a slash behind the host's path, it is the start as well.
        Some("" | "//") => "/",
        // What a router is nested by as a service, when nothing inside it matched.
        Some(rest) if rest.contains("{*__private__") => "unmatched",
        Some(rest) => rest,
        None => route,
    }
}

/// A router that is nested somewhere else than its state says would hand out addresses that lead nowhere.
fn misplaced(base: &BasePath, nested: Option<&str>) -> Option<Error> {
    let nested = nested.filter(|nested| *nested != base.as_str())?;
    let message = format!("the router is nested at {nested} and its state says {base:?}; use HttpState::below");
    Some(Error::bug(message))
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panic: {}", text.unwrap_or("without a message"))
}

/// What every answer carries unless the handler said otherwise. `same-origin` and not `no-referrer`, because under the
/// latter browsers send `Origin: null` with forms and the Origin check would refuse our own pages.
const ALWAYS: [(HeaderName, HeaderValue); 8] = [
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; font-src 'self'; \
             connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        ),
    ),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    (
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static("camera=(), microphone=(), geolocation=()"),
    ),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

fn finish(headers: &mut HeaderMap, trace: &TraceId, tls: bool) {
    headers.reserve(ALWAYS.len() + 2);
    for (name, value) in &ALWAYS {
        headers.entry(name).or_insert_with(|| value.clone());
    }
    if tls {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    if let Ok(value) = HeaderValue::from_str(trace.as_str()) {
        headers.insert(TRACE_HEADER, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("x-forwarded-for", HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn a_hosts_path_is_no_part_of_a_route() {
        for (route, nested, told) in [
            (None, None, "unmatched"),
            (Some("/projects/{id}"), None, "/projects/{id}"),
            (Some("/governance/projects/{id}"), Some("/governance"), "/projects/{id}"),
            (Some("/governance"), Some("/governance"), "/"),
            (Some("/governance//"), Some("/governance"), "/"),
            (Some("/governance/{*__private__axum_nest_tail_param}"), Some("/governance"), "unmatched"),
        ] {
            assert_eq!(template(route, nested), told, "{route:?}");
        }
    }

    #[test]
    fn the_client_is_the_nearest_address_that_no_trusted_proxy_has() {
        let inside = |address: IpAddr| address.to_string().starts_with("10.") || address.is_loopback();
        for (values, expected) in [
            (&[][..], "10.0.0.1"),
            (&["198.51.100.7"], "198.51.100.7"),
            (&["198.51.100.7, 10.0.0.9"], "198.51.100.7"),
            (&["1.1.1.1, 198.51.100.7, 10.0.0.9"], "198.51.100.7"),
            (&["1.1.1.1", "198.51.100.7, 10.0.0.9"], "198.51.100.7"),
            (&["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            (&["198.51.100.7:51234, 10.0.0.9:80"], "198.51.100.7"),
            (&["[2001:db8::7]:443, 10.0.0.9"], "2001:db8::7"),
            (&["2001:db8::7"], "2001:db8::7"),
            (&["::ffff:198.51.100.7"], "198.51.100.7"),
            (&["198.51.100.7, nonsense, 10.0.0.9"], "10.0.0.9"),
            (&["unknown"], "10.0.0.1"),
        ] {
            let got = client(&headers(values), "10.0.0.1".parse().unwrap(), inside);
            assert_eq!(got.to_string(), expected, "{values:?}");
        }
    }
}
