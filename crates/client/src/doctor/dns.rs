//! Step 1: the addresses of the URL's host.

use std::{
    collections::BTreeSet,
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use super::{
    place::Place,
    report::{Finding, Step},
};

/// Twice what the resolver of most systems waits for its first server; encoders wait no longer either.
pub(super) const DNS_TIMEOUT: Duration = Duration::from_secs(10);
/// One name with more is a round-robin whose first few tell as much.
const ADDRESSES_MAX: usize = 8;

#[derive(Debug)]
pub(super) enum Problem {
    Failed(io::Error),
    Silent,
}

/// Without repetitions, as the resolver orders them: the first is what most encoders take.
pub(super) async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, Problem> {
    let found = tokio::time::timeout(DNS_TIMEOUT, tokio::net::lookup_host((host, port))).await;
    let found = found.map_err(|_| Problem::Silent)?.map_err(Problem::Failed)?;
    let mut seen = BTreeSet::new();
    let mut addresses: Vec<_> = found.filter(|address| seen.insert(*address)).collect();
    addresses.truncate(ADDRESSES_MAX);
    Ok(addresses)
}

pub(super) fn said(host: &str, found: &Result<Vec<SocketAddr>, Problem>) -> Finding {
    let addresses = match found {
        Ok(addresses) => addresses,
        Err(Problem::Failed(cause)) => {
            return Step::Dns.fail(format!(
                "{host} does not resolve ({cause}): check the name in the URL, and the DNS of this machine"
            ));
        }
        Err(Problem::Silent) => {
            return Step::Dns.fail(format!(
                "no DNS server answered for {host} within {} s: check the DNS of this machine",
                DNS_TIMEOUT.as_secs()
            ));
        }
    };
    let places: BTreeSet<Place> = addresses.iter().map(|address| Place::of(address.ip())).collect();
    let Some(farthest) = places.last() else {
        return Step::Dns.fail(format!(
            "{host} has no address: give it an A or AAAA record, or check the name"
        ));
    };
    let listed: Vec<String> = addresses.iter().map(|address| listed(address.ip())).collect();
    let found = if host.parse::<IpAddr>().is_ok() {
        format!("{} needs no DNS", listed.join(""))
    } else {
        format!("{host} is {}", listed.join(" and "))
    };
    match farthest {
        Place::Public if places.len() == 1 => Step::Dns.ok(found),
        Place::Private | Place::Loopback if places.len() == 1 => {
            Step::Dns.ok(format!("{found}: encoders elsewhere cannot reach it"))
        }
        Place::Nowhere | Place::LinkLocal if places.len() == 1 => Step::Dns.warn(format!(
            "{found}: encoders on other machines cannot use that; give the URL an address of the server's own"
        )),
        _ => Step::Dns.warn(format!(
            "{found}: encoders elsewhere can reach only some of them, and may try the others; leave those out of the DNS"
        )),
    }
}

/// `203.0.113.5 (IPv4)`, `10.0.0.1 (IPv4, private)`.
fn listed(ip: IpAddr) -> String {
    let family = if ip.is_ipv4() { "IPv4" } else { "IPv6" };
    match Place::of(ip) {
        Place::Public => format!("{ip} ({family})"),
        place => format!("{ip} ({family}, {})", place.word()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(host: &str, addresses: &[&str]) -> String {
        let addresses = addresses
            .iter()
            .map(|ip| SocketAddr::new(ip.parse().unwrap(), 80))
            .collect();
        said(host, &Ok(addresses)).to_string()
    }

    #[test]
    fn addresses_are_told_with_how_far_they_reach() {
        let table = [
            (
                line("a.example", &["203.0.113.5"]),
                "ok    dns   a.example is 203.0.113.5 (IPv4)",
            ),
            (
                line("a.example", &["2001:db8::5", "203.0.113.5"]),
                "ok    dns   a.example is 2001:db8::5 (IPv6) and 203.0.113.5 (IPv4)",
            ),
            (
                line("127.0.0.1", &["127.0.0.1"]),
                "ok    dns   127.0.0.1 (IPv4, loopback) needs no DNS: encoders elsewhere cannot reach it",
            ),
            (
                line("a.example", &["10.0.0.5"]),
                "ok    dns   a.example is 10.0.0.5 (IPv4, private): encoders elsewhere cannot reach it",
            ),
            (
                line("a.example", &["fe80::1"]),
                "warn  dns   a.example is fe80::1 (IPv6, link-local): encoders on other machines cannot use that; \
                 give the URL an address of the server's own",
            ),
            (
                line("a.example", &["203.0.113.5", "10.0.0.5"]),
                "warn  dns   a.example is 203.0.113.5 (IPv4) and 10.0.0.5 (IPv4, private): encoders elsewhere can reach only \
                 some of them, and may try the others; leave those out of the DNS",
            ),
            (
                line("a.example", &[]),
                "FAIL  dns   a.example has no address: give it an A or AAAA record, or check the name",
            ),
            (
                said("a.example", &Err(Problem::Failed(io::Error::other("no such name")))).to_string(),
                "FAIL  dns   a.example does not resolve (no such name): check the name in the URL, and the DNS of this machine",
            ),
            (
                said("a.example", &Err(Problem::Silent)).to_string(),
                "FAIL  dns   no DNS server answered for a.example within 10 s: check the DNS of this machine",
            ),
        ];
        for (line, expected) in table {
            assert_eq!(line, expected);
        }
    }
}
