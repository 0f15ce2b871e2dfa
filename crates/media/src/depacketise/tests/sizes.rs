//! What one packet tells of the picture.

use super::*;

/// Of 320 x 240, as [`SPS`] is.
const KEYFRAME: &[u8] = b"\x10\x10\x02\x00\x9d\x01\x2a\x40\x01\xf0\x00\x00";

#[test]
fn a_payload_that_begins_a_keyframe_tells_the_size() {
    let stap_a = |nals: &[&[u8]]| {
        let mut payload = vec![0x18];
        for nal in nals {
            payload.extend_from_slice(&(nal.len() as u16).to_be_bytes());
            payload.extend_from_slice(nal);
        }
        payload
    };
    let delta = [&[0x10, 0x11][..], &KEYFRAME[2..]].concat();
    let middle = [&[0x00][..], &KEYFRAME[1..]].concat();
    // A picture id of 15 bits, as Chromium sends it.
    let with_picture_id = [&[0x90, 0x80, 0x81, 0x02][..], &KEYFRAME[1..]].concat();
    let forbidden = [&[0xe7][..], &SPS[1..]].concat();
    let cut = stap_a(&[b"\x09\xf0", SPS]);
    let sets = h265::aggregate(&[h265::VPS, h265::SPS, h265::PPS]);
    let enhancement = [&[0x42, 0x09][..], &h265::SPS[2..]].concat();
    let vp9 = [&[0x08][..], vp9::KEY].concat();
    let second_layer = [&[0x28, 0x02, 0x00][..], vp9::KEY].concat();
    let sequence = av1::one(0x08, av1::SENT_SEQUENCE);
    let with_size = av1::measured(0x08, &[&[0x12, 0x00], av1::SEQUENCE, av1::SENT_KEY]);
    let continued = av1::one(0x48, av1::SENT_SEQUENCE);
    let no_sequence = av1::one(0x00, av1::SENT_SEQUENCE);
    let cases: [(&str, Codec, &[u8], bool); 24] = [
        ("a parameter set of H.265 alone", Codec::H265, h265::SPS, true),
        ("among all of them", Codec::H265, &sets, true),
        ("of an enhancement layer", Codec::H265, &enhancement, false),
        ("another parameter set", Codec::H265, h265::VPS, false),
        ("cut off", Codec::H265, &h265::SPS[..20], false),
        ("VP9", Codec::Vp9, &vp9, true),
        ("VP9, another spatial layer", Codec::Vp9, &second_layer, false),
        ("a sequence header", Codec::Av1, &sequence, true),
        ("one with its size behind a delimiter", Codec::Av1, &with_size, true),
        ("one that goes on in the next packet", Codec::Av1, &continued, false),
        ("where no sequence begins", Codec::Av1, &no_sequence, false),
        ("a parameter set alone", Codec::H264, SPS, true),
        (
            "the first of an aggregate",
            Codec::H264,
            &stap_a(&[SPS, PPS, IDR]),
            true,
        ),
        ("behind a delimiter", Codec::H264, &cut, true),
        ("an aggregate without", Codec::H264, &stap_a(&[PPS, IDR]), false),
        (
            "an aggregate that is cut off",
            Codec::H264,
            &cut[..cut.len() - 1],
            false,
        ),
        ("a keyframe without parameter sets", Codec::H264, IDR, false),
        ("a parameter set of four bytes", Codec::H264, &SPS[..4], false),
        ("with the forbidden bit", Codec::H264, &forbidden, false),
        ("VP8", Codec::Vp8, KEYFRAME, true),
        ("VP8 with a picture id", Codec::Vp8, &with_picture_id, true),
        ("VP8, no keyframe", Codec::Vp8, &delta, false),
        ("VP8, not its first packet", Codec::Vp8, &middle, false),
        ("sound", Codec::Opus, KEYFRAME, false),
    ];
    let expected = PictureSize {
        width: 320,
        height: 240,
    };
    for (what, codec, payload, tells) in cases {
        assert_eq!(picture_size(codec, payload), tells.then_some(expected), "{what}");
    }
}

#[test]
fn a_packet_tells_that_it_is_of_a_keyframe() {
    let delta = [&[0x10, 0x11][..], &KEYFRAME[2..]].concat();
    let middle = [&[0x00][..], &KEYFRAME[1..]].concat();
    let table: [(&str, Codec, &[u8], bool); 22] = [
        ("a parameter set", Codec::H264, SPS, false),
        ("an IDR slice", Codec::H264, IDR, true),
        ("another slice", Codec::H264, &[0x41, 0x9a], false),
        (
            "behind a delimiter",
            Codec::H264,
            &[0x18, 0, 2, 9, 0xf0, 0, 2, 0x65, 0x88],
            true,
        ),
        ("a fragment that begins it", Codec::H264, &[0x7c, 0x85, 0x88], true),
        ("a fragment of its middle", Codec::H264, &[0x7c, 0x05, 0x12], true),
        ("a fragment of another", Codec::H264, &[0x7c, 0x81, 0x9a], false),
        ("with the forbidden bit", Codec::H264, &[0xe5, 0x88], false),
        ("CRA", Codec::H265, &[0x2a, 0x01, 0x88], true),
        ("TRAIL_R", Codec::H265, &[0x02, 0x01, 0x88], false),
        ("a fragment of IDR_W_RADL", Codec::H265, &[0x62, 0x01, 0x93, 0x88], true),
        ("a fragment of TRAIL_R", Codec::H265, &[0x62, 0x01, 0x81, 0x88], false),
        (
            "in an aggregate",
            Codec::H265,
            &[0x60, 0x01, 0, 3, 0x26, 0x01, 0x88],
            true,
        ),
        ("VP8", Codec::Vp8, KEYFRAME, true),
        ("VP8, no keyframe", Codec::Vp8, &delta, false),
        ("VP8, not its first packet", Codec::Vp8, &middle, false),
        // frame_marker 2, profile 0, show_existing_frame 0, frame_type.
        ("VP9", Codec::Vp9, &[0x08, 0x82, 0x49, 0x83, 0x42, 0x00], true),
        ("VP9, no keyframe", Codec::Vp9, &[0x48, 0x86, 0x00, 0x00, 0x00], false),
        ("a new sequence of AV1", Codec::Av1, &[0x18, 0x0a, 0x00], true),
        ("AV1, no new sequence", Codec::Av1, &[0x10, 0x32, 0x00], false),
        ("sound", Codec::Opus, KEYFRAME, false),
        ("nothing", Codec::H264, &[], false),
    ];
    for (what, codec, payload, expected) in table {
        assert_eq!(is_of_keyframe(codec, payload), expected, "{what}");
    }
}

#[test]
fn bytes_that_tell_the_same_are_the_same() {
    // What differs from keyframe to keyframe is not among them.
    let sets = |end: &[u8]| h265::aggregate(&[h265::VPS, h265::SPS, h265::PPS, end]);
    let sequence = |end: &[u8]| av1::measured(0x08, &[av1::SENT_SEQUENCE, end]);
    for (codec, one, other) in [
        (Codec::H265, sets(h265::IDR), sets(h265::CRA)),
        (Codec::Av1, sequence(av1::SENT_KEY), sequence(&[0x30, 0x10, 0xcc])),
        (
            Codec::Vp9,
            [&[0x08][..], vp9::KEY, &[1, 2]].concat(),
            [&[0x08][..], vp9::KEY, &[3]].concat(),
        ),
    ] {
        assert_ne!(one, other);
        assert!(size_header(codec, &one).is_some(), "{codec:?}");
        assert_eq!(size_header(codec, &one), size_header(codec, &other), "{codec:?}");
    }
}

proptest! {
    /// The same packet, put together, says the same.
    #[test]
    fn any_payload_tells_a_size_that_its_frame_has_or_none(
        mut payload in payload(),
        start in 0..6usize,
        flip in any::<proptest::sample::Index>(),
        mask in prop_oneof![Just(0), any::<u8>()],
    ) {
        let vp9 = [&[0x08][..], vp9::KEY].concat();
        let av1 = av1::one(0x08, av1::SENT_SEQUENCE);
        let start: &[u8] = [&[], KEYFRAME, SPS, h265::SPS, &vp9, &av1][start];
        payload.splice(..0, start.iter().copied());
        if !payload.is_empty() {
            let at = flip.index(payload.len());
            payload[at] ^= mask;
        }
        for codec in [Codec::H264, Codec::H265, Codec::Vp8, Codec::Vp9, Codec::Av1, Codec::Opus] {
            let Some(size) = picture_size(codec, &payload) else { continue };
            prop_assert!(size.width > 0 && size.height > 0);
            prop_assert!(size_header(codec, &payload).is_some_and(|header| header.len() <= params::PARAMETER_SET_MAX));
            let frames = run(codec, &[Marked(1, &payload), Plain(1, PPS), Marked(1, IDR)]);
            match (codec, frames.first()) {
                (Codec::Vp8, Some(Ok(frame))) => {
                    prop_assert!(frame.keyframe);
                    prop_assert_eq!(params::vp8_picture_size(&frame.data), Some(size));
                }
                (Codec::Vp9, Some(Ok(frame))) => {
                    prop_assert_eq!(Vp9Parameters::of(&frame.data).map(|parameters| parameters.size), Some(size));
                }
                _ => {}
            }
        }
    }
}
