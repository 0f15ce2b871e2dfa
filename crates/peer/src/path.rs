//! Where a datagram came in, and so where its reply leaves.
use std::net::{IpAddr, SocketAddr};

/// The two ends of one datagram. `local` is the address the encoder asked (IP_PKTINFO) with our port, so that the reply leaves from it;
/// both are canonical: a v4-mapped IPv6 address is IPv4 here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Path {
    pub local: SocketAddr,
    pub remote: SocketAddr,
}

impl Path {
    /// A path over UDP, with no relay in between.
    pub fn udp(local: SocketAddr, remote: SocketAddr) -> Self {
        Self {
            local: canonical(local),
            remote: canonical(remote),
        }
    }
}

fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        // A link-local IPv6 address means nothing without its scope.
        IpAddr::V6(_) => address,
        ip => SocketAddr::new(ip, address.port()),
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddrV6;

    use super::*;

    #[test]
    fn a_link_local_remote_keeps_its_scope() {
        let remote = SocketAddrV6::new("fe80::1".parse().expect("an address"), 5000, 0, 3).into();
        let local = "[fe80::2]:8189".parse().expect("an address");
        assert_eq!(Path::udp(local, remote).remote, remote);
    }

    #[test]
    fn a_v4_mapped_address_is_ipv4() {
        let [local, mapped, remote] = ["192.0.2.1:8189", "[::ffff:192.0.2.2]:5000", "192.0.2.2:5000"]
            .map(|address| address.parse().expect("an address"));
        assert_eq!(Path::udp(local, mapped), Path::udp(local, remote));
    }
}
