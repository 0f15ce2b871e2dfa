//! One picture or one audio packet, as an encoder made it.

/// The codecs that can be depacketised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    H264,
    H265,
    Vp8,
    Vp9,
    Av1,
    Opus,
}

impl Codec {
    pub fn kind(self) -> Kind {
        match self {
            Self::H264 | Self::H265 | Self::Vp8 | Self::Vp9 | Self::Av1 => Kind::Video,
            Self::Opus => Kind::Audio,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    Video,
    Audio,
}

/// A frame whose packets all arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// RTP time in clock units, extended to 64 bit: it neither wraps nor jumps where the encoder restarted.
    pub timestamp: u64,
    /// Decoding can begin here. A keyframe carries all that a decoder must know: its parameter sets, its sequence header.
    /// Every audio frame is one.
    pub keyframe: bool,
    /// H.264 and H.265: NAL units, each behind its length in 4 bytes, big endian (ISO/IEC 14496-15). AV1: OBUs, each with
    /// its size. VP8, VP9 and Opus: as coded.
    pub data: Vec<u8>,
}
