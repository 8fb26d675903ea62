//! Which addresses may be dialled, by who named them.

use super::{Reach, WebError};
use ipnet::{Ipv4Net, Ipv6Net};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use url::{Host, Url};

/// A host and the addresses that were checked for it.
pub(super) struct Pinned {
    pub(super) host: String,
    pub(super) addresses: Vec<SocketAddr>,
}

/// What may be dialled for an address; `None` for whatever its name leads to.
pub(super) async fn check(text: &str, reach: Reach) -> Result<Option<Pinned>, WebError> {
    let refused = |why: &str| Err(WebError::Refused(why.to_owned()));
    let Ok(url) = Url::parse(text) else { return refused("it is not a URL") };
    if !url.username().is_empty() || url.password().is_some() {
        return refused("it holds a credential");
    }
    let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
        return refused("it names no host");
    };
    let here = is_here(&host);
    let https = match url.scheme() {
        "https" => true,
        "http" => false,
        _ => return refused("it is neither https nor http"),
    };
    let loopback = match reach {
        Reach::Configured if https || here => return Ok(None),
        Reach::Configured => return refused("http is only for this machine; use https"),
        Reach::Public => false,
        Reach::PublicOrLoopback => here,
    };
    if !https && !loopback {
        return refused("it is not https");
    }
    let addresses: Vec<SocketAddr> = match &host {
        Host::Ipv4(ip) => vec![SocketAddr::from((*ip, port))],
        Host::Ipv6(ip) => vec![SocketAddr::from((*ip, port))],
        Host::Domain(name) => match tokio::net::lookup_host((*name, port)).await {
            Ok(found) => found.collect(),
            Err(error) => return Err(WebError::Unreachable(error.to_string())),
        },
    };
    let allowed =
        |address: &SocketAddr| is_public(address.ip()) || (loopback && address.ip().to_canonical().is_loopback());
    if addresses.is_empty() {
        return Err(WebError::Unreachable("its name has no address".to_owned()));
    }
    // One that is not allowed is enough: whoever controls the name would only have to be asked again.
    if !addresses.iter().all(allowed) {
        return refused("it leads into a private, local or otherwise special network");
    }
    Ok(Some(Pinned { host: url.host_str().unwrap_or_default().to_owned(), addresses }))
}

/// Whether a host is this machine, by its name alone.
fn is_here(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost" || name.ends_with(".localhost"),
        Host::Ipv4(ip) => ip.is_loopback(),
        Host::Ipv6(ip) => ip.is_loopback(),
    }
}

/// The ranges of IPv4 that are not the public internet: the special-purpose registry of IANA (RFC 6890), with multicast.
const SPECIAL: [(Ipv4Addr, u8); 16] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 31, 196, 0), 24),
    (Ipv4Addr::new(192, 52, 193, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 3),
];

/// The only range of IPv6 that is given out to the public internet, and the ranges within it that are not public.
const GLOBAL: (Ipv6Addr, u8) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);
const NOT_GLOBAL: [(Ipv6Addr, u8); 4] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0x0db8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

/// Whether an address is one of the public internet.
pub(super) fn is_public(ip: IpAddr) -> bool {
    let v4 =
        |(net, length): &(Ipv4Addr, u8), ip: &Ipv4Addr| Ipv4Net::new(*net, *length).is_ok_and(|net| net.contains(ip));
    let v6 =
        |(net, length): &(Ipv6Addr, u8), ip: &Ipv6Addr| Ipv6Net::new(*net, *length).is_ok_and(|net| net.contains(ip));
    match ip.to_canonical() {
        IpAddr::V4(ip) => !SPECIAL.iter().any(|net| v4(net, &ip)),
        IpAddr::V6(ip) => v6(&GLOBAL, &ip) && !NOT_GLOBAL.iter().any(|net| v6(net, &ip)),
    }
}
