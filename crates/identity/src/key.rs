//! Keys, one set per purpose: a type each, so that one can never serve for another.
//!
//! A set holds a few keys by id, so that keys rotate: the newest mints, all verify. Secrets are wiped once a key is made of them,
//! and the made keys are wiped by aws-lc when they are dropped.

mod file;

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use aws_lc_rs::{aead, hmac};
use zeroize::Zeroizing;

pub use file::{Early, FileError, KEPT, KeyFile, Purpose};

/// Seals hints in session URLs. Held by gateways. Cheap to clone: clones share the set.
#[derive(Clone)]
pub struct SessionKeys(Shared<aead::LessSafeKey>);

/// Tags ufrags and derives ICE passwords. Held by workers (and relays). Cheap to clone: clones share the set.
#[derive(Clone)]
pub struct IceKeys(Shared<hmac::Key>);

/// Names a key within its set: 0 to 15, because it shares a byte with a format's version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(u8);

impl SessionKeys {
    /// A set of one key, from 256 random bits.
    pub fn generate(random: [u8; 32]) -> Self {
        Self::from_set([(KeyId(0), aes_256_gcm(&Zeroizing::new(random)))], 0)
    }

    fn from_set(keys: impl IntoIterator<Item = (KeyId, aead::LessSafeKey)>, mints: usize) -> Self {
        Self(Shared::new(KeySet::new(keys, mints)))
    }

    pub(crate) fn set(&self) -> Arc<KeySet<aead::LessSafeKey>> {
        self.0.get()
    }
}

impl IceKeys {
    /// A set of one key, from 256 random bits.
    pub fn generate(random: [u8; 32]) -> Self {
        Self::from_set([(KeyId(0), hmac_sha256(&Zeroizing::new(random)))], 0)
    }

    fn from_set(keys: impl IntoIterator<Item = (KeyId, hmac::Key)>, mints: usize) -> Self {
        Self(Shared::new(KeySet::new(keys, mints)))
    }

    pub(crate) fn set(&self) -> Arc<KeySet<hmac::Key>> {
        self.0.get()
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

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
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

/// Not empty, ids distinct.
pub(crate) struct KeySet<K> {
    keys: Vec<(KeyId, K)>,
    /// Which of them makes what is new.
    mints: usize,
}

impl<K> KeySet<K> {
    fn new(keys: impl IntoIterator<Item = (KeyId, K)>, mints: usize) -> Self {
        let keys: Vec<_> = keys.into_iter().collect();
        debug_assert!(mints < keys.len());
        Self { keys, mints }
    }

    pub(crate) fn newest(&self) -> (KeyId, &K) {
        let (id, key) = &self.keys[self.mints];
        (*id, key)
    }

    pub(crate) fn by_id(&self, id: KeyId) -> Option<&K> {
        self.keys.iter().find(|(key_id, _)| *key_id == id).map(|(_, key)| key)
    }
}

/// One set for all clones of a handle, owned by the handle. Held for one pointer's copy.
struct Shared<K>(Arc<RwLock<Arc<KeySet<K>>>>);

impl<K> Shared<K> {
    fn new(set: KeySet<K>) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(set))))
    }

    fn get(&self) -> Arc<KeySet<K>> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn replace(&self, with: Arc<KeySet<K>>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = with;
    }
}

impl<K> Clone for Shared<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
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
    fn a_key_id_shares_a_byte() {
        assert_eq!(KeyId::try_from(16), Err(Error::Id));
        assert_eq!(KeyId::try_from(15), Ok(KeyId(15)));
        assert_eq!(KeyId::split_version(KeyId(15).with_version(1)), (1, KeyId(15)));
    }

    #[test]
    fn a_replaced_set_is_every_clones() {
        let keys: IceKeys = KeyFile::generate([1; 32]).keys(0);
        let clone = keys.clone();
        keys.replace(&KeyFile::generate([1; 32]).rotate([2; 32], 0, 5).unwrap().keys(5));
        assert_eq!(clone.set().newest().0, KeyId(1));
        assert!(clone.set().by_id(KeyId(0)).is_some());
        assert!(clone.set().by_id(KeyId(7)).is_none());
    }

    #[test]
    fn keys_say_nothing_of_themselves() {
        assert_eq!(format!("{:?}", SessionKeys::generate([0x41; 32])), "SessionKeys(***)");
        assert_eq!(format!("{:?}", IceKeys::generate([0x41; 32])), "IceKeys(***)");
    }
}
