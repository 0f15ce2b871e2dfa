//! Which track a packet belongs to, and what becomes of repairs, padding and duplicates.

use std::time::Duration;

use whipcord_peer::{Event, event::TrackId, stats::DropReason};

use crate::{
    bed::{Bed, ENCODER, Media, address},
    publisher::{Habits, RTX_SSRC, VIDEO_PT, VIDEO_SSRC},
    random::Random,
};

const VIDEO: TrackId = TrackId(1);

#[test]
fn tracks_are_told_apart_by_mid_by_announced_ssrc_or_by_payload_type() {
    for (mid_extension, announces_ssrcs) in [(true, false), (false, true), (false, false), (true, true)] {
        let mut bed = Bed::live(Habits {
            mid_extension,
            announces_ssrcs,
            ..Habits::default()
        });
        bed.run(Duration::from_millis(500));
        let mut tracks: Vec<_> = bed
            .events
            .iter()
            .filter_map(|event| match event {
                Event::Track { track, mid, ssrc, .. } => Some((*track, mid.clone(), *ssrc)),
                _ => None,
            })
            .collect();
        tracks.sort();
        let expected = [
            (TrackId(0), "0".to_owned(), 0x0a0a_0a0a),
            (VIDEO, "1".to_owned(), VIDEO_SSRC),
        ];
        assert_eq!(tracks, expected, "mid {mid_extension}, ssrc {announces_ssrcs}");
    }
}

#[test]
fn simulcast_layers_are_tracks_of_their_own() {
    let rids = &["hi", "mid", "lo"];
    let mut bed = Bed::live(Habits {
        rids,
        rtx: true,
        announces_ssrcs: false,
        ..Habits::default()
    });
    bed.run(Duration::from_millis(500));
    let layers: Vec<_> = bed
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Track {
                track, rid: Some(rid), ..
            } => Some((track.0, rid.as_str())),
            _ => None,
        })
        .collect();
    assert_eq!(layers, [(1, "hi"), (2, "mid"), (3, "lo")]);
}

#[test]
fn rtx_of_a_layer_known_only_by_its_repaired_rid_is_repaired() {
    let rids = &["hi", "lo"];
    let habits = Habits {
        rids,
        rtx: true,
        announces_ssrcs: false,
        ..Habits::default()
    };
    let mut bed = Bed::live(habits);
    let lost = bed.publisher.send_video(1, 500);
    while bed.publisher.poll_transmit().is_some() {}
    bed.publisher.send_video(1, 500);
    bed.publisher.send_rtx(1, lost);
    bed.run(Duration::from_millis(50));
    let found = bed
        .media
        .iter()
        .find(|media| media.track == TrackId(2) && media.sequence == lost);
    assert_eq!(
        found.map(|media| (media.ssrc, media.payload.clone())),
        Some((VIDEO_SSRC + 1, lost.to_be_bytes().to_vec()))
    );
}

/// As browsers send it: no SSRC is announced, not even of repairs.
#[test]
fn lost_packets_of_all_layers_come_back_by_rtx_whose_layer_its_repaired_rid_tells() {
    let habits = Habits {
        rids: &["q", "h", "f"],
        rtx: true,
        repairs: true,
        announces_ssrcs: false,
        ..Habits::default()
    };
    let mut bed = Bed::live(habits);
    bed.network.loss = 0.05;
    bed.run(Duration::from_secs(5));
    bed.network.loss = 0.0;
    bed.run(Duration::from_secs(2));
    assert!(bed.publisher.heard.nacks.len() > 30, "nothing was lost");
    let stats = bed.mux.stats(bed.key).expect("alive");
    for layer in 0..3 {
        let track = TrackId(1 + layer);
        let of_layer = bed.media.iter().filter(|media| media.track == track);
        let mut sequences: Vec<_> = of_layer.clone().map(|media| media.sequence).collect();
        let received = sequences.len();
        sequences.sort_unstable();
        sequences.dedup();
        assert_eq!(sequences.len(), received, "layer {layer}: a packet came out twice");
        let sent = bed.publisher.next[usize::from(layer)] - 1000;
        assert!(received as u64 >= sent - 2, "layer {layer}: {received} of {sent}");
        let ssrc = VIDEO_SSRC + u32::from(layer);
        let is_own = |media: &Media| media.ssrc == ssrc && media.payload.starts_with(&media.sequence.to_be_bytes());
        assert!(of_layer.clone().all(is_own), "layer {layer}: another's packet");
        let lost = stats.tracks[usize::from(track.0)].lost;
        assert!(lost <= 2, "layer {layer}: {lost} counted as lost");
    }
}

#[test]
fn a_lost_packet_comes_back_by_rtx_or_under_its_own_number_and_only_once() {
    for rtx in [true, false] {
        let mut bed = Bed::live(Habits {
            rtx,
            repairs: true,
            ..Habits::default()
        });
        bed.network.loss = 0.05;
        bed.run(Duration::from_secs(5));
        bed.network.loss = 0.0;
        bed.run(Duration::from_secs(2));
        let mut sequences = bed.video_sequences();
        let received = sequences.len();
        sequences.sort_unstable();
        sequences.dedup();
        assert_eq!(sequences.len(), received, "rtx {rtx}: a packet came out twice");
        let sent = bed.publisher.next[0] - 1000;
        assert!(
            sequences.len() as u64 >= sent - 2,
            "rtx {rtx}: {} of {sent}",
            sequences.len()
        );
        assert!(bed.publisher.heard.nacks.len() > 10, "rtx {rtx}: nothing was lost");
    }
}

#[test]
fn probing_by_rtx_duplicates_is_consumed_silently() {
    let mut bed = Bed::live(Habits {
        rtx: true,
        ..Habits::default()
    });
    let before = bed.mux.stats(bed.key).expect("alive").dropped.total();
    for sequence in 1001..1031 {
        bed.publisher.send_rtx(0, sequence);
    }
    bed.publisher.publishing = false;
    let media = bed.media.len();
    bed.run(Duration::from_millis(50));
    assert!(bed.media.len() <= media + 1, "a duplicate came out");
    assert_eq!(bed.mux.stats(bed.key).expect("alive").dropped.total(), before);
    assert!(
        !bed.events
            .iter()
            .any(|event| matches!(event, Event::Track { ssrc: RTX_SSRC, .. }))
    );
}

#[test]
fn padding_fills_its_place_in_the_sequence_and_carries_nothing() {
    let mut bed = Bed::live(Habits::default());
    bed.publisher.send_padding(0);
    let sequence = bed.publisher.next[0] - 1;
    bed.run(Duration::from_millis(50));
    let padding = bed
        .media
        .iter()
        .find(|media| media.sequence == sequence && media.track == VIDEO);
    assert_eq!(padding.map(|media| media.payload.len()), Some(0));
}

#[test]
fn a_packet_that_arrives_twice_comes_out_once() {
    let mut bed = Bed::live(Habits::default());
    bed.network.duplication = 1.0;
    bed.run(Duration::from_secs(1));
    let mut sequences = bed.video_sequences();
    let received = sequences.len();
    sequences.dedup();
    assert_eq!(sequences.len(), received);
    assert!(
        bed.mux
            .stats(bed.key)
            .expect("alive")
            .dropped
            .count(DropReason::Replayed)
            > 50
    );
}

#[test]
fn a_payload_type_that_was_not_negotiated_is_dropped() {
    let mut bed = Bed::live(Habits::default());
    let sequence = bed.publisher.next[0];
    bed.publisher.next[0] += 1;
    let packet = bed
        .publisher
        .rtp(VIDEO_SSRC, VIDEO_PT + 5, sequence, None, vec![1; 50], false);
    bed.receive(address(ENCODER), packet);
    let stranger = bed
        .publisher
        .rtp(0x5555_5555, VIDEO_PT + 5, 1, None, vec![1; 50], false);
    bed.receive(address(ENCODER), stranger);
    assert_eq!(
        bed.mux
            .stats(bed.key)
            .expect("alive")
            .dropped
            .count(DropReason::Unbound),
        2
    );
    assert!(
        !bed.media
            .iter()
            .any(|media| media.sequence == sequence && media.track == VIDEO)
    );
}

#[test]
fn a_stream_that_starts_just_before_its_sequence_wraps_and_loses_its_beginning_is_opened() {
    for first_sequence in [65_530, 65_535, 0, 32_768] {
        let mut bed = Bed::new(Habits {
            first_sequence,
            rate: 1000,
            ..Habits::default()
        });
        bed.publisher.publishing = false;
        assert!(bed.run_until(Duration::from_secs(1), |bed| bed.publisher.is_connected()));
        bed.run(Duration::from_millis(100));
        // 20 packets are sent and lost.
        bed.network.cut = true;
        bed.publisher.publishing = true;
        bed.run(Duration::from_millis(20));
        bed.network.cut = false;
        bed.run(Duration::from_secs(1));
        let (first, sent) = (bed.video_sequences()[0], u64::from(first_sequence));
        assert!(first >= sent + 15, "{first}, from {first_sequence}");
        assert_eq!(first > 0xffff, sent >= 65_530, "{first}, from {first_sequence}");
        let dropped = bed.mux.stats(bed.key).expect("alive").dropped;
        assert_eq!(dropped.count(DropReason::Unauthentic), 0, "from {first_sequence}");
        assert!(bed.video_sequences().len() > 900, "from {first_sequence}");
    }
}

/// Ten hours at 3000 packets per second are 108 million packets and 1648 wraps. Everything near a wrap is sent; between the
/// wraps only one packet in 8000 is, which is harder on the roll-over counter, not easier: the rest counts as lost.
#[test]
fn ten_hours_of_wraps_cost_no_packet_its_authentication() {
    let mut bed = Bed::new(Habits {
        first_sequence: 65_530,
        ..Habits::default()
    });
    assert!(bed.run_until(Duration::from_secs(1), |bed| bed.publisher.is_connected()));
    bed.publisher.publishing = false;
    let mut random = Random::new(9);
    let last = 65_530 + 10 * 3600 * 3000;
    let start = bed.now;
    // The first 20 packets are lost.
    let mut sequence: u64 = 65_530 + 20;
    let mut delayed: Option<(Vec<u8>, u64)> = None;
    let mut sent = 0u64;
    while sequence < last {
        let to_wrap = 65_536 - sequence % 65_536;
        let near = to_wrap <= 100 || to_wrap > 65_436;
        bed.now = start + Duration::from_micros((sequence - 65_530) * 1_000_000 / 3000);
        let packet = bed
            .publisher
            .rtp(VIDEO_SSRC, VIDEO_PT, sequence, Some(0), vec![1; 20], false);
        sent += 1;
        if near && delayed.is_none() && random.chance(0.02) {
            delayed = Some((packet, sequence + random.below(60)));
        } else {
            bed.receive(address(ENCODER), packet);
        }
        if let Some((packet, _)) = delayed.take_if(|(_, until)| !near || *until <= sequence) {
            bed.receive(address(ENCODER), packet);
        }
        let mut buffer = vec![];
        while bed.mux.poll_transmit(&mut buffer).is_some() {}
        sequence += if near { 1 } else { 8000.min(to_wrap - 100) };
    }
    let stats = bed.mux.stats(bed.key).expect("alive");
    assert_eq!(stats.dropped.total(), 0, "{:?}", stats.dropped);
    assert!(
        sent > 300_000 && stats.packets >= sent - 1,
        "{} of {sent}",
        stats.packets
    );
}

#[test]
fn an_encoder_that_changes_its_ssrc_again_and_again_is_still_heard() {
    let mut bed = Bed::live(Habits {
        announces_ssrcs: false,
        ..Habits::default()
    });
    bed.publisher.publishing = false;
    bed.events.clear();
    for n in 0..40 {
        // Long enough for the streams before it to make room.
        bed.now += Duration::from_secs(11);
        let ssrc = 0x2000_0000 + n;
        let packet = bed.publisher.rtp(ssrc, VIDEO_PT, 1, None, vec![1; 50], false);
        bed.receive(address(ENCODER), packet);
        let report = bed.publisher.sender_report(ssrc);
        bed.receive(address(ENCODER), report);
        bed.exchange();
    }
    let reports = bed
        .events
        .iter()
        .filter(|event| matches!(event, Event::SenderReport { .. }))
        .count();
    assert_eq!(reports, 40);
}
