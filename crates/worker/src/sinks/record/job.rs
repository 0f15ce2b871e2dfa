//! One recording: from its feed, through the muxer, into its file.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tracing::{info, warn};
use whipcord_media::{Codec, Recording, RtpPacket, SenderReport, depacketise::picture_size};
use whipcord_peer::event::TrackId;
use whipcord_whip::{Kind, Section};

use super::{
    file::File,
    layers::{Held, Layers, Verdict},
    progress::Progress,
};
use crate::tap::{Feed, Item};

/// How long a disk that refused bytes is left alone.
const RETRY: Duration = Duration::from_secs(1);

/// Items that one recording takes before another has its turn: 20 ms of 1 Gbit/s. A publisher that sends faster than its media can be
/// muxed falls behind alone.
const ITEMS_PER_STEP: usize = 2048;

/// A recording and where it stands.
#[derive(Debug)]
pub(super) struct Job {
    feed: Feed,
    sink: Sink,
    file: File,
    disk: Disk,
    /// Bytes that the disk refused. Nothing is added to them: while they wait, media is dropped and counted.
    unwritten: Vec<u8>,
    /// When arrival times begin.
    started: Instant,
}

/// The muxer, and which tracks go into it.
#[derive(Debug)]
struct Sink {
    recording: Recording,
    /// By the recording's track, which is the offer's section.
    sources: Vec<Source>,
    progress: Arc<Progress>,
}

/// What one of the recording's tracks is made from.
#[derive(Debug)]
pub(super) struct Source {
    kind: Kind,
    codec: Codec,
    layers: Layers,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Disk {
    Good,
    /// It was said once, and is not again until the disk recovers.
    Failing {
        retry: Instant,
    },
}

/// How much of what had arrived was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    All,
    Some,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Going {
    On,
    Done,
}

impl Job {
    pub(super) fn new(
        feed: Feed,
        recording: Recording,
        sources: Vec<Source>,
        file: File,
        progress: Arc<Progress>,
        started: Instant,
    ) -> Self {
        let sink = Sink {
            recording,
            sources,
            progress,
        };
        Self {
            feed,
            sink,
            file,
            disk: Disk::Good,
            unwritten: Vec::new(),
            started,
        }
    }

    pub(super) fn path(&self) -> &str {
        self.sink.progress.path()
    }

    /// Takes what has arrived, writes what can be written.
    pub(super) fn step(&mut self, now: Instant) -> Going {
        let age = now.saturating_duration_since(self.started);
        // Before the feed is read: what was written before its end is then read, too.
        let closed = self.feed.is_closed();
        if let Disk::Failing { retry } = self.disk
            && (now >= retry || closed)
        {
            self.retry(now);
        }
        let taken = match self.disk {
            Disk::Good => self.record(now, age, closed),
            Disk::Failing { .. } => self.drop_media(),
        };
        match taken {
            Taken::All if closed => Going::Done,
            Taken::All | Taken::Some => Going::On,
        }
    }

    fn record(&mut self, now: Instant, age: Duration, closed: bool) -> Taken {
        let taken = take(&mut self.feed, |item| self.sink.take(item));
        let last = closed && taken == Taken::All;
        self.sink.choose(age, last);
        if last {
            self.sink.recording.finish();
        } else if taken == Taken::All {
            // What still waits here is late by our own doing, and is not given up.
            self.sink.recording.advance(age);
        }
        self.unwritten = self.sink.recording.take_bytes();
        self.write(now);
        if let Some(track) = self.sink.recording.take_keyframe_request() {
            self.request_keyframe(track);
        }
        for Source { layers, .. } in &mut self.sink.sources {
            if let Some(track) = layers.keyframe_wanted(age) {
                self.feed.request_keyframe(track);
            }
        }
        self.sink.report();
        taken
    }

    fn retry(&mut self, now: Instant) {
        self.write(now);
        if self.disk == Disk::Good {
            for track in 0..self.sink.sources.len() {
                self.sink.recording.gap(track);
                self.request_keyframe(track);
            }
        }
    }

    /// Appends what waits, whole or not at all.
    fn write(&mut self, now: Instant) {
        if self.unwritten.is_empty() {
            return;
        }
        match (self.file.append(&self.unwritten), self.disk) {
            (Ok(()), disk) => {
                self.unwritten.clear();
                self.disk = Disk::Good;
                self.sink.progress.set_bytes(self.file.length());
                if disk != Disk::Good {
                    info!(recording = self.path(), "the recording goes on");
                }
            }
            (Err(error), disk) => {
                self.disk = Disk::Failing { retry: now + RETRY };
                if disk == Disk::Good {
                    warn!(recording = self.path(), %error, "the recording cannot be written and loses media; it is tried again each second");
                }
            }
        }
    }

    /// The muxer stands still while its bytes cannot leave it.
    fn drop_media(&mut self) -> Taken {
        let mut lost = 0;
        let taken = take(&mut self.feed, |item| match item {
            Item::Packet { .. } => lost += 1,
            Item::Track { .. } => self.sink.take(item),
            Item::SenderReport { .. } | Item::Gap { .. } => {}
        });
        self.feed.lose(lost);
        taken
    }

    fn request_keyframe(&self, section: usize) {
        let source = self
            .sink
            .sources
            .get(section)
            .filter(|source| source.kind == Kind::Video);
        if let Some(track) = source.and_then(|source| source.layers.recorded()) {
            self.feed.request_keyframe(track);
        }
    }
}

fn take(feed: &mut Feed, mut take: impl FnMut(Item<'_>)) -> Taken {
    for _ in 0..ITEMS_PER_STEP {
        let Some(item) = feed.pop() else { return Taken::All };
        take(item);
    }
    Taken::Some
}

impl Source {
    pub(super) fn new(section: &Section, codec: Codec) -> Self {
        Self {
            kind: section.kind,
            codec,
            layers: Layers::new(section.rids.len() > 1),
        }
    }
}

impl Sink {
    fn take(&mut self, item: Item<'_>) {
        match item {
            Item::Track { track, section } => self.announce(track, usize::from(section)),
            Item::Packet {
                track,
                sequence,
                timestamp,
                marker,
                arrival,
                payload,
            } => {
                let Some(section) = self.section_of(track) else { return };
                let packet = RtpPacket {
                    track: section,
                    sequence,
                    timestamp,
                    marker,
                    payload,
                    arrival,
                };
                self.packet(track, packet);
            }
            Item::SenderReport {
                track,
                ntp,
                timestamp,
                arrival,
            } => {
                if let Some(section) = self.recorded(track) {
                    self.recording.sender_report(
                        section,
                        SenderReport {
                            ntp,
                            timestamp,
                            arrival,
                        },
                    );
                }
            }
            Item::Gap { track } => {
                if let Some(section) = self.recorded(track) {
                    self.recording.gap(section);
                }
            }
        }
    }

    fn announce(&mut self, track: TrackId, section: usize) {
        let Some(Source { kind, layers, .. }) = self.sources.get_mut(section) else {
            return;
        };
        let before = layers.recorded();
        layers.announce(track);
        if before.is_some() && layers.recorded() != before {
            self.recording.gap(section);
        }
        if let (Kind::Video, Some(track)) = (*kind, layers.recorded()) {
            self.progress.set_video_track(track);
        }
    }

    fn packet(&mut self, track: TrackId, packet: RtpPacket<'_>) {
        let section = packet.track;
        let Source { codec, layers, .. } = &mut self.sources[section];
        // Of one track alone, the recording tells.
        let size = layers
            .is_simulcast()
            .then(|| picture_size(*codec, packet.payload))
            .flatten();
        if let Some(size) = size {
            self.progress.set_picture(track, (size.width, size.height));
        }
        let bytes = packet.payload.len();
        let pixels = size.map(|size| u64::from(size.width) * u64::from(size.height));
        match layers.on_packet(track, bytes, pixels, packet.arrival) {
            Verdict::Record => self.recording.push(packet),
            Verdict::Switch => {
                self.progress.set_video_track(track);
                self.recording.splice(section);
                self.recording.push(packet);
            }
            Verdict::Hold => {
                let RtpPacket {
                    sequence,
                    timestamp,
                    marker,
                    arrival,
                    ..
                } = packet;
                let payload = packet.payload.to_vec();
                layers.hold(Held {
                    track,
                    sequence,
                    timestamp,
                    marker,
                    arrival,
                    payload,
                });
            }
            Verdict::Skip => {}
        }
    }

    /// First choices among layers, where they are due.
    fn choose(&mut self, age: Duration, last: bool) {
        for (section, Source { layers, .. }) in self.sources.iter_mut().enumerate() {
            let held = layers.choose(age, last);
            if let (Some(track), false) = (layers.recorded(), held.is_empty()) {
                self.progress.set_video_track(track);
            }
            for Held {
                sequence,
                timestamp,
                marker,
                arrival,
                payload,
                ..
            } in held
            {
                let payload = &payload[..];
                self.recording.push(RtpPacket {
                    track: section,
                    sequence,
                    timestamp,
                    marker,
                    payload,
                    arrival,
                });
            }
        }
    }

    fn section_of(&self, track: TrackId) -> Option<usize> {
        self.sources.iter().position(|source| source.layers.has(track))
    }

    fn recorded(&self, track: TrackId) -> Option<usize> {
        self.sources
            .iter()
            .position(|source| source.layers.recorded() == Some(track))
    }

    fn report(&self) {
        self.progress.set(self.recording.stats());
        let video = self.sources.iter().find(|source| source.kind == Kind::Video);
        let alone = video.filter(|source| !source.layers.is_simulcast());
        let track = alone.and_then(|source| source.layers.recorded());
        if let (Some(track), Some(picture)) = (track, self.recording.picture()) {
            self.progress.set_picture(track, picture);
        }
    }
}
