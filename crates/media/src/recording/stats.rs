//! What a recording counts.

use crate::{fragment::Run, frame::Kind};

/// What a recording has met so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Video frames in the file, keyframes included.
    pub frames: u64,
    pub keyframes: u64,
    /// Audio frames in the file.
    pub audio_frames: u64,
    /// Frames that arrived in whole or in part, but were damaged or not decodable without one that was.
    pub frames_dropped: u64,
    /// Packets that never came.
    pub packets_lost: u64,
    /// Frames whose time is not after the one before: B-frames, or an encoder that repeats itself. They are in the
    /// file, directly after that one.
    pub frames_backward: u64,
}

impl Stats {
    pub(super) fn count(&mut self, run: &Run<'_>) {
        let samples = run.samples.len() as u64;
        match run.kind {
            Kind::Video => {
                self.frames += samples;
                self.keyframes += run.samples.iter().filter(|sample| sample.keyframe).count() as u64;
            }
            Kind::Audio => self.audio_frames += samples,
        }
    }
}
