use std::path::Path;

use super::*;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

fn frames(name: &str) -> (Source, Vec<Frame>) {
    let mut source =
        Source::open(&Input::File(fixture(name)), Manner::default()).unwrap_or_else(|error| panic!("{name}: {error}"));
    let frames = std::iter::from_fn(|| source.next().unwrap()).collect();
    (source, frames)
}

/// The error that opening gives, or else the one that reading to the end does.
fn refusal(path: &Path) -> String {
    match Source::open(&Input::File(path.to_owned()), Manner::default()) {
        Err(error) => error.to_string(),
        Ok(mut source) => loop {
            match source.next() {
                Err(error) => break error.to_string(),
                Ok(Some(_)) => {}
                Ok(None) => panic!("{} was read to its end", path.display()),
            }
        },
    }
}

#[test]
fn every_frame_of_a_good_file_comes_in_time() {
    let cases: [(&str, &[Codec]); 11] = [
        ("h264-opus.mp4", &[Codec::H264, Codec::Opus]),
        ("h264-opus-fragmented.mp4", &[Codec::H264, Codec::Opus]),
        ("h264-aac.mov", &[Codec::H264]),
        ("h264-opus.mkv", &[Codec::H264, Codec::Opus]),
        ("h265-opus.mp4", &[Codec::H265, Codec::Opus]),
        ("h265-opus.mkv", &[Codec::H265, Codec::Opus]),
        ("plain.h264", &[Codec::H264]),
        ("plain.h265", &[Codec::H265]),
        ("vp8-opus.webm", &[Codec::Vp8, Codec::Opus]),
        ("vp8.ivf", &[Codec::Vp8]),
        ("tone.opus", &[Codec::Opus]),
    ];
    for (name, codecs) in cases {
        let (source, frames) = frames(name);
        let tracks: Vec<Codec> = source.tracks().iter().map(Track::codec).collect();
        assert_eq!(tracks, codecs, "{name}");
        for &codec in codecs {
            let track: Vec<&Frame> = frames.iter().filter(|frame| frame.codec == codec).collect();
            assert!(
                track.is_sorted_by_key(|frame| frame.time),
                "{name}: {codec} goes back in time"
            );
            let (first, last) = (track[0], track[track.len() - 1]);
            assert!(
                first.time < Duration::from_millis(25),
                "{name}: {codec} starts at {:?}",
                first.time
            );
            if codec.is_video() {
                assert_eq!(track.len(), 20, "{name}");
                assert!(
                    last.time.abs_diff(Duration::from_millis(1900)) < Duration::from_millis(25),
                    "{name}"
                );
                let keyframes: Vec<usize> = (0..20).filter(|&i| track[i].keyframe).collect();
                assert_eq!(keyframes, [0, 10], "{name}");
            } else {
                assert!((100..=102).contains(&track.len()), "{name}: {} packets", track.len());
                assert!(
                    last.time.abs_diff(Duration::from_millis(1990)) < Duration::from_millis(30),
                    "{name}"
                );
            }
        }
    }
}

#[test]
fn h264_comes_as_annex_b_with_parameter_sets_before_each_idr_picture() {
    for name in [
        "h264-opus.mp4",
        "h264-opus-fragmented.mp4",
        "h264-opus.mkv",
        "plain.h264",
    ] {
        let (source, frames) = frames(name);
        assert!(
            matches!(
                source.tracks()[0],
                Track::H264 {
                    profile_level_id: [0x42, 0xc0, 0x0a]
                }
            ),
            "{name}"
        );
        for frame in frames.iter().filter(|frame| frame.codec == Codec::H264) {
            let kinds = nal_kinds(&frame.data);
            let at = |kind| kinds.iter().position(|&other| other == kind);
            match at(5) {
                Some(idr) => {
                    assert!(
                        frame.keyframe && at(7) < at(8) && at(8) < Some(idr) && at(7).is_some(),
                        "{name}: {kinds:?}"
                    );
                }
                None => assert!(!frame.keyframe && at(1).is_some(), "{name}: {kinds:?}"),
            }
        }
    }
}

#[test]
fn h265_comes_as_annex_b_with_parameter_sets_before_each_keyframe() {
    for name in ["h265-opus.mp4", "h265-opus.mkv", "plain.h265"] {
        let (source, frames) = frames(name);
        let expected = Track::H265 {
            profile: 1,
            tier: 0,
            level: 30,
        };
        assert_eq!(source.tracks()[0], expected, "{name}");
        for frame in frames.iter().filter(|frame| frame.codec == Codec::H265) {
            let starts = frame.data.windows(5).filter(|window| window[..4] == [0, 0, 0, 1]);
            let kinds: Vec<u8> = starts.map(|window| window[4] >> 1).collect();
            match frame.keyframe {
                true => assert!(
                    kinds.starts_with(&[32, 33, 34]) && matches!(kinds[3], 19..=21),
                    "{name}: {kinds:?}"
                ),
                false => assert_eq!(kinds, [1], "{name}"),
            }
        }
    }
}

fn nal_kinds(stream: &[u8]) -> Vec<u8> {
    let starts = stream
        .windows(4)
        .enumerate()
        .filter(|(_, window)| *window == [0, 0, 0, 1]);
    starts.map(|(at, _)| stream[at + 4] & 0x1f).collect()
}

#[test]
fn what_cannot_be_sent_is_refused_with_a_sentence_that_says_what_to_do() {
    let cases = [
        (
            "b-frames.mp4",
            "the video has B-frames, which WebRTC cannot carry: convert with ffmpeg -c:v libx264 -bf 0",
        ),
        (
            "b-frames.mkv",
            "the video has B-frames, which WebRTC cannot carry: convert with ffmpeg -c:v libx264 -bf 0",
        ),
        (
            "b-frames.h264",
            "the video has B-frames, which WebRTC cannot carry: convert with ffmpeg -c:v libx264 -bf 0",
        ),
        (
            "hevc.mp4",
            "the video's pictures are not in the order in which they are shown, which WebRTC cannot carry: convert with ffmpeg -c:v libx265",
        ),
        ("encrypted.mp4", "the video track is encrypted: decrypt the file first"),
        (
            "flac.ogg",
            "the Ogg stream does not hold Opus: convert with ffmpeg -c:a libopus",
        ),
        (
            "make.sh",
            "is no media file that can be sent: MP4, MOV, WebM, Matroska, Ogg Opus, IVF, or Annex B H.264 or H.265",
        ),
        ("absent.mp4", "cannot open"),
    ];
    for (name, sentence) in cases {
        let refusal = refusal(&fixture(name));
        assert!(refusal.contains(sentence), "{name}: {refusal}");
    }
}

#[test]
fn a_given_frame_rate_is_for_a_file_without_times() {
    let rate = |text: &str| Manner {
        rate: Some(text.parse().unwrap()),
        ..Manner::default()
    };
    for name in ["plain.h264", "plain.h265"] {
        let mut source = Source::open(&Input::File(fixture(name)), rate("25")).unwrap();
        let times: Vec<Duration> = std::iter::from_fn(|| source.next().unwrap())
            .map(|frame| frame.time)
            .collect();
        let expected: Vec<Duration> = (0..20).map(|i| Duration::from_millis(40) * i).collect();
        assert_eq!(times, expected, "{name}");
        assert!(source.notes().is_empty(), "{name}");
    }
    let source = Source::open(&Input::File(fixture("h265-opus.mp4")), rate("25")).unwrap();
    assert_eq!(source.notes(), ["--fps is left aside: the file has times of its own"]);
}

#[test]
fn a_file_comes_again_and_again_without_a_jump() {
    for name in [
        "h264-opus.mp4",
        "h265-opus.mkv",
        "plain.h265",
        "vp8-opus.webm",
        "vp8.ivf",
        "tone.opus",
    ] {
        let (mut once, round) = frames(name);
        assert_eq!(once.next().unwrap(), None);
        let manner = Manner {
            repeat: true,
            ..Manner::default()
        };
        let mut source = Source::open(&Input::File(fixture(name)), manner).unwrap();
        assert_eq!(source.tracks(), once.tracks(), "{name}");
        let endless: Vec<Frame> = std::iter::from_fn(|| source.next().unwrap())
            .take(3 * round.len())
            .collect();
        assert!(
            endless.iter().map(|frame| &frame.data).eq(round
                .iter()
                .cycle()
                .take(endless.len())
                .map(|frame| &frame.data))
        );
        for codec in once.tracks().iter().map(Track::codec) {
            let times: Vec<Duration> = endless.iter().filter(|f| f.codec == codec).map(|f| f.time).collect();
            let steps = times
                .windows(2)
                .map(|pair| pair[1].checked_sub(pair[0]).expect("time goes on"));
            // Two seconds are 20 pictures of 100 ms and some 101 packets of 20 ms: a round ends where the longer one does.
            let (shortest, longest) = if codec.is_video() { (99, 132) } else { (0, 48) };
            for (i, step) in steps.enumerate() {
                let step = step.as_millis();
                assert!((shortest..=longest).contains(&step), "{name}: {codec} {i}: {step} ms");
            }
        }
    }
}

#[test]
fn a_file_of_one_frame_is_repeated_in_time() {
    let whole = std::fs::read(fixture("vp8.ivf")).unwrap();
    let size = u32::from_le_bytes(whole[32..36].try_into().unwrap()) as usize;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &whole[..44 + size]).unwrap();
    let manner = Manner {
        repeat: true,
        ..Manner::default()
    };
    let mut source = Source::open(&Input::File(file.path().to_owned()), manner).unwrap();
    let times: Vec<u128> = (0..4)
        .map(|_| source.next().unwrap().unwrap().time.as_millis())
        .collect();
    assert_eq!(times, [0, 40, 80, 120]);
}

#[test]
fn a_file_that_was_replaced_ends_the_loop() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::copy(fixture("vp8.ivf"), file.path()).unwrap();
    let manner = Manner {
        repeat: true,
        ..Manner::default()
    };
    let mut source = Source::open(&Input::File(file.path().to_owned()), manner).unwrap();
    let unlinked = file.path().with_extension("old");
    std::fs::rename(file.path(), &unlinked).unwrap();
    std::fs::copy(fixture("plain.h265"), file.path()).unwrap();
    let sent = (0..).map(|_| source.next()).take_while(Result::is_ok).count();
    std::fs::remove_file(unlinked).unwrap();
    assert_eq!(sent, 20);
}

#[test]
fn a_file_has_one_size() {
    let manner = Manner {
        simulcast: true,
        ..Manner::default()
    };
    let refusal = Source::open(&Input::File(fixture("vp8.ivf")), manner)
        .map(|_| ())
        .unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "--simulcast is for `test`: a file has its pictures in one size"
    );
}

#[test]
fn a_matroska_file_cut_short_says_so() {
    let whole = std::fs::read(fixture("h264-opus.mkv")).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    for length in [1000, 5000] {
        std::fs::write(file.path(), &whole[..length]).unwrap();
        assert_eq!(
            refusal(file.path()),
            "the Matroska file is damaged: it breaks off; was its recording cut short?",
            "{length} bytes"
        );
    }
}

#[test]
fn aac_is_left_out_and_said() {
    let (source, _) = frames("h264-aac.mov");
    let note = "the audio track is AAC and is left out; WHIP needs Opus: convert with ffmpeg -c:v copy -c:a libopus";
    assert_eq!(source.notes(), [note]);
}

#[test]
fn an_unfragmented_file_cut_short_says_that_its_index_is_missing() {
    let whole = std::fs::read(fixture("h264-opus.mp4")).unwrap();
    let cut = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(cut.path(), &whole[..whole.len() / 2]).unwrap();
    assert_eq!(
        refusal(cut.path()),
        "the MP4 file is damaged: it has no index (moov); was its recording cut short?"
    );
}

#[test]
fn a_growing_recording_is_sent_as_far_as_it_goes() {
    let whole = std::fs::read(fixture("h264-opus-fragmented.mp4")).unwrap();
    let cut = tempfile::NamedTempFile::new().unwrap();
    for length in (whole.len() / 2..whole.len()).step_by(97) {
        std::fs::write(cut.path(), &whole[..length]).unwrap();
        let mut source = Source::open(&Input::File(cut.path().to_owned()), Manner::default()).unwrap();
        while source.next().unwrap().is_some() {}
    }
}

#[test]
fn pictures_out_of_order_are_refused_whatever_their_codec() {
    let mut ivf = std::fs::read(fixture("vp8.ivf")).unwrap();
    // Behind the file's header of 32 bytes: the first frame's size and time, and the frame.
    let size = u32::from_le_bytes(ivf[32..36].try_into().unwrap()) as usize;
    let file = tempfile::NamedTempFile::new().unwrap();
    ivf[36] = 9;
    assert_eq!(ivf[44 + size + 4], 1, "the second frame's time");
    std::fs::write(file.path(), ivf).unwrap();
    let refusal = Source::open(&Input::File(file.path().to_owned()), Manner::default())
        .map(|_| ())
        .unwrap_err();
    assert!(refusal.to_string().starts_with("the video has B-frames"), "{refusal}");
}

mod damage {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        /// Whatever is in a file: frames or an error, never a panic, never without end.
        #[test]
        fn never_panics(
            name in prop::sample::select(vec![
                "h264-opus.mp4", "h264-opus-fragmented.mp4", "h264-opus.mkv", "h265-opus.mp4", "h265-opus.mkv", "plain.h264", "plain.h265", "vp8-opus.webm",
                "vp8.ivf", "tone.opus",
            ]),
            flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut bytes = std::fs::read(fixture(name)).unwrap();
            for (at, value) in flips {
                // Damage near the start, where the headers are, is the more telling half.
                let length = bytes.len();
                bytes[at.index(length).min(at.index(length.min(2048)))] = value;
            }
            bytes.truncate(cut.index(bytes.len()).max(64));
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), bytes).unwrap();
            if let Ok(mut source) = Source::open(&Input::File(file.path().to_owned()), Manner::default()) {
                while let Ok(Some(_)) = source.next() {}
            }
        }
    }
}
