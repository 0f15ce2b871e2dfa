//! Connections: accepted within a limit, served as HTTP/1.1 or HTTP/2, ended well at shutdown. TLS comes in here.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::{
    Shared,
    limits::{CONNECTIONS_MAX, DRAIN, HEAD_BYTES_MAX, HEAD_TIMEOUT, HTTP2_PING, HTTP2_STREAMS_MAX},
    router,
};

/// What an accept can fail with is a shortage (of descriptors, of memory) that takes a moment to pass.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(100);

/// Accepts until shutdown, then waits for the requests in flight.
pub(crate) async fn run(shared: Arc<Shared>, listener: TcpListener) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let graceful = GracefulShutdown::new();
    let cut = CancellationToken::new();
    loop {
        // Before the accept: at the limit, new connections wait in the kernel's backlog.
        let accepted = async {
            let permit = Arc::clone(&permits)
                .acquire_owned()
                .await
                .expect("the semaphore is never closed");
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            accepted = accepted => accepted,
            () = shared.shutdown.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let connection = serve(Arc::clone(&shared), stream, peer, &graceful);
                let cut = cut.clone();
                shared.tasks.spawn(async move {
                    cut.run_until_cancelled_owned(connection).await;
                    drop(permit);
                });
            }
            Err(error) => {
                warn!(%error, "cannot accept a connection");
                sleep(PAUSE_AFTER_ERROR).await;
            }
        }
    }
    drop(listener);
    if timeout(DRAIN, graceful.shutdown()).await.is_err() {
        warn!("HTTP connections were still open at the end of the drain: they are cut");
        cut.cancel();
    }
}

/// One connection's life.
fn serve(
    shared: Arc<Shared>,
    stream: TcpStream,
    peer: SocketAddr,
    graceful: &GracefulShutdown,
) -> impl Future<Output = ()> + use<> {
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "cannot set TCP_NODELAY");
    }
    let has_asked = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&has_asked);
    let service = service_fn(move |request| {
        asked.store(true, Ordering::Relaxed);
        let response = router::serve(Arc::clone(&shared), peer.ip(), request);
        async { Ok::<_, Infallible>(response.await) }
    });
    let connection = builder().serve_connection(TokioIo::new(stream), service).into_owned();
    let connection = graceful.watch(connection);
    async move {
        let mut connection = std::pin::pin!(connection);
        // hyper times the head of an HTTP/1 request, but not the first bytes, by which it tells HTTP/1 from HTTP/2.
        let result = match timeout(HEAD_TIMEOUT, &mut connection).await {
            Ok(result) => result,
            Err(_) if has_asked.load(Ordering::Relaxed) => connection.await,
            Err(_) => return,
        };
        if let Err(error) = result {
            debug!(%error, "a connection ended early");
        }
    }
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
