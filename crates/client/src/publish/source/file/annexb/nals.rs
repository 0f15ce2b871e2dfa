//! A byte stream, split at its start codes (ITU-T H.264 Annex B, H.265 Annex B).

use std::io::{self, Read};

use super::super::FRAME_BYTES_MAX;

/// Splits a byte stream at its start codes.
pub(super) struct Nals<R> {
    input: R,
    buffer: Vec<u8>,
    /// Where the next NAL unit starts in `buffer`, behind its start code.
    start: usize,
}

const CHUNK: usize = 64 * 1024;

impl<R: Read> Nals<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            input,
            buffer: Vec::new(),
            start: 0,
        }
    }

    pub(super) fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
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
