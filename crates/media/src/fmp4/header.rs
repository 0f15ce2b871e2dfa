//! `ftyp` and `moov`: which tracks there are. No sample and no duration is in them, so that they are never touched again.

use mp4_atom::{
    Codec, Dinf, Dops, Dref, DrefEntry, Ftyp, Hdlr, Mdhd, Mdia, Minf, Moov, Mvex, Mvhd, Opus, Smhd, Stbl, Stco, Stsd,
    Tkhd, Trak, Trex, Url, Vmhd,
};

use super::{Coding, TRACK_AUDIO, TRACK_VIDEO, VideoTrack, encode, entry};
use crate::fragment::OpusTrack;

pub(super) fn write(video: Option<&VideoTrack>, audio: Option<OpusTrack>, out: &mut Vec<u8>) {
    let mut ftyp = Ftyp {
        major_brand: b"iso6".into(),
        minor_version: 0,
        compatible_brands: vec![b"iso6".into(), b"mp41".into()],
    };
    // AV1 Codec ISO Media File Format Binding §2.1.
    if video.is_some_and(|video| matches!(video.coding, Coding::Av1(_))) {
        ftyp.compatible_brands.push(b"av01".into());
    }
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

fn video_track(video: &VideoTrack) -> Trak {
    let (width, height) = entry::sides(&video.coding);
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
                ..media_information(entry::sample_entry(&video.coding))
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
