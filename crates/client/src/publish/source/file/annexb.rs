//! Annex B H.264 and H.265 (Annex B of ITU-T H.264 and of H.265): NAL units between start codes, and no times; the SPS may
//! tell a frame rate.

mod nals;

use std::{
    fs::File,
    io::{self, BufReader},
};

use self::nals::Nals;
use super::{
    super::{Codec, Track, h264, h265, nal::AccessUnit, rate::FrameRate},
    FRAME_BYTES_MAX, FileError, Sample,
};

pub(super) struct AnnexB {
    nals: Nals<BufReader<File>>,
    /// Read while the file was opened.
    first: Option<Vec<Vec<u8>>>,
    /// The first NAL unit of the next access unit.
    ahead: Option<Vec<u8>>,
    sets: Sets,
    rate: FrameRate,
    pictures: u64,
}

/// The codec that the first NAL unit tells, and its parameter sets.
enum Sets {
    H264(h264::ParameterSets),
    H265(h265::ParameterSets),
}

impl AnnexB {
    /// `rate` is better than what the file says of it.
    pub(super) fn open(
        file: BufReader<File>,
        rate: Option<FrameRate>,
        notes: &mut Vec<String>,
    ) -> Result<Self, FileError> {
        let mut nals = Nals::new(file);
        let ahead = nals.next()?;
        let mut annexb = Self {
            nals,
            first: None,
            sets: Sets::told_by(ahead.as_deref()),
            ahead,
            rate: FrameRate::DEFAULT,
            pictures: 0,
        };
        annexb.first = annexb.access_unit()?;
        let units = annexb.first.iter().flatten();
        match rate.or_else(|| annexb.sets.frame_rate(units)) {
            Some(rate) => annexb.rate = rate,
            None => notes.push(format!(
                "the file does not tell its frame rate: sent at {} a second; say it with --fps",
                annexb.rate
            )),
        }
        Ok(annexb)
    }

    pub(super) fn track(&self) -> Result<Track, FileError> {
        Ok(match &self.sets {
            Sets::H264(sets) => sets.track()?,
            Sets::H265(sets) => sets.track()?,
        })
    }

    pub(super) fn next(&mut self) -> Result<Option<Sample>, FileError> {
        loop {
            let units = match self.first.take() {
                Some(units) => units,
                None => match self.access_unit()? {
                    Some(units) => units,
                    None => return Ok(None),
                },
            };
            let Some(unit) = self.sets.make(&units)? else { continue };
            let time = self.rate.time_of(self.pictures);
            self.pictures += 1;
            return Ok(Some(Sample {
                codec: self.sets.codec(),
                time: i64::try_from(time.as_nanos()).unwrap_or(i64::MAX / 2),
                keyframe: unit.keyframe,
                data: unit.data,
            }));
        }
    }

    /// NAL units up to the first of the next access unit.
    fn access_unit(&mut self) -> Result<Option<Vec<Vec<u8>>>, FileError> {
        let Some(first) = self.ahead.take() else {
            return Ok(None);
        };
        let mut picture = self.sets.is_picture(&first);
        let mut size = first.len();
        let mut units = vec![first];
        while let Some(unit) = self.nals.next()? {
            if picture && self.sets.starts(&unit) {
                self.ahead = Some(unit);
                break;
            }
            picture |= self.sets.is_picture(&unit);
            size += unit.len();
            if size > FRAME_BYTES_MAX {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a picture without end").into());
            }
            units.push(unit);
        }
        Ok(Some(units))
    }
}

impl Sets {
    fn told_by(first: Option<&[u8]>) -> Self {
        if first.is_some_and(h265::begins_stream) {
            Self::H265(h265::ParameterSets::default())
        } else {
            Self::H264(h264::ParameterSets::default())
        }
    }

    fn codec(&self) -> Codec {
        match self {
            Self::H264(_) => Codec::H264,
            Self::H265(_) => Codec::H265,
        }
    }

    fn make(&mut self, units: &[Vec<u8>]) -> Result<Option<AccessUnit>, FileError> {
        let units = units.iter().map(Vec::as_slice);
        Ok(match self {
            Self::H264(sets) => sets.access_unit(units)?,
            Self::H265(sets) => sets.access_unit(units)?,
        })
    }

    fn frame_rate<'a>(&self, mut units: impl Iterator<Item = &'a Vec<u8>>) -> Option<FrameRate> {
        match self {
            Self::H264(_) => h264::frame_rate(units.find(|unit| h264::kind::of(unit) == Some(h264::kind::SPS))?),
            Self::H265(_) => h265::frame_rate(units.find(|unit| h265::kind::of(unit) == Some(h265::kind::SPS))?),
        }
    }

    fn is_picture(&self, unit: &[u8]) -> bool {
        match self {
            Self::H264(_) => matches!(h264::kind::of(unit), Some(h264::kind::SLICE | h264::kind::IDR)),
            Self::H265(_) => matches!(h265::kind::of(unit), Some(0..h265::kind::VPS)),
        }
    }

    /// Whether this unit, behind a picture, is the first of the next access unit (clause 7.4.1.2.3 of H.264, 7.4.2.4.4 of
    /// H.265).
    fn starts(&self, unit: &[u8]) -> bool {
        match self {
            Self::H264(_) => match h264::kind::of(unit) {
                Some(h264::kind::SLICE | h264::kind::IDR) => h264::starts_picture(unit),
                Some(h264::kind::SEI | h264::kind::SPS | h264::kind::PPS | h264::kind::DELIMITER) => true,
                _ => false,
            },
            Self::H265(_) => match h265::kind::of(unit) {
                Some(0..h265::kind::VPS) => h265::starts_picture(unit),
                Some(h265::kind::VPS..=h265::kind::DELIMITER | h265::kind::PREFIX_SEI | 41..=44 | 48..=55) => true,
                _ => false,
            },
        }
    }
}
