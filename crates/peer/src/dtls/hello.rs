//! What a ClientHello offers for SRTP (RFC 5246 §7.4.1.2, RFC 6347 §4.2.1, RFC 5764 §4.1.1).

use crate::srtp::Profile;

const USE_SRTP: u16 = 14;

/// Our order: GCM costs least to open, and 128 bits less than 256. CM is what everybody has.
pub(super) const PREFERRED: [Profile; 3] = [
    Profile::AeadAes128Gcm,
    Profile::AeadAes256Gcm,
    Profile::Aes128CmHmacSha1_80,
];

/// Our first preference that the client offers. `body` is that of the whole message.
pub(super) fn choose_profile(body: &[u8]) -> Option<Profile> {
    let offered = offered_profiles(body)?;
    PREFERRED
        .into_iter()
        .find(|profile| offered.chunks_exact(2).any(|one| one == profile.number().to_be_bytes()))
}

fn offered_profiles(body: &[u8]) -> Option<&[u8]> {
    // Version and random, session id, cookie, cipher suites, compression methods.
    let (_, rest) = body.split_at_checked(2 + 32)?;
    let (_, rest) = short_vector(rest)?;
    let (_, rest) = short_vector(rest)?;
    let (_, rest) = vector(rest)?;
    let (_, rest) = short_vector(rest)?;
    let (mut extensions, _) = vector(rest)?;
    loop {
        let (kind, rest) = extensions.split_first_chunk::<2>()?;
        let (value, rest) = vector(rest)?;
        if u16::from_be_bytes(*kind) == USE_SRTP {
            return vector(value).map(|(profiles, _)| profiles);
        }
        extensions = rest;
    }
}

/// A vector with a length of one byte, and what follows it.
fn short_vector(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first()?;
    rest.split_at_checked(usize::from(*length))
}

/// A vector with a length of two bytes, and what follows it.
fn vector(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}
