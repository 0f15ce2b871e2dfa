use mp4_atom::{Any, Av01, Av1c, Avc3, Codec, Decode, DecodeMaybe, Ftyp, Hev1, Mdat, Moov, Opus, Vp09, VpcC};

use super::*;
use crate::fragment::Sample;

const SPS: &[u8] = b"\x67\x42\xc0\x0d\xda\x05\x07\xec\x04\x40\x00\x00\x03\x00\x40\x00\x00\x0f\x03\xc5\x0a\xa8";
const PPS: &[u8] = b"\x68\xce\x0f\xc8";
const AUDIO: OpusTrack = OpusTrack {
    clock_rate: 48_000,
    channels: 2,
};

fn video() -> VideoTrack {
    let keyframe = [SPS, PPS]
        .iter()
        .flat_map(|nal| [&(nal.len() as u32).to_be_bytes()[..], nal].concat());
    let parameters = H264Parameters::of(&keyframe.collect::<Vec<_>>()).unwrap();
    VideoTrack {
        clock_rate: 90_000,
        coding: Coding::H264(parameters),
    }
}

fn h264(track: &mut VideoTrack) -> &mut H264Parameters {
    match &mut track.coding {
        Coding::H264(parameters) => parameters,
        other => panic!("{other:?}"),
    }
}

fn sample(duration: u32, keyframe: bool, data: &[u8]) -> Sample {
    Sample {
        duration,
        keyframe,
        data: data.to_vec(),
    }
}

fn boxes(mut bytes: &[u8]) -> Vec<Any> {
    let boxes = std::iter::from_fn(|| Any::decode_maybe(&mut bytes).unwrap()).collect();
    assert!(bytes.is_empty());
    boxes
}

fn header(video: Option<&VideoTrack>, audio: Option<OpusTrack>) -> Moov {
    let mut bytes = Vec::new();
    Writer::new(video, audio, &mut bytes);
    let mut bytes = bytes.as_slice();
    let ftyp = Ftyp::decode(&mut bytes).unwrap();
    assert_eq!(ftyp.major_brand, b"iso6".into());
    let moov = Moov::decode(&mut bytes).unwrap();
    assert!(bytes.is_empty());
    moov
}

#[test]
fn the_header_describes_the_tracks_and_holds_no_samples() {
    let moov = header(Some(&video()), Some(AUDIO));
    assert_eq!(
        moov.mvex
            .unwrap()
            .trex
            .iter()
            .map(|trex| trex.track_id)
            .collect::<Vec<_>>(),
        [1, 2]
    );
    let [video, audio] = &moov.trak[..] else {
        panic!("two tracks")
    };
    assert_eq!(
        (video.tkhd.track_id, video.mdia.mdhd.timescale, video.mdia.mdhd.duration),
        (1, 90_000, 0)
    );
    assert_eq!(
        (audio.tkhd.track_id, audio.mdia.mdhd.timescale, audio.mdia.mdhd.duration),
        (2, 48_000, 0)
    );
    assert_eq!((video.tkhd.width, video.tkhd.height), (320.into(), 240.into()));
    let [Codec::Avc3(Avc3 { visual, avcc, .. })] = &video.mdia.minf.stbl.stsd.codecs[..] else {
        panic!("avc3")
    };
    assert_eq!((visual.width, visual.height), (320, 240));
    assert_eq!(
        (
            avcc.avc_profile_indication,
            avcc.profile_compatibility,
            avcc.avc_level_indication
        ),
        (0x42, 0xc0, 0x0d)
    );
    assert_eq!(
        (&avcc.sequence_parameter_sets[..], &avcc.picture_parameter_sets[..]),
        (&[SPS.to_vec()][..], &[PPS.to_vec()][..])
    );
    let [Codec::Opus(Opus { audio, dops, .. })] = &audio.mdia.minf.stbl.stsd.codecs[..] else {
        panic!("Opus")
    };
    assert_eq!((audio.channel_count, audio.sample_rate), (2, 48_000.into()));
    assert_eq!(
        (dops.output_channel_count, dops.pre_skip, dops.input_sample_rate),
        (2, 0, 48_000)
    );
}

#[test]
fn a_single_track_is_described_alone() {
    assert_eq!(header(Some(&video()), None).trak.len(), 1);
    assert_eq!(header(None, Some(AUDIO)).trak[0].tkhd.track_id, 2);
}

#[test]
fn pictures_of_unknown_or_excessive_size_have_none_in_the_header() {
    let mut track = video();
    h264(&mut track).picture.as_mut().unwrap().size.width = 70_000;
    assert_eq!(header(Some(&track), None).trak[0].tkhd.width, 0.into());
    h264(&mut track).picture = None;
    assert_eq!(header(Some(&track), None).trak[0].tkhd.height, 0.into());
}

#[test]
fn high_profile_says_chroma_and_depth() {
    let mut track = video();
    h264(&mut track).sps[0][1] = 100;
    let moov = header(Some(&track), None);
    let [Codec::Avc3(entry)] = &moov.trak[0].mdia.minf.stbl.stsd.codecs[..] else {
        panic!("avc3")
    };
    let ext = entry.avcc.ext.as_ref().unwrap();
    assert_eq!((ext.chroma_format, ext.bit_depth_luma, ext.bit_depth_chroma), (1, 8, 8));
}

/// Made by x265: 320 x 240.
const H265_SETS: [&[u8]; 3] = [
    b"\x40\x01\x0c\x01\xff\xff\x01\x60\x00\x00\x03\x00\x90\x00\x00\x03\x00\x00\x03\x00\x3c\x92\x80\x90",
    b"\x42\x01\x01\x01\x60\x00\x00\x03\x00\x90\x00\x00\x03\x00\x00\x03\x00\x3c\xa0\x0a\x08\x0f\x16\x59\x2a\x49\x32\xbc",
    b"\x44\x01\xc1\x72\xb4",
];

fn entry(coding: Coding) -> Codec {
    let track = VideoTrack {
        clock_rate: 90_000,
        coding,
    };
    let moov = header(Some(&track), None);
    assert_eq!(
        (moov.trak[0].tkhd.width, moov.trak[0].tkhd.height),
        (320.into(), 240.into())
    );
    moov.trak[0].mdia.minf.stbl.stsd.codecs[0].clone()
}

#[test]
fn h265_is_described_by_its_parameter_sets() {
    let keyframe = H265_SETS
        .iter()
        .flat_map(|nal| [&(nal.len() as u32).to_be_bytes()[..], nal].concat());
    let parameters = H265Parameters::of(&keyframe.collect::<Vec<_>>()).unwrap();
    let Codec::Hev1(Hev1 { visual, hvcc, .. }) = entry(Coding::H265(parameters)) else {
        panic!("hev1")
    };
    assert_eq!((visual.width, visual.height), (320, 240));
    assert_eq!(
        (
            hvcc.general_profile_space,
            hvcc.general_tier_flag,
            hvcc.general_profile_idc
        ),
        (0, false, 1)
    );
    assert_eq!(hvcc.general_profile_compatibility_flags, [0x60, 0, 0, 0]);
    assert_eq!(hvcc.general_constraint_indicator_flags, [0x90, 0, 0, 0, 0, 0]);
    assert_eq!(hvcc.general_level_idc, 60);
    assert_eq!(
        (
            hvcc.chroma_format_idc,
            hvcc.bit_depth_luma_minus8,
            hvcc.bit_depth_chroma_minus8
        ),
        (1, 0, 0)
    );
    assert_eq!(
        (
            hvcc.num_temporal_layers,
            hvcc.temporal_id_nested,
            hvcc.length_size_minus_one
        ),
        (1, true, 3)
    );
    let arrays: Vec<_> = hvcc
        .arrays
        .iter()
        .map(|array| (array.completeness, array.nal_unit_type, array.nalus.clone()))
        .collect();
    let expected: Vec<_> = [32, 33, 34]
        .into_iter()
        .zip(H265_SETS)
        .map(|(kind, set)| (false, kind, vec![set.to_vec()]))
        .collect();
    assert_eq!(arrays, expected);
}

#[test]
fn vp9_is_described_by_its_keyframe() {
    // Made by libvpx: 320 x 240.
    let parameters = Vp9Parameters::of(b"\x82\x49\x83\x42\x00\x13\xf0\x0e\xf6\x08").unwrap();
    let Codec::Vp09(Vp09 { visual, vpcc, .. }) = entry(Coding::Vp9(parameters)) else {
        panic!("vp09")
    };
    assert_eq!((visual.width, visual.height), (320, 240));
    let expected = VpcC {
        profile: 0,
        level: 20,
        bit_depth: 8,
        chroma_subsampling: 1,
        video_full_range_flag: false,
        color_primaries: 2,
        transfer_characteristics: 2,
        matrix_coefficients: 2,
        codec_initialization_data: Vec::new(),
    };
    assert_eq!(vpcc, expected);
}

#[test]
fn av1_is_described_by_its_sequence_header() {
    // Made by libaom: 320 x 240.
    let sequence = b"\x0a\x0b\x00\x00\x00\x04\x3c\xff\xbc\xda\xf9\x00\x40";
    let parameters = Av1Parameters::of(sequence).unwrap();
    let mut bytes = Vec::new();
    let track = VideoTrack {
        clock_rate: 90_000,
        coding: Coding::Av1(parameters.clone()),
    };
    Writer::new(Some(&track), None, &mut bytes);
    let ftyp = Ftyp::decode(&mut bytes.as_slice()).unwrap();
    assert!(ftyp.compatible_brands.contains(&b"av01".into()));
    let Codec::Av01(Av01 { visual, av1c, .. }) = entry(Coding::Av1(parameters)) else {
        panic!("av01")
    };
    assert_eq!((visual.width, visual.height), (320, 240));
    let expected = Av1c {
        chroma_subsampling_x: true,
        chroma_subsampling_y: true,
        config_obus: sequence.to_vec(),
        ..Av1c::default()
    };
    assert_eq!(av1c, expected);
}

#[test]
fn a_fragment_points_at_its_samples() {
    let mut bytes = Vec::new();
    let mut writer = Writer::new(Some(&video()), Some(AUDIO), &mut bytes);
    bytes.clear();
    let pictures = [sample(3000, true, b"key"), sample(3003, false, b"delta")];
    let sounds = [sample(960, true, b"a"), sample(960, true, b"bc")];
    let runs = [
        Run {
            kind: Kind::Video,
            start: 0,
            samples: &pictures,
        },
        Run {
            kind: Kind::Audio,
            start: 5_000_000_000,
            samples: &sounds,
        },
    ];
    writer.fragment(&runs, &mut bytes);
    let second = bytes.len();
    writer.fragment(&runs[1..], &mut bytes);

    let [Any::Moof(moof), Any::Mdat(Mdat { data })] = &boxes(&bytes[..second])[..] else {
        panic!("moof and mdat")
    };
    assert_eq!(moof.mfhd.sequence_number, 1);
    assert_eq!(data, b"keydeltaabc");
    let trafs: Vec<_> = moof
        .traf
        .iter()
        .map(|traf| (traf.tfhd.track_id, traf.tfdt.as_ref().unwrap().base_media_decode_time))
        .collect();
    assert_eq!(trafs, [(1, 0), (2, 5_000_000_000)]);
    for (traf, begins) in moof.traf.iter().zip([b"key", b"abc"]) {
        assert!(traf.tfhd.default_base_is_moof);
        let offset = traf.trun[0].data_offset.unwrap() as usize;
        assert!(bytes[offset..].starts_with(begins));
    }
    let entries = |track: usize| {
        moof.traf[track].trun[0]
            .samples
            .iter()
            .map(|e| (e.duration, e.size, e.flags))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        entries(0),
        [
            (Some(3000), Some(3), Some(FLAGS_SYNC)),
            (Some(3003), Some(5), Some(FLAGS_NON_SYNC))
        ]
    );
    assert_eq!(entries(1), [(Some(960), Some(1), None), (Some(960), Some(2), None)]);

    let [Any::Moof(moof), Any::Mdat(Mdat { data })] = &boxes(&bytes[second..])[..] else {
        panic!("moof and mdat")
    };
    assert_eq!(
        (moof.mfhd.sequence_number, moof.traf.len(), data.as_slice()),
        (2, 1, &b"abc"[..])
    );
}
