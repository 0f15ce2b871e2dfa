use super::*;

fn packet(track: u8, sequence: u64, payload: &[u8]) -> Packet<'_> {
    Packet {
        track: TrackId(track),
        ssrc: 1,
        sequence,
        timestamp: 90,
        marker: true,
        payload,
    }
}

fn push(tap: &mut Tap, track: u8, sequence: u64, bytes: usize) -> Pushed {
    tap.push(
        &packet(track, sequence, &vec![sequence as u8; bytes]),
        Duration::from_millis(sequence),
    )
}

/// Everything in the feed, shortly: `p{track}:{sequence}`, `g{track}`.
fn drain(feed: &mut Feed) -> Vec<String> {
    let mut items = Vec::new();
    while let Some(item) = feed.pop() {
        items.push(match item {
            Item::Packet {
                track,
                sequence,
                payload,
                ..
            } => {
                assert!(payload.iter().all(|byte| *byte == sequence as u8));
                format!("p{}:{sequence}", track.0)
            }
            Item::Gap { track } => format!("g{}", track.0),
            Item::Track { track, section } => format!("t{}:{section}", track.0),
            Item::SenderReport { track, .. } => format!("s{}", track.0),
        });
    }
    items
}

#[test]
fn every_field_reaches_the_sink() {
    let (mut tap, mut feed) = tap(4096);
    let arrival = Duration::from_nanos(123_456_789_012);
    tap.announce(TrackId(3), 1);
    let sent = Packet {
        sequence: 1 << 40,
        timestamp: u32::MAX,
        marker: false,
        ..packet(3, 0, b"payload")
    };
    assert_eq!(tap.push(&sent, arrival), Pushed::Taken);
    tap.sender_report(TrackId(3), u64::MAX - 1, 77, arrival);
    assert_eq!(
        feed.pop(),
        Some(Item::Track {
            track: TrackId(3),
            section: 1
        })
    );
    let expected = Item::Packet {
        track: TrackId(3),
        sequence: 1 << 40,
        timestamp: u32::MAX,
        marker: false,
        arrival,
        payload: b"payload",
    };
    assert_eq!(feed.pop(), Some(expected));
    let expected = Item::SenderReport {
        track: TrackId(3),
        ntp: u64::MAX - 1,
        timestamp: 77,
        arrival,
    };
    assert_eq!(feed.pop(), Some(expected));
    assert_eq!(feed.pop(), None);
}

#[test]
fn a_sink_that_does_not_keep_up_loses_its_own_packets_and_is_told_of_the_gap() {
    let (mut tap, mut feed) = tap(4096);
    let taken = (0..)
        .take_while(|n| push(&mut tap, 0, *n, 500) == Pushed::Taken)
        .count() as u64;
    assert_eq!(taken, (4096 - RESERVE as u64) / (500 + HEADER as u64));
    assert_eq!(
        push(&mut tap, 1, 100, 10),
        Pushed::Lost,
        "also what would fit: a torn frame helps nobody"
    );
    assert_eq!(tap.packets_lost(), 2);
    tap.announce(TrackId(2), 0);
    let mut expected: Vec<String> = (0..taken).map(|n| format!("p0:{n}")).collect();
    expected.push("t2:0".into());
    assert_eq!(drain(&mut feed), expected, "a track is announced even into a full ring");
    assert_eq!(push(&mut tap, 0, 101, 500), Pushed::Resumed);
    assert_eq!(push(&mut tap, 0, 102, 500), Pushed::Taken);
    assert_eq!(
        push(&mut tap, 1, 103, 500),
        Pushed::Resumed,
        "each track has its own gap"
    );
    assert_eq!(drain(&mut feed), ["g0", "p0:101", "p0:102", "g1", "p1:103"]);
    assert_eq!(tap.packets_lost(), 2);
}

#[test]
fn media_resumes_only_when_half_the_ring_is_free() {
    let (mut tap, mut feed) = tap(8192);
    while push(&mut tap, 0, 1, 500) != Pushed::Lost {}
    let mut popped = 0;
    while push(&mut tap, 0, 2, 500) == Pushed::Lost {
        assert!(feed.pop().is_some());
        popped += 500 + HEADER;
    }
    // Less the slack that the reserve and a packet's size leave.
    assert!(popped > 8192 / 2 - RESERVE - 2 * 528, "{popped}");
}

#[test]
fn the_ring_is_used_over_and_over_by_two_threads() {
    const PACKETS: u64 = 200_000;
    let (mut tap, mut feed) = tap(1 << 14);
    let writer = std::thread::spawn(move || {
        (0..PACKETS)
            .filter(|n| push(&mut tap, 0, *n, (*n % 1300) as usize) != Pushed::Lost)
            .count() as u64
    });
    let (mut read, mut last) = (0, None);
    loop {
        let closed = feed.is_closed();
        while let Some(item) = feed.pop() {
            let Item::Packet { sequence, payload, .. } = item else {
                continue;
            };
            assert!(payload.len() as u64 == sequence % 1300 && payload.iter().all(|byte| *byte == sequence as u8));
            assert!(last.is_none_or(|last| last < sequence));
            last = Some(sequence);
            read += 1;
        }
        if closed {
            break;
        }
    }
    assert_eq!(
        writer.join().unwrap(),
        read,
        "what was taken arrives, also after the tap is gone"
    );
}

#[test]
fn a_sink_asks_for_keyframes_by_track() {
    let (mut tap, feed) = tap(4096);
    assert_eq!(tap.take_keyframe_requests().count(), 0);
    feed.request_keyframe(TrackId(0));
    feed.request_keyframe(TrackId(5));
    feed.request_keyframe(TrackId(200));
    assert_eq!(
        tap.take_keyframe_requests().collect::<Vec<_>>(),
        [TrackId(0), TrackId(5)]
    );
    assert_eq!(tap.take_keyframe_requests().count(), 0);
}
