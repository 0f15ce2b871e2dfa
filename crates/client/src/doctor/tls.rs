//! Step 3: the TLS handshake as an encoder makes it, with the authorities that this machine trusts.

use std::{error::Error, io, net::SocketAddr, sync::Arc, time::Duration};

use rustls::{
    CertificateError, ClientConfig, ProtocolVersion,
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use rustls_platform_verifier::Verifier;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use webpki::{EndEntityCert, KeyUsage};

use super::{
    place::Place,
    report::{Finding, Step},
};

/// Two round trips, and a slow signature.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// ACME clients renew 30 days before the end, and try again daily: less than half of that means that they fail.
const DAYS_LEFT_MIN: u64 = 14;
/// What is shown of the names that another server's certificate is for.
const NAMES_MAX: usize = 4;

/// What a name of the DNS can have (RFC 1035 §2.3.4).
const NAME_CHARS_MAX: usize = 253;

const SECONDS_PER_DAY: u64 = 24 * 3600;

/// What became of a handshake.
#[derive(Debug)]
pub(super) enum Outcome {
    Trusted {
        version: Option<ProtocolVersion>,
        /// Of the server's own certificate. `None` where it cannot be told.
        left: Option<Duration>,
    },
    /// No certificate could be verified, whatever the server has.
    NoAuthorities,
    Certificate(CertificateError),
    PlainHttp,
    Silent,
    Broken(String),
}

pub(super) async fn handshake(host: &str, address: SocketAddr, authorities: &[CertificateDer<'static>]) -> Outcome {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let Ok(verifier) = Verifier::new_with_extra_roots(authorities.iter().cloned(), Arc::clone(&provider)) else {
        return Outcome::NoAuthorities;
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map(|config| config.dangerous().with_custom_certificate_verifier(Arc::new(verifier)));
    let config = match config {
        Ok(config) => config.with_no_client_auth(),
        Err(error) => return Outcome::Broken(error.to_string()),
    };
    let Ok(name) = ServerName::try_from(host.to_owned()) else {
        return Outcome::Broken(format!("{host} is no name that a certificate can have"));
    };
    let connection = async {
        let stream = TcpStream::connect(address).await?;
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    };
    let stream = match tokio::time::timeout(HANDSHAKE_TIMEOUT, connection).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return failed(&error),
        Err(_) => return Outcome::Silent,
    };
    let (_, connection) = stream.get_ref();
    let certificate = connection.peer_certificates().and_then(<[_]>::first);
    Outcome::Trusted {
        version: connection.protocol_version(),
        left: certificate.and_then(|certificate| left(certificate, UnixTime::now())),
    }
}

fn failed(error: &io::Error) -> Outcome {
    let inner: Option<&(dyn Error + Send + Sync)> = error.get_ref();
    match inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(certificate)) => Outcome::Certificate(certificate.clone()),
        // An HTTP response where a TLS record was due.
        Some(rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType)) => Outcome::PlainHttp,
        Some(error) => Outcome::Broken(error.to_string()),
        None => Outcome::Broken(error.to_string()),
    }
}

/// From `now` to notAfter. webpki tells it of a certificate that has expired, so it is asked how things look at the end of time;
/// it looks at the dates before it looks for an authority.
fn left(certificate: &CertificateDer<'_>, now: UnixTime) -> Option<Duration> {
    let certificate = EndEntityCert::try_from(certificate).ok()?;
    let end_of_time = UnixTime::since_unix_epoch(Duration::from_secs(u64::MAX));
    let verified = certificate.verify_for_usage(
        webpki::ALL_VERIFICATION_ALGS,
        &[],
        &[],
        end_of_time,
        KeyUsage::server_auth(),
        None,
        None,
    );
    match verified {
        Err(webpki::Error::CertExpired { not_after, .. }) => {
            Some(Duration::from_secs(not_after.as_secs().saturating_sub(now.as_secs())))
        }
        _ => None,
    }
}

/// Of a URL with http.
pub(super) fn said_of_plain(place: Place) -> Finding {
    if place <= Place::Loopback {
        return Step::Tls.ok("plain HTTP, which does not leave this machine");
    }
    Step::Tls.warn(
        "plain HTTP: the token crosses the network in clear, and browsers give no page their camera; use https, by --tls-cert \
         and --tls-key or a proxy that terminates TLS",
    )
}

pub(super) fn said(host: &str, outcome: &Outcome) -> Finding {
    match outcome {
        Outcome::Trusted { version, left } => trusted(host, *version, *left),
        Outcome::NoAuthorities => Step::Tls.fail(
            "this machine trusts no authority at all: install its CA certificates (the package ca-certificates), or name one \
             with --ca",
        ),
        Outcome::Certificate(error) => Step::Tls.fail(untrusted(host, error)),
        Outcome::PlainHttp => {
            Step::Tls.fail("the server speaks plain HTTP on this port: use http:// in place of https://, or another port")
        }
        Outcome::Silent => Step::Tls.fail(format!(
            "no TLS handshake within {} s: something that speaks no TLS has the port; check the URL's port",
            HANDSHAKE_TIMEOUT.as_secs()
        )),
        Outcome::Broken(cause) => Step::Tls.fail(format!(
            "the TLS handshake failed ({cause}): check that the port is the server's for https, and what lies between"
        )),
    }
}

fn trusted(host: &str, version: Option<ProtocolVersion>, left: Option<Duration>) -> Finding {
    let version = match version {
        Some(ProtocolVersion::TLSv1_3) => "TLS 1.3",
        Some(ProtocolVersion::TLSv1_2) => "TLS 1.2",
        _ => "TLS",
    };
    let Some(days) = left.map(|left| left.as_secs() / SECONDS_PER_DAY) else {
        return Step::Tls.ok(format!("{version}, with a trusted certificate for {host}"));
    };
    let found = format!("{version}, with a trusted certificate for {host} that is good for {days} more days");
    if days < DAYS_LEFT_MIN {
        return Step::Tls.warn(format!("{found}: renew it, and see why that did not happen by itself"));
    }
    Step::Tls.ok(found)
}

fn untrusted(host: &str, error: &CertificateError) -> String {
    match error {
        CertificateError::NotValidForName => {
            format!("the certificate is not for {host}: use the name that it is for, or give the server one for {host}")
        }
        CertificateError::NotValidForNameContext { presented, .. } => {
            let names: Vec<String> = presented.iter().map(|name| bare(name)).take(NAMES_MAX).collect();
            let names = if names.is_empty() {
                "no name at all".to_owned()
            } else {
                names.join(", ")
            };
            format!(
                "the certificate is for {names}, and not for {host}: use a name that it is for, or give the server one for \
                 {host}"
            )
        }
        CertificateError::UnknownIssuer => format!(
            "the certificate of {host} is from no authority that this machine trusts: it signed itself, or the server leaves out \
             the intermediate one; serve the whole chain, or name a private authority with --ca (each encoder has to trust it too)"
        ),
        CertificateError::ExpiredContext { time, not_after } => {
            let days = time.as_secs().saturating_sub(not_after.as_secs()) / SECONDS_PER_DAY;
            format!("the certificate of {host} expired {days} days ago: renew it")
        }
        CertificateError::Expired => format!("the certificate of {host} has expired: renew it"),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            format!("the certificate of {host} is not valid yet: check the clocks of this machine and of the server")
        }
        CertificateError::Revoked => format!("the certificate of {host} is revoked: get another"),
        error => format!("the certificate of {host} cannot be trusted ({error}): get another"),
    }
}

/// `DnsName("a.example")` → `a.example`: webpki says which kind of name it is. It is a stranger's, and ends up on a terminal.
fn bare(name: &str) -> String {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    let bare = inner.unwrap_or(name).trim_matches('"').chars();
    bare.filter(|c| !c.is_control()).take(NAME_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests;
