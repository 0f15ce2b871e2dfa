//! MP4 and MOV (ISO/IEC 14496-12), in one piece or in fragments: an index of all samples, then their bytes.

use std::{
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom},
};

use bytes::Bytes;
use mp4_atom::{
    Atom, Avc1, Avc3, Codec as Entry, FourCC, Header, Hev1, Hvc1, Moof, Moov, ReadAtom, ReadFrom, StszSamples, Trak,
    Trex,
};

use super::{
    super::{Codec, Track, h264, h265},
    FRAME_BYTES_MAX, FileError, Sample,
    ivf::is_vp8_keyframe,
    nanoseconds,
    sample::NalSamples,
    selection::{Coding, Kind, Selection},
};

#[derive(Debug, thiserror::Error)]
pub enum Mp4Error {
    #[error("{0}")]
    Atom(#[from] mp4_atom::Error),
    #[error("it has no index (moov); was its recording cut short?")]
    NoMoov,
    #[error("its index is larger than {INDEX_BYTES_MAX} bytes, or lists more than {SAMPLES_MAX} samples")]
    TooLarge,
    #[error("its index contradicts itself")]
    Inconsistent,
}

pub(super) struct Mp4 {
    file: BufReader<File>,
    /// In the order of sending.
    samples: std::vec::IntoIter<Located>,
    nals: Option<NalSamples>,
}

/// Where a sample is, and when it is decoded and shown, in nanoseconds.
#[derive(Debug, Clone, Copy)]
struct Located {
    codec: Codec,
    offset: u64,
    size: u32,
    decoded: i64,
    shown: i64,
}

/// One track that is sent.
struct Chosen<'a> {
    trak: &'a Trak,
    codec: Codec,
    timescale: u32,
    /// What the edit list adds to each time, in nanoseconds.
    shift: i64,
    /// Decode time of the next sample, in ticks.
    clock: u64,
}

/// An index of four million samples takes 48 MiB at most.
const INDEX_BYTES_MAX: usize = 128 * 1024 * 1024;
/// 13 hours of 30 pictures and 50 audio packets a second.
const SAMPLES_MAX: usize = 4_000_000;

impl Mp4 {
    pub(super) fn open(mut file: BufReader<File>, notes: &mut Vec<String>) -> Result<Self, FileError> {
        let index = read_index(&mut file)?;
        let mut selection = Selection::default();
        for trak in &index.moov.trak {
            let kind = match trak.mdia.hdlr.handler.as_ref() {
                b"vide" => Kind::Video,
                b"soun" => Kind::Audio,
                _ => continue,
            };
            selection.consider(trak.tkhd.track_id.into(), kind, coding(trak))?;
        }
        selection.finish(notes)?;
        let mut tracks = Vec::new();
        for trak in &index.moov.trak {
            let Some(codec) = selection.codec(trak.tkhd.track_id.into()) else {
                continue;
            };
            let timescale = trak.mdia.mdhd.timescale;
            if timescale == 0 || index.moov.mvhd.timescale == 0 {
                return Err(Mp4Error::Inconsistent.into());
            }
            let shift = edit_shift(trak, timescale, index.moov.mvhd.timescale);
            tracks.push(Chosen {
                trak,
                codec,
                timescale,
                shift,
                clock: 0,
            });
        }
        let video = tracks.iter().find(|track| track.codec.is_video());
        let nals = video.map(|video| nals(video.trak)).transpose()?.flatten();
        let mut samples = Vec::new();
        for track in &mut tracks {
            track.whole(&mut samples)?;
        }
        let defaults = index.moov.mvex.as_ref().map_or(&[][..], |mvex| &mvex.trex);
        for (offset, moof) in &index.moofs {
            for track in &mut tracks {
                let trex = defaults.iter().find(|trex| trex.track_id == track.trak.tkhd.track_id);
                track.fragment(moof, *offset, trex, &mut samples)?;
            }
        }
        // Stable: samples of one track keep their order.
        samples.sort_by_key(|sample| sample.decoded);
        Ok(Self {
            file,
            samples: samples.into_iter(),
            nals,
        })
    }

    pub(super) fn video_track(&self) -> Result<Track, FileError> {
        self.nals.as_ref().ok_or(FileError::Empty)?.track()
    }

    /// A sample cut off by the end of the file is the end: a recording may still be growing.
    pub(super) fn next(&mut self) -> Result<Option<Sample>, FileError> {
        for sample in self.samples.by_ref() {
            let size = sample.size as usize;
            if size > FRAME_BYTES_MAX {
                return Err(Mp4Error::Inconsistent.into());
            }
            let mut data = vec![0; size];
            self.file.seek(SeekFrom::Start(sample.offset))?;
            match self.file.read_exact(&mut data) {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
                read => read?,
            }
            let (keyframe, data) = match (sample.codec, &mut self.nals) {
                (Codec::H264 | Codec::H265, Some(nals)) => match nals.access_unit(&data)? {
                    Some(unit) => unit,
                    None => continue,
                },
                (Codec::Vp8, _) => (is_vp8_keyframe(&data), Bytes::from(data)),
                (Codec::Opus | Codec::H264 | Codec::H265, _) => (true, Bytes::from(data)),
            };
            if !data.is_empty() {
                return Ok(Some(Sample {
                    codec: sample.codec,
                    time: sample.shown,
                    keyframe,
                    data,
                }));
            }
        }
        Ok(None)
    }
}

struct Index {
    moov: Moov,
    /// With the offset of each in the file.
    moofs: Vec<(u64, Moof)>,
}

/// Reads the boxes of the top level. What is cut off at the end is left out.
fn read_index(file: &mut BufReader<File>) -> Result<Index, FileError> {
    let length = file.get_ref().metadata()?.len();
    let (mut moov, mut moofs, mut offset, mut index_bytes) = (None, Vec::new(), 0, 0);
    while offset + 8 <= length {
        file.seek(SeekFrom::Start(offset))?;
        let header = Header::read_from(file).map_err(Mp4Error::Atom)?;
        let body = file.stream_position()?;
        let size = header.size.map_or(length - body, |size| size as u64);
        let end = body.saturating_add(size);
        if end > length && header.kind != FourCC::new(b"mdat") {
            break;
        }
        if header.kind == Moov::KIND || header.kind == Moof::KIND {
            index_bytes += size as usize;
            if index_bytes > INDEX_BYTES_MAX {
                return Err(Mp4Error::TooLarge.into());
            }
        }
        if header.kind == Moov::KIND {
            moov = Some(Moov::read_atom(&header, file).map_err(Mp4Error::Atom)?);
        } else if header.kind == Moof::KIND {
            moofs.push((offset, Moof::read_atom(&header, file).map_err(Mp4Error::Atom)?));
        }
        offset = end;
    }
    Ok(Index {
        moov: moov.ok_or(Mp4Error::NoMoov)?,
        moofs,
    })
}

impl Chosen<'_> {
    fn locate(&self, offset: u64, size: u32, composition: i64) -> Located {
        let at = |ticks: i128| nanoseconds(ticks, 1, self.timescale).saturating_add(self.shift);
        let decoded = i128::from(self.clock);
        Located {
            codec: self.codec,
            offset,
            size,
            decoded: at(decoded),
            shown: at(decoded + i128::from(composition)),
        }
    }

    /// Samples that the moov box lists (clauses 8.6.1, 8.7).
    fn whole(&mut self, samples: &mut Vec<Located>) -> Result<(), Mp4Error> {
        let stbl = &self.trak.mdia.minf.stbl;
        let (count, size_of): (usize, Box<dyn Fn(usize) -> u32>) = match &stbl.stsz.samples {
            StszSamples::Identical { count, size } => (*count as usize, Box::new(|_| *size)),
            StszSamples::Different { sizes } => (sizes.len(), Box::new(|i| sizes[i])),
        };
        if samples.len() + count > SAMPLES_MAX {
            return Err(Mp4Error::TooLarge);
        }
        let chunk_offsets: Vec<u64> = match (&stbl.co64, &stbl.stco) {
            (Some(co64), _) => co64.entries.clone(),
            (None, Some(stco)) => stco.entries.iter().copied().map(u64::from).collect(),
            (None, None) => Vec::new(),
        };
        let runs = |entries: &[(u32, i64)]| -> Vec<i64> {
            let each = entries
                .iter()
                .flat_map(|&(run, value)| std::iter::repeat_n(value, run as usize));
            each.take(count).collect()
        };
        let durations: Vec<_> = stbl
            .stts
            .entries
            .iter()
            .map(|e| (e.sample_count, i64::from(e.sample_delta)))
            .collect();
        let compositions: Vec<_> = stbl
            .ctts
            .iter()
            .flat_map(|ctts| &ctts.entries)
            .map(|e| (e.sample_count, e.sample_offset))
            .collect();
        let (durations, compositions) = (runs(&durations), runs(&compositions));

        let mut next = 0;
        for (chunk, &chunk_offset) in chunk_offsets.iter().enumerate() {
            let of_chunk = stbl
                .stsc
                .entries
                .iter()
                .rfind(|entry| entry.first_chunk as usize <= chunk + 1);
            let of_chunk = of_chunk.ok_or(Mp4Error::Inconsistent)?.samples_per_chunk as usize;
            let mut offset = chunk_offset;
            for _ in 0..of_chunk.min(count - next) {
                let size = size_of(next);
                samples.push(self.locate(offset, size, compositions.get(next).copied().unwrap_or(0)));
                offset = offset.saturating_add(size.into());
                let duration = durations.get(next).copied().ok_or(Mp4Error::Inconsistent)?;
                self.clock = self.clock.saturating_add(duration.unsigned_abs());
                next += 1;
            }
        }
        if next == count {
            Ok(())
        } else {
            Err(Mp4Error::Inconsistent)
        }
    }

    /// Samples of a movie fragment at `moof_offset` (clause 8.8). Defaults come from the track fragment, then from the moov box.
    fn fragment(
        &mut self,
        moof: &Moof,
        moof_offset: u64,
        trex: Option<&Trex>,
        samples: &mut Vec<Located>,
    ) -> Result<(), Mp4Error> {
        for traf in moof
            .traf
            .iter()
            .filter(|traf| traf.tfhd.track_id == self.trak.tkhd.track_id)
        {
            let tfhd = &traf.tfhd;
            let default_size = tfhd
                .default_sample_size
                .or_else(|| trex.map(|trex| trex.default_sample_size))
                .unwrap_or(0);
            let default_duration = tfhd
                .default_sample_duration
                .or_else(|| trex.map(|trex| trex.default_sample_duration))
                .unwrap_or(0);
            if let Some(tfdt) = &traf.tfdt {
                self.clock = tfdt.base_media_decode_time;
            }
            let base = tfhd.base_data_offset.unwrap_or(moof_offset);
            let mut offset = base;
            for run in &traf.trun {
                if samples.len() + run.samples.len() > SAMPLES_MAX {
                    return Err(Mp4Error::TooLarge);
                }
                if let Some(data_offset) = run.data_offset {
                    offset = base
                        .checked_add_signed(data_offset.into())
                        .ok_or(Mp4Error::Inconsistent)?;
                }
                for entry in &run.samples {
                    let size = entry.size.unwrap_or(default_size);
                    samples.push(self.locate(offset, size, entry.cts.unwrap_or(0)));
                    offset = offset.saturating_add(size.into());
                    self.clock = self
                        .clock
                        .saturating_add(entry.duration.unwrap_or(default_duration).into());
                }
            }
        }
        Ok(())
    }
}

/// The start of the presentation (clause 8.6.6): empty edits delay it, the first real one says where in the media it begins.
fn edit_shift(trak: &Trak, timescale: u32, movie_timescale: u32) -> i64 {
    let mut shift = 0;
    for edit in trak
        .edts
        .iter()
        .flat_map(|edts| &edts.elst)
        .flat_map(|elst| &elst.entries)
    {
        match edit.media_time {
            None => shift += nanoseconds(edit.segment_duration, 1, movie_timescale),
            Some(start) => return shift - nanoseconds(start, 1, timescale),
        }
    }
    shift
}

fn coding(trak: &Trak) -> Coding {
    let name = match trak.mdia.minf.stbl.stsd.codecs.first() {
        Some(Entry::Avc1(_) | Entry::Avc3(_)) => return Coding::Known(Codec::H264),
        Some(Entry::Hev1(_) | Entry::Hvc1(_)) => return Coding::Known(Codec::H265),
        Some(Entry::Vp08(_)) => return Coding::Known(Codec::Vp8),
        Some(Entry::Opus(opus)) if opus.audio.channel_count <= 2 => return Coding::Known(Codec::Opus),
        Some(Entry::Opus(_)) => "Opus of more than two channels",
        Some(Entry::Vp09(_)) => "VP9",
        Some(Entry::Av01(_)) => "AV1",
        Some(Entry::Mp4a(_)) => "AAC",
        Some(Entry::Mp3(_)) => "MP3",
        Some(Entry::Flac(_)) => "FLAC",
        Some(Entry::Ac3(_) | Entry::Eac3(_)) => "Dolby Digital",
        Some(Entry::Unknown(kind, _)) if matches!(kind.as_ref(), b"encv" | b"enca") => return Coding::Encrypted,
        Some(Entry::Unknown(kind, _)) => return Coding::Other(kind.to_string()),
        Some(_) => "of a codec that WebRTC does not have",
        None => "without a sample description",
    };
    Coding::Other(name.to_owned())
}

/// None for video that has no NAL units.
fn nals(trak: &Trak) -> Result<Option<NalSamples>, FileError> {
    Ok(match trak.mdia.minf.stbl.stsd.codecs.first() {
        Some(Entry::Avc1(Avc1 { avcc, .. }) | Entry::Avc3(Avc3 { avcc, .. })) => {
            let mut sets = h264::ParameterSets::default();
            for set in avcc.sequence_parameter_sets.iter().chain(&avcc.picture_parameter_sets) {
                sets.learn(set)?;
            }
            let length_size = usize::from(avcc.length_size);
            Some(NalSamples::H264 { sets, length_size })
        }
        Some(Entry::Hev1(Hev1 { hvcc, .. }) | Entry::Hvc1(Hvc1 { hvcc, .. })) => {
            let mut sets = h265::ParameterSets::default();
            for set in hvcc.arrays.iter().flat_map(|array| &array.nalus) {
                sets.learn(set)?;
            }
            let length_size = usize::from(hvcc.length_size_minus_one) + 1;
            Some(NalSamples::H265 { sets, length_size })
        }
        _ => None,
    })
}
