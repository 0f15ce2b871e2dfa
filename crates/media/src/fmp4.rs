//! Fragmented MP4 (ISO/IEC 14496-12), one video and one audio track at most.
//!
//! The file is `ftyp moov` and then `moof mdat` for each fragment. It plays up to its last whole fragment wherever it is
//! cut off, because nothing written before is ever changed.

mod entry;
mod header;

use mp4_atom::{Encode, Mfhd, Moof, Tfdt, Tfhd, Traf, Trun, TrunEntry};

use crate::{
    fragment::{OpusTrack, Run},
    frame::Kind,
    params::{Av1Parameters, H264Parameters, H265Parameters, PictureSize, Vp9Parameters},
};

/// Sample flags (§8.8.3.1): depends on no other sample; depends on others and is no place to begin.
const FLAGS_SYNC: u32 = 0x0200_0000;
const FLAGS_NON_SYNC: u32 = 0x0101_0000;

const TRACK_VIDEO: u32 = 1;
const TRACK_AUDIO: u32 = 2;

/// A video track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct VideoTrack {
    /// RTP clock units in a second.
    pub clock_rate: u32,
    pub coding: Coding,
}

/// How a track's frames are coded, and what their decoder must know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    H264(H264Parameters),
    H265(H265Parameters),
    Vp9(Vp9Parameters),
    Av1(Av1Parameters),
}

impl Coding {
    /// None where the stream does not tell.
    pub(crate) fn picture_size(&self) -> Option<PictureSize> {
        match self {
            Self::H264(parameters) => parameters.picture.map(|picture| picture.size),
            Self::H265(parameters) => Some(parameters.size),
            Self::Vp9(parameters) => Some(parameters.size),
            Self::Av1(parameters) => Some(parameters.size),
        }
    }
}

/// Writes the file after its header.
#[derive(Debug)]
pub(crate) struct Writer {
    /// `mfhd.sequence_number` of the last fragment.
    sequence: u32,
}

impl Writer {
    /// Begins a file: appends `ftyp` and `moov`.
    pub(crate) fn new(video: Option<&VideoTrack>, audio: Option<OpusTrack>, out: &mut Vec<u8>) -> Self {
        header::write(video, audio, out);
        Self { sequence: 0 }
    }

    /// Appends a fragment: `moof` and `mdat`. The runs are of different tracks.
    pub(crate) fn fragment(&mut self, runs: &[Run<'_>], out: &mut Vec<u8>) {
        self.sequence = self.sequence.wrapping_add(1);
        let size = encode(&self.moof(runs, 0)).len();
        // Behind the header of `mdat`. Offsets have a fixed width, so that the second `moof` is as long as the first.
        let moof = self.moof(runs, size + 8);
        out.extend_from_slice(&encode(&moof));
        let samples = runs.iter().flat_map(|run| run.samples);
        let payload: usize = samples.clone().map(|sample| sample.data.len()).sum();
        out.extend_from_slice(&((payload + 8) as u32).to_be_bytes());
        out.extend_from_slice(b"mdat");
        for sample in samples {
            out.extend_from_slice(&sample.data);
        }
    }

    /// `offset`: of the first sample's data, from the beginning of the `moof`.
    fn moof(&self, runs: &[Run<'_>], mut offset: usize) -> Moof {
        let mut traf = Vec::with_capacity(runs.len());
        for run in runs {
            traf.push(track_fragment(run, offset));
            offset += run.samples.iter().map(|sample| sample.data.len()).sum::<usize>();
        }
        Moof {
            mfhd: Mfhd {
                sequence_number: self.sequence,
            },
            traf,
        }
    }
}

fn track_fragment(run: &Run<'_>, offset: usize) -> Traf {
    let entries = run.samples.iter().map(|sample| TrunEntry {
        duration: Some(sample.duration),
        size: Some(sample.data.len() as u32),
        flags: (run.kind == Kind::Video).then_some(if sample.keyframe { FLAGS_SYNC } else { FLAGS_NON_SYNC }),
        cts: None,
    });
    Traf {
        tfhd: Tfhd {
            track_id: match run.kind {
                Kind::Video => TRACK_VIDEO,
                Kind::Audio => TRACK_AUDIO,
            },
            default_sample_flags: Some(FLAGS_SYNC),
            default_base_is_moof: true,
            ..Tfhd::default()
        },
        tfdt: Some(Tfdt {
            base_media_decode_time: run.start,
        }),
        trun: vec![Trun {
            data_offset: Some(offset as i32),
            samples: entries.collect::<Vec<_>>().into(),
        }],
        ..Traf::default()
    }
}

fn encode(atom: &impl Encode) -> Vec<u8> {
    let mut bytes = Vec::new();
    // It fails on sizes over 4 GiB and on field values that are never given to it; tests write every kind of box.
    atom.encode(&mut bytes)
        .expect("boxes are small and their fields in range");
    bytes
}

#[cfg(test)]
mod tests;
