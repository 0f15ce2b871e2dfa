use whipcord_peer::{Path, event::TrackId, srtp::Profile};
use whipcord_whip::Codec;

use super::*;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn stun() -> Event {
    Event::StunSeen {
        path: Path::udp("192.0.2.1:8189".parse().unwrap(), "192.0.2.7:1".parse().unwrap()),
    }
}

fn connected() -> Event {
    Event::Connected {
        profile: Profile::AeadAes128Gcm,
    }
}

fn track(kind: Kind, codec: Codec) -> Event {
    Event::Track {
        track: TrackId(0),
        kind,
        codec,
        mid: "0".into(),
        rid: None,
        ssrc: 1,
    }
}

fn passed(stage: Stage, from: u64, to: u64, failed: Option<EndReason>) -> Passed {
    Passed {
        stage,
        from: ms(from),
        to: ms(to),
        failed,
    }
}

/// All that ends with these events.
fn play(setup: &mut Setup, events: &[(u64, Event)]) -> Vec<Passed> {
    let passed = events.iter().map(|(at, event)| setup.on_event(event, ms(*at)));
    passed.flatten().collect()
}

#[test]
fn each_stage_has_the_times_of_its_events_and_ends_once() {
    let mut setup = Setup::default();
    let video = || track(Kind::Video, Codec::H264);
    let events = [
        (40, stun()),
        (45, Event::HandshakeStarted),
        (130, connected()),
        (150, video()),
        (150, Event::FirstMedia),
        // What may come again.
        (9000, Event::Disconnected),
        (9500, Event::Reconnected),
        (9600, Event::Restarted),
        (9700, video()),
    ];
    let expected = [
        passed(Stage::Ice, 0, 40, None),
        passed(Stage::Dtls, 45, 130, None),
        passed(Stage::FirstRtp, 130, 150, None),
        passed(Stage::Establish, 0, 150, None),
    ];
    assert_eq!(play(&mut setup, &events), expected);
    assert_eq!(
        setup.on_keyframe(ms(420)),
        Some(passed(Stage::FirstKeyframe, 150, 420, None))
    );
    assert_eq!(setup.on_keyframe(ms(2420)), None);
    assert_eq!(setup.on_end(EndReason::Deleted, ms(60_000)), []);
}

#[test]
fn the_end_of_a_session_fails_what_it_cuts_short() {
    let begun = [(40, stun()), (45, Event::HandshakeStarted)];
    let live = [(40, stun()), (45, Event::HandshakeStarted), (130, connected())];
    let video = [(150, track(Kind::Video, Codec::H264)), (150, Event::FirstMedia)];
    let audio = [(150, track(Kind::Audio, Codec::Opus)), (150, Event::FirstMedia)];
    let all = |more: &[(u64, Event)]| [&live[..], more].concat();
    let table = [
        (
            Vec::new(),
            EndReason::NoStun,
            vec![(Stage::Ice, 0), (Stage::Establish, 0)],
        ),
        (
            begun.to_vec(),
            EndReason::FingerprintMismatch,
            vec![(Stage::Dtls, 45), (Stage::Establish, 0)],
        ),
        (
            live.to_vec(),
            EndReason::Deleted,
            vec![(Stage::FirstRtp, 130), (Stage::Establish, 0)],
        ),
        (all(&video), EndReason::Silent, vec![(Stage::FirstKeyframe, 150)]),
        // Sound alone has no keyframe to wait for.
        (all(&audio), EndReason::Silent, vec![]),
    ];
    for (events, reason, expected) in table {
        let mut setup = Setup::default();
        play(&mut setup, &events);
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(stage, from)| passed(stage, from, 30_000, Some(reason)))
            .collect();
        assert_eq!(setup.on_end(reason, ms(30_000)), expected, "{events:?}");
    }
}

#[test]
fn a_stage_whose_end_was_lost_on_the_way_is_not_failed() {
    let mut setup = Setup::default();
    // Neither StunSeen nor HandshakeStarted arrived.
    assert_eq!(play(&mut setup, &[(130, connected())]), []);
    let expected = [
        passed(Stage::FirstRtp, 130, 150, None),
        passed(Stage::Establish, 0, 150, None),
    ];
    assert_eq!(play(&mut setup, &[(150, Event::FirstMedia)]), expected);
    assert_eq!(setup.on_end(EndReason::Deleted, ms(200)), []);
}
