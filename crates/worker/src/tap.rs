//! Media from the shard to one sink of one session: a ring of bytes, bounded, without locks.
//!
//! The shard writes and never waits. A sink that does not keep up loses its own packets: they are counted, and the track goes
//! on with a gap that the sink is told of, so that it resumes at a keyframe. Not here: what a sink does with media.

mod header;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use rtrb::{Consumer, Producer, RingBuffer};
use whipcord_peer::{Packet, event::TrackId};

use header::{HEADER, Header, Kind};

/// 1.3 s of 6 Mbit/s: what a disk may stall for. Its pages are taken when media first fills them, as long as the process has no huge
/// pages. It bounds the packets too: with their headers, 37,449.
pub(crate) const RING_BYTES: usize = 1 << 20;

/// Kept free of packets, so that a track can always be announced: 32 tracks of one header each.
const RESERVE: usize = 32 * HEADER;

/// Tracks that a tap tells apart: bits of a word. A session has fewer streams.
const TRACKS_MAX: u8 = 32;

/// The shard's end.
#[derive(Debug)]
pub(crate) struct Tap {
    ring: Producer<u8>,
    shared: Arc<Shared>,
    flow: Flow,
    /// Bit n: the sink has not been told yet that it lost packets of track n.
    gaps: u32,
}

/// The sink's end.
#[derive(Debug)]
pub(crate) struct Feed {
    ring: Consumer<u8>,
    shared: Arc<Shared>,
    /// Read, while its payload is still being written.
    header: Option<Header>,
    payload: Vec<u8>,
}

/// What travels besides the media.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    packets_lost: AtomicU64,
    keyframes_wanted: AtomicU32,
    discarded: AtomicBool,
}

/// What a sink reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Item<'a> {
    /// This track carries the offer's `section`th media section, or one layer of it.
    Track { track: TrackId, section: u8 },
    Packet {
        track: TrackId,
        sequence: u64,
        timestamp: u32,
        marker: bool,
        arrival: Duration,
        payload: &'a [u8],
    },
    /// The encoder's clock: NTP time (32.32) of an RTP timestamp.
    SenderReport {
        track: TrackId,
        ntp: u64,
        timestamp: u32,
        arrival: Duration,
    },
    /// Packets of this track were lost here, before the next one.
    Gap { track: TrackId },
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    Taken,
    /// Taken, after a gap: the sink needs a keyframe.
    Resumed,
    Lost,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    Open,
    /// The ring was full, and is not half empty yet: resuming at the first free byte would only tear the next frame.
    Skipping,
}

/// A tap and its feed, over a ring of `bytes`.
pub(crate) fn tap(bytes: usize) -> (Tap, Feed) {
    let (producer, consumer) = RingBuffer::new(bytes);
    let shared = Arc::new(Shared::default());
    let tap = Tap {
        ring: producer,
        shared: Arc::clone(&shared),
        flow: Flow::Open,
        gaps: 0,
    };
    (
        tap,
        Feed {
            ring: consumer,
            shared,
            header: None,
            payload: Vec::new(),
        },
    )
}

impl Tap {
    /// One packet; `arrival` since the session's start.
    pub(crate) fn push(&mut self, packet: &Packet<'_>, arrival: Duration) -> Pushed {
        let Some(bit) = bit(packet.track) else {
            return self.lose(0);
        };
        let gap = self.gaps & bit != 0;
        let needed = HEADER * (1 + usize::from(gap)) + packet.payload.len();
        if !self.has_room(needed) {
            return self.lose(bit);
        }
        if gap {
            self.write(Header::new(Kind::Gap, packet.track), &[]);
            self.gaps &= !bit;
        }
        let header = Header {
            detail: packet.marker.into(),
            length: packet.payload.len() as u32,
            timestamp: packet.timestamp,
            wide: packet.sequence,
            arrival,
            ..Header::new(Kind::Packet, packet.track)
        };
        self.write(header, packet.payload);
        if gap { Pushed::Resumed } else { Pushed::Taken }
    }

    /// A sender report; lost like a packet, but nothing misses it.
    pub(crate) fn sender_report(&mut self, track: TrackId, ntp: u64, timestamp: u32, arrival: Duration) {
        if self.has_room(HEADER) {
            let header = Header {
                timestamp,
                wide: ntp,
                arrival,
                ..Header::new(Kind::SenderReport, track)
            };
            self.write(header, &[]);
        }
    }

    /// A track begins, before its first packet.
    pub(crate) fn announce(&mut self, track: TrackId, section: u8) {
        if self.free(HEADER) {
            self.write(
                Header {
                    detail: section,
                    ..Header::new(Kind::Track, track)
                },
                &[],
            );
        }
    }

    /// The tracks for which the sink asked for a keyframe since the last call.
    pub(crate) fn take_keyframe_requests(&mut self) -> impl Iterator<Item = TrackId> + use<> {
        let wanted = &self.shared.keyframes_wanted;
        // A load first: it leaves the cache line shared, and there is hardly ever a request.
        let bits = if wanted.load(Ordering::Relaxed) == 0 {
            0
        } else {
            wanted.swap(0, Ordering::Relaxed)
        };
        (0..TRACKS_MAX)
            .filter(move |track| bits & (1 << track) != 0)
            .map(TrackId)
    }

    /// Ends it, and takes back what the sink has not written: another has the stream.
    pub(crate) fn discard(self) {
        self.shared.discarded.store(true, Ordering::Release);
    }

    pub(crate) fn packets_lost(&self) -> u64 {
        self.shared.packets_lost.load(Ordering::Relaxed)
    }

    fn has_room(&mut self, needed: usize) -> bool {
        if self.flow == Flow::Skipping && !self.free(self.ring.buffer().capacity() / 2) {
            return false;
        }
        self.flow = if self.free(needed + RESERVE) {
            Flow::Open
        } else {
            Flow::Skipping
        };
        self.flow == Flow::Open
    }

    fn free(&self, bytes: usize) -> bool {
        self.ring.cached_slots() >= bytes || self.ring.slots() >= bytes
    }

    fn lose(&mut self, bit: u32) -> Pushed {
        self.gaps |= bit;
        self.shared.packets_lost.fetch_add(1, Ordering::Relaxed);
        Pushed::Lost
    }

    fn write(&mut self, header: Header, payload: &[u8]) {
        let written = self.ring.push_entire_slice(&header.encode());
        debug_assert!(written.is_ok(), "room was checked");
        let written = self.ring.push_entire_slice(payload);
        debug_assert!(written.is_ok(), "room was checked");
    }
}

impl Feed {
    /// The next item, if it has arrived whole.
    pub(crate) fn pop(&mut self) -> Option<Item<'_>> {
        if self.header.is_none() {
            let mut bytes = [0; HEADER];
            self.ring.pop_entire_slice(&mut bytes).ok()?;
            self.header = Some(Header::decode(&bytes));
        }
        let length = self.header.as_ref()?.length as usize;
        self.payload.resize(length, 0);
        self.ring.pop_entire_slice(&mut self.payload).ok()?;
        Some(self.header.take()?.item(&self.payload))
    }

    /// Whether the shard has dropped its end. To be asked before the last `pop`.
    pub(crate) fn is_closed(&self) -> bool {
        self.ring.is_abandoned()
    }

    /// Whether nothing more may be written, whatever has arrived.
    pub(crate) fn is_discarded(&self) -> bool {
        self.shared.discarded.load(Ordering::Acquire)
    }

    pub(crate) fn request_keyframe(&self, track: TrackId) {
        if let Some(bit) = bit(track) {
            self.shared.keyframes_wanted.fetch_or(bit, Ordering::Relaxed);
        }
    }

    /// Counts packets that the sink itself could not use.
    pub(crate) fn lose(&self, packets: u64) {
        self.shared.packets_lost.fetch_add(packets, Ordering::Relaxed);
    }
}

fn bit(track: TrackId) -> Option<u32> {
    (track.0 < TRACKS_MAX).then(|| 1 << track.0)
}

#[cfg(test)]
mod tests;
