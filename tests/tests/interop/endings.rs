//! However a stream ends, and while it goes on, there is a file that plays. (An end by DELETE is in `recorded`.)

use std::{fs, path::Path, time::Duration};

use tempfile::tempdir;
use whipcord_tests::{encoder::Encoder, eventually, recording::Recording, whipcord::Whipcord};

/// Connecting, and then so much of a stream, takes less than this.
const RECORDED: Duration = Duration::from_secs(30);
/// The bytes after which a recording holds some seconds: the pattern and what aiortc makes of it have 180 kB/s to 310 kB/s.
const SOME_SECONDS: u64 = 900_000;

#[test]
fn a_recording_plays_while_it_grows_and_after_a_lost_encoder() {
    for encoder in [Encoder::FfmpegPassive, Encoder::AiortcVp8] {
        let whipcord = Whipcord::standalone();
        let publishing = encoder.publish(&whipcord, "live", 60);
        grown(&whipcord);
        plays(&whipcord.recording("live"));
        publishing.kill();
        plays(&whipcord.recording("live"));
    }
}

#[test]
fn a_recording_plays_after_whipcord_is_killed() {
    for encoder in [Encoder::FfmpegActive, Encoder::AiortcVp8] {
        let mut whipcord = Whipcord::standalone();
        let _publishing = encoder.publish(&whipcord, "live", 60);
        grown(&whipcord);
        whipcord.kill();
        plays(&whipcord.recording("live"));
    }
}

#[test]
fn a_recording_plays_after_whipcord_is_stopped() {
    let mut whipcord = Whipcord::standalone();
    let _publishing = Encoder::FfmpegPassive.publish(&whipcord, "live", 60);
    grown(&whipcord);
    assert_eq!(whipcord.terminate().code(), Some(0));
    plays(&whipcord.recording("live"));
}

/// Waits until the stream's recording holds some seconds.
fn grown(whipcord: &Whipcord) {
    eventually("the recording has grown", RECORDED, || {
        let file = whipcord.recordings("live").pop()?;
        (fs::metadata(file).ok()?.len() >= SOME_SECONDS).then_some(())
    });
}

/// Reads a copy, as the file may be growing.
fn plays(file: &Path) {
    let folder = tempdir().unwrap();
    let copy = folder.path().join(file.file_name().unwrap());
    fs::copy(file, &copy).unwrap();
    let recording = Recording::read(&copy);
    assert_eq!(recording.complaints, "", "the decoders complain");
    let (first, last) = recording.numbers().unwrap();
    assert!(recording.duration() >= 2.0, "{} s", recording.duration());
    assert!(
        recording.readable() as f64 >= 0.98 * f64::from(last - first + 1),
        "{} of {first}..={last}",
        recording.readable()
    );
}
