//! H.264 as files hold it, made fit for sending: access units in Annex B form that carry their parameter sets, none of
//! them with B-frames.

use bytes::{Bytes, BytesMut};
use h264_reader::{nal::sps::SeqParameterSet, rbsp::BitReader};

use super::{
    Track,
    nal::{AccessUnit, counted, put, units},
    rate::FrameRate,
};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum H264Error {
    #[error(
        "the video has B-frames, which WebRTC cannot carry: convert with ffmpeg -c:v libx264 -bf 0, or set B-frames to 0 in the encoder"
    )]
    BFrames,
    #[error("the video's parameter sets (SPS, PPS) are missing: nobody could decode it")]
    ParameterSets,
    #[error(
        "the video has several picture parameter sets, which cannot be sent: convert with ffmpeg -c:v libx264 -bf 0"
    )]
    PictureParameterSets,
    #[error("the decoder configuration (avcC) is damaged")]
    Configuration,
    #[error("a video sample is damaged: its NAL units do not fill it")]
    Sample,
}

/// The newest parameter sets of a stream.
#[derive(Debug, Clone, Default)]
pub(super) struct ParameterSets {
    sps: Option<Bytes>,
    pps: Option<Bytes>,
}

/// nal_unit_type, Table 7-1 of ITU-T H.264.
pub(super) mod kind {
    pub(in super::super) const SLICE: u8 = 1;
    pub(in super::super) const IDR: u8 = 5;
    pub(in super::super) const SEI: u8 = 6;
    pub(in super::super) const SPS: u8 = 7;
    pub(in super::super) const PPS: u8 = 8;
    pub(in super::super) const DELIMITER: u8 = 9;
    pub(in super::super) const FILLER: u8 = 12;

    pub(in super::super) fn of(nal: &[u8]) -> Option<u8> {
        nal.first().map(|header| header & 0x1f)
    }
}

impl ParameterSets {
    /// From an AVCDecoderConfigurationRecord (ISO/IEC 14496-15 clause 5.3.3.1), with the size in bytes of the length before each
    /// NAL unit of a sample.
    pub(super) fn from_configuration(record: &[u8]) -> Result<(Self, usize), H264Error> {
        let mut sets = Self::default();
        let (length_size, mut rest) = match record {
            [1, _, _, _, length, rest @ ..] => (usize::from(length & 3) + 1, rest),
            _ => return Err(H264Error::Configuration),
        };
        for mask in [0x1f, 0xff] {
            let (&count, units) = rest.split_first().ok_or(H264Error::Configuration)?;
            let (units, next) = counted(usize::from(count & mask), units).ok_or(H264Error::Configuration)?;
            units.into_iter().try_for_each(|unit| sets.learn(unit))?;
            rest = next;
        }
        Ok((sets, length_size))
    }

    pub(super) fn track(&self) -> Result<Track, H264Error> {
        // Profile, constraint flags and level of the newest SPS.
        let bytes = self.sps.as_ref().and_then(|sps| sps.get(1..4));
        let profile_level_id = bytes.and_then(|bytes| bytes.try_into().ok());
        Ok(Track::H264 {
            profile_level_id: profile_level_id.ok_or(H264Error::ParameterSets)?,
        })
    }

    /// Makes an access unit of its NAL units. `None` if they hold no picture.
    pub(super) fn access_unit<'a>(
        &mut self,
        nals: impl Iterator<Item = &'a [u8]>,
    ) -> Result<Option<AccessUnit>, H264Error> {
        let mut body = BytesMut::new();
        let (mut picture, mut keyframe, mut has_sets) = (false, false, false);
        for unit in nals {
            match kind::of(unit) {
                None | Some(kind::DELIMITER | kind::FILLER) => continue,
                Some(kind::SPS | kind::PPS) => {
                    self.learn(unit)?;
                    has_sets |= kind::of(unit) == Some(kind::SPS);
                }
                Some(kind @ (kind::SLICE | kind::IDR)) => {
                    if is_b_slice(unit) {
                        return Err(H264Error::BFrames);
                    }
                    picture = true;
                    keyframe |= kind == kind::IDR;
                }
                Some(_) => {}
            }
            put(&mut body, unit);
        }
        if !picture {
            return Ok(None);
        }
        if !keyframe || has_sets {
            return Ok(Some(AccessUnit::new(keyframe, &[], body)));
        }
        let (Some(sps), Some(pps)) = (&self.sps, &self.pps) else {
            return Err(H264Error::ParameterSets);
        };
        Ok(Some(AccessUnit::new(keyframe, &[sps, pps], body)))
    }

    /// A sample as MP4 and Matroska hold it: each NAL unit behind its length.
    pub(super) fn sample(&mut self, sample: &[u8], length_size: usize) -> Result<Option<AccessUnit>, H264Error> {
        let units = units(sample, length_size).ok_or(H264Error::Sample)?;
        self.access_unit(units.into_iter())
    }

    /// Keeps the newest set of each kind. A second PPS id is refused: the `webrtc` crate's packetiser keeps one.
    pub(super) fn learn(&mut self, unit: &[u8]) -> Result<(), H264Error> {
        let set = Some(Bytes::copy_from_slice(unit));
        match kind::of(unit) {
            Some(kind::SPS) => self.sps = set,
            Some(kind::PPS) => {
                let id = |pps: &[u8]| ExpGolomb::new(&pps[1..]).next();
                if self.pps.as_ref().is_some_and(|known| id(known) != id(unit)) {
                    return Err(H264Error::PictureParameterSets);
                }
                self.pps = set;
            }
            _ => {}
        }
        Ok(())
    }
}

/// first_mb_in_slice, then slice_type: 1 and 6 are B (clause 7.4.3, Table 7-6).
fn is_b_slice(unit: &[u8]) -> bool {
    ExpGolomb::new(&unit[1..])
        .nth(1)
        .is_some_and(|slice_type| slice_type % 5 == 1)
}

/// first_mb_in_slice of a slice: 0 starts a picture.
pub(super) fn starts_picture(unit: &[u8]) -> bool {
    ExpGolomb::new(&unit[1..]).next() == Some(0)
}

/// From the VUI of an SPS: a picture lasts two ticks (clause E.2.1).
pub(super) fn frame_rate(sps: &[u8]) -> Option<FrameRate> {
    let rbsp = h264_reader::rbsp::decode_nal(sps).ok()?;
    let sps = SeqParameterSet::from_bits(BitReader::new(rbsp.as_ref())).ok()?;
    let timing = sps.vui_parameters?.timing_info?;
    FrameRate::new(timing.time_scale, timing.num_units_in_tick.checked_mul(2)?)
}

/// Reads ue(v) fields off the first eight bytes of a NAL unit's payload. Fields below 2^15 start with too few zeros for an
/// emulation prevention byte among them.
struct ExpGolomb {
    bits: u64,
}

impl ExpGolomb {
    fn new(payload: &[u8]) -> Self {
        let mut first = [0; 8];
        let length = payload.len().min(8);
        first[..length].copy_from_slice(&payload[..length]);
        Self {
            bits: u64::from_be_bytes(first),
        }
    }
}

impl Iterator for ExpGolomb {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let zeros = self.bits.leading_zeros();
        if zeros > 15 {
            return None;
        }
        let value = (self.bits << zeros) >> (63 - zeros);
        self.bits <<= 2 * zeros + 1;
        Some(value as u32 - 1)
    }
}
