//! When each track of a file begins.

use super::*;

#[test]
fn audio_alone_begins_when_video_does_not_come() {
    let mut sender = Sender::new(&[H264, OPUS]);
    let wait = VIDEO_WAIT.as_millis() as u64 / 20;
    for number in 0..wait {
        sender.audio(1, number);
    }
    assert!(sender.bytes.is_empty());
    for number in wait..wait + 100 {
        sender.audio(1, number);
    }
    // Video comes too late for this file.
    for number in 800..840 {
        sender.video(number, KEYFRAME);
    }
    let (bytes, stats) = sender.finish();
    assert_eq!(stats.audio_frames, wait + 100, "nothing of the wait is missing");
    assert_eq!((stats.frames, stats.frames_dropped), (0, 40));
    assert!(runs(&bytes).iter().all(|(track, _, _)| *track == 2));
    assert_eq!(runs(&bytes)[0].1, 0);
}

#[test]
fn audio_waits_for_video_that_comes_in_time() {
    let mut sender = Sender::new(&[H264, OPUS]);
    for number in 0..1000 {
        sender.audio(1, number);
    }
    for number in 500..550 {
        sender.audio(1, 2 * number);
        sender.audio(1, 2 * number + 1);
        sender.video(number, KEYFRAME);
    }
    let (bytes, stats) = sender.finish();
    assert_eq!((stats.frames, stats.audio_frames), (50, 100));
    assert_eq!((runs(&bytes)[0].0, runs(&bytes)[0].1), (1, 0));
    assert_eq!((runs(&bytes)[1].0, runs(&bytes)[1].1), (2, 0));
}

#[test]
fn a_single_picture_does_not_hold_audio_back_for_ever() {
    let mut sender = Sender::new(&[H264, OPUS]);
    sender.video(0, KEYFRAME);
    // A frame is known to be whole when the next one begins.
    sender.video(1, SLICE);
    for number in 0..2000 {
        sender.audio(1, number);
    }
    assert!(sender.bytes.len() > 1000);
    let (bytes, stats) = sender.finish();
    assert_eq!((stats.frames, stats.audio_frames), (2, 2000));
    assert_eq!(runs(&bytes)[0], (1, 0, vec![3000]));
}

#[test]
fn late_audio_begins_at_its_place() {
    let mut sender = Sender::new(&[H264, OPUS]);
    for number in 0..100 {
        sender.video(number, if number == 0 { KEYFRAME } else { SLICE });
        if number >= 50 {
            sender.audio(1, 2 * number);
            sender.audio(1, 2 * number + 1);
        }
    }
    let (bytes, _) = sender.finish();
    let first = runs(&bytes).into_iter().find(|(track, _, _)| *track == 2).unwrap();
    assert!(
        (95_990..=96_010).contains(&first.1),
        "2 s in units of 1/48000 s: {}",
        first.1
    );
}
