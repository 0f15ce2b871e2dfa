//! What a decoder must know before the first frame, read from the stream itself. Never from the SDP: encoders announce
//! one profile there and send another.

pub(crate) mod av1;
mod bits;
pub(crate) mod h264;
pub(crate) mod h265;
mod nal;
mod vp8;
pub(crate) mod vp9;

pub(crate) use self::nal::nals;
pub use self::{
    av1::Av1Parameters, h264::H264Parameters, h265::H265Parameters, nal::PARAMETER_SET_MAX, vp8::vp8_picture_size,
    vp9::Vp9Parameters,
};

/// A picture's width and height in pixels, after cropping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureSize {
    pub width: u32,
    pub height: u32,
}
