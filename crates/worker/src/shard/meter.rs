//! What each track of a session carries: bits and pictures per second, keyframes and their size, and whether anything comes.
//!
//! Per packet it is an addition and a comparison, for the first packets of a picture a look at a few bytes; rates are computed once a
//! second, and a size where the bytes that tell it are others than before.

use std::time::{Duration, Instant};

use whipcord_media::{
    Codec, Kind, PictureSize,
    depacketise::{is_of_keyframe, size_header},
};
use whipcord_peer::{Packet, event::TrackId};

use super::{size::Size, stall::PAUSE};

/// A timestamp so far back, 10 s of 90 kHz, is another clock's and not a late packet's.
const OTHER_CLOCK: i32 = 900_000;

/// Packets of a picture that are looked at for a keyframe. Before its first slice there may be a delimiter, three parameter sets and an
/// SEI message, each in a packet of its own.
const LOOKS: u8 = 6;

/// One track's counts.
#[derive(Debug)]
pub(super) struct Meter {
    bytes: u64,
    pictures: u64,
    /// The timestamp of the newest picture.
    newest: Option<u32>,
    /// The SSRC that sent it, and the highest sequence number that was seen of it.
    newest_ssrc: u32,
    newest_sequence: u64,
    /// The timestamp of the last picture that was sent after a later one, and how many there were.
    backward: Option<u32>,
    pictures_backward: u64,
    /// The first packet that carried something, and the last.
    begun: Option<Instant>,
    heard: Option<Instant>,
    /// When rates were last computed, and the counts then.
    since: Instant,
    bytes_then: u64,
    pictures_then: u64,
    codec: Codec,
    /// Packets of the newest picture that are looked at still.
    looks: u8,
    keyframes: u64,
    /// When the last of them began to come.
    keyframe: Option<Instant>,
    size: Size,
    bitrate_bps: u64,
    frames_per_second: f64,
}

/// What a track carries at a moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Flow {
    pub(crate) track: TrackId,
    /// Over the last second.
    pub(crate) bitrate_bps: u64,
    /// Timestamps per second, which are pictures where it is video.
    pub(crate) frames_per_second: f64,
    pub(crate) active: bool,
    pub(crate) keyframes: u64,
    /// Since the last of them began to come.
    pub(crate) keyframe_age: Option<Duration>,
    pub(crate) size: Option<PictureSize>,
}

impl Meter {
    pub(super) fn new(codec: Codec, now: Instant) -> Self {
        Self {
            bytes: 0,
            pictures: 0,
            newest: None,
            newest_ssrc: 0,
            newest_sequence: 0,
            backward: None,
            pictures_backward: 0,
            begun: None,
            heard: None,
            since: now,
            bytes_then: 0,
            pictures_then: 0,
            codec,
            looks: 0,
            keyframes: 0,
            keyframe: None,
            size: Size::Untold,
            bitrate_bps: 0,
            frames_per_second: 0.0,
        }
    }

    pub(super) fn set_codec(&mut self, codec: Codec) {
        self.codec = codec;
    }

    #[inline]
    pub(super) fn count(&mut self, packet: &Packet<'_>, now: Instant) {
        // Padding fills a path with nothing, also where a layer has stopped.
        if packet.payload.is_empty() {
            return;
        }
        self.bytes += packet.payload.len() as u64;
        self.heard = Some(now);
        self.begun.get_or_insert(now);
        // Late packets and repairs belong to pictures that were counted.
        let ahead = self
            .newest
            .map_or(1, |newest| packet.timestamp.wrapping_sub(newest).cast_signed());
        if !(-OTHER_CLOCK..=0).contains(&ahead) {
            self.pictures += 1;
            self.newest = Some(packet.timestamp);
            if self.newest_ssrc != packet.ssrc {
                (self.newest_ssrc, self.newest_sequence) = (packet.ssrc, packet.sequence);
            }
            self.looks = LOOKS;
        } else if ahead < 0 && packet.sequence > self.newest_sequence && packet.ssrc == self.newest_ssrc {
            self.note_backward(packet.timestamp);
        }
        if packet.ssrc == self.newest_ssrc {
            self.newest_sequence = self.newest_sequence.max(packet.sequence);
        }
        if self.looks > 0 && self.newest == Some(packet.timestamp) {
            self.look(packet, now);
        }
    }

    /// A picture that is to be shown before one that was sent before it. Late packets and repairs have lower sequence numbers.
    fn note_backward(&mut self, timestamp: u32) {
        if self.backward != Some(timestamp) && matches!(self.codec, Codec::H264 | Codec::H265) {
            self.backward = Some(timestamp);
            self.pictures_backward += 1;
        }
    }

    fn look(&mut self, packet: &Packet<'_>, now: Instant) {
        self.looks -= 1;
        if let Some(header) = size_header(self.codec, packet.payload) {
            self.size.read(self.codec, header, now);
        }
        if is_of_keyframe(self.codec, packet.payload) {
            self.looks = 0;
            self.keyframes += 1;
            self.keyframe = Some(now);
        }
    }

    pub(super) fn kind(&self) -> Kind {
        self.codec.kind()
    }

    pub(super) fn keyframes(&self) -> u64 {
        self.keyframes
    }

    /// When the last keyframe began to come.
    pub(super) fn keyframe(&self) -> Option<Instant> {
        self.keyframe
    }

    /// When it last carried something.
    pub(super) fn heard(&self) -> Option<Instant> {
        self.heard
    }

    /// How many pictures of H.264 or H.265 were sent in another order than they are to be shown in: B-frames, which WebRTC does not
    /// have.
    pub(super) fn pictures_backward(&self) -> u64 {
        self.pictures_backward
    }

    /// How long its viewers have waited for a keyframe, where it is video that comes.
    pub(super) fn keyframe_wait(&self, now: Instant) -> Option<Duration> {
        let is_video = self.codec.kind() == Kind::Video;
        let since = self
            .keyframe
            .or(self.begun)
            .filter(|_| is_video && self.is_active(now))?;
        Some(now.saturating_duration_since(since))
    }

    fn is_active(&self, now: Instant) -> bool {
        self.heard
            .is_some_and(|heard| now.saturating_duration_since(heard) < PAUSE)
    }

    /// Computes rates; once a second.
    pub(super) fn tick(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.since);
        if elapsed < Duration::from_millis(1) {
            return;
        }
        let per_second = |count: u64| count as f64 / elapsed.as_secs_f64();
        self.bitrate_bps = (per_second(self.bytes - self.bytes_then) * 8.0) as u64;
        // A decimal: a second's count is not more exact.
        self.frames_per_second = (per_second(self.pictures - self.pictures_then) * 10.0).round() / 10.0;
        (self.since, self.bytes_then, self.pictures_then) = (now, self.bytes, self.pictures);
    }

    pub(super) fn flow(&self, track: TrackId, now: Instant) -> Flow {
        Flow {
            track,
            bitrate_bps: self.bitrate_bps,
            frames_per_second: self.frames_per_second,
            active: self.is_active(now),
            keyframes: self.keyframes,
            keyframe_age: self.keyframe.map(|came| now.saturating_duration_since(came)),
            size: self.size.get(),
        }
    }
}

#[cfg(test)]
mod tests;
