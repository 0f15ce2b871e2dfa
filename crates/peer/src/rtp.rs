//! RTP (RFC 3550): which datagrams are RTP, their headers and extensions, padding, retransmissions.
//!
//! All of it reads borrowed bytes and allocates nothing. Not here: keys, which track a packet belongs to, order.

mod header;
pub mod rtx;

pub use header::{Extensions, Header, Malformed, payload};

use crate::event::TrackId;

/// One RTP packet of a track: authenticated, decrypted, un-RTXed, its duplicates gone. Not in order.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    pub track: TrackId,
    pub ssrc: u32,
    /// The sequence number with its roll-overs: grows by 1 per packet sent.
    pub sequence: u64,
    pub timestamp: u32,
    pub marker: bool,
    pub payload: &'a [u8],
}

/// First byte 128-191 (RFC 7983 §7).
pub fn is_rtp_or_rtcp(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|first| (128..192).contains(first))
}

/// Whether such a datagram is RTCP: its packet type without the marker bit is 64-95, where no RTP payload type may lie
/// (RFC 5761 §4).
pub fn is_rtcp(datagram: &[u8]) -> bool {
    is_rtp_or_rtcp(datagram)
        && datagram
            .get(1)
            .is_some_and(|second| (64..96).contains(&(second & 0x7f)))
}

/// The SSRC of an RTP packet, or the sender of an RTCP packet: neither is encrypted. None if the datagram is neither, or too short.
pub fn ssrc_of(datagram: &[u8]) -> Option<u32> {
    if !is_rtp_or_rtcp(datagram) {
        return None;
    }
    let at = if is_rtcp(datagram) { 4 } else { 8 };
    datagram.get(at..)?.first_chunk().map(|ssrc| u32::from_be_bytes(*ssrc))
}

#[cfg(test)]
mod tests;
