//! The admin listener: `/healthz` (the process lives) and `/readyz` (new sessions are welcome). For operators, not for encoders.

use std::{convert::Infallible, future::ready, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE},
};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
};
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// Whether new sessions are welcome. "Full" is no reason to say no: the next request may find room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readiness {
    Starting,
    Ready,
    Draining,
}

/// Probes, a scraper and a few people: far below this.
const CONNECTIONS_MAX: usize = 64;
/// For the head of a request; a kept-alive connection that is idle for longer is closed too.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Shortages of descriptors or memory take a moment to pass.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(100);

/// Serves until `shutdown`; what is in flight then is dropped.
pub(crate) async fn serve(listener: TcpListener, readiness: watch::Receiver<Readiness>, shutdown: CancellationToken) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let permit = Arc::clone(&permits)
            .acquire_owned()
            .await
            .expect("the semaphore is never closed");
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.cancelled() => return,
        };
        match accepted {
            Ok((stream, _)) => {
                let connection = serve_connection(stream, readiness.clone(), permit);
                tokio::spawn(shutdown.clone().run_until_cancelled_owned(connection));
            }
            Err(error) => {
                warn!(%error, "cannot accept an admin connection");
                tokio::time::sleep(PAUSE_AFTER_ERROR).await;
            }
        }
    }
}

async fn serve_connection(stream: TcpStream, readiness: watch::Receiver<Readiness>, _permit: OwnedSemaphorePermit) {
    let service = service_fn(|request: Request<Incoming>| {
        let response = respond(request.method(), request.uri().path(), *readiness.borrow());
        ready(Ok::<_, Infallible>(response))
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    // A probe that hangs up early is no event.
    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
}

fn respond(method: &Method, path: &str, readiness: Readiness) -> Response<Full<Bytes>> {
    let (status, text) = match (path, readiness) {
        ("/healthz", _) => (StatusCode::OK, "alive\n"),
        ("/readyz", Readiness::Ready) => (StatusCode::OK, "ready\n"),
        ("/readyz", Readiness::Starting) => (StatusCode::SERVICE_UNAVAILABLE, "starting\n"),
        ("/readyz", Readiness::Draining) => (StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
        _ => (StatusCode::NOT_FOUND, "there are /healthz and /readyz\n"),
    };
    let readable = matches!(*method, Method::GET | Method::HEAD);
    let (status, text) = if readable {
        (status, text)
    } else {
        (StatusCode::METHOD_NOT_ALLOWED, "")
    };
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if !readable {
        headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_and_health_are_two_things() {
        let cases = [
            (Method::GET, "/healthz", Readiness::Starting, 200),
            (Method::GET, "/healthz", Readiness::Draining, 200),
            (Method::GET, "/readyz", Readiness::Starting, 503),
            (Method::GET, "/readyz", Readiness::Ready, 200),
            (Method::HEAD, "/readyz", Readiness::Ready, 200),
            (Method::GET, "/readyz", Readiness::Draining, 503),
            (Method::GET, "/", Readiness::Ready, 404),
            (Method::POST, "/readyz", Readiness::Ready, 405),
        ];
        for (method, path, readiness, status) in cases {
            assert_eq!(
                respond(&method, path, readiness).status(),
                status,
                "{method} {path} {readiness:?}"
            );
        }
    }
}
