//! The attributes of a STUN message: type, length, value, padded to four bytes (RFC 8489 §14).

use super::{Error, HEADER_BYTES};

/// Attribute types (RFC 8489 §18.3, RFC 8445 §16.1).
pub(super) mod kind {
    pub(in crate::stun) const USERNAME: u16 = 0x0006;
    pub(in crate::stun) const MESSAGE_INTEGRITY: u16 = 0x0008;
    pub(in crate::stun) const ERROR_CODE: u16 = 0x0009;
    pub(in crate::stun) const UNKNOWN_ATTRIBUTES: u16 = 0x000A;
    pub(in crate::stun) const MESSAGE_INTEGRITY_SHA256: u16 = 0x001C;
    pub(in crate::stun) const XOR_MAPPED_ADDRESS: u16 = 0x0020;
    pub(in crate::stun) const USE_CANDIDATE: u16 = 0x0025;
    pub(in crate::stun) const FINGERPRINT: u16 = 0x8028;
    pub(in crate::stun) const ICE_CONTROLLED: u16 = 0x8029;

    /// Types below 0x8000 must be understood. Those that RFC 8489 defines are, even where they mean nothing in a binding request:
    /// MAPPED-ADDRESS, REALM, NONCE, PASSWORD-ALGORITHM, USERHASH. So is PRIORITY, 0x0024, which is for agents that send checks.
    pub(in crate::stun) fn must_be_understood(kind: u16) -> bool {
        let defined = matches!(
            kind,
            0x0001 | ERROR_CODE | UNKNOWN_ATTRIBUTES | 0x0014 | 0x0015 | 0x001D | 0x001E | XOR_MAPPED_ADDRESS | 0x0024
        );
        kind < 0x8000 && !defined
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Attribute<'a> {
    pub(super) kind: u16,
    pub(super) value: &'a [u8],
    /// Where its type begins in the datagram.
    pub(super) offset: usize,
}

#[derive(Debug)]
pub(super) struct Attributes<'a> {
    datagram: &'a [u8],
    offset: usize,
}

impl<'a> Attributes<'a> {
    /// `datagram` begins with a whole header.
    pub(super) fn of(datagram: &'a [u8]) -> Self {
        Self {
            datagram,
            offset: HEADER_BYTES,
        }
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Result<Attribute<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.datagram.get(self.offset..).filter(|rest| !rest.is_empty())?;
        let parsed = split(rest);
        let offset = self.offset;
        self.offset = parsed.map_or(self.datagram.len(), |(_, _, padded)| offset + padded);
        Some(
            parsed
                .map(|(kind, value, _)| Attribute { kind, value, offset })
                .ok_or(Error::Malformed),
        )
    }
}

/// Type, value, and how many bytes both take with the padding.
fn split(rest: &[u8]) -> Option<(u16, &[u8], usize)> {
    let (head, body) = rest.split_first_chunk::<4>()?;
    let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
    let padded = length.next_multiple_of(4);
    (padded <= body.len()).then(|| (u16::from_be_bytes([head[0], head[1]]), &body[..length], 4 + padded))
}
