//! What proxies add to a request: `Forwarded` (RFC 7239), and the `X-Forwarded-*` fields that came before it.
//!
//! Each proxy appends. So the list is read from its end, past the proxies that are trusted: what stands before the first address
//! that is not may have been written by the client itself, and is not looked at.
//!
//! A proxy writes fields of one kind, and hands on those of the other kind as the client sent them: where both say something, the kind
//! that the operator's proxies write counts. Nearly all write `X-Forwarded-*`.

use std::{
    net::{IpAddr, SocketAddr},
    sync::atomic::{AtomicBool, Ordering},
};

use http::{HeaderMap, HeaderName, header, uri::Authority};
use tracing::warn;

use crate::client::Scheme;

/// What is not there, or is malformed, is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Forwarded {
    pub(crate) address: Option<IpAddr>,
    pub(crate) scheme: Option<Scheme>,
    pub(crate) host: Option<Authority>,
    /// Of the host, where that names none.
    pub(crate) port: Option<u16>,
    /// The path that a proxy took off before it asked us: `/media`, without a slash at its end.
    pub(crate) prefix: Option<String>,
}

/// The fields that the trusted proxies write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    Legacy,
    Standard,
}

/// Proxies one behind the other, and a bound for what a client can make us look at.
const HOPS_MAX: usize = 16;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const X_FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");

/// Of a request from a trusted proxy. What its own fields do not say, the others may: a client that says it there misleads itself alone. But
/// an address counts for more, and is taken from the others only where the proxy's field is missing altogether.
pub(crate) fn read(headers: &HeaderMap, written: Written, is_trusted: impl Fn(&IpAddr) -> bool) -> Forwarded {
    let legacy = legacy(headers, &is_trusted);
    let standard = standard(&hops(headers, &header::FORWARDED), &is_trusted);
    let (first, second, names_address) = match written {
        Written::Legacy => (legacy, standard, headers.contains_key(X_FORWARDED_FOR)),
        Written::Standard => (standard, legacy, headers.contains_key(header::FORWARDED)),
    };
    let prefixes = hops(headers, &X_FORWARDED_PREFIX);
    Forwarded {
        address: if names_address { first.address } else { second.address },
        scheme: first.scheme.or(second.scheme),
        port: first.port.or(second.port),
        host: first.host.or(second.host),
        prefix: prefixes.first().and_then(|prefix| path(prefix)),
    }
}

/// Whether it has been said that a proxy's fields are not believed, for whoever set it up and sees URLs that lead nowhere.
#[derive(Debug, Default)]
pub(crate) struct Complaint {
    is_made: AtomicBool,
}

impl Complaint {
    /// Says it once.
    pub(crate) fn make(&self, headers: &HeaderMap, peer: IpAddr) {
        if self.is_due(headers) {
            warn!(%peer, "X-Forwarded-Host or -Proto came from an address that is not trusted: if it is your proxy's, name it with --trusted-proxy");
        }
    }

    fn is_due(&self, headers: &HeaderMap) -> bool {
        let names = [X_FORWARDED_HOST, X_FORWARDED_PROTO];
        names.iter().any(|name| headers.contains_key(name)) && !self.is_made.swap(true, Ordering::Relaxed)
    }
}

/// The elements of a list field, the last first.
fn hops<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Vec<&'a str> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let mut elements: Vec<&str> = values.flat_map(elements).collect();
    elements.reverse();
    elements.truncate(HOPS_MAX);
    elements
}

/// Split at commas that stand in no quoted string.
fn elements(value: &str) -> impl Iterator<Item = &str> {
    split(value, ',').map(str::trim).filter(|element| !element.is_empty())
}

fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let mut escaped = false;
    text.split(move |character| {
        let is_escaped = std::mem::take(&mut escaped);
        match character {
            '\\' if quoted && !is_escaped => escaped = true,
            '"' if !is_escaped => quoted = !quoted,
            _ => return character == separator && !quoted,
        }
        false
    })
}

fn standard(hops: &[&str], is_trusted: impl Fn(&IpAddr) -> bool) -> Forwarded {
    let addresses: Vec<_> = hops
        .iter()
        .map(|hop| parameter(hop, "for").and_then(|node| address(&node)))
        .collect();
    let Some(hop) = outermost(&addresses, is_trusted) else {
        return Forwarded::default();
    };
    Forwarded {
        address: addresses[hop],
        scheme: parameter(hops[hop], "proto").and_then(|proto| scheme(&proto)),
        host: parameter(hops[hop], "host").and_then(|host| authority(&host)),
        ..Forwarded::default()
    }
}

/// Proxies append to the list of addresses, and some to the other two; most write those once.
fn legacy(headers: &HeaderMap, is_trusted: impl Fn(&IpAddr) -> bool) -> Forwarded {
    let addresses: Vec<_> = hops(headers, &X_FORWARDED_FOR).into_iter().map(address).collect();
    let hop = outermost(&addresses, is_trusted);
    let of_hop = |name| {
        let values = hops(headers, &name);
        values.get(hop.unwrap_or(0)).or_else(|| values.last()).copied()
    };
    Forwarded {
        address: hop.and_then(|hop| addresses[hop]),
        scheme: of_hop(X_FORWARDED_PROTO).and_then(scheme),
        host: of_hop(X_FORWARDED_HOST).and_then(authority),
        port: of_hop(X_FORWARDED_PORT).and_then(|port| port.parse().ok()),
        prefix: None,
    }
}

/// The first from the end that no trusted proxy has, else the last one.
fn outermost(addresses: &[Option<IpAddr>], is_trusted: impl Fn(&IpAddr) -> bool) -> Option<usize> {
    let stranger = addresses
        .iter()
        .position(|address| address.as_ref().is_none_or(|address| !is_trusted(address)));
    stranger.or_else(|| addresses.len().checked_sub(1))
}

/// A parameter of an element, unquoted. Names are case-insensitive (RFC 7239 §4).
fn parameter(element: &str, name: &str) -> Option<String> {
    let value = split(element, ';')
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| key.trim().eq_ignore_ascii_case(name))?
        .1
        .trim();
    let Some(quoted) = value.strip_prefix('"') else {
        return Some(value.to_owned());
    };
    let mut text = String::new();
    let mut characters = quoted.strip_suffix('"')?.chars();
    while let Some(character) = characters.next() {
        text.push(if character == '\\' {
            characters.next()?
        } else {
            character
        });
    }
    Some(text)
}

/// `192.0.2.43`, `192.0.2.43:47011`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:47011`. Obfuscated nodes (RFC 7239 §6.3) have none.
fn address(node: &str) -> Option<IpAddr> {
    let bare = node
        .strip_prefix('[')
        .and_then(|node| node.strip_suffix(']'))
        .unwrap_or(node);
    let address = bare
        .parse()
        .ok()
        .or_else(|| Some(node.parse::<SocketAddr>().ok()?.ip()))?;
    Some(IpAddr::to_canonical(&address))
}

fn scheme(text: &str) -> Option<Scheme> {
    // RFC 3986 §3.1.
    [Scheme::Http, Scheme::Https]
        .into_iter()
        .find(|scheme| text.eq_ignore_ascii_case(scheme.as_str()))
}

fn authority(text: &str) -> Option<Authority> {
    let authority: Authority = text.parse().ok()?;
    (!authority.as_str().contains('@')).then_some(authority)
}

/// The characters of a path (RFC 3986 §3.3); nothing that would begin an authority, a query or a fragment.
fn path(text: &str) -> Option<String> {
    let is_path = text.starts_with('/')
        && !text.starts_with("//")
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@%".contains(&byte));
    is_path.then(|| text.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    type Read = (Option<String>, Option<&'static str>, Option<String>, Option<String>);

    fn read_from(fields: &[(&str, &str)]) -> Read {
        read_as(Written::Legacy, fields)
    }

    fn read_as(written: Written, fields: &[(&str, &str)]) -> Read {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(
                HeaderName::try_from(*name).unwrap(),
                HeaderValue::try_from(*value).unwrap(),
            );
        }
        let forwarded = read(&headers, written, |address| address.to_string().starts_with("10."));
        (
            forwarded.address.map(|address| address.to_string()),
            forwarded.scheme.map(Scheme::as_str),
            forwarded.host.map(|host| host.to_string()),
            forwarded.prefix,
        )
    }

    #[test]
    fn each_gateway_complains_once_of_fields_that_it_does_not_believe() {
        let of = |name: HeaderName| HeaderMap::from_iter([(name, HeaderValue::from_static("https"))]);
        for complaint in [Complaint::default(), Complaint::default()] {
            let due = [X_FORWARDED_FOR, X_FORWARDED_PROTO, X_FORWARDED_HOST].map(|name| complaint.is_due(&of(name)));
            assert_eq!(due, [false, true, false]);
        }
    }

    #[test]
    fn the_standard_field_is_read_from_its_end_to_the_first_stranger() {
        let table = [
            (vec!["for=192.0.2.43"], (Some("192.0.2.43"), None, None)),
            (
                vec!["for=\"[2001:db8::17]:4711\";proto=https;host=ingest.example.com"],
                (Some("2001:db8::17"), Some("https"), Some("ingest.example.com")),
            ),
            (
                vec![
                    "For=192.0.2.1;Proto=https;host=evil.example, for=198.51.100.9;proto=http;host=\"a.example:8080\", for=10.0.0.1;proto=http;host=inner",
                ],
                (Some("198.51.100.9"), Some("http"), Some("a.example:8080")),
            ),
            (vec!["for=192.0.2.1", "for=10.0.0.2"], (Some("192.0.2.1"), None, None)),
            (vec!["for=10.0.0.3"], (Some("10.0.0.3"), None, None)),
            (vec!["for=_hidden;proto=https"], (None, Some("https"), None)),
            (vec!["for=192.0.2.1, for=unknown"], (None, None, None)),
            (
                vec!["for=\"192.0.2.1, for=\\\"x\";proto=gopher;host=a@b"],
                (None, None, None),
            ),
            (vec!["nonsense"], (None, None, None)),
        ];
        for (values, (address, scheme, host)) in table {
            let fields: Vec<_> = values.iter().map(|value| ("forwarded", *value)).collect();
            let expected = (address.map(str::to_owned), scheme, host.map(str::to_owned), None);
            assert_eq!(read_from(&fields), expected, "{values:?}");
        }
    }

    #[test]
    fn the_older_fields_are_read_in_the_same_way() {
        let fields = [
            ("x-forwarded-for", "203.0.113.7, 192.0.2.1, 10.0.0.1"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "ingest.example.com"),
            ("x-forwarded-prefix", "/media/"),
        ];
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(
            read_from(&fields),
            (
                text("192.0.2.1"),
                Some("https"),
                text("ingest.example.com"),
                text("/media")
            )
        );
        let per_hop = [
            ("x-forwarded-for", "192.0.2.1, 10.0.0.1"),
            ("x-forwarded-proto", "https, http"),
        ];
        assert_eq!(read_from(&per_hop), (text("192.0.2.1"), Some("https"), None, None));
    }

    /// The other kind is the client's own.
    #[test]
    fn of_both_kinds_the_one_that_proxies_write_counts() {
        let text = |text: &str| Some(text.to_owned());
        let both = [
            ("forwarded", "for=203.0.113.9;proto=http;host=standard.example"),
            ("x-forwarded-for", "192.0.2.1"),
            ("x-forwarded-proto", "HTTPS"),
            ("x-forwarded-host", "legacy.example"),
        ];
        let legacy = (text("192.0.2.1"), Some("https"), text("legacy.example"), None);
        assert_eq!(read_as(Written::Legacy, &both), legacy);
        let standard = (text("203.0.113.9"), Some("http"), text("standard.example"), None);
        assert_eq!(read_as(Written::Standard, &both), standard);
        let some = [both[0], both[1]];
        let expected = (text("192.0.2.1"), Some("http"), text("standard.example"), None);
        assert_eq!(read_as(Written::Legacy, &some), expected);
        // A proxy that hides whom it asks for does not leave that to its client.
        let hidden = [("forwarded", "for=_hidden"), both[1]];
        assert_eq!(read_as(Written::Standard, &hidden).0, None);
        let hidden = [("x-forwarded-for", "unknown"), both[0]];
        assert_eq!(read_as(Written::Legacy, &hidden).0, None);
        assert_eq!(read_as(Written::Standard, &both[1..]), legacy);
    }

    #[test]
    fn a_prefix_is_a_path_and_nothing_else() {
        for (prefix, expected) in [
            ("/media", Some("/media")),
            ("/a/b/", Some("/a/b")),
            ("/", Some("")),
            ("media", None),
            ("//evil.example", None),
            ("/a?b", None),
            ("/a#b", None),
            ("/a\"b", None),
        ] {
            assert_eq!(path(prefix).as_deref(), expected, "{prefix}");
        }
    }

    proptest! {
        #[test]
        fn no_field_is_too_odd(value in "[ -~]{0,80}", legacy in "[ -~]{0,80}") {
            let forwarded = read_from(&[("forwarded", &value), ("x-forwarded-for", &legacy), ("x-forwarded-prefix", &legacy)]);
            if let Some(host) = forwarded.2 {
                prop_assert!(!host.contains(['@', '/', '"', ' ']), "{host}");
            }
        }
    }
}
