//! What `whipcord publish` makes of its sources: again and again, faster, in three sizes, of files without times.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use whipcord_tests::{
    eventually, generated,
    pattern::{self, RATE},
    recording::{Recording, picture_sizes},
    whipcord::{Track, Whipcord},
};

use crate::publish::{CONNECTED, command, finish, publish};

/// A picture is this far from its time at most: half a tick of a container's milliseconds, and rounding.
const IN_TIME: f64 = 0.0015;
/// Sound and picture are this far apart at most.
const LIP_SYNC: f64 = 0.045;

#[test]
fn a_file_is_sent_again_and_again_until_an_interrupt() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("two-seconds.mkv");
    pattern::encode(&file, 2, "libx264", "0");
    let mut whipcord = Whipcord::standalone();
    let mut command = command(
        &whipcord,
        "studio",
        whipcord.token(),
        &["--loop", file.to_str().unwrap()],
    );
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Two seconds have some 500 packets: this is in the third round.
    eventually("the third round", CONNECTED, || {
        let received = whipcord.connected("studio")?.packets_received;
        (received > 1200).then_some(())
    });
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let (code, summary, stderr) = finish(child);
    assert_eq!(code, Some(0), "{stderr}");
    // Its DELETE was answered before it ended.
    assert!(whipcord.sessions().is_empty());
    assert_eq!(whipcord.terminate().code(), Some(0));
    let recording = Recording::read(&whipcord.recording("studio"));
    assert_eq!(recording.complaints, "");
    let sent = summary["frames_sent"].as_u64().unwrap() as usize;
    assert!(sent > 120, "{summary}");
    assert_eq!(recording.pictures.len(), sent);
    for (i, picture) in recording.pictures.iter().enumerate() {
        assert_eq!(picture.number, Some(i as u32 % 60), "picture {i}");
    }
    // A round is as long as its sound, which ends within one packet of 20 ms after the picture.
    let steps = recording.pictures.windows(2).map(|pair| pair[1].at - pair[0].at);
    let longest = steps.clone().fold(0.0, f64::max);
    let shortest = steps.fold(f64::MAX, f64::min);
    println!(
        "{sent} pictures, {shortest:.4} s to {longest:.4} s apart; sound late {:.3?}",
        recording.sound_late()
    );
    assert!(shortest > 1.0 / RATE - IN_TIME && longest < 1.0 / RATE + 0.02 + IN_TIME);
    in_step(&recording, 3);
}

#[test]
fn half_a_minute_is_sent_in_four_seconds() {
    let mut whipcord = Whipcord::standalone();
    let file = pattern::file().to_str().unwrap();
    let arguments = ["--speed", "8", "--duration", "32s", file];
    let (code, stdout, stderr) = publish(&whipcord, "studio", whipcord.token(), &arguments);
    assert_eq!(code, Some(0), "{stderr}");
    let summary: Value = serde_json::from_str(&stdout).unwrap();
    println!("{summary}");
    assert_eq!(summary["frames_sent"], 960, "{summary}");
    let milliseconds = summary["duration_ms"].as_u64().unwrap();
    assert!((3900..8000).contains(&milliseconds), "{summary}");
    assert_eq!(whipcord.terminate().code(), Some(0));
    let recording = Recording::read(&whipcord.recording("studio"));
    assert_eq!(recording.complaints, "");
    assert_eq!((recording.readable(), recording.numbers()), (960, Some((0, 959))));
    assert!((recording.duration() - 32.0).abs() < 0.05, "{}", recording.duration());
    in_step(&recording, 28);
}

#[test]
fn annex_b_h265_takes_its_times_from_the_file_or_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let [both, bare] = ["both.mkv", "bare.h265"].map(|name| folder.path().join(name));
    pattern::encode(&both, 4, "libx265", "0");
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-nostdin", "-v", "error", "-i"]).arg(&both);
    let made = ffmpeg
        .args(["-map", "0:v", "-c", "copy", "-f", "hevc"])
        .arg(&bare)
        .status();
    assert!(made.unwrap().success());
    for (arguments, seconds) in [(&["--speed", "4"][..], 4.0), (&["--speed", "4", "--fps", "15"], 8.0)] {
        let recording = published_silent(arguments, &bare);
        assert_eq!((recording.readable(), recording.numbers()), (120, Some((0, 119))));
        let step = seconds / 120.0;
        let (first, last) = (recording.pictures[0].at, recording.pictures[119].at);
        assert!((last - first - 119.0 * step).abs() < 2.0 * IN_TIME, "{first} to {last}");
    }
}

#[test]
fn the_test_picture_says_its_number_in_digits_and_bits() {
    let mut whipcord = Whipcord::standalone();
    let arguments = ["--duration", "20s", "--speed", "8", "test"];
    let (code, _, stderr) = publish(&whipcord, "studio", whipcord.token(), &arguments);
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(whipcord.terminate().code(), Some(0));
    let file = whipcord.recording("studio");
    let expected: Vec<Option<u32>> = (0..600).map(Some).collect();
    assert_eq!(generated::numbers(&file), expected);
    let beeps = Recording::read(&file).beeps;
    assert!((18..=20).contains(&beeps.len()), "{beeps:.3?}");
}

#[test]
fn three_sizes_are_three_layers_and_the_largest_is_recorded() {
    let mut whipcord = Whipcord::standalone();
    let arguments = ["--simulcast", "--duration", "6s", "test"];
    let mut command = command(&whipcord, "studio", whipcord.token(), &arguments);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let layers = eventually("all layers are measured", CONNECTED, || {
        let tracks = whipcord.connected("studio")?.tracks;
        let layers: Vec<Track> = tracks.into_iter().filter(|track| track.rid.is_some()).collect();
        let measured = |layer: &Track| layer.active && layer.width.is_some() && layer.frames_per_second > Some(25.0);
        (layers.len() == 3 && layers.iter().all(measured)).then_some(layers)
    });
    println!("{layers:?}");
    let expected = [("q", 320, 180), ("h", 640, 360), ("f", 1280, 720)];
    for (layer, (rid, width, height)) in layers.iter().zip(expected) {
        let told = (layer.rid.as_deref(), layer.width, layer.height);
        assert_eq!(told, (Some(rid), Some(width), Some(height)), "{layer:?}");
    }
    assert!(layers[0].bitrate_bps < layers[1].bitrate_bps && layers[1].bitrate_bps < layers[2].bitrate_bps);
    let (code, summary, stderr) = finish(child);
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(summary["frames_sent"], 3 * 180, "{summary}");
    assert_eq!(whipcord.terminate().code(), Some(0));
    let file = whipcord.recording("studio");
    let mut sizes = picture_sizes(&file);
    let of_the_largest = sizes.iter().filter(|size| **size == (1280, 720)).count();
    sizes.dedup();
    // Which layer is heard first is the network's choice; from the largest's first keyframe on it is that one.
    assert_eq!(sizes.last(), Some(&(1280, 720)), "{sizes:?}");
    assert!(of_the_largest >= 110, "{of_the_largest} of 180; {sizes:?}");
    let numbers = generated::numbers(&file);
    let of_the_largest: Vec<u32> = numbers[numbers.len() - of_the_largest..]
        .iter()
        .filter_map(|&number| number)
        .collect();
    println!(
        "{sizes:?}; of the largest {:?}..={:?}",
        of_the_largest.first(),
        of_the_largest.last()
    );
    assert_eq!(of_the_largest.last(), Some(&179));
    assert!(
        of_the_largest.windows(2).all(|pair| pair[1] == pair[0] + 1),
        "{of_the_largest:?}"
    );
}

#[test]
fn what_does_not_fit_together_is_refused_with_a_sentence() {
    let whipcord = Whipcord::standalone();
    let cases: [(&[&str], i32, &str); 5] = [
        (&["--simulcast", "absent.mp4"], 1, "--simulcast is for `test`"),
        (&["--fps", "25", "test"], 1, "--fps is for Annex B files"),
        (&["--speed", "17", "test"], 2, "1..=16"),
        (&["--speed", "2", "--realtime", "test"], 2, "--realtime"),
        (
            &["--fps", "0", "test"],
            2,
            "a frame rate is a number of pictures a second",
        ),
    ];
    for (arguments, expected, sentence) in cases {
        let (code, stdout, stderr) = publish(&whipcord, "studio", whipcord.token(), arguments);
        assert_eq!(code, Some(expected), "{arguments:?}: {stderr}");
        assert!(
            stdout.is_empty() && stderr.contains(sentence),
            "{arguments:?}: {stderr}"
        );
    }
    assert!(whipcord.sessions().is_empty());
}

fn published_silent(arguments: &[&str], file: &Path) -> Recording {
    let mut whipcord = Whipcord::standalone();
    let arguments = [arguments, &[file.to_str().unwrap()]].concat();
    let (code, _, stderr) = publish(&whipcord, "studio", whipcord.token(), &arguments);
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(whipcord.terminate().code(), Some(0));
    let recording = Recording::read_silent(&whipcord.recording("studio"));
    assert_eq!(recording.complaints, "");
    recording
}

/// So many flashes with a beep at least, each in step.
fn in_step(recording: &Recording, flashes: usize) {
    let late = recording.sound_late();
    assert!(late.len() >= flashes, "few flashes with a beep: {late:.3?}");
    assert!(
        late.iter().all(|late| late.abs() < LIP_SYNC),
        "sound is late by {late:.3?} s"
    );
}
