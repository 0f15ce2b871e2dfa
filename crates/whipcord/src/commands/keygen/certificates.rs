//! The certificates by which gateways, workers and controllers know each other: an authority made for nothing else, and one for each role.

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SerialNumber, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use whipcord_identity::ClusterId;
use zeroize::Zeroizing;

use super::File;
use crate::process::{
    clock::{self, day},
    random,
};

/// What [`renew`] has to find.
pub(super) const FILES: [&str; 4] = ["ca.pem", "ca.key", "gateway.pem", "worker.pem"];
/// What it may find.
pub(super) const CONTROLLER: &str = "controller.pem";

/// Why no certificate was made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot make a certificate: {0}")]
    Make(#[from] rcgen::Error),
    #[error("{0} holds no certificate in PEM form")]
    Pem(&'static str),
    #[error("{file} is of {found}, not of {expected}: give --cluster-id as when it was made")]
    Cluster {
        file: &'static str,
        found: String,
        expected: String,
    },
    #[error(
        "ca.pem and ca.key are no authority of whipcord keygen ({0}): renew the certificates with what made that authority"
    )]
    Authority(webpki::Error),
}

/// Other files for those of the roles.
pub(super) struct Renewed {
    pub(super) files: Vec<File>,
    /// The day on which they end.
    pub(super) until: String,
    /// The day on which the first of the old ones ends.
    pub(super) before: String,
}

const DAY: u64 = 24 * 3600;
/// Ten years: to replace an authority, both have to be in every ca.pem for a while.
const AUTHORITY_DAYS: u64 = 3650;
/// One year: renewed by --renew, and warned of a month before its end.
const LEAF_DAYS: u64 = 365;
/// Clocks of machines that have just started may be behind.
const EARLIER: u64 = 3600;

/// File names of each role.
const ROLES: [(&str, &str, &str); 3] = [
    ("gateway", "gateway.pem", "gateway.key"),
    ("worker", "worker.pem", "worker.key"),
    ("controller", CONTROLLER, "controller.key"),
];

/// Of an authority, and of each role.
pub(super) fn make(cluster: &ClusterId, now: u64) -> Result<Vec<File>, Error> {
    let params = authority(now);
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    let mut files = vec![
        ("ca.pem", Zeroizing::new(certificate.pem())),
        ("ca.key", Zeroizing::new(key.serialize_pem())),
    ];
    files.extend(leaves(&Issuer::from_params(&params, key), cluster, now)?);
    Ok(files)
}

/// Of each role, under the authority that is there.
pub(super) fn renew(present: &[File], cluster: &ClusterId, now: u64) -> Result<Renewed, Error> {
    let text = |name: &str| {
        let found = present.iter().find(|(file, _)| *file == name);
        found.map_or("", |(_, text)| text.as_str())
    };
    let mut before = u64::MAX;
    let authority_pem = first("ca.pem", text("ca.pem"))?;
    let is_there = |file: &str| file != CONTROLLER || !text(file).is_empty();
    for (role, file, _) in ROLES.into_iter().filter(|(_, file, _)| is_there(file)) {
        let certificate = first(file, text(file))?;
        let parsed = EndEntityCert::try_from(&certificate).map_err(|_| Error::Pem(file))?;
        let expected = name(role, cluster);
        let server = ServerName::try_from(expected.clone()).expect("a cluster's name is a DNS label");
        if parsed.verify_is_valid_for_subject_name(&server).is_err() {
            let found: Vec<&str> = parsed.valid_dns_names().collect();
            return Err(Error::Cluster {
                file,
                found: found.join(", "),
                expected,
            });
        }
        before = before.min(end(&certificate, &authority_pem));
    }
    let key = KeyPair::from_pem(text("ca.key"))?;
    // An authority of keygen's has one subject, always; of another's, what is signed here would not hold.
    let files = leaves(&Issuer::from_params(&authority(now), key), cluster, now)?;
    for (file, text) in files.iter().filter(|(file, _)| file.ends_with(".pem")) {
        verify(&first(file, text)?, &authority_pem, at(now)).map_err(Error::Authority)?;
    }
    Ok(Renewed {
        files,
        until: day(now + LEAF_DAYS * DAY),
        before: day(before.min(now + LEAF_DAYS * DAY)),
    })
}

fn name(role: &str, cluster: &ClusterId) -> String {
    format!("{role}.{cluster}.whipcord.internal")
}

fn authority(now: u64) -> CertificateParams {
    let mut params = valid(CertificateParams::default(), now, AUTHORITY_DAYS);
    params.distinguished_name = subject("Whipcord internal authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn leaves(issuer: &Issuer<'_, KeyPair>, cluster: &ClusterId, now: u64) -> Result<Vec<File>, Error> {
    let mut files = Vec::new();
    for (role, certificate, key) in ROLES {
        let params = CertificateParams::new(vec![name(role, cluster)])?;
        let mut params = valid(params, now, LEAF_DAYS);
        // Not the whole name: a common name has 64 characters at most.
        params.distinguished_name = subject(&format!("Whipcord {role}"));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let pair = KeyPair::generate()?;
        files.push((certificate, Zeroizing::new(params.signed_by(&pair, issuer)?.pem())));
        files.push((key, Zeroizing::new(pair.serialize_pem())));
    }
    Ok(files)
}

fn valid(mut params: CertificateParams, now: u64, days: u64) -> CertificateParams {
    let calendar = |second| date_time_ymd(1970, 1, 1) + Duration::from_secs(second);
    params.not_before = calendar(now.saturating_sub(EARLIER));
    params.not_after = calendar(now + days * DAY);
    // Positive, and of 20 bytes at most (RFC 5280 §4.1.2.2).
    let mut serial: [u8; 16] = random();
    serial[0] = serial[0] & 0x7f | 0x40;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params
}

fn subject(common_name: &str) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, common_name);
    subject
}

fn first(file: &'static str, pem: &str) -> Result<CertificateDer<'static>, Error> {
    CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| Error::Pem(file))
}

/// The second at which a certificate ends: its check tells at the end of all time. Of one that no authority here signed, now is as good.
fn end(certificate: &CertificateDer<'_>, authority: &CertificateDer<'_>) -> u64 {
    match verify(certificate, authority, at(clock::END)) {
        Err(webpki::Error::CertExpired { not_after, .. }) => not_after.as_secs(),
        _ => 0,
    }
}

fn at(second: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(second))
}

fn verify(
    certificate: &CertificateDer<'_>,
    authority: &CertificateDer<'_>,
    time: UnixTime,
) -> Result<(), webpki::Error> {
    let anchors = [anchor_from_trusted_cert(authority)?];
    let certificate = EndEntityCert::try_from(certificate)?;
    let usage = KeyUsage::client_auth();
    let path = certificate.verify_for_usage(webpki::ALL_VERIFICATION_ALGS, &anchors, &[], time, usage, None, None);
    path.map(drop)
}
