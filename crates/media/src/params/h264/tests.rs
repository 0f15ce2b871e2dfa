use proptest::prelude::*;

use super::*;

/// Made by x264.
const SPS_320X240: &[u8] = b"\x67\x42\xc0\x0d\xda\x05\x07\xec\x04\x40\x00\x00\x03\x00\x40\x00\x00\x0f\x03\xc5\x0a\xa8";
/// 1088 lines, cropped to 1080.
const SPS_1920X1080: &[u8] =
    b"\x67\x42\xc0\x28\xda\x01\xe0\x08\x9f\x97\x01\x10\x00\x00\x03\x00\x10\x00\x00\x03\x03\xc0\xf1\x83\x2a";
const PPS: &[u8] = b"\x68\xce\x0f\xc8";
const PPS_OTHER_CONTENT: &[u8] = b"\x68\xce\x3c\x80";
const DELIMITER: &[u8] = b"\x09\xf0";
const SEI: &[u8] = b"\x06\x05\x01\x00\x80";
const IDR: &[u8] = b"\x65\x88\x84";

fn frame(nals: &[&[u8]]) -> Vec<u8> {
    let mut data = Vec::new();
    for nal in nals {
        append(nal, &mut data);
    }
    data
}

fn sets(nals: &[&[u8]]) -> ParameterSets {
    let mut sets = ParameterSets::default();
    for nal in nals {
        sets.learn(nal);
    }
    sets
}

#[test]
fn picture_size_is_the_cropped_one() {
    let size = |sps: &[u8]| {
        let size = H264Parameters::of(&frame(&[sps, PPS, IDR])).unwrap().picture?.size;
        Some((size.width, size.height))
    };
    assert_eq!(size(SPS_320X240), Some((320, 240)));
    assert_eq!(size(SPS_1920X1080), Some((1920, 1080)));
    let mut understated = SPS_1920X1080.to_vec();
    understated[3] = 10;
    assert_eq!(
        size(&understated),
        Some((1920, 1080)),
        "level 1.0 does not allow it, which does not matter"
    );
    assert_eq!(
        size(b"\x67\x42\xc0\x28\xff"),
        None,
        "an unreadable SPS is kept, its size is not known"
    );
}

#[test]
fn a_keyframe_without_parameter_sets_has_no_parameters() {
    for nals in [&[IDR][..], &[SPS_320X240, IDR], &[PPS, IDR], &[]] {
        assert_eq!(H264Parameters::of(&frame(nals)), None);
    }
}

#[test]
fn a_keyframe_gets_the_parameter_sets_it_lacks() {
    let known = sets(&[SPS_320X240, PPS]);
    /// NAL units of a frame.
    type Nals<'a> = &'a [&'a [u8]];
    let cases: [(Nals<'_>, Nals<'_>); 5] = [
        (&[IDR], &[SPS_320X240, PPS, IDR]),
        (&[DELIMITER, SEI, IDR], &[DELIMITER, SPS_320X240, SEI, PPS, IDR]),
        (&[SPS_1920X1080, IDR, IDR], &[SPS_1920X1080, PPS, IDR, IDR]),
        (&[PPS, IDR], &[SPS_320X240, PPS, IDR]),
        (&[SPS_1920X1080, PPS, IDR], &[SPS_1920X1080, PPS, IDR]),
    ];
    for (lacking, complete) in cases {
        assert_eq!(known.complete(frame(lacking)), Some(frame(complete)));
    }
}

#[test]
fn a_keyframe_whose_parameter_sets_never_came_is_refused() {
    assert_eq!(sets(&[]).complete(frame(&[IDR])), None);
    assert_eq!(sets(&[SPS_320X240]).complete(frame(&[IDR])), None);
    assert_eq!(sets(&[PPS]).complete(frame(&[IDR])), None);
}

#[test]
fn the_newest_content_of_an_id_counts() {
    let known = sets(&[SPS_1920X1080, PPS, SPS_320X240, PPS_OTHER_CONTENT]);
    assert_eq!(
        known.complete(frame(&[IDR])),
        Some(frame(&[SPS_320X240, PPS_OTHER_CONTENT, IDR]))
    );
}

#[test]
fn parameter_sets_of_many_ids_push_out_the_oldest() {
    let mut known = sets(&[SPS_320X240]);
    for id in 0..=255_u32 {
        // ue(v): the bits of id + 1 behind one zero less.
        let length = 63 - 2 * (id + 1).leading_zeros();
        let bits = (id + 1) << (32 - length);
        known.learn(&[&[0x68][..], &bits.to_be_bytes()].concat());
    }
    assert_eq!(known.pps.ids(), (240..=255).collect::<Vec<_>>());
}

proptest! {
    #[test]
    fn no_parameter_set_panics(sps in prop::collection::vec(any::<u8>(), 0..64), noise in prop::collection::vec((4..25_usize, any::<u8>()), 0..6)) {
        let mut spoilt = SPS_1920X1080.to_vec();
        for (at, byte) in noise {
            spoilt[at] = byte;
        }
        for sps in [&[&[0x67][..], &sps].concat(), &spoilt] {
            H264Parameters::of(&frame(&[sps, PPS, IDR]));
            sets(&[sps, PPS]).complete(frame(&[IDR]));
        }
    }
}
