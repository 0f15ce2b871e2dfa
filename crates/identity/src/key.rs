//! Keys, one set per purpose: a type each, so that one can never serve for another.
//!
//! A set holds a few keys by id, so that keys rotate: the newest mints, all verify. Secrets are wiped once a key is made of them,
//! and the made keys are wiped by aws-lc when they are dropped.

use std::{fmt, sync::Arc};

use aws_lc_rs::{aead, hmac};
use zeroize::Zeroizing;

/// Seals hints in session URLs. Held by gateways. Cheap to clone.
#[derive(Clone)]
pub struct SessionKeys(Arc<KeySet<aead::LessSafeKey>>);

/// Tags ufrags and derives ICE passwords. Held by workers (and relays). Cheap to clone.
#[derive(Clone)]
pub struct IceKeys(Arc<KeySet<hmac::Key>>);

/// Names a key within its set: 0 to 15, because it shares a byte with a format's version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(u8);

impl SessionKeys {
    /// A set of one key, from 256 random bits.
    pub fn generate(random: [u8; 32]) -> Self {
        Self(Arc::new(KeySet::one(random, aes_256_gcm)))
    }

    /// A set by key id; the last mints.
    pub fn from_secrets(secrets: impl IntoIterator<Item = (KeyId, [u8; 32])>) -> Result<Self, Error> {
        Ok(Self(Arc::new(KeySet::new(secrets, aes_256_gcm)?)))
    }

    pub(crate) fn newest(&self) -> (KeyId, &aead::LessSafeKey) {
        self.0.newest()
    }

    pub(crate) fn by_id(&self, id: KeyId) -> Option<&aead::LessSafeKey> {
        self.0.by_id(id)
    }
}

impl IceKeys {
    /// A set of one key, from 256 random bits.
    pub fn generate(random: [u8; 32]) -> Self {
        Self(Arc::new(KeySet::one(random, hmac_sha256)))
    }

    /// A set by key id; the last mints.
    pub fn from_secrets(secrets: impl IntoIterator<Item = (KeyId, [u8; 32])>) -> Result<Self, Error> {
        Ok(Self(Arc::new(KeySet::new(secrets, hmac_sha256)?)))
    }

    pub(crate) fn newest(&self) -> (KeyId, &hmac::Key) {
        self.0.newest()
    }

    pub(crate) fn by_id(&self, id: KeyId) -> Option<&hmac::Key> {
        self.0.by_id(id)
    }
}

impl KeyId {
    pub const MAX: u8 = 15;

    /// Version and key id as one byte, four bits each.
    pub(crate) fn with_version(self, version: u8) -> u8 {
        debug_assert!(version <= 15);
        version << 4 | self.0
    }

    /// The inverse of [`Self::with_version`].
    pub(crate) fn split_version(byte: u8) -> (u8, Self) {
        (byte >> 4, Self(byte & 0x0f))
    }
}

impl TryFrom<u8> for KeyId {
    type Error = Error;

    fn try_from(id: u8) -> Result<Self, Error> {
        if id <= Self::MAX { Ok(Self(id)) } else { Err(Error::Id) }
    }
}

impl fmt::Debug for SessionKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKeys(***)")
    }
}

impl fmt::Debug for IceKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IceKeys(***)")
    }
}

/// Why a key set cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("a key set needs at least one key")]
    Empty,
    #[error("a key id is 0 to {max}", max = KeyId::MAX)]
    Id,
    #[error("a key id names two keys of one set")]
    Twice,
}

/// Not empty, ids distinct, the newest last.
struct KeySet<K>(Vec<(KeyId, K)>);

impl<K> KeySet<K> {
    fn one(random: [u8; 32], make: impl Fn(&[u8; 32]) -> K) -> Self {
        Self(vec![(KeyId(0), make(&Zeroizing::new(random)))])
    }

    fn new(secrets: impl IntoIterator<Item = (KeyId, [u8; 32])>, make: impl Fn(&[u8; 32]) -> K) -> Result<Self, Error> {
        let mut set = Self(Vec::new());
        for (id, secret) in secrets {
            let secret = Zeroizing::new(secret);
            if set.by_id(id).is_some() {
                return Err(Error::Twice);
            }
            set.0.push((id, make(&secret)));
        }
        if set.0.is_empty() { Err(Error::Empty) } else { Ok(set) }
    }

    fn newest(&self) -> (KeyId, &K) {
        let (id, key) = self.0.last().expect("a key set is never empty");
        (*id, key)
    }

    fn by_id(&self, id: KeyId) -> Option<&K> {
        self.0.iter().find(|(key_id, _)| *key_id == id).map(|(_, key)| key)
    }
}

fn aes_256_gcm(secret: &[u8; 32]) -> aead::LessSafeKey {
    let key = aead::UnboundKey::new(&aead::AES_256_GCM, secret).expect("AES-256 takes 32 bytes");
    aead::LessSafeKey::new(key)
}

fn hmac_sha256(secret: &[u8; 32]) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_never_empty_nor_ambiguous() {
        assert_eq!(SessionKeys::from_secrets([]).map(|_| ()), Err(Error::Empty));
        assert_eq!(
            IceKeys::from_secrets([(KeyId(1), [1; 32]), (KeyId(1), [2; 32])]).map(|_| ()),
            Err(Error::Twice)
        );
        assert_eq!(KeyId::try_from(16), Err(Error::Id));
        assert_eq!(KeyId::try_from(15), Ok(KeyId(15)));
    }

    #[test]
    fn the_last_key_is_the_newest() {
        let keys = IceKeys::from_secrets([(KeyId(7), [1; 32]), (KeyId(3), [2; 32])]).unwrap();
        assert_eq!(keys.newest().0, KeyId(3));
        assert!(keys.by_id(KeyId(7)).is_some());
        assert!(keys.by_id(KeyId(0)).is_none());
    }

    #[test]
    fn keys_say_nothing_of_themselves() {
        assert_eq!(format!("{:?}", SessionKeys::generate([0x41; 32])), "SessionKeys(***)");
        assert_eq!(format!("{:?}", IceKeys::generate([0x41; 32])), "IceKeys(***)");
    }
}
