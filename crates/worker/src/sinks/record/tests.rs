//! What becomes of media in a file: growing, sharing writers, failing disks, layers, and a process that stood still.

mod refused;
mod stopped;

use std::{fs, path::Path};

use super::*;
use whipcord_media::PictureSize;
use whipcord_peer::{Packet, event::TrackId};
use whipcord_whip::{Codec, Kind, negotiate::Extensions, offer::Feedback};

const AUDIO: TrackId = TrackId(0);
const VIDEO: TrackId = TrackId(1);

fn section(kind: Kind, codec: Codec, rids: &[&str]) -> Section {
    let (clock_rate, channels) = if kind == Kind::Audio { (48_000, 2) } else { (90_000, 0) };
    Section {
        mid: String::new(),
        kind,
        codec,
        payload_type: 96,
        rtx_payload_type: None,
        clock_rate,
        channels,
        feedback: Feedback::default(),
        extensions: Extensions::default(),
        rids: rids.iter().map(ToString::to_string).collect(),
        sources: Vec::new(),
    }
}

fn sections(rids: &[&str]) -> [Section; 2] {
    [
        section(Kind::Audio, Codec::Opus, &[]),
        section(Kind::Video, Codec::Vp8, rids),
    ]
}

fn picture(width: u32, height: u32) -> Option<PictureSize> {
    Some(PictureSize { width, height })
}

/// One session's recording, and what feeds it: 25 pictures and 50 audio packets a second, all at once.
struct Feeder {
    tap: Tap,
    progress: Arc<Progress>,
    ms: u64,
}

impl Feeder {
    fn new(recorder: &Recorder, stream: &str, number: u8, rids: &[&str]) -> Self {
        let sid = SessionId::new([number; 16]);
        let started = recorder.record(
            &stream.parse().unwrap(),
            sid,
            &sections(rids),
            Instant::now(),
            Default::default(),
        );
        Self::of(started.unwrap())
    }

    fn of(started: Started) -> Self {
        let mut feeder = Self {
            tap: started.tap,
            progress: started.progress,
            ms: 0,
        };
        feeder.tap.announce(AUDIO, 0);
        feeder.tap.announce(VIDEO, 1);
        feeder
    }

    /// Goes on for this time, with a keyframe at its start.
    fn feed(&mut self, duration: Duration) {
        let until = self.ms + duration.as_millis() as u64;
        let mut keyframe = true;
        while self.ms < until {
            if self.ms.is_multiple_of(40) {
                self.picture(VIDEO, keyframe, 200);
                keyframe = false;
            }
            self.push(AUDIO, self.ms / 20, (self.ms * 48) as u32, &[0xfc, 1, 2, 3]);
            self.ms += 20;
        }
    }

    fn picture(&mut self, track: TrackId, keyframe: bool, bytes: usize) {
        let width = 100 + 10 * u16::from(track.0);
        let [low, high] = width.to_le_bytes();
        // RFC 7741 §4.2: a frame begins. RFC 6386 §9.1: a keyframe has a start code and its size.
        let mut payload = if keyframe {
            vec![0x10, 0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a, low, high, 80, 0]
        } else {
            vec![0x10, 0x11, 0x02, 0x00]
        };
        payload.resize(bytes, 0);
        self.push(track, self.ms / 40, (self.ms * 90) as u32, &payload);
    }

    fn push(&mut self, track: TrackId, sequence: u64, timestamp: u32, payload: &[u8]) {
        let packet = Packet {
            track,
            ssrc: 1,
            sequence,
            timestamp,
            marker: true,
            payload,
        };
        self.tap.push(&packet, Duration::from_millis(self.ms));
    }

    fn finish(self) -> Arc<Progress> {
        self.progress
    }
}

fn join(recorder: &Recorder, writers: Writers) {
    recorder.finish();
    writers.join(Instant::now() + Duration::from_secs(10));
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::yield_now();
    }
}

/// Bytes; 0 without the file.
fn size(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

#[test]
fn a_recording_grows_while_it_runs_and_ends_with_its_tap() {
    let folder = tempfile::tempdir().unwrap();
    let (recorder, writers) = Recorder::start(folder.path().join("new"), &Voice::new()).unwrap();
    let mut feeder = Feeder::new(&recorder, "live/cam", 1, &[]);
    let path = folder.path().join("new").join(feeder.progress.path());
    assert_eq!(
        feeder.progress.path(),
        format!("live/cam/{}.webm", SessionId::new([1; 16]))
    );
    assert!(!path.exists(), "a file without media would not play");
    feeder.feed(Duration::from_secs(2));
    eventually("it grows", || size(&path) > 4000);
    assert_eq!(fs::read(&path).unwrap()[..4], [0x1a, 0x45, 0xdf, 0xa3], "EBML");
    let before = size(&path);
    feeder.feed(Duration::from_secs(2));
    eventually("it goes on", || size(&path) > before + 4000);
    let progress = feeder.finish();
    join(&recorder, writers);
    assert_eq!(progress.bytes(), size(&path));
    assert_eq!((progress.keyframes(), progress.picture(VIDEO)), (2, picture(110, 80)));
    assert_eq!(progress.video_track(), Some(VIDEO));
}

#[test]
fn a_session_without_media_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let (recorder, writers) = Recorder::start(folder.path().to_owned(), &Voice::new()).unwrap();
    let progress = Feeder::new(&recorder, "cam", 1, &[]).finish();
    join(&recorder, writers);
    assert_eq!(progress.bytes(), 0);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn many_recordings_share_the_writers() {
    let folder = tempfile::tempdir().unwrap();
    let (recorder, writers) = Recorder::start(folder.path().to_owned(), &Voice::new()).unwrap();
    let mut feeders: Vec<Feeder> = (0..40)
        .map(|number| Feeder::new(&recorder, "cam", number, &[]))
        .collect();
    feeders
        .iter_mut()
        .for_each(|feeder| feeder.feed(Duration::from_secs(3)));
    let lost: u64 = feeders.iter().map(|feeder| feeder.tap.packets_lost()).sum();
    let all: Vec<Arc<Progress>> = feeders.into_iter().map(Feeder::finish).collect();
    join(&recorder, writers);
    assert_eq!(lost, 0);
    assert!(
        all.iter()
            .all(|progress| progress.bytes() > 10_000 && progress.bytes() == all[0].bytes())
    );
    assert_eq!(fs::read_dir(folder.path().join("cam")).unwrap().count(), 40);
}

#[test]
fn a_disk_that_refuses_costs_media_until_it_recovers_and_then_the_recording_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    // A file where the stream's folder should be: no recording can be made, not even by root.
    let obstacle = folder.path().join("cam");
    fs::write(&obstacle, b"").unwrap();
    let (recorder, writers) = Recorder::start(folder.path().to_owned(), &Voice::new()).unwrap();
    let begun = Instant::now();
    let at = |ms| begun + Duration::from_millis(ms);
    let (mut job, started) = recorder
        .job(
            &"cam".parse().unwrap(),
            SessionId::new([1; 16]),
            &sections(&[]),
            begun,
            Default::default(),
        )
        .unwrap();
    let mut feeder = Feeder::of(started);
    let path = folder.path().join(feeder.progress.path());

    feeder.feed(Duration::from_secs(2));
    assert_eq!(job.step(at(2000)), Going::On);
    assert_eq!((feeder.progress.bytes(), feeder.tap.packets_lost()), (0, 0));
    feeder.feed(Duration::from_secs(2));
    fs::remove_file(&obstacle).unwrap();
    job.step(at(2500));
    assert_eq!(
        (feeder.progress.bytes(), feeder.tap.packets_lost()),
        (0, 150),
        "the disk is left alone for a second"
    );
    assert_eq!(feeder.tap.take_keyframe_requests().count(), 0);

    job.step(at(3000));
    assert_eq!(
        fs::read(&path).unwrap()[..4],
        [0x1a, 0x45, 0xdf, 0xa3],
        "the header that waited is written first"
    );
    assert_eq!(feeder.tap.take_keyframe_requests().collect::<Vec<_>>(), [VIDEO]);
    let before = feeder.progress.bytes();
    feeder.feed(Duration::from_secs(3));
    job.step(at(7000));
    assert!(feeder.progress.bytes() > before + 60 * 200, "it goes on");
    assert_eq!(feeder.tap.packets_lost(), 150);
    assert_eq!(feeder.progress.keyframes(), 2);
    drop(feeder);
    assert_eq!(job.step(at(7020)), Going::Done);
    join(&recorder, writers);
}

#[test]
fn a_flood_of_packets_does_not_keep_a_writer_from_its_other_recordings() {
    let folder = tempfile::tempdir().unwrap();
    let (recorder, writers) = Recorder::start(folder.path().to_owned(), &Voice::new()).unwrap();
    let begun = Instant::now();
    let audio = &sections(&[])[..1];
    let (mut job, started) = recorder
        .job(
            &"cam".parse().unwrap(),
            SessionId::new([1; 16]),
            audio,
            begun,
            Default::default(),
        )
        .unwrap();
    let (mut tap, progress) = (started.tap, started.progress);
    tap.announce(AUDIO, 0);
    for number in 0..5000 {
        let packet = Packet {
            track: AUDIO,
            ssrc: 1,
            sequence: number,
            timestamp: number as u32 * 960,
            marker: false,
            payload: &[0xfc, 1, 2, 3],
        };
        tap.push(&packet, Duration::from_millis(20 * number));
    }
    assert_eq!(tap.packets_lost(), 0);
    drop(tap);
    let mut steps = 1;
    while job.step(begun) == Going::On {
        steps += 1;
    }
    assert!(steps > 1, "it was taken at once");
    assert!(progress.bytes() > 5000 * 4, "nothing of it is lost");
    join(&recorder, writers);
}

#[test]
fn of_simulcast_layers_the_largest_is_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let (recorder, writers) = Recorder::start(folder.path().to_owned(), &Voice::new()).unwrap();
    let mut feeder = Feeder::new(&recorder, "cam", 1, &["q", "f"]);
    let large = TrackId(2);
    feeder.tap.announce(large, 1);
    for n in 0..100 {
        feeder.ms = 40 * n;
        feeder.picture(VIDEO, n == 0, 100);
        feeder.picture(large, n == 0, 400);
    }
    let progress = feeder.finish();
    join(&recorder, writers);
    assert_eq!(progress.video_track(), Some(large));
    assert_eq!(
        (progress.picture(VIDEO), progress.picture(large)),
        (picture(110, 80), picture(120, 80))
    );
    assert!(progress.bytes() > 100 * 400);
}

#[test]
fn what_was_repaired_before_the_choice_among_layers_is_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let (recorder, writers) = Recorder::start(folder.path().to_owned(), &Voice::new()).unwrap();
    let begun = Instant::now();
    let stream = "cam".parse().unwrap();
    let sid = SessionId::new([1; 16]);
    let (mut job, started) = recorder
        .job(&stream, sid, &sections(&["q", "f"]), begun, Default::default())
        .unwrap();
    let mut feeder = Feeder::of(started);
    // Of two seconds, the fourth picture comes by a retransmission, after the sixth.
    for n in 0..60 {
        feeder.ms = 40 * n;
        feeder.push(AUDIO, n, (feeder.ms * 48) as u32, &[0xfc, 1, 2, 3]);
        let arrived: &[u64] = match n {
            3 => &[],
            5 => &[5, 3],
            _ => &[n],
        };
        for picture in arrived {
            feeder.ms = 40 * picture;
            feeder.picture(VIDEO, *picture == 0, 100);
        }
        feeder.ms = 40 * n;
        job.step(begun + Duration::from_millis(feeder.ms));
    }
    let progress = feeder.finish();
    assert_eq!(job.step(begun + Duration::from_millis(2400)), Going::Done);
    assert_eq!((progress.keyframes(), progress.frames_dropped()), (1, 0));
    assert!(progress.bytes() > 60 * 100, "{} bytes", progress.bytes());
    join(&recorder, writers);
}

#[test]
fn a_layer_that_stops_is_followed_by_the_next_one_at_the_keyframe_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let (recorder, writers) = Recorder::start(folder.path().to_owned(), &Voice::new()).unwrap();
    let begun = Instant::now();
    let (mut job, started) = recorder
        .job(
            &"cam".parse().unwrap(),
            SessionId::new([1; 16]),
            &sections(&["q", "f"]),
            begun,
            Default::default(),
        )
        .unwrap();
    let mut feeder = Feeder::of(started);
    let large = TrackId(2);
    feeder.tap.announce(large, 1);
    let mut requests = Vec::new();
    for n in 0..150 {
        feeder.ms = 40 * n;
        // Asked for at 4.5 s, the keyframe comes 0.5 s later.
        feeder.picture(VIDEO, n == 0 || n == 125, 100);
        if n < 75 {
            feeder.picture(large, n == 0, 400);
        }
        job.step(begun + Duration::from_millis(feeder.ms));
        requests.extend(feeder.tap.take_keyframe_requests().map(|track| (feeder.ms, track)));
        let recorded = feeder.progress.video_track().filter(|_| n >= 60);
        assert!(
            recorded.is_none_or(|track| (track == large) == (n < 125)),
            "at {} ms",
            feeder.ms
        );
    }
    assert_eq!(requests, [(4520, VIDEO)]);
    let progress = feeder.finish();
    assert_eq!(job.step(begun + Duration::from_secs(6)), Going::Done);
    assert_eq!((progress.keyframes(), progress.frames_dropped()), (2, 0));
    assert_eq!(
        (progress.picture(VIDEO), progress.picture(large)),
        (picture(110, 80), picture(120, 80))
    );
    join(&recorder, writers);
}
