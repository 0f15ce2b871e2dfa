//! An encoder's RTP side and the network, as far as a recording sees them.

use std::time::Duration;

use whipcord_media::{Recording, RtpPacket};

use crate::fixture::Encoded;

const MTU: usize = 1200;

/// How H.264 parameter sets travel.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aggregation {
    /// Each in a packet of its own, as OBS does.
    Single,
    /// In a STAP-A, as FFmpeg, GStreamer and Chromium do.
    StapA,
}

#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) track: usize,
    pub(crate) sequence: u64,
    pub(crate) timestamp: u32,
    pub(crate) marker: bool,
    pub(crate) payload: Vec<u8>,
    pub(crate) arrival: Duration,
}

impl Sent {
    pub(crate) fn as_rtp(&self) -> RtpPacket<'_> {
        RtpPacket {
            track: self.track,
            sequence: self.sequence,
            timestamp: self.timestamp,
            marker: self.marker,
            payload: &self.payload,
            arrival: self.arrival,
        }
    }
}

/// Numbers the packets of one track.
pub(crate) struct Track {
    pub(crate) index: usize,
    pub(crate) sequence: u64,
}

impl Track {
    /// The packets of a frame, all of which arrive at once.
    pub(crate) fn send(&mut self, payloads: Vec<Vec<u8>>, timestamp: u32, arrival: Duration) -> Vec<Sent> {
        let last = payloads.len() - 1;
        let sent = payloads.into_iter().enumerate().map(|(i, payload)| Sent {
            track: self.index,
            sequence: self.sequence + i as u64,
            timestamp,
            marker: i == last,
            payload,
            arrival,
        });
        let sent: Vec<_> = sent.collect();
        self.sequence += sent.len() as u64;
        sent
    }
}

pub(crate) fn h264_payloads(frame: &Encoded, aggregation: Aggregation) -> Vec<Vec<u8>> {
    let mut payloads = Vec::new();
    let (small, rest): (Vec<_>, Vec<_>) = match aggregation {
        Aggregation::Single => (Vec::new(), frame.units.iter().collect()),
        Aggregation::StapA => frame
            .units
            .iter()
            .partition(|nal| nal.len() < 200 && !matches!(nal[0] & 0x1f, 1 | 5)),
    };
    if !small.is_empty() {
        let mut stap = vec![24];
        for nal in small {
            stap.extend_from_slice(&(nal.len() as u16).to_be_bytes());
            stap.extend_from_slice(nal);
        }
        payloads.push(stap);
    }
    for nal in rest {
        if nal.len() <= MTU {
            payloads.push(nal.clone());
            continue;
        }
        let chunks = nal[1..].chunks(MTU - 2);
        let last = chunks.len() - 1;
        for (i, chunk) in chunks.enumerate() {
            let start = if i == 0 { 0x80 } else { 0 };
            let end = if i == last { 0x40 } else { 0 };
            let mut payload = vec![nal[0] & 0xe0 | 28, start | end | nal[0] & 0x1f];
            payload.extend_from_slice(chunk);
            payloads.push(payload);
        }
    }
    payloads
}

/// With a 15-bit picture id, as Chromium sends it.
pub(crate) fn vp8_payloads(frame: &Encoded, picture: u16) -> Vec<Vec<u8>> {
    let chunks = frame.units[0].chunks(MTU - 4);
    let [high, low] = (picture | 0x8000).to_be_bytes();
    chunks
        .enumerate()
        .map(|(i, chunk)| [&[if i == 0 { 0x90 } else { 0x80 }, 0x80, high, low], chunk].concat())
        .collect()
}

/// What was appended to the file at once, and how many video frames the file then had.
pub(crate) struct Chunk {
    pub(crate) bytes: Vec<u8>,
    pub(crate) frames: u64,
}

/// Delivers by arrival; between the packets, time passes as in a recorder that looks in every 50 ms.
pub(crate) fn deliver(recording: &mut Recording, packets: Vec<Sent>) -> Vec<Chunk> {
    let mut chunks = deliver_without_end(recording, packets);
    recording.finish();
    chunks.push(take(recording));
    chunks.retain(|chunk| !chunk.bytes.is_empty());
    chunks
}

pub(crate) fn deliver_without_end(recording: &mut Recording, mut packets: Vec<Sent>) -> Vec<Chunk> {
    packets.sort_by_key(|packet| packet.arrival);
    let mut chunks = Vec::new();
    let mut now = Duration::ZERO;
    for packet in packets {
        while now + Duration::from_millis(50) <= packet.arrival {
            now += Duration::from_millis(50);
            recording.advance(now);
            chunks.push(take(recording));
        }
        recording.push(packet.as_rtp());
        chunks.push(take(recording));
    }
    chunks
}

fn take(recording: &mut Recording) -> Chunk {
    Chunk {
        bytes: recording.take_bytes(),
        frames: recording.stats().frames,
    }
}
