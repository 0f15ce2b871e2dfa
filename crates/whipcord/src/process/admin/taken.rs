//! A connection that ends when what is written to it is not taken: hyper waits for ever.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep},
};

/// An answer of which nothing is read for this long ends its connection.
pub(super) const UNREAD_TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(super) struct Taken<S> {
    stream: S,
    patience: Pin<Box<Sleep>>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Taking,
    /// It took nothing when it was last given something.
    Full,
}

impl<S> Taken<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            patience: Box::pin(sleep(UNREAD_TIMEOUT)),
            state: State::Taking,
        }
    }

    /// What a write came to, unless it has been waited for too long.
    fn timed<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.state = State::Taking;
            return written;
        }
        if self.state == State::Taking {
            self.state = State::Full;
            self.patience.as_mut().reset(Instant::now() + UNREAD_TIMEOUT);
        }
        match self.patience.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Taken<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Taken<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.timed(context, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.timed(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(context);
        self.timed(context, shut)
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        time::timeout,
    };

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_reader_may_be_slow_but_not_still() {
        let (near, mut far) = tokio::io::duplex(1);
        let mut taken = Taken::new(near);
        let slow = async {
            for _ in 0..3 {
                sleep(UNREAD_TIMEOUT - Duration::from_secs(1)).await;
                far.read_exact(&mut [0]).await.unwrap();
            }
        };
        let (written, ()) = tokio::join!(taken.write_all(b"abcd"), slow);
        written.unwrap();
        let begun = Instant::now();
        let refused = timeout(2 * UNREAD_TIMEOUT, taken.write_all(b"e"))
            .await
            .expect("an end");
        assert_eq!(
            (refused.unwrap_err().kind(), begun.elapsed().as_secs()),
            (io::ErrorKind::TimedOut, UNREAD_TIMEOUT.as_secs())
        );
    }
}
