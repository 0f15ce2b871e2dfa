//! Certificates of the kinds that encoders have.

use std::sync::Arc;

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use rtc_crypto::{CryptoError, PublicKey, PublicKeyEncoding, SecretVec, SignatureScheme, SigningKey};
use rtc_dtls::crypto::{Certificate as KeyAndChain, CryptoPrivateKey};

use crate::dtls::Certificate;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    P256,
    P384,
    Rsa2048,
}

pub(super) const KEYS: [Key; 3] = [Key::P256, Key::P384, Key::Rsa2048];

pub(super) fn certificate(key: Key) -> Certificate {
    Certificate::from_key(key_and_chain(key)).expect("a certificate")
}

pub(super) fn key_and_chain(key: Key) -> KeyAndChain {
    let pair = match key {
        Key::P256 => rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
        Key::P384 => rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384),
        Key::Rsa2048 => rcgen::KeyPair::from_pem(include_str!("../fixtures/test-only-rsa-2048.pem")),
    }
    .expect("a key");
    let params = rcgen::CertificateParams::new(["encoder".to_owned()]).expect("a name");
    let chain = vec![params.self_signed(&pair).expect("a certificate").der().clone()];
    let provider = rtc_crypto::default_provider().expect("a provider");
    match key {
        Key::P384 => KeyAndChain::from_signing_key(chain, Arc::new(P384::new(&pair.serialize_der()))),
        Key::P256 | Key::Rsa2048 => KeyAndChain {
            certificate: chain,
            private_key: CryptoPrivateKey::from_key_pair(&pair, provider.crypto()).expect("an importable key"),
        },
    }
}

/// rtc-crypto verifies P-384, and cannot sign with it.
struct P384 {
    pair: EcdsaKeyPair,
    public: Vec<u8>,
}

impl P384 {
    fn new(pkcs8: &[u8]) -> Self {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_ASN1_SIGNING, pkcs8).expect("a P-384 key");
        let public = pair.public_key().as_ref().to_vec();
        Self { pair, public }
    }
}

impl SigningKey for P384 {
    fn supports(&self, scheme: SignatureScheme) -> bool {
        scheme == SignatureScheme::EcdsaP384Sha384
    }

    fn public_key(&self) -> PublicKey<'_> {
        PublicKey {
            encoding: PublicKeyEncoding::EcUncompressedPoint,
            bytes: &self.public,
        }
    }

    fn sign(&self, _scheme: SignatureScheme, message: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let signature = self
            .pair
            .sign(&SystemRandom::new(), message)
            .map_err(|_| CryptoError::RandomnessFailed)?;
        Ok(signature.as_ref().to_vec())
    }

    fn to_pkcs8_der(&self) -> Result<Option<SecretVec>, CryptoError> {
        Ok(None)
    }
}
