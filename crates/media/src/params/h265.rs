//! H.265 (ITU-T H.265, ISO/IEC 14496-15).

use h264_reader::rbsp::decode_nal;

use super::{
    PictureSize,
    bits::Bits,
    nal::{PARAMETER_SET_MAX, SETS_MAX, Sets, append, exp_golomb, nals},
};

/// Two bytes of header, and of a VPS, an SPS and a PPS what comes before their first variable field (§7.3.2): 4, 13 and 0
/// bytes.
pub(crate) const VPS_MIN: usize = 6;
pub(crate) const SPS_MIN: usize = 16;
pub(crate) const PPS_MIN: usize = 3;

/// The NAL unit types that matter here (table 7-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NalType {
    Slice,
    /// A slice of a picture at which decoding can begin: BLA, IDR or CRA.
    RandomAccess,
    Vps,
    Sps,
    Pps,
    Delimiter,
    Filler,
    Other,
}

impl NalType {
    pub(crate) fn of(nal: &[u8]) -> Self {
        match nal.first().map(|header| header >> 1 & 0x3f) {
            Some(16..=23) => Self::RandomAccess,
            Some(0..=31) => Self::Slice,
            Some(32) => Self::Vps,
            Some(33) => Self::Sps,
            Some(34) => Self::Pps,
            Some(35) => Self::Delimiter,
            Some(38) => Self::Filler,
            _ => Self::Other,
        }
    }
}

/// The parameter sets of one stream, newest content per id.
#[derive(Debug, Default)]
pub(crate) struct ParameterSets {
    vps: Sets,
    sps: Sets,
    pps: Sets,
}

impl ParameterSets {
    /// Takes a VPS, SPS or PPS; other units and those without a readable id are ignored.
    pub(crate) fn learn(&mut self, nal: &[u8]) {
        let (sets, id) = match NalType::of(nal) {
            NalType::Vps => (&mut self.vps, nal.get(2).map(|byte| u32::from(byte >> 4))),
            NalType::Sps => (&mut self.sps, Sps::parse(nal).map(|sps| sps.id)),
            NalType::Pps => (&mut self.pps, nal.get(2..).and_then(exp_golomb)),
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
        let mut vps = self.vps.unless(has(NalType::Vps))?;
        let mut sps = self.sps.unless(has(NalType::Sps))?;
        let mut pps = self.pps.unless(has(NalType::Pps))?;
        if vps.is_empty() && sps.is_empty() && pps.is_empty() {
            return Some(data);
        }
        // The delimiter stays first (§7.4.2.4.4), and each kind comes before the ones that refer to it: some decoders
        // look up at once.
        let mut complete = Vec::with_capacity(data.len() + PARAMETER_SET_MAX);
        for nal in nals(&data) {
            let kind = NalType::of(nal);
            if kind != NalType::Delimiter {
                vps.append_to(&mut complete);
            }
            if !matches!(kind, NalType::Delimiter | NalType::Vps) {
                sps.append_to(&mut complete);
            }
            if matches!(kind, NalType::Slice | NalType::RandomAccess) {
                pps.append_to(&mut complete);
            }
            append(nal, &mut complete);
        }
        Some(complete)
    }
}

/// What the sample entry of an H.265 track says, read from a keyframe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct H265Parameters {
    /// At least one of each.
    pub vps: Vec<Vec<u8>>,
    pub sps: Vec<Vec<u8>>,
    pub pps: Vec<Vec<u8>>,
    /// general_profile_space to general_level_idc, as they stand in the SPS (§7.3.3).
    pub profile_tier_level: [u8; 12],
    /// 1 to 7.
    pub temporal_layers: u8,
    pub temporal_layers_nested: bool,
    /// 0 to 3: `chroma_format_idc`.
    pub chroma_format: u8,
    /// 8 to 15 bits.
    pub bit_depth_luma: u8,
    pub bit_depth_chroma: u8,
    pub size: PictureSize,
}

impl H265Parameters {
    /// Reads them from a keyframe as the depacketiser makes it; none where it lacks a kind of parameter set, or its first
    /// SPS cannot be read.
    pub fn of(keyframe: &[u8]) -> Option<Self> {
        // The counts in the sample entry have 16 bits, which is more.
        let all = |wanted| -> Option<Vec<Vec<u8>>> {
            let sets = nals(keyframe).filter(|nal| NalType::of(nal) == wanted).take(SETS_MAX);
            let sets: Vec<_> = sets.map(<[u8]>::to_vec).collect();
            (!sets.is_empty()).then_some(sets)
        };
        let (vps, sps, pps) = (all(NalType::Vps)?, all(NalType::Sps)?, all(NalType::Pps)?);
        let first = Sps::parse(&sps[0])?;
        Some(Self {
            vps,
            sps,
            pps,
            profile_tier_level: first.profile_tier_level,
            temporal_layers: first.temporal_layers,
            temporal_layers_nested: first.temporal_layers_nested,
            chroma_format: first.chroma_format,
            bit_depth_luma: first.bit_depth_luma,
            bit_depth_chroma: first.bit_depth_chroma,
            size: first.size,
        })
    }
}

/// The size that an SPS tells.
pub(crate) fn picture_size(sps: &[u8]) -> Option<PictureSize> {
    Sps::parse(sps).map(|sps| sps.size)
}

/// The beginning of an SPS (§7.3.2.2.1).
struct Sps {
    id: u32,
    profile_tier_level: [u8; 12],
    temporal_layers: u8,
    temporal_layers_nested: bool,
    chroma_format: u8,
    bit_depth_luma: u8,
    bit_depth_chroma: u8,
    size: PictureSize,
}

impl Sps {
    fn parse(nal: &[u8]) -> Option<Self> {
        if nal.len() < SPS_MIN {
            return None;
        }
        // It takes off the one byte of an H.264 header, and here the second of two.
        let rbsp = decode_nal(&nal[1..]).ok()?;
        let mut bits = Bits::new(&rbsp);
        bits.skip(4)?;
        let further_layers = bits.byte(3).filter(|layers| *layers < 7)?;
        let temporal_layers_nested = bits.flag()?;
        let profile_tier_level = rbsp.get(1..13)?.try_into().ok()?;
        bits.skip(12 * 8)?;
        skip_sub_layers(&mut bits, further_layers.into())?;
        let id = bits.exp_golomb()?;
        let chroma_format = bits.exp_golomb().filter(|format| *format <= 3)?;
        if chroma_format == 3 {
            bits.skip(1)?;
        }
        let (width, height) = (bits.exp_golomb()?, bits.exp_golomb()?);
        // The conformance window is in units of chroma samples (table 6-1).
        let (wide, high) = match chroma_format {
            1 => (2, 2),
            2 => (2, 1),
            _ => (1, 1),
        };
        let [left, right, top, bottom] = if bits.flag()? {
            [
                bits.exp_golomb()?,
                bits.exp_golomb()?,
                bits.exp_golomb()?,
                bits.exp_golomb()?,
            ]
        } else {
            [0; 4]
        };
        let cropped = |side: u32, from: u32, to: u32, unit: u32| {
            let crop = from.checked_add(to)?.checked_mul(unit)?;
            side.checked_sub(crop).filter(|side| *side > 0)
        };
        // The sample entry has 3 bits for what is more than 8.
        let mut depth = || bits.exp_golomb().filter(|more| *more < 8).map(|more| 8 + more as u8);
        Some(Self {
            id,
            profile_tier_level,
            temporal_layers: further_layers + 1,
            temporal_layers_nested,
            chroma_format: chroma_format as u8,
            bit_depth_luma: depth()?,
            bit_depth_chroma: depth()?,
            size: PictureSize {
                width: cropped(width, left, right, wide)?,
                height: cropped(height, top, bottom, high)?,
            },
        })
    }
}

/// Profile and level of the temporal layers below the highest (§7.3.3): flags for each, then for each what they announce.
fn skip_sub_layers(bits: &mut Bits<'_>, count: u32) -> Option<()> {
    if count == 0 {
        return Some(());
    }
    let mut lengths = 0;
    for _ in 0..count {
        lengths += if bits.flag()? { 88 } else { 0 };
        lengths += if bits.flag()? { 8 } else { 0 };
    }
    // reserved_zero_2bits up to eight layers.
    bits.skip(2 * (8 - count) + lengths)
}

#[cfg(test)]
mod tests;
