//! AV1. OBUs are written as they are in the file; packets have them without their sizes.

use super::*;

/// Made by libaom: 320 x 240.
pub(super) const SEQUENCE: &[u8] = b"\x0a\x0b\x00\x00\x00\x04\x3c\xff\xbc\xda\xf9\x00\x40";
const KEY: &[u8] = b"\x32\x03\x10\xaa\xbb";
const INTER: &[u8] = b"\x32\x02\x30\xcc";
const METADATA: &[u8] = b"\x2a\x01\xee";
pub(super) const SENT_SEQUENCE: &[u8] = b"\x08\x00\x00\x00\x04\x3c\xff\xbc\xda\xf9\x00\x40";
pub(super) const SENT_KEY: &[u8] = b"\x30\x10\xaa\xbb";
const SENT_INTER: &[u8] = b"\x30\x30\xcc";

fn av1(timestamp: u64, keyframe: bool, obus: &[&[u8]]) -> Result<Frame, Damage> {
    Ok(Frame {
        timestamp,
        keyframe,
        data: obus.concat(),
    })
}

/// Behind an aggregation header with W = 0.
pub(super) fn measured(header: u8, elements: &[&[u8]]) -> Vec<u8> {
    let elements = elements
        .iter()
        .flat_map(|element| [&[element.len() as u8][..], element].concat());
    [header].into_iter().chain(elements).collect()
}

/// What it shows, the packets with their markers and the time of each, what comes out.
type Case<'a> = (&'a str, Vec<(u64, bool, Vec<u8>)>, Vec<Result<Frame, Damage>>);

fn assert_cases<'a>(cases: impl IntoIterator<Item = Case<'a>>) {
    for (what, packets, expected) in cases {
        let steps: Vec<_> = packets
            .iter()
            .map(|(time, marker, payload)| match marker {
                true => Marked(*time, payload.as_slice()),
                false => Plain(*time, payload.as_slice()),
            })
            .collect();
        assert_eq!(run(Codec::Av1, &steps), expected, "{what}");
    }
}

/// W = 1: one element of the rest.
pub(super) fn one(flags: u8, element: &[u8]) -> Vec<u8> {
    [&[flags | 0x10][..], element].concat()
}

#[test]
fn packets_become_temporal_units() {
    let counted = [&[0x28, 12][..], SENT_SEQUENCE, SENT_KEY].concat();
    assert_cases([
        (
            "elements that are counted",
            vec![(1, true, counted), (2, true, one(0, SENT_INTER))],
            vec![av1(1, true, &[SEQUENCE, KEY]), av1(2, false, &[INTER])],
        ),
        (
            "elements that are measured",
            vec![
                (1, true, measured(0x08, &[SENT_SEQUENCE, SENT_KEY])),
                (2, true, measured(0, &[SENT_INTER])),
            ],
            vec![av1(1, true, &[SEQUENCE, KEY]), av1(2, false, &[INTER])],
        ),
        (
            "an OBU in three packets, after a whole one and before one",
            vec![
                (1, false, measured(0x48, &[SENT_SEQUENCE, b"\x30"])),
                (1, false, one(0xc0, b"\x10\xaa")),
                (1, true, measured(0x80, &[b"\xbb", b"\x28\xee"])),
            ],
            vec![av1(1, true, &[SEQUENCE, KEY, METADATA])],
        ),
        (
            "a fragment that ends its header",
            vec![(1, false, one(0x48, b"\x34")), (1, true, one(0x80, b"\x08\x10\xaa"))],
            vec![Err(Damage::NoParameterSets)],
        ),
        (
            "sizes that are there already, and an extension",
            vec![(1, true, measured(0x08, &[SEQUENCE, b"\x36\x08\x02\x10\xaa"]))],
            vec![av1(1, true, &[SEQUENCE, b"\x36\x08\x02\x10\xaa"])],
        ),
        (
            "temporal delimiters, tile lists and padding are left out",
            vec![(
                1,
                true,
                measured(
                    0,
                    &[b"\x10", SENT_SEQUENCE, b"\x78\x00", b"\x40\x00", SENT_KEY, b"\x7a\x00"],
                ),
            )],
            vec![av1(1, true, &[SEQUENCE, KEY])],
        ),
        (
            "a header and its tiles in two OBUs",
            vec![(1, true, measured(0x08, &[SENT_SEQUENCE, b"\x18\x10", b"\x20\xdd"]))],
            vec![av1(1, true, &[SEQUENCE, b"\x1a\x01\x10", b"\x22\x01\xdd"])],
        ),
    ]);
}

#[test]
fn a_long_obu_gets_a_long_size() {
    let body = [0x55; 1000];
    let first = [&b"\x48\x0c"[..], SENT_SEQUENCE, &[0xe9, 0x07, 0x30], &body].concat();
    let second = one(0x80, &body);
    let frame = [SEQUENCE, b"\x32\xd0\x0f", &body, &body].concat();
    let steps = [Plain(1, &first), Marked(1, &second)];
    // 0x55 is no keyframe's first byte.
    assert_eq!(run(Codec::Av1, &steps), [av1(1, false, &[&frame])]);
}

#[test]
fn a_keyframe_gets_the_sequence_header_it_lacks() {
    assert_cases([
        (
            "sent once",
            vec![
                (1, true, measured(0x08, &[SENT_SEQUENCE, SENT_KEY])),
                (2, true, one(0x08, SENT_KEY)),
            ],
            vec![av1(1, true, &[SEQUENCE, KEY]), av1(2, true, &[SEQUENCE, KEY])],
        ),
        (
            "sent with its own timestamp",
            vec![(0, true, one(0x08, SENT_SEQUENCE)), (1, true, one(0x08, SENT_KEY))],
            vec![av1(1, true, &[SEQUENCE, KEY])],
        ),
        (
            "never sent",
            vec![(1, true, one(0x08, SENT_KEY)), (2, true, one(0, SENT_INTER))],
            vec![Err(Damage::NoParameterSets), av1(2, false, &[INTER])],
        ),
        (
            "one that nobody can read",
            vec![(1, true, measured(0x08, &[b"\x08\x00", SENT_KEY]))],
            vec![Err(Damage::InvalidHeader)],
        ),
    ]);
}

#[test]
fn a_hole_loses_the_frame_it_is_in() {
    let key = measured(0x48, &[SENT_SEQUENCE, b"\x30"]);
    let rest = one(0x80, b"\x10\xaa\xbb");
    let inter = one(0, SENT_INTER);
    let whole = measured(0, &[SENT_SEQUENCE, SENT_KEY]);
    let (steps, expected) = (
        [
            Plain(1, &key),
            Hole,
            Marked(1, &rest),
            // Whether this begins a temporal unit, nothing tells.
            Hole,
            Marked(2, &inter),
            Marked(3, &inter),
            Hole,
            // A sequence header does, even without N.
            Marked(9, &whole),
        ],
        [
            Err(Damage::Incomplete),
            Err(Damage::Incomplete),
            Err(Damage::Incomplete),
            av1(3, false, &[INTER]),
            av1(9, true, &[SEQUENCE, KEY]),
        ],
    );
    assert_eq!(run(Codec::Av1, &steps), expected);
}

#[test]
fn malformed_payloads_cost_their_frame_and_no_other() {
    let long = [&b"\x10\x08"[..], &[0; params::PARAMETER_SET_MAX]].concat();
    let cases: [(&[u8], Damage); 14] = [
        (b"\x10", Damage::Truncated),
        (b"\x20\x02\x30\x30", Damage::Truncated),
        (b"\x30\x01\x30\x01\x30", Damage::Truncated),
        (b"\x00\x03\x30\x30", Damage::Truncated),
        (b"\x00\x80", Damage::Truncated),
        (b"\x00\x00", Damage::InvalidHeader),
        (b"\x10\xb0\x30", Damage::InvalidHeader),
        // An extension that is not there, a size that is not there, one that is too small, one too large.
        (b"\x10\x34", Damage::Truncated),
        (b"\x10\x32", Damage::Truncated),
        (b"\x10\x32\x01\x30\xcc", Damage::InvalidHeader),
        (b"\x10\x32\x03\x30\xcc", Damage::InvalidHeader),
        // It continues nothing.
        (b"\x90\x30\xcc", Damage::StrayFragment),
        // Its end never comes.
        (b"\x50\x30\xcc", Damage::Incomplete),
        (&long, Damage::TooLarge),
    ];
    let start = measured(0x08, &[SENT_SEQUENCE, SENT_KEY]);
    let inter = one(0, SENT_INTER);
    for (payload, damage) in cases {
        let steps = [Marked(0, &start), Marked(1, payload), Marked(2, &inter)];
        let expected = [av1(0, true, &[SEQUENCE, KEY]), Err(damage), av1(2, false, &[INTER])];
        assert_eq!(run(Codec::Av1, &steps), expected, "{payload:02x?}");
    }
    // An OBU that begins within another.
    let fragment = one(0x40, b"\x30\x30");
    let steps = [
        Marked(0, &start),
        Plain(1, &fragment),
        Marked(1, &inter),
        Marked(2, &inter),
    ];
    let expected = [
        av1(0, true, &[SEQUENCE, KEY]),
        Err(Damage::StrayFragment),
        av1(2, false, &[INTER]),
    ];
    assert_eq!(run(Codec::Av1, &steps), expected);
}
