//! DTLS records (RFC 6347 §4.1): takes a datagram apart, writes and numbers plaintext ones.
//!
//! Not here: what is in a handshake message, ciphers.

pub(super) const HEADER_BYTES: usize = 13;
/// RFC 6347 §4.1.1 with RFC 5246 §6.2.3: 2^14 of plaintext, and what a cipher may add.
const BODY_BYTES_MAX: usize = (1 << 14) + 2048;
const VERSION_1_2: [u8; 2] = [254, 253];
/// The first flight's version, before one is agreed on.
const VERSION_1_0: [u8; 2] = [254, 255];

/// RFC 5246 §6.2.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    ChangeCipherSpec = 20,
    Alert = 21,
    Handshake = 22,
    ApplicationData = 23,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Record<'a> {
    pub(super) content: Content,
    /// 0 is plaintext, 1 the keys of the handshake. There is no renegotiation, so no other.
    pub(super) epoch: u16,
    /// Header and body.
    pub(super) bytes: &'a [u8],
}

impl<'a> Record<'a> {
    pub(super) fn body(&self) -> &'a [u8] {
        &self.bytes[HEADER_BYTES..]
    }
}

/// The records of a datagram, up to the first that is not one of DTLS 1.2 (RFC 6347 §4.1.2.7: dropped silently).
pub(super) fn records(datagram: &[u8]) -> impl Iterator<Item = Record<'_>> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        let (record, after) = split(rest)?;
        rest = after;
        Some(record)
    })
}

fn split(datagram: &[u8]) -> Option<(Record<'_>, &[u8])> {
    let (header, body) = datagram.split_first_chunk::<HEADER_BYTES>()?;
    let content = match header[0] {
        20 => Content::ChangeCipherSpec,
        21 => Content::Alert,
        22 => Content::Handshake,
        23 => Content::ApplicationData,
        _ => return None,
    };
    let version = [header[1], header[2]];
    let length = usize::from(u16::from_be_bytes([header[11], header[12]]));
    let legal = (version == VERSION_1_2 || version == VERSION_1_0) && length <= BODY_BYTES_MAX && length <= body.len();
    let epoch = u16::from_be_bytes([header[3], header[4]]);
    let (bytes, after) = datagram.split_at_checked(HEADER_BYTES + length)?;
    legal.then_some((Record { content, epoch, bytes }, after))
}

/// Appends a plaintext record; `parts` together are its body, at most 64 KiB.
pub(super) fn write(content: Content, sequence: u64, parts: &[&[u8]], out: &mut impl Extend<u8>) {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    out.extend([content as u8]);
    out.extend(VERSION_1_2);
    out.extend([0, 0]);
    out.extend(sequence.to_be_bytes().into_iter().skip(2));
    out.extend(u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
    for part in parts {
        out.extend(part.iter().copied());
    }
}

/// Gives the plaintext records of an outgoing datagram the next sequence numbers. RFC 6347 §4.2.4: a repeated message goes in
/// a new record, as the peer drops a number it has seen. Protected records keep theirs: it is part of what is authenticated,
/// and a peer that has opened one does not need it again.
pub(super) fn renumber(datagram: &mut [u8], next: &mut u64) {
    let mut rest = datagram;
    while let Some(length) = split(rest).map(|(record, _)| record.bytes.len()) {
        let (record, after) = rest.split_at_mut(length);
        if record[3..5] == [0, 0] {
            record[5..11].copy_from_slice(&next.to_be_bytes()[2..]);
            *next += 1;
        }
        rest = after;
    }
}
