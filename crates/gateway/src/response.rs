//! Responses. Each has a Content-Length: FFmpeg cannot read a chunked 201.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use tokio::sync::OwnedSemaphorePermit;
use whipcord_identity::SessionId;

use crate::{
    recordings::Place,
    workers::{CallError, Pieces},
};

pub(crate) type Response = http::Response<Content>;

#[derive(Debug)]
pub(crate) enum Content {
    /// There before its head is sent.
    Whole {
        bytes: Bytes,
        /// Given back when the content has been taken.
        _permit: Option<OwnedSemaphorePermit>,
    },
    /// Longer than what may be held: it passes through here as it is taken.
    Passing(Box<Passing>),
}

/// Part of a recording, on its way from the worker to whoever asked.
pub(crate) struct Passing {
    sid: SessionId,
    /// Bytes not taken yet. Their number was said in the head.
    left: u64,
    piece: Bytes,
    pieces: Pieces,
    _place: Place,
}

/// Why content ends before its end. The connection ends with it, by which whoever reads sees that it is not all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    #[error("the recording of {sid} broke off: {error}")]
    Worker { sid: SessionId, error: CallError },
    #[error("the recording of {sid} broke off")]
    Short { sid: SessionId },
}

impl From<Bytes> for Content {
    fn from(bytes: Bytes) -> Self {
        Self::Whole { bytes, _permit: None }
    }
}

impl Default for Content {
    fn default() -> Self {
        Bytes::new().into()
    }
}

impl Content {
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Whole { bytes, .. } => bytes.len() as u64,
            Self::Passing(passing) => passing.left,
        }
    }
}

impl Passing {
    /// Of `length` bytes.
    pub(crate) fn new(sid: SessionId, length: u64, pieces: Pieces, place: Place) -> Self {
        Self {
            sid,
            left: length,
            piece: Bytes::new(),
            pieces,
            _place: place,
        }
    }

    /// The next bytes, at most `max`. None at the end.
    pub(crate) fn poll_next(&mut self, context: &mut Context<'_>, max: usize) -> Poll<Option<Result<Bytes, Broken>>> {
        let sid = self.sid;
        while self.left > 0 && self.piece.is_empty() {
            match ready!(Pin::new(&mut self.pieces).poll_next(context)) {
                Some(Ok(piece)) => self.piece = piece,
                Some(Err(error)) => return Poll::Ready(Some(Err(Broken::Worker { sid, error }))),
                None => return Poll::Ready(Some(Err(Broken::Short { sid }))),
            }
        }
        // No more than was said, whatever a worker sends.
        let most = usize::try_from(self.left).map_or(max, |left| left.min(max));
        let taken = self.piece.split_to(self.piece.len().min(most));
        self.left -= taken.len() as u64;
        Poll::Ready((!taken.is_empty()).then_some(Ok(taken)))
    }
}

impl fmt::Debug for Passing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passing")
            .field("sid", &self.sid)
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}

/// For every response: its body is what its type says, and not what it looks like. Stats and errors repeat what encoders sent.
pub(crate) fn as_typed(headers: &mut HeaderMap) {
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}

pub(crate) fn empty(status: StatusCode) -> Response {
    let mut response = Response::default();
    *response.status_mut() = status;
    response
}

pub(crate) fn with_body(status: StatusCode, media_type: &'static str, body: impl Into<Bytes>) -> Response {
    with_content(status, media_type, body.into().into())
}

pub(crate) fn with_content(status: StatusCode, media_type: &'static str, content: Content) -> Response {
    let mut response = empty(status);
    *response.body_mut() = content;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}
