//! What no SCTP sends, or only to do harm. The session's media must not notice, nor the memory.

use proptest::prelude::*;

use super::{
    client::open_message,
    hand::{Hand, chunk, data_chunk, init, init_with},
    *,
};

#[test]
fn a_message_is_taken_from_a_hand_made_packet() {
    let mut hand = Hand::connected(1000);
    hand.data(2, 0, 50, 3, &open_message(0, 0, "by hand"));
    hand.data(2, 1, 51, 3, b"hello");
    assert_eq!((hand.ours.stats().channels, hand.ours.stats().messages), (1, 1));
    assert_eq!(hand.ours.poll_opened().as_deref(), Some("by hand"));
}

/// They cost the window nothing, and memory.
#[test]
fn data_without_data_ends_the_association() {
    let mut hand = Hand::connected(1000);
    hand.data(2, 0, 51, 2, b"");
    assert!(!hand.is_open());
    assert_eq!(hand.ours.poll_timeout(), None);
    // It is over: another one is not begun.
    hand.tag = 0;
    hand.say(&[init(78, 1)]);
    assert_eq!(hand.last.len(), 0);
}

#[test]
fn a_stream_that_was_not_agreed_on_ends_the_association() {
    let mut hand = Hand::connected(1000);
    hand.data(STREAMS_MAX - 1, 0, 51, 3, b"the last one");
    assert!(hand.is_open());
    hand.data(STREAMS_MAX, 0, 51, 3, b"one more");
    assert!(!hand.is_open());
}

/// rtc-sctp counts to the number one by one: 2^31 would take seconds.
#[test]
fn a_forward_tsn_to_the_far_end_is_dropped() {
    for ahead in [1 << 12, 1 << 20, (1 << 31) - 1, 1 << 31] {
        let mut hand = Hand::connected(1000);
        hand.say(&[chunk(192, 0, &1000_u32.wrapping_add(ahead).to_be_bytes())]);
        hand.works();
        assert_eq!(hand.dropped, u64::from(ahead < 1 << 31), "{ahead}");
    }
}

/// One byte each, of a message that never ends: the window would hold 262,144 of them.
#[test]
fn fragments_without_end_are_bounded() {
    let mut hand = Hand::connected(1000);
    let counted = allocation_counter::measure(|| {
        hand.data(2, 0, 53, 2, &[1]);
        for _ in 0..20_000 {
            hand.data(2, 0, 53, 0, &[1]);
        }
    });
    assert!(counted.bytes_current < 1 << 20, "{counted:?}");
    assert!(hand.dropped > 19_000);
}

/// rtc-sctp looks at all that wait for each that arrives.
#[test]
fn fragments_that_wait_do_not_make_every_later_message_dear() {
    let mut hand = Hand::connected(1000);
    for _ in 0..480 {
        hand.data(2, 0, 53, 4, &[1]);
    }
    assert_eq!(hand.dropped, 0);
    let mut taken = 0;
    for _ in 0..1000 {
        let before = hand.dropped;
        let messages = (0..28).map(|n| data_chunk(hand.tsn + n, 4, 0, 53, 7, &[1]));
        hand.say(&messages.collect::<Vec<_>>());
        if hand.dropped == before {
            hand.tsn += 28;
            taken += 1;
        }
    }
    // 2^20 looks at once and in a second, of which each packet needs 28 × 480.
    assert!((100..=156).contains(&taken), "{taken} packets in 1 s");
    hand.pass(Duration::from_secs(1));
    hand.works();
}

/// A hole that is never filled, and whole messages behind it: those are counted, but their numbers cannot be forgotten.
#[test]
fn numbers_behind_a_hole_are_bounded() {
    let mut hand = Hand::connected(1000);
    hand.tsn += 1;
    let counted = allocation_counter::measure(|| {
        for _ in 0..20_000 {
            hand.data(2, 0, 53, 7, &[1; 1100]);
        }
    });
    assert!(counted.bytes_current < 4 << 20, "{counted:?}");
    assert!(hand.ours.stats().messages <= 1024);
    // Filling the hole makes room again.
    hand.tsn = 1000;
    hand.works();
    hand.pass(Duration::from_millis(300));
    hand.tsn = 1000 + hand.ours.stats().messages as u32;
    hand.works();
}

/// Each is remembered by rtc-sctp until the data before it has come.
#[test]
fn resets_that_come_too_early_are_dropped() {
    let mut hand = Hand::connected(1000);
    let counted = allocation_counter::measure(|| {
        for request in 0..5000_u32 {
            let mut reset = vec![0, 13, 0, 18];
            reset.extend(request.to_be_bytes());
            reset.extend([0; 4]);
            reset.extend(500_000_u32.to_be_bytes());
            reset.extend([0, 2]);
            hand.say(&[chunk(130, 0, &reset)]);
        }
    });
    assert_eq!(hand.dropped, 5000);
    assert!(counted.bytes_current < 100_000, "{counted:?}");
    hand.works();
}

/// rtc-sctp answers each HEARTBEAT, COOKIE ECHO and reset with a packet of its own, and each FORWARD TSN that it did not agree on: from
/// a forged address, 178 for one.
#[test]
fn no_packet_is_answered_with_many() {
    let heartbeat = chunk(4, 0, &[0, 1, 0, 4]);
    let forward = chunk(192, 0, &999_u32.to_be_bytes());
    let reset = |request: u32| {
        let mut body = vec![0, 13, 0, 18];
        body.extend(request.to_be_bytes());
        body.extend([0; 4]);
        body.extend(999_u32.to_be_bytes());
        body.extend([0, 2]);
        chunk(130, 0, &body)
    };
    let silent = &[0x80, 0x08, 0, 5, 130, 0, 0, 0];
    for parameters in [&[0x80, 0x08, 0, 6, 130, 192, 0, 0][..], silent] {
        let (mut hand, cookie_echo) = Hand::connected_by(&init_with(77, 1000, parameters), 1000, false);
        let negotiated = parameters != silent;
        for (name, chunks, answers) in [
            ("HEARTBEAT", vec![heartbeat.clone()], 1),
            ("HEARTBEATs", vec![heartbeat.clone(); 178], 0),
            ("COOKIE ECHO", vec![cookie_echo.clone()], 1),
            ("COOKIE ECHOs", vec![cookie_echo; 39], 0),
            ("FORWARD TSN", vec![forward.clone()], usize::from(negotiated)),
            ("FORWARD TSNs", vec![forward.clone(); 178], 0),
            ("RE-CONFIGs", vec![reset(1), reset(2)], 2),
            ("many RE-CONFIGs", (3..50).map(reset).collect(), 0),
        ] {
            let before = hand.dropped;
            hand.say(&chunks);
            let expected = (answers, u64::from(answers == 0));
            assert_eq!(
                (hand.last.len(), hand.dropped - before),
                expected,
                "{name} {negotiated}"
            );
        }
        hand.works();
    }
}

#[test]
fn heartbeats_and_cookies_are_answered_a_few_times_a_second() {
    let (mut hand, cookie_echo) = Hand::connected_by(&init(77, 1000), 1000, false);
    let mut answers = 0;
    for round in 0..2000 {
        let one = if round % 2 == 0 {
            chunk(4, 0, &[0, 1, 0, 4])
        } else {
            cookie_echo.clone()
        };
        hand.say(&[one]);
        answers += hand.last.len();
    }
    // 16 at once, less the one that connected, and 4 per second.
    assert!((15..=24).contains(&answers), "{answers} in 2 s");
    hand.works();
    hand.pass(Duration::from_secs(1));
    hand.say(&[chunk(4, 0, &[0, 1, 0, 4])]);
    assert_eq!(hand.last.len(), 1, "there is a budget again");
}

#[test]
fn a_repeated_init_gets_the_same_answer_and_another_one_its_own() {
    let now = Instant::now();
    let mut hand = Hand {
        now,
        ours: Sctp::new(Role::Server, data(5000, false)),
        tag: 0,
        tsn: 5,
        last: vec![],
        dropped: 0,
    };
    hand.say(&[init(77, 5)]);
    let first = hand.last.clone();
    hand.say(&[init(77, 5)]);
    assert_eq!(hand.last, first);
    hand.say(&[init(78, 5)]);
    let (tag, cookie) = hand.accepted();
    assert_ne!(hand.last, first);
    hand.tag = tag;
    hand.say(&[chunk(10, 0, &cookie)]);
    assert!(hand.is_open());
    // Restarting an association is not WebRTC's: whoever connected is left alone.
    hand.tag = 0;
    hand.say(&[init(79, 5)]);
    assert_eq!(hand.last.len(), 0);
    hand.tag = tag;
    hand.works();
}

#[test]
fn numbers_may_wrap() {
    let mut hand = Hand::connected(u32::MAX - 2);
    for number in 0..4 {
        hand.data(2, number, 53, 3, b"whole");
        hand.pass(Duration::from_millis(300));
    }
    assert_eq!(hand.ours.stats().messages, 4);
}

/// Over for the channels; the session does not end by it. rtc-sctp reads causes of an abort or an error that are said to be longer than
/// they are, and panics.
#[test]
fn an_abort_ends_the_association_and_an_error_does_not() {
    for causes in [&[][..], &[0, 12, 0, 4], &[0, 12, 3, 232]] {
        let mut hand = Hand::connected(1000);
        hand.say(&[chunk(9, 0, causes)]);
        hand.works();
        hand.say(&[chunk(6, 0, causes)]);
        assert!(!hand.is_open());
        assert_eq!((hand.ours.stats().channels, hand.ours.poll_timeout()), (0, None));
    }
}

/// rtc-sctp goes by what a chunk holds and not by its length, and takes what is left for another chunk.
#[test]
fn no_chunk_hides_in_another() {
    let hidden = data_chunk(1001, 2, 0, 51, 3, b"hidden");
    let beat = [0, 1, 0, 4];
    let response = [&[0, 16, 0, 20][..], &[0; 16]].concat();
    let hosts: [(u8, &[u8]); 6] = [
        (11, &[]),
        (8, &[]),
        (3, &[0; 12]),
        (4, &beat),
        (130, &response),
        (192, &[0, 0, 0, 1, 7]),
    ];
    for (kind, body) in hosts {
        let mut hand = Hand::connected(1000);
        hand.works();
        let host = chunk(kind, 0, &[body, &hidden[..]].concat());
        hand.say(&[host]);
        assert_eq!((hand.ours.stats().messages, hand.dropped), (1, 1), "{kind}");
        hand.works();
    }
}

fn arbitrary_chunk() -> impl Strategy<Value = Vec<u8>> {
    let kinds = prop_oneof![Just(0), Just(1), Just(3), Just(130), Just(192), 0..16_u8, any::<u8>()];
    let bodies = prop::collection::vec(prop_oneof![Just(0_u8), 0..8_u8, any::<u8>()], 0..64);
    // Numbers near the expected ones reach further.
    let near = (990..1100_u32).prop_map(|tsn| tsn.to_be_bytes().to_vec());
    let starts = prop_oneof![near, Just(vec![])];
    (kinds, any::<u8>(), starts, bodies, any::<u8>()).prop_map(|(kind, flags, start, body, cut)| {
        let mut chunk = chunk(kind, flags & 0x0F, &[start, body].concat());
        if cut < 20 {
            chunk[3] = chunk[3].wrapping_add(cut);
        }
        chunk
    })
}

proptest! {
    /// With a right checksum and tag, before and after the handshake.
    #[test]
    fn any_packets_are_survived(
        connected in any::<bool>(),
        echo in any::<bool>(),
        packets in prop::collection::vec(prop::collection::vec(arbitrary_chunk(), 0..4), 1..40),
    ) {
        let mut hand = Hand::connected_with(1000, echo);
        if !connected {
            hand.ours = Sctp::new(Role::Client, data(5000, echo));
            hand.ours.begin(hand.now);
            let began = hand.ours.poll_transmit().unwrap();
            hand.tag = packet::chunks(&began).next().unwrap().unwrap().word(0).unwrap();
        }
        for chunks in packets {
            hand.say(&chunks);
            hand.now += Duration::from_millis(700);
            hand.ours.handle_timeout(hand.now);
        }
    }

    #[test]
    fn any_bytes_are_survived(packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 1..10)) {
        let mut ours = Sctp::new(Role::Server, data(5000, true));
        for packet in packets {
            let _ = ours.receive(Instant::now(), &packet.into());
        }
        prop_assert!(matches!(ours.stage, Stage::Waiting));
    }

    #[test]
    fn openings_are_read_within_the_message(message in prop::collection::vec(any::<u8>(), 0..200), length in 0..300_usize) {
        drop(dcep::Open::parse(&message));
        let mut opening = open_message(0, 0, &"é".repeat(length));
        let open = dcep::Open::parse(&opening).unwrap();
        prop_assert_eq!(open.label, "é".repeat(length.min(64)));
        if opening.pop().is_some() && length > 0 {
            prop_assert_eq!(dcep::Open::parse(&opening), None);
        }
    }
}
