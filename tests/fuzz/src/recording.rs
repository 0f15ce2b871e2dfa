//! Packets of a session into a file, in any order and with any time stamps; the file is read as it grows.

use std::time::Duration;

use crate::input::Input;
use mp4_atom::{Any, DecodeMaybe, Moof};
use whipcord_media::{Codec, Recording, RtpPacket, SenderReport, TrackSpec};

/// Packets and payload bytes of one input: repeats make much of little.
const PACKETS_MAX: u32 = 5_000;
const BYTES_MAX: usize = 16 << 20;

const H264: TrackSpec = video(Codec::H264);
const H265: TrackSpec = video(Codec::H265);
const VP8: TrackSpec = video(Codec::Vp8);
const VP9: TrackSpec = video(Codec::Vp9);
const AV1: TrackSpec = video(Codec::Av1);
const OPUS: TrackSpec = TrackSpec {
    codec: Codec::Opus,
    clock_rate: 48_000,
    channels: 2,
};
const SESSIONS: [&[TrackSpec]; 8] = [
    &[H264, OPUS],
    &[OPUS, VP8],
    &[H264],
    &[VP8],
    &[OPUS],
    &[H265, OPUS],
    &[OPUS, VP9],
    &[AV1, OPUS],
];

const fn video(codec: Codec) -> TrackSpec {
    TrackSpec {
        codec,
        clock_rate: 90_000,
        channels: 0,
    }
}

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let tracks = SESSIONS[usize::from(input.byte()) % SESSIONS.len()];
    let mut session = Session::new(tracks);
    while !input.is_empty() {
        session.step(&mut input);
    }
    session.recording.finish();
    session.read();
}

struct Session {
    recording: Recording,
    now: Duration,
    /// The next ones of each track.
    next: [(u64, u32); 2],
    packets: u32,
    payload_bytes: usize,
    file: File,
}

impl Session {
    fn new(tracks: &[TrackSpec]) -> Self {
        let recording = Recording::new(tracks).expect("tracks that can be recorded");
        let file = match recording.container().extension() {
            "mp4" => File::Mp4 { ends: [0; 2] },
            _ => File::Webm { begun: false },
        };
        Self {
            recording,
            now: Duration::ZERO,
            next: [(1 << 16, u32::MAX - 10_000); 2],
            packets: 0,
            payload_bytes: 0,
            file,
        }
    }

    /// A byte: the track in bit 0, the marker in bit 1, and what happens in the three above.
    fn step(&mut self, input: &mut Input<'_>) {
        let flags = input.byte();
        let track = usize::from(flags & 1);
        match flags >> 2 & 7 {
            0 => self.now += Duration::from_millis(input.word().into()),
            1 => self.recording.gap(track),
            2 => self.recording.sender_report(
                track,
                SenderReport {
                    ntp: u64::from_be_bytes(input.array()),
                    timestamp: self.next[track].1.wrapping_add(u32::from_be_bytes(input.array())),
                    arrival: self.now,
                },
            ),
            // A jump of the numbers: the encoder began anew, or packets come late.
            3 => {
                let (sequence, timestamp) = &mut self.next[track];
                let step = i64::from(i16::from_be_bytes(input.array()));
                *sequence = sequence.saturating_add_signed(step);
                *timestamp = timestamp.wrapping_add(u32::from_be_bytes(input.array()));
            }
            _ => self.packets(input, track, flags & 2 != 0),
        }
        self.recording.advance(self.now);
        self.read();
    }

    /// One packet again and again, each a frame or a part of one.
    fn packets(&mut self, input: &mut Input<'_>, track: usize, marker: bool) {
        let (times, millis, fill) = (input.byte().max(1), input.byte(), input.byte());
        let len = input.byte();
        let mut payload = input.slice(len.into()).to_vec();
        payload.resize(payload.len() + 64 * usize::from(fill), 0);
        for _ in 0..times {
            if self.packets == PACKETS_MAX || self.payload_bytes > BYTES_MAX {
                return;
            }
            self.packets += 1;
            self.payload_bytes += payload.len();
            let (sequence, timestamp) = &mut self.next[track];
            self.recording.push(RtpPacket {
                track,
                sequence: *sequence,
                timestamp: *timestamp,
                marker,
                payload: &payload,
                arrival: self.now,
            });
            *sequence += 1;
            self.now += Duration::from_millis(millis.into());
            *timestamp = timestamp.wrapping_add(90 * u32::from(millis));
            self.read();
        }
    }

    fn read(&mut self) {
        let bytes = self.recording.take_bytes();
        self.file.read(&bytes);
        let stats = self.recording.stats();
        assert!(stats.keyframes <= stats.frames && stats.frames <= u64::from(self.packets) * 2);
    }
}

/// What was seen of the file.
enum File {
    /// Where each track's last fragment ended, in its clock's units.
    Mp4 {
        ends: [u64; 2],
    },
    Webm {
        begun: bool,
    },
}

impl File {
    fn read(&mut self, bytes: &[u8]) {
        match self {
            Self::Mp4 { ends } => boxes(bytes, ends),
            Self::Webm { begun } => {
                if !bytes.is_empty() && !std::mem::replace(begun, true) {
                    assert!(bytes.starts_with(b"\x1a\x45\xdf\xa3"), "no EBML header");
                }
            }
        }
    }
}

/// Whole boxes, of which each `mdat` holds the samples of the `moof` before it.
fn boxes(mut rest: &[u8], ends: &mut [u64; 2]) {
    const HEADER_LEN: usize = 8;
    let mut samples = 0;
    while let Some(size) = rest.first_chunk() {
        let size = u32::from_be_bytes(*size) as usize;
        let (mut whole, following) = rest.split_at_checked(size).expect("a whole box");
        rest = following;
        if whole[4..HEADER_LEN] == *b"mdat" {
            assert_eq!(whole.len() - HEADER_LEN, samples);
            continue;
        }
        let read = Any::decode_maybe(&mut whole).expect("a box that can be read");
        assert!(whole.is_empty(), "a box that is longer than what is in it");
        if let Some(Any::Moof(moof)) = read {
            samples = fragment(&moof, ends);
        }
    }
    assert!(rest.is_empty());
}

/// A track's time never goes back. Returns the bytes of all samples.
fn fragment(moof: &Moof, ends: &mut [u64; 2]) -> usize {
    let mut bytes = 0;
    for track in &moof.traf {
        let end = &mut ends[track.tfhd.track_id as usize - 1];
        let start = track.tfdt.as_ref().expect("a time").base_media_decode_time;
        assert!(start >= *end, "{start} after {end}");
        let samples = track.trun.iter().flat_map(|run| run.samples.iter());
        *end = samples.fold(start, |end, sample| {
            let size = sample.size.expect("a size");
            assert!(size > 0);
            bytes += size as usize;
            end + u64::from(sample.duration.expect("a duration"))
        });
    }
    bytes
}
