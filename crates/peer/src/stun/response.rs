//! Writes the answers to a binding request (RFC 8489 §6.3).

use std::net::{IpAddr, SocketAddr};

use super::{HEADER_BYTES, MAGIC_COOKIE, Request, attributes::kind, integrity};

const BINDING_SUCCESS: u16 = 0x0101;
const BINDING_ERROR: u16 = 0x0111;
/// RFC 8489 §14.8: a reason phrase has less than 128 characters.
const REASON_CHARACTERS_MAX: usize = 127;
/// RFC 8489 §14.8: "Unknown Attribute".
const UNKNOWN_ATTRIBUTE: u16 = 420;

pub(super) fn success(request: &Request<'_>, mapped: SocketAddr, pwd: &str, out: &mut Vec<u8>) {
    begin(BINDING_SUCCESS, request, out);
    append_xor_mapped(mapped, request.transaction(), out);
    request.integrity.append(pwd, out);
    integrity::append_fingerprint(out);
}

pub(super) fn error(request: &Request<'_>, code: u16, reason: &str, pwd: Option<&str>, out: &mut Vec<u8>) {
    begin(BINDING_ERROR, request, out);
    let end = reason
        .char_indices()
        .nth(REASON_CHARACTERS_MAX)
        .map_or(reason.len(), |(end, _)| end);
    // RFC 8489 §14.8: 21 zero bits, the hundreds in three bits, the rest in a byte.
    let [_, rest] = (code % 100).to_be_bytes();
    let [_, class] = (code / 100).to_be_bytes();
    append(
        kind::ERROR_CODE,
        &[&[0, 0, class & 7, rest], &reason.as_bytes()[..end]],
        out,
    );
    if code == UNKNOWN_ATTRIBUTE {
        let mut types = [0; 2 * super::UNKNOWN_MAX];
        for (slot, unknown) in types.chunks_exact_mut(2).zip(request.unknown()) {
            slot.copy_from_slice(&unknown.to_be_bytes());
        }
        append(kind::UNKNOWN_ATTRIBUTES, &[&types[..2 * request.unknown().len()]], out);
    }
    if let Some(pwd) = pwd {
        request.integrity.append(pwd, out);
    }
    integrity::append_fingerprint(out);
}

/// The header; its length is set when FINGERPRINT ends the message.
fn begin(kind: u16, request: &Request<'_>, out: &mut Vec<u8>) {
    out.clear();
    out.extend(kind.to_be_bytes());
    out.extend([0, 0]);
    out.extend(MAGIC_COOKIE);
    out.extend(request.transaction());
    debug_assert_eq!(out.len(), HEADER_BYTES);
}

/// `parts` together are the value: at most a reason phrase of 127 characters, four bytes each.
fn append(kind: u16, parts: &[&[u8]], out: &mut Vec<u8>) {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    out.extend(kind.to_be_bytes());
    out.extend(u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
    for part in parts {
        out.extend(*part);
    }
    out.resize(out.len().next_multiple_of(4), 0);
}

/// RFC 8489 §14.2: the port XORed with the cookie's first half, the address with the cookie, and for IPv6 the transaction.
fn append_xor_mapped(mapped: SocketAddr, transaction: &[u8], out: &mut Vec<u8>) {
    let [port_high, port_low] = mapped.port().to_be_bytes();
    let port = [port_high ^ MAGIC_COOKIE[0], port_low ^ MAGIC_COOKIE[1]];
    let key = MAGIC_COOKIE.iter().chain(transaction);
    match mapped.ip().to_canonical() {
        IpAddr::V4(ip) => {
            let mut address = ip.octets();
            address.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
            append(kind::XOR_MAPPED_ADDRESS, &[&[0, 1], &port, &address], out);
        }
        IpAddr::V6(ip) => {
            let mut address = ip.octets();
            address.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
            append(kind::XOR_MAPPED_ADDRESS, &[&[0, 2], &port, &address], out);
        }
    }
}
