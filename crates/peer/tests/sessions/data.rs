//! Sessions with data channels, as far as the rest of a session is concerned. What SCTP does is tested where it is.

use std::time::Duration;

use whipcord_peer::stats::DropReason;

use crate::{
    bed::{Bed, address},
    publisher::Habits,
};

/// An INIT of SCTP (RFC 9260 section 3.3.2), from port 5000 to port 5000.
fn init() -> Vec<u8> {
    let mut packet = vec![0x13, 0x88, 0x13, 0x88, 0, 0, 0, 0, 0, 0, 0, 0];
    packet.extend([1, 0, 0, 20, 0, 0, 0, 77, 0, 1, 0, 0, 0, 16, 0, 16, 0, 0, 0, 9]);
    let checksum = crc32c::crc32c(&packet).to_le_bytes();
    packet[8..12].copy_from_slice(&checksum);
    packet
}

fn live(data: bool) -> Bed {
    Bed::live(Habits {
        data,
        ..Habits::default()
    })
}

#[test]
fn a_session_with_data_channels_is_pinned() {
    let mut bed = live(true);
    assert!(bed.mux.stats(bed.key).unwrap().data.is_some());
    assert!(bed.checkpoint().is_none(), "media flows, and yet it stays here");
    let mut bed = live(false);
    assert_eq!(bed.mux.stats(bed.key).unwrap().data, None);
    assert!(bed.checkpoint().is_some());
}

#[test]
fn application_data_is_taken_where_it_was_agreed_on_and_nowhere_else() {
    for agreed in [true, false] {
        let mut bed = live(agreed);
        let now = bed.now;
        bed.publisher.send_data(now, &init());
        let media = bed.media.len();
        bed.run(Duration::from_millis(500));
        // An INIT ACK is the second kind of chunk.
        let heard = &bed.publisher.heard;
        let answers: Vec<u8> = heard.data.iter().map(|packet| packet[12]).collect();
        assert_eq!(answers, if agreed { vec![2] } else { vec![] });
        assert_eq!(heard.dtls_after_completion, usize::from(agreed));
        assert!(bed.media.len() > media, "media goes on");
    }
}

#[test]
fn what_is_no_sctp_is_counted_as_dropped() {
    let mut bed = live(true);
    let now = bed.now;
    bed.publisher.send_data(now, &[0; 1100]);
    bed.run(Duration::from_millis(100));
    let dropped = bed.mux.stats(bed.key).unwrap().dropped;
    assert_eq!((dropped.count(DropReason::DataChannel), dropped.total()), (1, 1));
}

/// One check with a forged source moves a silent encoder's path: nothing that answers data goes there before SRTP has come from it.
#[test]
fn answers_go_to_no_address_that_only_a_check_has_named() {
    const ELSEWHERE: &str = "198.51.100.99:6000";
    let mut bed = live(true);
    bed.publisher.publishing = false;
    bed.run(Duration::from_secs(1));
    bed.publisher.address = address(ELSEWHERE);
    let check = bed.publisher.check(&bed.publisher.server.clone(), true);
    bed.receive(address(ELSEWHERE), check);
    let path = |bed: &Bed| bed.mux.stats(bed.key).unwrap().path.map(|path| path.remote);
    assert_eq!(path(&bed), Some(address(ELSEWHERE)));
    for publishing in [false, true] {
        bed.publisher.publishing = publishing;
        bed.run(Duration::from_millis(100));
        let now = bed.now;
        bed.publisher.send_data(now, &init());
        bed.run(Duration::from_millis(400));
        assert_eq!(!bed.publisher.heard.data.is_empty(), publishing);
    }
}

/// More than the budget and the queue take: what is dropped is counted, and no media is.
#[test]
fn a_flood_of_application_data_leaves_media_alone() {
    let mut bed = live(true);
    for _ in 0..100 {
        let now = bed.now;
        for _ in 0..100 {
            bed.publisher.send_data(now, &[0; 1100]);
        }
        bed.run(Duration::from_millis(10));
    }
    bed.run(Duration::from_millis(500));
    let sequences = bed.video_sequences();
    assert!(
        sequences.windows(2).all(|pair| pair[1] == pair[0] + 1),
        "no packet is missing"
    );
    assert!(bed.mux.stats(bed.key).unwrap().dropped.total() > 1000);
}
