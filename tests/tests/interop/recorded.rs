//! Each encoder publishes the pattern, and what was recorded is held against it.

use whipcord_tests::{
    encoder::{Encoder, Sent},
    matrix,
    pattern::RATE,
    recording::Recording,
    whipcord::Whipcord,
};

/// How long each encoder publishes, in seconds.
const SECONDS: u32 = 10;
/// A recording and what was sent differ in length by at most this, in seconds.
const DURATION: f64 = 0.2;
/// The part of the pictures that must be there, from the first recorded one on.
const PICTURES: f64 = 0.98;
/// Sound and picture are this far apart at most, in seconds: what EBU R37 allows a whole chain of production is 40 ms
/// early and 60 ms late.
const LIP_SYNC: f64 = 0.045;
/// Chromium draws and plays here, rather than sending what was in step before.
const LIP_SYNC_DRAWN: f64 = 0.1;

#[test]
fn ffmpeg_passive() {
    let (sent, recording) = published(Encoder::FfmpegPassive);
    holds_the_pattern(&sent, &recording);
}

#[test]
fn ffmpeg_active() {
    let (sent, recording) = published(Encoder::FfmpegActive);
    holds_the_pattern(&sent, &recording);
}

#[test]
fn aiortc_h264() {
    let (sent, recording) = published(Encoder::AiortcH264);
    holds_what_was_encoded(&sent, &recording, LIP_SYNC_DRAWN);
}

#[test]
fn aiortc_vp8() {
    let (sent, recording) = published(Encoder::AiortcVp8);
    holds_what_was_encoded(&sent, &recording, LIP_SYNC_DRAWN);
}

#[test]
fn chromium_h264() {
    let (sent, recording) = published(Encoder::ChromiumH264);
    holds_what_was_encoded(&sent, &recording, LIP_SYNC_DRAWN);
    reaches_two_megabits(&sent);
}

#[test]
fn chromium_vp8() {
    let (sent, recording) = published(Encoder::ChromiumVp8);
    holds_what_was_encoded(&sent, &recording, LIP_SYNC_DRAWN);
    reaches_two_megabits(&sent);
}

#[test]
fn chromium_vp9() {
    let (sent, recording) = published(Encoder::ChromiumVp9);
    holds_what_was_encoded(&sent, &recording, LIP_SYNC_DRAWN);
    reaches_two_megabits(&sent);
}

#[test]
fn chromium_av1() {
    let (sent, recording) = published(Encoder::ChromiumAv1);
    holds_what_was_encoded(&sent, &recording, LIP_SYNC_DRAWN);
    reaches_two_megabits(&sent);
}

#[test]
fn firefox_vp8() {
    let (sent, recording) = published(Encoder::FirefoxVp8);
    holds_what_was_encoded(&sent, &recording, LIP_SYNC_DRAWN);
}

#[test]
fn whip_whep_restarts_from_another_origin() {
    let (sent, recording) = published(Encoder::WhipWhep);
    holds_what_was_encoded(&sent, &recording, LIP_SYNC_DRAWN);
}

#[test]
fn eyevinn_from_another_origin() {
    let (sent, recording) = published(Encoder::Eyevinn);
    holds_what_was_encoded(&sent, &recording, LIP_SYNC_DRAWN);
}

#[test]
fn example_browser() {
    let (sent, recording) = published(Encoder::ExampleBrowser);
    holds_what_was_encoded(&sent, &recording, LIP_SYNC_DRAWN);
}

#[test]
fn example_aiortc() {
    let (sent, recording) = published(Encoder::ExampleAiortc);
    leaves_no_picture_out(&sent, &recording, LIP_SYNC_DRAWN);
}

#[test]
fn libdatachannel_on_mbed_tls() {
    let (sent, recording) = published(Encoder::Libdatachannel);
    leaves_no_picture_out(&sent, &recording, LIP_SYNC);
}

#[test]
fn libdatachannel_on_mbed_tls_passive() {
    let (sent, recording) = published(Encoder::LibdatachannelPassive);
    leaves_no_picture_out(&sent, &recording, LIP_SYNC);
}

#[test]
fn simple_whip_client() {
    let (sent, recording) = published(Encoder::SimpleWhipClient);
    leaves_no_picture_out(&sent, &recording, LIP_SYNC);
}

#[test]
fn simple_whip_client_of_sid() {
    let (sent, recording) = published(Encoder::SimpleWhipClientSid);
    leaves_no_picture_out(&sent, &recording, LIP_SYNC);
}

#[test]
fn gstreamer_of_debian_12() {
    let (sent, recording) = published(Encoder::GstreamerDebian12);
    leaves_no_picture_out(&sent, &recording, LIP_SYNC);
}

#[test]
fn gstreamer_of_sid() {
    let (sent, recording) = published(Encoder::GstreamerSid);
    leaves_no_picture_out(&sent, &recording, LIP_SYNC);
}

/// Publishes, stops Whipcord, and reads the recording.
fn published(encoder: Encoder) -> (Sent, Recording) {
    let mut whipcord = if encoder.needs_lan() {
        Whipcord::standalone_on_lan()
    } else {
        Whipcord::standalone()
    };
    let sent = encoder.publish(&whipcord, "live", SECONDS).sent();
    assert_eq!(whipcord.terminate().code(), Some(0));
    let recording = Recording::read(&whipcord.recording("live"));
    let numbers = recording.numbers();
    let late = recording.sound_late();
    println!(
        "{encoder:?}: sent {:.3} s, {:?} pictures; recorded {:.3} s, {} pictures, {numbers:?}; sound late {late:.3?}",
        sent.seconds,
        sent.frames,
        recording.duration(),
        recording.readable(),
    );
    assert_eq!(recording.complaints, "", "the decoders complain");
    matrix::note(encoder, &matrix::words(&recording));
    (sent, recording)
}

/// The encoder sent each picture of the pattern, from the first on.
fn holds_the_pattern(sent: &Sent, recording: &Recording) {
    let (first, _) = recording.numbers().unwrap();
    let expected = sent.seconds * RATE - f64::from(first);
    assert!(f64::from(first) < RATE, "begins with picture {first}");
    assert!(
        recording.readable() as f64 >= PICTURES * expected,
        "{} of {expected}",
        recording.readable()
    );
    assert!(
        (recording.duration() - expected / RATE).abs() <= DURATION,
        "{} s",
        recording.duration()
    );
    in_step(recording, LIP_SYNC);
}

/// The encoder sent what it says, and may have left out pictures.
fn holds_what_was_encoded(sent: &Sent, recording: &Recording, lip_sync: f64) {
    let encoded = f64::from(sent.frames.unwrap());
    assert!(
        recording.readable() as f64 >= PICTURES * encoded,
        "{} of {encoded}",
        recording.readable()
    );
    let (first, _) = recording.numbers().unwrap();
    // Chromium's encoder starts when it likes: there, the numbers are the time of drawing.
    let length = sent
        .last
        .map_or(sent.seconds, |last| f64::from(last - first + 1) / RATE);
    assert!(
        (recording.duration() - length).abs() <= DURATION,
        "{} of {length} s",
        recording.duration()
    );
    in_step(recording, lip_sync);
}

/// What it sends begins when it has connected, which it may not tell; from then on it leaves no picture out.
fn leaves_no_picture_out(sent: &Sent, recording: &Recording, lip_sync: f64) {
    let (first, last) = recording.numbers().unwrap();
    let length = f64::from(last - first + 1);
    assert!(
        recording.readable() as f64 >= PICTURES * length,
        "{} of {first}..={last}",
        recording.readable()
    );
    assert!(
        (recording.duration() - length / RATE).abs() <= DURATION,
        "{} s",
        recording.duration()
    );
    assert!(recording.duration() >= sent.seconds - 2.0, "{} s", recording.duration());
    in_step(recording, lip_sync);
}

fn in_step(recording: &Recording, limit: f64) {
    let late = recording.sound_late();
    assert!(late.len() >= 5, "few flashes with a beep: {late:.3?}");
    assert!(
        late.iter().all(|late| late.abs() <= limit),
        "sound is late by {late:.3?} s"
    );
}

/// Within 5 s of connecting, a second's worth of video has 2 Mbit.
fn reaches_two_megabits(sent: &Sent) {
    let rate_at = |&(at, bytes, _): &(f64, f64, u32)| {
        let (before, fewer, _) = sent.samples.iter().rev().find(|(before, ..)| *before <= at - 1000.0)?;
        Some((at, (bytes - fewer) * 8.0 / (at - before) / 1000.0))
    };
    let rates: Vec<(f64, f64)> = sent.samples.iter().filter_map(rate_at).collect();
    let reached = rates.iter().find(|(_, megabits)| *megabits >= 2.0);
    println!("2 Mbit/s reached after {:?} ms", reached.map(|(at, _)| at));
    assert!(
        reached.is_some_and(|(at, _)| *at <= 5000.0),
        "Mbit/s at ms: {rates:.1?}"
    );
}
