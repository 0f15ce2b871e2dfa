//! From a master key to the session keys of RTP or RTCP (RFC 3711 §4.3, with a key derivation rate of 0).

use aws_lc_rs::cipher::{AES_128, AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use zeroize::Zeroizing;

use super::{Master, Profile, WrongKeyLength, cipher::Cipher};

/// Which of the two packet kinds a session key is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Purpose {
    Rtp,
    Rtcp,
}

impl Purpose {
    /// Labels come in threes: encryption, authentication, salt (RFC 3711 §4.3.1 and §4.3.2).
    const fn first_label(self) -> u8 {
        match self {
            Self::Rtp => 0,
            Self::Rtcp => 3,
        }
    }
}

/// HMAC-SHA1's session key, bytes (RFC 3711 §5.2).
pub(super) const AUTH_KEY_LEN: usize = 20;
/// The salt of AES-CM, and the widest there is, bytes.
const SALT_MAX: usize = 14;

pub(super) fn derive(profile: Profile, master: &Master, purpose: Purpose) -> Result<Cipher, WrongKeyLength> {
    if master.key.len() != profile.key_len() || master.salt.len() != profile.salt_len() {
        return Err(WrongKeyLength);
    }
    let mut key = Zeroizing::new([0; 32]);
    let mut auth = Zeroizing::new([0; AUTH_KEY_LEN]);
    let mut salt = Zeroizing::new([0; SALT_MAX]);
    let key = &mut key[..profile.key_len()];
    let salt = &mut salt[..profile.salt_len()];
    let label = purpose.first_label();
    keystream(master, label, key);
    keystream(master, label + 1, auth.as_mut_slice());
    keystream(master, label + 2, salt);
    Ok(Cipher::new(profile, key, &auth, salt))
}

/// The AES-CM pseudo-random function, with the width of the master key: AES-256 for a 256-bit one (RFC 7714 §11, RFC 6188 §3).
pub(super) fn keystream(master: &Master, label: u8, out: &mut [u8]) {
    // x = (label << 48) XOR salt, and the counter starts at x * 2^16 (RFC 3711 §4.3.1 and §4.3.3). GCM's 96-bit salt is padded with
    // zeros on the right to 112 bits (RFC 7714 §11).
    let mut iv = [0; 16];
    iv[..master.salt.len()].copy_from_slice(&master.salt);
    iv[7] ^= label;

    out.fill(0);
    let algorithm = if master.key.len() == 32 { &AES_256 } else { &AES_128 };
    UnboundCipherKey::new(algorithm, &master.key)
        .and_then(EncryptingKey::ctr)
        .and_then(|key| key.less_safe_encrypt(out, EncryptionContext::Iv128(FixedLength::from(iv))))
        .expect("the key's length was checked, and AES-CTR takes any input");
}
