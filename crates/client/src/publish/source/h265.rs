//! H.265 as files hold it, made fit for sending: access units in Annex B form that carry their parameter sets, none of
//! them reordered.

use bytes::{Bytes, BytesMut};
use h264_reader::rbsp::{BitRead, BitReader, BitReaderError, decode_nal};

use super::{
    Track,
    nal::{AccessUnit, counted, put, units},
};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum H265Error {
    #[error(
        "the video's pictures are not in the order in which they are shown, which WebRTC cannot carry: convert with ffmpeg -c:v libx265 -x265-params bframes=0"
    )]
    Reordered,
    #[error("the video's parameter sets (VPS, SPS, PPS) are missing or damaged: nobody could decode it")]
    ParameterSets,
    #[error("Annex B H.265 has no times: convert with ffmpeg -i FILE -c copy -tag:v hvc1 FILE.mp4")]
    NoTimes,
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
                if reordered_pictures(unit).ok_or(H265Error::ParameterSets)? > 0 {
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

/// A parameter set without its header and emulation prevention bytes. h264-reader takes off the one byte of an H.264
/// header, and here the second of two.
fn rbsp(unit: &[u8]) -> Option<Vec<u8>> {
    let unit = unit.get(1..).filter(|unit| unit.len() >= 2)?;
    Some(decode_nal(unit).ok()?.into_owned())
}

/// sps_max_num_reorder_pics of all layers together (clause 7.3.2.2.1).
fn reordered_pictures(sps: &[u8]) -> Option<u32> {
    let rbsp = rbsp(sps)?;
    read_reordered_pictures(&mut BitReader::new(rbsp.as_slice())).ok()
}

fn read_reordered_pictures(bits: &mut impl BitRead) -> Result<u32, BitReaderError> {
    bits.skip(4, "sps_video_parameter_set_id")?;
    let sub_layers: u32 = bits.read::<3, _>("sps_max_sub_layers_minus1")?;
    bits.skip(1 + 12 * 8, "general profile, tier and level")?;
    let mut lengths = 0;
    for _ in 0..sub_layers {
        lengths += if bits.read_bit("sub_layer_profile_present_flag")? {
            88
        } else {
            0
        };
        lengths += if bits.read_bit("sub_layer_level_present_flag")? {
            8
        } else {
            0
        };
    }
    if sub_layers > 0 {
        lengths += 2 * (8 - sub_layers);
    }
    bits.skip(lengths, "levels of the sub-layers")?;
    bits.read_ue("sps_seq_parameter_set_id")?;
    if bits.read_ue("chroma_format_idc")? == 3 {
        bits.skip(1, "separate_colour_plane_flag")?;
    }
    bits.read_ue("pic_width_in_luma_samples")?;
    bits.read_ue("pic_height_in_luma_samples")?;
    if bits.read_bit("conformance_window_flag")? {
        for _ in 0..4 {
            bits.read_ue("conf_win_offset")?;
        }
    }
    for _ in 0..3 {
        bits.read_ue("bit depths, length of the picture order count")?;
    }
    let each = bits.read_bit("sps_sub_layer_ordering_info_present_flag")?;
    let mut reordered = 0;
    for _ in 0..=if each { sub_layers } else { 0 } {
        bits.read_ue("sps_max_dec_pic_buffering_minus1")?;
        reordered = reordered.max(bits.read_ue("sps_max_num_reorder_pics")?);
        bits.read_ue("sps_max_latency_increase_plus1")?;
    }
    Ok(reordered)
}
