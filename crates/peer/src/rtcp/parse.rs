//! The sender reports of a compound packet.

use super::SENDER_REPORT;

/// A packet's header, bytes.
const HEADER_LEN: usize = 4;

/// RFC 3550 §6.4.1: `timestamp` is the RTP time of `ntp`, which is 32.32 fixed point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderReport {
    pub ssrc: u32,
    pub ntp: u64,
    pub timestamp: u32,
}

/// Reads an opened SRTCP packet. Tolerant: no order is asked for, packets of other kinds are skipped, and the first that is
/// malformed ends the iteration.
pub fn sender_reports(compound: &[u8]) -> impl Iterator<Item = SenderReport> {
    packets(compound)
        .filter(|(packet_type, _)| *packet_type == SENDER_REPORT)
        .map_while(|(_, body)| read(body))
}

/// Packet type and body of each.
fn packets(mut rest: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let (&[flags, packet_type, high, low], following) = rest.split_first_chunk::<HEADER_LEN>()?;
        if flags >> 6 != 2 {
            return None;
        }
        let len = 4 * usize::from(u16::from_be_bytes([high, low]));
        let (body, following) = following.split_at_checked(len)?;
        rest = following;
        Some((packet_type, body))
    })
}

fn read(body: &[u8]) -> Option<SenderReport> {
    Some(SenderReport {
        ssrc: word(body, 0)?,
        ntp: u64::from(word(body, 4)?) << 32 | u64::from(word(body, 8)?),
        timestamp: word(body, 12)?,
    })
}

fn word(body: &[u8], at: usize) -> Option<u32> {
    body.get(at..)?.first_chunk().map(|word| u32::from_be_bytes(*word))
}
