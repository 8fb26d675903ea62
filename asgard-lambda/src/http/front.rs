//! Who is at the other end: what the front end says about it in the event. Headers that the client may have written itself
//! say nothing.

use asgard_lib::http::{OwnName, Peer};
use lambda_http::{
    Request, RequestExt,
    http::{HeaderMap, HeaderName},
    request::RequestContext,
};
use std::net::IpAddr;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The client as the front end saw it.
pub(super) fn peer(request: &Request) -> Option<Peer> {
    let address = |text: &Option<String>| text.as_deref()?.trim().parse().ok();
    match request.request_context_ref()? {
        // API Gateway and function URLs speak TLS only.
        RequestContext::ApiGatewayV1(context) => {
            Some(Peer { address: address(&context.identity.source_ip)?, tls: true })
        }
        RequestContext::ApiGatewayV2(context) => Some(Peer { address: address(&context.http.source_ip)?, tls: true }),
        // A load balancer appends the client to whatever the client claimed, and says itself how the client came.
        RequestContext::Alb(_) => {
            let headers = request.headers();
            let proto =
                headers.get(FORWARDED_PROTO).is_some_and(|proto| proto.as_bytes().eq_ignore_ascii_case(b"https"));
            Some(Peer { address: last_of(headers)?, tls: proto })
        }
        _ => None,
    }
}

/// The name that Lambda gave a function URL, if the request came by one. Behind a CDN it is the only Host that the function
/// URL accepts. Names of API Gateway are not meant: those may be the deployment's own, which the configuration knows.
pub(super) fn own_name(request: &Request) -> Option<OwnName> {
    match request.request_context_ref()? {
        RequestContext::ApiGatewayV2(context) => {
            let name = context.domain_name.as_deref()?;
            (name.contains(".lambda-url.") && name.ends_with(".on.aws")).then(|| OwnName(name.to_owned()))
        }
        _ => None,
    }
}

/// The address that the nearest front end appended.
fn last_of(headers: &HeaderMap) -> Option<IpAddr> {
    let last = headers.get_all(FORWARDED_FOR).iter().next_back()?.to_str().ok()?.rsplit(',').next()?.trim();
    let without_port = || last.rsplit_once(':').and_then(|(host, _)| host.parse::<std::net::Ipv4Addr>().ok());
    last.parse().ok().or_else(|| without_port().map(IpAddr::from))
}

/// Takes away the headers in which a client may have claimed to be somebody else. What stands before a public front end
/// counts if its addresses are among the trusted proxies; private addresses are trusted without being asked for, and behind
/// a function nobody at a private address is a proxy.
pub(super) fn forget_what_anybody_may_claim(headers: &mut HeaderMap, peer: Option<&Peer>) {
    headers.remove(FORWARDED_PROTO);
    if !peer.is_some_and(|peer| is_public(peer.address)) {
        headers.remove(FORWARDED_FOR);
    }
}

fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => !(v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_unspecified()),
        IpAddr::V6(v6) => {
            !(v6.is_unique_local() || v6.is_loopback() || v6.is_unicast_link_local() || v6.is_unspecified())
        }
    }
}
