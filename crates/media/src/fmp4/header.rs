//! `ftyp` and `moov`: which tracks there are. No sample and no duration is in them, so that they are never touched again.

use mp4_atom::{
    Avc3, Avcc, AvccExt, Codec, Dinf, Dops, Dref, DrefEntry, Ftyp, Hdlr, Mdhd, Mdia, Minf, Moov, Mvex, Mvhd, Opus,
    Smhd, Stbl, Stco, Stsd, Tkhd, Trak, Trex, Url, Visual, Vmhd,
};

use super::{H264Track, TRACK_AUDIO, TRACK_VIDEO, encode};
use crate::{fragment::OpusTrack, params::H264Parameters};

/// Profiles whose decoder configuration says chroma format and bit depth too (ISO/IEC 14496-15,
/// AVCDecoderConfigurationRecord).
const PROFILES_WITH_CHROMA: [u8; 4] = [100, 110, 122, 144];

pub(super) fn write(video: Option<&H264Track>, audio: Option<OpusTrack>, out: &mut Vec<u8>) {
    let ftyp = Ftyp {
        major_brand: b"iso6".into(),
        minor_version: 0,
        compatible_brands: vec![b"iso6".into(), b"mp41".into()],
    };
    let mut moov = Moov {
        mvhd: Mvhd {
            timescale: 1000,
            rate: 1.into(),
            volume: 1.into(),
            next_track_id: TRACK_AUDIO + 1,
            ..Mvhd::default()
        },
        mvex: Some(Mvex::default()),
        ..Moov::default()
    };
    let tracks = [video.map(video_track), audio.map(audio_track)];
    for trak in tracks.into_iter().flatten() {
        moov.mvex.get_or_insert_default().trex.push(Trex {
            track_id: trak.tkhd.track_id,
            default_sample_description_index: 1,
            ..Trex::default()
        });
        moov.trak.push(trak);
    }
    out.extend_from_slice(&encode(&ftyp));
    out.extend_from_slice(&encode(&moov));
}

fn video_track(video: &H264Track) -> Trak {
    let size = video.parameters.picture.map(|picture| picture.size);
    // 0 where the size is unknown or more than the field holds: players go by the parameter sets.
    let side = |side: Option<u32>| side.and_then(|side| u16::try_from(side).ok()).unwrap_or(0);
    let (width, height) = (side(size.map(|size| size.width)), side(size.map(|size| size.height)));
    let entry = Avc3 {
        visual: Visual {
            data_reference_index: 1,
            width,
            height,
            ..Visual::default()
        },
        avcc: decoder_configuration(&video.parameters),
        ..Avc3::default()
    };
    Trak {
        tkhd: Tkhd {
            width: width.into(),
            height: height.into(),
            ..track_header(TRACK_VIDEO)
        },
        mdia: Mdia {
            mdhd: media_header(video.clock_rate),
            hdlr: Hdlr {
                handler: b"vide".into(),
                name: "video".into(),
            },
            minf: Minf {
                vmhd: Some(Vmhd::default()),
                ..media_information(entry.into())
            },
        },
        ..Trak::default()
    }
}

fn audio_track(audio: OpusTrack) -> Trak {
    let entry = Opus {
        audio: mp4_atom::Audio {
            data_reference_index: 1,
            channel_count: audio.channels.into(),
            sample_size: 16,
            sample_rate: u16::try_from(audio.clock_rate).unwrap_or(0).into(),
        },
        dops: Dops {
            output_channel_count: audio.channels,
            // We begin in the middle of a stream: there is no encoder delay to cut off.
            pre_skip: 0,
            input_sample_rate: audio.clock_rate,
            output_gain: 0,
            channel_mapping: None,
        },
        btrt: None,
    };
    Trak {
        tkhd: Tkhd {
            volume: 1.into(),
            alternate_group: 1,
            ..track_header(TRACK_AUDIO)
        },
        mdia: Mdia {
            mdhd: media_header(audio.clock_rate),
            hdlr: Hdlr {
                handler: b"soun".into(),
                name: "audio".into(),
            },
            minf: Minf {
                smhd: Some(Smhd::default()),
                ..media_information(entry.into())
            },
        },
        ..Trak::default()
    }
}

fn decoder_configuration(parameters: &H264Parameters) -> Avcc {
    let first = &parameters.sps[0];
    let ext = parameters
        .picture
        .filter(|_| PROFILES_WITH_CHROMA.contains(&first[1]))
        .map(|picture| AvccExt {
            chroma_format: picture.chroma_format,
            bit_depth_luma: picture.bit_depth_luma,
            bit_depth_chroma: picture.bit_depth_chroma,
            sequence_parameter_sets_ext: Vec::new(),
        });
    Avcc {
        configuration_version: 1,
        avc_profile_indication: first[1],
        profile_compatibility: first[2],
        avc_level_indication: first[3],
        length_size: 4,
        sequence_parameter_sets: parameters.sps.clone(),
        picture_parameter_sets: parameters.pps.clone(),
        ext,
    }
}

fn track_header(track_id: u32) -> Tkhd {
    Tkhd {
        track_id,
        enabled: true,
        in_movie: true,
        ..Tkhd::default()
    }
}

fn media_header(timescale: u32) -> Mdhd {
    Mdhd {
        timescale,
        language: "und".into(),
        ..Mdhd::default()
    }
}

fn media_information(entry: Codec) -> Minf {
    Minf {
        // One reference with no location: the data is in this file.
        dinf: Dinf {
            dref: Dref {
                entries: vec![DrefEntry::Url(Url::default())],
            },
        },
        stbl: Stbl {
            stsd: Stsd { codecs: vec![entry] },
            stco: Some(Stco::default()),
            ..Stbl::default()
        },
        ..Minf::default()
    }
}
