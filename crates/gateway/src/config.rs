//! What a gateway can be told.

use std::{fmt, net::IpAddr, num::NonZeroU32, str::FromStr};

use http::Uri;
use ipnet::IpNet;
use whipcord_identity::ClusterId;
use whipcord_whip::link::{self, IceServer};

use crate::{
    auth,
    cors::Origin,
    placement::Preference,
    takeover::{Rule, WithoutDirectory},
};

/// Flags and environment of the gateway.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Config {
    #[command(flatten)]
    pub auth: auth::Config,
    /// The cluster served here; workers of another are refused
    #[arg(long, env = "WHIPCORD_CLUSTER_ID", value_name = "NAME", default_value = "whipcord")]
    pub cluster_id: ClusterId,
    /// Where encoders reach this gateway, as in https://ingest.example.com (default: the Host they ask)
    #[arg(long, env = "WHIPCORD_PUBLIC_URL", value_name = "URL")]
    pub public_url: Option<PublicUrl>,
    /// Network of proxies whose Forwarded and X-Forwarded-* fields are believed, as in 10.0.0.0/8 (repeatable)
    #[arg(
        long = "trusted-proxy",
        env = "WHIPCORD_TRUSTED_PROXY",
        value_name = "NETWORK",
        value_delimiter = ',',
        value_parser = network
    )]
    pub(crate) trusted_proxies: Vec<IpNet>,
    /// Trusted proxies write Forwarded, and hand X-Forwarded-* on as clients send them (default: the other way round)
    #[arg(long, env = "WHIPCORD_FORWARDED")]
    pub(crate) forwarded: bool,
    /// STUN server to name to encoders, as in stun:stun.example.com:3478 (repeatable)
    #[arg(long = "ice-server", env = "WHIPCORD_ICE_SERVER", value_name = "URI", value_delimiter = ',', value_parser = stun)]
    pub(crate) ice_servers: Vec<IceServer>,
    /// Origin whose pages may publish, as in https://studio.example.com (repeatable; default: any)
    #[arg(
        long = "cors-origin",
        env = "WHIPCORD_CORS_ORIGIN",
        value_name = "ORIGIN",
        value_delimiter = ','
    )]
    pub(crate) cors_origins: Vec<Origin>,
    /// Requests per second from one address or with one token
    #[arg(long, env = "WHIPCORD_REQUEST_RATE", value_name = "N", default_value = "100")]
    pub(crate) request_rate: NonZeroU32,
    /// Who gets a stream that is held: replace, reject or several, as in live/*=reject (repeatable)
    #[arg(long, env = "WHIPCORD_TAKEOVER", value_name = "PATTERN=RULE", value_delimiter = ',')]
    pub(crate) takeover: Vec<Rule>,
    /// Where sessions go: spread over all workers, or pack into the fullest that has room
    #[arg(
        long,
        env = "WHIPCORD_PLACEMENT",
        value_enum,
        default_value_t,
        value_name = "spread|pack",
        hide_possible_values = true
    )]
    pub(crate) placement: Preference,
    /// What a POST gets while Redis does not answer: a place on a worker last known to live, or 503
    #[arg(
        long,
        env = "WHIPCORD_WITHOUT_DIRECTORY",
        value_enum,
        default_value_t,
        value_name = "place|refuse",
        hide_possible_values = true
    )]
    pub(crate) without_directory: WithoutDirectory,
}

impl Config {
    pub(crate) fn is_trusted(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.trusted_proxies.iter().any(|network| network.contains(&address))
    }
}

/// `scheme://authority[/prefix]`, without a slash at the end: what `/whip/...` is appended to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl(String);

impl FromStr for PublicUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let uri: Uri = text.parse().map_err(|_| UrlError)?;
        let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
        let has_user = uri.authority().is_none_or(|authority| authority.as_str().contains('@'));
        if !is_http || has_user || uri.query().is_some() || text.contains('#') {
            return Err(UrlError);
        }
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }
}

impl PublicUrl {
    /// `scheme://authority`.
    pub(crate) fn origin(&self) -> &str {
        let authority = self.0.find("://").map_or(0, |scheme_end| scheme_end + 3);
        let end = self.0[authority..]
            .find('/')
            .map_or(self.0.len(), |length| authority + length);
        &self.0[..end]
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is no public URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an absolute http or https URL without user, query and fragment")]
pub struct UrlError;

fn network(text: &str) -> Result<IpNet, NetworkError> {
    text.parse().map_err(|_| NetworkError)
}

/// Why a text is no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a network is IP/BITS, as in 10.0.0.0/8, 10.0.0.1/32 or fd00::/8")]
struct NetworkError;

fn stun(uri: &str) -> Result<IceServer, link::Error> {
    IceServer::stun(uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_url_is_absolute_and_plain() {
        let table = [
            ("https://ingest.example.com", Some("https://ingest.example.com")),
            ("https://ingest.example.com/", Some("https://ingest.example.com")),
            ("http://[::1]:8080/media/", Some("http://[::1]:8080/media")),
            ("ingest.example.com", None),
            ("ftp://ingest.example.com", None),
            ("https://user@ingest.example.com", None),
            ("https://ingest.example.com/?a=b", None),
            ("https://ingest.example.com/#a", None),
            ("/whip", None),
            ("", None),
        ];
        for (text, expected) in table {
            assert_eq!(
                text.parse::<PublicUrl>().ok().map(|url| url.to_string()).as_deref(),
                expected,
                "{text}"
            );
        }
    }
}
