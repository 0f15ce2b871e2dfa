//! A media file, of a container that its first bytes tell, as a sequence of frames that can be sent.

mod annexb;
mod ivf;
mod matroska;
mod mp4;
mod sample;
mod selection;

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, BufReader, Read, Seek},
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;

use self::{annexb::AnnexB, ivf::Ivf, matroska::Matroska, mp4::Mp4};
pub use self::{ivf::IvfError, matroska::MatroskaError, mp4::Mp4Error, selection::SelectionError};
use super::{Codec, Frame, Track, ogg, rate::FrameRate};
pub use super::{h264::H264Error, h265::H265Error, ogg::OggError};

#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("cannot open {}: {error}", path.display())]
    Open { path: PathBuf, error: io::Error },
    #[error("cannot read the file: {0}")]
    Read(#[from] io::Error),
    #[error("{} is no media file that can be sent: MP4, MOV, WebM, Matroska, Ogg Opus, IVF, or Annex B H.264 or H.265", .0.display())]
    UnknownFormat(PathBuf),
    #[error(transparent)]
    Selection(#[from] SelectionError),
    #[error(transparent)]
    H264(#[from] H264Error),
    #[error(transparent)]
    H265(#[from] H265Error),
    #[error("the MP4 file is damaged: {0}")]
    Mp4(#[from] Mp4Error),
    #[error("the Matroska file is damaged: {0}")]
    Matroska(#[from] MatroskaError),
    #[error("the IVF file cannot be sent: {0}")]
    Ivf(#[from] IvfError),
    #[error(transparent)]
    Ogg(#[from] OggError),
    #[error("the file holds no frames")]
    Empty,
    #[error("--simulcast is for `test`: a file has its pictures in one size")]
    OneSize,
    #[error("--fps is for Annex B files: the test picture has 30 a second")]
    PatternRate,
    #[error("the file was replaced by one of another kind while it was sent again and again")]
    Replaced,
    #[error("the video does not start with a keyframe, nor has one soon after: nobody could decode it")]
    NoKeyframe,
}

/// A frame as a container has it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Sample {
    codec: Codec,
    /// Presentation time on the file's own clock, in nanoseconds.
    time: i64,
    keyframe: bool,
    data: Bytes,
}

enum Demuxer {
    Mp4(Mp4),
    Matroska(Box<Matroska>),
    Ogg(ogg::Reader<BufReader<File>>),
    Ivf(Ivf),
    AnnexB(AnnexB),
}

pub(crate) struct MediaFile {
    demuxer: Demuxer,
    tracks: Vec<Track>,
    notes: Vec<String>,
    /// Read while the file was examined, not sent yet.
    examined: VecDeque<Sample>,
    /// Where the file's clock stands at its first frame, in nanoseconds.
    start: i64,
    video: Clock,
    audio: Clock,
}

/// Where one track stands.
#[derive(Debug, Clone, Copy, Default)]
struct Clock {
    /// Of the newest frame; none before the first.
    newest: Option<Duration>,
    /// From the frame before to that one.
    step: Option<Duration>,
}

/// How many frames are examined before anything is sent: about five seconds of 30 pictures and 50 audio packets each,
/// and of a keyframe interval as long. What is found later ends the session with the same sentence.
const EXAMINED_FRAMES: usize = 400;
/// A track of one frame does not say how long that lasts: a picture of 25 a second.
const LONE_FRAME: Duration = Duration::from_millis(40);
/// A picture of 16 MiB would take a second at 128 Mbit/s; a size above it is damage.
const FRAME_BYTES_MAX: usize = 16 * 1024 * 1024;

impl MediaFile {
    /// `rate`: of a file that has no times.
    pub(super) fn open(path: &Path, rate: Option<FrameRate>) -> Result<Self, FileError> {
        let file = File::open(path).map_err(|error| FileError::Open {
            path: path.to_owned(),
            error,
        })?;
        let mut notes = Vec::new();
        let demuxer = Demuxer::open(file, path, rate, &mut notes)?;
        if rate.is_some() && !matches!(demuxer, Demuxer::AnnexB(_)) {
            notes.push("--fps is left aside: the file has times of its own".to_owned());
        }
        let mut media = Self {
            demuxer,
            tracks: Vec::new(),
            notes,
            examined: VecDeque::new(),
            start: 0,
            video: Clock::default(),
            audio: Clock::default(),
        };
        media.examine()?;
        Ok(media)
    }

    pub(super) fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    pub(super) fn notes(&self) -> &[String] {
        &self.notes
    }

    pub(super) fn next(&mut self) -> Result<Option<Frame>, FileError> {
        let sample = match self.examined.pop_front() {
            Some(sample) => Some(sample),
            None => self.demuxer.next()?,
        };
        sample.map(|sample| self.place(sample)).transpose()
    }

    /// Reads ahead: what codecs there are, when the first frame is due, and that the video can be sent.
    fn examine(&mut self) -> Result<(), FileError> {
        while self.examined.len() < EXAMINED_FRAMES {
            let Some(sample) = self.demuxer.next()? else { break };
            self.examined.push_back(sample);
        }
        let mut newest_video = i64::MIN;
        for sample in self.examined.iter().filter(|sample| sample.codec.is_video()) {
            // Coded before, shown after: the mark of B-frames.
            if sample.time < newest_video {
                return Err(H264Error::BFrames.into());
            }
            newest_video = sample.time;
        }
        let mut keyframe_seen = false;
        self.examined.retain(|sample| {
            keyframe_seen |= sample.codec.is_video() && sample.keyframe;
            keyframe_seen || !sample.codec.is_video()
        });
        if newest_video != i64::MIN && !keyframe_seen {
            return Err(FileError::NoKeyframe);
        }
        self.start = self
            .examined
            .iter()
            .map(|sample| sample.time)
            .min()
            .ok_or(FileError::Empty)?;
        for codec in [Codec::H264, Codec::H265, Codec::Vp8, Codec::Opus] {
            if self.examined.iter().any(|sample| sample.codec == codec) {
                self.tracks.push(self.demuxer.track(codec)?);
            }
        }
        Ok(())
    }

    fn place(&mut self, sample: Sample) -> Result<Frame, FileError> {
        let time = Duration::from_nanos(sample.time.saturating_sub(self.start).max(0) as u64);
        let time = if sample.codec.is_video() {
            if self.video.newest.is_some_and(|newest| time < newest) {
                return Err(H264Error::BFrames.into());
            }
            self.video.advance(time)
        } else {
            // Rounding in a container must not make RTP time go back.
            self.audio.advance(time.max(self.audio.newest.unwrap_or_default()))
        };
        Ok(Frame {
            codec: sample.codec,
            layer: None,
            time,
            keyframe: sample.keyframe,
            data: sample.data,
        })
    }

    /// When all that was read has been shown and heard: the last frame of each track lasts as long as the one before.
    pub(super) fn end(&self) -> Duration {
        self.video.end().max(self.audio.end())
    }
}

impl Clock {
    fn advance(&mut self, time: Duration) -> Duration {
        self.step = self.newest.map(|newest| time - newest);
        self.newest = Some(time);
        time
    }

    fn end(&self) -> Duration {
        let last = |newest| newest + self.step.filter(|step| !step.is_zero()).unwrap_or(LONE_FRAME);
        self.newest.map_or(Duration::ZERO, last)
    }
}

impl Demuxer {
    fn open(mut file: File, path: &Path, rate: Option<FrameRate>, notes: &mut Vec<String>) -> Result<Self, FileError> {
        let mut magic = Vec::new();
        file.by_ref().take(12).read_to_end(&mut magic)?;
        file.rewind()?;
        let file = BufReader::new(file);
        match magic.as_slice() {
            [0x1a, 0x45, 0xdf, 0xa3, ..] => {
                Matroska::open(file, notes).map(|matroska| Self::Matroska(Box::new(matroska)))
            }
            [b'O', b'g', b'g', b'S', ..] => Ok(Self::Ogg(ogg::Reader::new(file)?)),
            [b'D', b'K', b'I', b'F', ..] => Ivf::open(file).map(Self::Ivf),
            [0, 0, 1, ..] | [0, 0, 0, 1, ..] if !is_mp4(&magic) => Ok(Self::AnnexB(AnnexB::open(file, rate, notes)?)),
            _ if is_mp4(&magic) => Mp4::open(file, notes).map(Self::Mp4),
            _ => Err(FileError::UnknownFormat(path.to_owned())),
        }
    }

    fn next(&mut self) -> Result<Option<Sample>, FileError> {
        match self {
            Self::Mp4(mp4) => mp4.next(),
            Self::Matroska(matroska) => matroska.next(),
            Self::Ogg(reader) => Ok(reader.next()?.map(|packet| Sample {
                codec: Codec::Opus,
                time: nanoseconds(packet.start, 1, 48_000),
                keyframe: true,
                data: packet.data,
            })),
            Self::Ivf(ivf) => ivf.next(),
            Self::AnnexB(annexb) => annexb.next(),
        }
    }

    fn track(&self, codec: Codec) -> Result<Track, FileError> {
        match codec {
            Codec::Vp8 => Ok(Track::Vp8),
            Codec::Opus => Ok(Track::Opus),
            Codec::H264 | Codec::H265 => match self {
                Self::Mp4(mp4) => mp4.video_track(),
                Self::Matroska(matroska) => matroska.video_track(),
                Self::AnnexB(annexb) => annexb.track(),
                Self::Ogg(_) | Self::Ivf(_) => Err(FileError::Empty),
            },
        }
    }
}

/// The first box of an MP4 or MOV file: `ftyp` in nearly all of them.
fn is_mp4(magic: &[u8]) -> bool {
    matches!(
        magic.get(4..8),
        Some(b"ftyp" | b"styp" | b"moov" | b"mdat" | b"wide" | b"free" | b"skip")
    )
}

/// `ticks * numerator / denominator` seconds, in nanoseconds. The denominator is not 0.
fn nanoseconds(ticks: impl Into<i128>, numerator: u32, denominator: u32) -> i64 {
    let nanoseconds = ticks.into() * i128::from(numerator) * 1_000_000_000 / i128::from(denominator);
    nanoseconds.clamp(i128::from(i64::MIN / 2), i128::from(i64::MAX / 2)) as i64
}
