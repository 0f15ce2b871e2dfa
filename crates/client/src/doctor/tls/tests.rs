use rcgen::{CertificateParams, KeyPair};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;

const DAY: Duration = Duration::from_secs(SECONDS_PER_DAY);

fn line(outcome: &Outcome) -> String {
    said("a.example", outcome).to_string()
}

fn trusted(days: u64) -> Outcome {
    Outcome::Trusted {
        version: Some(ProtocolVersion::TLSv1_3),
        left: Some(DAY * days as u32 + DAY / 2),
    }
}

#[test]
fn a_trusted_certificate_is_good_until_it_nears_its_end() {
    let found = "TLS 1.3, with a trusted certificate for a.example that is good for";
    assert_eq!(line(&trusted(14)), format!("ok    tls   {found} 14 more days"));
    assert_eq!(
        line(&trusted(13)),
        format!("warn  tls   {found} 13 more days: renew it, and see why that did not happen by itself")
    );
}

#[test]
fn what_is_wrong_with_a_certificate_is_said() {
    let at = |days: u32| UnixTime::since_unix_epoch(DAY * days);
    let name = |presented: &[&str]| CertificateError::NotValidForNameContext {
        expected: ServerName::try_from("a.example").unwrap(),
        presented: presented.iter().map(ToString::to_string).collect(),
    };
    let table = [
        (
            name(&["DnsName(\"b.example\")", "IpAddress(127.0.0.1)"]),
            "the certificate is for b.example, 127.0.0.1, and not for a.example: ",
        ),
        (
            name(&[]),
            "the certificate is for no name at all, and not for a.example: ",
        ),
        (
            CertificateError::UnknownIssuer,
            "the certificate of a.example is from no authority that this machine trusts: ",
        ),
        (
            CertificateError::ExpiredContext {
                time: at(105),
                not_after: at(100),
            },
            "the certificate of a.example expired 5 days ago: renew it",
        ),
        (
            CertificateError::NotValidYet,
            "the certificate of a.example is not valid yet: check the clocks",
        ),
    ];
    for (error, expected) in table {
        let line = line(&Outcome::Certificate(error));
        assert!(line.starts_with(&format!("FAIL  tls   {expected}")), "{line}");
    }
}

#[test]
fn plain_http_is_for_this_machine_alone() {
    assert!(said_of_plain(Place::Loopback).to_string().starts_with("ok "));
    for place in [Place::Private, Place::Public] {
        let line = said_of_plain(place).to_string();
        assert!(line.starts_with("warn  tls   plain HTTP: the token crosses"), "{line}");
    }
}

/// A server with a self-signed certificate of these names, and the certificate.
async fn server(names: &[&str], days: u32) -> (SocketAddr, CertificateDer<'static>) {
    let key = KeyPair::generate().unwrap();
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).unwrap();
    let now = std::time::SystemTime::now();
    params.not_before = (now - DAY).into();
    params.not_after = (now + DAY * days + DAY / 2).into();
    let certificate = params.self_signed(&key).unwrap().der().clone();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key.into())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // A client that refuses is what some tests are about.
            drop(acceptor.accept(stream).await);
        }
    });
    (address, certificate)
}

#[tokio::test]
async fn a_handshake_tells_version_and_days() {
    let (address, certificate) = server(&["a.example"], 40).await;
    let outcome = handshake("a.example", address, &[certificate]).await;
    assert_eq!(
        line(&outcome),
        "ok    tls   TLS 1.3, with a trusted certificate for a.example that is good for 40 more days"
    );
}

#[tokio::test]
async fn a_stranger_and_another_name_are_refused() {
    let (address, certificate) = server(&["b.example"], 40).await;
    let stranger = handshake("b.example", address, &[]).await;
    assert!(
        matches!(
            stranger,
            Outcome::NoAuthorities | Outcome::Certificate(CertificateError::UnknownIssuer)
        ),
        "{stranger:?}"
    );
    let other = line(&handshake("a.example", address, &[certificate]).await);
    assert!(
        other.contains("the certificate is for b.example, and not for a.example"),
        "{other}"
    );
}

#[tokio::test]
async fn a_port_without_tls_is_told_from_a_silent_one() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let answer = b"HTTP/1.1 400 Bad Request\r\n\r\n";
        tokio::io::AsyncWriteExt::write_all(&mut stream, answer).await.unwrap();
    });
    let (_, certificate) = server(&["a.example"], 40).await;
    let outcome = handshake("a.example", address, &[certificate]).await;
    assert!(matches!(outcome, Outcome::PlainHttp), "{outcome:?}");
}
