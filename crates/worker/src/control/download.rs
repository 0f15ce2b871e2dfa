//! Recordings handed out: opened and read on threads that may block, at the pace of whoever takes the pieces.

use std::{io, sync::Arc};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    task::{JoinError, spawn_blocking},
};
use whipcord_identity::{SessionId, StreamName};
use whipcord_media::Container;

use super::{Control, Error};
use crate::sinks::record::{Progress, Recorded, Recorder};

/// Recordings being read at once: for each an open file and some 200 KiB on their way. Gateways hold to a limit of their own, so this
/// is for several of them.
const DOWNLOADS_MAX: usize = 128;

/// Pieces read ahead of the one that is being sent: the disk and the network do not wait for each other.
const PIECES_AHEAD: usize = 1;

/// The places for downloads.
#[derive(Debug)]
pub(crate) struct Downloads(Arc<Semaphore>);

/// A recording on its way out.
#[derive(Debug)]
pub(crate) struct Download {
    /// Of the file, in bytes, when it was opened.
    pub(crate) size: u64,
    pub(crate) container: Container,
    /// What was asked for. It breaks off after an error.
    pub(crate) pieces: mpsc::Receiver<io::Result<Vec<u8>>>,
}

/// Why a recording is not handed out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DownloadError {
    #[error("as many recordings are being read as may be")]
    TooMany,
    #[error("no such recording")]
    NotFound,
    #[error("cannot open the recording: {0}")]
    File(#[from] io::Error),
}

impl Default for Downloads {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(DOWNLOADS_MAX)))
    }
}

impl Control {
    /// Hands out `length` bytes from `offset` on, or as many as there are.
    pub(crate) async fn read_recording(
        self: &Arc<Self>,
        stream: StreamName,
        sid: SessionId,
        offset: u64,
        length: u64,
    ) -> Result<Download, Error> {
        // What only asks for the size is done at once, and whoever does so often must not take a place from those who read.
        let permit = (length > 0).then(|| Arc::clone(&self.downloads.0).try_acquire_owned());
        let permit = permit.transpose().map_err(|_| DownloadError::TooMany)?;
        let control = Arc::clone(self);
        let open = move || {
            control
                .recorder
                .as_ref()
                .map(|recorder: &Recorder| recorder.open(&stream, sid))
        };
        let opened = spawn_blocking(open).await.map_err(defect);
        let recorded = opened
            .and_then(Option::transpose)
            .map_err(DownloadError::File)?
            .flatten();
        let mut recorded = recorded.ok_or(DownloadError::NotFound)?;
        // A fragment that is being written is not there yet.
        let info = self.sessions.info(sid);
        let whole = info
            .as_ref()
            .and_then(|info| info.recording.as_deref())
            .map(Progress::bytes);
        recorded.size = whole.map_or(recorded.size, |whole| whole.min(recorded.size));
        if recorded.size == 0 {
            return Err(DownloadError::NotFound.into());
        }
        let (sender, pieces) = mpsc::channel(PIECES_AHEAD);
        let (size, container) = (recorded.size, recorded.container);
        let (control, end) = (Arc::clone(self), size.min(offset.saturating_add(length)));
        self.tasks.spawn(async move {
            // At shutdown nobody waits for one who does not read.
            let sent = send(recorded, offset..end, sender, permit);
            control.shutdown.run_until_cancelled(sent).await;
        });
        Ok(Download {
            size,
            container,
            pieces,
        })
    }
}

async fn send(
    recorded: Recorded,
    range: std::ops::Range<u64>,
    pieces: mpsc::Sender<io::Result<Vec<u8>>>,
    _permit: Option<OwnedSemaphorePermit>,
) {
    let recorded = Arc::new(recorded);
    let mut at = range.start;
    while at < range.end {
        let (file, wanted) = (Arc::clone(&recorded), range.end - at);
        let read = spawn_blocking(move || file.read(at, wanted)).await;
        let piece = read.map_err(defect).flatten();
        let taken = piece.as_ref().map(|piece| piece.len() as u64).ok();
        if pieces.send(piece).await.is_err() {
            return;
        }
        let Some(taken) = taken else { return };
        at += taken;
    }
}

/// A panic in there, or the end of the runtime.
fn defect(error: JoinError) -> io::Error {
    io::Error::other(error)
}
