//! From layers to the muxer: which of a session's tracks go into its recording, and how far it is.
//!
//! It must not know the feed's end nor the disk.

use std::{sync::Arc, time::Duration};

use whipcord_media::{Codec, Recording, RtpPacket, SenderReport, depacketise::picture_size};
use whipcord_peer::event::TrackId;
use whipcord_whip::{Kind, Section};

use super::{
    layers::{Held, Layers, Verdict},
    progress::{self, Progress},
};
use crate::tap::Item;

/// The muxer, and which tracks go into it.
#[derive(Debug)]
pub(super) struct Sink {
    pub(super) recording: Recording,
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
    pub(super) fn new(recording: Recording, sources: Vec<Source>, progress: Arc<Progress>) -> Self {
        Self {
            recording,
            sources,
            progress,
        }
    }

    pub(super) fn path(&self) -> &str {
        self.progress.path()
    }

    pub(super) fn sections(&self) -> usize {
        self.sources.len()
    }

    pub(super) fn take(&mut self, item: Item<'_>) {
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
        let Some(Source { layers, .. }) = self.sources.get_mut(section) else {
            return;
        };
        let before = layers.recorded();
        layers.announce(track);
        if before.is_some() && layers.recorded() != before {
            self.recording.gap(section);
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
            self.progress.set_picture(track, size);
        }
        let bytes = packet.payload.len();
        let pixels = size.map(|size| u64::from(size.width) * u64::from(size.height));
        match layers.on_packet(track, bytes, pixels, packet.arrival) {
            Verdict::Record => self.recording.push(packet),
            Verdict::Switch => {
                self.recording.splice(section);
                self.recording.push(packet);
            }
            Verdict::Hold => layers.hold(Held::of(track, &packet)),
            Verdict::Skip => {}
        }
    }

    /// First choices among layers, where they are due.
    pub(super) fn choose(&mut self, age: Duration, last: bool) {
        for (section, Source { layers, .. }) in self.sources.iter_mut().enumerate() {
            for held in layers.choose(age, last) {
                self.recording.push(held.packet(section));
            }
        }
    }

    /// The layers of which a keyframe is wanted now, for a change to them.
    pub(super) fn layers_wanted(&mut self, age: Duration) -> impl Iterator<Item = TrackId> {
        self.sources
            .iter_mut()
            .filter_map(move |source| source.layers.keyframe_wanted(age))
    }

    /// What is recorded of a section, if that is video.
    pub(super) fn video_of(&self, section: usize) -> Option<TrackId> {
        let source = self.sources.get(section);
        let video = source.filter(|source| source.kind == Kind::Video);
        video.and_then(|source| source.layers.recorded())
    }

    /// Tells what the disk does with it.
    pub(super) fn report_disk(&self, disk: progress::Disk) {
        self.progress.set_disk(disk);
    }

    /// Tells how far it is, with so many bytes in the file.
    pub(super) fn report(&self, bytes: u64) {
        self.progress.set_bytes(bytes);
        self.progress.set(self.recording.stats());
        let video = self.sources.iter().find(|source| source.kind == Kind::Video);
        let recorded = video.and_then(|source| Some((source, source.layers.recorded()?)));
        let Some((source, track)) = recorded else { return };
        self.progress.set_video_track(track);
        // Of layers, each packet tells.
        if let (false, Some(picture)) = (source.layers.is_simulcast(), self.recording.picture()) {
            self.progress.set_picture(track, picture);
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
}
