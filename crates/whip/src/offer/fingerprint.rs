//! `a=fingerprint` (RFC 8122 §5). Must not know certificates.

use std::fmt::{self, Write as _};

use crate::Refusal;

/// Fingerprints of one transport. aiortc sends three, one per hash.
const FINGERPRINTS_MAX: usize = 16;

/// A hash of the certificate that its owner will show in the DTLS handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    pub algorithm: HashAlgorithm,
    /// As long as the algorithm's output.
    pub digest: Vec<u8>,
}

/// The hashes that may vouch for a certificate. RFC 8122 §5 registers more; SHA-1, MD5 and MD2 are broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HashAlgorithm {
    Sha256,
    Sha384,
    Sha512,
}

impl HashAlgorithm {
    const ALL: [Self; 3] = [Self::Sha256, Self::Sha384, Self::Sha512];

    fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha-256",
            Self::Sha384 => "sha-384",
            Self::Sha512 => "sha-512",
        }
    }

    /// Bytes of a digest.
    fn len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

impl fmt::Display for Fingerprint {
    /// The attribute's value: `sha-256 4A:AD:...`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.algorithm.as_str())?;
        for (index, byte) in self.digest.iter().enumerate() {
            f.write_char(if index == 0 { ' ' } else { ':' })?;
            write!(f, "{byte:02X}")?;
        }
        Ok(())
    }
}

/// Those of hashes we trust. One that is malformed refuses the offer: it may be the one that matters.
pub(super) fn parse_all<'a>(values: impl Iterator<Item = &'a str>) -> Result<Vec<Fingerprint>, Refusal> {
    let mut fingerprints: Vec<Fingerprint> = Vec::new();
    let mut none = Refusal::NoFingerprint;
    for value in values {
        match parse(value)? {
            Some(known) if fingerprints.contains(&known) => {}
            Some(_) if fingerprints.len() == FINGERPRINTS_MAX => {
                return Err(Refusal::TooMany {
                    what: "fingerprints",
                    most: FINGERPRINTS_MAX,
                });
            }
            Some(fingerprint) => fingerprints.push(fingerprint),
            None => none = Refusal::WeakFingerprint,
        }
    }
    if fingerprints.is_empty() {
        Err(none)
    } else {
        Ok(fingerprints)
    }
}

/// None for a hash we do not trust.
fn parse(value: &str) -> Result<Option<Fingerprint>, Refusal> {
    let malformed = Refusal::Attribute {
        attribute: "fingerprint",
        clause: "RFC 8122 section 5",
    };
    let Some((name, hex)) = value.split_once(' ') else {
        return Err(malformed);
    };
    let Some(algorithm) = HashAlgorithm::ALL
        .into_iter()
        .find(|known| known.as_str().eq_ignore_ascii_case(name))
    else {
        return Ok(None);
    };
    let digest: Option<Vec<u8>> = hex.trim().split(':').map(byte).collect();
    match digest {
        Some(digest) if digest.len() == algorithm.len() => Ok(Some(Fingerprint { algorithm, digest })),
        _ => Err(malformed),
    }
}

fn byte(hex: &str) -> Option<u8> {
    // `from_str_radix` alone would take a sign.
    let two_digits = hex.len() == 2 && hex.bytes().all(|b| b.is_ascii_hexdigit());
    if two_digits {
        u8::from_str_radix(hex, 16).ok()
    } else {
        None
    }
}
