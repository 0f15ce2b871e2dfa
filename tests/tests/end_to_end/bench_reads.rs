//! The bench itself: a reader that cannot see a fault would pass every recording.

use std::{path::Path, process::Command};

use tempfile::tempdir;
use whipcord_tests::{pattern, recording::Recording};

fn encode(codec: &str, late: &str, read: impl FnOnce(&Path)) {
    let folder = tempdir().unwrap();
    let file = folder.path().join(if codec == "libvpx" {
        "pattern.webm"
    } else {
        "pattern.mkv"
    });
    pattern::encode(&file, 4, codec, late);
    read(&file);
}

#[test]
fn a_sound_file_is_found_sound() {
    for codec in ["libx264", "libvpx"] {
        encode(codec, "0", |file| {
            let recording = Recording::read(file);
            assert_eq!(recording.complaints, "", "{codec}");
            assert_eq!(
                (recording.readable(), recording.numbers()),
                (120, Some((0, 119))),
                "{codec}"
            );
            assert!(
                (recording.duration() - 4.0).abs() < 0.002,
                "{codec}: {}",
                recording.duration()
            );
            assert!(
                (recording.sound_end - 4.0).abs() < 0.025,
                "{codec}: {}",
                recording.sound_end
            );
            let late = recording.sound_late();
            assert!(
                late.len() == 3 && late.iter().all(|late| late.abs() < 0.01),
                "{codec}: {late:?}"
            );
        });
    }
}

#[test]
fn late_and_early_sound_is_measured() {
    // The second starts before the first flash that counts, at 1 s.
    for (encoded, late) in [("0.12", 0.12), ("0.8", -0.2)] {
        encode("libx264", encoded, |file| {
            let found = Recording::read(file).sound_late();
            assert!(
                found.len() == 3 && found.iter().all(|found| (found - late).abs() < 0.01),
                "{late}: {found:?}"
            );
        });
    }
}

#[test]
fn lost_pictures_are_missed() {
    encode("libx264", "0", |file| {
        let lossy = file.with_file_name("lossy.mkv");
        let mut ffmpeg = Command::new("ffmpeg");
        ffmpeg.args(["-nostdin", "-v", "error", "-i"]).arg(file);
        ffmpeg
            .args(["-c", "copy", "-bsf:v", "noise=drop='between(n,50,59)'"])
            .arg(&lossy);
        assert!(ffmpeg.status().unwrap().success());
        let recording = Recording::read(&lossy);
        assert_eq!((recording.readable(), recording.numbers()), (110, Some((0, 119))));
        assert!((recording.duration() - 4.0).abs() < 0.002, "{}", recording.duration());
    });
}

#[test]
fn noise_is_complained_of() {
    encode("libx264", "0", |file| {
        let mut bytes = std::fs::read(file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle..middle + 2000].fill(0xA5);
        std::fs::write(file, bytes).unwrap();
        assert_ne!(Recording::read(file).complaints, "");
    });
}
