//! The server's ICE user fragment: 18 bytes as 24 ICE characters, routable and verifiable with no look-up.
//!
//! `version 4 bits, key id 4 bits | worker number 3 bytes | shard 1 | random 8 | tag 5`, written as base64, whose alphabet is
//! that of `ice-char` (RFC 8839 §5.4). The 40-bit tag lets a relay drop forgeries before it spends the HMAC-SHA1 of a STUN
//! check on them; what authenticates is that check, with 144 bits of password.

use std::fmt;

use aws_lc_rs::{constant_time, hmac};
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};

use crate::{KeyId, WorkerNumber, key::IceKeys};

/// A user fragment of this cluster's: made by [`Ufrag::mint`], or found genuine by [`Ufrag::verify`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ufrag([u8; BYTES]);

impl Ufrag {
    /// Characters in its text, and in a password's.
    pub const TEXT_LEN: usize = 24;

    /// `random` tells sessions of one shard apart: 64 bits, beyond RFC 8445 §5.3's 24.
    pub fn mint(keys: &IceKeys, worker: WorkerNumber, shard: u8, random: [u8; 8]) -> Self {
        let keys = keys.set();
        let (id, key) = keys.newest();
        let mut bytes = [0; BYTES];
        bytes[0] = id.with_version(VERSION);
        bytes[1..4].copy_from_slice(&worker.get().to_be_bytes()[1..]);
        bytes[4] = shard;
        bytes[5..TAGGED].copy_from_slice(&random);
        let tag = truncated::<{ BYTES - TAGGED }>(key, TAG_LABEL, &bytes[..TAGGED]);
        bytes[TAGGED..].copy_from_slice(&tag);
        Self(bytes)
    }

    /// Parses and checks the tag.
    pub fn verify(text: &str, keys: &IceKeys) -> Result<Self, Error> {
        let mut bytes = [0; BYTES];
        if text.len() != Self::TEXT_LEN || STANDARD_NO_PAD.decode_slice_unchecked(text, &mut bytes) != Ok(BYTES) {
            return Err(Error::Foreign);
        }
        let (version, id) = KeyId::split_version(bytes[0]);
        let keys = keys.set();
        let key = keys.by_id(id).filter(|_| version == VERSION).ok_or(Error::Foreign)?;
        let tag = truncated::<{ BYTES - TAGGED }>(key, TAG_LABEL, &bytes[..TAGGED]);
        constant_time::verify_slices_are_equal(&tag, &bytes[TAGGED..]).map_err(|_| Error::Foreign)?;
        Ok(Self(bytes))
    }

    /// 24 characters of HMAC(ice key, ufrag): 144 bits, beyond RFC 8445 §5.3's 128. Secret: whoever has it can answer checks.
    ///
    /// With a set that no longer holds the key that made this ufrag, a password that no check will match.
    pub fn password(&self, keys: &IceKeys) -> String {
        let (_, id) = KeyId::split_version(self.0[0]);
        let keys = keys.set();
        let key = keys.by_id(id).unwrap_or_else(|| keys.newest().1);
        STANDARD_NO_PAD.encode(truncated::<BYTES>(key, PASSWORD_LABEL, &self.0))
    }

    pub fn worker(&self) -> WorkerNumber {
        WorkerNumber::new(u32::from_be_bytes([0, self.0[1], self.0[2], self.0[3]]))
    }

    pub fn shard(&self) -> u8 {
        self.0[4]
    }
}

impl fmt::Display for Ufrag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD_NO_PAD.encode(self.0))
    }
}

/// Why a text is no ufrag of this cluster's. It does not say more, because a relay only drops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("not a ufrag of this cluster")]
    Foreign,
}

const BYTES: usize = 18;
/// Bytes before the tag, all of them under it.
const TAGGED: usize = 13;
const VERSION: u8 = 1;
/// One key, two uses: each under its own label, so that a tag is never the head of a password.
const TAG_LABEL: &[u8] = b"whipcord ufrag tag";
const PASSWORD_LABEL: &[u8] = b"whipcord ice password";

/// The first `N` bytes of HMAC-SHA256 over label and data.
fn truncated<const N: usize>(key: &hmac::Key, label: &[u8], data: &[u8]) -> [u8; N] {
    let mut context = hmac::Context::with_key(key);
    context.update(label);
    context.update(data);
    let mut out = [0; N];
    out.copy_from_slice(&context.sign().as_ref()[..N]);
    out
}

#[cfg(test)]
mod tests {
    use crate::key::KeyFile;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use super::*;

    fn keys() -> IceKeys {
        IceKeys::generate([0x5a; 32])
    }

    /// The format is on the wire of relays and in answers of running sessions: it changes only with its version.
    #[test]
    fn version_1_stays_as_it_is() {
        let ufrag = Ufrag::mint(&keys(), WorkerNumber::new(0x01_0203), 4, [5, 6, 7, 8, 9, 10, 11, 12]);
        assert_eq!(ufrag.to_string(), "EAECAwQFBgcICQoLDLGX0grT");
        assert_eq!(ufrag.password(&keys()), "MqZWnFtwCJAgh0YFUQX0phh4");
    }

    /// Its tag is genuine: only its version speaks against it.
    #[test]
    fn a_ufrag_of_a_later_version_is_refused() {
        for (version, genuine) in [(VERSION, true), (VERSION + 1, false)] {
            let keys = keys();
            let set = keys.set();
            let (id, key) = set.newest();
            let mut bytes = Ufrag::mint(&keys, WorkerNumber::new(7), 0, [1; 8]).0;
            bytes[0] = id.with_version(version);
            let tag = truncated::<{ BYTES - TAGGED }>(key, TAG_LABEL, &bytes[..TAGGED]);
            bytes[TAGGED..].copy_from_slice(&tag);
            let verified = Ufrag::verify(&Ufrag(bytes).to_string(), &keys);
            assert_eq!(verified.is_ok(), genuine, "version {version}");
        }
    }

    #[test]
    fn an_older_key_still_verifies_and_gives_the_same_password() {
        let file = KeyFile::<IceKeys>::generate([3; 32]);
        let before = file.keys(0);
        let ufrag = Ufrag::mint(&before, WorkerNumber::new(9), 0, [0; 8]);
        let after = file.rotate([4; 32], 0, 5).unwrap().keys(5);
        let verified = Ufrag::verify(&ufrag.to_string(), &after).unwrap();
        assert_eq!(verified.password(&after), ufrag.password(&before));
        let without = IceKeys::generate([4; 32]);
        assert_eq!(Ufrag::verify(&ufrag.to_string(), &without), Err(Error::Foreign));
        assert_ne!(ufrag.password(&without), ufrag.password(&before));
    }

    proptest! {
        #[test]
        fn what_is_minted_verifies_and_says_where_it_belongs(worker in 0..=WorkerNumber::MAX, shard: u8, random: [u8; 8]) {
            let worker = WorkerNumber::new(worker);
            let ufrag = Ufrag::mint(&keys(), worker, shard, random);
            let text = ufrag.to_string();
            prop_assert_eq!(text.len(), Ufrag::TEXT_LEN);
            prop_assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/'));
            let verified = Ufrag::verify(&text, &keys());
            prop_assert_eq!(verified, Ok(ufrag));
            prop_assert_eq!((ufrag.worker(), ufrag.shard()), (worker, shard));
            prop_assert_eq!(ufrag.password(&keys()).len(), Ufrag::TEXT_LEN);
        }

        #[test]
        fn any_flipped_bit_is_refused(random: [u8; 8], bit in 0..BYTES * 8) {
            let mut bytes = Ufrag::mint(&keys(), WorkerNumber::new(77), 1, random).0;
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(Ufrag::verify(&Ufrag(bytes).to_string(), &keys()), Err(Error::Foreign));
        }

        #[test]
        fn any_text_is_judged_without_a_panic(text in any::<String>()) {
            prop_assert_eq!(Ufrag::verify(&text, &keys()), Err(Error::Foreign));
        }
    }
}
