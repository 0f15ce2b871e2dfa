use proptest::prelude::*;

use super::*;

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn ntp(micros: i64) -> u64 {
    let micros = (3_900_000_000_000_000 + micros) as u128;
    ((micros << 32) / 1_000_000) as u64
}

/// Extended times relative to the first.
fn extend(rate: u32, packets: &[(u32, u64)]) -> Vec<i64> {
    let mut clock = Clock::new(rate);
    packets
        .iter()
        .map(|(timestamp, at)| clock.extend(*timestamp, millis(*at)).wrapping_sub(BEGINNING) as i64)
        .collect()
}

#[test]
fn time_goes_on_where_timestamps_wrap() {
    let packets = [
        (u32::MAX - 2999, 0),
        (0, 33),
        (3000, 67),
        (u32::MAX - 2999, 70),
        (6000, 100),
    ];
    assert_eq!(extend(90_000, &packets), [0, 3000, 6000, 0, 9000]);
}

#[test]
fn a_pause_of_the_encoder_is_a_pause_of_its_track() {
    assert_eq!(
        extend(48_000, &[(0, 0), (960, 20), (48_000 * 3600, 3_600_000)]),
        [0, 960, 48_000 * 3600]
    );
}

#[test]
fn a_clock_that_jumps_goes_on_by_arrival() {
    let forward = [(1000, 0), (1960, 20), (3_000_000_000, 40), (3_000_000_960, 60)];
    assert_eq!(extend(48_000, &forward), [0, 960, 1920, 2880]);
    let backward = [(3_000_000_000, 0), (3_000_000_960, 20), (1000, 1020), (1960, 1040)];
    assert_eq!(extend(48_000, &backward), [0, 960, 48_960, 49_920]);
    let stopped = [(0, 0), (960, 20), (1920, 10_020), (2880, 10_040)];
    assert_eq!(extend(48_000, &stopped), [0, 960, 480_960, 481_920]);
    let same_moment = [(0, 20), (2_000_000_000, 20)];
    assert_eq!(extend(48_000, &same_moment), [0, 1], "time never stands still");
}

#[test]
fn a_burst_after_an_outage_is_no_jump() {
    let burst = [(0, 0), (960, 3000), (1920, 3001), (2880, 3002), (144_000, 3003)];
    assert_eq!(extend(48_000, &burst), [0, 960, 1920, 2880, 144_000]);
}

/// Ten seconds of both tracks. Video is `late` on arrival; every tenth packet of both is delayed by jitter.
fn pair(late: u64) -> (Clock, Clock) {
    let (mut audio, mut video) = (Clock::new(48_000), Clock::new(90_000));
    for i in 0..500 {
        let jitter = if i % 10 == 0 { 0 } else { 30 };
        audio.extend(777_000 + 960 * i as u32, millis(20 * i + jitter));
        video.extend(123_000 + 1800 * i as u32, millis(20 * i + jitter + late));
    }
    (audio, video)
}

/// Relative to the skew of two clocks that begin together.
fn skew(lip_sync: &LipSync, audio: &Clock, video: &Clock) -> i64 {
    let (audio_zero, video_zero) = (BEGINNING as i64 * 1000 / 48, BEGINNING as i64 * 1000 / 90);
    lip_sync.skew(audio, video).unwrap() - (audio_zero - video_zero)
}

/// A report of second 9, whose NTP time is off by `error` microseconds.
fn report_of(rate: u32, base: u32, error: i64) -> SenderReport {
    SenderReport {
        ntp: ntp(9_000_000 + error),
        timestamp: base + 9 * rate,
        arrival: millis(10_000),
    }
}

#[test]
fn without_sender_reports_the_fastest_packets_decide() {
    let (audio, video) = pair(80);
    assert_eq!(skew(&LipSync::default(), &audio, &video), 80_000);
}

#[test]
fn tracks_without_packets_do_not_compare() {
    let (audio, _) = pair(0);
    assert_eq!(LipSync::default().skew(&audio, &Clock::new(90_000)), None);
}

#[test]
fn sender_reports_refine_where_they_are_plausible() {
    // Error of video's NTP time; expected skew, both in microseconds.
    let cases = [
        (0, 0),
        (50_000, 50_000),
        (-1_900_000, -1_900_000),
        (3_000_000, 80_000),
        (i64::from(u32::MAX) * 60, 80_000),
    ];
    for (error, expected) in cases {
        let (mut audio, mut video) = pair(80);
        let mut lip_sync = LipSync::default();
        audio.report(report_of(48_000, 777_000, 0));
        lip_sync.compare(&audio, &video);
        video.report(report_of(90_000, 123_000, error));
        lip_sync.compare(&audio, &video);
        let found = skew(&lip_sync, &audio, &video);
        // NTP fractions and clock units do not divide evenly.
        assert!((found - expected).abs() <= 30, "{found} instead of {expected}");
    }
}

#[test]
fn a_report_of_another_time_is_ignored() {
    let (mut audio, mut video) = pair(80);
    let mut lip_sync = LipSync::default();
    audio.report(report_of(48_000, 777_000, 0));
    video.report(SenderReport {
        timestamp: 123_000 + 90_000 * 7,
        ..report_of(90_000, 123_000, 0)
    });
    lip_sync.compare(&audio, &video);
    assert_eq!(skew(&lip_sync, &audio, &video), 80_000);
}

#[test]
fn one_wrong_report_among_others_does_no_harm() {
    let (mut audio, mut video) = pair(80);
    let mut lip_sync = LipSync::default();
    audio.report(report_of(48_000, 777_000, 0));
    for error in [0, 1_000, 1_500_000, -1_000, 0] {
        video.report(report_of(90_000, 123_000, error));
        lip_sync.compare(&audio, &video);
    }
    assert!(skew(&lip_sync, &audio, &video).abs() <= 30);
}

#[test]
fn clocks_that_drift_apart_are_followed() {
    let (mut audio, mut video) = (Clock::new(48_000), Clock::new(90_000));
    // Video's clock is fast by 100 ppm, for an hour.
    for second in 0..3600 {
        audio.extend(second * 48_000, Duration::from_secs(second.into()));
        video.extend(second * 90_009, Duration::from_secs(second.into()));
    }
    let found = skew(&LipSync::default(), &audio, &video);
    assert!(
        (-366_000..=-353_000).contains(&found),
        "{found}: 360 ms and up to 6 ms behind"
    );
}

proptest! {
    #[test]
    fn no_timestamps_or_times_overflow(
        packets in prop::collection::vec((any::<u32>(), any::<u64>(), any::<u64>(), any::<u32>()), 1..50),
        rate in any::<u32>(),
    ) {
        let (mut audio, mut video) = (Clock::new(rate), Clock::new(90_000));
        let mut lip_sync = LipSync::default();
        for (timestamp, arrival, ntp, report) in packets {
            let arrival = Duration::from_micros(arrival);
            audio.extend(timestamp, arrival);
            video.extend(timestamp.rotate_left(7), arrival);
            audio.report(SenderReport { ntp, timestamp: report, arrival });
            video.report(SenderReport { ntp: !ntp, timestamp, arrival });
            lip_sync.compare(&audio, &video);
            lip_sync.skew(&audio, &video);
        }
    }
}
