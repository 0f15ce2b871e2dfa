//! What a decoder must know before the first frame, read from the stream itself. Never from the SDP: encoders announce
//! one profile there and send another.

use h264_reader::{
    nal::sps::SeqParameterSet,
    rbsp::{BitReader, decode_nal},
};

/// No parameter set is larger. With all scaling lists and VUI it has some 300 bytes; the sample entry has 16 bits for it.
pub const PARAMETER_SET_MAX: usize = 4096;

/// An SPS has a header, profile, constraints and level before its first variable field; a PPS has a header.
pub(crate) const SPS_MIN: usize = 5;
pub(crate) const PPS_MIN: usize = 2;

/// How many sets of a kind are remembered. Encoders use one or two of the 32 and 256 ids.
const SETS_MAX: usize = 16;

/// `level_idc` of level 6.2, the highest (ITU-T H.264 table A-1).
const LEVEL_HIGHEST: u8 = 62;

/// A picture's width and height in pixels, after cropping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureSize {
    pub width: u32,
    pub height: u32,
}

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

/// The NAL units of a frame in which each stands behind its length in 4 bytes.
pub(crate) fn nals(mut data: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (size, rest) = data.split_first_chunk::<4>()?;
        let (nal, rest) = rest.split_at_checked(u32::from_be_bytes(*size) as usize)?;
        data = rest;
        Some(nal)
    })
}

/// The parameter sets of one H.264 stream, newest content per id. Some encoders send them only once.
#[derive(Debug, Default)]
pub(crate) struct ParameterSets {
    sps: Vec<ParameterSet>,
    pps: Vec<ParameterSet>,
}

#[derive(Debug)]
struct ParameterSet {
    id: u32,
    nal: Vec<u8>,
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
        let Some(id) = id else { return };
        if let Some(set) = sets.iter_mut().find(|set| set.id == id) {
            if set.nal != nal {
                set.nal = nal.to_vec();
            }
            return;
        }
        if sets.len() == SETS_MAX {
            sets.remove(0);
        }
        sets.push(ParameterSet { id, nal: nal.to_vec() });
    }

    /// Puts into a keyframe the parameter sets that it lacks, so that a decoder can begin at it. None where they are
    /// not known.
    pub(crate) fn complete(&self, data: Vec<u8>) -> Option<Vec<u8>> {
        let has = |wanted| nals(&data).any(|nal| NalType::of(nal) == wanted);
        let sps: &[ParameterSet] = if has(NalType::Sps) { &[] } else { some(&self.sps)? };
        let pps: &[ParameterSet] = if has(NalType::Pps) { &[] } else { some(&self.pps)? };
        if sps.is_empty() && pps.is_empty() {
            return Some(data);
        }
        // The delimiter stays first, PPS come after every SPS and before the first slice (§7.4.1.2.3).
        let (mut sps, mut pps) = (Some(sps), Some(pps));
        let mut complete = Vec::with_capacity(data.len() + PARAMETER_SET_MAX);
        for nal in nals(&data) {
            let kind = NalType::of(nal);
            if kind != NalType::Delimiter {
                append_sets(sps.take(), &mut complete);
            }
            if matches!(kind, NalType::Slice | NalType::Idr) {
                append_sets(pps.take(), &mut complete);
            }
            append(nal, &mut complete);
        }
        Some(complete)
    }
}

fn some(sets: &[ParameterSet]) -> Option<&[ParameterSet]> {
    (!sets.is_empty()).then_some(sets)
}

fn append_sets(sets: Option<&[ParameterSet]>, data: &mut Vec<u8>) {
    for set in sets.unwrap_or_default() {
        append(&set.nal, data);
    }
}

fn append(nal: &[u8], data: &mut Vec<u8>) {
    data.extend_from_slice(&(nal.len() as u32).to_be_bytes());
    data.extend_from_slice(nal);
}

/// An unsigned Exp-Golomb value of less than 16 bits (§9.1) at the beginning of `bytes`.
fn exp_golomb(bytes: &[u8]) -> Option<u32> {
    let mut word = [0; 4];
    let taken = bytes.len().min(4);
    word[..taken].copy_from_slice(&bytes[..taken]);
    let word = u32::from_be_bytes(word);
    let zeros = word.leading_zeros();
    (zeros < 16).then(|| (word >> (31 - 2 * zeros)) - 1)
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
    fn of(sps: &[u8]) -> Option<Self> {
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

/// The size in a VP8 keyframe's header (RFC 6386 §9.1): 3 bytes tag, start code, 14 bits each.
pub fn vp8_picture_size(frame: &[u8]) -> Option<PictureSize> {
    let [
        tag,
        _,
        _,
        0x9d,
        0x01,
        0x2a,
        width_low,
        width_high,
        height_low,
        height_high,
        ..,
    ] = *frame
    else {
        return None;
    };
    let side = |low, high| u32::from(u16::from_le_bytes([low, high]) & 0x3fff);
    let size = PictureSize {
        width: side(width_low, width_high),
        height: side(height_low, height_high),
    };
    (tag & 1 == 0 && size.width > 0 && size.height > 0).then_some(size)
}

#[cfg(test)]
mod tests;
