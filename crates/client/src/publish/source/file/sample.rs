//! Video of NAL units as MP4 and Matroska hold it: each unit of a sample behind its length, parameter sets beside the
//! samples or among them.

use bytes::Bytes;

use super::{
    super::{Track, h264, h265},
    FileError,
};

/// The video track of a file.
pub(super) enum NalSamples {
    H264 {
        sets: h264::ParameterSets,
        length_size: usize,
    },
    H265 {
        sets: h265::ParameterSets,
        length_size: usize,
    },
}

impl NalSamples {
    /// Whether it is a keyframe, and its access unit in Annex B form; none if the sample holds no picture.
    pub(super) fn access_unit(&mut self, sample: &[u8]) -> Result<Option<(bool, Bytes)>, FileError> {
        Ok(match self {
            Self::H264 { sets, length_size } => sets
                .sample(sample, *length_size)?
                .map(|unit| (unit.keyframe, unit.data)),
            Self::H265 { sets, length_size } => sets
                .sample(sample, *length_size)?
                .map(|unit| (unit.keyframe, unit.data)),
        })
    }

    pub(super) fn track(&self) -> Result<Track, FileError> {
        Ok(match self {
            Self::H264 { sets, .. } => sets.track()?,
            Self::H265 { sets, .. } => sets.track()?,
        })
    }
}
