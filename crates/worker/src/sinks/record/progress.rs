//! How far a recording is: written by its writer, read by whoever asks.

use std::{
    sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use whipcord_media::{PictureSize, Stats};
use whipcord_peer::event::TrackId;

/// A recording's figures. Each is its own; together they may be of different moments.
#[derive(Debug)]
pub(crate) struct Progress {
    path: String,
    bytes: AtomicU64,
    keyframes: AtomicU64,
    /// When the last one came, in milliseconds since `since`.
    keyframe_at: AtomicU64,
    since: Instant,
    frames_dropped: AtomicU64,
    /// By track id: width in the upper half, height in the lower; 0 until told.
    pictures: Box<[AtomicU64]>,
    /// The recorded video track's id, plus 1; 0 before it is chosen.
    video: AtomicU64,
    disk: AtomicU8,
}

/// What the disk did with what was written last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disk {
    Takes,
    /// No space, or none of its user's.
    Full,
    Refuses,
}

impl Progress {
    /// `tracks`: layers counted each.
    pub(crate) fn new(path: String, tracks: usize) -> Self {
        let zero = AtomicU64::default;
        Self {
            path,
            bytes: zero(),
            keyframes: zero(),
            keyframe_at: zero(),
            since: Instant::now(),
            frames_dropped: zero(),
            pictures: (0..tracks).map(|_| zero()).collect(),
            video: zero(),
            disk: AtomicU8::new(Disk::Takes as u8),
        }
    }

    /// The file's path below the recordings folder.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Bytes in the file.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    pub(crate) fn keyframes(&self) -> u64 {
        self.keyframes.load(Relaxed)
    }

    /// Since the last keyframe; None before the first.
    pub(crate) fn keyframe_age(&self) -> Option<Duration> {
        let at = Duration::from_millis(self.keyframe_at.load(Relaxed));
        (self.keyframes() > 0).then(|| self.since.elapsed().saturating_sub(at))
    }

    /// Frames that arrived damaged, or cannot be decoded without one that did: they are not in the file.
    pub(crate) fn frames_dropped(&self) -> u64 {
        self.frames_dropped.load(Relaxed)
    }

    /// Of a track, recorded or not; None until a keyframe told.
    pub(crate) fn picture(&self, track: TrackId) -> Option<PictureSize> {
        let picture = self.pictures.get(usize::from(track.0))?.load(Relaxed);
        (picture > 0).then_some(PictureSize {
            width: (picture >> 32) as u32,
            height: picture as u32,
        })
    }

    pub(crate) fn video_track(&self) -> Option<TrackId> {
        self.video
            .load(Relaxed)
            .checked_sub(1)
            .and_then(|id| u8::try_from(id).ok())
            .map(TrackId)
    }

    pub(crate) fn disk(&self) -> Disk {
        match self.disk.load(Relaxed) {
            full if full == Disk::Full as u8 => Disk::Full,
            refuses if refuses == Disk::Refuses as u8 => Disk::Refuses,
            _ => Disk::Takes,
        }
    }

    pub(super) fn set_disk(&self, disk: Disk) {
        self.disk.store(disk as u8, Relaxed);
    }

    pub(super) fn set_bytes(&self, bytes: u64) {
        self.bytes.store(bytes, Relaxed);
    }

    pub(super) fn set(&self, stats: Stats) {
        if self.keyframes.swap(stats.keyframes, Relaxed) != stats.keyframes {
            self.keyframe_at.store(self.since.elapsed().as_millis() as u64, Relaxed);
        }
        self.frames_dropped.store(stats.frames_dropped, Relaxed);
    }

    pub(super) fn set_picture(&self, track: TrackId, PictureSize { width, height }: PictureSize) {
        if let Some(picture) = self.pictures.get(usize::from(track.0)) {
            picture.store(u64::from(width) << 32 | u64::from(height), Relaxed);
        }
    }

    pub(super) fn set_video_track(&self, track: TrackId) {
        self.video.store(u64::from(track.0) + 1, Relaxed);
    }
}
