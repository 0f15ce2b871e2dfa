//! Sound and picture together, by arrival and by sender reports.

use super::*;

/// How much later than it should the sound comes, in seconds, where frame i and audio frame j were made at the same time
/// and the last frames are compared.
fn sound_behind_picture(file: &Probed) -> f64 {
    let (video, audio) = (file.packets("v"), file.packets("a"));
    let made = |encoded: f64, packet: &Packet| packet.time - encoded;
    let video_shift = made(video_time(H264_FRAMES.len() - 1).as_secs_f64(), video.last().unwrap());
    let audio_shift = made(audio_time(OPUS_FRAMES.len() - 1).as_secs_f64(), audio.last().unwrap());
    audio_shift - video_shift
}

/// Video is encoded for 80 ms longer than audio.
fn with_slow_video() -> Vec<Sent> {
    let mut video = h264_packets(&H264_FRAMES, Aggregation::Single);
    video
        .iter_mut()
        .for_each(|packet| packet.arrival += Duration::from_millis(80));
    together(video, opus_packets(&OPUS_FRAMES))
}

/// Sender reports of both tracks at second `at`, arriving with the packets of that moment.
fn reports(recording: &mut Recording, at: u64, video_epoch: u64) {
    let ntp = |epoch: u64| (3_900_000_000 + epoch + at) << 32;
    let arrival = Duration::from_secs(at);
    let timestamp = video_timestamp(at as usize * FRAME_RATE as usize);
    let late = Duration::from_millis(80);
    recording.sender_report(
        VIDEO,
        SenderReport {
            ntp: ntp(video_epoch),
            timestamp,
            arrival: arrival + late,
        },
    );
    recording.sender_report(
        AUDIO,
        SenderReport {
            ntp: ntp(0),
            timestamp: audio_timestamp(at as usize * 50),
            arrival,
        },
    );
}

#[test]
fn sender_reports_take_out_the_encoders_delay() {
    let mut recording = Recording::new(&[H264, OPUS]).unwrap();
    reports(&mut recording, 0, 0);
    let file = record(&mut recording, with_slow_video());
    file.decodes();
    assert_close("sound behind picture", sound_behind_picture(&file), 0.0, 0.005);
}

#[test]
fn without_believable_sender_reports_arrival_decides() {
    for video_epoch in [None, Some(7_000)] {
        let mut recording = Recording::new(&[H264, OPUS]).unwrap();
        if let Some(epoch) = video_epoch {
            reports(&mut recording, 0, epoch);
        }
        let file = record(&mut recording, with_slow_video());
        file.decodes();
        assert_close("sound behind picture", sound_behind_picture(&file), -0.08, 0.005);
    }
}

#[test]
fn late_sender_reports_move_video_step_by_step() {
    let mut recording = Recording::new(&[H264, OPUS]).unwrap();
    let packets = with_slow_video();
    let (before, after): (Vec<_>, Vec<_>) = packets
        .into_iter()
        .partition(|p| p.arrival < Duration::from_millis(1_990));
    let mut chunks = sender::deliver_without_end(&mut recording, before);
    reports(&mut recording, 2, 0);
    chunks.extend(sender::deliver(&mut recording, after));
    let file = Probed::new(&bytes(&chunks), "mp4");
    file.decodes();
    let moved = sound_behind_picture(&file) + 0.08;
    assert!((0.01..=0.03).contains(&moved), "moved by {moved} in 2 s");
    for pair in file.packets("v").windows(2) {
        assert_close(
            "distance of frames",
            pair[1].time - pair[0].time,
            1.0 / f64::from(FRAME_RATE),
            0.0051,
        );
    }
}
