use std::sync::atomic::AtomicBool;

use whipcord_identity::Epoch;
use whipcord_peer::{Event, Stats, event::TrackId, stats::TrackStats};
use whipcord_whip::Codec;

use super::*;
use crate::{journal::Journal, shard::Flow};

fn info(number: u8) -> Arc<Info> {
    Arc::new(Info {
        sid: SessionId::new([number; 16]),
        stream: "studio/cam".parse().unwrap(),
        epoch: Epoch(1),
        created_at: UNIX_EPOCH + Duration::from_millis(1_700_000_000_500),
        metadata: Default::default(),
        mids: Vec::new(),
        recording: None,
        trace: Default::default(),
        heard: AtomicBool::new(false),
    })
}

/// Two layers of video, of which one has stopped.
fn snapshot() -> Snapshot {
    let mut journal = Journal::default();
    for id in [0, 1] {
        let event = Event::Track {
            track: TrackId(id),
            kind: Kind::Video,
            codec: Codec::Vp8,
            mid: "0".to_owned(),
            rid: Some(id.to_string()),
            ssrc: id.into(),
        };
        journal.apply(&event, Duration::ZERO);
    }
    let counted = |id| TrackStats {
        track: TrackId(id),
        packets: 1,
        bytes: 1,
        lost: 2,
        jitter: 90,
        round_trip: None,
    };
    let flow = |id, active, age| Flow {
        track: TrackId(id),
        bitrate_bps: 1000,
        frames_per_second: 25.0,
        active,
        keyframes: 1,
        keyframe_age: Some(Duration::from_millis(age)),
        size: None,
    };
    Snapshot {
        journal,
        stats: Stats {
            tracks: vec![counted(0), counted(1)],
            ..Stats::default()
        },
        flows: vec![flow(0, true, 1250), flow(1, false, 9000)],
        ..Snapshot::default()
    }
}

#[test]
fn a_stream_has_a_series_of_each_family_and_of_each_kind_that_it_has() {
    let info = info(7);
    let text = render(&[(Arc::clone(&info), snapshot())], 3);
    let series: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let labels = format!("stream=\"studio/cam\",sid=\"{}\"", info.sid);
    let expected = [
        format!("whipcord_stream_state{{{labels},state=\"new\"}} 1"),
        format!("whipcord_stream_created_seconds{{{labels}}} 1700000000.500"),
        format!("whipcord_stream_bitrate_bps{{{labels},kind=\"video\"}} 2000"),
        format!("whipcord_stream_packets_lost{{{labels},kind=\"video\"}} 4"),
        format!("whipcord_stream_jitter_seconds{{{labels},kind=\"video\"}} 0.001000"),
        format!("whipcord_stream_keyframe_age_seconds{{{labels}}} 1.250"),
        "whipcord_streams_omitted 3".to_owned(),
    ];
    assert_eq!(series, expected);
}

#[test]
fn a_family_is_named_once_before_all_of_its_series() {
    let text = render(&[(info(1), snapshot()), (info(2), snapshot())], 0);
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    for name in types.map(|line| line.strip_suffix(" gauge").unwrap()) {
        let of_family: Vec<usize> = (0..)
            .zip(text.lines())
            .filter(|(_, line)| line.starts_with(&format!("{name}{{")) || line.starts_with(&format!("{name} ")))
            .map(|(n, _)| n)
            .collect();
        let first = text.lines().position(|line| line == format!("# TYPE {name} gauge"));
        let expected: Vec<usize> = (first.unwrap() + 1..).take(of_family.len()).collect();
        assert_eq!(of_family, expected, "{name} in\n{text}");
        assert!(!of_family.is_empty(), "{name}");
    }
}

#[test]
fn a_label_cannot_end_its_quotes() {
    assert_eq!(escaped("a\\b\"c\nd"), r#"a\\b\"c\nd"#);
}
