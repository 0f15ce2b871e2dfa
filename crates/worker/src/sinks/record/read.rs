//! Recordings read back: a file is found by stream and session, as the writers name it, and given out in pieces.
//!
//! All of this blocks, and is for threads that may.

use std::{fs, io, os::unix::fs::FileExt, path::Path};

use whipcord_identity::{SessionId, StreamName};
use whipcord_media::Container;
use whipcord_proto::limits::PIECE_BYTES_MAX;

use super::{Recorder, below};

/// A recording's file, open for reading.
#[derive(Debug)]
pub(crate) struct Recorded {
    file: fs::File,
    /// In bytes, when it was opened. A live one grows.
    pub(crate) size: u64,
    pub(crate) container: Container,
}

impl Recorder {
    /// None where there is no such file.
    pub(crate) fn open(&self, stream: &StreamName, sid: SessionId) -> io::Result<Option<Recorded>> {
        open(&self.folder, stream, sid)
    }
}

impl Recorded {
    /// At most `wanted` bytes from `offset` on, which the file must have.
    pub(crate) fn read(&self, offset: u64, wanted: u64) -> io::Result<Vec<u8>> {
        let length = usize::try_from(wanted).map_or(PIECE_BYTES_MAX, |wanted| wanted.min(PIECE_BYTES_MAX));
        let mut piece = vec![0; length];
        self.file.read_exact_at(&mut piece, offset)?;
        Ok(piece)
    }
}

fn open(folder: &Path, stream: &StreamName, sid: SessionId) -> io::Result<Option<Recorded>> {
    for container in Container::ALL {
        let path = folder.join(below(stream, sid, container));
        let file = match fs::File::open(path) {
            Ok(file) => file,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => continue,
            Err(error) => return Err(error),
        };
        let metadata = file.metadata()?;
        if metadata.is_file() {
            let size = metadata.len();
            return Ok(Some(Recorded { file, size, container }));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sid() -> SessionId {
        SessionId::new([7; 16])
    }

    #[test]
    fn a_file_is_found_by_stream_and_session_and_read_in_pieces() {
        let (folder, sid) = (tempfile::tempdir().unwrap(), sid());
        let stream: StreamName = "live/cam".parse().unwrap();
        let open = |stream: &StreamName| open(folder.path(), stream, sid).unwrap();
        assert!(open(&stream).is_none());
        fs::create_dir_all(folder.path().join("live/cam")).unwrap();
        let bytes: Vec<u8> = (0..200_000_u32).map(|n| (n % 251) as u8).collect();
        fs::write(folder.path().join(format!("live/cam/{sid}.webm")), &bytes).unwrap();
        let recorded = open(&stream).unwrap();
        assert_eq!((recorded.size, recorded.container), (200_000, Container::Webm));
        assert_eq!(recorded.read(3, u64::MAX).unwrap(), bytes[3..3 + PIECE_BYTES_MAX]);
        assert_eq!(recorded.read(199_990, 10).unwrap(), bytes[199_990..]);
        let error = recorded.read(199_990, 11).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert!(open(&"live".parse().unwrap()).is_none());
        // A stream of this name would have its file where the other's folder is.
        assert!(open(&format!("live/cam/{sid}.webm/x").parse().unwrap()).is_none());
    }

    #[test]
    fn a_folder_is_no_recording() {
        let (folder, sid) = (tempfile::tempdir().unwrap(), sid());
        fs::create_dir_all(folder.path().join(format!("cam/{sid}.mp4"))).unwrap();
        assert!(open(folder.path(), &"cam".parse().unwrap(), sid).unwrap().is_none());
    }
}
