use std::collections::HashSet;

use proptest::prelude::*;

use super::{Replay, WINDOW};

#[test]
fn an_index_is_accepted_once() {
    let mut replay = Replay::new();
    for index in [10, 12, 11, 9, 0] {
        assert!(replay.check(index), "{index} is new");
        replay.commit(index);
        assert!(!replay.check(index), "{index} was seen");
    }
    assert!(replay.check(8));
    assert_eq!(replay.highest(), Some(12));
}

#[test]
fn a_check_alone_changes_nothing() {
    let mut replay = Replay::new();
    replay.commit(1);
    let before = replay.clone();
    assert!(replay.check(1 << 40));
    assert_eq!(replay, before);
}

#[test]
fn what_left_the_window_is_refused() {
    let mut replay = Replay::new();
    replay.commit(5 * WINDOW);
    assert!(replay.check(4 * WINDOW + 1));
    assert!(!replay.check(4 * WINDOW));
    assert!(!replay.check(0));
    replay.commit(3 * WINDOW + 1);
    assert_eq!(replay.highest(), Some(5 * WINDOW));
    assert!(
        replay.check(4 * WINDOW + 1),
        "an index outside the window marks none inside"
    );
}

#[test]
fn a_jump_beyond_the_window_clears_it() {
    for jump in [WINDOW - 1, WINDOW, WINDOW + 1, 10 * WINDOW + 3] {
        let mut replay = Replay::new();
        for index in 0..WINDOW {
            replay.commit(index);
        }
        let highest = WINDOW - 1 + jump;
        replay.commit(highest);
        for index in highest - (WINDOW - 1)..highest {
            assert_eq!(
                replay.check(index),
                index >= WINDOW,
                "index {index} after a jump of {jump}"
            );
        }
    }
}

#[test]
fn restored_without_a_bitmap_all_below_counts_as_seen() {
    let replay = Replay::from_highest(70_000);
    assert!(!replay.check(70_000));
    assert!(!replay.check(69_999));
    assert!(!replay.check(0));
    assert!(replay.check(70_001));
}

#[test]
fn restored_from_its_parts_it_is_the_same() {
    let mut replay = Replay::new();
    for index in [65_000, 65_003, 70_001, 70_000, 68_500] {
        replay.commit(index);
    }
    assert_eq!(Replay::from_parts(70_001, replay.words()), Some(replay));
    assert_eq!(Replay::from_parts(70_001, &[0; 31]), None);
}

proptest! {
    #[test]
    fn it_agrees_with_a_set_and_a_window(steps in prop::collection::vec((0_u64..3 * WINDOW, 0_u64..200), 1..400)) {
        let mut replay = Replay::new();
        let mut seen = HashSet::new();
        let mut highest: Option<u64> = None;
        let mut base = 0;
        for (back, forward) in steps {
            base += forward;
            let index = (base + 2 * WINDOW).saturating_sub(back);
            let within = highest.is_none_or(|highest| index > highest || highest - index < WINDOW);
            let new = within && !seen.contains(&index);
            prop_assert_eq!(replay.check(index), new);
            if new {
                replay.commit(index);
                seen.insert(index);
                highest = highest.max(Some(index));
            }
        }
    }
}
