//! Annex B H.264 (ITU-T H.264 Annex B): NAL units between start codes, and no times; the SPS may tell a frame rate.

use std::{
    fs::File,
    io::{self, BufReader, Read},
};

use h264_reader::{nal::sps::SeqParameterSet, rbsp::BitReader};

use super::{
    super::{
        Codec, Track,
        h264::{H264Error, ParameterSets, kind, starts_picture},
        h265::{self, H265Error},
    },
    FRAME_BYTES_MAX, FileError, Sample, nanoseconds,
};

pub(super) struct AnnexB {
    nals: Nals<BufReader<File>>,
    /// The first NAL unit of the next access unit.
    ahead: Option<Vec<u8>>,
    sets: ParameterSets,
    rate: FrameRate,
    pictures: u64,
}

/// `pictures / seconds` pictures a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FrameRate {
    pictures: u32,
    seconds: u32,
}

const DEFAULT_RATE: FrameRate = FrameRate {
    pictures: 30,
    seconds: 1,
};
/// Beyond any camera; an SPS that says more is wrong.
const RATE_MAX: u32 = 300;

impl AnnexB {
    pub(super) fn open(file: BufReader<File>, notes: &mut Vec<String>) -> Result<Self, FileError> {
        let mut nals = Nals::new(file);
        let mut ahead = nals.next()?;
        if ahead.as_deref().is_some_and(h265::begins_stream) {
            return Err(H265Error::NoTimes.into());
        }
        while ahead
            .as_deref()
            .is_some_and(|unit| kind::of(unit) == Some(kind::DELIMITER))
        {
            ahead = nals.next()?;
        }
        let mut annexb = Self {
            nals,
            ahead,
            sets: ParameterSets::default(),
            rate: DEFAULT_RATE,
            pictures: 0,
        };
        let sps = annexb.ahead.as_deref().filter(|unit| kind::of(unit) == Some(kind::SPS));
        match sps.and_then(frame_rate) {
            Some(rate) => annexb.rate = rate,
            None => notes.push(format!(
                "the file does not tell its frame rate; sent at {} a second",
                DEFAULT_RATE.pictures
            )),
        }
        Ok(annexb)
    }

    pub(super) fn track(&self) -> Result<Track, H264Error> {
        self.sets.track()
    }

    pub(super) fn next(&mut self) -> Result<Option<Sample>, FileError> {
        while let Some(units) = self.access_unit()? {
            let Some(unit) = self.sets.access_unit(units.iter().map(Vec::as_slice))? else {
                continue;
            };
            let time = nanoseconds(self.pictures, self.rate.seconds, self.rate.pictures);
            self.pictures += 1;
            return Ok(Some(Sample {
                codec: Codec::H264,
                time,
                keyframe: unit.keyframe,
                data: unit.data,
            }));
        }
        Ok(None)
    }

    /// NAL units up to the first of the next access unit (clause 7.4.1.2.3).
    fn access_unit(&mut self) -> Result<Option<Vec<Vec<u8>>>, FileError> {
        let Some(first) = self.ahead.take() else {
            return Ok(None);
        };
        let mut picture = is_picture(&first);
        let mut size = first.len();
        let mut units = vec![first];
        while let Some(unit) = self.nals.next()? {
            let starts = match kind::of(&unit) {
                Some(kind::SLICE | kind::IDR) => starts_picture(&unit),
                Some(kind::SEI | kind::SPS | kind::PPS | kind::DELIMITER) => true,
                _ => false,
            };
            if picture && starts {
                self.ahead = Some(unit);
                break;
            }
            picture |= is_picture(&unit);
            size += unit.len();
            if size > FRAME_BYTES_MAX {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a picture without end").into());
            }
            units.push(unit);
        }
        Ok(Some(units))
    }
}

fn is_picture(unit: &[u8]) -> bool {
    matches!(kind::of(unit), Some(kind::SLICE | kind::IDR))
}

/// From the VUI of an SPS: a picture lasts two ticks (clause E.2.1).
fn frame_rate(sps: &[u8]) -> Option<FrameRate> {
    let rbsp = h264_reader::rbsp::decode_nal(sps).ok()?;
    let sps = SeqParameterSet::from_bits(BitReader::new(rbsp.as_ref())).ok()?;
    let timing = sps.vui_parameters?.timing_info?;
    let seconds = timing.num_units_in_tick.checked_mul(2)?;
    let plausible = seconds > 0 && timing.time_scale > 0 && timing.time_scale / seconds <= RATE_MAX;
    plausible.then_some(FrameRate {
        pictures: timing.time_scale,
        seconds,
    })
}

/// Splits a byte stream at its start codes.
struct Nals<R> {
    input: R,
    buffer: Vec<u8>,
    /// Where the next NAL unit starts in `buffer`, behind its start code.
    start: usize,
}

const CHUNK: usize = 64 * 1024;

impl<R: Read> Nals<R> {
    fn new(input: R) -> Self {
        Self {
            input,
            buffer: Vec::new(),
            start: 0,
        }
    }

    fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            let mut searched = self.start;
            let end = loop {
                if let Some(at) = find_start_code(&self.buffer[searched..]) {
                    break searched + at;
                }
                // A start code may straddle the chunks.
                searched = self.buffer.len().saturating_sub(2).max(self.start);
                if self.buffer.len() - self.start > FRAME_BYTES_MAX {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, "a NAL unit without end"));
                }
                let read = self.input.by_ref().take(CHUNK as u64).read_to_end(&mut self.buffer)?;
                if read == 0 {
                    break self.buffer.len();
                }
            };
            let unit = trim_zeros(&self.buffer[self.start..end]).to_vec();
            if end == self.buffer.len() {
                self.buffer.clear();
                self.start = 0;
                return Ok(Some(unit).filter(|unit| !unit.is_empty()));
            }
            self.buffer.drain(..end + 3);
            self.start = 0;
            if !unit.is_empty() {
                return Ok(Some(unit));
            }
        }
    }
}

fn find_start_code(bytes: &[u8]) -> Option<usize> {
    bytes.windows(3).position(|window| window == [0, 0, 1])
}

/// trailing_zero_8bits, and the first zero of a start code of four bytes: a NAL unit never ends in a zero (clause 7.4.1).
fn trim_zeros(unit: &[u8]) -> &[u8] {
    let length = unit.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    &unit[..length]
}
