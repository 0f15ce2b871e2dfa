//! Recordings of every codec, made in this run, as a browser plays them.

use std::{path::Path, process::Command};

use whipcord_tests::{
    encoder::Encoder,
    pattern,
    player::{self, Played},
    recording::Recording,
    whipcord::{Whipcord, binary},
};

/// How long an encoder publishes, in seconds: three or four keyframes.
const SECONDS: u32 = 8;
/// How far from the end of the file the player may end, in seconds: what differs is how long the last packet of sound is.
const END: f64 = 0.1;
/// The part of the pictures that is decoded at least: a player that is late leaves some out.
const PICTURES: f64 = 0.5;

#[test]
fn h264_plays_in_chromium() {
    plays(Encoder::ChromiumH264, r#"video/mp4; codecs="avc3.42e01f, opus""#);
}

#[test]
fn vp8_plays_in_chromium() {
    plays(Encoder::ChromiumVp8, r#"video/webm; codecs="vp8, opus""#);
}

#[test]
fn vp9_plays_in_chromium() {
    plays(Encoder::ChromiumVp9, r#"video/mp4; codecs="vp09.00.31.08, opus""#);
}

#[test]
fn av1_plays_in_chromium() {
    plays(Encoder::ChromiumAv1, r#"video/mp4; codecs="av01.0.05M.08, opus""#);
}

/// Chromium decodes H.265 in hardware only. Where it says that it can, it has to; where it cannot, it has to say so, and FFmpeg
/// has decoded every picture.
#[test]
fn h265_plays_in_chromium_where_that_can() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("h265.mp4");
    pattern::encode(&source, 6, "libx265", "0");
    let mut whipcord = Whipcord::standalone();
    let mut publish = Command::new(binary());
    publish.args(["publish", &whipcord.whip_url("live"), "--token", whipcord.token()]);
    assert!(publish.args(["--speed", "4"]).arg(source).status().unwrap().success());
    assert_eq!(whipcord.terminate().code(), Some(0));
    let file = whipcord.recording("live");
    let recording = Recording::read(&file);
    assert_eq!((recording.complaints.as_str(), recording.readable()), ("", 180));
    let played = player::play(&file, r#"video/mp4; codecs="hev1.1.6.L93.90, opus""#);
    println!("H.265: {played:?}");
    if played.can.is_empty() {
        println!(
            "NOT PLAYED: this Chromium has no decoder for H.265. FFmpeg has decoded all 180 pictures of the recording."
        );
        assert_eq!(played.pictures, 0, "it says that it cannot, and does: {played:?}");
    } else {
        to_the_end(&played, &recording);
    }
}

fn plays(encoder: Encoder, kind: &str) {
    let mut whipcord = Whipcord::standalone();
    encoder.publish(&whipcord, "live", SECONDS).sent();
    assert_eq!(whipcord.terminate().code(), Some(0));
    let file = whipcord.recording("live");
    is_played(&file, kind);
}

/// A file of the pattern.
pub(crate) fn is_played(file: &Path, kind: &str) {
    let recording = Recording::read(file);
    let played = player::play(file, kind);
    println!(
        "{kind}: {played:?}; {} pictures, {:.3} s, sound to {:.3} s",
        recording.pictures.len(),
        recording.pictures.last().unwrap().at + 1.0 / pattern::RATE,
        recording.sound_end,
    );
    assert_ne!(played.can, "", "{kind}");
    to_the_end(&played, &recording);
}

fn to_the_end(played: &Played, recording: &Recording) {
    assert_eq!(played.failed, None, "{played:?}");
    let end = recording
        .sound_end
        .max(recording.pictures.last().unwrap().at + 1.0 / pattern::RATE);
    assert!((played.at - end).abs() <= END, "of {end} s: {played:?}");
    // Known at the end at the latest.
    assert!(
        played
            .duration
            .is_some_and(|duration| (duration - played.at).abs() <= END),
        "{played:?}"
    );
    assert!(
        played.pictures as f64 >= PICTURES * recording.pictures.len() as f64,
        "{played:?}"
    );
    assert!(played.width > 0 && played.height > 0 && played.sound > 0, "{played:?}");
}
