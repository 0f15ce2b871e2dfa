//! Packets out of order, twice, or never.

use super::*;

#[test]
fn reordered_and_retransmitted_packets_leave_no_trace() {
    let mut recording = Recording::new(&[H264, OPUS]).unwrap();
    let mut packets = together(
        h264_packets(&H264_FRAMES, Aggregation::Together),
        opus_packets(&OPUS_FRAMES),
    );
    let first = packets.iter().map(|packet| packet.sequence).min().unwrap();
    for (i, packet) in packets.iter_mut().enumerate() {
        // Every 7th comes 40 ms late, every 50th comes back by a retransmission, after 170 to 490 ms.
        packet.arrival += match i {
            _ if packet.sequence == first => Duration::ZERO,
            _ if i % 50 == 49 => Duration::from_millis(170 + (i as u64 * 7) % 320),
            _ if i % 7 == 3 => Duration::from_millis(40),
            _ => Duration::ZERO,
        };
    }
    let file = record(&mut recording, packets);
    file.decodes();
    assert_eq!(recording.stats().packets_lost, 0);
    assert_eq!(recording.stats().frames_dropped, 0);
    assert_eq!(file.frames("v"), H264_FRAMES.len() as u64);
    assert_eq!(file.packets("a").len(), OPUS_FRAMES.len());
    assert_gapless(&file.packets("v"), 1.0 / f64::from(FRAME_RATE));
}

#[test]
fn after_a_lost_packet_video_goes_on_at_the_next_keyframe() {
    let cases = [
        (H264, h264_packets(&H264_FRAMES, Aggregation::Single)),
        (VP8, vp8_packets(&VP8_FRAMES)),
    ];
    for (spec, mut video) in cases {
        let mut recording = Recording::new(&[spec, OPUS]).unwrap();
        // One packet of frame 40: frames 40 to 59 are gone.
        let lost = video
            .iter()
            .position(|packet| packet.timestamp == video_timestamp(40))
            .unwrap();
        video.remove(lost);
        let file = record(&mut recording, together(video, opus_packets(&OPUS_FRAMES)));
        file.decodes();
        assert_eq!(file.frames("v"), 100);
        assert_eq!(recording.stats().packets_lost, 1);
        // Frame 40 counts where a part of it came.
        assert!(
            (19..=20).contains(&recording.stats().frames_dropped),
            "{:?}",
            recording.stats()
        );
        assert_eq!(recording.take_keyframe_request(), Some(VIDEO));
        let packets = file.packets("v");
        assert_close("frame 60", packets[40].time, 2.0, 0.002);
        assert!(packets[40].keyframe);
        assert_eq!(file.packets("a").len(), OPUS_FRAMES.len(), "audio goes on");
    }
}
