//! NAL units in files and in access units: what H.264 and H.265 share.

use bytes::{BufMut, Bytes, BytesMut};

const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// An access unit in Annex B form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AccessUnit {
    pub(super) keyframe: bool,
    pub(super) data: Bytes,
}

impl AccessUnit {
    /// The parameter sets that it lacks, and its own units in Annex B form.
    pub(super) fn new(keyframe: bool, sets: &[&Bytes], body: BytesMut) -> Self {
        let mut data = body;
        if !sets.is_empty() {
            let body = std::mem::take(&mut data);
            sets.iter().for_each(|set| put(&mut data, set));
            data.put(body);
        }
        Self {
            keyframe,
            data: data.freeze(),
        }
    }
}

pub(super) fn put(stream: &mut BytesMut, unit: &[u8]) {
    stream.put_slice(&START_CODE);
    stream.put_slice(unit);
}

/// The units of a sample as MP4 and Matroska hold it, each behind its length. `None` if they do not fill it.
pub(super) fn units(sample: &[u8], length_size: usize) -> Option<Vec<&[u8]>> {
    let mut units = Vec::new();
    let mut rest = sample;
    while !rest.is_empty() {
        let (length, next) = rest.split_at_checked(length_size)?;
        let length = length.iter().fold(0, |length, &byte| length << 8 | usize::from(byte));
        let (unit, next) = next.split_at_checked(length)?;
        units.push(unit);
        rest = next;
    }
    Some(units)
}

/// So many units of a decoder configuration, each behind its length of 16 bits, and what follows them.
pub(super) fn counted(count: usize, mut rest: &[u8]) -> Option<(Vec<&[u8]>, &[u8])> {
    let mut units = Vec::new();
    for _ in 0..count {
        let (size, unit) = rest.split_first_chunk::<2>()?;
        let (unit, next) = unit.split_at_checked(usize::from(u16::from_be_bytes(*size)))?;
        units.push(unit);
        rest = next;
    }
    Some((units, rest))
}
