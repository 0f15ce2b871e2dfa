//! One recording: from its feed to its file, which is tried again where the disk refuses it.
//!
//! It must not know layers: what of the feed is muxed, the sink decides.

use std::{
    io::ErrorKind,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use opentelemetry::Context;
use tracing::{info, warn};

use super::{Totals, file::File, progress, sink::Sink};
use crate::{
    tap::{Feed, Item},
    trace::session as trace,
};

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
    /// Of its session.
    trace: Context,
    totals: Arc<Totals>,
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
    Part,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Going {
    On,
    Done,
}

impl Job {
    pub(super) fn new(
        feed: Feed,
        sink: Sink,
        file: File,
        started: Instant,
        trace: Context,
        totals: Arc<Totals>,
    ) -> Self {
        Self {
            feed,
            sink,
            file,
            disk: Disk::Good,
            unwritten: Vec::new(),
            started,
            trace,
            totals,
        }
    }

    pub(super) fn path(&self) -> &str {
        self.sink.path()
    }

    /// Writes its span, which is of the whole recording.
    pub(super) fn tell_end(&self, is_defect: bool) {
        let length = self.file.length();
        self.totals.errors.fetch_add(is_defect.into(), Relaxed);
        // Of media that never came nothing is recorded, and there is no file.
        if length > 0 || is_defect {
            let is_failed = is_defect || self.disk != Disk::Good;
            trace::recorded(&self.trace, self.started.elapsed(), length, is_failed);
        }
    }

    /// Takes what has arrived, writes what can be written.
    pub(super) fn step(&mut self, now: Instant) -> Going {
        if self.feed.is_discarded() {
            return Going::Done;
        }
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
        self.sink.report(self.file.length());
        match taken {
            Taken::All if closed => Going::Done,
            Taken::All | Taken::Part => Going::On,
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
        if let Some(section) = self.sink.recording.take_keyframe_request() {
            self.request_keyframe(section);
        }
        for track in self.sink.layers_wanted(age) {
            self.feed.request_keyframe(track);
        }
        taken
    }

    fn retry(&mut self, now: Instant) {
        self.write(now);
        if self.disk == Disk::Good {
            for section in 0..self.sink.sections() {
                self.sink.recording.gap(section);
                self.request_keyframe(section);
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
                self.totals.bytes.fetch_add(self.unwritten.len() as u64, Relaxed);
                self.unwritten.clear();
                self.disk = Disk::Good;
                if disk != Disk::Good {
                    self.sink.report_disk(progress::Disk::Takes);
                    info!(recording = self.path(), "the recording goes on");
                }
            }
            (Err(error), disk) => {
                self.disk = Disk::Failing { retry: now + RETRY };
                self.sink.report_disk(match error.kind() {
                    ErrorKind::StorageFull | ErrorKind::QuotaExceeded => progress::Disk::Full,
                    _ => progress::Disk::Refuses,
                });
                if disk == Disk::Good {
                    self.totals.errors.fetch_add(1, Relaxed);
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
        if let Some(track) = self.sink.video_of(section) {
            self.feed.request_keyframe(track);
        }
    }
}

fn take(feed: &mut Feed, mut take: impl FnMut(Item<'_>)) -> Taken {
    for _ in 0..ITEMS_PER_STEP {
        let Some(item) = feed.pop() else { return Taken::All };
        take(item);
    }
    Taken::Part
}
