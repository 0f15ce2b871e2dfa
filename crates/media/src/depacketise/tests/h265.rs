//! H.265.

use super::*;

/// Made by x265: 320 x 240.
pub(super) const VPS: &[u8] =
    b"\x40\x01\x0c\x01\xff\xff\x01\x60\x00\x00\x03\x00\x90\x00\x00\x03\x00\x00\x03\x00\x3c\x92\x80\x90";
pub(super) const SPS: &[u8] =
    b"\x42\x01\x01\x01\x60\x00\x00\x03\x00\x90\x00\x00\x03\x00\x00\x03\x00\x3c\xa0\x0a\x08\x0f\x16\x59\x2a\x49\x32\xbc";
pub(super) const PPS: &[u8] = b"\x44\x01\xc1\x72\xb4";
const SEI: &[u8] = b"\x4e\x01\x05\x01\x80";
pub(super) const IDR: &[u8] = b"\x28\x01\xaf\x08\x48";
const SECOND_SLICE_OF_IDR: &[u8] = b"\x28\x01\x2f\x08\x48";
pub(super) const CRA: &[u8] = b"\x2a\x01\xaf\x08";
const SLICE: &[u8] = b"\x02\x01\xd0\x09";
const SECOND_SLICE: &[u8] = b"\x02\x01\x50\x09";
const FILLER: &[u8] = b"\x4c\x01\xff\x80";
/// nuh_layer_id 1.
const ENHANCEMENT: &[u8] = b"\x02\x09\xd0\x09";

pub(super) fn aggregate(nals: &[&[u8]]) -> Vec<u8> {
    let units = nals
        .iter()
        .flat_map(|nal| [&(nal.len() as u16).to_be_bytes()[..], nal].concat());
    [0x60, 0x01].into_iter().chain(units).collect()
}

fn sets<'a>(timestamp: u64) -> [Step<'a>; 3] {
    [Plain(timestamp, VPS), Plain(timestamp, SPS), Plain(timestamp, PPS)]
}

fn after_sets<'a>(timestamp: u64, steps: impl IntoIterator<Item = Step<'a>>) -> Vec<Step<'a>> {
    sets(timestamp).into_iter().chain(steps).collect()
}

#[test]
fn packets_become_frames() {
    let together = aggregate(&[VPS, SPS, PPS, SEI]);
    let slices = aggregate(&[SLICE, SECOND_SLICE]);
    assert_cases(
        Codec::H265,
        [
            (
                "single NAL unit packets, parameter sets on their own",
                after_sets(1, [Marked(1, IDR), Marked(2, SLICE)]),
                vec![of_nals(1, true, &[VPS, SPS, PPS, IDR]), of_nals(2, false, &[SLICE])],
            ),
            (
                "aggregation packets",
                vec![Plain(1, &together), Marked(1, IDR), Marked(2, &slices)],
                vec![
                    of_nals(1, true, &[VPS, SPS, PPS, SEI, IDR]),
                    of_nals(2, false, &[SLICE, SECOND_SLICE]),
                ],
            ),
            (
                "fragmentation units",
                after_sets(
                    1,
                    [
                        Plain(1, b"\x62\x01\x94\xaf"),
                        Plain(1, b"\x62\x01\x14\x08"),
                        Marked(1, b"\x62\x01\x54\x48"),
                    ],
                ),
                vec![of_nals(1, true, &[VPS, SPS, PPS, IDR])],
            ),
            (
                "a whole unit in one fragmentation unit",
                after_sets(1, [Marked(1, b"\x62\x01\xd4\xaf\x08\x48")]),
                vec![of_nals(1, true, &[VPS, SPS, PPS, IDR])],
            ),
            (
                "CRA pictures are keyframes",
                after_sets(1, [Marked(1, CRA)]),
                vec![of_nals(1, true, &[VPS, SPS, PPS, CRA])],
            ),
            (
                "filler and enhancement layers are left out",
                after_sets(
                    1,
                    [
                        Plain(1, FILLER),
                        Plain(1, IDR),
                        Plain(1, ENHANCEMENT),
                        Plain(1, b"\x62\x09\x81\xd0"),
                        Marked(1, b"\x62\x09\x41\x09"),
                    ],
                ),
                vec![of_nals(1, true, &[VPS, SPS, PPS, IDR])],
            ),
        ],
    );
}

#[test]
fn odd_markers_and_parameter_sets_are_understood() {
    assert_cases(
        Codec::H265,
        [
            (
                "a marker on every packet does not split a frame",
                vec![
                    Marked(1, VPS),
                    Marked(1, SPS),
                    Marked(1, PPS),
                    Marked(1, IDR),
                    Marked(1, SECOND_SLICE_OF_IDR),
                ],
                vec![of_nals(1, true, &[VPS, SPS, PPS, IDR, SECOND_SLICE_OF_IDR])],
            ),
            (
                "two pictures with the same timestamp are two frames",
                after_sets(1, [Marked(1, IDR), Marked(1, SLICE)]),
                vec![of_nals(1, true, &[VPS, SPS, PPS, IDR]), of_nals(1, false, &[SLICE])],
            ),
            (
                "parameter sets sent once, with their own timestamp, are put into every keyframe",
                after_sets(0, [Marked(1, IDR), Marked(2, IDR)]),
                vec![
                    of_nals(1, true, &[VPS, SPS, PPS, IDR]),
                    of_nals(2, true, &[VPS, SPS, PPS, IDR]),
                ],
            ),
        ],
    );
}

#[test]
fn a_hole_loses_the_frame_it_is_in() {
    let unreadable = [0x42, 0x01, 0x01, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0].as_slice();
    assert_cases(
        Codec::H265,
        [
            (
                "a hole within a frame",
                vec![Plain(1, SLICE), Hole, Marked(1, SECOND_SLICE), Marked(2, SLICE)],
                vec![
                    Err(Damage::Incomplete),
                    Err(Damage::Incomplete),
                    of_nals(2, false, &[SLICE]),
                ],
            ),
            (
                "a hole within the fragments of a unit",
                vec![
                    Plain(1, b"\x62\x01\x81\xd0"),
                    Hole,
                    Marked(1, b"\x62\x01\x41\x09"),
                    Marked(2, b"\x62\x01\xc1\xd0\x09"),
                ],
                vec![
                    Err(Damage::Incomplete),
                    Err(Damage::Incomplete),
                    of_nals(2, false, &[SLICE]),
                ],
            ),
            (
                "a hole between two frames loses none of them",
                [after_sets(1, [Marked(1, IDR), Hole]), after_sets(9, [Marked(9, IDR)])]
                    .into_iter()
                    .flatten()
                    .collect(),
                vec![
                    of_nals(1, true, &[VPS, SPS, PPS, IDR]),
                    of_nals(9, true, &[VPS, SPS, PPS, IDR]),
                ],
            ),
            (
                "a keyframe before its parameter sets",
                vec![Marked(1, IDR), Marked(2, SLICE)],
                vec![Err(Damage::NoParameterSets), of_nals(2, false, &[SLICE])],
            ),
            (
                "an SPS that nobody can read",
                vec![Plain(1, VPS), Plain(1, unreadable), Plain(1, PPS), Marked(1, IDR)],
                vec![Err(Damage::InvalidHeader)],
            ),
        ],
    );
}

#[test]
fn malformed_payloads_cost_their_frame_and_no_other() {
    let long_set = [&[0x40, 0x01][..], &[0xaa; params_max()]].concat();
    let cases: [(&[u8], Damage); 16] = [
        (b"\x02", Damage::Truncated),
        (b"\x82\x01\xd0", Damage::InvalidHeader),
        (b"\x02\x00\xd0", Damage::InvalidHeader),
        (b"\x60\x01\x00", Damage::Truncated),
        (b"\x60\x01\x00\x03\x02\x01", Damage::Truncated),
        (b"\x60\x01\x00\x00", Damage::InvalidHeader),
        (b"\x60\x01\x00\x01\x02", Damage::InvalidHeader),
        (b"\x60\x01\x00\x02\x60\x01", Damage::InvalidHeader),
        (b"\x60\x01\x00\x02\x02\x00", Damage::InvalidHeader),
        (b"\x62\x01", Damage::Truncated),
        (b"\x62\x01\x01\xd0", Damage::StrayFragment),
        (b"\x62\x01\xb1\xd0", Damage::InvalidHeader),
        (b"\x64\x01\x00\x00", Damage::UnsupportedPayload(50)),
        (b"\x7e\x01\x00", Damage::UnsupportedPayload(63)),
        (b"\x42\x01\x01\x01", Damage::Truncated),
        (&long_set, Damage::TooLarge),
    ];
    for (payload, damage) in cases {
        let steps = [Marked(0, SLICE), Plain(1, payload), Marked(1, SLICE), Marked(2, SLICE)];
        // Joined in the middle of nothing: the first slice begins a picture.
        let expected = [of_nals(0, false, &[SLICE]), Err(damage), of_nals(2, false, &[SLICE])];
        assert_eq!(run(Codec::H265, &steps), expected, "{payload:02x?}");
    }
}

const fn params_max() -> usize {
    params::PARAMETER_SET_MAX
}

#[test]
fn a_fragment_must_follow_its_unit() {
    for second in [b"\x62\x01\x81\xd0".as_slice(), SLICE] {
        let steps = [
            Plain(1, b"\x62\x01\x81\xd0".as_slice()),
            Plain(1, second),
            Marked(2, SLICE),
        ];
        assert_eq!(
            run(Codec::H265, &steps),
            [Err(Damage::StrayFragment), of_nals(2, false, &[SLICE])]
        );
    }
    let without_end = [Plain(1, b"\x62\x01\x81\xd0".as_slice()), Marked(2, SLICE)];
    assert_eq!(
        run(Codec::H265, &without_end),
        [Err(Damage::Incomplete), of_nals(2, false, &[SLICE])]
    );
}
