//! What a file writer takes: frames with their place in the file.

use crate::frame::Kind;

/// A frame and how long it lasts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sample {
    /// To the next sample, in the track's clock units.
    pub duration: u32,
    pub keyframe: bool,
    /// As in [`crate::Frame`].
    pub data: Vec<u8>,
}

/// Consecutive samples of one track; at least one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run<'a> {
    pub kind: Kind,
    /// Time of the first sample in the file, in the track's clock units.
    pub start: u64,
    pub samples: &'a [Sample],
}

/// An Opus track, which is the same in every kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OpusTrack {
    /// RTP clock units in a second.
    pub clock_rate: u32,
    /// 1 or 2.
    pub channels: u8,
}
