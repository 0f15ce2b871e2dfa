//! Workers, their incarnations, and ownership.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
    str::FromStr,
};

/// A worker's name, the same over restarts: 1 to 63 of `[a-z0-9.-]`, beginning and ending with a letter or digit, so that a
/// Kubernetes pod's name is one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkerId(String);

/// One start of a worker process: 64 random bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Incarnation(pub u64);

/// One ownership of a session; grows with every change of owner. 0 where no session is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Epoch(pub u32);

/// 24 bits naming an incarnation inside a ufrag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WorkerNumber(u32);

/// Where gateways reach a worker's gRPC service, as the worker itself says it: `HOST:PORT`, at most 255 bytes, with an IPv6 address in
/// brackets.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkerAddress(String);

/// Who owns a session: named in every request and directory write about it, so that a stale one can be refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Owner {
    pub worker: WorkerId,
    pub incarnation: Incarnation,
    pub epoch: Epoch,
}

impl WorkerId {
    /// A DNS label's length (RFC 1035 §2.3.4).
    pub const BYTES_MAX: usize = 63;

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl WorkerNumber {
    pub const MAX: u32 = 0x00ff_ffff;

    /// The low 24 of 32 random bits.
    pub fn new(random: u32) -> Self {
        Self(random & Self::MAX)
    }

    pub fn get(self) -> u32 {
        self.0
    }
}

impl WorkerAddress {
    /// Its length is one byte of a sealed hint; a DNS name with a port fits.
    pub const BYTES_MAX: usize = 255;

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `None` if the host is given by a name.
    pub fn ip(&self) -> Option<IpAddr> {
        let (host, _) = self.0.rsplit_once(':')?;
        host.trim_start_matches('[').trim_end_matches(']').parse().ok()
    }
}

impl FromStr for WorkerId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let inner = text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'.' || b == b'-');
        let alphanumeric = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
        let ends = alphanumeric(text.as_bytes().first()) && alphanumeric(text.as_bytes().last());
        if inner && ends && text.len() <= Self::BYTES_MAX {
            Ok(Self(text.to_owned()))
        } else {
            Err(Error::Id)
        }
    }
}

impl FromStr for WorkerAddress {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (host, port) = text.rsplit_once(':').ok_or(Error::Address)?;
        let is_host = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(address) => address.parse::<Ipv6Addr>().is_ok(),
            None => !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)),
        };
        let is_port = port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok();
        if is_host && is_port && text.len() <= Self::BYTES_MAX {
            Ok(Self(text.to_owned()))
        } else {
            Err(Error::Address)
        }
    }
}

impl TryFrom<u32> for WorkerNumber {
    type Error = Error;

    fn try_from(number: u32) -> Result<Self, Error> {
        if number <= Self::MAX {
            Ok(Self(number))
        } else {
            Err(Error::Number)
        }
    }
}

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for WorkerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Why a value names no worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error(
        "a worker id has 1 to {max} lower-case letters, digits, '.' and '-', with a letter or digit at both ends",
        max = WorkerId::BYTES_MAX
    )]
    Id,
    #[error("a worker number has 24 bits")]
    Number,
    #[error("an address is HOST:PORT, as in 10.0.0.5:7000 or [2001:db8::5]:7000, without http://")]
    Address,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pods_name_is_a_worker_id_and_odd_texts_are_not() {
        let long = "a".repeat(64);
        for text in ["standalone", "whipcord-worker-7d9f8b6c5-x2k4z", "0", "a.b", &long[..63]] {
            assert_eq!(text.parse::<WorkerId>().map(|id| id.to_string()), Ok(text.to_owned()));
        }
        for text in ["", "-a", "a-", ".a", "A", "a b", "a/b", "a\n", "\u{e9}", &long] {
            assert_eq!(text.parse::<WorkerId>(), Err(Error::Id), "{text:?}");
        }
    }

    #[test]
    fn a_worker_number_has_24_bits() {
        assert_eq!(WorkerNumber::new(0xff12_3456).get(), 0x12_3456);
        assert_eq!(WorkerNumber::try_from(0xff_ffff), Ok(WorkerNumber(0xff_ffff)));
        assert_eq!(WorkerNumber::try_from(0x100_0000), Err(Error::Number));
    }

    #[test]
    fn an_address_is_a_host_and_a_port() {
        let long = format!("{}:7000", "a".repeat(251));
        for text in [
            "pipe:0",
            "[2001:db8::1]:7000",
            "worker-0.workers:7000",
            "10.0.0.5:7001",
            &long[1..],
        ] {
            assert_eq!(
                text.parse::<WorkerAddress>().map(|a| a.to_string()),
                Ok(text.to_owned())
            );
        }
        for text in [
            "",
            "pipe",
            ":7000",
            "a:",
            "a:x",
            "a:+7",
            "a:70000",
            "a b:1",
            "a:1\n",
            "http://a:7000",
            "a:7000/",
            "2001:db8::1:7000",
            "[a]:7000",
            "user@a:1",
            &long,
        ] {
            assert_eq!(text.parse::<WorkerAddress>(), Err(Error::Address), "{text:?}");
        }
    }

    #[test]
    fn an_address_may_have_an_ip() {
        let table = [
            ("[::1]:7000", Some("::1")),
            ("0.0.0.0:1", Some("0.0.0.0")),
            ("worker-0:1", None),
        ];
        for (text, ip) in table {
            let address: WorkerAddress = text.parse().unwrap();
            assert_eq!(address.ip(), ip.map(|ip| ip.parse().unwrap()), "{text}");
        }
    }
}
