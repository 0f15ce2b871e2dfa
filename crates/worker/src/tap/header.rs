//! How items lie in the ring: a header of fixed length, then the payload.

use std::time::Duration;

use whipcord_peer::event::TrackId;

use super::Item;

/// Encoded as `kind 1 | track 1 | detail 1 | free 1 | length 4 | timestamp 4 | wide 8 | arrival, ns 8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: Kind,
    pub(super) track: TrackId,
    /// A packet's marker; a track's section.
    pub(super) detail: u8,
    /// Payload bytes that follow.
    pub(super) length: u32,
    pub(super) timestamp: u32,
    /// Sequence number, or NTP time.
    pub(super) wide: u64,
    pub(super) arrival: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Track,
    Packet,
    SenderReport,
    Gap,
}

pub(super) const HEADER: usize = 28;

impl Header {
    pub(super) fn new(kind: Kind, track: TrackId) -> Self {
        Self {
            kind,
            track,
            detail: 0,
            length: 0,
            timestamp: 0,
            wide: 0,
            arrival: Duration::ZERO,
        }
    }

    pub(super) fn encode(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[0] = self.kind as u8;
        bytes[1] = self.track.0;
        bytes[2] = self.detail;
        bytes[4..8].copy_from_slice(&self.length.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.timestamp.to_le_bytes());
        bytes[12..20].copy_from_slice(&self.wide.to_le_bytes());
        // 2^64 ns are 584 years.
        bytes[20..28].copy_from_slice(&(self.arrival.as_nanos() as u64).to_le_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8; HEADER]) -> Self {
        let word = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
        let wide = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
        Self {
            kind: [Kind::Track, Kind::Packet, Kind::SenderReport, Kind::Gap][usize::from(bytes[0] & 3)],
            track: TrackId(bytes[1]),
            detail: bytes[2],
            length: word(4),
            timestamp: word(8),
            wide: wide(12),
            arrival: Duration::from_nanos(wide(20)),
        }
    }

    pub(super) fn item<'a>(&self, payload: &'a [u8]) -> Item<'a> {
        let Self {
            track,
            timestamp,
            arrival,
            wide,
            ..
        } = *self;
        match self.kind {
            Kind::Track => Item::Track {
                track,
                section: self.detail,
            },
            Kind::Packet => Item::Packet {
                track,
                sequence: wide,
                timestamp,
                marker: self.detail != 0,
                arrival,
                payload,
            },
            Kind::SenderReport => Item::SenderReport {
                track,
                ntp: wide,
                timestamp,
                arrival,
            },
            Kind::Gap => Item::Gap { track },
        }
    }
}
