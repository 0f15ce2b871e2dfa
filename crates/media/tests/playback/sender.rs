//! An encoder's RTP side and the network, as far as a recording sees them.

use std::time::Duration;

use whipcord_media::{Recording, RtpPacket};

use crate::fixture::Encoded;

const MTU: usize = 1200;

/// How the parameter sets of H.264 and H.265 travel.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aggregation {
    /// Each in a packet of its own, as OBS does.
    Single,
    /// In a STAP-A or aggregation packet, as FFmpeg, GStreamer and Chromium do.
    Together,
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
        Aggregation::Together => frame
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

pub(crate) fn h265_payloads(frame: &Encoded, aggregation: Aggregation) -> Vec<Vec<u8>> {
    let mut payloads = Vec::new();
    let (small, rest): (Vec<_>, Vec<_>) = match aggregation {
        Aggregation::Single => (Vec::new(), frame.units.iter().collect()),
        Aggregation::Together => frame.units.iter().partition(|nal| nal.len() < 200 && nal[0] >> 1 >= 32),
    };
    if !small.is_empty() {
        let mut aggregate = vec![48 << 1, 1];
        for nal in small {
            aggregate.extend_from_slice(&(nal.len() as u16).to_be_bytes());
            aggregate.extend_from_slice(nal);
        }
        payloads.push(aggregate);
    }
    for nal in rest {
        if nal.len() <= MTU {
            payloads.push(nal.clone());
            continue;
        }
        let chunks = nal[2..].chunks(MTU - 3);
        let last = chunks.len() - 1;
        for (i, chunk) in chunks.enumerate() {
            let start = if i == 0 { 0x80 } else { 0 };
            let end = if i == last { 0x40 } else { 0 };
            let header = [nal[0] & 0x81 | 49 << 1, nal[1], start | end | nal[0] >> 1];
            payloads.push([&header[..], chunk].concat());
        }
    }
    payloads
}

/// Which picture a VP9 frame refers to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// By the group of pictures that a keyframe announces, as Chromium does without SVC.
    NonFlexible,
    /// Each by its own list.
    Flexible,
}

pub(crate) fn vp9_payloads(frame: &Encoded, picture: u16, mode: Mode) -> Vec<Vec<u8>> {
    let [high, low] = (picture | 0x8000).to_be_bytes();
    let chunks = frame.units[0].chunks(MTU - 16);
    let last = chunks.len() - 1;
    let payload = |(i, chunk): (usize, &[u8])| {
        let start = if i == 0 { 0x08 } else { 0 };
        let end = if i == last { 0x04 } else { 0 };
        let predicted = if frame.keyframe { 0 } else { 0x40 };
        let mut payload = match mode {
            // I, P, L and B, E; TID, U, SID, D of 0 and TL0PICIDX.
            Mode::NonFlexible => vec![0xa0 | predicted | start | end, high, low, 0, picture as u8],
            // F too; the picture before, as P_DIFF.
            Mode::Flexible if frame.keyframe => vec![0x90 | start | end, high, low],
            Mode::Flexible => vec![0xd0 | start | end, high, low, 1 << 1],
        };
        if i == 0 && frame.keyframe && mode == Mode::NonFlexible {
            // V: one layer of 320x240, a group of one picture that refers to the one before.
            payload[0] |= 0x02;
            payload.extend_from_slice(&[0x18, 320_u16.to_be_bytes()[0], 320_u16 as u8, 0, 240, 1, 0x04, 1]);
        }
        payload.extend_from_slice(chunk);
        payload
    };
    chunks.enumerate().map(payload).collect()
}

/// How AV1's OBUs are counted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Elements {
    /// By W, where they are no more than 3: the last has no length.
    Counted,
    /// Each behind its length.
    Measured,
}

/// Fills each packet up, and the next with what is left of the OBU.
pub(crate) fn av1_payloads(frame: &Encoded, how: Elements) -> Vec<Vec<u8>> {
    // Each packet as the pieces of OBUs in it, and whether its first and last are parts.
    let mut packets: Vec<(bool, bool, Vec<&[u8]>)> = vec![(false, false, Vec::new())];
    let mut room = MTU - 8;
    for obu in &frame.units {
        let mut rest = obu.as_slice();
        loop {
            let (piece, following) = rest.split_at(rest.len().min(room));
            let packet = packets.last_mut().unwrap();
            packet.2.push(piece);
            room = room.saturating_sub(piece.len() + 2);
            rest = following;
            if rest.is_empty() && room >= 16 && packet.2.len() < 3 {
                break;
            }
            packet.1 = !rest.is_empty();
            packets.push((!rest.is_empty(), false, Vec::new()));
            room = MTU - 8;
            if rest.is_empty() {
                break;
            }
        }
    }
    packets.retain(|(.., pieces)| !pieces.is_empty());
    let payload = |(i, (continues, continued, pieces)): (usize, &(bool, bool, Vec<&[u8]>))| {
        let count = if how == Elements::Counted { pieces.len() } else { 0 };
        let new_sequence = i == 0 && frame.keyframe;
        let mut payload = vec![
            u8::from(*continues) << 7 | u8::from(*continued) << 6 | (count as u8) << 4 | u8::from(new_sequence) << 3,
        ];
        for (j, piece) in pieces.iter().enumerate() {
            if j + 1 != count {
                // leb128 in two bytes, of which small numbers need only the first.
                payload.extend_from_slice(&[piece.len() as u8 & 0x7f | 0x80, (piece.len() >> 7) as u8]);
            }
            payload.extend_from_slice(piece);
        }
        payload
    };
    packets.iter().enumerate().map(payload).collect()
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
