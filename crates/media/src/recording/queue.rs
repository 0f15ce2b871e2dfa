//! The frames of one track between the depacketiser and the file.

use std::time::Duration;

use crate::{fragment::Sample, frame::Frame};

/// Frames that wait to be written. The newest one is held back until the next tells how long it lasts.
#[derive(Debug)]
pub(super) struct Queue {
    ready: Option<Batch>,
    newest: Option<Frame>,
    /// What the last frame is taken to last, unless known better: as long as the one before it. In clock units.
    usual_duration: u32,
    /// Where the last frame ended that was closed before its successor came. In clock units.
    closed_until: u64,
}

/// Consecutive frames whose durations are known.
#[derive(Debug)]
pub(super) struct Batch {
    /// Extended RTP time of the first one.
    pub(super) start: u64,
    pub(super) samples: Vec<Sample>,
    /// When the first one became ready.
    since: Duration,
    bytes: usize,
}

/// The frame's time was not after the one before it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Backward;

impl Queue {
    /// `usual_duration`: of a frame, in clock units, until two have come.
    pub(super) fn new(usual_duration: u32) -> Self {
        Self {
            ready: None,
            newest: None,
            usual_duration,
            closed_until: 0,
        }
    }

    /// Takes the next frame in decoding order. One that is not after its predecessor is put one clock unit behind it.
    pub(super) fn push(&mut self, mut frame: Frame, now: Duration) -> Result<(), Backward> {
        let Some(before) = self.newest.take() else {
            // Its predecessor was taken to last longer than it did, and is written: this one follows it.
            frame.timestamp = frame.timestamp.max(self.closed_until);
            self.newest = Some(frame);
            return Ok(());
        };
        let backward = frame.timestamp <= before.timestamp;
        if backward {
            frame.timestamp = before.timestamp + 1;
        }
        let duration = u32::try_from(frame.timestamp - before.timestamp).unwrap_or(u32::MAX);
        if !backward {
            self.usual_duration = duration;
        }
        self.make_ready(before, duration, now);
        self.newest = Some(frame);
        if backward { Err(Backward) } else { Ok(()) }
    }

    /// No next frame will tell how long the newest one lasts: it lasts `duration`, or as long as the one before it.
    pub(super) fn close(&mut self, duration: impl FnOnce(&Frame) -> Option<u32>, now: Duration) {
        if let Some(newest) = self.newest.take() {
            let duration = duration(&newest).unwrap_or(self.usual_duration);
            self.closed_until = newest.timestamp + u64::from(duration);
            self.make_ready(newest, duration, now);
        }
    }

    pub(super) fn take(&mut self) -> Option<Batch> {
        self.ready.take()
    }

    /// The data of the first frame that is ready.
    pub(super) fn first(&self) -> Option<&[u8]> {
        self.ready
            .as_ref()?
            .samples
            .first()
            .map(|sample| sample.data.as_slice())
    }

    /// How long the frames last that are ready, in clock units.
    pub(super) fn ready_span(&self) -> u64 {
        match (&self.ready, &self.newest) {
            (Some(ready), Some(newest)) => newest.timestamp.saturating_sub(ready.start),
            _ => 0,
        }
    }

    /// When the first of them became ready.
    pub(super) fn ready_since(&self) -> Option<Duration> {
        self.ready.as_ref().map(|ready| ready.since)
    }

    /// How many bytes they have.
    pub(super) fn ready_bytes(&self) -> usize {
        self.ready.as_ref().map_or(0, |ready| ready.bytes)
    }

    fn make_ready(&mut self, frame: Frame, duration: u32, now: Duration) {
        let ready = self.ready.get_or_insert_with(|| Batch {
            start: frame.timestamp,
            samples: Vec::new(),
            since: now,
            bytes: 0,
        });
        // With its place in the list: a million frames of one byte are not a megabyte.
        ready.bytes += size_of::<Sample>() + frame.data.len();
        ready.samples.push(Sample {
            duration,
            keyframe: frame.keyframe,
            data: frame.data,
        });
    }
}

impl Batch {
    /// Leaves out the frames that begin before `start`. None where that are all.
    pub(super) fn drop_before(&mut self, start: i64) -> Option<()> {
        let mut dropped = 0;
        while self.start.cast_signed() < start {
            self.start += u64::from(self.samples.get(dropped)?.duration);
            dropped += 1;
        }
        self.samples.drain(..dropped);
        (!self.samples.is_empty()).then_some(())
    }
}
