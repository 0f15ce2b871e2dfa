//! AV1: OBUs, and what the sequence header says (AV1 Bitstream & Decoding Process Specification, §5.3 to §5.9).

use super::{PictureSize, bits::Bits};

/// The OBU types that matter here (§6.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ObuType {
    SequenceHeader,
    TemporalDelimiter,
    /// A frame's header, alone or with its tiles.
    Frame,
    TileGroup,
    TileList,
    Padding,
    Other,
}

impl ObuType {
    /// By the first byte of an OBU.
    pub(crate) fn of(header: u8) -> Self {
        match header >> 3 & 0x0f {
            1 => Self::SequenceHeader,
            2 => Self::TemporalDelimiter,
            3 | 6 => Self::Frame,
            4 => Self::TileGroup,
            8 => Self::TileList,
            15 => Self::Padding,
            _ => Self::Other,
        }
    }
}

/// Bits of an OBU's first byte (§5.3.2).
pub(crate) const OBU_FORBIDDEN: u8 = 0x80;
pub(crate) const OBU_EXTENSION: u8 = 0x04;
pub(crate) const OBU_HAS_SIZE: u8 = 0x02;

/// An OBU that says its size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Obu<'a> {
    pub(crate) kind: ObuType,
    pub(crate) whole: &'a [u8],
    pub(crate) payload: &'a [u8],
}

/// The OBUs of a frame in which each says its size.
pub(crate) fn obus(mut data: &[u8]) -> impl Iterator<Item = Obu<'_>> {
    std::iter::from_fn(move || {
        let header = *data.first()?;
        let at = if header & OBU_EXTENSION == 0 { 1 } else { 2 };
        let (size, rest) = leb128(data.get(at..)?)?;
        let (payload, rest) = rest.split_at_checked(size)?;
        let (whole, _) = data.split_at_checked(data.len() - rest.len())?;
        data = rest;
        Some(Obu {
            kind: ObuType::of(header),
            whole,
            payload,
        })
    })
}

/// The number at the beginning, and what follows it (§4.10.5). None has more than 32 bits, in 8 bytes.
pub(crate) fn leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0_u64;
    for (i, byte) in bytes.iter().take(8).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            let value = u32::try_from(value).ok()?;
            return Some((value as usize, &bytes[i + 1..]));
        }
    }
    None
}

/// The same number in as few bytes as it takes.
pub(crate) fn to_leb128(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(4);
    while value >= 0x80 {
        bytes.push(value as u8 & 0x7f | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// Whether decoding can begin at this frame: its first frame is a keyframe that is shown (§7.6.1). Still pictures with a
/// reduced header are not told: they are no stream.
pub(crate) fn is_keyframe(data: &[u8]) -> bool {
    // show_existing_frame 0, frame_type 0 in two bits, show_frame 1 (§5.9.2).
    obus(data)
        .find(|obu| obu.kind == ObuType::Frame)
        .and_then(|frame| frame.payload.first())
        .is_some_and(|bits| bits & 0xf0 == 0x10)
}

/// What the sample entry of an AV1 track says, read from a keyframe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Av1Parameters {
    /// The OBU, with its size.
    pub sequence_header: Vec<u8>,
    pub profile: u8,
    /// Level and tier of the first operating point, which has all layers.
    pub level_idx: u8,
    pub high_tier: bool,
    /// 8, 10 or 12.
    pub bit_depth: u8,
    pub monochrome: bool,
    pub subsampling_x: bool,
    pub subsampling_y: bool,
    pub chroma_sample_position: u8,
    /// No frame of the sequence is larger.
    pub size: PictureSize,
}

impl Av1Parameters {
    /// Reads them from a keyframe as the depacketiser makes it; none where it has no sequence header, or one that cannot be
    /// read.
    pub fn of(keyframe: &[u8]) -> Option<Self> {
        let obu = obus(keyframe).find(|obu| obu.kind == ObuType::SequenceHeader)?;
        let mut bits = Bits::new(obu.payload);
        let Start {
            profile,
            reduced,
            point,
            size,
        } = Start::parse(&mut bits)?;
        skip_tools(&mut bits, reduced)?;
        let color = Color::parse(&mut bits, profile)?;
        Some(Self {
            sequence_header: obu.whole.to_vec(),
            profile,
            level_idx: point.level_idx,
            high_tier: point.high_tier,
            bit_depth: color.bit_depth,
            monochrome: color.monochrome,
            subsampling_x: color.subsampling_x,
            subsampling_y: color.subsampling_y,
            chroma_sample_position: color.sample_position,
            size,
        })
    }
}

/// The size that a sequence header tells.
pub(crate) fn picture_size(sequence_header: &[u8]) -> Option<PictureSize> {
    Start::parse(&mut Bits::new(sequence_header)).map(|start| start.size)
}

/// A sequence header up to the size of its frames (§5.5.1).
struct Start {
    profile: u8,
    reduced: bool,
    point: OperatingPoint,
    size: PictureSize,
}

impl Start {
    fn parse(bits: &mut Bits<'_>) -> Option<Self> {
        let profile = bits.byte(3).filter(|profile| *profile <= 2)?;
        // still_picture
        bits.skip(1)?;
        let reduced = bits.flag()?;
        let point = if reduced {
            OperatingPoint {
                level_idx: bits.byte(5)?,
                high_tier: false,
            }
        } else {
            operating_points(bits)?
        };
        let (width_bits, height_bits) = (bits.read(4)? + 1, bits.read(4)? + 1);
        let size = PictureSize {
            width: bits.read(width_bits)? + 1,
            height: bits.read(height_bits)? + 1,
        };
        Some(Self {
            profile,
            reduced,
            point,
            size,
        })
    }
}

struct OperatingPoint {
    level_idx: u8,
    high_tier: bool,
}

/// From timing_info_present_flag to the last operating point (§5.5.1 to §5.5.5). Returns the first.
fn operating_points(bits: &mut Bits<'_>) -> Option<OperatingPoint> {
    let mut delay_bits = None;
    // timing_info
    if bits.flag()? {
        bits.skip(64)?;
        if bits.flag()? {
            bits.exp_golomb()?;
        }
        // decoder_model_info
        if bits.flag()? {
            delay_bits = Some(bits.read(5)? + 1);
            bits.skip(32 + 5 + 5)?;
        }
    }
    let initial_delays = bits.flag()?;
    let mut first = None;
    for _ in 0..=bits.read(5)? {
        // operating_point_idc
        bits.skip(12)?;
        let level_idx = bits.byte(5)?;
        let high_tier = level_idx > 7 && bits.flag()?;
        if let Some(delay_bits) = delay_bits {
            // Two delays and low_delay_mode_flag.
            if bits.flag()? {
                bits.skip(2 * delay_bits + 1)?;
            }
        }
        if initial_delays && bits.flag()? {
            bits.skip(4)?;
        }
        first.get_or_insert(OperatingPoint { level_idx, high_tier });
    }
    first
}

/// From frame_id_numbers_present_flag to enable_restoration (§5.5.1): which tools the frames may use.
fn skip_tools(bits: &mut Bits<'_>, reduced: bool) -> Option<()> {
    if !reduced && bits.flag()? {
        bits.skip(4 + 3)?;
    }
    // use_128x128_superblock, enable_filter_intra, enable_intra_edge_filter.
    bits.skip(3)?;
    if !reduced {
        // Interintra, masked compound, warped motion, dual filter.
        bits.skip(4)?;
        let order_hint = bits.flag()?;
        if order_hint {
            bits.skip(2)?;
        }
        // seq_choose_screen_content_tools, else seq_force_screen_content_tools; where there may be such tools,
        // seq_choose_integer_mv, else seq_force_integer_mv.
        let screen_content = bits.flag()? || bits.flag()?;
        if screen_content && !bits.flag()? {
            bits.skip(1)?;
        }
        if order_hint {
            bits.skip(3)?;
        }
    }
    // Superres, CDEF, restoration.
    bits.skip(3)
}

/// color_config (§5.5.2).
struct Color {
    bit_depth: u8,
    monochrome: bool,
    subsampling_x: bool,
    subsampling_y: bool,
    sample_position: u8,
}

/// sRGB: BT.709 primaries, sRGB transfer, identity matrix.
const SRGB: [u32; 3] = [1, 13, 0];

impl Color {
    fn parse(bits: &mut Bits<'_>, profile: u8) -> Option<Self> {
        let high = bits.flag()?;
        let bit_depth = match (high, high && profile == 2 && bits.flag()?) {
            (false, _) => 8,
            (true, false) => 10,
            (true, true) => 12,
        };
        let monochrome = profile != 1 && bits.flag()?;
        let description = if bits.flag()? {
            Some([bits.read(8)?, bits.read(8)?, bits.read(8)?])
        } else {
            None
        };
        let is_srgb = !monochrome && description == Some(SRGB);
        if !is_srgb {
            // color_range
            bits.skip(1)?;
        }
        let (subsampling_x, subsampling_y) = match profile {
            _ if monochrome => (true, true),
            _ if is_srgb => (false, false),
            0 => (true, true),
            1 => (false, false),
            _ if bit_depth == 12 => {
                let x = bits.flag()?;
                (x, x && bits.flag()?)
            }
            _ => (true, false),
        };
        let sample_position = if subsampling_x && subsampling_y && !monochrome {
            bits.byte(2)?
        } else {
            0
        };
        Some(Self {
            bit_depth,
            monochrome,
            subsampling_x,
            subsampling_y,
            sample_position,
        })
    }
}

#[cfg(test)]
mod tests;
