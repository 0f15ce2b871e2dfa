//! Frames that are ready → the next piece of the file: where it begins, and where each track stands in it.
//!
//! Not here: when a piece is due.

use super::{
    Phase, Recording,
    container::{VideoTrack, Writer},
    queue::Batch,
    track::Track,
};
use crate::{
    fragment::{OpusTrack, Run},
    frame::Kind,
};

impl Recording {
    /// Appends a fragment of all frames that are ready, and before the first one the file's header.
    pub(super) fn cut(&mut self) {
        if matches!(self.phase, Phase::Gathering) {
            let Some(writer) = self.begin() else { return };
            self.phase = Phase::Writing(writer);
        }
        // Video first: its first keyframe is where the file begins.
        let batches = [Kind::Video, Kind::Audio].map(|kind| (kind, self.place(kind)));
        let runs: Vec<_> = batches
            .iter()
            .filter_map(|(kind, batch)| {
                let batch = batch.as_ref()?;
                Some(Run {
                    kind: *kind,
                    start: batch.start,
                    samples: &batch.samples,
                })
            })
            .collect();
        if runs.is_empty() {
            return;
        }
        for run in &runs {
            self.stats.count(run);
        }
        if let Phase::Writing(writer) = &mut self.phase {
            writer.fragment(&runs, &mut self.bytes);
        }
    }

    /// Writes the header, if there is something to begin with.
    fn begin(&mut self) -> Option<Writer> {
        let mut video = None;
        if let Some(track) = self.tracks.iter_mut().find(|track| track.kind() == Kind::Video) {
            // The wait for video may end with a single picture.
            if track.queue.first().is_none() {
                track.close(self.now);
            }
            match track.queue.first() {
                Some(keyframe) => video = Some(VideoTrack::of(track.spec.codec, track.spec.clock_rate, keyframe)?),
                None => track.leave_out(),
            }
        }
        let audio = self.track(Kind::Audio);
        if video.is_none() && audio?.queue.first().is_none() {
            return None;
        }
        let audio = audio.map(|track| OpusTrack {
            clock_rate: track.spec.clock_rate,
            channels: track.spec.channels,
        });
        Some(self.container.begin(video.as_ref(), audio, &mut self.bytes))
    }

    /// The frames of a track that are ready, with their place in the file.
    fn place(&mut self, kind: Kind) -> Option<Batch> {
        let base = |kind| self.track(kind).and_then(Track::base);
        let skew = self.skew();
        let base = match kind {
            Kind::Video => base(Kind::Audio).zip(skew).map(|(audio, skew)| audio + skew),
            Kind::Audio => base(Kind::Video).zip(skew).map(|(video, skew)| video - skew),
        };
        self.tracks.iter_mut().find(|track| track.kind() == kind)?.place(base)
    }

    /// By how much video's RTP time is behind audio's, in microseconds.
    fn skew(&self) -> Option<i64> {
        self.lip_sync
            .skew(&self.track(Kind::Audio)?.clock, &self.track(Kind::Video)?.clock)
    }
}
