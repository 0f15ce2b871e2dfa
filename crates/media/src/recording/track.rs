//! One track of a recording, from packets to placed frames.

use std::time::Duration;

use super::{
    TrackSpec,
    queue::{Batch, Queue},
};
use crate::{
    clock::{Clock, SenderReport},
    depacketise::{Depacketiser, opus},
    frame::{Codec, Frame, Kind},
    reorder::Reorder,
};

/// How far video may be moved between two fragments, in microseconds: less than the jitter of its capture.
const SLEW_MAX: i64 = 5_000;

/// Video is left where it is while this close to where it should be, in microseconds. Nobody hears 10 ms (ITU-R BT.1359
/// gives 45 ms), and arrival times are not better than that.
const SLEW_DEAD_BAND: i64 = 10_000;

#[derive(Debug)]
pub(super) struct Track {
    pub(super) spec: TrackSpec,
    pub(super) reorder: Reorder,
    pub(super) clock: Clock,
    pub(super) depacketiser: Depacketiser,
    pub(super) queue: Queue,
    /// A sender report from before the first packet.
    pub(super) early_report: Option<SenderReport>,
    continuity: Continuity,
    placement: Placement,
}

#[derive(Debug)]
enum Continuity {
    Intact,
    /// Video only: frames refer to ones that are missing, until the next keyframe.
    Broken,
}

#[derive(Debug)]
enum Placement {
    /// None of its frames is in the file yet.
    Unplaced,
    /// The file's time is extended RTP time and this, in clock units.
    Placed { offset: i64 },
    /// The file began without this track, and a file's tracks cannot change.
    LeftOut,
}

impl Track {
    pub(super) fn new(spec: TrackSpec) -> Self {
        let kind = spec.codec.kind();
        Self {
            spec,
            reorder: Reorder::default(),
            clock: Clock::new(spec.clock_rate),
            depacketiser: Depacketiser::new(spec.codec),
            // 1/30 s: only for a file with a single picture.
            queue: Queue::new(spec.clock_rate / 30),
            early_report: None,
            continuity: match kind {
                Kind::Video => Continuity::Broken,
                Kind::Audio => Continuity::Intact,
            },
            placement: Placement::Unplaced,
        }
    }

    pub(super) fn kind(&self) -> Kind {
        self.spec.codec.kind()
    }

    pub(super) fn sender_report(&mut self, report: SenderReport) {
        if self.clock.is_running() {
            self.clock.report(report);
        } else {
            self.early_report = Some(report);
        }
    }

    /// Frames are missing. True if video cannot go on without a keyframe from here.
    pub(super) fn interrupt(&mut self) -> bool {
        match (self.kind(), &self.continuity) {
            (Kind::Video, Continuity::Intact) => {
                self.continuity = Continuity::Broken;
                true
            }
            (Kind::Video, Continuity::Broken) | (Kind::Audio, _) => false,
        }
    }

    /// Whether this frame can be decoded after those before it.
    pub(super) fn accepts(&mut self, frame: &Frame) -> bool {
        if frame.keyframe {
            self.continuity = Continuity::Intact;
        }
        matches!(self.continuity, Continuity::Intact)
    }

    pub(super) fn ready_span(&self) -> Duration {
        let micros = u128::from(self.queue.ready_span()) * 1_000_000 / u128::from(self.spec.clock_rate);
        Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    /// Makes the newest frame ready although none follows it.
    pub(super) fn close(&mut self, now: Duration) {
        let codec = self.spec.codec;
        self.queue.close(
            |frame| match codec {
                Codec::Opus => opus::duration(&frame.data),
                Codec::H264 | Codec::H265 | Codec::Vp8 | Codec::Vp9 | Codec::Av1 => None,
            },
            now,
        );
    }

    pub(super) fn leave_out(&mut self) {
        self.placement = Placement::LeftOut;
    }

    pub(super) fn is_left_out(&self) -> bool {
        matches!(self.placement, Placement::LeftOut)
    }

    /// The file's time is extended RTP time and this, in microseconds.
    pub(super) fn base(&self) -> Option<i64> {
        match self.placement {
            Placement::Placed { offset } => Some(self.clock.to_micros(offset)),
            Placement::Unplaced | Placement::LeftOut => None,
        }
    }

    /// The frames that are ready, with `start` in the file's time. `base`: what [`Track::base`] should be, by the other
    /// track; the first to be placed has none and begins the file.
    pub(super) fn place(&mut self, base: Option<i64>) -> Option<Batch> {
        let mut batch = self.queue.take()?;
        let offset = match (&self.placement, base) {
            (Placement::LeftOut, _) => return None,
            (Placement::Unplaced, Some(base)) => self.clock.to_units(base),
            (Placement::Unplaced, None) => -batch.start.cast_signed(),
            (Placement::Placed { offset }, _) => *offset,
        };
        let slew = self.slew(base, &mut batch);
        self.placement = Placement::Placed { offset: offset + slew };
        // Audio from before the first keyframe has no place in the file.
        batch.drop_before(-offset)?;
        batch.start = batch.start.saturating_add_signed(offset);
        Some(batch)
    }

    /// Moves the following video frames closer to where they should be, by making the last frame of this batch longer or
    /// shorter. Returns by how much, in clock units.
    fn slew(&self, target: Option<i64>, batch: &mut Batch) -> i64 {
        let (Kind::Video, Some(base), Some(target)) = (self.kind(), self.base(), target) else {
            return 0;
        };
        let error = target - base;
        let Some(last) = batch.samples.last_mut() else { return 0 };
        if error.abs() <= SLEW_DEAD_BAND {
            return 0;
        }
        let slew = self.clock.to_units(error.clamp(-SLEW_MAX, SLEW_MAX));
        match u32::try_from(i64::from(last.duration) + slew) {
            Ok(duration) if duration > 0 => {
                last.duration = duration;
                slew
            }
            _ => 0,
        }
    }
}
