//! Against pages that reach this endpoint through a name of their own that they made point here. Checked where that can
//! happen or where the right names are known: on loopback listeners, and when the public address is configured.

use crate::{
    error::{Code, Error, Result},
    http::{HttpState, OwnName, auth::origin},
};
use http::{header, request::Parts};

/// Refuses a foreign Host, and a page's Origin that is not ours. Programs send no Origin.
pub(super) fn check(state: &HttpState, parts: &Parts) -> Result<()> {
    let settings = state.settings();
    if !settings.is_loopback() && settings.public_url.is_none() {
        return Ok(());
    }
    let public = settings.public_url.as_ref().map(crate::config::PublicUrl::authority);
    let agents = settings.mcp_url.as_ref().map(crate::config::PublicUrl::authority);
    // Behind a CDN a function URL sees no other name than its own, and no page can make another one point there.
    let own = parts.extensions.get::<OwnName>().map(|OwnName(name)| name.as_str());
    let host = parts.headers.get(header::HOST).map(|value| value.to_str().unwrap_or_default());
    let host = host.or_else(|| parts.uri.authority().map(http::uri::Authority::as_str));
    if let Some(host) = host
        && !origin::names_loopback(host)
        && ![public, agents, own].into_iter().flatten().any(|ours| origin::same_host(ours, host))
    {
        return Err(Error::new(
            Code::OriginDenied,
            format!(
                "The Host header names {}, which is not an address that this server knows. The address that agents use has to be \
                 in ASGARD_MCP_URL (server.mcp_url), or in ASGARD_PUBLIC_URL (server.public_url) when it is that of the pages too; \
                 a reverse proxy has to pass the Host header on.",
                shown(host)
            ),
        )
        .at("host"));
    }
    if let Some(origin) = parts.headers.get(header::ORIGIN).map(|value| value.to_str().unwrap_or_default())
        && !public.is_some_and(|public| origin::is_own(origin, public))
        && !(settings.is_loopback() && origin::is_loopback_page(origin))
    {
        return Err(
            Error::new(Code::OriginDenied, format!("Pages of {} may not use this server.", shown(origin))).at("origin")
        );
    }
    Ok(())
}

fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(100).collect()
}
