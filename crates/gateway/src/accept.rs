//! Connections: accepted within limits, served as HTTP/1.1 or HTTP/2, ended well when idle and at shutdown. TLS comes in here.

mod places;
mod requests;

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tracing::{debug, info, warn};

use crate::{
    Listener, Shared,
    client::{Connection, Scheme},
    limits::{CONNECTIONS_MAX, DRAIN, HEAD_BYTES_MAX, HEAD_TIMEOUT, HTTP2_PING, HTTP2_STREAMS_MAX, UNREAD_TIMEOUT},
    router,
};
use places::{Place, Places};
use requests::Requests;

/// What an accept can fail with is a shortage (of descriptors, of memory) that takes a moment to pass.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(100);

/// Accepts until shutdown; then every connection ends by itself.
pub(crate) async fn run(shared: Arc<Shared>, listener: Listener) {
    let Listener { tcp, tls } = listener;
    let places = Places::new(connections_max());
    loop {
        let accepted = async {
            // Before the accept: at the limit, new connections wait in the kernel's backlog.
            let vacancy = places.vacancy().await;
            (vacancy, tcp.accept().await)
        };
        let (vacancy, accepted) = tokio::select! {
            accepted = accepted => accepted,
            () = shared.shutdown.cancelled() => return,
        };
        match accepted {
            Ok((stream, peer)) => match vacancy.take(shared.counted(peer.ip())) {
                Some(place) => {
                    let tls = tls.as_ref().map(|tls| Arc::clone(&tls.borrow()));
                    shared
                        .tasks
                        .spawn(welcome(Arc::clone(&shared), stream, tls, peer, place));
                }
                None => debug!(%peer, "refused a connection: this address has as many as it may"),
            },
            Err(error) => {
                warn!(%error, "cannot accept a connection");
                sleep(PAUSE_AFTER_ERROR).await;
            }
        }
    }
}

/// Half of what the process may open: recordings and everything else need descriptors, too.
fn connections_max() -> usize {
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let half = files.map_or(usize::MAX, |files| usize::try_from(files / 2).unwrap_or(usize::MAX));
    let max = CONNECTIONS_MAX.min(half).max(1);
    if max < CONNECTIONS_MAX {
        info!(
            connections = max,
            open_files = files,
            "HTTP connections are limited by `ulimit -n`"
        );
    }
    max
}

/// One connection's life, from its handshake on.
async fn welcome(
    shared: Arc<Shared>,
    stream: TcpStream,
    tls: Option<Arc<rustls::ServerConfig>>,
    peer: SocketAddr,
    place: Place,
) {
    if let Err(error) = prepare(&stream) {
        debug!(%error, "cannot set a connection's options");
    }
    let peer = peer.ip();
    let Some(tls) = tls else {
        let scheme = Scheme::Http;
        return serve(shared, stream, Connection { peer, scheme }, place).await;
    };
    match timeout(HEAD_TIMEOUT, TlsAcceptor::from(tls).accept(stream)).await {
        Ok(Ok(stream)) => {
            let scheme = Scheme::Https;
            serve(shared, stream, Connection { peer, scheme }, place).await;
        }
        Ok(Err(error)) => debug!(%peer, %error, "a TLS handshake failed"),
        Err(_) => debug!(%peer, "a TLS handshake was not finished"),
    }
}

async fn serve(
    shared: Arc<Shared>,
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    connection: Connection,
    _place: Place,
) {
    let peer = connection.peer;
    let shutdown = shared.shutdown.clone();
    let requests = Requests::new();
    let begun = requests.clone();
    let service = service_fn(move |request| {
        let request_open = begun.begin();
        let response = router::serve(Arc::clone(&shared), connection, request);
        async { Ok::<_, Infallible>(request_open.answer(response.await)) }
    });
    let builder = builder();
    let mut served = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        result = served.as_mut() => Ok(result),
        () = shutdown.cancelled() => Err("shutdown"),
        reason = requests.overdue() => Err(reason),
    };
    let result = match ended {
        Ok(result) => result,
        Err(reason) => {
            // Requests in flight are answered first.
            served.as_mut().graceful_shutdown();
            let Ok(result) = timeout(DRAIN, served).await else {
                debug!(%peer, reason, "an HTTP connection was still open at the end of its drain: it is cut");
                return;
            };
            result
        }
    };
    if let Err(error) = result {
        debug!(error, "a connection ended early");
    }
}

fn prepare(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    // RFC 5482: an answer that is not read does not wait for ever.
    socket2::SockRef::from(stream).set_tcp_user_timeout(Some(UNREAD_TIMEOUT))
}

fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(HTTP2_STREAMS_MAX)
        .max_header_list_size(HEAD_BYTES_MAX as u32)
        .keep_alive_interval(HTTP2_PING)
        .keep_alive_timeout(HEAD_TIMEOUT);
    builder
}
