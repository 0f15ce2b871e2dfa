//! The requests of one connection, so that one that asks nothing, or does not take what it asked for, is closed.
//!
//! hyper times the head of an HTTP/1 request alone: neither the first bytes, by which it tells HTTP/1 from HTTP/2, nor an HTTP/2
//! connection that only answers pings, nor one whose flow control lets no answer out.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Instant, sleep_until};
use tracing::warn;

use crate::{
    limits::{CONNECTION_IDLE, HEAD_TIMEOUT, REQUEST_MAX},
    response::{Broken, Content, Response},
};

/// Of the connection's task, which closes it; each answer on its way out holds a clone.
#[derive(Clone, Debug)]
pub(super) struct Requests(Arc<Mutex<Open>>);

#[derive(Debug)]
struct Open {
    /// When each request began whose answer has not been taken, or a piece of its long answer was last taken; by its number.
    since: BTreeMap<u64, Instant>,
    next: u64,
    /// When the connection has been without a request for too long, if none comes.
    idle_at: Instant,
}

/// One request, until it is dropped.
#[derive(Debug)]
pub(super) struct Request {
    number: u64,
    of: Requests,
}

/// An answer's body that keeps its request open until it has been taken, or given up.
#[derive(Debug)]
pub(super) struct Answer {
    content: Content,
    request: Request,
}

/// Handed to hyper at once: what it buffers counts as taken.
const PIECE: usize = 32 * 1024;

impl Requests {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Open {
            since: BTreeMap::new(),
            next: 0,
            idle_at: Instant::now() + HEAD_TIMEOUT,
        })))
    }

    pub(super) fn begin(&self) -> Request {
        let mut open = self.lock();
        let number = open.next;
        open.next += 1;
        open.since.insert(number, Instant::now());
        Request {
            number,
            of: self.clone(),
        }
    }

    /// Returns when the connection is to be closed, and says why.
    pub(super) async fn overdue(&self) -> &'static str {
        loop {
            let (at, reason) = self.lock().deadline();
            if at <= Instant::now() {
                return reason;
            }
            sleep_until(at).await;
        }
    }

    /// Nothing panics while it is held.
    fn lock(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn deadline(&self) -> (Instant, &'static str) {
        // Not the first: a long answer is renewed. There are as many as HTTP/2 allows at once.
        match self.since.values().min() {
            Some(oldest) => (*oldest + REQUEST_MAX, "an answer is not taken"),
            None => (self.idle_at, "idle"),
        }
    }
}

impl Request {
    pub(super) fn answer(self, response: Response) -> http::Response<Answer> {
        response.map(|content| Answer { content, request: self })
    }

    /// A piece of its answer was taken.
    fn renew(&self) {
        self.of.lock().since.insert(self.number, Instant::now());
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        let mut open = self.of.lock();
        open.since.remove(&self.number);
        open.idle_at = Instant::now() + CONNECTION_IDLE;
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match &mut self.content {
            Content::Whole { bytes, .. } => {
                let piece = bytes.split_to(bytes.len().min(PIECE));
                Poll::Ready((!piece.is_empty()).then(|| Ok(Frame::data(piece))))
            }
            Content::Passing(passing) => {
                let piece = ready!(passing.poll_next(context, PIECE));
                match &piece {
                    Some(Ok(_)) => self.request.renew(),
                    Some(Err(error)) => warn!(%error, "an answer ends before its end"),
                    None => {}
                }
                Poll::Ready(piece.map(|piece| piece.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.content.len() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.content.len())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// What ends the connection, and after how many seconds, of one whose requests begin at these and take so long.
    async fn end(requests_at: &[(u64, u64)]) -> (&'static str, u64) {
        let start = Instant::now();
        let requests = Requests::new();
        let traffic = async {
            for (begin, length) in requests_at {
                sleep_until(start + Duration::from_secs(*begin)).await;
                let request = requests.begin();
                let end = start + Duration::from_secs(begin + length);
                tokio::spawn(async move {
                    sleep_until(end).await;
                    drop(request);
                });
            }
            std::future::pending().await
        };
        let reason = tokio::select! {
            reason = requests.overdue() => reason,
            () = traffic => "never",
        };
        (reason, start.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_ends_without_requests_and_with_an_answer_that_is_not_taken() {
        assert_eq!(end(&[]).await, ("idle", 10));
        assert_eq!(end(&[(1, 0)]).await, ("idle", 61));
        assert_eq!(end(&[(1, 20), (50, 5), (100, 50)]).await, ("idle", 210));
        let others: Vec<(u64, u64)> = [(1, 3600)].into_iter().chain((1..20).map(|n| (5 * n, 1))).collect();
        assert_eq!(end(&others).await, ("an answer is not taken", 61));
    }
}
