//! VP8 (RFC 7741).

use super::Damage;
use crate::params;

pub(super) fn starts_frame(payload: &[u8]) -> bool {
    Descriptor::parse(payload).is_ok_and(|descriptor| descriptor.starts_frame)
}

/// The beginning of a keyframe: tag, start code and sides (RFC 6386 §9.1).
pub(super) fn size_header(payload: &[u8]) -> Option<&[u8]> {
    let descriptor = Descriptor::parse(payload).ok().filter(|found| found.starts_frame)?;
    let header = payload[descriptor.size..].get(..10)?;
    (header[0] & 1 == 0).then_some(header)
}

pub(super) fn is_of_keyframe(payload: &[u8]) -> bool {
    // The inverse key frame flag (RFC 6386 §9.1).
    Descriptor::parse(payload).is_ok_and(|descriptor| descriptor.starts_frame && payload[descriptor.size] & 1 == 0)
}

pub(super) fn append(payload: &[u8], data: &mut Vec<u8>) -> Result<(), Damage> {
    let descriptor = Descriptor::parse(payload)?;
    if descriptor.starts_frame != data.is_empty() {
        return Err(Damage::StrayFragment);
    }
    data.extend_from_slice(&payload[descriptor.size..]);
    Ok(())
}

pub(super) fn end(data: Vec<u8>) -> Result<(Vec<u8>, bool), Damage> {
    let tag = data.first().ok_or(Damage::Truncated)?;
    // The inverse key frame flag (RFC 6386 §9.1).
    let keyframe = tag & 1 == 0;
    if keyframe && params::vp8_picture_size(&data).is_none() {
        return Err(Damage::InvalidHeader);
    }
    Ok((data, keyframe))
}

/// The payload descriptor (RFC 7741 §4.2), as far as a receiver of all layers needs it.
struct Descriptor {
    starts_frame: bool,
    /// In bytes; what follows is not empty.
    size: usize,
}

impl Descriptor {
    fn parse(payload: &[u8]) -> Result<Self, Damage> {
        let first = *payload.first().ok_or(Damage::Truncated)?;
        let mut size = 1;
        // X: an octet says which fields follow.
        if first & 0x80 != 0 {
            let extension = *payload.get(1).ok_or(Damage::Truncated)?;
            size += 1;
            // I: PictureID, of 15 bits where its M bit is set, else of 7.
            if extension & 0x80 != 0 {
                let picture_id = *payload.get(size).ok_or(Damage::Truncated)?;
                size += if picture_id & 0x80 != 0 { 2 } else { 1 };
            }
            // L: TL0PICIDX.
            if extension & 0x40 != 0 {
                size += 1;
            }
            // T or K: TID, Y and KEYIDX share an octet.
            if extension & 0x30 != 0 {
                size += 1;
            }
        }
        if payload.len() <= size {
            return Err(Damage::Truncated);
        }
        // S on partition 0.
        Ok(Self {
            starts_frame: first & 0x10 != 0 && first & 0x0f == 0,
            size,
        })
    }
}
