//! The encoder's side of DTLS, straight on rtc-dtls, so that the benchmark chooses the cipher. Loopback loses nothing: no
//! retransmission is needed.

use std::{net::SocketAddr, sync::Arc, time::Instant};

use anyhow::Context;
use bytes::BytesMut;
use rtc_crypto::{RTCCryptoProvider, providers::AwsLcRsProvider};
use rtc_dtls::{
    config::{ClientAuthType, ConfigBuilder, ExtendedMasterSecretType, HandshakeConfig},
    crypto::Certificate,
    endpoint::{Endpoint, EndpointEvent},
};
use whipcord_peer::srtp::Keys;
use whipcord_whip::negotiate::Role;

use crate::server::Cipher;

/// What all encoders share.
pub(crate) struct Dtls {
    cipher: Cipher,
    crypto: Arc<dyn RTCCryptoProvider>,
    certificate: Certificate,
}

impl Dtls {
    pub(crate) fn new(cipher: Cipher) -> anyhow::Result<Self> {
        let crypto: Arc<dyn RTCCryptoProvider> = Arc::new(AwsLcRsProvider::new());
        let certificate = Certificate::generate_self_signed(vec!["bench".to_owned()], crypto.crypto())?;
        Ok(Self {
            cipher,
            crypto,
            certificate,
        })
    }

    /// SHA-256, as SDP writes it.
    pub(crate) fn fingerprint(&self) -> String {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, self.certificate.certificate[0].as_ref());
        digest
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02X}"))
            .collect::<Vec<_>>()
            .join(":")
    }

    fn config(&self, role: Role) -> anyhow::Result<Arc<HandshakeConfig>> {
        let config = ConfigBuilder::default()
            .with_crypto_provider(Arc::clone(&self.crypto))
            .with_certificates(vec![self.certificate.clone()])
            .with_srtp_protection_profiles(vec![self.cipher.dtls()])
            .with_client_auth(ClientAuthType::RequireAnyClientCert)
            .with_insecure_skip_verify(true)
            .with_extended_master_secret(ExtendedMasterSecretType::Request);
        Ok(Arc::new(config.build(role == Role::Client, None)?))
    }
}

/// One encoder's association.
pub(crate) struct Association {
    endpoint: Endpoint,
    role: Role,
    cipher: Cipher,
}

/// The endpoint tells associations apart by address; here is only one.
const PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9);

impl Association {
    pub(crate) fn new(dtls: &Dtls, role: Role) -> anyhow::Result<Self> {
        let config = dtls.config(role)?;
        let server = (role == Role::Server).then(|| Arc::clone(&config));
        let mut endpoint = Endpoint::new(PEER, rtc_shared::TransportProtocol::UDP, server);
        if role == Role::Client {
            endpoint.connect(Instant::now(), PEER, config, None)?;
        }
        Ok(Self {
            endpoint,
            role,
            cipher: dtls.cipher,
        })
    }

    pub(crate) fn poll_transmit(&mut self) -> Option<BytesMut> {
        self.endpoint.poll_transmit().map(|transmit| transmit.message)
    }

    /// The keys, once it is done.
    pub(crate) fn receive(&mut self, datagram: &[u8]) -> anyhow::Result<Option<Keys>> {
        let events = self
            .endpoint
            .read(Instant::now(), PEER, None, BytesMut::from(datagram))?;
        if !events
            .iter()
            .any(|event| matches!(event, EndpointEvent::HandshakeComplete))
        {
            return Ok(None);
        }
        let state = self
            .endpoint
            .get_connection_state(PEER)
            .context("a completed handshake has a state")?;
        let profile = self.cipher.profile();
        let material = state.export_keying_material("EXTRACTOR-dtls_srtp", &[], profile.exporter_len())?;
        Ok(Keys::from_exporter(profile, self.role, material.as_ref()))
    }
}
