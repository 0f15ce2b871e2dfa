//! Where a datagram came in, and so where its reply leaves.
use std::net::SocketAddr;

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
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
