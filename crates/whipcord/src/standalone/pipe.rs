//! gRPC inside one process: a channel whose every connection is a pair of byte pipes, and the far ends for a server.

use std::io;

use hyper_util::rt::TokioIo;
use tokio::{io::DuplexStream, sync::mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};

/// As much as a socket buffers; the largest message, an offer, is 64 KiB at most.
const PIPE_BYTES: usize = 256 * 1024;
/// A channel holds one connection, and makes the next when that broke.
const PENDING_CONNECTIONS: usize = 4;

/// The name is for HTTP/2's :authority only.
pub(super) fn endpoint() -> Endpoint {
    Endpoint::from_static("http://pipe")
}

pub(super) fn open(endpoint: Endpoint) -> (Channel, ReceiverStream<io::Result<DuplexStream>>) {
    let (connections, incoming) = mpsc::channel(PENDING_CONNECTIONS);
    let connector = tower::service_fn(move |_| {
        let connections = connections.clone();
        async move {
            let (near, far) = tokio::io::duplex(PIPE_BYTES);
            let gone = |_| io::Error::from(io::ErrorKind::ConnectionRefused);
            connections.send(Ok(far)).await.map_err(gone)?;
            Ok::<_, io::Error>(TokioIo::new(near))
        }
    });
    let channel = endpoint.connect_with_connector_lazy(connector);
    (channel, ReceiverStream::new(incoming))
}
