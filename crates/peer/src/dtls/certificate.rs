//! Our certificate, the configurations that are shared by all sessions, and whether a peer's certificate is the announced one.

use std::{sync::Arc, time::Duration};

use aws_lc_rs::digest;
use rtc_dtls::{
    config::{ClientAuthType, ConfigBuilder, ExtendedMasterSecretType, HandshakeConfig},
    crypto::Certificate as KeyAndChain,
    extension::extension_use_srtp::SrtpProtectionProfile,
};
use whipcord_whip::offer::{Fingerprint, HashAlgorithm};

use super::{Error, hello::PREFERRED};
use crate::srtp::Profile;

/// The certificate's subject alternative name. Nobody checks it: the fingerprint in the answer is what counts.
const NAME: &str = "whipcord";

/// Our certificate: EC P-256, self-signed, shared by every session. Cheap to clone.
#[derive(Clone)]
pub struct Certificate {
    shared: Arc<Shared>,
}

struct Shared {
    fingerprint: Fingerprint,
    client: Arc<HandshakeConfig>,
    /// One for each of `PREFERRED`, in that order: rtc-dtls would follow the client's order, so each knows one profile only.
    servers: [Arc<HandshakeConfig>; 3],
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Certificate")
    }
}

impl Certificate {
    /// A new key and certificate.
    ///
    /// # Errors
    /// [`Error::Certificate`] if the system has no randomness.
    pub fn generate() -> Result<Self, Error> {
        let provider = rtc_crypto::default_provider().map_err(|_| Error::Certificate)?;
        let certificate =
            KeyAndChain::generate_self_signed([NAME.to_owned()], provider.crypto()).map_err(|_| Error::Certificate)?;
        Self::from_key(certificate)
    }

    /// SHA-256 of the certificate, for `a=fingerprint`.
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.shared.fingerprint
    }

    pub(super) fn from_key(certificate: KeyAndChain) -> Result<Self, Error> {
        let leaf = certificate.certificate.first().ok_or(Error::Certificate)?;
        let fingerprint = fingerprint(HashAlgorithm::Sha256, leaf);
        let client = configure(&certificate, true, &PREFERRED)?;
        let [first, second, third] = PREFERRED;
        let server = |profile| configure(&certificate, false, &[profile]);
        let servers = [server(first)?, server(second)?, server(third)?];
        Ok(Self {
            shared: Arc::new(Shared {
                fingerprint,
                client,
                servers,
            }),
        })
    }

    pub(super) fn as_client(&self) -> Arc<HandshakeConfig> {
        self.shared.client.clone()
    }

    pub(super) fn as_server(&self, profile: Profile) -> Option<Arc<HandshakeConfig>> {
        PREFERRED
            .iter()
            .zip(&self.shared.servers)
            .find(|(one, _)| **one == profile)
            .map(|(_, config)| config.clone())
    }
}

/// RFC 8122 §5: the certificate is one of those announced, by any hash function we know. None announced, none accepted.
pub(super) fn is_announced(certificate: &[u8], announced: &[Fingerprint]) -> bool {
    announced
        .iter()
        .any(|one| *one == fingerprint(one.algorithm, certificate))
}

fn fingerprint(algorithm: HashAlgorithm, certificate: &[u8]) -> Fingerprint {
    let function = match algorithm {
        HashAlgorithm::Sha256 => &digest::SHA256,
        HashAlgorithm::Sha384 => &digest::SHA384,
        HashAlgorithm::Sha512 => &digest::SHA512,
    };
    Fingerprint {
        algorithm,
        digest: digest::digest(function, certificate).as_ref().to_vec(),
    }
}

fn configure(certificate: &KeyAndChain, client: bool, profiles: &[Profile]) -> Result<Arc<HandshakeConfig>, Error> {
    let provider = rtc_crypto::default_provider().map_err(|_| Error::Certificate)?;
    ConfigBuilder::default()
        .with_crypto_provider(provider)
        .with_certificates(vec![certificate.clone()])
        .with_srtp_protection_profiles(profiles.iter().copied().map(to_rtc).collect())
        .with_client_auth(ClientAuthType::RequireAnyClientCert)
        // Self-signed on both sides: the fingerprint in the SDP takes the place of a chain.
        .with_insecure_skip_verify(true)
        .with_extended_master_secret(ExtendedMasterSecretType::Request)
        .with_server_name(NAME.to_owned())
        // Always over when we look: when a flight is repeated is decided in `flight`.
        .with_flight_interval(Duration::from_millis(1))
        .build(client, None)
        .map(Arc::new)
        .map_err(|_| Error::Certificate)
}

fn to_rtc(profile: Profile) -> SrtpProtectionProfile {
    match profile {
        Profile::Aes128CmHmacSha1_80 => SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80,
        Profile::AeadAes128Gcm => SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm,
        Profile::AeadAes256Gcm => SrtpProtectionProfile::Srtp_Aead_Aes_256_Gcm,
    }
}

pub(super) fn from_rtc(profile: SrtpProtectionProfile) -> Option<Profile> {
    PREFERRED.into_iter().find(|one| to_rtc(*one) == profile)
}
