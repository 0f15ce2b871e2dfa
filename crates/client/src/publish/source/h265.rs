//! H.265 as files hold it, made fit for sending: access units in Annex B form that carry their parameter sets, none of
//! them reordered.

mod sps;

use bytes::{Bytes, BytesMut};

use self::sps::{Sps, rbsp};
use super::{
    Track,
    nal::{AccessUnit, counted, put, units},
    rate::FrameRate,
};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum H265Error {
    #[error(
        "the video's pictures are not in the order in which they are shown, which WebRTC cannot carry: convert with ffmpeg -c:v libx265 -x265-params bframes=0"
    )]
    Reordered,
    #[error("the video's parameter sets (VPS, SPS, PPS) are missing or damaged: nobody could decode it")]
    ParameterSets,
    #[error("the decoder configuration (hvcC) is damaged")]
    Configuration,
    #[error("a video sample is damaged: its NAL units do not fill it")]
    Sample,
}

/// nal_unit_type, Table 7-1 of ITU-T H.265.
pub(super) mod kind {
    pub(in super::super) const VPS: u8 = 32;
    pub(in super::super) const SPS: u8 = 33;
    pub(in super::super) const PPS: u8 = 34;
    pub(in super::super) const DELIMITER: u8 = 35;
    pub(in super::super) const FILLER: u8 = 38;
    pub(in super::super) const PREFIX_SEI: u8 = 39;

    pub(in super::super) fn of(nal: &[u8]) -> Option<u8> {
        nal.first().map(|header| header >> 1 & 0x3f)
    }
}

/// The newest parameter sets of a stream.
#[derive(Debug, Clone, Default)]
pub(super) struct ParameterSets {
    vps: Option<Bytes>,
    sps: Option<Bytes>,
    pps: Option<Bytes>,
}

impl ParameterSets {
    /// From an HEVCDecoderConfigurationRecord (ISO/IEC 14496-15 clause 8.3.3.1), with the size in bytes of the length before
    /// each NAL unit of a sample.
    pub(super) fn from_configuration(record: &[u8]) -> Result<(Self, usize), H265Error> {
        let (head, mut rest) = record.split_first_chunk::<23>().ok_or(H265Error::Configuration)?;
        let (length_size, arrays) = (usize::from(head[21] & 3) + 1, head[22]);
        let mut sets = Self::default();
        for _ in 0..arrays {
            let ([_, high, low], units) = rest.split_first_chunk::<3>().ok_or(H265Error::Configuration)?;
            let count = usize::from(u16::from_be_bytes([*high, *low]));
            let (units, next) = counted(count, units).ok_or(H265Error::Configuration)?;
            units.into_iter().try_for_each(|unit| sets.learn(unit))?;
            rest = next;
        }
        Ok((sets, length_size))
    }

    pub(super) fn track(&self) -> Result<Track, H265Error> {
        let rbsp = self.sps.as_deref().and_then(rbsp).ok_or(H265Error::ParameterSets)?;
        // Behind ids and counts: profile_space, tier and profile; the level is the last of the 12 bytes.
        let [_, first, .., level] = rbsp.first_chunk::<13>().ok_or(H265Error::ParameterSets)?;
        Ok(Track::H265 {
            profile: first & 0x1f,
            tier: first >> 5 & 1,
            level: *level,
        })
    }

    /// Makes an access unit of its NAL units. `None` if they hold no picture.
    pub(super) fn access_unit<'a>(
        &mut self,
        nals: impl Iterator<Item = &'a [u8]>,
    ) -> Result<Option<AccessUnit>, H265Error> {
        let mut body = BytesMut::new();
        let (mut picture, mut keyframe, mut has_sets) = (false, false, false);
        for unit in nals {
            match kind::of(unit) {
                None | Some(kind::DELIMITER | kind::FILLER) => continue,
                Some(kind::VPS | kind::SPS | kind::PPS) => {
                    self.learn(unit)?;
                    has_sets |= kind::of(unit) == Some(kind::SPS);
                }
                Some(kind @ 0..kind::VPS) => {
                    picture = true;
                    // IRAP: BLA, IDR and CRA, with two kept for more of them.
                    keyframe |= (16..=23).contains(&kind);
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
        let (Some(vps), Some(sps), Some(pps)) = (&self.vps, &self.sps, &self.pps) else {
            return Err(H265Error::ParameterSets);
        };
        Ok(Some(AccessUnit::new(keyframe, &[vps, sps, pps], body)))
    }

    /// A sample as MP4 and Matroska hold it: each NAL unit behind its length.
    pub(super) fn sample(&mut self, sample: &[u8], length_size: usize) -> Result<Option<AccessUnit>, H265Error> {
        let units = units(sample, length_size).ok_or(H265Error::Sample)?;
        self.access_unit(units.into_iter())
    }

    /// Keeps the newest set of each kind.
    pub(super) fn learn(&mut self, unit: &[u8]) -> Result<(), H265Error> {
        let set = Some(Bytes::copy_from_slice(unit));
        match kind::of(unit) {
            Some(kind::VPS) => self.vps = set,
            Some(kind::SPS) => {
                // Slices of type B alone do not reorder: hardware encoders use them for what refers backwards only.
                if Sps::parse(unit).ok_or(H265Error::ParameterSets)?.reordered > 0 {
                    return Err(H265Error::Reordered);
                }
                self.sps = set;
            }
            Some(kind::PPS) => self.pps = set,
            _ => {}
        }
        Ok(())
    }
}

/// Whether this first NAL unit of a stream is a delimiter or VPS of H.265, with its second byte for the lowest layers. As
/// H.264, they would be an SEI that others refer to, which is forbidden, and a unit without a type.
pub(super) fn begins_stream(unit: &[u8]) -> bool {
    matches!(unit, [0x40 | 0x46, 0x01, ..])
}

/// Whether this slice segment is the first of its picture: the bit behind the header of two bytes.
pub(super) fn starts_picture(unit: &[u8]) -> bool {
    unit.get(2).is_some_and(|byte| byte & 0x80 != 0)
}

/// From the VUI of an SPS.
pub(super) fn frame_rate(sps: &[u8]) -> Option<FrameRate> {
    Sps::parse(sps)?.rate
}
