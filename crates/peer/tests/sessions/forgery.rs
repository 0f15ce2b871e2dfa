//! What strangers can do: nothing, and at no cost in memory.

use std::time::Duration;

use proptest::prelude::*;
use whipcord_peer::{Path, Received, stats::DropReason};

use crate::{
    bed::{Bed, ENCODER, SERVER, address},
    publisher::{AUDIO_SSRC, Habits, VIDEO_PT, VIDEO_SSRC},
    random::Random,
};

/// From the encoder's own address, so that every one of them reaches the session: known and unknown SSRCs, SRTCP, every sequence number.
#[test]
fn ten_million_forged_packets_allocate_nothing_and_the_media_among_them_loses_nothing() {
    const FORGED: usize = 10_000_000;
    const GENUINE_EVERY: usize = 10_000;
    let mut bed = Bed::live(Habits::default());
    bed.publisher.publishing = false;
    bed.run(Duration::from_millis(100));
    let genuine: Vec<Vec<u8>> = (0..FORGED / GENUINE_EVERY)
        .map(|_| {
            bed.publisher.send_video(0, 40);
            bed.publisher.poll_transmit().expect("just sent")
        })
        .collect();
    let (now, path) = (bed.now, Path::udp(address(SERVER), address(ENCODER)));
    let mux = &mut bed.mux;
    let mut random = Random::new(5);
    let mut forge = |datagram: &mut [u8; 64]| {
        let word = random.next();
        datagram.fill(0x5a);
        datagram[0] = 0x80;
        datagram[1] = if word & 15 == 0 { 200 } else { VIDEO_PT };
        datagram[2..4].copy_from_slice(&(word as u16).to_be_bytes());
        let ssrc = match word >> 16 & 3 {
            0 => VIDEO_SSRC,
            1 => AUDIO_SSRC,
            _ => (word >> 32) as u32,
        };
        datagram[8..12].copy_from_slice(&ssrc.to_be_bytes());
    };
    let mut datagram = [0; 64];
    forge(&mut datagram);
    mux.receive(now, path, &mut datagram);
    let mut opened = 0;
    let mut one = genuine;
    let allocations = allocation_counter::measure(|| {
        for n in 0..FORGED {
            forge(&mut datagram);
            assert!(matches!(mux.receive(now, path, &mut datagram), Received::Nothing));
            if n % GENUINE_EVERY == 0 {
                opened += usize::from(matches!(
                    mux.receive(now, path, &mut one[n / GENUINE_EVERY]),
                    Received::Media { .. }
                ));
            }
        }
    });
    assert_eq!(allocations.count_total, 0);
    assert_eq!(opened, FORGED / GENUINE_EVERY);
    let dropped = bed.mux.stats(bed.key).expect("alive").dropped;
    assert!(dropped.total() as usize > FORGED, "{dropped:?}");
    assert!(
        dropped.count(DropReason::RateLimited) > 0,
        "unknown SSRCs are held to a budget"
    );
}

#[test]
fn forged_packets_from_unknown_addresses_cost_no_memory_and_few_trials() {
    let mut bed = Bed::live(Habits::default());
    bed.publisher.publishing = false;
    let now = bed.now;
    let mut random = Random::new(6);
    for n in 0..100_000u32 {
        let mut datagram = [0x5a; 80];
        datagram[..2].copy_from_slice(&[0x80, VIDEO_PT]);
        datagram[2..4].copy_from_slice(&(random.next() as u16).to_be_bytes());
        datagram[8..12].copy_from_slice(&VIDEO_SSRC.to_be_bytes());
        let from = address(&format!("203.0.113.{}:{}", n % 250, 1024 + n % 60_000));
        bed.mux.receive(now, Path::udp(address(SERVER), from), &mut datagram);
    }
    let dropped = bed.mux.dropped();
    assert!(dropped.count(DropReason::UnknownAddress) <= 101, "{dropped:?}");
    assert!(dropped.count(DropReason::RateLimited) >= 99_000, "{dropped:?}");
}

/// From the encoder's own address again: only there does DTLS reach the session.
#[test]
fn dtls_that_is_not_looked_at_is_counted() {
    const REPEATED: usize = 1000;
    let mut bed = Bed::live(Habits::default());
    let before = bed.mux.stats(bed.key).expect("alive").dropped;
    bed.receive(address(ENCODER), vec![22, 254, 253, 0, 0]);
    // A ChangeCipherSpec, as the encoder's last flight has it.
    for _ in 0..REPEATED {
        bed.receive(address(ENCODER), vec![20, 254, 253, 0, 0, 0, 0, 0, 0, 0, 9, 0, 1, 1]);
    }
    let dropped = bed.mux.stats(bed.key).expect("alive").dropped;
    let counted = |reason| dropped.count(reason) - before.count(reason);
    assert_eq!(counted(DropReason::Malformed), 1);
    assert!(counted(DropReason::RateLimited) as usize > REPEATED - 50, "{dropped:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_datagram_whatever_panics_or_ends_a_session(
        datagrams in proptest::collection::vec((any::<bool>(), proptest::collection::vec(any::<u8>(), 0..200)), 1..40)
    ) {
        let mut bed = Bed::new(Habits::default());
        bed.run(Duration::from_millis(12));
        for (known, datagram) in datagrams {
            let from = if known { ENCODER } else { "203.0.113.1:1" };
            bed.receive(address(from), datagram);
        }
        bed.run(Duration::from_millis(100));
        prop_assert!(bed.mux.stats(bed.key).is_some());
    }

    /// Authentic but arbitrary: what a hostile encoder with good keys can send.
    #[test]
    fn no_content_under_good_keys_panics(
        packets in proptest::collection::vec(
            (any::<u32>(), 0u8..128, any::<u64>(), proptest::collection::vec(any::<u8>(), 0..100)), 1..60
        )
    ) {
        let mut bed = Bed::live(Habits { rtx: true, transport_cc: true, ..Habits::default() });
        for (ssrc, payload_type, sequence, payload) in packets {
            let ssrc = if ssrc % 2 == 0 { VIDEO_SSRC } else { ssrc };
            let packet = bed.publisher.rtp(ssrc, payload_type, sequence % (1 << 17), Some(0), payload, false);
            bed.receive(address(ENCODER), packet);
        }
        bed.run(Duration::from_secs(2));
        prop_assert!(bed.mux.stats(bed.key).is_some());
    }
}
