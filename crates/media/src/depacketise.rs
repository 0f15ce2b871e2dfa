//! RTP payloads in sequence → frames.
//!
//! What is common to all video codecs is here: a frame is the packets of one timestamp; the marker says that its last
//! packet arrived, but a frame ends only where the next begins, because some encoders mark more often than they
//! should. The payload formats are in the modules below. A new codec is a new `Format`.
//!
//! The packets of a track must come in sequence, with [`Depacketiser::lost`] called where some are missing.

mod av1;
mod h264;
mod h265;
mod nal;
pub mod opus;
mod vp8;
mod vp9;

#[cfg(test)]
mod tests;

use crate::{
    frame::{Codec, Frame},
    params::{self, PictureSize, Vp9Parameters},
};

/// No frame grows beyond this. A keyframe of 8K video at 100 Mbit/s is about 4 MiB; a sender that never ends a frame
/// stops here.
pub const FRAME_MAX: usize = 8 << 20;

/// One RTP packet without its header.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// Extended RTP time, in clock units.
    pub timestamp: u64,
    pub marker: bool,
    pub payload: &'a [u8],
}

/// Why a frame was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    #[error("packets of the frame were lost")]
    Incomplete,
    #[error("payload ends within a header or a unit")]
    Truncated,
    #[error("payload has an invalid header")]
    InvalidHeader,
    #[error("payload type {0} belongs to a mode that was not negotiated")]
    UnsupportedPayload(u8),
    #[error("fragment continues nothing, or begins within another")]
    StrayFragment,
    #[error("frame is larger than {FRAME_MAX} bytes")]
    TooLarge,
    #[error("keyframe came before its parameter sets")]
    NoParameterSets,
    #[error("picture has several spatial layers, which cannot be recorded; let the encoder send one")]
    SpatialLayers,
}

/// The size of the pictures that begin with this payload's: what can be told of a track that is not put together. Without a state, so
/// by one packet alone: a parameter set in fragments is not found.
pub fn picture_size(codec: Codec, payload: &[u8]) -> Option<PictureSize> {
    size_header(codec, payload).and_then(|header| size_told(codec, header))
}

/// The bytes that tell it, a parameter set or the beginning of a keyframe: whoever has read the same before need not read them again.
/// It reads a few bytes, and allocates nothing.
pub fn size_header(codec: Codec, payload: &[u8]) -> Option<&[u8]> {
    match codec {
        Codec::H264 => h264::size_header(payload),
        Codec::H265 => h265::size_header(payload),
        Codec::Vp8 => vp8::size_header(payload),
        Codec::Vp9 => vp9::size_header(payload),
        Codec::Av1 => av1::size_header(payload),
        Codec::Opus => None,
    }
}

/// The size that such bytes tell.
pub fn size_told(codec: Codec, header: &[u8]) -> Option<PictureSize> {
    match codec {
        Codec::H264 => params::h264::Picture::of(header).map(|picture| picture.size),
        Codec::H265 => params::h265::picture_size(header),
        Codec::Vp8 => params::vp8_picture_size(header),
        Codec::Vp9 => Vp9Parameters::of(header).map(|parameters| parameters.size),
        Codec::Av1 => params::av1::picture_size(header),
        Codec::Opus => None,
    }
}

/// Whether this payload is of a picture at which a decoder can begin, by this packet alone. Where the format says so once per picture,
/// only the packet that begins it tells; before it there may be packets of delimiters and parameter sets, which do not. It reads
/// a few bytes.
pub fn is_of_keyframe(codec: Codec, payload: &[u8]) -> bool {
    match codec {
        Codec::H264 => h264::is_of_keyframe(payload),
        Codec::H265 => h265::is_of_keyframe(payload),
        Codec::Vp8 => vp8::is_of_keyframe(payload),
        Codec::Vp9 => vp9::is_of_keyframe(payload),
        Codec::Av1 => av1::is_of_keyframe(payload),
        Codec::Opus => false,
    }
}

/// Turns the packets of one track into frames. Memory: one frame in the making, at most [`FRAME_MAX`] bytes.
#[derive(Debug)]
pub struct Depacketiser {
    format: Format,
    state: State,
}

#[derive(Debug)]
enum Format {
    H264(h264::H264),
    H265(h265::H265),
    Vp8,
    Vp9,
    Av1(av1::Av1),
    Opus,
}

#[derive(Debug)]
enum State {
    /// Between two frames, nothing missing.
    Between,
    /// Packets are missing here: only what is surely the beginning of a frame is taken.
    Lost,
    Building(Building),
    /// This frame is damaged: the rest of it is passed over.
    Skipping {
        timestamp: u64,
    },
}

#[derive(Debug)]
struct Building {
    timestamp: u64,
    /// Its last packet, by the marker, arrived.
    marked: bool,
    data: Vec<u8>,
}

impl Depacketiser {
    pub fn new(codec: Codec) -> Self {
        let format = match codec {
            Codec::H264 => Format::H264(h264::H264::default()),
            Codec::H265 => Format::H265(h265::H265::default()),
            Codec::Vp8 => Format::Vp8,
            Codec::Vp9 => Format::Vp9,
            Codec::Av1 => Format::Av1(av1::Av1::default()),
            Codec::Opus => Format::Opus,
        };
        // We may have joined in the middle of a frame.
        Self {
            format,
            state: State::Lost,
        }
    }

    /// Takes the next packet in sequence. Appends the frames that it completes and the frames that had to be dropped:
    /// at most two, the one before it and its own.
    pub fn push(&mut self, packet: Packet<'_>, out: &mut Vec<Result<Frame, Damage>>) {
        if packet.payload.is_empty() {
            return;
        }
        if matches!(self.format, Format::Opus) {
            out.push(opus::frame(packet));
            return;
        }
        self.end_before(&packet, out);
        match self.state {
            State::Skipping { timestamp } if timestamp == packet.timestamp => return,
            State::Lost if !self.format.starts_frame(packet.payload) => {
                self.skip(packet.timestamp, Damage::Incomplete, out);
                return;
            }
            State::Between | State::Lost | State::Skipping { .. } => {
                self.state = State::Building(Building {
                    timestamp: packet.timestamp,
                    marked: false,
                    data: Vec::new(),
                });
            }
            State::Building(_) => {}
        }
        let State::Building(building) = &mut self.state else {
            return;
        };
        match self.format.append(packet.payload, &mut building.data) {
            Ok(()) => building.marked |= packet.marker,
            Err(damage) => self.skip(packet.timestamp, damage, out),
        }
    }

    /// Packets are missing before the next one.
    pub fn lost(&mut self, out: &mut Vec<Result<Frame, Damage>>) {
        self.flush(out);
        self.state = State::Lost;
    }

    /// Ends the frame in the making, where it is known to be complete.
    pub fn flush(&mut self, out: &mut Vec<Result<Frame, Damage>>) {
        match &self.state {
            State::Building(building) if building.marked => self.end(out),
            State::Building(building) => {
                let timestamp = building.timestamp;
                self.skip(timestamp, Damage::Incomplete, out);
            }
            State::Between | State::Lost | State::Skipping { .. } => {}
        }
    }

    fn end_before(&mut self, packet: &Packet<'_>, out: &mut Vec<Result<Frame, Damage>>) {
        let State::Building(building) = &self.state else { return };
        // A second picture with the same timestamp is told from a frame that was marked too early by its first byte.
        let next = building.timestamp != packet.timestamp
            || (building.marked && self.format.has_picture(&building.data) && self.format.starts_frame(packet.payload));
        if next {
            self.end(out);
        }
    }

    fn end(&mut self, out: &mut Vec<Result<Frame, Damage>>) {
        let State::Building(building) = std::mem::replace(&mut self.state, State::Between) else {
            return;
        };
        match self.format.end(building.data) {
            Ok(Some((data, keyframe))) => out.push(Ok(Frame {
                timestamp: building.timestamp,
                keyframe,
                data,
            })),
            Ok(None) => {}
            Err(damage) => out.push(Err(damage)),
        }
    }

    fn skip(&mut self, timestamp: u64, damage: Damage, out: &mut Vec<Result<Frame, Damage>>) {
        self.format.abandon();
        self.state = State::Skipping { timestamp };
        out.push(Err(damage));
    }
}

impl Format {
    /// Whether nothing of a frame can come before this payload.
    fn starts_frame(&self, payload: &[u8]) -> bool {
        match self {
            Self::H264(_) => h264::starts_frame(payload),
            Self::H265(_) => h265::starts_frame(payload),
            Self::Vp8 => vp8::starts_frame(payload),
            Self::Vp9 => vp9::starts_frame(payload),
            Self::Av1(_) => av1::starts_frame(payload),
            Self::Opus => true,
        }
    }

    fn has_picture(&self, data: &[u8]) -> bool {
        match self {
            Self::H264(h264) => h264.has_picture(),
            Self::H265(h265) => h265.has_picture(),
            Self::Av1(av1) => av1.has_picture(),
            Self::Vp8 | Self::Vp9 | Self::Opus => !data.is_empty(),
        }
    }

    fn append(&mut self, payload: &[u8], data: &mut Vec<u8>) -> Result<(), Damage> {
        // A NAL unit's length has 4 bytes, where an aggregate has 2 and other packets none, an OBU's size as many as in the
        // packet or 4: never more than this.
        if data.len() + 2 * payload.len() + 4 > FRAME_MAX {
            return Err(Damage::TooLarge);
        }
        match self {
            Self::H264(h264) => h264.append(payload, data),
            Self::H265(h265) => h265.append(payload, data),
            Self::Vp8 => vp8::append(payload, data),
            Self::Vp9 => vp9::append(payload, data),
            Self::Av1(av1) => av1.append(payload, data),
            Self::Opus => Ok(()),
        }
    }

    /// The finished frame and whether it is a keyframe; none where there is no picture in it.
    fn end(&mut self, data: Vec<u8>) -> Result<Option<(Vec<u8>, bool)>, Damage> {
        match self {
            Self::H264(h264) => h264.end(data),
            Self::H265(h265) => h265.end(data),
            Self::Vp8 => vp8::end(data).map(Some),
            Self::Vp9 => vp9::end(data).map(Some),
            Self::Av1(av1) => av1.end(data),
            Self::Opus => Ok(None),
        }
    }

    fn abandon(&mut self) {
        match self {
            Self::H264(h264) => h264.abandon(),
            Self::H265(h265) => h265.abandon(),
            Self::Av1(av1) => av1.abandon(),
            Self::Vp8 | Self::Vp9 | Self::Opus => {}
        }
    }
}
