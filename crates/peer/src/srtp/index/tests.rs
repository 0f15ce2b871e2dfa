use proptest::prelude::*;

use super::estimate;

#[test]
fn the_nearest_index_wins_and_none_lies_before_zero() {
    const WRAP: u64 = 1 << 16;
    let table: &[(u64, u16, u64)] = &[
        // In order, reordered, repeated.
        (0, 1, 1),
        (100, 101, 101),
        (100, 99, 99),
        (100, 100, 100),
        // Across the first roll-over, both ways.
        (65_535, 0, WRAP),
        (65_530, 14, WRAP + 14),
        (WRAP, 65_535, 65_535),
        (WRAP + 14, 65_530, 65_530),
        // No roll-over counter before 0.
        (0, 65_535, 65_535),
        (5, 65_530, 65_530),
        (32_767, 65_535, 65_535),
        // At exactly half the range the counter stays.
        (0, 32_768, 32_768),
        (WRAP, 32_768, WRAP + 32_768),
        (32_768, 0, 0),
        (WRAP + 32_768, 0, WRAP),
        // One beyond half.
        (WRAP, 32_769, 32_769),
        (WRAP + 32_769, 0, 2 * WRAP),
        // Late in a long session.
        ((0xffff << 16) | 0xffff, 0, 0x1_0000 << 16),
        ((0xffff_ffff << 16) | 7, 8, (0xffff_ffff << 16) | 8),
    ];
    for &(highest, sequence, index) in table {
        assert_eq!(
            estimate(highest, sequence),
            index,
            "highest {highest}, sequence {sequence}"
        );
    }
}

proptest! {
    #[test]
    fn whatever_is_less_than_half_the_range_away_is_found(highest in 0..1_u64 << 48, distance in -32_767_i64..32_768) {
        if let Some(index) = highest.checked_add_signed(distance) {
            prop_assert_eq!(estimate(highest, index as u16), index);
        }
    }
}
