use super::*;

const LOW: TrackId = TrackId(1);
const MIDDLE: TrackId = TrackId(3);
const HIGH: TrackId = TrackId(2);

fn packet(layers: &mut Layers, track: TrackId, bytes: usize, ms: u64) -> Verdict {
    push(layers, track, bytes, None, ms)
}

fn keyframe(layers: &mut Layers, track: TrackId, bytes: usize, ms: u64) -> Verdict {
    let pixels = [(LOW, 320 * 180), (MIDDLE, 640 * 360), (HIGH, 1280 * 720)];
    let (_, pixels) = pixels.into_iter().find(|(of, _)| *of == track).unwrap();
    push(layers, track, bytes, Some(pixels), ms)
}

fn push(layers: &mut Layers, track: TrackId, bytes: usize, keyframe: Option<u64>, ms: u64) -> Verdict {
    let arrival = Duration::from_millis(ms);
    let verdict = layers.on_packet(track, bytes, keyframe, arrival);
    if verdict == Verdict::Hold {
        let packet = RtpPacket {
            track: 0,
            sequence: ms,
            timestamp: 0,
            marker: false,
            payload: &vec![0; bytes],
            arrival,
        };
        layers.hold(Held::of(track, &packet));
    }
    verdict
}

fn simulcast() -> Layers {
    let mut layers = Layers::new(true);
    layers.announce(LOW);
    layers.announce(HIGH);
    layers
}

#[test]
fn the_only_track_of_a_section_is_recorded_at_once() {
    let mut layers = Layers::new(false);
    assert!(!layers.has(LOW));
    layers.announce(LOW);
    assert!(layers.has(LOW) && !layers.has(HIGH));
    assert_eq!(packet(&mut layers, LOW, 100, 0), Verdict::Record);
}

#[test]
fn the_layer_that_carries_most_is_recorded_from_its_first_packet() {
    let mut layers = simulcast();
    for ms in (0..2000).step_by(100) {
        assert_eq!(packet(&mut layers, LOW, 100, ms), Verdict::Hold);
        assert_eq!(packet(&mut layers, HIGH, 300, ms), Verdict::Hold);
        assert!(layers.choose(Duration::from_millis(ms), false).is_empty());
    }
    let held = layers.choose(Duration::from_millis(2000), false);
    assert_eq!(held.len(), 20);
    assert!(held.iter().all(|packet| packet.track == HIGH) && held[0].sequence == 0);
    assert_eq!(packet(&mut layers, HIGH, 300, 2001), Verdict::Record);
    assert_eq!(packet(&mut layers, LOW, 100, 2002), Verdict::Skip);
}

#[test]
fn what_is_held_is_bounded_and_not_lost_at_an_early_end() {
    let mut layers = simulcast();
    let mut ms = 0;
    while layers.choose(Duration::from_millis(ms), false).is_empty() {
        ms += 1;
        packet(&mut layers, LOW, 10_000, ms);
    }
    assert_eq!(ms, HELD_MAX.div_ceil(10_000 + size_of::<Held>()) as u64);

    let mut layers = simulcast();
    packet(&mut layers, LOW, 10, 0);
    assert_eq!(layers.choose(Duration::ZERO, true).len(), 1);
}

/// Each packet costs memory, and the window begins with the first that carries something.
#[test]
fn padding_is_held_only_behind_what_a_layer_carried_and_only_so_much() {
    let mut layers = simulcast();
    assert!((0..100_000).all(|ms| packet(&mut layers, LOW, 0, ms) == Verdict::Skip));
    assert!(layers.choose(Duration::from_secs(100), true).is_empty());
    packet(&mut layers, LOW, 10, 100_000);
    assert_eq!(packet(&mut layers, HIGH, 0, 100_000), Verdict::Skip);
    let mut held = 1;
    while layers.choose(Duration::from_secs(100), false).is_empty() {
        assert_eq!(packet(&mut layers, LOW, 0, 100_000), Verdict::Hold);
        held += 1;
        assert!(held < HELD_MAX, "more and more");
    }
    assert_eq!(held, (HELD_MAX - 10).div_ceil(size_of::<Held>()));
}

/// Of three layers the largest is recorded, until 4 s.
fn three() -> Layers {
    let mut layers = simulcast();
    layers.announce(MIDDLE);
    for ms in (0..4000).step_by(40) {
        let send = if ms == 0 { keyframe } else { packet };
        send(&mut layers, LOW, 100, ms);
        send(&mut layers, MIDDLE, 300, ms);
        send(&mut layers, HIGH, 900, ms);
        layers.choose(Duration::from_millis(ms), false);
    }
    assert_eq!(layers.recorded(), Some(HIGH));
    assert_eq!(layers.keyframe_wanted(Duration::from_secs(4)), None);
    layers
}

/// Lets the two lower layers go on, and returns when a keyframe was asked for, and of which.
fn without_the_largest(layers: &mut Layers, from: u64, until: u64) -> Vec<(u64, TrackId)> {
    let mut asked = Vec::new();
    for ms in (from..until).step_by(40) {
        assert_eq!(packet(layers, LOW, 100, ms), Verdict::Skip);
        assert_eq!(packet(layers, MIDDLE, 300, ms), Verdict::Skip);
        let wanted = layers.keyframe_wanted(Duration::from_millis(ms));
        asked.extend(wanted.map(|track| (ms, track)));
    }
    asked
}

#[test]
fn a_layer_that_grows_later_takes_over_at_its_keyframe_and_the_one_before_is_recorded_until_then() {
    let mut layers = simulcast();
    packet(&mut layers, LOW, 100, 0);
    assert_eq!(layers.choose(Duration::from_secs(2), false).len(), 1);
    // A little more is not worth a change.
    let mut wanted = Vec::new();
    for ms in (2000..12_000).step_by(100) {
        assert_eq!(packet(&mut layers, LOW, 100, ms), Verdict::Record);
        let high = packet(&mut layers, HIGH, if ms < 6000 { 140 } else { 400 }, ms);
        assert_eq!(high, Verdict::Skip, "no keyframe of it came");
        wanted.extend(
            layers
                .keyframe_wanted(Duration::from_millis(ms))
                .map(|track| (ms, track)),
        );
    }
    let (first, _) = wanted[0];
    assert!((6000..=10_500).contains(&first), "{wanted:?}");
    assert!(
        wanted.iter().all(|(_, track)| *track == HIGH) && wanted.len() >= 2,
        "{wanted:?}"
    );
    assert!(
        wanted.windows(2).all(|pair| pair[1].0 - pair[0].0 >= 1000),
        "{wanted:?}"
    );
    assert_eq!(keyframe(&mut layers, HIGH, 400, 12_000), Verdict::Switch);
    assert_eq!(packet(&mut layers, HIGH, 400, 12_001), Verdict::Record);
    assert_eq!(packet(&mut layers, LOW, 100, 12_002), Verdict::Skip);
    assert_eq!(layers.keyframe_wanted(Duration::from_secs(20)), None);
}

#[test]
fn when_the_recorded_layer_stops_the_next_one_follows_at_its_keyframe() {
    let mut layers = three();
    let asked = without_the_largest(&mut layers, 4000, 6600);
    // 1.5 s after it stopped, and again after a second.
    assert_eq!(asked, [(5520, MIDDLE), (6520, MIDDLE)]);
    assert_eq!(layers.recorded(), Some(HIGH), "nothing else can be decoded yet");
    assert_eq!(keyframe(&mut layers, LOW, 100, 6600), Verdict::Skip);
    assert_eq!(keyframe(&mut layers, MIDDLE, 300, 6600), Verdict::Switch);
    assert_eq!(packet(&mut layers, MIDDLE, 300, 6640), Verdict::Record);
    assert_eq!(layers.keyframe_wanted(Duration::from_secs(20)), None);
}

#[test]
fn when_the_next_one_stops_too_before_its_keyframe_the_last_follows() {
    let mut layers = three();
    without_the_largest(&mut layers, 4000, 5600);
    let mut asked = Vec::new();
    for ms in (5600..8000).step_by(40) {
        assert_eq!(packet(&mut layers, LOW, 100, ms), Verdict::Skip);
        let wanted = layers.keyframe_wanted(Duration::from_millis(ms));
        asked.extend(wanted.filter(|track| *track == LOW).map(|_| ms));
    }
    // The middle one was last heard at 5560.
    assert_eq!(asked.first(), Some(&7080));
    assert_eq!(keyframe(&mut layers, LOW, 100, 8000), Verdict::Switch);
}

#[test]
fn a_layer_that_returns_before_the_next_ones_keyframe_is_kept() {
    let mut layers = three();
    assert_eq!(without_the_largest(&mut layers, 4000, 5600).len(), 1);
    assert_eq!(packet(&mut layers, HIGH, 900, 5600), Verdict::Record);
    assert_eq!(keyframe(&mut layers, MIDDLE, 300, 5610), Verdict::Skip);
}

#[test]
fn padding_does_not_keep_a_layer_alive() {
    let mut layers = three();
    for ms in (4000..6000).step_by(40) {
        packet(&mut layers, MIDDLE, 300, ms);
        assert_eq!(
            packet(&mut layers, HIGH, 0, ms),
            Verdict::Record,
            "it has its place in the sequence"
        );
    }
    assert_eq!(keyframe(&mut layers, MIDDLE, 300, 6000), Verdict::Switch);
}

#[test]
fn an_outage_of_all_layers_changes_nothing() {
    let mut layers = three();
    packet(&mut layers, LOW, 100, 4000);
    for (track, bytes) in [(LOW, 100), (MIDDLE, 300), (HIGH, 900)] {
        packet(&mut layers, track, bytes, 9000);
    }
    assert_eq!(keyframe(&mut layers, MIDDLE, 300, 9040), Verdict::Skip);
    assert_eq!(packet(&mut layers, HIGH, 900, 9040), Verdict::Record);
}

#[test]
fn a_larger_layer_that_returns_is_recorded_again() {
    let mut layers = three();
    without_the_largest(&mut layers, 4000, 5600);
    assert_eq!(keyframe(&mut layers, MIDDLE, 300, 5600), Verdict::Switch);
    let mut asked = None;
    for ms in (5640..12_000).step_by(40) {
        assert_eq!(packet(&mut layers, MIDDLE, 300, ms), Verdict::Record);
        assert_eq!(packet(&mut layers, HIGH, 900, ms), Verdict::Skip);
        asked = layers.keyframe_wanted(Duration::from_millis(ms)).or(asked);
    }
    assert_eq!(asked, Some(HIGH));
    assert_eq!(keyframe(&mut layers, HIGH, 900, 12_000), Verdict::Switch);
}

#[test]
fn a_larger_picture_is_recorded_although_it_carries_less() {
    let mut layers = simulcast();
    assert_eq!(keyframe(&mut layers, LOW, 500, 0), Verdict::Hold);
    assert_eq!(layers.choose(Duration::from_secs(2), false).len(), 1);
    let mut asked = Vec::new();
    for ms in (2000..9000).step_by(100) {
        assert_eq!(packet(&mut layers, LOW, 500, ms), Verdict::Record);
        let high = if ms == 5000 {
            keyframe(&mut layers, HIGH, 400, ms)
        } else if ms > 5000 {
            packet(&mut layers, HIGH, 400, ms)
        } else {
            continue;
        };
        assert_eq!(high, Verdict::Skip, "it has to last until the end of a window");
        asked.extend(layers.keyframe_wanted(Duration::from_millis(ms)).map(|_| ms));
    }
    assert!((5100..=8000).contains(&asked[0]), "{asked:?}");
    assert_eq!(keyframe(&mut layers, HIGH, 400, 9000), Verdict::Switch);
    // It comes and goes: what it carries decides nothing.
    for ms in (9040..15_000).step_by(100) {
        assert_eq!(packet(&mut layers, LOW, 900, ms), Verdict::Skip);
        assert_eq!(packet(&mut layers, HIGH, 100, ms), Verdict::Record);
    }
}
