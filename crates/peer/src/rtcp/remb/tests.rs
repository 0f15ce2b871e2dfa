use std::time::{Duration, Instant};

use super::Estimate;
use crate::rtcp::tests::start;

/// Updates twice a second for `seconds`, while `bits_per_second` arrive and `lost` of 1000 packets are lost.
fn run(estimate: &mut Estimate, now: &mut Instant, seconds: u32, bits_per_second: usize, lost: u64) -> u64 {
    let mut last = 0;
    for _ in 0..2 * seconds {
        *now += Duration::from_millis(500);
        estimate.received(bits_per_second / 16);
        last = estimate.update(*now, lost, 1000);
    }
    last
}

#[test]
fn without_loss_it_grows_by_8_percent_per_second() {
    let mut now = start();
    let mut estimate = Estimate::new(now);
    assert_eq!(run(&mut estimate, &mut now, 1, 10_000_000, 0), 5_408_000);
    assert_eq!(
        run(&mut estimate, &mut now, 60, 40_000_000, 0),
        50_000_000,
        "its ceiling"
    );
}

#[test]
fn moderate_loss_holds_it_and_heavy_loss_shrinks_it() {
    let mut now = start();
    let mut estimate = Estimate::new(now);
    for lost in [20, 50, 100] {
        assert_eq!(
            run(&mut estimate, &mut now, 5, 10_000_000, lost),
            5_000_000,
            "{lost} of 1000 lost"
        );
    }
    now += Duration::from_millis(500);
    estimate.received(1 << 20);
    assert_eq!(estimate.update(now, 200, 1000), 4_500_000);
    assert_eq!(run(&mut estimate, &mut now, 60, 10_000_000, 500), 300_000, "its floor");
    now += Duration::from_millis(500);
    assert_eq!(estimate.update(now, 2000, 1000), 300_000);
}

#[test]
fn it_is_at_most_twice_what_arrives_but_lets_a_quiet_encoder_rise() {
    let mut now = start();
    let mut estimate = Estimate::new(now);
    assert_eq!(run(&mut estimate, &mut now, 20, 2_000_000, 0), 4_000_000);
    assert_eq!(run(&mut estimate, &mut now, 20, 100_000, 0), 2_500_000);
}

#[test]
fn without_packets_or_time_it_stays() {
    let now = start();
    let mut estimate = Estimate::new(now);
    assert_eq!(estimate.update(now + Duration::from_secs(60), 0, 0), 5_000_000);
    assert_eq!(estimate.update(now, 500, 1000), 5_000_000);
}

#[test]
fn a_pause_is_not_made_up_for() {
    let now = start();
    let mut estimate = Estimate::new(now);
    estimate.received(1 << 30);
    assert_eq!(estimate.update(now + Duration::from_secs(60), 0, 1000), 5_400_000);
}
