//! IVF: a header of 32 bytes, then VP8 frames, each behind its size and time, all little-endian.

use std::{
    fs::File,
    io::{BufReader, Read},
};

use bytes::Bytes;

use super::{super::Codec, FRAME_BYTES_MAX, FileError, Sample, nanoseconds};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IvfError {
    #[error("it holds {0}, not VP8: convert with ffmpeg -c:v libvpx")]
    Codec(String),
    #[error("its header is damaged")]
    Header,
    #[error("a frame is said to have {0} bytes")]
    FrameSize(usize),
}

pub(super) struct Ivf {
    file: BufReader<File>,
    /// One tick of the frames' times is `scale / rate` seconds.
    scale: u32,
    rate: u32,
}

impl Ivf {
    pub(super) fn open(mut file: BufReader<File>) -> Result<Self, FileError> {
        let mut header = [0; 32];
        file.read_exact(&mut header).map_err(|_| IvfError::Header)?;
        let word = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        if &header[8..12] != b"VP80" {
            return Err(IvfError::Codec(String::from_utf8_lossy(&header[8..12]).into_owned()).into());
        }
        let (rate, scale) = (word(16), word(20));
        if rate == 0 || scale == 0 {
            return Err(IvfError::Header.into());
        }
        Ok(Self { file, scale, rate })
    }

    /// A frame cut short by the end of the file is the end.
    pub(super) fn next(&mut self) -> Result<Option<Sample>, FileError> {
        let mut header = Vec::new();
        self.file.by_ref().take(12).read_to_end(&mut header)?;
        let Some((size, time)) = header.split_first_chunk::<4>() else {
            return Ok(None);
        };
        let Ok(time) = time.try_into().map(u64::from_le_bytes) else {
            return Ok(None);
        };
        let size = u32::from_le_bytes(*size) as usize;
        if size > FRAME_BYTES_MAX {
            return Err(IvfError::FrameSize(size).into());
        }
        let mut data = Vec::new();
        self.file.by_ref().take(size as u64).read_to_end(&mut data)?;
        if data.len() < size || size == 0 {
            return Ok(None);
        }
        let time = nanoseconds(time, self.scale, self.rate);
        Ok(Some(Sample {
            codec: Codec::Vp8,
            time,
            keyframe: is_vp8_keyframe(&data),
            data: Bytes::from(data),
        }))
    }
}

/// RFC 6386 §9.1: the lowest bit of the frame tag is 0.
pub(super) fn is_vp8_keyframe(frame: &[u8]) -> bool {
    frame.first().is_some_and(|tag| tag & 1 == 0)
}
