use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use rtc_rtcp::transport_feedbacks::transport_layer_cc::{
    PacketStatusChunk, StatusChunkTypeTcc, SymbolSizeTypeTcc, SymbolTypeTcc, TransportLayerCc,
};

use super::Arrivals;
use crate::rtcp::tests::start;

const MS: Duration = Duration::from_millis(1);

fn feedback(arrivals: &mut Arrivals) -> Vec<u8> {
    let mut out = Vec::new();
    arrivals.feedback(&mut out, 1, 2);
    assert!(out.len() <= 1180 && out.len().is_multiple_of(4), "{} bytes", out.len());
    out
}

/// What another implementation reads: (sequence number, arrival in ticks of 250 us, or None for lost), and the count.
fn oracle(packet: &[u8]) -> (Vec<(u16, Option<i64>)>, u8) {
    let mut packets = rtc_rtcp::packet::unmarshal(&mut Bytes::copy_from_slice(packet)).unwrap();
    assert_eq!(packets.len(), 1);
    let packet = packets.remove(0);
    let packet = packet.as_any().downcast_ref::<TransportLayerCc>().unwrap();
    assert_eq!((packet.sender_ssrc, packet.media_ssrc), (1, 2));
    let mut symbols = Vec::new();
    for chunk in &packet.packet_chunks {
        match chunk {
            PacketStatusChunk::RunLengthChunk(run) => {
                assert_eq!(run.type_tcc, StatusChunkTypeTcc::RunLengthChunk);
                symbols.extend(vec![run.packet_status_symbol; run.run_length.into()]);
            }
            PacketStatusChunk::StatusVectorChunk(vector) => {
                let n = if vector.symbol_size == SymbolSizeTypeTcc::OneBit {
                    14
                } else {
                    7
                };
                assert_eq!(vector.symbol_list.len(), n);
                symbols.extend(&vector.symbol_list);
            }
        }
    }
    assert!(symbols.len() >= packet.packet_status_count.into());
    symbols.truncate(packet.packet_status_count.into());
    let mut at = i64::from(packet.reference_time) * 256;
    let mut deltas = packet.recv_deltas.iter();
    let mut statuses = Vec::new();
    for (offset, symbol) in symbols.into_iter().enumerate() {
        let arrival = (symbol != SymbolTypeTcc::PacketNotReceived).then(|| {
            let delta = deltas.next().expect("a delta for each packet received");
            assert_eq!(delta.type_tcc_packet, symbol);
            at += delta.delta / 250;
            at
        });
        statuses.push((packet.base_sequence_number.wrapping_add(offset as u16), arrival));
    }
    assert!(deltas.next().is_none(), "no delta too many");
    (statuses, packet.fb_pkt_count)
}

#[test]
fn a_feedback_is_written_byte_for_byte() {
    let t0 = start();
    let mut arrivals = Arrivals::default();
    // 65,534 at 0, 0 at 1 ms, 1 at 80 ms, 65,535 is lost.
    arrivals.record(t0, 65_534);
    arrivals.record(t0 + MS, 0);
    arrivals.record(t0 + MS * 80, 1);
    #[rustfmt::skip]
    assert_eq!(feedback(&mut arrivals), [
        0xaf, 205, 0, 6, 0, 0, 0, 1, 0, 0, 0, 2,
        0xff, 0xfe, 0, 4, // base 65,534, 4 statuses
        0, 0, 0, 0, // reference time 0, feedback 0
        0b1101_0001, 0b1000_0000, // two bits each: small, lost, small, large
        0, 4, 0x01, 0x3c, // 0, 1 ms, 79 ms
        0, 2, // padding
    ]);
    assert!(arrivals.is_empty());
    assert!(feedback(&mut arrivals).is_empty(), "nothing since");
}

#[test]
fn the_reference_time_and_the_count_go_on() {
    let t0 = start();
    let mut arrivals = Arrivals::default();
    for n in 0..300_u16 {
        let now = t0 + MS * 100 * u32::from(n);
        arrivals.record(now, n);
        assert_eq!(
            oracle(&feedback(&mut arrivals)),
            (vec![(n, Some(400 * i64::from(n)))], n as u8)
        );
    }
}

#[test]
fn nothing_recorded_is_nothing_to_say() {
    assert!(feedback(&mut Arrivals::default()).is_empty());
}

#[test]
fn losses_between_two_feedbacks_are_reported() {
    let t0 = start();
    let mut arrivals = Arrivals::default();
    arrivals.record(t0, 10);
    feedback(&mut arrivals);
    arrivals.record(t0 + MS, 13);
    assert_eq!(
        oracle(&feedback(&mut arrivals)).0,
        [(11, None), (12, None), (13, Some(4))]
    );
}

#[test]
fn a_packet_later_than_its_feedback_is_reported_alone() {
    let t0 = start();
    let mut arrivals = Arrivals::default();
    for sequence in [10, 11, 14, 15] {
        arrivals.record(t0, sequence);
    }
    feedback(&mut arrivals);
    arrivals.record(t0 + MS, 12);
    arrivals.record(t0 + MS * 2, 13);
    arrivals.record(t0 + MS * 3, 9);
    arrivals.record(t0 + MS * 4, 16);
    assert_eq!(oracle(&feedback(&mut arrivals)).0, [(9, Some(12))]);
    assert_eq!(oracle(&feedback(&mut arrivals)).0, [(12, Some(4)), (13, Some(8))]);
    assert_eq!(oracle(&feedback(&mut arrivals)).0, [(16, Some(16))]);
    assert!(arrivals.is_empty());
}

#[test]
fn a_packet_recorded_twice_is_reported_at_its_first_arrival() {
    let t0 = start();
    let mut arrivals = Arrivals::default();
    arrivals.record(t0, 10);
    arrivals.record(t0 + MS, 10);
    assert_eq!(oracle(&feedback(&mut arrivals)).0, [(10, Some(0))]);
}

#[test]
fn a_jump_of_30_000_is_a_new_numbering_and_not_a_loss() {
    let t0 = start();
    for jump in [30_000_u16, 8192, 30_000_u16.wrapping_neg()] {
        let mut arrivals = Arrivals::default();
        arrivals.record(t0, 100);
        arrivals.record(t0, 100_u16.wrapping_add(jump));
        let (statuses, _) = oracle(&feedback(&mut arrivals));
        assert_eq!(statuses, [(100_u16.wrapping_add(jump), Some(0))]);
        arrivals.record(t0, 101_u16.wrapping_add(jump));
        assert_eq!(oracle(&feedback(&mut arrivals)).0.len(), 1);
    }
}

#[test]
fn the_widest_gap_is_one_chunk() {
    let t0 = start();
    let mut arrivals = Arrivals::default();
    arrivals.record(t0, 0);
    arrivals.record(t0, 8191);
    let packet = feedback(&mut arrivals);
    assert_eq!(packet.len(), 28);
    assert_eq!(
        oracle(&packet).0.iter().filter(|status| status.1.is_none()).count(),
        8190
    );
}

#[test]
fn many_wide_gaps_are_split_before_the_status_count_overflows() {
    let t0 = start();
    let mut arrivals = Arrivals::default();
    let numbers: Vec<u16> = (0..12).map(|n: u32| (n * 8000) as u16).collect();
    for number in &numbers {
        arrivals.record(t0, *number);
    }
    let mut received = Vec::new();
    while !arrivals.is_empty() {
        let statuses = oracle(&feedback(&mut arrivals)).0;
        assert!(statuses.len() <= 1 << 15);
        received.extend(
            statuses
                .into_iter()
                .filter(|status| status.1.is_some())
                .map(|status| status.0),
        );
    }
    assert_eq!(received, numbers);
}

#[test]
fn a_pause_longer_than_a_delta_can_say_begins_another_packet() {
    let t0 = start();
    let mut arrivals = Arrivals::default();
    arrivals.record(t0, 0);
    arrivals.record(t0 + MS * 8191, 1);
    arrivals.record(t0 + MS * 16_383, 2);
    assert_eq!(oracle(&feedback(&mut arrivals)).0.len(), 2);
    assert_eq!(oracle(&feedback(&mut arrivals)).0, [(2, Some(65_532))]);
}

#[test]
fn a_second_of_a_fast_stream_fits_few_datagrams() {
    let t0 = start();
    let mut arrivals = Arrivals::default();
    for n in 0..800_u16 {
        arrivals.record(t0 + Duration::from_micros(125) * u32::from(n), n);
    }
    assert_eq!(
        oracle(&feedback(&mut arrivals)).0.len(),
        800,
        "100 ms at 8,000 packets per second"
    );
    assert!(arrivals.is_empty());
}

#[test]
fn without_feedback_it_keeps_the_newest() {
    let t0 = start();
    let mut arrivals = Arrivals::default();
    for n in 0..20_000_u16 {
        arrivals.record(t0, n.wrapping_mul(3));
        assert!(arrivals.pending.len() <= 2048);
    }
    let mut reported = Vec::new();
    while !arrivals.is_empty() {
        reported.extend(oracle(&feedback(&mut arrivals)).0);
    }
    assert_eq!(reported.iter().filter(|status| status.1.is_some()).count(), 2048);
    assert_eq!(reported.last().map(|status| status.0), Some(19_999_u16.wrapping_mul(3)));
}

/// Takes every feedback there is; nothing may be reported received twice, or lost after it was reported received.
fn drain(arrivals: &mut Arrivals, reported: &mut BTreeMap<u16, i64>) -> Result<(), TestCaseError> {
    while !arrivals.is_empty() {
        for (sequence, arrival) in oracle(&feedback(arrivals)).0 {
            match arrival {
                Some(arrival) => prop_assert_eq!(reported.insert(sequence, arrival), None),
                None => prop_assert!(!reported.contains_key(&sequence)),
            }
        }
    }
    Ok(())
}

proptest! {
    /// Through loss, reordering, gaps, wraps and pauses.
    #[test]
    fn every_arrival_is_reported_once_at_its_time(
        first: u16,
        steps in prop::collection::vec(
            (prop_oneof![9 => 1_u64..3, 1 => 1_u64..300], 0_u64..40, prop_oneof![20 => 0_u64..3000, 1 => 0_u64..9_000_000]),
            1..1200,
        ),
        each in 1_usize..1300,
    ) {
        let epoch = start();
        let mut arrivals = Arrivals::default();
        let (mut sequence, mut micros) = (u64::from(first), 0);
        let mut sent = BTreeMap::new();
        let mut reported = BTreeMap::new();
        for (n, (step, back, pause)) in steps.into_iter().enumerate() {
            sequence += step;
            let late = if back < 5 { sequence.saturating_sub(back * 7).max(first.into()) } else { sequence };
            if n > 0 {
                micros += pause;
            }
            // No number is sent twice.
            if sent.contains_key(&(late as u16)) {
                continue;
            }
            sent.insert(late as u16, (micros / 250) as i64);
            arrivals.record(epoch + Duration::from_micros(micros), late as u16);
            if n % each == 0 {
                drain(&mut arrivals, &mut reported)?;
            }
        }
        drain(&mut arrivals, &mut reported)?;
        prop_assert_eq!(reported, sent);
    }

    #[test]
    fn arbitrary_numbers_at_any_time_stay_bounded(
        packets in prop::collection::vec((any::<u16>(), 0_u64..20_000), 1..500),
    ) {
        let mut now = start();
        let mut arrivals = Arrivals::default();
        for (sequence, millis) in packets {
            now += Duration::from_millis(millis);
            arrivals.record(now, sequence);
        }
        let mut packets = 0;
        while !arrivals.is_empty() {
            oracle(&feedback(&mut arrivals));
            packets += 1;
            prop_assert!(packets <= 500);
        }
    }
}
