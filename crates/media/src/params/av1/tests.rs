use proptest::prelude::*;

use super::*;

/// Made by libaom: 320 x 240, Main; 640 x 360, High, 10 bits, 4:4:4; 3840 x 2160, monochrome, with its colours described.
const SEQUENCE: &[u8] = b"\x0a\x0b\x00\x00\x00\x04\x3c\xff\xbc\xda\xf9\x00\x40";
const SEQUENCE_444: &[u8] = b"\x0a\x0b\x20\x00\x00\x0c\xc4\xff\x67\x36\xbe\x50\x80";
const SEQUENCE_GREY: &[u8] = b"\x0a\x0e\x00\x00\x00\x62\xef\xbf\xe1\xbd\xca\xf9\x30\x10\x10\x1a";
const KEYFRAME: &[u8] = b"\x32\x02\x10\x00";
const INTER: &[u8] = b"\x32\x02\x30\x00";

fn parameters(sequence: &[u8]) -> Option<Av1Parameters> {
    Av1Parameters::of(&[sequence, KEYFRAME].concat())
}

/// An OBU of these bits and some zeros.
fn sequence(bits: &str) -> Vec<u8> {
    let bits: Vec<u8> = bits.bytes().filter(|bit| *bit != b' ').map(|bit| bit - b'0').collect();
    let mut payload: Vec<u8> = bits
        .chunks(8)
        .map(|byte| byte.iter().enumerate().fold(0, |sum, (i, bit)| sum | bit << (7 - i)))
        .collect();
    payload.extend_from_slice(&[0; 4]);
    [&[0x0a, payload.len() as u8][..], &payload].concat()
}

#[test]
fn the_sequence_header_tells_all() {
    let expected = Av1Parameters {
        sequence_header: SEQUENCE.to_vec(),
        profile: 0,
        level_idx: 0,
        high_tier: false,
        bit_depth: 8,
        monochrome: false,
        subsampling_x: true,
        subsampling_y: true,
        chroma_sample_position: 0,
        size: PictureSize {
            width: 320,
            height: 240,
        },
    };
    assert_eq!(parameters(SEQUENCE), Some(expected.clone()));
    let high = Av1Parameters {
        sequence_header: SEQUENCE_444.to_vec(),
        profile: 1,
        level_idx: 1,
        bit_depth: 10,
        subsampling_x: false,
        subsampling_y: false,
        size: PictureSize {
            width: 640,
            height: 360,
        },
        ..expected.clone()
    };
    assert_eq!(parameters(SEQUENCE_444), Some(high));
    let grey = Av1Parameters {
        sequence_header: SEQUENCE_GREY.to_vec(),
        level_idx: 12,
        monochrome: true,
        size: PictureSize {
            width: 3840,
            height: 2160,
        },
        ..expected
    };
    assert_eq!(parameters(SEQUENCE_GREY), Some(grey));
}

#[test]
fn every_optional_field_is_passed_over() {
    let tools = "0 000 0000 0 1 1";
    let color = "0 0 0 0 00";
    let size = "0101 0100 111111 11111";
    let zeros = |count: usize| "0".repeat(count);
    let timing = format!("1 {} 1 00101", zeros(64));
    let model = format!("1 00011 {} 00100 00100", zeros(32));
    // Two operating points: of level 9 in the high tier with its delays of 4 bits, and of level 0 without.
    let points = "1 00001";
    let first = "000000000011 01001 1 1 1111 1111 0 1 1010";
    let second = "000000000001 00000 0 0";
    let long = format!("000 0 0 {timing} {model} {points} {first} {second} {size} {tools} 000 {color}");
    let reduced = format!("000 1 1 00101 {size} 000 000 {color}");
    for (bits, level_idx, high_tier) in [(long, 9, true), (reduced, 5, false)] {
        let found = parameters(&sequence(&bits)).unwrap();
        assert_eq!((found.level_idx, found.high_tier), (level_idx, high_tier), "{bits}");
        assert_eq!((found.size.width, found.size.height), (64, 32), "{bits}");
        assert_eq!((found.subsampling_x, found.subsampling_y), (true, true), "{bits}");
    }
}

#[test]
fn colours_depend_on_the_profile() {
    let sequence_of = |profile: &str, tools: &str, color: &str| {
        sequence(&format!(
            "{profile} 0 0 0 0 00000 000000000000 00000 0000 0000 1 1 {tools} 000 {color}"
        ))
    };
    let plain = "0 000 0000 0 1 1";
    // Frame ids, order hints, screen content tools and integer motion vectors that are not chosen by the frame.
    let all = "1 0000000 000 0000 1 00 0 1 0 1 000";
    let cases = [
        ("000", plain, "0 0 0 1 10", (8, true, true, 2)),
        ("000", all, "1 0 0 0 01", (10, true, true, 1)),
        ("001", plain, "0 0 0 ", (8, false, false, 0)),
        ("010", plain, "1 0 0 0 0", (10, true, false, 0)),
        ("010", plain, "1 1 0 0 0 1 1 11", (12, true, true, 3)),
        ("010", plain, "1 1 0 0 0 0", (12, false, false, 0)),
        // sRGB.
        ("001", plain, "0 1 00000001 00001101 00000000", (8, false, false, 0)),
    ];
    for (profile, tools, color, expected) in cases {
        let found = parameters(&sequence_of(profile, tools, color)).unwrap();
        let found = (
            found.bit_depth,
            found.subsampling_x,
            found.subsampling_y,
            found.chroma_sample_position,
        );
        assert_eq!(found, expected, "{profile} {tools} {color}");
    }
    assert_eq!(
        parameters(&sequence_of("011", plain, "0 0 0 0 00")),
        None,
        "no such profile"
    );
}

#[test]
fn the_first_frame_decides_whether_decoding_can_begin() {
    let cases: [(&[&[u8]], bool); 6] = [
        (&[SEQUENCE, KEYFRAME], true),
        (&[KEYFRAME, INTER], true),
        (&[INTER, KEYFRAME], false),
        // A keyframe that is not shown; one that is shown again.
        (&[SEQUENCE, b"\x32\x01\x00"], false),
        (&[b"\x1a\x01\x90"], false),
        (&[SEQUENCE], false),
    ];
    for (obus, keyframe) in cases {
        assert_eq!(is_keyframe(&obus.concat()), keyframe, "{obus:02x?}");
    }
}

#[test]
fn sizes_are_read_in_any_length() {
    /// The number, and what follows it.
    type Read<'a> = Option<(usize, &'a [u8])>;
    let cases: [(&[u8], Read<'_>); 7] = [
        (b"\x00\xaa", Some((0, b"\xaa"))),
        (b"\x7f", Some((127, b""))),
        (b"\xe5\x8e\x26\x01", Some((624_485, b"\x01"))),
        (b"\x85\x80\x80\x80\x80\x80\x80\x00", Some((5, b""))),
        (b"\x85\x80\x80\x80\x80\x80\x80\x80\x00", None),
        (b"\xff\xff\xff\xff\x7f", None),
        (b"\x80", None),
    ];
    for (bytes, read) in cases {
        assert_eq!(leb128(bytes), read, "{bytes:02x?}");
    }
}

proptest! {
    #[test]
    fn sizes_come_back(size in 0..=u32::MAX as usize) {
        let bytes = to_leb128(size);
        prop_assert_eq!(leb128(&bytes), Some((size, &[][..])));
    }

    #[test]
    fn no_sequence_header_panics(payload in prop::collection::vec(any::<u8>(), 0..64), noise in prop::collection::vec((2..13_usize, any::<u8>()), 0..4)) {
        let mut spoilt = SEQUENCE.to_vec();
        for (at, byte) in noise {
            spoilt[at] = byte;
        }
        for sequence in [&[&[0x0a, payload.len() as u8][..], &payload].concat(), &spoilt] {
            if let Some(parameters) = parameters(sequence) {
                prop_assert!(parameters.profile <= 2 && parameters.level_idx < 32 && parameters.chroma_sample_position <= 3);
            }
        }
    }
}
