//! Where media comes from: a file, or the test pattern. Coded frames with their times; nothing here decodes, waits or sends.

mod file;
mod h264;
mod h265;
mod nal;
mod ogg;
mod pattern;
mod rate;
mod repeat;

use std::{fmt, path::PathBuf, time::Duration};

use bytes::Bytes;

use self::{file::MediaFile, pattern::Pattern, repeat::Repeat};
pub use self::{
    file::{FileError, H264Error, H265Error, IvfError, MatroskaError, Mp4Error, OggError, SelectionError},
    rate::{FrameRate, FrameRateError},
};

/// What to publish, as the command line names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// `test`: the generated picture and beep, without end.
    Test,
    File(PathBuf),
}

impl From<std::ffi::OsString> for Input {
    fn from(name: std::ffi::OsString) -> Self {
        if name == "test" {
            Self::Test
        } else {
            Self::File(name.into())
        }
    }
}

/// How to read the input.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Manner {
    /// Of a file that has no times.
    pub(super) rate: Option<FrameRate>,
    /// Again and again.
    pub(super) repeat: bool,
    /// In several sizes.
    pub(super) simulcast: bool,
}

/// The codecs that can be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Codec {
    H264,
    H265,
    Vp8,
    Opus,
}

impl Codec {
    pub(super) fn is_video(self) -> bool {
        match self {
            Self::H264 | Self::H265 | Self::Vp8 => true,
            Self::Opus => false,
        }
    }

    /// RTP clock rate, in Hz (RFC 6184, RFC 7798, RFC 7741, RFC 7587).
    pub(super) fn clock_rate(self) -> u32 {
        match self {
            Self::H264 | Self::H265 | Self::Vp8 => 90_000,
            Self::Opus => 48_000,
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::H264 => "H.264",
            Self::H265 => "H.265",
            Self::Vp8 => "VP8",
            Self::Opus => "Opus",
        })
    }
}

/// A track that will be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Track {
    /// `profile_level_id`: profile_idc, constraint flags and level_idc, as the stream's SPS has them.
    H264 {
        profile_level_id: [u8; 3],
    },
    /// What the stream's SPS has, as an offer says it (RFC 7798 §7.1).
    H265 {
        profile: u8,
        tier: u8,
        level: u8,
    },
    Vp8,
    Opus,
}

impl Track {
    pub(super) fn codec(&self) -> Codec {
        match self {
            Self::H264 { .. } => Codec::H264,
            Self::H265 { .. } => Codec::H265,
            Self::Vp8 => Codec::Vp8,
            Self::Opus => Codec::Opus,
        }
    }
}

/// One of several sizes in which a picture is sent (RFC 8853), called as browsers' examples do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layer {
    Quarter,
    Half,
    Full,
}

impl Layer {
    /// From the smallest to the largest.
    pub(super) const ALL: [Self; 3] = [Self::Quarter, Self::Half, Self::Full];

    /// RFC 8851.
    pub(super) fn rid(self) -> &'static str {
        match self {
            Self::Quarter => "q",
            Self::Half => "h",
            Self::Full => "f",
        }
    }
}

/// One coded picture (H.264 and H.265: an Annex B access unit, parameter sets before each keyframe) or one Opus packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) codec: Codec,
    /// Of a picture in several sizes.
    pub(super) layer: Option<Layer>,
    /// When it is due, from the start of the source. Frames of one track never go back in time.
    pub(super) time: Duration,
    pub(super) keyframe: bool,
    pub(super) data: Bytes,
}

pub(super) enum Source {
    Pattern(Pattern),
    File(Box<MediaFile>),
    Repeat(Box<Repeat>),
}

impl Source {
    /// Reads as much of a file as it takes to know that it can be sent.
    pub(super) fn open(input: &Input, manner: Manner) -> Result<Self, FileError> {
        let path = match input {
            Input::Test if manner.rate.is_some() => return Err(FileError::PatternRate),
            // It has no end anyway.
            Input::Test => return Ok(Self::Pattern(Pattern::new(manner.simulcast))),
            Input::File(_) if manner.simulcast => return Err(FileError::OneSize),
            Input::File(path) => path,
        };
        Ok(if manner.repeat {
            Self::Repeat(Box::new(Repeat::open(path.clone(), manner.rate)?))
        } else {
            Self::File(Box::new(MediaFile::open(path, manner.rate)?))
        })
    }

    pub(super) fn tracks(&self) -> Vec<Track> {
        match self {
            Self::Pattern(_) => Pattern::tracks(),
            Self::File(file) => file.tracks().to_vec(),
            Self::Repeat(repeat) => repeat.tracks().to_vec(),
        }
    }

    /// In which sizes the video comes; empty for one alone.
    pub(super) fn layers(&self) -> &'static [Layer] {
        match self {
            Self::Pattern(pattern) => pattern.layers(),
            Self::File(_) | Self::Repeat(_) => &[],
        }
    }

    /// What the user should know about the file: which track is left out, and why.
    pub(super) fn notes(&self) -> &[String] {
        match self {
            Self::Pattern(_) => &[],
            Self::File(file) => file.notes(),
            Self::Repeat(repeat) => repeat.notes(),
        }
    }

    /// `None` at the end of a file.
    pub(super) fn next(&mut self) -> Result<Option<Frame>, FileError> {
        match self {
            Self::Pattern(pattern) => Ok(Some(pattern.next())),
            Self::File(file) => file.next(),
            Self::Repeat(repeat) => repeat.next().map(Some),
        }
    }

    /// The server asks for a keyframe. What is already coded cannot give one.
    pub(super) fn request_keyframe(&mut self) {
        match self {
            Self::Pattern(pattern) => pattern.request_keyframe(),
            Self::File(_) | Self::Repeat(_) => {}
        }
    }
}

#[cfg(test)]
mod tests;
