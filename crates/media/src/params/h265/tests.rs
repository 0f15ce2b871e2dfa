use proptest::prelude::*;

use super::*;

/// Made by x265: 320 x 240, Main.
const VPS: &[u8] = b"\x40\x01\x0c\x01\xff\xff\x01\x60\x00\x00\x03\x00\x90\x00\x00\x03\x00\x00\x03\x00\x3c\x92\x80\x90";
const SPS: &[u8] =
    b"\x42\x01\x01\x01\x60\x00\x00\x03\x00\x90\x00\x00\x03\x00\x00\x03\x00\x3c\xa0\x0a\x08\x0f\x16\x59\x2a\x49\x32\xbc\x05\xa0\x20\x00\x00\x03\x00\x20\x00\x00\x03\x03\xc1";
const PPS: &[u8] = b"\x44\x01\xc1\x72\xb4\x62\x40";
/// 1088 lines, cropped to 1080; 10 bits, 4:2:2.
const SPS_422: &[u8] =
    b"\x42\x01\x01\x04\x08\x00\x00\x03\x00\x9d\x08\x00\x00\x03\x00\x00\x78\xb0\x03\xc0\x80\x11\x07\xc4\xb6\x5b\xa4\xa4\xc2\xf0\x16\x80\x80\x00\x00\x03\x00\x80\x00\x00\x0f\x04";
const DELIMITER: &[u8] = b"\x46\x01\x50";
const SEI: &[u8] = b"\x4e\x01\x05\x01\x00\x80";
const IDR: &[u8] = b"\x28\x01\xaf\x08";

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
fn the_sps_tells_profile_depth_and_the_cropped_size() {
    let parameters = H265Parameters::of(&frame(&[VPS, SPS, PPS, IDR])).unwrap();
    let expected = H265Parameters {
        vps: vec![VPS.to_vec()],
        sps: vec![SPS.to_vec()],
        pps: vec![PPS.to_vec()],
        profile_tier_level: [1, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 60],
        temporal_layers: 1,
        temporal_layers_nested: true,
        chroma_format: 1,
        bit_depth_luma: 8,
        bit_depth_chroma: 8,
        size: PictureSize {
            width: 320,
            height: 240,
        },
    };
    assert_eq!(parameters, expected);
    let parameters = H265Parameters::of(&frame(&[VPS, SPS_422, PPS, IDR])).unwrap();
    assert_eq!(
        (
            parameters.profile_tier_level[0],
            parameters.chroma_format,
            parameters.bit_depth_luma,
            parameters.bit_depth_chroma,
            parameters.size
        ),
        (
            4,
            2,
            10,
            10,
            PictureSize {
                width: 1920,
                height: 1080
            }
        )
    );
}

#[test]
fn levels_of_temporal_layers_are_passed_over() {
    // Two temporal layers: flags for the lower one and for seven unused ones, then its profile and its level.
    let mut sps = b"\x42\x01\x03".to_vec();
    sps.extend_from_slice(b"\x01\x60\x11\x11\x11\x90\x11\x11\x11\x11\x11\x3c");
    sps.extend_from_slice(b"\xc0\x00");
    sps.extend_from_slice(&[0xee; 12]);
    // sps_id 0, 4:2:0, 320 and 240 in ue(v), no window, 8 bits twice, as above.
    sps.extend_from_slice(b"\xa0\x0a\x08\x0f\x16\x59");
    let sps = Sps::parse(&sps).unwrap();
    assert_eq!((sps.temporal_layers, sps.temporal_layers_nested, sps.id), (2, true, 0));
    assert_eq!((sps.size.width, sps.size.height), (320, 240));
}

#[test]
fn a_keyframe_without_readable_parameter_sets_has_no_parameters() {
    let spoilt = [&SPS[..19], &[0; 12]].concat();
    for nals in [
        &[IDR][..],
        &[SPS, PPS, IDR],
        &[VPS, PPS, IDR],
        &[VPS, SPS, IDR],
        &[VPS, &spoilt, PPS, IDR],
        &[],
    ] {
        assert_eq!(H265Parameters::of(&frame(nals)), None);
    }
}

#[test]
fn a_keyframe_gets_the_parameter_sets_it_lacks() {
    let known = sets(&[VPS, SPS, PPS]);
    /// NAL units of a frame.
    type Nals<'a> = &'a [&'a [u8]];
    let cases: [(Nals<'_>, Nals<'_>); 6] = [
        (&[IDR], &[VPS, SPS, PPS, IDR]),
        (&[DELIMITER, SEI, IDR], &[DELIMITER, VPS, SPS, SEI, PPS, IDR]),
        (&[VPS, IDR, IDR], &[VPS, SPS, PPS, IDR, IDR]),
        (&[SPS_422, PPS, IDR], &[VPS, SPS_422, PPS, IDR]),
        (&[VPS, PPS, IDR], &[VPS, SPS, PPS, IDR]),
        (&[VPS, SPS_422, PPS, IDR], &[VPS, SPS_422, PPS, IDR]),
    ];
    for (lacking, complete) in cases {
        assert_eq!(known.complete(frame(lacking)), Some(frame(complete)));
    }
    for known in [&[][..], &[VPS, SPS], &[SPS, PPS], &[VPS, PPS]] {
        assert_eq!(sets(known).complete(frame(&[IDR])), None);
    }
}

#[test]
fn the_newest_content_of_an_id_counts() {
    let known = sets(&[VPS, SPS_422, PPS, SPS]);
    assert_eq!(
        known.complete(frame(&[IDR])),
        Some(frame(&[VPS, SPS, PPS, IDR])),
        "both SPS have the id 0"
    );
}

proptest! {
    #[test]
    fn no_parameter_set_panics(sps in prop::collection::vec(any::<u8>(), 0..64), noise in prop::collection::vec((2..40_usize, any::<u8>()), 0..6)) {
        let mut spoilt = SPS.to_vec();
        for (at, byte) in noise {
            spoilt[at] = byte;
        }
        for sps in [&[&[0x42, 0x01][..], &sps].concat(), &spoilt] {
            if let Some(parameters) = H265Parameters::of(&frame(&[VPS, sps, PPS, IDR])) {
                prop_assert!(parameters.size.width > 0 && parameters.size.height > 0);
                prop_assert!((8..=15).contains(&parameters.bit_depth_luma) && parameters.chroma_format <= 3);
                prop_assert!((1..=7).contains(&parameters.temporal_layers));
            }
            sets(&[VPS, sps, PPS]).complete(frame(&[IDR]));
        }
    }
}
