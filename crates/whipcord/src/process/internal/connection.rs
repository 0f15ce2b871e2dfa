//! One internal connection, with or without TLS.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::{client, server};
use tokio_util::either::Either;
use tonic::transport::server::Connected;

use super::{Role, callers::Callers};

pub(super) type Dialled = Either<TcpStream, Box<client::TlsStream<TcpStream>>>;

/// As the gRPC server takes it.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) stream: Accepted,
    callers: Callers,
}

type Accepted = Either<TcpStream, Box<server::TlsStream<TcpStream>>>;

impl Connection {
    /// Of one that may be any of these roles.
    pub(super) fn new(stream: Accepted, roles: Vec<Role>) -> Self {
        Self {
            stream,
            callers: Callers(roles.into()),
        }
    }
}

impl Connected for Connection {
    type ConnectInfo = Callers;

    fn connect_info(&self) -> Callers {
        self.callers.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
