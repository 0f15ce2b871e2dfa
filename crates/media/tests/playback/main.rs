//! Recordings of real encoders' streams, judged by FFmpeg: they must decode without a complaint, hold every frame, and
//! keep picture and sound together.

#![allow(clippy::unwrap_used, reason = "a test may fail anywhere")]
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the crate is pure, its judge is a program"
)]

mod codecs;
mod disturbed;
mod fixture;
mod lip_sync;
mod probe;
mod sender;

use std::{sync::LazyLock, time::Duration};

use fixture::{Encoded, FRAME_RATE, OPUS_SAMPLES};
use probe::{Packet, Probed};
use sender::{Aggregation, Chunk, Sent, Track};
use whipcord_media::{Codec, PictureSize, Recording, SenderReport, TrackSpec};

const VIDEO: usize = 0;
const AUDIO: usize = 1;
const SECONDS: u32 = 4;

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

static H264_FRAMES: LazyLock<Vec<Encoded>> = LazyLock::new(|| fixture::h264("320x240", SECONDS));
static VP8_FRAMES: LazyLock<Vec<Encoded>> = LazyLock::new(|| fixture::vp8("320x240", SECONDS));
static OPUS_FRAMES: LazyLock<Vec<Encoded>> = LazyLock::new(|| fixture::opus(SECONDS));

/// Where timestamps begin: both wrap within the first second.
const VIDEO_BASE: u32 = u32::MAX - 40_000;
const AUDIO_BASE: u32 = u32::MAX - 20_000;

fn video_time(frame: usize) -> Duration {
    Duration::from_secs(frame as u64) / FRAME_RATE
}

fn audio_time(frame: usize) -> Duration {
    Duration::from_millis(20) * frame as u32
}

fn video_timestamp(frame: usize) -> u32 {
    VIDEO_BASE.wrapping_add(frame as u32 * (90_000 / FRAME_RATE))
}

fn audio_timestamp(frame: usize) -> u32 {
    AUDIO_BASE.wrapping_add(frame as u32 * OPUS_SAMPLES)
}

fn h264_packets(frames: &[Encoded], aggregation: Aggregation) -> Vec<Sent> {
    let mut track = Track {
        index: VIDEO,
        sequence: 65_530,
    };
    let send = |(i, frame)| {
        track.send(
            sender::h264_payloads(frame, aggregation),
            video_timestamp(i),
            video_time(i),
        )
    };
    frames.iter().enumerate().flat_map(send).collect()
}

fn vp8_packets(frames: &[Encoded]) -> Vec<Sent> {
    let mut track = Track {
        index: VIDEO,
        sequence: 65_530,
    };
    let send = |(i, frame)| track.send(sender::vp8_payloads(frame, i as u16), video_timestamp(i), video_time(i));
    frames.iter().enumerate().flat_map(send).collect()
}

fn opus_packets(frames: &[Encoded]) -> Vec<Sent> {
    let mut track = Track {
        index: AUDIO,
        sequence: 65_000,
    };
    let send = |(i, frame): (usize, &Encoded)| track.send(frame.units.clone(), audio_timestamp(i), audio_time(i));
    frames.iter().enumerate().flat_map(send).collect()
}

fn record(recording: &mut Recording, packets: Vec<Sent>) -> Probed {
    let chunks = sender::deliver(recording, packets);
    Probed::new(&bytes(&chunks), recording.container().extension())
}

fn bytes(chunks: &[Chunk]) -> Vec<u8> {
    chunks.iter().flat_map(|chunk| &chunk.bytes).copied().collect()
}

fn together(mut video: Vec<Sent>, audio: Vec<Sent>) -> Vec<Sent> {
    video.extend(audio);
    video
}

fn assert_close(what: &str, actual: f64, expected: f64, tolerance: f64) {
    assert!(
        (actual - expected).abs() <= tolerance,
        "{what} is {actual}, not {expected} ± {tolerance}"
    );
}

/// No frame overlaps the next one and there is no hole over 2 ms (Matroska counts in milliseconds).
fn assert_gapless(packets: &[Packet], frame: f64) {
    for pair in packets.windows(2) {
        assert_close("distance of frames", pair[1].time - pair[0].time, frame, 0.002);
    }
}

#[test]
fn h264_and_opus_are_recorded_whole_into_mp4() {
    for aggregation in [Aggregation::Single, Aggregation::Together] {
        let mut recording = Recording::new(&[H264, OPUS]).unwrap();
        let packets = together(h264_packets(&H264_FRAMES, aggregation), opus_packets(&OPUS_FRAMES));
        let file = record(&mut recording, packets);
        file.decodes();
        assert_eq!(file.frames("v"), H264_FRAMES.len() as u64);
        assert_eq!(file.packets("a").len(), OPUS_FRAMES.len());
        assert_eq!(recording.stats().frames, H264_FRAMES.len() as u64);
        assert_eq!(recording.stats().keyframes, SECONDS.into());
        assert_eq!(
            recording.picture(),
            Some(PictureSize {
                width: 320,
                height: 240
            })
        );
        assert_eq!(file.stream("v", "codec_name,width,height"), "h264,320,240");
        assert_eq!(file.stream("a", "codec_name,sample_rate,channels"), "opus,48000,2");
        assert_close("duration", file.duration(), SECONDS.into(), 0.05);
        assert_close(
            "start of audio",
            file.packets("a")[0].time,
            file.packets("v")[0].time,
            0.001,
        );
        assert_gapless(&file.packets("v"), 1.0 / f64::from(FRAME_RATE));
        assert_gapless(&file.packets("a"), 0.02);
    }
}

#[test]
fn vp8_and_opus_are_recorded_whole_into_webm() {
    let mut recording = Recording::new(&[VP8, OPUS]).unwrap();
    let file = record(
        &mut recording,
        together(vp8_packets(&VP8_FRAMES), opus_packets(&OPUS_FRAMES)),
    );
    file.decodes();
    assert_eq!(recording.container().extension(), "webm");
    assert_eq!(file.frames("v"), VP8_FRAMES.len() as u64);
    assert_eq!(file.packets("a").len(), OPUS_FRAMES.len());
    assert_eq!(
        recording.picture(),
        Some(PictureSize {
            width: 320,
            height: 240
        })
    );
    assert_eq!(file.stream("v", "codec_name,width,height"), "vp8,320,240");
    assert_eq!(file.stream("a", "codec_name,sample_rate,channels"), "opus,48000,2");
    assert_close(
        "start of audio",
        file.packets("a")[0].time,
        file.packets("v")[0].time,
        0.002,
    );
    assert_close(
        "last frame",
        file.packets("v").last().unwrap().time,
        f64::from(SECONDS) - 1.0 / 30.0,
        0.002,
    );
    assert_gapless(&file.packets("v"), 1.0 / f64::from(FRAME_RATE));
    assert_gapless(&file.packets("a"), 0.02);
}

#[test]
fn one_track_alone_is_recorded() {
    let mut recording = Recording::new(&[H264]).unwrap();
    let file = record(&mut recording, h264_packets(&H264_FRAMES, Aggregation::Single));
    file.decodes();
    assert_eq!(file.frames("v"), H264_FRAMES.len() as u64);

    let mut recording = Recording::new(&[OPUS]).unwrap();
    let mut packets = opus_packets(&OPUS_FRAMES);
    packets.iter_mut().for_each(|packet| packet.track = 0);
    let file = record(&mut recording, packets);
    file.decodes();
    assert_eq!(recording.container().extension(), "mp4");
    assert_eq!(file.packets("a").len(), OPUS_FRAMES.len());
    assert_close("duration", file.duration(), SECONDS.into(), 0.02);
}

#[test]
fn the_file_begins_at_the_first_keyframe_and_audio_with_it() {
    let mut recording = Recording::new(&[H264, OPUS]).unwrap();
    let mut video = h264_packets(&H264_FRAMES, Aggregation::Single);
    // Joined within the first frame: the next keyframe is frame 30.
    video.drain(..2);
    let file = record(&mut recording, together(video, opus_packets(&OPUS_FRAMES)));
    file.decodes();
    assert_eq!(file.frames("v"), u64::from((SECONDS - 1) * FRAME_RATE));
    let (video, audio) = (file.packets("v"), file.packets("a"));
    assert_close("first picture", video[0].time, 0.0, 0.0);
    assert!(audio[0].time < 0.02, "audio begins at {}", audio[0].time);
    assert_eq!(
        audio[0].size,
        OPUS_FRAMES[50].units[0].len(),
        "and with the packet of that moment"
    );
    assert_eq!(audio.len(), OPUS_FRAMES.len() - 50);
    assert_close("duration", file.duration(), f64::from(SECONDS - 1), 0.05);
}

#[test]
fn silence_that_is_not_sent_leaves_the_timeline_right() {
    let mut recording = Recording::new(&[H264, OPUS]).unwrap();
    // Discontinuous transmission: sequence numbers go on, timestamps jump.
    let mut audio: Vec<_> = opus_packets(&OPUS_FRAMES).into_iter().enumerate().collect();
    audio.retain(|(i, _)| !(60..130).contains(i) || i % 20 == 0);
    let first = audio[0].1.sequence;
    let audio = audio.into_iter().enumerate().map(|(i, (_, packet))| Sent {
        sequence: first + i as u64,
        ..packet
    });
    let audio: Vec<_> = audio.collect();
    let sent = audio.len();
    let file = record(
        &mut recording,
        together(h264_packets(&H264_FRAMES, Aggregation::Single), audio),
    );
    file.decodes();
    let packets = file.packets("a");
    assert_eq!(packets.len(), sent);
    assert_close("frame 60", packets[60].time, 1.2, 0.001);
    assert_close("frame 80", packets[61].time, 1.6, 0.001);
    assert_close(
        "last frame",
        packets.last().unwrap().time,
        audio_time(OPUS_FRAMES.len() - 1).as_secs_f64(),
        0.001,
    );
    assert_close("duration", file.duration(), SECONDS.into(), 0.05);
}

#[test]
fn a_change_of_resolution_stays_in_one_file() {
    let larger = fixture::h264("640x360", 2);
    let frames = [&H264_FRAMES[..60], &larger].concat();
    let mut recording = Recording::new(&[H264, OPUS]).unwrap();
    let packets = together(h264_packets(&frames, Aggregation::Together), opus_packets(&OPUS_FRAMES));
    let file = record(&mut recording, packets);
    file.decodes();
    assert_eq!(file.frames("v"), 120);
    assert_eq!(
        recording.picture(),
        Some(PictureSize {
            width: 640,
            height: 360
        })
    );
    let widths = file.widths();
    assert_eq!(widths, [vec![320; 60], vec![640; 60]].concat());

    let larger = fixture::vp8("640x360", 2);
    let mut recording = Recording::new(&[VP8]).unwrap();
    let file = record(&mut recording, vp8_packets(&[&VP8_FRAMES[..60], &larger].concat()));
    file.decodes();
    assert_eq!(file.widths(), [vec![320; 60], vec![640; 60]].concat());
}

#[test]
fn a_file_that_ends_anywhere_plays_up_to_there() {
    let cases = [
        (H264, h264_packets(&H264_FRAMES, Aggregation::Single)),
        (VP8, vp8_packets(&VP8_FRAMES)),
    ];
    for (spec, video) in cases {
        let mut recording = Recording::new(&[spec, OPUS]).unwrap();
        let chunks = sender::deliver(&mut recording, together(video, opus_packets(&OPUS_FRAMES)));
        assert!(
            chunks.len() >= 7,
            "the file grows all the time, not {} times",
            chunks.len()
        );
        let bytes = bytes(&chunks);
        let first = chunks[0].bytes.len();
        for step in 0..10 {
            let end = first + (bytes.len() - first) * step / 9;
            let mut length = 0;
            let whole = chunks.iter().take_while(|chunk| {
                length += chunk.bytes.len();
                length <= end
            });
            let expected = whole.last().unwrap().frames;
            let file = Probed::new(&bytes[..end], recording.container().extension());
            let frames = file.frames_of_cut_file("v");
            assert!(
                frames >= expected,
                "{frames} frames instead of {expected} in the first {end} bytes"
            );
        }
    }
}

#[test]
fn an_encoder_that_restarts_its_clock_goes_on_in_the_same_file() {
    let mut recording = Recording::new(&[H264, OPUS]).unwrap();
    let mut packets = together(
        h264_packets(&H264_FRAMES, Aggregation::Single),
        opus_packets(&OPUS_FRAMES),
    );
    for packet in packets
        .iter_mut()
        .filter(|packet| packet.arrival >= Duration::from_secs(2))
    {
        packet.timestamp = packet.timestamp.wrapping_sub(1_234_567_890);
    }
    let file = record(&mut recording, packets);
    file.decodes();
    assert_eq!(file.frames("v"), H264_FRAMES.len() as u64);
    assert_gapless(&file.packets("v"), 1.0 / f64::from(FRAME_RATE));
    assert_gapless(&file.packets("a"), 0.02);
    assert_close("duration", file.duration(), SECONDS.into(), 0.05);
}

#[test]
fn b_frames_are_counted_and_kept() {
    let frames = fixture::h264_with_b_frames("320x240", 2);
    let mut recording = Recording::new(&[H264]).unwrap();
    let mut track = Track {
        index: VIDEO,
        sequence: 1,
    };
    // I P B B P B B ...: decoding order is sent, presentation time is stamped.
    let order = |i: usize| match i {
        0 => 0,
        i if i % 3 == 1 => i + 2,
        i => i - 1,
    };
    let send = |(i, frame)| {
        track.send(
            sender::h264_payloads(frame, Aggregation::Single),
            video_timestamp(order(i)),
            video_time(i),
        )
    };
    let packets: Vec<_> = frames.iter().enumerate().flat_map(send).collect();
    let file = record(&mut recording, packets);
    assert_eq!(file.frames("v"), frames.len() as u64);
    assert!(recording.stats().frames_backward > 15, "{:?}", recording.stats());
}

#[test]
fn nothing_playable_gives_no_bytes() {
    let mut recording = Recording::new(&[H264, OPUS]).unwrap();
    let mut video = h264_packets(&H264_FRAMES, Aggregation::Single);
    video.retain(|packet| packet.timestamp != video_timestamp(0));
    video.truncate(20);
    assert!(sender::deliver(&mut recording, video).is_empty());
    assert!(recording.stats().frames_dropped > 0);
}
