//! ICE credentials, candidates and options as SDP carries them (RFC 8839). Must not know connectivity checks.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

use crate::Refusal;

/// Remote candidates kept per body: RFC 8445 §6.1.2.5 recommends 100 pairs as the most to be checked. The rest is
/// dropped silently.
pub const CANDIDATES_MAX: usize = 100;

/// One ICE session's user fragment and password (RFC 8839 §5.4).
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub ufrag: String,
    pub pwd: String,
}

impl fmt::Debug for Credentials {
    /// The password is a secret: it signs connectivity checks.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("ufrag", &self.ufrag)
            .finish_non_exhaustive()
    }
}

/// A remote candidate we can use: UDP, component 1, a literal address. All others are dropped while parsing
/// (RFC 8839 §5.1: unknown types and unresolvable names are ignored).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Candidate {
    pub address: SocketAddr,
}

/// `a=ice-options` (RFC 8839 §5.6), those that mean something to us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IceOptions {
    /// Candidates may follow one by one (RFC 8838).
    pub trickle: bool,
    /// RFC 8445 §10: the peer follows RFC 8445, not RFC 5245.
    pub ice2: bool,
}

impl Credentials {
    /// Ufrag 4 to 256, password 22 to 256 `ice-char`s (RFC 8839 §5.4).
    pub(crate) fn parse(ufrag: &str, pwd: &str) -> Result<Self, Refusal> {
        let malformed = |attribute| Refusal::Attribute {
            attribute,
            clause: "RFC 8839 section 5.4",
        };
        if !is_ice_chars(ufrag, 4) {
            return Err(malformed("ice-ufrag"));
        }
        if !is_ice_chars(pwd, 22) {
            return Err(malformed("ice-pwd"));
        }
        Ok(Self {
            ufrag: ufrag.to_owned(),
            pwd: pwd.to_owned(),
        })
    }
}

fn is_ice_chars(text: &str, least: usize) -> bool {
    (least..=256).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/')
}

/// One `a=candidate` line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CandidateLine {
    Usable(Candidate),
    /// Well formed, but TCP, another component, a name to resolve, an unknown type, no unicast address.
    Unusable,
    Malformed,
}

impl CandidateLine {
    /// `<foundation> <component> <transport> <priority> <address> <port> typ <type> ...` (RFC 8839 §5.1).
    /// Extensions (`generation`, `ufrag`, `network-cost` ...) are ignored.
    pub(crate) fn parse(value: &str) -> Self {
        let fields: Vec<&str> = value.split_ascii_whitespace().take(8).collect();
        let [_foundation, component, transport, priority, address, port, typ, kind] = fields[..] else {
            return Self::Malformed;
        };
        let (Ok(component), Ok(_), Ok(port)) = (component.parse::<u16>(), priority.parse::<u32>(), port.parse::<u16>())
        else {
            return Self::Malformed;
        };
        if !typ.eq_ignore_ascii_case("typ") {
            return Self::Malformed;
        }
        let known = ["host", "srflx", "prflx", "relay"]
            .iter()
            .any(|known| known.eq_ignore_ascii_case(kind));
        match address.parse::<IpAddr>() {
            Ok(ip) if known && component == 1 && port != 0 && transport.eq_ignore_ascii_case("udp") => {
                // One client must not be two addresses: v4-mapped IPv6 is the IPv4 address it maps.
                let ip = ip.to_canonical();
                if is_unicast(ip) {
                    Self::Usable(Candidate {
                        address: SocketAddr::new(ip, port),
                    })
                } else {
                    Self::Unusable
                }
            }
            _ => Self::Unusable,
        }
    }
}

fn is_unicast(ip: IpAddr) -> bool {
    let broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    !ip.is_unspecified() && !ip.is_multicast() && !broadcast
}

/// Adds a candidate unless it is known or [`CANDIDATES_MAX`] are (RFC 8840 §4.4 wants duplicates removed).
pub(crate) fn add_candidate(candidates: &mut Vec<Candidate>, candidate: Candidate) {
    if candidates.len() < CANDIDATES_MAX && !candidates.contains(&candidate) {
        candidates.push(candidate);
    }
}

impl IceOptions {
    /// Tags are separated by spaces; older libdatachannel (OBS up to 30.1) writes commas.
    pub(crate) fn parse(value: &str) -> Self {
        let has = |tag| value.split([' ', ',']).any(|option| option == tag);
        Self {
            trickle: has("trickle"),
            ice2: has("ice2"),
        }
    }
}

impl fmt::Display for IceOptions {
    /// The attribute's value; empty without options.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.trickle, self.ice2) {
            (true, true) => "trickle ice2",
            (true, false) => "trickle",
            (false, true) => "ice2",
            (false, false) => "",
        })
    }
}
