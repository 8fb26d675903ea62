//! Whom an address counts for where something is shared out or counted by client.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What is in front of an IPv4 address that a translator has written as IPv6 (RFC 6052).
const TRANSLATED: u128 = 0x0064_ff9b << 96;

/// The network that the addresses of one client are in: whoever has one IPv6 address has the other 2^64 of its /64 as well. IPv4 addresses
/// are clients of their own, also where they are written as IPv6.
pub(crate) fn counted_as(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) if v6.to_bits() >> 32 == TRANSLATED >> 32 => {
            let [.., a, b, c, d] = v6.octets();
            Ipv4Addr::new(a, b, c, d).into()
        }
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// The same of an address as it is shown. What is none counts as it is.
pub(crate) fn counted_text(address: &str) -> String {
    address.parse::<IpAddr>().map_or_else(|_| address.to_owned(), |address| counted_as(address).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_of_ipv6_counts_as_its_network_however_its_address_is_written() {
        for (shown, counted) in [
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("2001:db8:1:2::1", "2001:db8:1:2::"),
            ("2001:DB8:1:2:0:0:0:1", "2001:db8:1:2::"),
            ("2001:db8:1:3::1", "2001:db8:1:3::"),
            ("fe80::1", "fe80::"),
            ("::1", "::"),
            ("192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("64:ff9b::192.0.2.7", "192.0.2.7"),
            ("64:ff9b::192.0.2.8", "192.0.2.8"),
            ("64:ff9b:1::192.0.2.8", "64:ff9b:1::"),
            ("unknown", "unknown"),
            ("", ""),
        ] {
            assert_eq!(counted_text(shown), counted, "{shown}");
        }
    }
}
