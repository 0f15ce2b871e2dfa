//! What we send, each appended to a buffer.

use super::{PAYLOAD_FEEDBACK, RECEIVER_REPORT, SOURCE_DESCRIPTION, TRANSPORT_FEEDBACK};

/// Blocks a receiver report can hold: its count has 5 bits.
const BLOCKS_MAX: usize = 31;
/// SSRCs a REMB can name: its count has 8 bits.
const REMB_SSRCS_MAX: usize = 255;
/// Bytes of a CNAME: its length has 8 bits.
const CNAME_MAX: usize = 255;

/// What one receiver report says of one stream (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportBlock {
    pub ssrc: u32,
    /// Lost of the expected since the last report, in 1/256.
    pub fraction_lost: u8,
    /// In all; 24 bits with a sign are sent.
    pub lost: i32,
    /// The highest sequence number, with 16 bits of roll-overs.
    pub highest: u32,
    /// In clock ticks.
    pub jitter: u32,
    /// The middle 32 bits of the last sender report's NTP time; 0 if none came.
    pub last_sender_report: u32,
    /// Since that report, in 1/65536 s.
    pub delay: u32,
}

/// A receiver report (RFC 3550 §6.4.2) and the CNAME that makes it a compound (§6.1). At most 31 blocks, the first ones.
pub fn receiver_report(out: &mut Vec<u8>, sender: u32, blocks: &[ReportBlock], cname: &str) {
    let blocks = &blocks[..blocks.len().min(BLOCKS_MAX)];
    let words = 1 + 6 * blocks.len();
    header(out, blocks.len() as u8, RECEIVER_REPORT, words);
    word(out, sender);
    for block in blocks {
        word(out, block.ssrc);
        let lost = block.lost.clamp(-(1 << 23), (1 << 23) - 1) as u32 & 0x00ff_ffff;
        word(out, u32::from(block.fraction_lost) << 24 | lost);
        word(out, block.highest);
        word(out, block.jitter);
        word(out, block.last_sender_report);
        word(out, block.delay);
    }
    source_description(out, sender, cname);
}

/// One chunk with a CNAME (RFC 3550 §6.5).
fn source_description(out: &mut Vec<u8>, sender: u32, cname: &str) {
    const ITEM_CNAME: u8 = 1;
    let cname = &cname.as_bytes()[..cname.len().min(CNAME_MAX)];
    // The items end with at least one zero byte, at a word's end.
    let words = (2 + cname.len()) / 4 + 1;
    header(out, 1, SOURCE_DESCRIPTION, 1 + words);
    word(out, sender);
    let end = out.len() + 4 * words;
    out.extend_from_slice(&[ITEM_CNAME, cname.len() as u8]);
    out.extend_from_slice(cname);
    out.resize(end, 0);
}

/// Picture loss indication (RFC 4585 §6.3.1).
pub fn picture_loss(out: &mut Vec<u8>, sender: u32, media: u32) {
    header(out, 1, PAYLOAD_FEEDBACK, 2);
    word(out, sender);
    word(out, media);
}

/// Full intra request (RFC 5104 §4.3.1.1). `sequence` grows by 1 with each new request.
pub fn full_intra_request(out: &mut Vec<u8>, sender: u32, media: u32, sequence: u8) {
    header(out, 4, PAYLOAD_FEEDBACK, 4);
    word(out, sender);
    // The media source of the message itself is 0 (RFC 5104 §4.3.1.2).
    word(out, 0);
    word(out, media);
    word(out, u32::from(sequence) << 24);
}

/// Generic NACK (RFC 4585 §6.2.1). `sequences` ascend (modulo 2^16); FFmpeg reads it only alone in its packet. Nothing is written if
/// there are none.
pub fn generic_nack(out: &mut Vec<u8>, sender: u32, media: u32, sequences: &[u16]) {
    if sequences.is_empty() {
        return;
    }
    let start = out.len();
    header(out, 1, TRANSPORT_FEEDBACK, 0);
    word(out, sender);
    word(out, media);
    // One word names a packet and, by bits, which of the 16 that follow it.
    let mut rest = sequences.iter().copied().peekable();
    while let Some(first) = rest.next() {
        let mut following = 0_u16;
        while let Some(distance @ 1..=16) = rest.peek().map(|next| next.wrapping_sub(first)) {
            following |= 1 << (distance - 1);
            rest.next();
        }
        word(out, u32::from(first) << 16 | u32::from(following));
    }
    set_len(out, start);
}

/// Receiver estimated maximum bitrate (draft-alvestrand-rmcat-remb-03 §2.2), bits per second, of at most 255 streams.
pub fn remb(out: &mut Vec<u8>, sender: u32, bits_per_second: u64, media: &[u32]) {
    let media = &media[..media.len().min(REMB_SSRCS_MAX)];
    header(out, 15, PAYLOAD_FEEDBACK, 4 + media.len());
    word(out, sender);
    word(out, 0);
    out.extend_from_slice(b"REMB");
    // 18 bits of mantissa, 6 of exponent: 64 - 18 = 46 at most, so it always fits.
    let exponent = (64 - bits_per_second.leading_zeros()).saturating_sub(18);
    let mantissa = (bits_per_second >> exponent) as u32;
    word(out, (media.len() as u32) << 24 | exponent << 18 | mantissa);
    for ssrc in media {
        word(out, *ssrc);
    }
}

/// `words` are those after the header.
pub(super) fn header(out: &mut Vec<u8>, count: u8, packet_type: u8, words: usize) {
    out.extend_from_slice(&[0x80 | count, packet_type]);
    out.extend_from_slice(&(words as u16).to_be_bytes());
}

pub(super) fn word(out: &mut Vec<u8>, word: u32) {
    out.extend_from_slice(&word.to_be_bytes());
}

/// Corrects the length of the packet that began at `start` and ends here.
pub(super) fn set_len(out: &mut [u8], start: usize) {
    let words = (out.len() - start) / 4 - 1;
    out[start + 2..start + 4].copy_from_slice(&(words as u16).to_be_bytes());
}
