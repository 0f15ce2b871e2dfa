//! VP9: the uncompressed header of a frame (VP9 Bitstream & Decoding Process Specification v0.6, §6.2).

use super::{PictureSize, bits::Bits};

/// The levels of its Annex A: number, samples of a second, samples and longer side of a picture.
const LEVELS: [(u8, u64, u64, u32); 14] = [
    (10, 829_440, 36_864, 512),
    (11, 2_764_800, 73_728, 768),
    (20, 4_608_000, 122_880, 960),
    (21, 9_216_000, 245_760, 1344),
    (30, 20_736_000, 552_960, 2048),
    (31, 36_864_000, 983_040, 2752),
    (40, 83_558_400, 2_228_224, 4160),
    (41, 160_432_128, 2_228_224, 4160),
    (50, 311_951_360, 8_912_896, 8384),
    (51, 588_251_136, 8_912_896, 8384),
    (52, 1_176_502_272, 8_912_896, 8384),
    (60, 1_176_502_272, 35_651_584, 16_832),
    (61, 2_353_004_544, 35_651_584, 16_832),
    (62, 4_706_009_088, 35_651_584, 16_832),
];

/// No header tells the rate. A level too high is refused by no player that could have played a lower one.
const PICTURES_A_SECOND: u64 = 60;

/// What the sample entry of a VP9 track says, read from a keyframe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vp9Parameters {
    /// 0 to 3.
    pub profile: u8,
    /// Ten times the level: the lowest that allows 60 pictures of this size a second.
    pub level: u8,
    /// 8, 10 or 12.
    pub bit_depth: u8,
    /// As vpcC has it: 1 is 4:2:0, 2 is 4:2:2, 3 is 4:4:4.
    pub chroma_subsampling: u8,
    pub full_range: bool,
    /// By ISO/IEC 23091-2; 2 where the stream leaves it open.
    pub matrix_coefficients: u8,
    pub size: PictureSize,
}

/// What is at the beginning of every frame.
struct Start {
    profile: u8,
    keyframe: bool,
}

/// Whether decoding can begin at this frame; none for what is no VP9 frame.
pub(crate) fn is_keyframe(frame: &[u8]) -> Option<bool> {
    Start::parse(&mut Bits::new(frame)).map(|start| start.keyframe)
}

impl Start {
    fn parse(bits: &mut Bits<'_>) -> Option<Self> {
        // frame_marker, and the profile with its low bit first.
        if bits.read(2)? != 2 {
            return None;
        }
        let profile = u8::from(bits.flag()?) | u8::from(bits.flag()?) << 1;
        // reserved_zero
        if profile == 3 && bits.flag()? {
            return None;
        }
        // show_existing_frame: such a frame has nothing more. frame_type 0 is a keyframe.
        let keyframe = !bits.flag()? && !bits.flag()?;
        Some(Self { profile, keyframe })
    }
}

impl Vp9Parameters {
    /// None for another frame than a keyframe, and where 4:4:0 is coded, for which vpcC has no number.
    pub fn of(keyframe: &[u8]) -> Option<Self> {
        let mut bits = Bits::new(keyframe);
        let Start { profile, .. } = Start::parse(&mut bits).filter(|start| start.keyframe)?;
        // show_frame, error_resilient_mode, frame_sync_code.
        bits.skip(2)?;
        if bits.read(24)? != 0x0049_8342 {
            return None;
        }
        let bit_depth = match (profile >= 2, profile >= 2 && bits.flag()?) {
            (false, _) => 8,
            (true, false) => 10,
            (true, true) => 12,
        };
        let color_space = bits.read(3)?;
        let full_range = color_space == COLOR_SPACE_RGB || bits.flag()?;
        // Profiles 1 and 3 say their subsampling, but not of RGB, and both have a bit to spare.
        let subsampled = match (profile & 1 == 1, color_space == COLOR_SPACE_RGB) {
            (false, false) => (true, true),
            (true, false) => (bits.flag()?, bits.flag()?),
            (true, true) => (false, false),
            (false, true) => return None,
        };
        if profile & 1 == 1 {
            bits.skip(1)?;
        }
        let chroma_subsampling = match subsampled {
            (true, true) => 1,
            (true, false) => 2,
            (false, false) => 3,
            (false, true) => return None,
        };
        let size = PictureSize {
            width: bits.read(16)? + 1,
            height: bits.read(16)? + 1,
        };
        Some(Self {
            profile,
            level: level(size),
            bit_depth,
            chroma_subsampling,
            full_range,
            matrix_coefficients: matrix_coefficients(color_space),
            size,
        })
    }
}

const COLOR_SPACE_RGB: u32 = 7;

/// color_space (§7.2.2) as ISO/IEC 23091-2 numbers it.
fn matrix_coefficients(color_space: u32) -> u8 {
    match color_space {
        // BT.601, BT.709, SMPTE 170M, SMPTE 240M, BT.2020, RGB.
        1 => 5,
        2 => 1,
        3 => 6,
        4 => 7,
        5 => 9,
        COLOR_SPACE_RGB => 0,
        _ => 2,
    }
}

fn level(size: PictureSize) -> u8 {
    let samples = u64::from(size.width) * u64::from(size.height);
    let allows = |(_, rate, picture, side): &&(u8, u64, u64, u32)| {
        samples * PICTURES_A_SECOND <= *rate && samples <= *picture && size.width.max(size.height) <= *side
    };
    LEVELS.iter().find(allows).map_or(LEVELS[13].0, |level| level.0)
}

#[cfg(test)]
mod tests;
