//! Opus (RFC 7587): a packet is a frame. RFC 6716 §3 is the packet itself.

use super::{Damage, Packet};
use crate::frame::Frame;

/// No Opus packet is longer, in samples at 48 kHz: 120 ms (RFC 6716 §3.2.5, R5).
const DURATION_MAX: u32 = 5760;

pub(super) fn frame(packet: Packet<'_>) -> Result<Frame, Damage> {
    duration(packet.payload).ok_or(Damage::InvalidHeader)?;
    Ok(Frame {
        timestamp: packet.timestamp,
        keyframe: true,
        data: packet.payload.to_vec(),
    })
}

/// How long the packet plays, in samples at 48 kHz; none for a malformed one.
pub fn duration(packet: &[u8]) -> Option<u32> {
    let (&toc, rest) = packet.split_first()?;
    let frames = match toc & 0x03 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(rest.first()? & 0x3f),
    };
    let duration = frames * frame_duration(toc >> 3);
    (1..=DURATION_MAX).contains(&duration).then_some(duration)
}

/// RFC 6716 §3.1, table 2, in samples at 48 kHz.
fn frame_duration(config: u8) -> u32 {
    match config {
        // SILK: 10, 20, 40, 60 ms.
        0..=11 => [480, 960, 1920, 2880][usize::from(config % 4)],
        // Hybrid: 10, 20 ms.
        12..=15 => [480, 960][usize::from(config % 2)],
        // CELT: 2.5, 5, 10, 20 ms.
        _ => [120, 240, 480, 960][usize::from(config % 4)],
    }
}
