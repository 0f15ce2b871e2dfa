use super::*;

const TRACK: TrackId = TrackId(3);

fn count(meter: &mut Meter, timestamp: u32, bytes: usize, now: Instant) {
    let payload = vec![1; bytes];
    let packet = Packet {
        track: TRACK,
        ssrc: 1,
        sequence: 1,
        timestamp,
        marker: false,
        payload: &payload,
    };
    meter.count(&packet, now);
}

/// One second of 25 pictures in two packets of 500 bytes each, from this timestamp on; then a tick.
fn second(meter: &mut Meter, first: u32, begin: Instant) -> Flow {
    for picture in 0..25 {
        let timestamp = first.wrapping_add(picture * 3600);
        count(meter, timestamp, 500, begin);
        // The last packet of the picture before comes late.
        count(meter, timestamp.wrapping_sub(3600), 500, begin);
    }
    let end = begin + Duration::from_secs(1);
    meter.tick(end);
    meter.flow(TRACK, end)
}

#[test]
fn rates_are_of_the_last_second_and_a_picture_counts_once() {
    let begin = Instant::now();
    let mut meter = Meter::new(Codec::Vp8, begin);
    assert!(!meter.flow(TRACK, begin).active);
    // Across the wrap, and then with another clock, as after a change of SSRC.
    for (n, first) in [u32::MAX - 40_000, 50_000, 3_000_000_000].into_iter().enumerate() {
        let flow = second(&mut meter, first, begin + Duration::from_secs(n as u64));
        let expected = Flow {
            track: TRACK,
            bitrate_bps: 200_000,
            frames_per_second: 25.0,
            active: true,
            keyframes: 0,
            keyframe_age: None,
            size: None,
        };
        assert_eq!(flow, expected, "second {n}");
    }
}

#[test]
fn a_track_is_inactive_after_two_seconds_of_silence_or_padding() {
    let begin = Instant::now();
    let at = |ms| begin + Duration::from_millis(ms);
    let mut meter = Meter::new(Codec::Vp8, begin);
    second(&mut meter, 1, begin);
    for ms in (40..3000).step_by(40) {
        count(&mut meter, 4_000_000, 0, at(ms));
    }
    assert!(meter.flow(TRACK, at(1999)).active);
    assert!(!meter.flow(TRACK, at(2000)).active);
    meter.tick(at(2000));
    let flow = meter.flow(TRACK, at(2000));
    assert_eq!((flow.bitrate_bps, flow.frames_per_second), (0, 0.0));
    count(&mut meter, 4_000_000, 10, at(3000));
    assert!(meter.flow(TRACK, at(3000)).active);
}

/// Made by x264 and libvpx.
const SPS_320: &[u8] = b"\x67\x42\xc0\x0d\xda\x05\x07\xec\x04\x40\x00\x00\x03\x00\x40\x00\x00\x0f\x03\xc5\x0a\xa8";
const VP8_320: &[u8] = b"\x10\x10\x02\x00\x9d\x01\x2a\x40\x01\xf0\x00\x00";
const VP8_160: &[u8] = b"\x10\x10\x02\x00\x9d\x01\x2a\xa0\x00\x78\x00\x00";

fn carry(meter: &mut Meter, timestamp: u32, payload: &[u8], now: Instant) -> Option<(u32, u32)> {
    let packet = Packet {
        track: TRACK,
        ssrc: 1,
        sequence: 1,
        timestamp,
        marker: false,
        payload,
    };
    meter.count(&packet, now);
    meter.flow(TRACK, now).size.map(|size| (size.width, size.height))
}

#[test]
fn the_size_is_what_the_last_keyframe_told() {
    let begin = Instant::now();
    let at = |ms| begin + Duration::from_millis(ms);
    let mut meter = Meter::new(Codec::Vp8, begin);
    assert_eq!(carry(&mut meter, 1, &[0x10, 0x11, 0, 0], at(0)), None);
    assert_eq!(carry(&mut meter, 3001, VP8_320, at(40)), Some((320, 240)));
    assert_eq!(carry(&mut meter, 6001, &[0x10, 0x11, 0, 0], at(80)), Some((320, 240)));
    // A moment after the other: with the next keyframe.
    assert_eq!(carry(&mut meter, 9001, VP8_160, at(120)), Some((320, 240)));
    assert_eq!(carry(&mut meter, 12_001, VP8_160, at(160)), Some((160, 120)));
    // A late packet is of a picture that was counted.
    assert_eq!(carry(&mut meter, 9001, VP8_320, at(400)), Some((160, 120)));
    let broken = [&VP8_160[..7], &[0; 5]].concat();
    assert_eq!(carry(&mut meter, 15_001, &broken, at(800)), None, "of no sides");
}

#[test]
fn a_parameter_set_before_the_keyframe_tells_its_size() {
    let begin = Instant::now();
    let mut meter = Meter::new(Codec::H264, begin);
    for payload in [&[0x09, 0xf0][..], &[0x06, 0x05]] {
        assert_eq!(carry(&mut meter, 3001, payload, begin), None);
    }
    assert_eq!(carry(&mut meter, 3001, SPS_320, begin), Some((320, 240)));
    assert_eq!(carry(&mut meter, 3001, &[0x65, 0x88], begin), Some((320, 240)));
    // Behind the keyframe nothing is looked at.
    let mut meter = Meter::new(Codec::H264, begin);
    carry(&mut meter, 3001, &[0x65, 0x88], begin);
    assert_eq!(carry(&mut meter, 3001, SPS_320, begin), None);
}

#[test]
fn a_keyframe_is_seen_once_whatever_comes_before_its_first_slice() {
    let begin = Instant::now();
    let at = |ms| begin + Duration::from_millis(ms);
    let mut meter = Meter::new(Codec::H264, begin);
    let mut send = |timestamp, payload: &[u8], ms| {
        let packet = Packet {
            track: TRACK,
            ssrc: 1,
            sequence: 1,
            timestamp,
            marker: false,
            payload,
        };
        meter.count(&packet, at(ms));
        let flow = meter.flow(TRACK, at(1000));
        (flow.keyframes, flow.keyframe_age)
    };
    // A slice that needs another picture.
    assert_eq!(send(1, &[0x41, 0x9a], 0), (0, None));
    // A delimiter, parameter sets, SEI, and the two fragments of an IDR slice.
    let keyframe: [&[u8]; 6] = [
        &[0x09, 0xf0],
        &[0x67, 0x42],
        &[0x68, 0xce],
        &[0x06, 0x05],
        &[0x7c, 0x85],
        &[0x7c, 0x45],
    ];
    let seen = keyframe.map(|payload| send(3001, payload, 40));
    let none = (0, None);
    let one = (1, Some(Duration::from_millis(960)));
    assert_eq!(seen, [none, none, none, none, one, one]);
    assert_eq!(send(6001, &[0x41, 0x9a], 80), one);
    assert_eq!(send(9001, &[0x65, 0x88], 120), (2, Some(Duration::from_millis(880))));
}

/// Sent in the order of these times, the packet of each third lost and repaired later.
fn backward(codec: Codec, times: &[u32]) -> u64 {
    let begin = Instant::now();
    let mut meter = Meter::new(codec, begin);
    let mut send = |(sequence, time): (u64, u32)| {
        let packet = Packet {
            track: TRACK,
            ssrc: 1,
            sequence,
            timestamp: time.wrapping_mul(3600).wrapping_sub(40_000),
            marker: true,
            payload: &[0x41, 0x9a],
        };
        meter.count(&packet, begin);
    };
    let packets = || (1..).zip(times.iter().copied());
    packets().filter(|(n, _)| n % 3 != 0).for_each(&mut send);
    packets().filter(|(n, _)| n % 3 == 0).for_each(&mut send);
    meter.pictures_backward()
}

#[test]
fn pictures_sent_after_a_later_one_are_told_from_packets_that_come_late() {
    let in_order: Vec<u32> = (1..40).collect();
    // Shown as numbered: 4 2 3, 7 5 6, ...; of each group the last is repaired later, and after them all comes one more.
    let groups = (0..13).flat_map(|group| [4, 2, 3].map(|n| 3 * group + n));
    let reordered: Vec<u32> = groups.chain([43]).collect();
    assert_eq!(backward(Codec::H264, &in_order), 0);
    assert_eq!(backward(Codec::H264, &reordered), 13);
    assert_eq!(backward(Codec::H265, &reordered), 13);
    // Others have no such pictures: a jump is a clock's.
    assert_eq!(backward(Codec::Vp8, &reordered), 0);
}

#[test]
fn video_that_comes_waits_for_a_keyframe_and_sound_does_not() {
    let begin = Instant::now();
    let at = |seconds| begin + Duration::from_secs(seconds);
    let packet = |payload, timestamp| Packet {
        track: TRACK,
        ssrc: 1,
        sequence: 1,
        timestamp,
        marker: true,
        payload,
    };
    let mut meter = Meter::new(Codec::H264, begin);
    assert_eq!(meter.keyframe_wait(at(9)), None);
    meter.count(&packet(&[0x41, 0x9a], 1), at(1));
    meter.count(&packet(&[0x41, 0x9a], 3001), at(9));
    assert_eq!(meter.keyframe_wait(at(9)), Some(Duration::from_secs(8)));
    meter.count(&packet(&[0x65, 0x88], 6001), at(10));
    assert_eq!(meter.keyframe_wait(at(11)), Some(Duration::from_secs(1)));
    // A layer that stopped has nobody who waits.
    assert_eq!(meter.keyframe_wait(at(12)), None);
    let mut sound = Meter::new(Codec::Opus, begin);
    sound.count(&packet(&[1], 1), at(1));
    assert_eq!(sound.keyframe_wait(at(1)), None);
}
