//! From how far away an address can be reached.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// From the nearest to the farthest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// No host's own: unspecified, multicast, broadcast.
    Nowhere,
    Loopback,
    LinkLocal,
    Private,
    Public,
}

impl Place {
    pub(super) fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            ip if ip.is_unspecified() || ip.is_multicast() || ip == Ipv4Addr::BROADCAST => Self::Nowhere,
            ip if ip.is_loopback() => Self::Loopback,
            IpAddr::V4(ip) if ip.is_link_local() => Self::LinkLocal,
            IpAddr::V6(ip) if ip.is_unicast_link_local() => Self::LinkLocal,
            IpAddr::V4(ip) if ip.is_private() || is_shared(ip) => Self::Private,
            IpAddr::V6(ip) if ip.is_unique_local() || is_site_local(ip) => Self::Private,
            _ => Self::Public,
        }
    }

    /// As it stands behind an address in brackets.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Nowhere => "no host's own address",
            Self::Loopback => "loopback",
            Self::LinkLocal => "link-local",
            Self::Private => "private",
            Self::Public => "public",
        }
    }
}

/// 100.64.0.0/10, behind a provider's own NAT (RFC 6598).
fn is_shared(ip: Ipv4Addr) -> bool {
    let [first, second, ..] = ip.octets();
    first == 100 && second & 0b1100_0000 == 64
}

/// fec0::/10, what came before unique local addresses (RFC 3879 §4).
fn is_site_local(ip: Ipv6Addr) -> bool {
    ip.segments()[0] & 0xffc0 == 0xfec0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_has_its_place() {
        let table = [
            ("0.0.0.0", Place::Nowhere),
            ("::", Place::Nowhere),
            ("224.0.0.251", Place::Nowhere),
            ("ff02::fb", Place::Nowhere),
            ("255.255.255.255", Place::Nowhere),
            ("127.0.0.1", Place::Loopback),
            ("127.9.9.9", Place::Loopback),
            ("::1", Place::Loopback),
            ("::ffff:127.0.0.1", Place::Loopback),
            ("169.254.1.1", Place::LinkLocal),
            ("fe80::1", Place::LinkLocal),
            ("10.0.0.1", Place::Private),
            ("172.31.0.1", Place::Private),
            ("172.32.0.1", Place::Public),
            ("192.168.1.1", Place::Private),
            ("100.64.0.1", Place::Private),
            ("100.127.0.1", Place::Private),
            ("100.128.0.1", Place::Public),
            ("fd00::1", Place::Private),
            ("fec0::1", Place::Private),
            ("203.0.113.5", Place::Public),
            ("2001:db8::1", Place::Public),
        ];
        for (ip, place) in table {
            assert_eq!(Place::of(ip.parse().unwrap()), place, "{ip}");
        }
        assert!(Place::Public > Place::Private && Place::Private > Place::Loopback);
    }
}
