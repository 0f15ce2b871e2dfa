//! H.264 (ITU-T H.264, ISO/IEC 14496-15).

use h264_reader::{
    nal::sps::SeqParameterSet,
    rbsp::{BitReader, decode_nal},
};

use super::{
    PictureSize,
    nal::{PARAMETER_SET_MAX, SETS_MAX, Sets, append, exp_golomb, nals},
};

/// An SPS has a header, profile, constraints and level before its first variable field; a PPS has a header.
pub(crate) const SPS_MIN: usize = 5;
pub(crate) const PPS_MIN: usize = 2;

/// `level_idc` of level 6.2, the highest (ITU-T H.264 table A-1).
const LEVEL_HIGHEST: u8 = 62;

/// The H.264 NAL unit types that matter here (ITU-T H.264 table 7-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NalType {
    Slice,
    Idr,
    Sps,
    Pps,
    Delimiter,
    Filler,
    Other,
}

impl NalType {
    pub(crate) fn of(nal: &[u8]) -> Self {
        match nal.first().map(|header| header & 0x1f) {
            Some(1..=4) => Self::Slice,
            Some(5) => Self::Idr,
            Some(7) => Self::Sps,
            Some(8) => Self::Pps,
            Some(9) => Self::Delimiter,
            Some(12) => Self::Filler,
            _ => Self::Other,
        }
    }
}

/// The parameter sets of one H.264 stream, newest content per id. Some encoders send them only once.
#[derive(Debug, Default)]
pub(crate) struct ParameterSets {
    sps: Sets,
    pps: Sets,
}

impl ParameterSets {
    /// Takes an SPS or PPS; other units and those without a readable id are ignored.
    pub(crate) fn learn(&mut self, nal: &[u8]) {
        // seq_parameter_set_id follows profile, constraints and level (§7.3.2.1.1); pic_parameter_set_id comes first.
        let (sets, id) = match NalType::of(nal) {
            NalType::Sps => (&mut self.sps, nal.get(4..).and_then(exp_golomb)),
            NalType::Pps => (&mut self.pps, nal.get(1..).and_then(exp_golomb)),
            _ => return,
        };
        if let Some(id) = id {
            sets.learn(id, nal);
        }
    }

    /// Puts into a keyframe the parameter sets that it lacks, so that a decoder can begin at it. None where they are
    /// not known.
    pub(crate) fn complete(&self, data: Vec<u8>) -> Option<Vec<u8>> {
        let has = |wanted| nals(&data).any(|nal| NalType::of(nal) == wanted);
        let mut sps = self.sps.unless(has(NalType::Sps))?;
        let mut pps = self.pps.unless(has(NalType::Pps))?;
        if sps.is_empty() && pps.is_empty() {
            return Some(data);
        }
        // The delimiter stays first, PPS come after every SPS and before the first slice (§7.4.1.2.3).
        let mut complete = Vec::with_capacity(data.len() + PARAMETER_SET_MAX);
        for nal in nals(&data) {
            let kind = NalType::of(nal);
            if kind != NalType::Delimiter {
                sps.append_to(&mut complete);
            }
            if matches!(kind, NalType::Slice | NalType::Idr) {
                pps.append_to(&mut complete);
            }
            append(nal, &mut complete);
        }
        Some(complete)
    }
}

/// What the sample entry of an H.264 track says, read from a keyframe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct H264Parameters {
    /// At least one, each of 5 bytes or more.
    pub sps: Vec<Vec<u8>>,
    /// At least one.
    pub pps: Vec<Vec<u8>>,
    /// None where the SPS cannot be read; the stream may still play.
    pub picture: Option<Picture>,
}

/// What an SPS tells about the pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Picture {
    pub size: PictureSize,
    /// 0 to 3: `chroma_format_idc`.
    pub chroma_format: u8,
    /// 8 to 14 bits.
    pub bit_depth_luma: u8,
    pub bit_depth_chroma: u8,
}

impl H264Parameters {
    /// Reads them from a keyframe as the depacketiser makes it; none where it carries no parameter sets.
    pub fn of(keyframe: &[u8]) -> Option<Self> {
        let all = |wanted| {
            nals(keyframe)
                .filter(move |nal| NalType::of(nal) == wanted)
                .map(<[u8]>::to_vec)
        };
        // The counts in the sample entry have 5 and 8 bits (ISO/IEC 14496-15).
        let sps: Vec<_> = all(NalType::Sps)
            .filter(|sps| sps.len() >= SPS_MIN)
            .take(SETS_MAX)
            .collect();
        let pps: Vec<_> = all(NalType::Pps).take(SETS_MAX).collect();
        if sps.is_empty() || pps.is_empty() {
            return None;
        }
        let picture = Picture::of(&sps[0]);
        Some(Self { sps, pps, picture })
    }
}

impl Picture {
    pub(crate) fn of(sps: &[u8]) -> Option<Self> {
        let mut rbsp = decode_nal(sps).ok()?.into_owned();
        // Encoders understate their level; which sizes it allows is not ours to enforce, but the parser's.
        *rbsp.get_mut(2)? = LEVEL_HIGHEST;
        let sps = SeqParameterSet::from_bits(BitReader::new(rbsp.as_slice())).ok()?;
        let (width, height) = sps.pixel_dimensions().ok()?;
        if width == 0 || height == 0 {
            return None;
        }
        let chroma = &sps.chroma_info;
        Some(Self {
            size: PictureSize { width, height },
            chroma_format: u8::try_from(chroma.chroma_format.to_u32())
                .ok()
                .filter(|format| *format <= 3)?,
            bit_depth_luma: 8 + chroma.bit_depth_luma_minus8,
            bit_depth_chroma: 8 + chroma.bit_depth_chroma_minus8,
        })
    }
}

#[cfg(test)]
mod tests;
