use super::*;
use crate::fragment::Sample;

const VIDEO: Vp8Track = Vp8Track {
    clock_rate: 90_000,
    size: PictureSize {
        width: 320,
        height: 240,
    },
};
const AUDIO: OpusTrack = OpusTrack {
    clock_rate: 48_000,
    channels: 2,
};

fn sample(duration: u32, keyframe: bool, data: &[u8]) -> Sample {
    Sample {
        duration,
        keyframe,
        data: data.to_vec(),
    }
}

#[test]
fn the_header_is_this() {
    let mut bytes = Vec::new();
    Writer::new(Some(VIDEO), Some(AUDIO), &mut bytes);
    let expected: &[&[u8]] = &[
        b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\xf7\x81\x01\x42\xf2\x81\x04\x42\xf3\x81\x08",
        b"\x42\x82\x84webm\x42\x87\x81\x04\x42\x85\x81\x02",
        b"\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff",
        b"\x15\x49\xa9\x66\x9d\x2a\xd7\xb1\x83\x0f\x42\x40\x4d\x80\x88whipcord\x57\x41\x88whipcord",
        b"\x16\x54\xae\x6b\xe2",
        b"\xae\x9d\xd7\x81\x01\x73\xc5\x81\x01\x83\x81\x01\x9c\x81\x00\x86\x85V_VP8\xe0\x87\xb0\x82\x01\x40\xba\x81\xf0",
        b"\xae\xc1\xd7\x81\x02\x73\xc5\x81\x02\x83\x81\x02\x9c\x81\x00\x86\x86A_OPUS",
        b"\x63\xa2\x93OpusHead\x01\x02\x00\x00\x80\xbb\x00\x00\x00\x00\x00\x56\xbb\x84\x04\xc4\xb4\x00",
        b"\xe1\x8d\xb5\x88\x40\xe7\x70\x00\x00\x00\x00\x00\x9f\x81\x02",
    ];
    assert_eq!(bytes, expected.concat());
}

#[test]
fn blocks_are_sorted_by_time_and_relative_to_their_cluster() {
    let mut bytes = Vec::new();
    let mut writer = Writer::new(Some(VIDEO), Some(AUDIO), &mut bytes);
    bytes.clear();
    let pictures = [sample(3000, true, b"key"), sample(3000, false, b"delta")];
    let sounds = [sample(960, true, b"a"), sample(960, true, b"b")];
    let runs = [
        Run {
            kind: Kind::Video,
            start: 90_000,
            samples: &pictures,
        },
        Run {
            kind: Kind::Audio,
            start: 48_480,
            samples: &sounds,
        },
    ];
    writer.fragment(&runs, &mut bytes);
    let expected: &[&[u8]] = &[
        b"\x1f\x43\xb6\x75\xa6\xe7\x82\x03\xe8",
        b"\xa3\x87\x81\x00\x00\x80key",
        b"\xa3\x85\x82\x00\x0a\x80a",
        b"\xa3\x85\x82\x00\x1e\x80b",
        b"\xa3\x89\x81\x00\x21\x00delta",
    ];
    assert_eq!(bytes, expected.concat());
}

#[test]
fn a_fragment_of_more_than_half_a_minute_has_several_clusters() {
    let mut bytes = Vec::new();
    let mut writer = Writer::new(None, Some(AUDIO), &mut bytes);
    bytes.clear();
    let sounds = [
        sample(48_000 * 32, true, b"a"),
        sample(48_000, true, b"b"),
        sample(48_000, true, b"c"),
    ];
    writer.fragment(
        &[Run {
            kind: Kind::Audio,
            start: 0,
            samples: &sounds,
        }],
        &mut bytes,
    );
    let expected: &[&[u8]] = &[
        b"\x1f\x43\xb6\x75\x91\xe7\x81\x00\xa3\x85\x82\x00\x00\x80a\xa3\x85\x82\x7d\x00\x80b",
        b"\x1f\x43\xb6\x75\x8b\xe7\x82\x80\xe8\xa3\x85\x82\x00\x00\x80c",
    ];
    assert_eq!(bytes, expected.concat());
}

#[test]
fn sizes_take_as_few_bytes_as_hold_them() {
    for (size, length) in [
        (0, 1),
        (126, 1),
        (127, 2),
        (16_382, 2),
        (16_383, 3),
        (2_097_150, 3),
        (2_097_151, 4),
    ] {
        let mut bytes = Vec::new();
        element(&mut bytes, id::SIMPLE_BLOCK, &[&vec![0; size]]);
        assert_eq!(bytes.len(), 1 + length + size, "{size}");
        assert_eq!(bytes[1].leading_zeros() as usize, length - 1);
    }
}
