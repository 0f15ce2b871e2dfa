//! H.265, VP9 and AV1 in MP4: the same promises, for each way in which their frames may be put into packets.

use std::{sync::LazyLock, time::Duration};

use whipcord_media::{Codec, PictureSize, Recording, TrackSpec};

use crate::{
    FRAME_RATE, OPUS, OPUS_FRAMES, SECONDS, VIDEO, assert_close, assert_gapless, bytes,
    fixture::{self, Encoded},
    opus_packets,
    probe::Probed,
    record,
    sender::{self, Aggregation, Elements, Mode, Sent, Track},
    together, video_time, video_timestamp,
};

/// A codec, and one way of sending it.
#[derive(Clone, Copy)]
struct Way {
    codec: Codec,
    /// As FFmpeg calls it.
    name: &'static str,
    encode: fn(&str, u32) -> Vec<Encoded>,
    frames: &'static LazyLock<Vec<Encoded>>,
    payloads: fn(&Encoded, u16) -> Vec<Vec<u8>>,
}

static H265_FRAMES: LazyLock<Vec<Encoded>> = LazyLock::new(|| fixture::h265("320x240", SECONDS));
static VP9_FRAMES: LazyLock<Vec<Encoded>> = LazyLock::new(|| fixture::vp9("320x240", SECONDS));
static AV1_FRAMES: LazyLock<Vec<Encoded>> = LazyLock::new(|| fixture::av1("320x240", SECONDS));

const H265: Way = Way {
    codec: Codec::H265,
    name: "hevc",
    encode: fixture::h265,
    frames: &H265_FRAMES,
    payloads: |frame, _| sender::h265_payloads(frame, Aggregation::Single),
};
const VP9: Way = Way {
    codec: Codec::Vp9,
    name: "vp9",
    encode: fixture::vp9,
    frames: &VP9_FRAMES,
    payloads: |frame, picture| sender::vp9_payloads(frame, picture, Mode::NonFlexible),
};
const AV1: Way = Way {
    codec: Codec::Av1,
    name: "av1",
    encode: fixture::av1,
    frames: &AV1_FRAMES,
    payloads: |frame, _| sender::av1_payloads(frame, Elements::Counted),
};
const WAYS: [Way; 6] = [
    H265,
    Way {
        payloads: |frame, _| sender::h265_payloads(frame, Aggregation::Together),
        ..H265
    },
    VP9,
    Way {
        payloads: |frame, picture| sender::vp9_payloads(frame, picture, Mode::Flexible),
        ..VP9
    },
    AV1,
    Way {
        payloads: |frame, _| sender::av1_payloads(frame, Elements::Measured),
        ..AV1
    },
];

impl Way {
    fn spec(&self) -> TrackSpec {
        TrackSpec {
            codec: self.codec,
            clock_rate: 90_000,
            channels: 0,
        }
    }

    fn packets(&self, frames: &[Encoded]) -> Vec<Sent> {
        let mut track = Track {
            index: VIDEO,
            sequence: 65_530,
        };
        let send = |(i, frame)| track.send((self.payloads)(frame, i as u16), video_timestamp(i), video_time(i));
        frames.iter().enumerate().flat_map(send).collect()
    }
}

#[test]
fn each_codec_is_recorded_whole_into_mp4() {
    for way in WAYS {
        assert_eq!(way.frames.len(), (SECONDS * FRAME_RATE) as usize, "{}", way.name);
        let mut recording = Recording::new(&[way.spec(), OPUS]).unwrap();
        let packets = together(way.packets(way.frames), opus_packets(&OPUS_FRAMES));
        let file = record(&mut recording, packets);
        file.decodes();
        assert_eq!(recording.container().extension(), "mp4");
        assert_eq!(file.frames("v"), way.frames.len() as u64);
        assert_eq!(file.packets("a").len(), OPUS_FRAMES.len());
        assert_eq!(recording.stats().frames_dropped, 0);
        assert_eq!(recording.stats().keyframes, SECONDS.into());
        assert_eq!(
            recording.picture(),
            Some(PictureSize {
                width: 320,
                height: 240
            })
        );
        assert_eq!(
            file.stream("v", "codec_name,width,height"),
            format!("{},320,240", way.name)
        );
        assert_close("duration", file.duration(), SECONDS.into(), 0.05);
        assert_gapless(&file.packets("v"), 1.0 / f64::from(FRAME_RATE));
        let keyframes: Vec<_> = file.packets("v").iter().map(|packet| packet.keyframe).collect();
        let encoded: Vec<_> = way.frames.iter().map(|frame| frame.keyframe).collect();
        assert_eq!(keyframes, encoded, "{}", way.name);
    }
}

#[test]
fn reordered_and_retransmitted_packets_leave_no_trace() {
    for way in WAYS {
        let mut recording = Recording::new(&[way.spec()]).unwrap();
        let mut packets = way.packets(way.frames);
        // Every 7th comes 40 ms late, every 50th comes back by a retransmission.
        for (i, packet) in packets.iter_mut().enumerate().skip(1) {
            packet.arrival += match i {
                _ if i % 50 == 49 => Duration::from_millis(170 + (i as u64 * 7) % 320),
                _ if i % 7 == 3 => Duration::from_millis(40),
                _ => Duration::ZERO,
            };
        }
        let file = record(&mut recording, packets);
        file.decodes();
        assert_eq!(
            (recording.stats().packets_lost, recording.stats().frames_dropped),
            (0, 0)
        );
        assert_eq!(file.frames("v"), way.frames.len() as u64);
        assert_gapless(&file.packets("v"), 1.0 / f64::from(FRAME_RATE));
    }
}

#[test]
fn after_a_lost_packet_video_goes_on_at_the_next_keyframe() {
    for way in WAYS {
        let mut recording = Recording::new(&[way.spec()]).unwrap();
        let mut packets = way.packets(way.frames);
        // One packet of frame 40: frames 40 to 59 are gone.
        let lost = packets
            .iter()
            .position(|packet| packet.timestamp == video_timestamp(40));
        packets.remove(lost.unwrap());
        let file = record(&mut recording, packets);
        file.decodes();
        assert_eq!(file.frames("v"), 100, "{}", way.name);
        assert_eq!(recording.stats().packets_lost, 1);
        assert_eq!(recording.take_keyframe_request(), Some(VIDEO));
        let packets = file.packets("v");
        assert_close("frame 60", packets[40].time, 2.0, 0.002);
        assert!(packets[40].keyframe);
    }
}

#[test]
fn a_change_of_resolution_stays_in_one_file() {
    for way in [H265, VP9, AV1] {
        let frames = [&way.frames[..60], &(way.encode)("640x360", 2)].concat();
        let mut recording = Recording::new(&[way.spec()]).unwrap();
        let file = record(&mut recording, way.packets(&frames));
        file.decodes();
        assert_eq!(
            recording.picture(),
            Some(PictureSize {
                width: 640,
                height: 360
            })
        );
        assert_eq!(file.widths(), [vec![320; 60], vec![640; 60]].concat(), "{}", way.name);
    }
}

#[test]
fn a_file_that_ends_anywhere_plays_up_to_there() {
    for way in [H265, VP9, AV1] {
        let mut recording = Recording::new(&[way.spec(), OPUS]).unwrap();
        let packets = together(way.packets(way.frames), opus_packets(&OPUS_FRAMES));
        let chunks = sender::deliver(&mut recording, packets);
        let bytes = bytes(&chunks);
        let first = chunks[0].bytes.len();
        for step in 0..5 {
            let end = first + (bytes.len() - first) * step / 4;
            let mut length = 0;
            let whole = chunks.iter().take_while(|chunk| {
                length += chunk.bytes.len();
                length <= end
            });
            let expected = whole.last().unwrap().frames;
            let frames = Probed::new(&bytes[..end], "mp4").frames_of_cut_file("v");
            assert!(
                frames >= expected,
                "{}: {frames} frames instead of {expected} in the first {end} bytes",
                way.name
            );
        }
    }
}

#[test]
fn pictures_that_are_not_shown_stay_with_those_that_are() {
    for (way, frames) in [
        (VP9, fixture::vp9_with_hidden_pictures("320x240", 3)),
        (AV1, fixture::av1_with_hidden_pictures("320x240", 3)),
    ] {
        let mut recording = Recording::new(&[way.spec()]).unwrap();
        let file = record(&mut recording, way.packets(&frames));
        file.decodes();
        assert_eq!(frames.len(), 90, "{}", way.name);
        assert_eq!(file.frames("v"), 90, "{}", way.name);
        assert_eq!(recording.stats().frames_dropped, 0);
        assert_gapless(&file.packets("v"), 1.0 / f64::from(FRAME_RATE));
    }
}
