//! Whether a browser's request comes from our own pages.

use crate::{
    error::{Code, Error, Result},
    http::HttpState,
};
use http::{HeaderMap, header, request::Parts};
use std::net::IpAddr;

/// A host and the port that was named, if one was.
#[derive(Debug, PartialEq, Eq)]
struct Authority<'a> {
    host: &'a str,
    port: Option<u16>,
}

fn authority(text: &str) -> Option<Authority<'_>> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port.parse().ok()?)),
        Some(_) | None => (text, None),
    };
    (!host.is_empty()).then_some(Authority { host, port })
}

/// Whether an origin such as `https://asgard.example.com` is the host that the request was sent to. Compares host and
/// port and not the scheme, which a proxy that ends TLS does not tell reliably.
pub(in crate::http) fn is_own(origin: &str, own: &str) -> bool {
    let Some((scheme, rest)) = origin.split_once("://") else { return false };
    let standard = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return false,
    };
    match (authority(rest.split(['/', '?', '#']).next().unwrap_or_default()), authority(own)) {
        (Some(theirs), Some(ours)) => {
            theirs.host.eq_ignore_ascii_case(ours.host)
                && theirs.port.unwrap_or(standard) == ours.port.unwrap_or(standard)
        }
        (_, None) | (None, _) => false,
    }
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name).map(|value| value.to_str().unwrap_or("null"))
}

fn from_own(state: &HttpState, parts: &Parts, origin: &str) -> bool {
    let host = text(&parts.headers, header::HOST).or_else(|| parts.uri.authority().map(http::uri::Authority::as_str));
    let public = state.settings().public_url.as_ref().map(crate::config::PublicUrl::authority);
    host.into_iter().chain(public).any(|own| is_own(origin, own))
}

const SEC_FETCH_SITE: header::HeaderName = header::HeaderName::from_static("sec-fetch-site");

fn denied() -> Error {
    Error::new(
        Code::OriginDenied,
        "This request came from another site's page, or does not say where it came from. Use Asgard's own pages, or send the credential as Authorization: Bearer.",
    )
}

/// The same for a page whose address is named. It may well be Asgard's own: a proxy that does not pass the Host header on makes
/// it look foreign, and who runs the proxy has to know.
fn foreign(state: &HttpState, parts: &Parts, origin: &str) -> Error {
    let shown = |text: &str| text.chars().filter(|c| !c.is_control()).take(100).collect::<String>();
    let host = text(&parts.headers, header::HOST).unwrap_or_default();
    let remedy = match &state.settings().public_url {
        Some(public) => format!(
            "Asgard's own pages are at {}, as ASGARD_PUBLIC_URL (server.public_url) says; open them there, or correct the setting.",
            public.as_str()
        ),
        None => "If it is the address of Asgard behind a reverse proxy, the proxy has to pass the Host header on, or \
                 ASGARD_PUBLIC_URL (server.public_url) has to name that address. Programs send their credential as \
                 Authorization: Bearer."
            .to_owned(),
    };
    Error::new(
        Code::OriginDenied,
        format!(
            "This request came from a page of {}, and that is not the address that it was sent to. {remedy}",
            shown(origin)
        ),
    )
    .caused_by(format!("the Host header says {:?}", shown(host)))
}

/// Refuses a request that carries a cookie and may have been made by another site's page: `Origin` decides, without one
/// `Sec-Fetch-Site`, without that `Referer`; a request with none of them is refused.
pub fn check_origin(state: &HttpState, parts: &Parts) -> Result<()> {
    let headers = &parts.headers;
    match (text(headers, header::ORIGIN), text(headers, SEC_FETCH_SITE), text(headers, header::REFERER)) {
        (Some(origin), _, _) if from_own(state, parts, origin) => Ok(()),
        // A browser that knows that the page is of another site says so; then no proxy is to blame.
        (Some(_), Some("cross-site"), _) => Err(denied()),
        (Some(origin), _, _) if origin.contains("://") => Err(foreign(state, parts, origin)),
        (None, Some("same-origin" | "none"), _) => Ok(()),
        (None, None, Some(referer)) if from_own(state, parts, referer) => Ok(()),
        (Some(_), _, _) | (None, Some(_), _) | (None, None, _) => Err(denied()),
    }
}

/// While sign-in is switched off any page that the developer opens could use this listener: a name that was rebound to
/// it and requests from other pages are refused, programs are not.
pub(super) fn check_dev(state: &HttpState, parts: &Parts) -> Result<()> {
    let headers = &parts.headers;
    let host = text(headers, header::HOST).and_then(authority);
    let local = host.is_none_or(|host| is_loopback(host.host)) || public_host(state, headers);
    let foreign = match (text(headers, header::ORIGIN), text(headers, SEC_FETCH_SITE)) {
        (Some(origin), _) => !from_own(state, parts, origin),
        (None, Some(site)) => !parts.method.is_safe() && !matches!(site, "same-origin" | "none"),
        (None, None) => false,
    };
    if local && !foreign { Ok(()) } else { Err(denied()) }
}

fn public_host(state: &HttpState, headers: &HeaderMap) -> bool {
    let public = state.settings().public_url.as_ref().map(crate::config::PublicUrl::authority);
    public.is_some() && public == text(headers, header::HOST)
}

fn is_loopback(host: &str) -> bool {
    let plain = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || plain.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Whether a Host header names this machine.
pub(in crate::http) fn names_loopback(host: &str) -> bool {
    authority(host).is_some_and(|host| is_loopback(host.host))
}

/// Whether a page comes from this machine, on any port.
pub(in crate::http) fn is_loopback_page(origin: &str) -> bool {
    origin.strip_prefix("http://").is_some_and(names_loopback)
}

/// Whether a Host header names the host of the public address. A proxy may listen on another port than it forwards to.
pub(in crate::http) fn same_host(public: &str, host: &str) -> bool {
    authority(public).zip(authority(host)).is_some_and(|(a, b)| a.host.eq_ignore_ascii_case(b.host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_compared_by_host_and_port() {
        for (origin, host, own) in [
            ("https://a.example", "a.example", true),
            ("https://A.example", "a.Example", true),
            ("http://a.example", "a.example", true),
            ("https://a.example", "a.example:443", true),
            ("https://a.example:443", "a.example", true),
            ("http://a.example:8080", "a.example:8080", true),
            ("https://a.example/page?x=1", "a.example", true),
            ("http://[::1]:8080", "[::1]:8080", true),
            ("https://a.example:8443", "a.example", false),
            ("https://a.example", "a.example:8080", false),
            ("https://b.example", "a.example", false),
            ("https://a.example.evil.example", "a.example", false),
            ("https://a.example@evil.example", "a.example", false),
            ("null", "null", false),
            ("file://", "", false),
            ("a.example", "a.example", false),
        ] {
            assert_eq!(is_own(origin, host), own, "{origin} at {host}");
        }
    }

    #[test]
    fn only_loopback_names_are_local() {
        for (host, local) in
            [("localhost", true), ("127.0.0.1", true), ("[::1]", true), ("evil.example", false), ("10.0.0.1", false)]
        {
            assert_eq!(is_loopback(host), local, "{host}");
        }
    }
}
