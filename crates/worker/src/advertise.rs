//! Which addresses an answer names, so that an encoder reaches this worker.
//!
//! Configured ones, else the one bound, else those of the interfaces: up, not link-local (an answer cannot carry the scope
//! they need), not the bridges of container engines (whose addresses only the host's own containers reach), loopback only
//! where nothing else is left. An unspecified address is never among them. Or none until a controller tells them (told).

mod told;

use std::{
    io,
    net::{AddrParseError, IpAddr, SocketAddr},
    str::FromStr,
};

use whipcord_whip::answer::LOCAL_CANDIDATES_MAX;

pub(crate) use told::Known;

/// What an operator names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advertise {
    Ip(IpAddr),
    /// Who knows the platform tells, by way of a gateway.
    Controller,
}

/// Interfaces that container engines and hypervisors make for their own guests.
const BRIDGES: [&str; 8] = ["docker", "br-", "veth", "virbr", "cni", "flannel", "cali", "podman"];

/// Why no address can be named.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0} cannot be advertised: an encoder needs one host's own address")]
    NotAHost(IpAddr),
    #[error("{advertised} cannot be advertised: media is bound to {bound}, which does not take its address family")]
    Family { advertised: IpAddr, bound: IpAddr },
    #[error("more than {LOCAL_CANDIDATES_MAX} addresses to advertise")]
    TooMany,
    #[error("--advertise controller stands alone: an address beside it would take its place")]
    NotAlone,
    #[error("no interface has an address for {bound}: name one with --advertise")]
    Nothing { bound: IpAddr },
    #[error("cannot list the network interfaces: {0}; name an address with --advertise")]
    Interfaces(#[from] io::Error),
}

/// An interface's address, as far as the choice needs it.
#[derive(Clone, Debug)]
struct Interface {
    name: String,
    ip: IpAddr,
    up: bool,
}

impl FromStr for Advertise {
    type Err = AddrParseError;

    fn from_str(text: &str) -> Result<Self, AddrParseError> {
        if text == "controller" {
            return Ok(Self::Controller);
        }
        text.parse().map(Self::Ip)
    }
}

/// The addresses for answers, or that they are to come.
pub(crate) fn known(configured: &[Advertise], bound: SocketAddr) -> Result<Known, Error> {
    let ips = configured.iter().filter_map(|named| match named {
        Advertise::Ip(ip) => Some(*ip),
        Advertise::Controller => None,
    });
    let ips: Vec<IpAddr> = ips.collect();
    if ips.len() == configured.len() {
        return Ok(Known::fixed(addresses(&ips, bound)?));
    }
    if ips.is_empty() {
        Ok(Known::awaited(bound))
    } else {
        Err(Error::NotAlone)
    }
}

/// IPv4 first: FFmpeg uses only the first.
fn addresses(configured: &[IpAddr], bound: SocketAddr) -> Result<Vec<SocketAddr>, Error> {
    choose(configured, bound, || {
        let interfaces = if_addrs::get_if_addrs()?;
        Ok(interfaces
            .into_iter()
            .map(|i| Interface {
                ip: i.ip(),
                up: i.is_oper_up(),
                name: i.name,
            })
            .collect())
    })
}

fn choose(
    configured: &[IpAddr],
    bound: SocketAddr,
    interfaces: impl FnOnce() -> io::Result<Vec<Interface>>,
) -> Result<Vec<SocketAddr>, Error> {
    let mut chosen: Vec<IpAddr> = if !configured.is_empty() {
        configured
            .iter()
            .map(|ip| checked(*ip, bound.ip()))
            .collect::<Result<_, _>>()?
    } else if bound.ip().is_unspecified() {
        of_interfaces(&interfaces()?, bound.ip())
    } else {
        vec![bound.ip().to_canonical()]
    };
    chosen.sort_by_key(IpAddr::is_ipv6);
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for ip in chosen {
        let address = SocketAddr::new(ip, bound.port());
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    match addresses.len() {
        0 => Err(Error::Nothing { bound: bound.ip() }),
        1..=LOCAL_CANDIDATES_MAX => Ok(addresses),
        _ if configured.is_empty() => Ok(addresses[..LOCAL_CANDIDATES_MAX].to_vec()),
        _ => Err(Error::TooMany),
    }
}

fn checked(ip: IpAddr, bound: IpAddr) -> Result<IpAddr, Error> {
    let ip = ip.to_canonical();
    if ip.is_unspecified() || ip.is_multicast() || ip == IpAddr::V4(std::net::Ipv4Addr::BROADCAST) {
        return Err(Error::NotAHost(ip));
    }
    if takes(bound, ip) {
        Ok(ip)
    } else {
        Err(Error::Family { advertised: ip, bound })
    }
}

/// Whether a socket bound to `bound` receives what is sent to `ip`'s family: `[::]` takes both.
fn takes(bound: IpAddr, ip: IpAddr) -> bool {
    bound.is_ipv4() == ip.is_ipv4() || (bound.is_ipv6() && bound.is_unspecified())
}

fn of_interfaces(interfaces: &[Interface], bound: IpAddr) -> Vec<IpAddr> {
    let usable = |i: &&Interface| i.up && takes(bound, i.ip) && !is_link_local(i.ip) && !i.ip.is_unspecified();
    let usable: Vec<&Interface> = interfaces.iter().filter(usable).collect();
    let outward = |i: &&Interface| !i.ip.is_loopback() && !BRIDGES.iter().any(|bridge| i.name.starts_with(bridge));
    let choices: [&dyn Fn(&&Interface) -> bool; 3] = [&outward, &|i| !i.ip.is_loopback(), &|_| true];
    let pick = |choice: &&dyn Fn(&&Interface) -> bool| -> Vec<IpAddr> {
        usable.iter().copied().filter(|i| choice(i)).map(|i| i.ip).collect()
    };
    choices
        .iter()
        .map(pick)
        .find(|picked| !picked.is_empty())
        .unwrap_or_default()
}

fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interfaces(rows: &[(&str, &str, bool)]) -> impl FnOnce() -> io::Result<Vec<Interface>> {
        let rows = rows.iter();
        let all: Vec<Interface> = rows
            .map(|(name, ip, up)| Interface {
                name: (*name).into(),
                ip: ip.parse().unwrap(),
                up: *up,
            })
            .collect();
        move || Ok(all)
    }

    fn chosen(configured: &[&str], bound: &str, rows: &[(&str, &str, bool)]) -> Result<Vec<String>, String> {
        let configured: Vec<IpAddr> = configured.iter().map(|ip| ip.parse().unwrap()).collect();
        choose(&configured, bound.parse().unwrap(), interfaces(rows))
            .map(|addresses| addresses.iter().map(ToString::to_string).collect())
            .map_err(|error| error.to_string())
    }

    const HOST: &[(&str, &str, bool)] = &[
        ("lo", "127.0.0.1", true),
        ("lo", "::1", true),
        ("eth0", "2001:db8::5", true),
        ("eth0", "fe80::1", true),
        ("eth0", "192.0.2.5", true),
        ("docker0", "172.17.0.1", true),
        ("eth1", "198.51.100.1", false),
    ];

    #[test]
    fn addresses_come_from_the_configuration_then_the_binding_then_the_interfaces() {
        let table: [(&[&str], &str, &[&str]); 6] = [
            (
                &["2001:db8::9", "203.0.113.7"],
                "[::]:8189",
                &["203.0.113.7:8189", "[2001:db8::9]:8189"],
            ),
            (&["203.0.113.7", "203.0.113.7"], "0.0.0.0:8189", &["203.0.113.7:8189"]),
            (&[], "192.0.2.5:8189", &["192.0.2.5:8189"]),
            (&[], "127.0.0.1:8189", &["127.0.0.1:8189"]),
            (&[], "0.0.0.0:8189", &["192.0.2.5:8189"]),
            (&[], "[::]:8189", &["192.0.2.5:8189", "[2001:db8::5]:8189"]),
        ];
        for (configured, bound, expected) in table {
            let expected: Vec<String> = expected.iter().map(ToString::to_string).collect();
            assert_eq!(chosen(configured, bound, HOST), Ok(expected), "{configured:?} {bound}");
        }
    }

    #[test]
    fn loopback_and_bridges_are_named_only_where_nothing_else_is() {
        assert_eq!(chosen(&[], "0.0.0.0:1", &HOST[..1]), Ok(vec!["127.0.0.1:1".into()]));
        assert_eq!(
            chosen(&[], "0.0.0.0:1", &[HOST[0], HOST[5]]),
            Ok(vec!["172.17.0.1:1".into()])
        );
    }

    #[test]
    fn what_no_encoder_could_reach_is_refused_with_a_sentence() {
        let family =
            "2001:db8::9 cannot be advertised: media is bound to 0.0.0.0, which does not take its address family";
        assert_eq!(chosen(&["2001:db8::9"], "0.0.0.0:1", HOST), Err(family.into()));
        for ip in ["0.0.0.0", "::", "224.0.0.1", "255.255.255.255"] {
            assert!(
                chosen(&[ip], "[::]:1", HOST)
                    .unwrap_err()
                    .contains("one host's own address"),
                "{ip}"
            );
        }
        let nothing = "no interface has an address for 0.0.0.0: name one with --advertise";
        assert_eq!(chosen(&[], "0.0.0.0:1", &HOST[1..4]), Err(nothing.into()));
    }

    #[test]
    fn a_controllers_word_is_awaited_where_nothing_else_is_named() {
        let bound = "0.0.0.0:8189".parse().unwrap();
        let named = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect::<Vec<_>>();
        assert!(known(&named(&["controller"]), bound).unwrap().current().is_none());
        assert!(known(&named(&["192.0.2.5"]), bound).unwrap().current().is_some());
        assert!(matches!(
            known(&named(&["192.0.2.5", "controller"]), bound),
            Err(Error::NotAlone)
        ));
        assert!("gateway".parse::<Advertise>().is_err());
    }

    #[test]
    fn an_answer_names_a_bounded_number() {
        let rows: Vec<(String, String)> = (0..20).map(|n| (format!("eth{n}"), format!("192.0.2.{n}"))).collect();
        let rows: Vec<(&str, &str, bool)> = rows
            .iter()
            .map(|(name, ip)| (name.as_str(), ip.as_str(), true))
            .collect();
        assert_eq!(chosen(&[], "0.0.0.0:1", &rows).unwrap().len(), LOCAL_CANDIDATES_MAX);
        let ips: Vec<&str> = rows.iter().map(|row| row.1).collect();
        assert!(
            chosen(&ips[1..], "0.0.0.0:1", &[])
                .unwrap_err()
                .starts_with("more than")
        );
    }

    #[test]
    fn this_host_has_an_address() {
        let addresses = addresses(&[], "0.0.0.0:8189".parse().unwrap()).unwrap();
        assert!(
            addresses
                .iter()
                .all(|address| address.is_ipv4() && !address.ip().is_unspecified())
        );
    }
}
