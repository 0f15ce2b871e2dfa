//! A recording: packets of one session's tracks in, the bytes of one file out.
//!
//! - **Start.** With video, the file begins at the first keyframe, and audio from before it is left out. Where no keyframe
//!   comes within [`VIDEO_WAIT`] of audio, the file holds that audio and all that follows, and no video.
//! - **Loss.** Missing packets are waited for ([`crate::reorder`]). After a hole, nothing of a video track is written until
//!   the next keyframe, which is asked for; the last frame before it stays on the screen.
//! - **Lip-sync.** Audio is never moved against its own clock, because that is heard; video follows audio in steps that
//!   are not seen.
//! - **Fragments** are appended about every [`FRAGMENT`]. What was appended is never changed, so that the file plays at any
//!   moment. A frame is written when the next one has told how long it lasts.
//!
//! Memory is bounded for each track by a reorder buffer, a frame in the making and [`PENDING_MAX`] of finished frames.

mod container;
mod fragments;
mod queue;
mod spec;
mod stats;
mod track;

#[cfg(test)]
mod tests;

use std::time::Duration;

pub use self::{
    container::Container,
    spec::{TrackSpec, Unsupported},
    stats::Stats,
};
use self::{
    container::{VideoTrack, Writer},
    track::Track,
};
pub(crate) use crate::clock::SenderReport;
use crate::{
    clock::LipSync,
    depacketise::{Damage, Packet},
    frame::{Frame, Kind},
    params::PictureSize,
    reorder::{self, Pushed, Released},
};

/// A fragment is cut when it is this long, or at the first keyframe from half of it on: seeking lands on a fragment's
/// first frame. What a crash can lose is a fragment, and the header of one costs some 200 bytes.
pub(crate) const FRAGMENT: Duration = Duration::from_millis(500);

/// Frames that are ready are written after this time even where no more come.
pub(crate) const FRAGMENT_WAIT: Duration = Duration::from_secs(1);

/// The file begins with this much of it, because where its tracks begin against each other cannot be changed afterwards but by slow
/// steps. Many encoders start with a backlog, whose arrivals say nothing of when it was captured: by then it has
/// drained, and the first sender reports, a second apart, have usually come.
pub(crate) const BEGINNING: Duration = Duration::from_millis(1500);

/// Frames that are ready are written when they are this many bytes: 500 ms at 64 Mbit/s.
pub(crate) const PENDING_MAX: usize = 4 << 20;

/// Audio waits this long for video to begin: three times the longest usual distance of keyframes (250 frames at 25/s), as
/// some encoders do not make one when asked.
pub(crate) const VIDEO_WAIT: Duration = Duration::from_secs(30);

/// A keyframe is asked for again after this time. An encoder needs a round trip and a frame to answer.
const KEYFRAME_REQUEST_INTERVAL: Duration = Duration::from_secs(1);

/// A decrypted RTP packet.
#[derive(Clone, Copy, Debug)]
pub struct RtpPacket<'a> {
    /// Index into the tracks given to [`Recording::new`].
    pub track: usize,
    /// Extended by the number of wraps.
    pub sequence: u64,
    pub timestamp: u32,
    pub marker: bool,
    /// Without padding.
    pub payload: &'a [u8],
    /// Since the start of the session.
    pub arrival: Duration,
}

/// One file in the making.
#[derive(Debug)]
pub struct Recording {
    container: Container,
    tracks: Vec<Track>,
    lip_sync: LipSync,
    phase: Phase,
    /// The latest time that the caller passed in.
    now: Duration,
    bytes: Vec<u8>,
    picture: Option<PictureSize>,
    keyframe_request: Option<usize>,
    keyframe_requested: Option<Duration>,
    stats: Stats,
}

#[derive(Debug)]
enum Phase {
    /// Nothing is written: video waits for a keyframe, audio for video.
    Gathering,
    Writing(Writer),
    Finished,
}

impl Recording {
    pub fn new(tracks: &[TrackSpec]) -> Result<Self, Unsupported> {
        let mut made: Vec<Track> = Vec::new();
        for spec in tracks {
            spec.check()?;
            let kind = spec.codec.kind();
            if made.iter().any(|track| track.kind() == kind) {
                return Err(Unsupported::TwoTracks(kind));
            }
            made.push(Track::new(*spec));
        }
        if made.is_empty() {
            return Err(Unsupported::NoTrack);
        }
        Ok(Self {
            container: Container::of(tracks.iter().map(|spec| spec.codec)),
            tracks: made,
            lip_sync: LipSync::default(),
            phase: Phase::Gathering,
            now: Duration::ZERO,
            bytes: Vec::new(),
            picture: None,
            keyframe_request: None,
            keyframe_requested: None,
            stats: Stats::default(),
        })
    }

    /// The kind of its file.
    pub fn container(&self) -> Container {
        self.container
    }

    /// Takes a packet, in whatever order they come. One of an unknown track is ignored.
    pub fn push(&mut self, packet: RtpPacket<'_>) {
        self.now = self.now.max(packet.arrival);
        let Some(track) = self.tracks.get_mut(packet.track) else {
            return;
        };
        let held = reorder::Packet {
            timestamp: packet.timestamp,
            marker: packet.marker,
            payload: packet.payload.to_vec(),
            arrival: packet.arrival,
        };
        match track.reorder.push(packet.sequence, held) {
            Pushed::Held => self.release(packet.track, self.now),
            Pushed::Late | Pushed::Duplicate => {}
        }
    }

    /// Takes a sender report of a track.
    pub fn sender_report(&mut self, track: usize, report: SenderReport) {
        self.now = self.now.max(report.arrival);
        if let Some(track) = self.tracks.get_mut(track) {
            track.sender_report(report);
            self.compare_clocks();
        }
    }

    /// Time passes: gives up on packets that do not come and writes what is ready. Call some times a second.
    pub fn advance(&mut self, now: Duration) {
        self.now = self.now.max(now);
        for track in 0..self.tracks.len() {
            self.release(track, self.now);
        }
        let wait = match self.phase {
            Phase::Gathering => BEGINNING,
            Phase::Writing(_) | Phase::Finished => FRAGMENT_WAIT,
        };
        let due = |track: &Track| {
            track
                .queue
                .ready_since()
                .is_some_and(|since| self.now.saturating_sub(since) >= wait)
        };
        if self.leading().any(due) {
            self.cut();
        }
    }

    /// The bytes to append to the file; empty when there is nothing. They gather here until they are taken.
    pub fn take_bytes(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    /// The track of which a keyframe is needed, since the last call.
    pub fn take_keyframe_request(&mut self) -> Option<usize> {
        self.keyframe_request.take()
    }

    /// Packets of this track were lost between the session and here, after the last one pushed.
    pub fn gap(&mut self, track: usize) {
        if track >= self.tracks.len() {
            return;
        }
        self.release(track, Duration::MAX);
        self.tracks[track].reorder.restart();
        self.on_gap(track, 0);
    }

    /// Another stream takes this track's place, with a numbering and a clock of its own, from a keyframe on: the next packet
    /// pushed belongs to it.
    pub fn splice(&mut self, index: usize) {
        if index >= self.tracks.len() {
            return;
        }
        self.release(index, Duration::MAX);
        self.tracks[index].reorder.restart();
        let mut frames = Vec::new();
        self.tracks[index].depacketiser.lost(&mut frames);
        self.on_frames(index, frames);
        // No keyframe is asked for: one follows.
        self.tracks[index].interrupt();
    }

    /// The session is over: completes the file, whose last bytes are then to be taken. There are none where nothing
    /// playable came.
    pub fn finish(&mut self) {
        for index in 0..self.tracks.len() {
            self.release(index, Duration::MAX);
            let mut frames = Vec::new();
            self.tracks[index].depacketiser.flush(&mut frames);
            self.on_frames(index, frames);
        }
        for track in &mut self.tracks {
            track.close(self.now);
        }
        self.cut();
        self.phase = Phase::Finished;
    }

    /// Of the newest keyframe.
    pub fn picture(&self) -> Option<PictureSize> {
        self.picture
    }

    pub fn stats(&self) -> Stats {
        self.stats
    }

    fn release(&mut self, index: usize, now: Duration) {
        while let Some(released) = self.tracks[index].reorder.poll(now) {
            match released {
                Released::Packet(packet) => self.on_packet(index, &packet),
                Released::Gap { packets } => self.on_gap(index, packets),
            }
        }
    }

    fn on_packet(&mut self, index: usize, packet: &reorder::Packet) {
        let track = &mut self.tracks[index];
        let timestamp = track.clock.extend(packet.timestamp, packet.arrival);
        let mut frames = Vec::new();
        let packet = Packet {
            timestamp,
            marker: packet.marker,
            payload: &packet.payload,
        };
        track.depacketiser.push(packet, &mut frames);
        if let Some(report) = track.early_report.take() {
            self.sender_report(index, report);
        }
        self.on_frames(index, frames);
    }

    fn on_gap(&mut self, index: usize, packets: u64) {
        self.stats.packets_lost += packets;
        let mut frames = Vec::new();
        self.tracks[index].depacketiser.lost(&mut frames);
        self.on_frames(index, frames);
        self.interrupt(index);
    }

    fn interrupt(&mut self, index: usize) {
        if self.tracks[index].interrupt() {
            self.request_keyframe(index);
        }
    }

    fn on_frames(&mut self, index: usize, frames: Vec<Result<Frame, Damage>>) {
        for frame in frames {
            match frame {
                Ok(frame) => self.on_frame(index, frame),
                Err(_) => {
                    self.stats.frames_dropped += 1;
                    self.interrupt(index);
                }
            }
        }
    }

    fn on_frame(&mut self, index: usize, frame: Frame) {
        let track = &mut self.tracks[index];
        if matches!(self.phase, Phase::Finished) || track.is_left_out() {
            self.stats.frames_dropped += 1;
            return;
        }
        if !track.accepts(&frame) {
            self.stats.frames_dropped += 1;
            self.request_keyframe(index);
            return;
        }
        let keyframe = track.kind() == Kind::Video && frame.keyframe;
        if keyframe {
            let video = VideoTrack::of(track.spec.codec, track.spec.clock_rate, &frame.data);
            self.picture = video.and_then(|video| video.picture_size()).or(self.picture);
        }
        if track.queue.push(frame, self.now).is_err() {
            self.stats.frames_backward += 1;
        }
        if self.is_due(index, keyframe) {
            self.cut();
        }
    }

    fn is_due(&self, index: usize, keyframe: bool) -> bool {
        let track = &self.tracks[index];
        let wait = match self.phase {
            Phase::Gathering if !self.leads(track) => VIDEO_WAIT,
            Phase::Gathering => BEGINNING,
            _ if keyframe => FRAGMENT / 2,
            _ => FRAGMENT,
        };
        track.ready_span() >= wait || track.queue.ready_bytes() >= PENDING_MAX
    }

    /// The tracks whose frames bring on a fragment: all, but only video before the file begins.
    fn leading(&self) -> impl Iterator<Item = &Track> {
        self.tracks.iter().filter(|track| self.leads(track))
    }

    fn leads(&self, track: &Track) -> bool {
        !matches!(self.phase, Phase::Gathering) || track.kind() == Kind::Video || self.track(Kind::Video).is_none()
    }

    fn track(&self, kind: Kind) -> Option<&Track> {
        self.tracks.iter().find(|track| track.kind() == kind)
    }

    fn request_keyframe(&mut self, index: usize) {
        if self
            .keyframe_requested
            .is_none_or(|at| self.now.saturating_sub(at) >= KEYFRAME_REQUEST_INTERVAL)
        {
            self.keyframe_requested = Some(self.now);
            self.keyframe_request = Some(index);
        }
    }

    fn compare_clocks(&mut self) {
        let clock = |kind| {
            self.tracks
                .iter()
                .find(|track| track.kind() == kind)
                .map(|track| &track.clock)
        };
        if let (Some(audio), Some(video)) = (clock(Kind::Audio), clock(Kind::Video)) {
            self.lip_sync.compare(audio, video);
        }
    }
}
