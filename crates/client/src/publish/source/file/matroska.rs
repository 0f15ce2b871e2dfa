//! WebM and Matroska.

use std::{
    fs::File,
    io::{BufReader, ErrorKind},
};

use bytes::Bytes;
use matroska_demuxer::{ContentCompAlgo, ContentEncodingValue, DemuxError, Frame, MatroskaFile, TrackEntry, TrackType};

use super::{
    super::{Codec, Track, h264, h265},
    FileError, Sample,
    ivf::is_vp8_keyframe,
    sample::NalSamples,
    selection::{Coding, Kind, Selection},
};

#[derive(Debug, thiserror::Error)]
pub enum MatroskaError {
    #[error("it breaks off; was its recording cut short?")]
    Cut,
    #[error("a text in it is not UTF-8")]
    Text,
    #[error("a number in it is out of range")]
    Number,
    #[error("{0}")]
    Structure(DemuxError),
}

impl From<DemuxError> for FileError {
    /// The demuxer shows nothing of the errors that it wraps.
    fn from(error: DemuxError) -> Self {
        match error {
            DemuxError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => MatroskaError::Cut.into(),
            DemuxError::IoError(error) => Self::Read(error),
            DemuxError::FromUtf8Error(_) => MatroskaError::Text.into(),
            DemuxError::TryFromIntError(_) => MatroskaError::Number.into(),
            error => MatroskaError::Structure(error).into(),
        }
    }
}

pub(super) struct Matroska {
    file: MatroskaFile<BufReader<File>>,
    selection: Selection,
    nals: Option<NalSamples>,
    /// Bytes that every frame of a track starts with and that are stored once (RFC 9559 §5.1.4.1.31.6, header stripping).
    stripped: Vec<(u64, Vec<u8>)>,
    /// Nanoseconds per tick of a frame's time.
    scale: u64,
}

impl Matroska {
    pub(super) fn open(file: BufReader<File>, notes: &mut Vec<String>) -> Result<Self, FileError> {
        let file = MatroskaFile::open(file)?;
        let mut selection = Selection::default();
        let (mut nals, mut stripped) = (None, Vec::new());
        for track in file.tracks() {
            let kind = match track.track_type() {
                TrackType::Video => Kind::Video,
                TrackType::Audio => Kind::Audio,
                _ => continue,
            };
            let number = track.track_number().get();
            selection.consider(number, kind, coding(track))?;
            let record = track.codec_private().unwrap_or_default();
            nals = match selection.codec(number) {
                Some(Codec::H264) => {
                    let (sets, length_size) = h264::ParameterSets::from_configuration(record)?;
                    Some(NalSamples::H264 { sets, length_size })
                }
                Some(Codec::H265) => {
                    let (sets, length_size) = h265::ParameterSets::from_configuration(record)?;
                    Some(NalSamples::H265 { sets, length_size })
                }
                _ => nals,
            };
            stripped.extend(stripped_header(track).map(|header| (number, header)));
        }
        selection.finish(notes)?;
        let scale = file.info().timestamp_scale().get();
        Ok(Self {
            file,
            selection,
            nals,
            stripped,
            scale,
        })
    }

    pub(super) fn video_track(&self) -> Result<Track, FileError> {
        self.nals.as_ref().ok_or(FileError::Empty)?.track()
    }

    pub(super) fn next(&mut self) -> Result<Option<Sample>, FileError> {
        let mut frame = Frame::default();
        while self.file.next_frame(&mut frame)? {
            let Some(codec) = self.selection.codec(frame.track) else {
                continue;
            };
            let stripped = self.stripped.iter().find(|(track, _)| *track == frame.track);
            let data = match stripped {
                Some((_, header)) => [header.as_slice(), &frame.data].concat(),
                None => std::mem::take(&mut frame.data),
            };
            let time = i64::try_from(frame.timestamp.saturating_mul(self.scale)).unwrap_or(i64::MAX / 2);
            let (keyframe, data) = match (codec, &mut self.nals) {
                (Codec::H264 | Codec::H265, Some(nals)) => match nals.access_unit(&data)? {
                    Some(unit) => unit,
                    None => continue,
                },
                (Codec::Vp8, _) => (is_vp8_keyframe(&data), Bytes::from(data)),
                (Codec::Opus | Codec::H264 | Codec::H265, _) => (true, Bytes::from(data)),
            };
            if data.is_empty() {
                continue;
            }
            return Ok(Some(Sample {
                codec,
                time,
                keyframe,
                data,
            }));
        }
        Ok(None)
    }
}

/// Codec mappings of RFC 9559's registry.
fn coding(track: &TrackEntry) -> Coding {
    for encoding in track.content_encodings().unwrap_or_default() {
        match encoding.encoding() {
            ContentEncodingValue::Compression(compression) if compression.algo() == ContentCompAlgo::Stripping => {}
            ContentEncodingValue::Encryption(_) => return Coding::Encrypted,
            _ => return Coding::Other("compressed by the container".to_owned()),
        }
    }
    match track.codec_id() {
        "V_MPEG4/ISO/AVC" => Coding::Known(Codec::H264),
        "V_MPEGH/ISO/HEVC" => Coding::Known(Codec::H265),
        "V_VP8" => Coding::Known(Codec::Vp8),
        "A_OPUS" => match track.audio().map_or(2, |audio| audio.channels().get()) {
            1 | 2 => Coding::Known(Codec::Opus),
            channels => Coding::Other(format!("Opus of {channels} channels")),
        },
        "V_VP9" => Coding::Other("VP9".to_owned()),
        "V_AV1" => Coding::Other("AV1".to_owned()),
        id if id.starts_with("A_AAC") => Coding::Other("AAC".to_owned()),
        "A_VORBIS" => Coding::Other("Vorbis".to_owned()),
        id => Coding::Other(id.chars().filter(|c| !c.is_control()).take(40).collect()),
    }
}

fn stripped_header(track: &TrackEntry) -> Option<Vec<u8>> {
    track
        .content_encodings()
        .unwrap_or_default()
        .iter()
        .find_map(|encoding| match encoding.encoding() {
            ContentEncodingValue::Compression(compression) => compression.settings().map(<[u8]>::to_vec),
            _ => None,
        })
}
