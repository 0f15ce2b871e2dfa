//! What protects a STUN message: HMACs under the password, and a CRC that tells it from other protocols (RFC 8489 §14.5-14.7).

use aws_lc_rs::{constant_time, hmac};

use super::{
    Error,
    attributes::{Attribute, kind},
};

/// ASCII "STUN" (RFC 8489 §14.7).
const FINGERPRINT_XOR: u32 = 0x5354_554E;

/// The attribute that a request is signed with.
#[derive(Clone, Copy, Debug)]
pub(super) enum Integrity<'a> {
    None,
    Sha1 {
        value: &'a [u8],
        offset: usize,
    },
    /// May be truncated to a multiple of four, at least 16 bytes (RFC 8489 §14.6).
    Sha256 {
        value: &'a [u8],
        offset: usize,
    },
}

impl<'a> Integrity<'a> {
    /// Whether an attribute that follows counts: none does after the integrity but a stronger integrity (RFC 8489 §14.5, §14.6).
    pub(super) fn admits(&self, following: u16) -> bool {
        match self {
            Self::None => true,
            Self::Sha1 { .. } => following == kind::MESSAGE_INTEGRITY_SHA256,
            Self::Sha256 { .. } => false,
        }
    }

    pub(super) fn take(&mut self, attribute: &Attribute<'a>) -> Result<(), Error> {
        let &Attribute { kind, value, offset } = attribute;
        *self = match (kind, value.len()) {
            (kind::MESSAGE_INTEGRITY, 20) => Self::Sha1 { value, offset },
            (kind::MESSAGE_INTEGRITY_SHA256, 16 | 20 | 24 | 28 | 32) => Self::Sha256 { value, offset },
            _ => return Err(Error::Malformed),
        };
        Ok(())
    }

    pub(super) fn verify(&self, datagram: &[u8], pwd: &str) -> bool {
        let (algorithm, value, offset) = match *self {
            Self::None => return false,
            Self::Sha1 { value, offset } => (hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, value, offset),
            Self::Sha256 { value, offset } => (hmac::HMAC_SHA256, value, offset),
        };
        let tag = sign(algorithm, pwd, &datagram[..offset], value.len());
        constant_time::verify_slices_are_equal(&tag.as_ref()[..value.len()], value).is_ok()
    }

    /// Appends integrity of the request's kind to a response, or SHA-1, which every ICE agent knows.
    pub(super) fn append(&self, pwd: &str, out: &mut Vec<u8>) {
        let (kind, algorithm, length) = match self {
            Self::Sha256 { .. } => (kind::MESSAGE_INTEGRITY_SHA256, hmac::HMAC_SHA256, 32_u16),
            Self::None | Self::Sha1 { .. } => (kind::MESSAGE_INTEGRITY, hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, 20),
        };
        let tag = sign(algorithm, pwd, out, usize::from(length));
        out.extend(kind.to_be_bytes());
        out.extend(length.to_be_bytes());
        out.extend(tag.as_ref());
    }
}

/// The HMAC over the message before the attribute, its header's length counting up to the attribute's end.
fn sign(algorithm: hmac::Algorithm, pwd: &str, before: &[u8], value_length: usize) -> hmac::Tag {
    let mut context = hmac::Context::with_key(&hmac::Key::new(algorithm, pwd.as_bytes()));
    context.update(&before[..2]);
    context.update(&length_field(before.len() + 4 + value_length));
    context.update(&before[4..]);
    context.sign()
}

pub(super) fn check_fingerprint(datagram: &[u8], attribute: &Attribute<'_>) -> Result<(), Error> {
    let value: [u8; 4] = attribute.value.try_into().map_err(|_| Error::Malformed)?;
    if attribute.offset + 8 != datagram.len() {
        return Err(Error::Malformed);
    }
    let matches = u32::from_be_bytes(value) == fingerprint(&datagram[..attribute.offset]);
    if matches { Ok(()) } else { Err(Error::Fingerprint) }
}

/// Appends FINGERPRINT: the last attribute.
pub(super) fn append_fingerprint(out: &mut Vec<u8>) {
    let length = length_field(out.len() + 8);
    out[2..4].copy_from_slice(&length);
    let value = fingerprint(out);
    out.extend(kind::FINGERPRINT.to_be_bytes());
    out.extend(4_u16.to_be_bytes());
    out.extend(value.to_be_bytes());
}

/// The header's length field of a message of `total` bytes. Ours and the parsed ones are far below 64 KiB.
fn length_field(total: usize) -> [u8; 2] {
    u16::try_from(total - super::HEADER_BYTES)
        .unwrap_or(u16::MAX)
        .to_be_bytes()
}

fn fingerprint(message: &[u8]) -> u32 {
    let crc = message.iter().fold(!0_u32, |crc, byte| {
        let [low, ..] = crc.to_le_bytes();
        CRC_TABLE[usize::from(low ^ byte)] ^ (crc >> 8)
    });
    !crc ^ FINGERPRINT_XOR
}

/// CRC-32 as ITU-T V.42 §8.1.1.6.2 has it: polynomial 0x04C11DB7, reflected.
const CRC_TABLE: [u32; 256] = {
    let mut table = [0_u32; 256];
    let mut index = 0;
    while index < 256 {
        let mut crc = index as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 {
                0xEDB8_8320 ^ (crc >> 1)
            } else {
                crc >> 1
            };
            bit += 1;
        }
        table[index] = crc;
        index += 1;
    }
    table
};
