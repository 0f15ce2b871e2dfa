use proptest::prelude::*;

use super::*;

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn packet(number: u64, arrival: Duration) -> Packet {
    Packet {
        timestamp: number as u32,
        marker: false,
        payload: vec![number as u8; 10],
        arrival,
    }
}

/// What comes out by `now`: numbers of packets, negative for the size of a hole.
fn drain(reorder: &mut Reorder, now: Duration) -> Vec<i64> {
    let release = |released| match released {
        Released::Packet(packet) => i64::from(packet.timestamp),
        Released::Gap { packets } => -(packets as i64),
    };
    std::iter::from_fn(|| reorder.poll(now)).map(release).collect()
}

/// One that has released packets up to `last`.
fn running(last: u64) -> Reorder {
    let mut reorder = Reorder::default();
    reorder.push(last, packet(last, millis(0)));
    assert_eq!(drain(&mut reorder, START_WAIT), [0, last as i64]);
    reorder
}

#[test]
fn the_first_packet_waits_for_ones_before_it() {
    let mut reorder = Reorder::default();
    assert_eq!(reorder.push(7, packet(7, millis(0))), Pushed::Held);
    assert_eq!(reorder.push(5, packet(5, millis(60))), Pushed::Held);
    assert_eq!(reorder.push(6, packet(6, millis(70))), Pushed::Held);
    assert_eq!(drain(&mut reorder, millis(159)), []);
    assert_eq!(drain(&mut reorder, millis(160)), [0, 5, 6, 7]);
}

#[test]
fn packets_come_out_in_sequence() {
    let mut reorder = running(10);
    for number in [12, 13, 11, 15, 14] {
        assert_eq!(reorder.push(number, packet(number, millis(200))), Pushed::Held);
    }
    assert_eq!(drain(&mut reorder, millis(200)), [11, 12, 13, 14, 15]);
}

#[test]
fn a_hole_is_waited_for_and_then_given_up() {
    let mut reorder = running(10);
    reorder.push(13, packet(13, millis(1000)));
    assert_eq!(drain(&mut reorder, millis(1509)), []);
    assert_eq!(drain(&mut reorder, millis(1510)), [-2, 13]);
    assert_eq!(reorder.push(12, packet(12, millis(1520))), Pushed::Late);
    assert_eq!(reorder.push(13, packet(13, millis(1520))), Pushed::Late);
    assert_eq!(reorder.push(14, packet(14, millis(1520))), Pushed::Held);
    assert_eq!(drain(&mut reorder, millis(1520)), [14]);
}

#[test]
fn a_repair_within_the_wait_closes_the_hole() {
    let mut reorder = running(10);
    reorder.push(12, packet(12, millis(1000)));
    reorder.push(11, packet(11, millis(1500)));
    assert_eq!(drain(&mut reorder, millis(1500)), [11, 12]);
}

#[test]
fn duplicates_are_refused() {
    let mut reorder = running(10);
    reorder.push(12, packet(12, millis(0)));
    assert_eq!(reorder.push(12, packet(99, millis(0))), Pushed::Duplicate);
    reorder.push(11, packet(11, millis(0)));
    assert_eq!(drain(&mut reorder, millis(0)), [11, 12]);
}

#[test]
fn a_full_buffer_gives_the_hole_up_at_once() {
    let mut by_count = running(10);
    for number in 0..=PACKETS_MAX as u64 {
        by_count.push(12 + number, packet(12 + number, millis(1000)));
    }
    assert_eq!(drain(&mut by_count, millis(1000)).len(), PACKETS_MAX + 2);

    let mut by_size = running(10);
    for number in 0..=(BYTES_MAX as u64 >> 16) {
        by_size.push(
            12 + number,
            Packet {
                payload: vec![0; 1 << 16],
                ..packet(12 + number, millis(1000))
            },
        );
    }
    assert_eq!(drain(&mut by_size, millis(1000))[..2], [-1, 12]);
}

#[test]
fn a_new_numbering_is_taken_up() {
    let mut far = running(1 << 20);
    assert_eq!(far.push(5, packet(5, millis(1000))), Pushed::Held);
    assert_eq!(drain(&mut far, millis(1100)), [0, 5]);

    // Closer, it could be late packets, unless nothing else comes.
    let mut near = running(1000);
    for step in 0..50 {
        let (number, now) = (500 + step, millis(2000 + 20 * step));
        assert_eq!(near.push(number, packet(number, now)), Pushed::Late);
    }
    assert_eq!(near.push(550, packet(550, millis(3000))), Pushed::Held);
    assert_eq!(drain(&mut near, millis(3100)), [0, 550]);
}

#[test]
fn late_packets_among_others_do_not_start_a_new_numbering() {
    let mut reorder = running(1000);
    for step in 1..100 {
        let now = millis(1000 + 50 * step);
        assert_eq!(reorder.push(500 + step, packet(500 + step, now)), Pushed::Late);
        assert_eq!(reorder.push(1000 + step, packet(1000 + step, now)), Pushed::Held);
        assert_eq!(drain(&mut reorder, now), [1000 + step as i64]);
    }
}

proptest! {
    #[test]
    fn any_order_within_the_wait_is_restored(delays in prop::collection::vec(0_u64..100, 1..200)) {
        let mut packets: Vec<_> = delays.iter().enumerate().map(|(i, delay)| (i as u64 * 10 + delay, i as u64)).collect();
        packets.sort_unstable();
        let mut reorder = Reorder::default();
        let mut out = Vec::new();
        for (arrival, number) in packets {
            reorder.push(65_500 + number, packet(number, millis(arrival)));
            out.extend(drain(&mut reorder, millis(arrival)));
        }
        out.extend(drain(&mut reorder, Duration::MAX));
        let expected: Vec<_> = [0].into_iter().chain(0..delays.len() as i64).collect();
        prop_assert_eq!(out, expected);
    }

    #[test]
    fn limits_hold_for_any_numbers(numbers in prop::collection::vec((any::<u64>(), 0_usize..70_000), 1..300)) {
        let mut reorder = Reorder::default();
        for (i, (number, size)) in numbers.into_iter().enumerate() {
            let now = millis(i as u64);
            reorder.push(number, Packet { payload: vec![0; size], ..packet(0, now) });
            drain(&mut reorder, now);
            prop_assert!(reorder.held.len() <= PACKETS_MAX && reorder.bytes <= BYTES_MAX);
            prop_assert_eq!(reorder.bytes, reorder.held.values().map(|packet| packet.payload.len()).sum::<usize>());
        }
    }
}
