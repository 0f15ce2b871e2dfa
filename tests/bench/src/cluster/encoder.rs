//! Encoders, as far as a gateway sees them before media: POSTs, so many at once, over HTTP/1.1 by a few lines.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use anyhow::{Context, ensure};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    time::Instant,
};

use super::OFFER;

/// POSTs under way at once: the gateway is never idle, and no queue is measured.
const AT_ONCE: usize = 8;

/// What the connections of encoders are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Connections {
    /// A new one for each POST: encoders on their own.
    Own,
    /// Kept, as a proxy before the gateway keeps them.
    Kept,
}

/// Whom encoders ask.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    pub(crate) address: SocketAddr,
    pub(crate) token: &'a str,
    pub(crate) connections: Connections,
}

/// What came of them: all were answered 201.
pub(crate) struct Posts {
    pub(crate) count: usize,
    /// Of each, from the connection's beginning where it has its own.
    pub(crate) answered: Vec<Duration>,
}

impl Target<'_> {
    /// So many POSTs, each for a stream of its own.
    pub(crate) async fn post(&self, count: usize) -> anyhow::Result<Posts> {
        /// No stream is published twice in one run.
        static STREAM: AtomicUsize = AtomicUsize::new(0);
        let left = AtomicUsize::new(count);
        let take = || left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        let one_after_another = || async {
            let (mut connection, mut answered) = (None, Vec::new());
            while take().is_ok() {
                let begun = Instant::now();
                let mut open = match connection.take() {
                    Some(open) => open,
                    None => BufReader::new(TcpStream::connect(self.address).await?),
                };
                self.ask(&mut open, STREAM.fetch_add(1, Ordering::Relaxed)).await?;
                answered.push(begun.elapsed());
                connection = (self.connections == Connections::Kept).then_some(open);
            }
            anyhow::Ok(answered)
        };
        let all = futures_util::future::try_join_all((0..AT_ONCE).map(|_| one_after_another())).await?;
        Ok(Posts {
            count,
            answered: all.concat(),
        })
    }

    async fn ask(&self, connection: &mut BufReader<TcpStream>, stream: usize) -> anyhow::Result<()> {
        let Self { address, token, .. } = self;
        let length = OFFER.len();
        let keep = match self.connections {
            Connections::Own => "Connection: close\r\n",
            Connections::Kept => "",
        };
        let request = format!(
            "POST /whip/bench/{stream} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n{keep}\
             Content-Type: application/sdp\r\nContent-Length: {length}\r\n\r\n{OFFER}"
        );
        connection.write_all(request.as_bytes()).await?;
        let (mut head, mut body) = (String::new(), 0);
        loop {
            let mut line = String::new();
            ensure!(connection.read_line(&mut line).await? > 0, "hung up after {head:?}");
            if let Some((name, value)) = line.split_once(": ")
                && name.eq_ignore_ascii_case("content-length")
            {
                body = value.trim().parse().context("Content-Length")?;
            }
            if line == "\r\n" {
                break;
            }
            head.push_str(&line);
        }
        let mut answer = vec![0; body];
        connection.read_exact(&mut answer).await?;
        ensure!(
            head.starts_with("HTTP/1.1 201"),
            "{head}{}",
            String::from_utf8_lossy(&answer)
        );
        Ok(())
    }
}
