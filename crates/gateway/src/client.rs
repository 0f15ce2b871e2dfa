//! Who asks, and by which URL: what the connection says, or what proxies say of it where the operator trusts them.

use std::net::IpAddr;

use http::{header, request::Parts, uri::Authority};

use crate::{
    Shared,
    forwarded::{self, Forwarded, Written},
};

/// One connection, as the socket shows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Connection {
    pub(crate) peer: IpAddr,
    pub(crate) scheme: Scheme,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Http,
    Https,
}

/// The encoder behind one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Client {
    pub(crate) address: IpAddr,
    /// What `/whip/...` is appended to for a URL that leads back here: `scheme://authority[/prefix]`; empty where the client named
    /// no host.
    pub(crate) base: String,
}

impl Scheme {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// Where a URL names none.
    fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl Client {
    pub(crate) fn new(shared: &Shared, connection: Connection, parts: &Parts) -> Self {
        let is_trusted = |address: &IpAddr| shared.config.is_trusted(*address);
        let Forwarded {
            address,
            scheme,
            host,
            port,
            prefix,
        } = if is_trusted(&connection.peer) {
            let written = if shared.config.forwarded {
                Written::Standard
            } else {
                Written::Legacy
            };
            forwarded::read(&parts.headers, written, is_trusted)
        } else {
            shared.proxy_complaint.make(&parts.headers, connection.peer);
            Forwarded::default()
        };
        let base = match &shared.config.public_url {
            Some(url) => url.to_string(),
            None => host.or_else(|| asked(parts)).map_or_else(String::new, |host| {
                let scheme = scheme.unwrap_or(connection.scheme);
                let port = port.filter(|port| host.port().is_none() && *port != scheme.port());
                let port = port.map_or_else(String::new, |port| format!(":{port}"));
                let prefix = prefix.unwrap_or_default();
                format!("{}://{host}{port}{prefix}", scheme.as_str())
            }),
        };
        Self {
            address: address.unwrap_or(connection.peer),
            base,
        }
    }
}

/// The host that the request names; a client of HTTP/1.0 without a Host names none.
fn asked(parts: &Parts) -> Option<Authority> {
    let host = || Authority::try_from(parts.headers.get(header::HOST)?.as_bytes()).ok();
    let authority = parts.uri.authority().cloned().or_else(host)?;
    (!authority.as_str().contains('@')).then_some(authority)
}
