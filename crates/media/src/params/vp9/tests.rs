use proptest::prelude::*;

use super::*;

/// Made by libvpx: 320 x 240, profile 0; 322 x 180, profile 3, 10 bits, 4:4:4, BT.709.
const KEYFRAME: &[u8] = b"\x82\x49\x83\x42\x00\x13\xf0\x0e\xf6\x08\x38\x24";
const KEYFRAME_444: &[u8] = b"\xb1\x24\xc1\xa1\x10\x00\xa0\x80\x59\xb0\x61";

#[test]
fn the_keyframe_header_tells_all() {
    let expected = Vp9Parameters {
        profile: 0,
        level: 20,
        bit_depth: 8,
        chroma_subsampling: 1,
        full_range: false,
        matrix_coefficients: 2,
        size: PictureSize {
            width: 320,
            height: 240,
        },
    };
    assert_eq!(Vp9Parameters::of(KEYFRAME), Some(expected));
    let expected = Vp9Parameters {
        profile: 3,
        level: 20,
        bit_depth: 10,
        chroma_subsampling: 3,
        full_range: false,
        matrix_coefficients: 1,
        size: PictureSize {
            width: 322,
            height: 180,
        },
    };
    assert_eq!(Vp9Parameters::of(KEYFRAME_444), Some(expected));
}

#[test]
fn frames_tell_whether_decoding_can_begin() {
    let cases: [(&[u8], Option<bool>); 8] = [
        (KEYFRAME, Some(true)),
        (KEYFRAME_444, Some(true)),
        (b"\x86\x00", Some(false)),
        // show_existing_frame.
        (b"\x88", Some(false)),
        // A frame_marker that is none, a reserved bit, nothing.
        (b"\x42\x49", None),
        (b"\xb9", None),
        (b"\xb0", Some(true)),
        (b"", None),
    ];
    for (frame, keyframe) in cases {
        assert_eq!(is_keyframe(frame), keyframe, "{frame:02x?}");
    }
}

#[test]
fn what_is_no_keyframe_has_no_parameters() {
    let without_sync = [&KEYFRAME[..3], b"\x43", &KEYFRAME[4..]].concat();
    for frame in [
        &KEYFRAME[..8],
        &without_sync,
        b"\x86\x49\x83\x42\x00\x13\xf0\x0e\xf6",
        b"",
    ] {
        assert_eq!(Vp9Parameters::of(frame), None, "{frame:02x?}");
    }
    // Profile 1 in RGB is 4:4:4 of full range; in BT.601 with subsampling of the lines only, it is 4:4:0.
    let rgb = b"\xa2\x49\x83\x42\xe0\x00\x00\x00\x00\x00";
    let parameters = Vp9Parameters::of(rgb).unwrap();
    assert_eq!(
        (
            parameters.chroma_subsampling,
            parameters.full_range,
            parameters.matrix_coefficients
        ),
        (3, true, 0)
    );
    assert_eq!(Vp9Parameters::of(b"\xa2\x49\x83\x42\x24\x00\x00\x00\x00\x00"), None);
    assert_eq!(
        Vp9Parameters::of(b"\x82\x49\x83\x42\xe0\x00\x00\x00\x00\x00"),
        None,
        "there is no RGB in profile 0"
    );
}

#[test]
fn the_level_is_the_lowest_that_allows_the_size() {
    for (width, height, expected) in [
        (64, 64, 10),
        (640, 360, 30),
        (1280, 720, 40),
        (1920, 1080, 41),
        (3840, 2160, 51),
        (7680, 4320, 61),
        // Long and narrow.
        (4096, 16, 40),
        (65_536, 65_536, 62),
    ] {
        assert_eq!(level(PictureSize { width, height }), expected, "{width}x{height}");
    }
}

proptest! {
    #[test]
    fn no_frame_panics(frame in prop::collection::vec(any::<u8>(), 0..24), noise in prop::collection::vec((0..11_usize, any::<u8>()), 0..4)) {
        let mut spoilt = KEYFRAME_444.to_vec();
        for (at, byte) in noise {
            spoilt[at] = byte;
        }
        for frame in [&frame, &spoilt] {
            if let Some(parameters) = Vp9Parameters::of(frame) {
                prop_assert_eq!(is_keyframe(frame), Some(true));
                // What mp4-atom and vpcC have room for.
                prop_assert!(parameters.chroma_subsampling <= 3 && parameters.bit_depth <= 12);
            }
        }
    }
}
