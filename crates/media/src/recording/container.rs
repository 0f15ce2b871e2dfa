//! Which kind of file holds which codecs.

use crate::{
    fmp4::{self, Coding},
    fragment::{OpusTrack, Run},
    frame::Codec,
    matroska::{self, Vp8Track},
    params::{Av1Parameters, H264Parameters, H265Parameters, PictureSize, Vp9Parameters, vp8_picture_size},
};

/// A kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// H.264, H.265, VP9, AV1 and Opus.
    Mp4,
    /// VP8 and Opus. Few players take VP8 in MP4.
    Webm,
}

/// What a file says about its video, read from the first keyframe.
#[derive(Debug)]
pub(super) enum VideoTrack {
    Mp4(fmp4::VideoTrack),
    Webm(Vp8Track),
}

#[derive(Debug)]
pub(super) enum Writer {
    Mp4(fmp4::Writer),
    Webm(matroska::Writer),
}

impl Container {
    /// Every kind that a recording may be of.
    pub const ALL: [Self; 2] = [Self::Mp4, Self::Webm];

    pub(super) fn of(codecs: impl IntoIterator<Item = Codec>) -> Self {
        if codecs.into_iter().any(|codec| codec == Codec::Vp8) {
            Self::Webm
        } else {
            Self::Mp4
        }
    }

    /// The file name's extension.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Mp4 => "mp4",
            Self::Webm => "webm",
        }
    }

    /// Appends the header of a file with these tracks.
    pub(super) fn begin(self, video: Option<&VideoTrack>, audio: Option<OpusTrack>, out: &mut Vec<u8>) -> Writer {
        match (video, self) {
            (Some(VideoTrack::Mp4(track)), _) => Writer::Mp4(fmp4::Writer::new(Some(track), audio, out)),
            (Some(VideoTrack::Webm(track)), _) => Writer::Webm(matroska::Writer::new(Some(*track), audio, out)),
            (None, Self::Mp4) => Writer::Mp4(fmp4::Writer::new(None, audio, out)),
            (None, Self::Webm) => Writer::Webm(matroska::Writer::new(None, audio, out)),
        }
    }
}

impl VideoTrack {
    /// None where the keyframe does not tell what is needed.
    pub(super) fn of(codec: Codec, clock_rate: u32, keyframe: &[u8]) -> Option<Self> {
        let coding = match codec {
            Codec::H264 => Coding::H264(H264Parameters::of(keyframe)?),
            Codec::H265 => Coding::H265(H265Parameters::of(keyframe)?),
            Codec::Vp9 => Coding::Vp9(Vp9Parameters::of(keyframe)?),
            Codec::Av1 => Coding::Av1(Av1Parameters::of(keyframe)?),
            Codec::Vp8 => {
                let size = vp8_picture_size(keyframe)?;
                return Some(Self::Webm(Vp8Track { clock_rate, size }));
            }
            Codec::Opus => return None,
        };
        Some(Self::Mp4(fmp4::VideoTrack { clock_rate, coding }))
    }

    pub(super) fn picture_size(&self) -> Option<PictureSize> {
        match self {
            Self::Mp4(track) => track.coding.picture_size(),
            Self::Webm(track) => Some(track.size),
        }
    }
}

impl Writer {
    pub(super) fn fragment(&mut self, runs: &[Run<'_>], out: &mut Vec<u8>) {
        match self {
            Self::Mp4(writer) => writer.fragment(runs, out),
            Self::Webm(writer) => writer.fragment(runs, out),
        }
    }
}
