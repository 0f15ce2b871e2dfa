//! H.264.

use super::*;

#[test]
fn h264_packets_become_frames() {
    assert_cases(
        Codec::H264,
        [
            (
                "single NAL unit packets, parameter sets on their own",
                vec![Plain(1, SPS), Plain(1, PPS), Marked(1, IDR), Marked(2, SLICE)],
                vec![of_nals(1, true, &[SPS, PPS, IDR]), of_nals(2, false, &[SLICE])],
            ),
            (
                "STAP-A",
                vec![
                    Plain(1, b"\x18\x00\x05\x67\x42\xc0\x0d\xda\x00\x04\x68\xce\x0f\xc8"),
                    Marked(1, IDR),
                ],
                vec![of_nals(1, true, &[b"\x67\x42\xc0\x0d\xda", PPS, IDR])],
            ),
            (
                "FU-A",
                vec![
                    Plain(1, SPS),
                    Plain(1, PPS),
                    Plain(1, b"\x7c\x85\x88"),
                    Plain(1, b"\x7c\x05\x84"),
                    Marked(1, b"\x7c\x45\x00"),
                ],
                vec![of_nals(1, true, &[SPS, PPS, IDR])],
            ),
            (
                "a whole unit in one FU-A",
                vec![Plain(1, SPS), Plain(1, PPS), Marked(1, b"\x7c\xc5\x88\x84\x00")],
                vec![of_nals(1, true, &[SPS, PPS, IDR])],
            ),
            (
                "a frame without marker ends where the next begins",
                vec![Plain(1, SPS), Plain(1, PPS), Plain(1, IDR), Marked(2, SLICE)],
                vec![of_nals(1, true, &[SPS, PPS, IDR]), of_nals(2, false, &[SLICE])],
            ),
        ],
    );
}

#[test]
fn odd_markers_and_parameter_sets_are_understood() {
    assert_cases(
        Codec::H264,
        [
            (
                "a marker on every packet does not split a frame",
                vec![
                    Marked(1, SPS),
                    Marked(1, PPS),
                    Marked(1, IDR),
                    Marked(1, SECOND_SLICE_OF_IDR),
                    Marked(2, SLICE),
                ],
                vec![
                    of_nals(1, true, &[SPS, PPS, IDR, SECOND_SLICE_OF_IDR]),
                    of_nals(2, false, &[SLICE]),
                ],
            ),
            (
                "two pictures with the same timestamp are two frames",
                vec![Plain(1, SPS), Plain(1, PPS), Marked(1, IDR), Marked(1, SLICE)],
                vec![of_nals(1, true, &[SPS, PPS, IDR]), of_nals(1, false, &[SLICE])],
            ),
            (
                "parameter sets sent once, with their own timestamp, are put into every keyframe",
                vec![Plain(0, SPS), Marked(0, PPS), Marked(1, IDR), Marked(2, IDR)],
                vec![of_nals(1, true, &[SPS, PPS, IDR]), of_nals(2, true, &[SPS, PPS, IDR])],
            ),
            (
                "filler is left out",
                vec![
                    Plain(1, SPS),
                    Plain(1, PPS),
                    Plain(1, FILLER),
                    Plain(1, b"\x1c\xcc\xff"),
                    Plain(1, IDR),
                    Marked(1, FILLER),
                ],
                vec![of_nals(1, true, &[SPS, PPS, IDR])],
            ),
        ],
    );
}

#[test]
fn a_hole_loses_the_frame_it_is_in() {
    assert_cases(
        Codec::H264,
        [
            (
                "a hole within a frame loses that frame",
                vec![Plain(1, SLICE), Hole, Marked(1, SECOND_SLICE), Marked(2, SLICE)],
                vec![
                    Err(Damage::Incomplete),
                    Err(Damage::Incomplete),
                    of_nals(2, false, &[SLICE]),
                ],
            ),
            (
                "a hole between two frames loses none of them",
                vec![
                    Plain(1, SPS),
                    Plain(1, PPS),
                    Marked(1, IDR),
                    Hole,
                    Plain(9, SPS),
                    Plain(9, PPS),
                    Marked(9, IDR),
                ],
                vec![of_nals(1, true, &[SPS, PPS, IDR]), of_nals(9, true, &[SPS, PPS, IDR])],
            ),
            (
                "a hole before the marker loses the frame",
                vec![Plain(1, SLICE), Hole, Marked(2, SLICE)],
                vec![Err(Damage::Incomplete), of_nals(2, false, &[SLICE])],
            ),
            (
                "a keyframe before its parameter sets",
                vec![Marked(1, IDR), Plain(2, SPS), Plain(2, PPS), Marked(2, IDR)],
                vec![Err(Damage::NoParameterSets), of_nals(2, true, &[SPS, PPS, IDR])],
            ),
        ],
    );
}

#[test]
fn malformed_h264_costs_its_frame_and_no_other() {
    let cases: [(&[u8], Damage); 16] = [
        (b"\xe5\x88", Damage::InvalidHeader),
        (b"\x18\x00\x01", Damage::Truncated),
        (b"\x18\x00", Damage::Truncated),
        // These five bytes panic some implementations.
        (b"\x18\x00\x01\xaa\x00", Damage::InvalidHeader),
        (b"\x18\x00\x00", Damage::InvalidHeader),
        (b"\x18\x00\x01\x18", Damage::InvalidHeader),
        (b"\x19\x00\x01\x00\x01\x65", Damage::UnsupportedPayload(25)),
        (b"\x1a\x00\x00", Damage::UnsupportedPayload(26)),
        (b"\x1b\x00\x00", Damage::UnsupportedPayload(27)),
        (b"\x1d\x85\x00\x00\x88", Damage::UnsupportedPayload(29)),
        (b"\x1f", Damage::UnsupportedPayload(31)),
        (b"\x00", Damage::UnsupportedPayload(0)),
        (b"\x1c", Damage::Truncated),
        (b"\x1c\x05\x88", Damage::StrayFragment),
        (b"\x1c\x98\x88", Damage::InvalidHeader),
        (b"\x67\x42\xc0\x0d", Damage::Truncated),
    ];
    for (payload, damage) in cases {
        let steps = [Marked(0, SLICE), Plain(1, payload), Marked(1, SLICE), Marked(2, SLICE)];
        let expected = [of_nals(0, false, &[SLICE]), Err(damage), of_nals(2, false, &[SLICE])];
        assert_eq!(run(Codec::H264, &steps), expected, "{payload:02x?}");
    }
}

#[test]
fn a_fragment_must_follow_its_unit() {
    let within = [
        Plain(1, b"\x7c\x85\x88".as_slice()),
        Plain(1, b"\x7c\x85\x88"),
        Marked(2, SLICE),
    ];
    assert_eq!(
        run(Codec::H264, &within),
        [Err(Damage::StrayFragment), of_nals(2, false, &[SLICE])]
    );
    let between = [Plain(1, b"\x7c\x85\x88".as_slice()), Plain(1, SLICE), Marked(2, SLICE)];
    assert_eq!(
        run(Codec::H264, &between),
        [Err(Damage::StrayFragment), of_nals(2, false, &[SLICE])]
    );
    let without_end = [Plain(1, b"\x7c\x85\x88".as_slice()), Marked(2, SLICE)];
    assert_eq!(
        run(Codec::H264, &without_end),
        [Err(Damage::Incomplete), of_nals(2, false, &[SLICE])]
    );
}
