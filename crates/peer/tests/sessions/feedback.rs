//! What an encoder hears from us, and how often.

use std::time::Duration;

use whipcord_peer::event::TrackId;

use crate::{
    bed::Bed,
    publisher::{AUDIO_SSRC, Habits, VIDEO_SSRC},
};

const RECEIVER_REPORT: u8 = 201;
const TRANSPORT_FEEDBACK: u8 = 205;
const PAYLOAD_FEEDBACK: u8 = 206;

fn count(bed: &Bed, packet_type: u8, format: u8) -> usize {
    bed.publisher
        .heard
        .compounds
        .iter()
        .flatten()
        .filter(|packet| **packet == (packet_type, format))
        .count()
}

#[test]
fn receiver_reports_come_each_second_and_name_every_stream() {
    let mut bed = Bed::live(Habits::default());
    bed.run(Duration::from_secs(10));
    let heard = &bed.publisher.heard;
    assert!((9..=11).contains(&heard.receiver_reports), "{}", heard.receiver_reports);
    for ssrc in [AUDIO_SSRC, VIDEO_SSRC] {
        assert!(heard.reported.iter().filter(|reported| **reported == ssrc).count() >= 9);
    }
    assert_eq!((heard.unauthentic, heard.replayed), (0, 0));
}

#[test]
fn transport_feedback_comes_each_100_ms_where_it_was_offered_and_remb_where_only_that_was() {
    for (transport_cc, remb, transports, remb_range) in [
        (true, true, 95..=105, 0..=0),
        (false, true, 0..=0, 18..=22),
        (false, false, 0..=0, 0..=0),
    ] {
        let mut bed = Bed::live(Habits {
            transport_cc,
            remb,
            rate: 300,
            ..Habits::default()
        });
        bed.publisher.heard = Default::default();
        bed.run(Duration::from_secs(10));
        let transport = count(&bed, TRANSPORT_FEEDBACK, 15);
        assert!(
            transports.contains(&transport),
            "transport-cc {transport_cc}: {transport}"
        );
        let rembs = count(&bed, PAYLOAD_FEEDBACK, 15);
        assert!(remb_range.contains(&rembs), "remb {remb}: {rembs}");
    }
}

#[test]
fn a_keyframe_is_asked_for_at_the_start_and_then_once_a_second_at_most() {
    let mut bed = Bed::live(Habits::default());
    assert_eq!(bed.publisher.heard.keyframe_requests, 1);
    for _ in 0..100 {
        bed.mux.request_keyframe(bed.key, TrackId(1));
        bed.run(Duration::from_millis(50));
    }
    assert!(
        (5..=6).contains(&bed.publisher.heard.keyframe_requests),
        "{}",
        bed.publisher.heard.keyframe_requests
    );
    bed.mux.request_keyframe(bed.key, TrackId(0));
    bed.run(Duration::from_secs(3));
    assert!(bed.publisher.heard.keyframe_requests <= 7, "audio has no keyframes");
    let counted = bed.mux.stats(bed.key).unwrap().keyframe_requests;
    assert_eq!(counted, bed.publisher.heard.keyframe_requests as u64);
}

#[test]
fn holes_are_asked_for_by_a_nack_that_is_alone_in_its_packet() {
    let mut bed = Bed::live(Habits {
        repairs: true,
        rate: 300,
        ..Habits::default()
    });
    bed.network.loss = 0.03;
    bed.run(Duration::from_secs(5));
    let nacks = bed
        .publisher
        .heard
        .compounds
        .iter()
        .filter(|types| types.contains(&(TRANSPORT_FEEDBACK, 1)));
    let nacks: Vec<_> = nacks.collect();
    assert!(nacks.len() > 10);
    assert!(nacks.iter().all(|types| types.len() == 1), "{nacks:?}");
    // Some were lost on their way.
    let sent = bed.mux.stats(bed.key).unwrap().nacks;
    assert!((nacks.len() as u64..2 * nacks.len() as u64).contains(&sent), "{sent}");
}

#[test]
fn nothing_is_asked_for_where_the_offer_has_no_nack() {
    let mut bed = Bed::live(Habits {
        nack: false,
        rate: 300,
        ..Habits::default()
    });
    bed.network.loss = 0.03;
    bed.run(Duration::from_secs(5));
    assert_eq!(bed.publisher.heard.nacks, Vec::<u16>::new());
}

#[test]
fn a_dead_encoder_history_is_not_asked_for_for_ever() {
    let mut bed = Bed::live(Habits {
        repairs: false,
        rate: 300,
        ..Habits::default()
    });
    bed.publisher.send_video(0, 100);
    while bed.publisher.poll_transmit().is_some() {}
    bed.run(Duration::from_secs(10));
    let asked = bed.publisher.heard.nacks.len();
    assert!((1..=12).contains(&asked), "{asked}");
}

#[test]
fn ffmpeg_gets_no_more_than_20_datagrams_a_second_whatever_is_lost() {
    let habits = Habits {
        session_name: "FFmpegPublishSession",
        setup: "passive",
        rate: 400,
        repairs: true,
        ..Habits::default()
    };
    let mut bed = Bed::live(habits);
    bed.network.loss = 0.1;
    bed.publisher.heard = Default::default();
    let start = bed.now;
    bed.run(Duration::from_secs(10));
    let arrivals = &bed.publisher.heard.rtcp_at;
    assert!(arrivals.len() > 50, "it must hear of its losses");
    for second in 0..10 {
        let from = start + Duration::from_secs(second);
        let arrived = arrivals
            .iter()
            .filter(|at| (from..from + Duration::from_secs(1)).contains(*at))
            .count();
        assert!(arrived <= 20, "{arrived} in second {second}");
    }
    assert!(count(&bed, RECEIVER_REPORT, 2) >= 5, "reports are not starved");
}
