//! A file again and again, as one source without end: each round begins where the one before ended.

use std::{path::PathBuf, time::Duration};

use super::{
    Frame, Track,
    file::{FileError, MediaFile},
    rate::FrameRate,
};

pub(in super::super) struct Repeat {
    path: PathBuf,
    rate: Option<FrameRate>,
    file: MediaFile,
    /// When this round began.
    begun: Duration,
}

impl Repeat {
    pub(super) fn open(path: PathBuf, rate: Option<FrameRate>) -> Result<Self, FileError> {
        let file = MediaFile::open(&path, rate)?;
        Ok(Self {
            path,
            rate,
            file,
            begun: Duration::ZERO,
        })
    }

    pub(super) fn tracks(&self) -> &[Track] {
        self.file.tracks()
    }

    pub(super) fn notes(&self) -> &[String] {
        self.file.notes()
    }

    /// Never ends, unless the file cannot be read again. A round has one frame at least, and a frame lasts.
    pub(super) fn next(&mut self) -> Result<Frame, FileError> {
        loop {
            if let Some(frame) = self.file.next()? {
                let time = self.begun + frame.time;
                return Ok(Frame { time, ..frame });
            }
            self.begun += self.file.end();
            let file = MediaFile::open(&self.path, self.rate)?;
            // What was offered is what can be sent.
            if file.tracks() != self.file.tracks() {
                return Err(FileError::Replaced);
            }
            self.file = file;
        }
    }
}
