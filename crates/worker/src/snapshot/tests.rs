use whipcord_peer::{Event, event::TrackId, stats::TrackStats};
use whipcord_whip::Codec;

use super::*;
use crate::tally::Counts;

/// Audio that stands still, video that flows and was repaired.
fn snapshot() -> Snapshot {
    let mut journal = Journal::default();
    for (id, codec) in [(0, Codec::Opus), (1, Codec::Vp8)] {
        let event = Event::Track {
            track: TrackId(id),
            kind: codec.kind(),
            codec,
            mid: id.to_string(),
            rid: None,
            ssrc: id.into(),
        };
        journal.apply(&event, Duration::ZERO);
    }
    let track = |id, jitter, round_trip| TrackStats {
        track: TrackId(id),
        packets: 10,
        bytes: 1000,
        lost: 0,
        jitter,
        round_trip,
    };
    let flow = |id, active| Flow {
        track: TrackId(id),
        bitrate_bps: 1000,
        frames_per_second: 25.0,
        active,
        keyframes: 1,
        keyframe_age: None,
        size: None,
    };
    Snapshot {
        journal,
        stats: Stats {
            tracks: vec![track(0, 480, None), track(1, 900, Some(Duration::from_millis(40)))],
            ..Stats::default()
        },
        flows: vec![flow(0, false), flow(1, true)],
        keyframes: 3,
        stalls: Stalls { audio: 1, video: 0 },
        recording_packets_lost: 7,
        ..Snapshot::default()
    }
}

#[test]
fn only_tracks_that_bring_media_are_looked_at_for_how_it_comes() {
    let arriving: Vec<Arriving> = snapshot().arriving().collect();
    let video = Arriving {
        kind: Kind::Video,
        jitter: Duration::from_millis(10),
        round_trip: Some(Duration::from_millis(40)),
    };
    assert_eq!(arriving, [video]);
}

#[test]
fn all_that_is_counted_of_a_session_is_in_its_counts() {
    let counts = Counts::of(&snapshot());
    assert_eq!((counts.audio.stalls, counts.video.stalls), (1, 0));
    assert_eq!((counts.audio.packets, counts.video.bytes), (10, 1000));
    assert_eq!((counts.keyframes, counts.unrecorded), (3, 7));
}
