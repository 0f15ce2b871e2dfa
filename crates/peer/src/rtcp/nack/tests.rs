use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::Missing;
use crate::rtcp::tests::start;

const MS: Duration = Duration::from_millis(1);

/// 0 and 1, then 5: 2, 3 and 4 are missing since `now`.
fn three_missing(now: Instant) -> Missing {
    let mut missing = Missing::default();
    missing.received(now, 0);
    missing.received(now, 1);
    missing.received(now, 5);
    missing
}

#[test]
fn a_hole_is_asked_for_after_a_short_grace_and_then_each_100_ms() {
    let t0 = start();
    let mut missing = three_missing(t0);
    assert!(missing.due(t0 + MS * 9).is_empty(), "it may only be reordered");
    assert_eq!(missing.due(t0 + MS * 20), [2, 3, 4]);
    assert!(missing.due(t0 + MS * 119).is_empty());
    assert_eq!(missing.due(t0 + MS * 120), [2, 3, 4]);
}

#[test]
fn what_arrives_late_is_not_asked_for() {
    let t0 = start();
    let mut missing = three_missing(t0);
    missing.received(t0, 3);
    missing.received(t0, 3);
    missing.received(t0, 0);
    assert_eq!(missing.due(t0 + MS * 20), [2, 4]);
    missing.received(t0, 2);
    missing.received(t0, 4);
    assert!(missing.is_empty());
}

#[test]
fn a_hole_is_given_up_after_ten_requests_or_a_second_and_a_half() {
    let t0 = start();
    let mut missing = three_missing(t0);
    let asked = (1..200)
        .filter(|tick| !missing.due(t0 + MS * 20 * *tick).is_empty())
        .count();
    assert_eq!(asked, 10);
    assert!(missing.is_empty());
}

#[test]
fn where_answers_take_long_it_asks_less_often() {
    let t0 = start();
    let mut missing = Missing::default();
    missing.received(t0, 0);
    let mut now = t0;
    // Each second packet is lost, and comes 400 ms after the request.
    for sequence in (2..40).step_by(2) {
        missing.received(now, sequence);
        now += MS * 20;
        missing.due(now);
        now += MS * 400;
        missing.received(now, sequence - 1);
    }
    missing.received(now, 100);
    assert_eq!(missing.due(now + MS * 20).len(), 61);
    assert!(missing.due(now + MS * 320).is_empty());
    assert_eq!(missing.due(now + MS * 420).len(), 61);
}

#[test]
fn the_round_trip_is_known_from_the_first_answer_on() {
    let t0 = start();
    let mut missing = three_missing(t0);
    assert_eq!(missing.round_trip(), None);
    missing.received(t0 + MS * 15, 2);
    assert_eq!(missing.round_trip(), None, "it came unasked");
    missing.due(t0 + MS * 20);
    missing.received(t0 + MS * 60, 3);
    assert_eq!(missing.round_trip(), Some(MS * 40));
    missing.received(t0 + MS * 140, 4);
    assert_eq!(missing.round_trip(), Some(MS * 50));
}

#[test]
fn a_request_names_at_most_200() {
    let t0 = start();
    let mut missing = Missing::restored(65_500);
    missing.received(t0, 65_500 + 301);
    let now = t0 + MS * 20;
    let first: Vec<u16> = (65_501..65_701_u32).map(|sequence| sequence as u16).collect();
    assert_eq!(missing.due(now), first);
    assert_eq!(missing.due(now).len(), 100);
    assert!(missing.due(now).is_empty());
}

#[test]
fn a_jump_beyond_the_encoders_history_asks_for_nothing() {
    let t0 = start();
    let mut missing = three_missing(t0);
    missing.received(t0, 5 + 513);
    assert!(missing.is_empty());
    missing.received(t0, 518 + 512);
    assert_eq!(missing.due(t0 + MS * 20).len(), 200);
}

#[test]
fn what_left_the_encoders_history_is_not_asked_for() {
    let t0 = start();
    let mut missing = three_missing(t0);
    for sequence in 6..=515 {
        missing.received(t0, sequence);
    }
    assert_eq!(missing.due(t0 + MS * 20), [3, 4]);
}

proptest! {
    #[test]
    fn it_stays_bounded_and_asks_only_for_what_is_missing(
        steps in prop::collection::vec((0_u64..700, 0_u64..3, 0_u64..60), 1..300),
    ) {
        let mut now = start();
        let mut missing = Missing::default();
        let mut seen = std::collections::HashSet::new();
        let mut highest = 70_000_u64;
        for (distance, direction, millis) in steps {
            now += MS * millis as u32;
            let sequence = if direction == 0 { highest + distance } else { highest - distance };
            highest = highest.max(sequence);
            seen.insert(sequence as u16);
            missing.received(now, sequence);
            prop_assert!(missing.holes.len() <= 512);
            let due = missing.due(now);
            prop_assert!(due.len() <= 200);
            prop_assert!(due.iter().all(|sequence| !seen.contains(sequence) || highest > 120_000));
        }
    }
}
