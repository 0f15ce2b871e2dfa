//! The encoder's side of DTLS, straight on rtc-dtls, and the SRTP keys that come of it.

use std::{
    fmt,
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::Instant,
};

use bytes::BytesMut;
use rtc_crypto::{RTCCryptoProvider, providers::AwsLcRsProvider};
use rtc_dtls::{
    config::{ClientAuthType, ConfigBuilder, ExtendedMasterSecretType, HandshakeConfig},
    crypto::Certificate,
    endpoint::{Endpoint, EndpointEvent},
    extension::extension_use_srtp::SrtpProtectionProfile,
};
use rtc_srtp::{context::Context, protection_profile::ProtectionProfile};

/// What most encoders use.
const PROFILE: ProtectionProfile = ProtectionProfile::Aes128CmHmacSha1_80;

/// What all encoders of a process share: one certificate, as no server compares them.
struct Identity {
    crypto: Arc<dyn RTCCryptoProvider>,
    certificate: Certificate,
}

fn identity() -> &'static Identity {
    static IDENTITY: OnceLock<Identity> = OnceLock::new();
    IDENTITY.get_or_init(|| {
        let crypto: Arc<dyn RTCCryptoProvider> = Arc::new(AwsLcRsProvider::new());
        let certificate = Certificate::generate_self_signed(vec!["encoder".to_owned()], crypto.crypto());
        let certificate = certificate.expect("a certificate can be made");
        Identity { crypto, certificate }
    })
}

/// SHA-256 of the certificate, as SDP writes it.
pub(super) fn fingerprint() -> String {
    let certificate = identity().certificate.certificate[0].as_ref();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, certificate);
    let bytes: Vec<String> = digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
    bytes.join(":")
}

/// Which side begins: the answer's `a=setup` says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Client,
    Server,
}

/// One encoder's association, until it has keys.
pub(super) struct Association {
    endpoint: Endpoint,
    role: Role,
    /// The datagrams that were sent last, repeated as long as nothing comes (RFC 6347 §4.2.4).
    flight: Vec<BytesMut>,
}

/// The endpoint tells associations apart by address; here is only one.
const PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9);

type Result<T> = std::result::Result<T, rtc_shared::error::Error>;

impl Association {
    pub(super) fn new(role: Role) -> Result<Self> {
        let config = config(role)?;
        let server = (role == Role::Server).then(|| Arc::clone(&config));
        let mut endpoint = Endpoint::new(PEER, rtc_shared::TransportProtocol::UDP, server);
        if role == Role::Client {
            endpoint.connect(Instant::now(), PEER, config, None)?;
        }
        Ok(Self {
            endpoint,
            role,
            flight: Vec::new(),
        })
    }

    /// What is to be sent now.
    pub(super) fn transmit(&mut self) -> &[BytesMut] {
        let datagrams: Vec<BytesMut> = std::iter::from_fn(|| self.endpoint.poll_transmit())
            .map(|transmit| transmit.message)
            .collect();
        if datagrams.is_empty() {
            return &[];
        }
        self.flight = datagrams;
        &self.flight
    }

    /// The last flight, for a peer that says nothing.
    pub(super) fn repeat(&self) -> &[BytesMut] {
        &self.flight
    }

    /// What seals media, once it is done.
    pub(super) fn receive(&mut self, datagram: &[u8]) -> Result<Option<Sealer>> {
        let events = self
            .endpoint
            .read(Instant::now(), PEER, None, BytesMut::from(datagram))?;
        let done = |event: &EndpointEvent| matches!(event, EndpointEvent::HandshakeComplete);
        let state = self.endpoint.get_connection_state(PEER);
        let Some(state) = state.filter(|_| events.iter().any(done)) else {
            return Ok(None);
        };
        let (key, salt) = (PROFILE.key_len(), PROFILE.salt_len());
        let material = state.export_keying_material("EXTRACTOR-dtls_srtp", &[], 2 * (key + salt))?;
        let material: &[u8] = material.as_ref();
        // Client key, server key, client salt, server salt (RFC 5764 §4.2).
        let second = usize::from(self.role == Role::Server);
        let (key, salt) = (
            &material[second * key..][..key],
            &material[2 * key + second * salt..][..salt],
        );
        let crypto = identity().crypto.crypto();
        Context::new(key, salt, PROFILE, None, None, crypto).map(|context| Some(Sealer(context)))
    }
}

/// Turns RTP into SRTP.
pub(super) struct Sealer(Context);

impl Sealer {
    /// # Panics
    /// When it is no RTP packet, or the 2^48th.
    pub(super) fn seal(&mut self, packet: &[u8]) -> BytesMut {
        self.0.encrypt_rtp(packet).expect("an RTP packet can be sealed")
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(***)")
    }
}

fn config(role: Role) -> Result<Arc<HandshakeConfig>> {
    let identity = identity();
    let config = ConfigBuilder::default()
        .with_crypto_provider(Arc::clone(&identity.crypto))
        .with_certificates(vec![identity.certificate.clone()])
        .with_srtp_protection_profiles(vec![SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80])
        .with_client_auth(ClientAuthType::RequireAnyClientCert)
        .with_insecure_skip_verify(true)
        .with_extended_master_secret(ExtendedMasterSecretType::Request);
    Ok(Arc::new(config.build(role == Role::Client, None)?))
}
