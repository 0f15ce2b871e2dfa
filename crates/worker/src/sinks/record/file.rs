//! A file that only grows by whole pieces: what a disk took of a piece is taken back if it did not take all.

use std::{fs, io, os::unix::fs::FileExt, path::PathBuf};

/// A recording's file; it exists from the first byte on.
#[derive(Debug)]
pub(crate) struct File {
    path: PathBuf,
    open: Option<fs::File>,
    /// Bytes of whole pieces.
    length: u64,
}

impl File {
    /// Touches nothing yet.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            open: None,
            length: 0,
        }
    }

    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Appends the piece, or leaves the file as it was.
    pub(crate) fn append(&mut self, piece: &[u8]) -> io::Result<()> {
        let file = match &self.open {
            Some(file) => file,
            None => self.open.insert(create(&self.path)?),
        };
        let written = file.write_all_at(piece, self.length);
        if written.is_err() {
            // If even that fails, the next attempt writes over the same place.
            let _ = file.set_len(self.length);
        } else {
            self.length += piece.len() as u64;
        }
        written
    }
}

/// Never over a file that is there: an id that is used twice must not cost a recording.
fn create(path: &PathBuf) -> io::Result<fs::File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::File::options().write(true).create_new(true).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_with_its_folders_at_the_first_byte() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/c.mp4");
        let mut file = File::new(path.clone());
        assert!(!path.exists() && !folder.path().join("a").exists());
        file.append(b"one").unwrap();
        file.append(b"two").unwrap();
        assert_eq!((fs::read(&path).unwrap(), file.length()), (b"onetwo".to_vec(), 6));
    }

    #[test]
    fn a_file_that_is_there_is_never_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.mp4");
        fs::write(&path, b"precious").unwrap();
        let error = File::new(path.clone()).append(b"x").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"precious");
    }

    #[test]
    fn a_full_disk_takes_nothing_of_a_piece() {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let mut file = File {
            path: PathBuf::new(),
            open: Some(full),
            length: 7,
        };
        assert_eq!(file.append(b"piece").unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(file.length(), 7);
    }
}
