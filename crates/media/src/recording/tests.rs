//! Whole recordings, as a player would read them.

mod beginning;

use mp4_atom::{Any, DecodeMaybe};
use proptest::prelude::*;

use super::*;
use crate::frame::Codec;

const H264: TrackSpec = TrackSpec {
    codec: Codec::H264,
    clock_rate: 90_000,
    channels: 0,
};
const VP8: TrackSpec = TrackSpec {
    codec: Codec::Vp8,
    clock_rate: 90_000,
    channels: 0,
};
const OPUS: TrackSpec = TrackSpec {
    codec: Codec::Opus,
    clock_rate: 48_000,
    channels: 2,
};

const fn video(codec: Codec) -> TrackSpec {
    TrackSpec { codec, ..H264 }
}

/// STAP-A of SPS, PPS and an IDR slice.
const KEYFRAME: &[u8] =
    b"\x18\x00\x16\x67\x42\xc0\x0d\xda\x05\x07\xec\x04\x40\x00\x00\x03\x00\x40\x00\x00\x0f\x03\xc5\x0a\xa8\
    \x00\x04\x68\xce\x0f\xc8\x00\x03\x65\x88\x84";
const SLICE: &[u8] = b"\x41\x9a\x01";
const OPUS_PACKET: &[u8] = b"\xfc\xff\xfe";

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Sends frames of one packet each: video each 40 ms, audio each 20 ms.
struct Sender {
    recording: Recording,
    bytes: Vec<u8>,
}

impl Sender {
    fn new(tracks: &[TrackSpec]) -> Self {
        Self {
            recording: Recording::new(tracks).unwrap(),
            bytes: Vec::new(),
        }
    }

    fn video(&mut self, number: u64, payload: &[u8]) {
        self.push(0, number, number as u32 * 3600, payload, millis(40 * number));
    }

    fn audio(&mut self, track: usize, number: u64) {
        self.push(track, number, number as u32 * 960, OPUS_PACKET, millis(20 * number));
    }

    fn push(&mut self, track: usize, sequence: u64, timestamp: u32, payload: &[u8], arrival: Duration) {
        self.recording.push(RtpPacket {
            track,
            sequence,
            timestamp,
            marker: true,
            payload,
            arrival,
        });
        self.recording.advance(arrival);
        self.bytes.extend(self.recording.take_bytes());
    }

    fn finish(mut self) -> (Vec<u8>, Stats) {
        self.recording.finish();
        self.bytes.extend(self.recording.take_bytes());
        (self.bytes, self.recording.stats())
    }
}

/// For each fragment and track in it: track number, time of the first sample, durations.
fn runs(mut mp4: &[u8]) -> Vec<(u32, u64, Vec<u32>)> {
    let boxes: Vec<_> = std::iter::from_fn(|| Any::decode_maybe(&mut mp4).unwrap()).collect();
    let mut runs = Vec::new();
    for moof in boxes
        .iter()
        .filter_map(|any| if let Any::Moof(moof) = any { Some(moof) } else { None })
    {
        for traf in &moof.traf {
            let durations = traf.trun[0]
                .samples
                .iter()
                .map(|sample| sample.duration.unwrap())
                .collect();
            runs.push((
                traf.tfhd.track_id,
                traf.tfdt.as_ref().unwrap().base_media_decode_time,
                durations,
            ));
        }
    }
    runs
}

#[test]
fn what_cannot_be_recorded_is_refused() {
    let cases: [(&[TrackSpec], Unsupported); 6] = [
        (&[], Unsupported::NoTrack),
        (&[H264, VP8], Unsupported::TwoTracks(Kind::Video)),
        (&[OPUS, H264, OPUS], Unsupported::TwoTracks(Kind::Audio)),
        (
            &[TrackSpec { clock_rate: 0, ..H264 }],
            Unsupported::ClockRate {
                codec: Codec::H264,
                clock_rate: 0,
            },
        ),
        (
            &[TrackSpec {
                clock_rate: 90_000,
                ..OPUS
            }],
            Unsupported::ClockRate {
                codec: Codec::Opus,
                clock_rate: 90_000,
            },
        ),
        (&[TrackSpec { channels: 6, ..OPUS }], Unsupported::Channels(6)),
    ];
    for (tracks, refusal) in cases {
        assert_eq!(Recording::new(tracks).unwrap_err(), refusal);
    }
}

#[test]
fn codecs_choose_the_kind_of_file() {
    for (tracks, extension) in [
        (&[H264, OPUS][..], "mp4"),
        (&[OPUS, VP8], "webm"),
        (&[VP8], "webm"),
        (&[OPUS], "mp4"),
        (&[H264], "mp4"),
        (&[video(Codec::H265), OPUS], "mp4"),
        (&[OPUS, video(Codec::Vp9)], "mp4"),
        (&[video(Codec::Av1)], "mp4"),
    ] {
        assert_eq!(Recording::new(tracks).unwrap().container().extension(), extension);
    }
}

#[test]
fn frames_are_written_in_fragments_of_half_a_second_after_a_longer_first_one() {
    let mut sender = Sender::new(&[H264]);
    sender.video(0, KEYFRAME);
    for number in 1..65 {
        sender.video(number, SLICE);
    }
    let (bytes, stats) = sender.finish();
    let fragments: Vec<_> = runs(&bytes)
        .into_iter()
        .map(|(_, start, durations)| (start, durations.len()))
        .collect();
    assert_eq!(fragments, [(0, 38), (38 * 3600, 13), (51 * 3600, 13), (64 * 3600, 1)]);
    assert_eq!(
        runs(&bytes)[3].2,
        [3600],
        "the last frame lasts as long as the one before it"
    );
    assert_eq!((stats.frames, stats.keyframes), (65, 1));
}

#[test]
fn a_keyframe_begins_a_fragment_unless_the_last_one_just_did() {
    let mut sender = Sender::new(&[H264]);
    for number in 0..70 {
        sender.video(
            number,
            if [0, 10, 41, 48, 58].contains(&number) {
                KEYFRAME
            } else {
                SLICE
            },
        );
    }
    let (bytes, _) = sender.finish();
    let starts: Vec<_> = runs(&bytes).iter().map(|(_, start, _)| start / 3600).collect();
    assert_eq!(starts, [0, 38, 48, 58]);
}

#[test]
fn durations_follow_a_variable_frame_rate() {
    let mut sender = Sender::new(&[H264]);
    for (sequence, timestamp) in [0, 3000, 3001, 93_001, 93_001, 90_000, 96_000].into_iter().enumerate() {
        let payload = if sequence == 0 { KEYFRAME } else { SLICE };
        sender.push(
            0,
            sequence as u64,
            timestamp,
            payload,
            millis(u64::from(timestamp) / 90),
        );
    }
    let (bytes, stats) = sender.finish();
    let durations: Vec<_> = runs(&bytes)
        .into_iter()
        .flat_map(|(_, _, durations)| durations)
        .collect();
    assert_eq!(durations, [3000, 1, 90_000, 1, 1, 2997, 2997]);
    assert_eq!(stats.frames_backward, 2, "the same time again, and one before it");
}

#[test]
fn what_is_ready_is_written_although_nothing_follows() {
    let mut sender = Sender::new(&[H264]);
    sender.video(0, KEYFRAME);
    sender.video(1, SLICE);
    sender.video(2, SLICE);
    sender.recording.advance(millis(300));
    assert_eq!(sender.recording.take_bytes(), b"");
    sender.recording.advance(millis(1300));
    assert_eq!(sender.recording.take_bytes(), b"", "the beginning waits longer");
    sender.recording.advance(millis(1900));
    assert_eq!(runs(&sender.recording.take_bytes()), [(1, 0, vec![3600])]);
}

#[test]
fn a_flood_of_tiny_frames_is_written_before_it_fills_the_memory() {
    let mut sender = Sender::new(&[H264, OPUS]);
    // One byte each, while audio waits for video: their own places in memory are what counts.
    for number in 0..130_000 {
        sender.push(1, number, number as u32, &[0xf8], Duration::ZERO);
    }
    assert!(!sender.bytes.is_empty());
}

#[test]
fn a_gap_before_us_is_a_gap_in_video() {
    let mut sender = Sender::new(&[H264]);
    sender.video(0, KEYFRAME);
    for number in 1..10 {
        sender.video(number, SLICE);
    }
    assert_eq!(sender.recording.take_keyframe_request(), None);
    sender.recording.gap(0);
    assert_eq!(sender.recording.take_keyframe_request(), Some(0));
    assert_eq!(sender.recording.take_keyframe_request(), None);
    // The numbering may be any other one.
    for number in 0..10 {
        let payload = if number == 5 { KEYFRAME } else { SLICE };
        sender.push(
            0,
            40_000 + number,
            (100 + number as u32) * 3600,
            payload,
            millis(40 * (100 + number)),
        );
    }
    let (bytes, stats) = sender.finish();
    assert_eq!((stats.frames, stats.frames_dropped), (15, 5));
    let durations: Vec<_> = runs(&bytes)
        .into_iter()
        .flat_map(|(_, _, durations)| durations)
        .collect();
    assert_eq!(
        durations[9],
        (105 - 9) * 3600,
        "the last frame stays until the keyframe"
    );
    sender = Sender::new(&[H264]);
    sender.recording.gap(7);
}

#[test]
fn another_stream_goes_on_in_the_place_of_one_that_stopped() {
    let mut sender = Sender::new(&[H264]);
    sender.video(0, KEYFRAME);
    for number in 1..50 {
        sender.video(number, SLICE);
    }
    // 1.5 s of nothing; then other sequence numbers, and a clock that began elsewhere.
    sender.recording.splice(0);
    for number in 0..50u64 {
        let payload = if number == 0 { KEYFRAME } else { SLICE };
        let timestamp = (7_000_000 + number * 3600) as u32;
        sender.push(0, 40_000 + number, timestamp, payload, millis(3460 + 40 * number));
    }
    assert_eq!(sender.recording.take_keyframe_request(), None, "one just came");
    let (bytes, stats) = sender.finish();
    assert_eq!((stats.frames_dropped, stats.packets_lost, stats.keyframes), (0, 0, 2));
    let durations: Vec<u32> = runs(&bytes)
        .into_iter()
        .flat_map(|(_, _, durations)| durations)
        .collect();
    assert_eq!(durations.len(), 100);
    // The last picture stays until the next, 3460 ms after the first: 3460 - 49 * 40 = 1500 ms.
    assert_eq!(durations[49], 1500 * 90);
}

#[test]
fn a_keyframe_is_asked_for_once_a_second() {
    let mut sender = Sender::new(&[OPUS, H264]);
    let mut requests = Vec::new();
    for number in 0..75 {
        sender.push(1, number, number as u32 * 3600, SLICE, millis(40 * number));
        requests.extend(sender.recording.take_keyframe_request().map(|track| (track, number)));
    }
    // The first frame is known when the second begins, and leaves the reorder buffer after 100 ms.
    assert_eq!(requests, [(1, 3), (1, 28), (1, 53)]);
    assert!(sender.finish().0.is_empty());
}

#[test]
fn nothing_in_nothing_out() {
    for tracks in [&[H264, OPUS][..], &[VP8], &[OPUS]] {
        let mut sender = Sender::new(tracks);
        sender.recording.advance(Duration::from_secs(60));
        sender.recording.sender_report(
            0,
            SenderReport {
                ntp: 1,
                timestamp: 2,
                arrival: millis(3),
            },
        );
        sender.recording.sender_report(
            9,
            SenderReport {
                ntp: 1,
                timestamp: 2,
                arrival: millis(3),
            },
        );
        sender.push(9, 0, 0, SLICE, millis(0));
        assert!(sender.finish().0.is_empty());
    }
}

#[test]
fn after_the_end_nothing_is_written() {
    let mut sender = Sender::new(&[H264]);
    sender.video(0, KEYFRAME);
    sender.recording.finish();
    assert!(!sender.recording.take_bytes().is_empty());
    for number in 1..50 {
        sender.video(number, KEYFRAME);
    }
    assert!(sender.finish().0.is_empty());
}

proptest! {
    #[test]
    fn any_packets_make_a_whole_file_or_none(
        packets in prop::collection::vec(
            (0..2_usize, 0..400_u64, any::<u32>(), any::<bool>(), 0..5_usize, prop::collection::vec(any::<u8>(), 0..8), 0..200_u64),
            1..200,
        ),
        codec in prop::sample::select(vec![H264, VP8]),
    ) {
        let mut sender = Sender::new(&[codec, OPUS]);
        let mut now = Duration::ZERO;
        for (track, sequence, timestamp, marker, kind, noise, pause) in packets {
            now += millis(pause);
            let payload = [KEYFRAME, SLICE, OPUS_PACKET, b"\x10\x70\x67\x00\x9d\x01\x2a\x40\x01\xf0\x00\x00", &noise][kind];
            sender.recording.push(RtpPacket { track, sequence, timestamp, marker, payload, arrival: now });
            let report = SenderReport { ntp: u64::from(timestamp) << 32, timestamp, arrival: now };
            sender.recording.sender_report(track, report);
            sender.recording.advance(now);
            sender.bytes.extend(sender.recording.take_bytes());
        }
        let (bytes, stats) = sender.finish();
        prop_assert_eq!(bytes.is_empty(), stats.frames + stats.audio_frames == 0);
        if codec == H264 {
            // Consecutive fragments of a track do not overlap.
            let mut ends = [0; 3];
            for (track, start, durations) in runs(&bytes) {
                let end = &mut ends[track as usize];
                prop_assert!(start >= *end, "track {} goes back from {} to {}", track, end, start);
                *end = start + durations.iter().map(|duration| u64::from(*duration)).sum::<u64>();
            }
        }
    }
}
