use std::time::Duration;

use super::Reception;
use crate::rtcp::tests::start;

const MS: Duration = Duration::from_millis(1);

#[test]
fn losses_are_counted_in_all_and_since_the_last_report() {
    let now = start();
    let mut reception = Reception::new(90_000, 65_530);
    for sequence in (65_530..65_540).filter(|sequence| *sequence != 65_533) {
        reception.received(now, sequence, 0);
    }
    let block = reception.block(now, 7);
    assert_eq!(
        (block.ssrc, block.lost, block.fraction_lost, block.highest),
        (7, 1, 25, 0x0001_0003)
    );
    assert_eq!((block.last_sender_report, block.delay), (0, 0));

    // Nothing since: no loss. The late one arrives: lost sinks, and a negative fraction is 0 (RFC 3550 §A.3).
    assert_eq!(reception.block(now, 7).fraction_lost, 0);
    reception.repaired(65_533);
    let block = reception.block(now, 7);
    assert_eq!((block.lost, block.fraction_lost), (0, 0));
    assert_eq!(
        (reception.lost(), reception.received_count(), reception.first()),
        (0, 10, 65_530)
    );
}

#[test]
fn all_lost_is_255_of_256() {
    let now = start();
    let mut reception = Reception::new(90_000, 0);
    reception.received(now, 0, 0);
    reception.block(now, 7);
    reception.received(now, 100_000, 0);
    let block = reception.block(now, 7);
    assert_eq!((block.fraction_lost, block.lost), (255, 99_999));
    reception.received(now, 20_000_000, 0);
    assert_eq!(reception.block(now, 7).lost, (1 << 23) - 1, "24 bits with a sign");
}

#[test]
fn a_packet_from_before_the_first_is_expected_too() {
    let now = start();
    let mut reception = Reception::new(90_000, 11);
    reception.received(now, 11, 0);
    reception.received(now, 9, 0);
    assert_eq!((reception.first(), reception.lost()), (9, 1));
}

#[test]
fn before_the_first_packet_nothing_is_expected() {
    let mut reception = Reception::new(90_000, 11);
    let block = reception.block(start(), 7);
    assert_eq!((block.lost, block.fraction_lost, reception.lost()), (0, 0, 0));
}

/// RFC 3550 §A.8, by hand: differences of 0, 90 and 90 ticks.
#[test]
fn jitter_is_the_smoothed_difference_of_transit_times() {
    let t0 = start();
    let mut reception = Reception::new(90_000, 0);
    // A packet each 10 ms (900 ticks) across the timestamp's wrap; the third comes 1 ms late, the fourth in time again.
    let first = u32::MAX - 1000;
    for (sequence, late) in [(0, 0), (1, 0), (2, 1), (3, 0)] {
        let now = t0 + MS * (10 * sequence + late);
        reception.received(now, u64::from(sequence), first.wrapping_add(900 * sequence));
    }
    // 90, then 90 + 90 - (98 >> 4) = 174; divided by 16.
    assert_eq!(reception.block(t0, 7).jitter, 174 >> 4);
}

#[test]
fn a_repair_does_not_disturb_the_jitter() {
    let t0 = start();
    let mut reception = Reception::new(90_000, 0);
    reception.received(t0, 0, 0);
    reception.received(t0 + MS * 20, 2, 1800);
    reception.repaired(1);
    assert_eq!(reception.block(t0, 7).jitter, 0);
}

#[test]
fn wild_timestamps_do_not_overflow() {
    let t0 = start();
    let mut reception = Reception::new(u32::MAX, 0);
    for sequence in 0..1000_u32 {
        let now = t0 + Duration::from_secs(u64::from(sequence) * 100_000);
        reception.received(now, u64::from(sequence), sequence.wrapping_mul(0x8000_0001));
    }
    assert!(reception.block(t0, 7).jitter > 0);
}

#[test]
fn the_last_sender_report_and_its_age_are_echoed() {
    let t0 = start();
    let mut reception = Reception::new(90_000, 0);
    reception.sender_report(t0, 0x1111_2222_3333_4444);
    let block = reception.block(t0 + MS * 1500, 7);
    assert_eq!((block.last_sender_report, block.delay), (0x2222_3333, 98_304));
}

#[test]
fn restored_it_goes_on_counting() {
    let now = start();
    let mut reception = Reception::restored(90_000, 100, 199, 90);
    assert_eq!(reception.lost(), 10);
    assert_eq!(
        reception.take_loss(),
        (0, 0),
        "what was lost before was reported before"
    );
    // Twenty are sent while nobody listens, then one arrives.
    reception.received(now, 220, 0);
    let block = reception.block(now, 7);
    assert_eq!((block.lost, block.fraction_lost), (30, (20 * 256 / 21) as u8));
    assert_eq!(reception.take_loss(), (20, 21));
    assert_eq!(reception.take_loss(), (0, 0));
}
