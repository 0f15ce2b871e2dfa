//! The session keys of one direction and one packet kind, and the two constructions over them.
//!
//! AES-CM runs on aws-lc-rs's expanded key: no key schedule per packet. HMAC-SHA1 starts from aws-lc-rs's precomputed inner and outer
//! states. Both use the processor's AES and SHA instructions, or AVX2 where SHA is missing, on x86-64 and on aarch64.

use std::fmt;

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_128, DecryptingKey, DecryptionContext, UnboundCipherKey};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;
use zeroize::Zeroizing;

use super::{Profile, derivation::AUTH_KEY_LEN, open::Unauthentic};

/// Bytes of HMAC-SHA1's tag that are sent (RFC 5764 §4.1.2).
pub(super) const CM_TAG_LEN: usize = 10;
/// Bytes of GCM's tag (RFC 7714 §14.2).
pub(super) const GCM_TAG_LEN: usize = 16;

pub(super) enum Cipher {
    /// Boxed: HMAC's three states make it 1.7 KB.
    Cm(Box<Cm>),
    Gcm(Gcm),
}

impl Cipher {
    /// From session keys. `key` and `salt` have the profile's lengths; `auth` is for AES-CM alone.
    pub(super) fn new(profile: Profile, key: &[u8], auth: &[u8; AUTH_KEY_LEN], salt: &[u8]) -> Self {
        let algorithm = match profile {
            Profile::Aes128CmHmacSha1_80 => return Self::Cm(Box::new(Cm::new(key, auth, salt))),
            Profile::AeadAes128Gcm => &AES_128_GCM,
            Profile::AeadAes256Gcm => &AES_256_GCM,
        };
        let key = UnboundKey::new(algorithm, key).expect("the caller checked the key's length");
        Self::Gcm(Gcm {
            key: LessSafeKey::new(key),
            salt: fixed(salt),
        })
    }
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cm(_) => "Cm(***)",
            Self::Gcm(_) => "Gcm(***)",
        })
    }
}

/// AES in counter mode, then HMAC-SHA1 over what was sent (RFC 3711 §4.1.1 and §4.2.1).
pub(super) struct Cm {
    /// Counter mode is its own inverse; this is the cheaper of aws-lc-rs's two handles (177 against 197 ns for 1200 B), so it seals as
    /// well.
    key: DecryptingKey,
    auth: hmac::Key,
    salt: Zeroizing<[u8; 14]>,
}

impl Cm {
    fn new(key: &[u8], auth: &[u8; AUTH_KEY_LEN], salt: &[u8]) -> Self {
        let key = UnboundCipherKey::new(&AES_128, key).and_then(DecryptingKey::ctr);
        Self {
            key: key.expect("the caller checked the key's length"),
            auth: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, auth),
            salt: fixed(salt),
        }
    }

    /// The tag of an RTP packet covers its roll-over counter, which is not sent (RFC 3711 §4.2).
    pub(super) fn rtp_tag(&self, packet: &[u8], index: u64) -> [u8; CM_TAG_LEN] {
        let mut context = hmac::Context::with_key(&self.auth);
        context.update(packet);
        context.update(&roll_over(index).to_be_bytes());
        truncated(&context.sign())
    }

    /// The tag of an RTCP packet; `packet` ends with the word that holds E and the index.
    pub(super) fn rtcp_tag(&self, packet: &[u8]) -> [u8; CM_TAG_LEN] {
        truncated(&hmac::sign(&self.auth, packet))
    }

    /// Encrypts or decrypts: (salt * 2^16) XOR (SSRC * 2^64) XOR (index * 2^16) starts the counter (RFC 3711 §4.1.1).
    pub(super) fn apply(&self, ssrc: [u8; 4], index: u64, payload: &mut [u8]) {
        let mut iv = [0; 16];
        iv[4..8].copy_from_slice(&ssrc);
        iv[8..14].copy_from_slice(&index.to_be_bytes()[2..]);
        for (byte, salt) in iv.iter_mut().zip(self.salt.iter()) {
            *byte ^= salt;
        }
        let context = DecryptionContext::Iv128(FixedLength::from(iv));
        self.key.decrypt(payload, context).expect("AES-CTR takes any input");
    }
}

/// AES-GCM (RFC 7714).
pub(super) struct Gcm {
    key: LessSafeKey,
    salt: Zeroizing<[u8; NONCE_LEN]>,
}

impl Gcm {
    /// `body` is ciphertext and tag; afterwards its front is the plaintext. When it does not authenticate, `body` is cleared.
    pub(super) fn open(&self, nonce: Nonce, aad: &[u8], body: &mut [u8]) -> Result<(), Unauthentic> {
        self.key
            .open_in_place(nonce, Aad::from(aad), body)
            .map(|_| ())
            .map_err(|_| Unauthentic)
    }

    /// Whether it authenticates; `plaintext` is as long as `ciphertext`.
    pub(super) fn probe(
        &self,
        nonce: Nonce,
        aad: &[u8],
        ciphertext: &[u8],
        tag: &[u8],
        plaintext: &mut [u8],
    ) -> Result<(), Unauthentic> {
        self.key
            .open_separate_gather(nonce, Aad::from(aad), ciphertext, tag, plaintext)
            .map_err(|_| Unauthentic)
    }

    pub(super) fn seal(&self, nonce: Nonce, aad: &[u8], body: &mut [u8]) -> [u8; GCM_TAG_LEN] {
        let tag = self.key.seal_in_place_separate_tag(nonce, Aad::from(aad), body);
        let tag = tag.expect("AES-GCM takes any packet below 64 GiB");
        let mut bytes = [0; GCM_TAG_LEN];
        bytes.copy_from_slice(tag.as_ref());
        bytes
    }

    /// 0 | SSRC | roll-over counter | sequence number, XOR salt (RFC 7714 §8.1).
    pub(super) fn rtp_nonce(&self, ssrc: [u8; 4], index: u64) -> Nonce {
        let mut nonce = [0; NONCE_LEN];
        nonce[2..6].copy_from_slice(&ssrc);
        nonce[6..12].copy_from_slice(&index.to_be_bytes()[2..]);
        self.salted(nonce)
    }

    /// 0 | SSRC | 0 | index, XOR salt (RFC 7714 §9.1).
    pub(super) fn rtcp_nonce(&self, ssrc: [u8; 4], index: u32) -> Nonce {
        let mut nonce = [0; NONCE_LEN];
        nonce[2..6].copy_from_slice(&ssrc);
        nonce[8..12].copy_from_slice(&index.to_be_bytes());
        self.salted(nonce)
    }

    fn salted(&self, mut nonce: [u8; NONCE_LEN]) -> Nonce {
        for (byte, salt) in nonce.iter_mut().zip(self.salt.iter()) {
            *byte ^= salt;
        }
        Nonce::assume_unique_for_key(nonce)
    }
}

/// In constant time.
pub(super) fn same(tag: &[u8], expected: &[u8]) -> Result<(), Unauthentic> {
    verify_slices_are_equal(tag, expected).map_err(|_| Unauthentic)
}

/// The upper 32 of an index's 48 bits.
fn roll_over(index: u64) -> u32 {
    (index >> 16) as u32
}

fn truncated(tag: &hmac::Tag) -> [u8; CM_TAG_LEN] {
    let mut bytes = [0; CM_TAG_LEN];
    bytes.copy_from_slice(&tag.as_ref()[..CM_TAG_LEN]);
    bytes
}

fn fixed<const LEN: usize>(salt: &[u8]) -> Zeroizing<[u8; LEN]> {
    let mut bytes = Zeroizing::new([0; LEN]);
    bytes.copy_from_slice(salt);
    bytes
}
