//! SRTP and SRTCP (RFC 3711, RFC 7714): opened in place, sealed, with state that can be carried elsewhere.
//!
//! [`Opener`] and [`Sealer`] hold keys and nothing that a packet can change. What a packet may change lives in [`Replay`] and in
//! the index given to [`estimate`], which the caller touches only after a packet authenticated.
//!
//! Not here: demultiplexing, what a packet means, where keys come from, when an index may be used again.

mod cipher;
mod derivation;
mod index;
mod open;
mod replay;
mod seal;

pub use index::estimate;
pub use open::{Opener, Unauthentic};
pub use replay::{Replay, WINDOW, WORDS};
pub use seal::Sealer;

use std::fmt;

use whipcord_whip::negotiate::Role;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// What the handshake agreed on, by its number in the registry of DTLS-SRTP profiles (RFC 5764 §4.1.2, RFC 7714 §14.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Profile {
    Aes128CmHmacSha1_80 = 1,
    AeadAes128Gcm = 7,
    AeadAes256Gcm = 8,
}

impl Profile {
    /// The registry's number.
    pub const fn number(self) -> u16 {
        self as u16
    }

    /// None for a profile that we do not have.
    pub fn from_number(number: u16) -> Option<Self> {
        [Self::Aes128CmHmacSha1_80, Self::AeadAes128Gcm, Self::AeadAes256Gcm]
            .into_iter()
            .find(|profile| profile.number() == number)
    }

    /// Bytes of a master key.
    pub const fn key_len(self) -> usize {
        match self {
            Self::Aes128CmHmacSha1_80 | Self::AeadAes128Gcm => 16,
            Self::AeadAes256Gcm => 32,
        }
    }

    /// Bytes of a master salt.
    pub const fn salt_len(self) -> usize {
        match self {
            Self::Aes128CmHmacSha1_80 => 14,
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 12,
        }
    }

    /// Bytes to take from the DTLS exporter: two keys and two salts (RFC 5764 §4.2).
    pub const fn exporter_len(self) -> usize {
        2 * (self.key_len() + self.salt_len())
    }

    /// Bytes that authentication adds to a packet; SRTCP adds 4 more for its index.
    pub const fn tag_len(self) -> usize {
        match self {
            Self::Aes128CmHmacSha1_80 => 10,
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 16,
        }
    }
}

/// One direction's master key and salt. Zeroed on drop; its Debug shows nothing.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Master {
    pub key: Vec<u8>,
    pub salt: Vec<u8>,
}

impl fmt::Debug for Master {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Master(***)")
    }
}

/// Both directions.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys {
    pub profile: Profile,
    /// What we seal with.
    pub local: Master,
    /// What we open with.
    pub remote: Master,
}

impl Keys {
    /// Cuts the exporter's material: client key, server key, client salt, server salt (RFC 5764 §4.2). `role` is ours.
    /// None if `material` is not [`Profile::exporter_len`] long.
    pub fn from_exporter(profile: Profile, role: Role, material: &[u8]) -> Option<Self> {
        if material.len() != profile.exporter_len() {
            return None;
        }
        let (keys, salts) = material.split_at(2 * profile.key_len());
        let (client_key, server_key) = keys.split_at(profile.key_len());
        let (client_salt, server_salt) = salts.split_at(profile.salt_len());
        let client = Master {
            key: client_key.to_vec(),
            salt: client_salt.to_vec(),
        };
        let server = Master {
            key: server_key.to_vec(),
            salt: server_salt.to_vec(),
        };
        Some(match role {
            Role::Client => Self {
                profile,
                local: client,
                remote: server,
            },
            Role::Server => Self {
                profile,
                local: server,
                remote: client,
            },
        })
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("profile", &self.profile)
            .finish_non_exhaustive()
    }
}

/// A master key or salt has not the length its profile asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the SRTP master key or salt has the wrong length for its profile")]
pub struct WrongKeyLength;

#[cfg(test)]
mod tests;
