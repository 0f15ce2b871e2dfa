//! The admin listener: `/healthz` (the process lives), `/readyz` (new sessions are welcome), `/metrics`, and a role's API below `/api`. For
//! operators, not for encoders.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CACHE_CONTROL},
    response::IntoResponse,
    routing::get,
};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
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
pub(crate) async fn serve(
    listener: TcpListener,
    readiness: watch::Receiver<Readiness>,
    api: Router,
    shutdown: CancellationToken,
) {
    let router = router(readiness).merge(api);
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
                let connection = serve_connection(stream, router.clone(), permit);
                tokio::spawn(shutdown.clone().run_until_cancelled_owned(connection));
            }
            Err(error) => {
                warn!(%error, "cannot accept an admin connection");
                tokio::time::sleep(PAUSE_AFTER_ERROR).await;
            }
        }
    }
}

async fn serve_connection(stream: TcpStream, router: Router, _permit: OwnedSemaphorePermit) {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    // A probe that hangs up early is no event.
    let _ = builder
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .await;
}

fn router(readiness: watch::Receiver<Readiness>) -> Router {
    Router::new()
        .route("/healthz", get(async || (NOT_STORED, "alive\n")))
        .route("/readyz", get(ready))
        .fallback(async || {
            (
                StatusCode::NOT_FOUND,
                NOT_STORED,
                "there are /healthz, /readyz and /metrics, and a gateway's /api\n",
            )
        })
        .with_state(readiness)
}

const NOT_STORED: [(http::HeaderName, &str); 1] = [(CACHE_CONTROL, "no-store")];

async fn ready(State(readiness): State<watch::Receiver<Readiness>>) -> impl IntoResponse {
    let (status, text) = match *readiness.borrow() {
        Readiness::Ready => (StatusCode::OK, "ready\n"),
        Readiness::Starting => (StatusCode::SERVICE_UNAVAILABLE, "starting\n"),
        Readiness::Draining => (StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
    };
    (status, NOT_STORED, text)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http::{Method, Request};
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn readiness_and_health_are_two_things() {
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
            let (_, receiver) = watch::channel(readiness);
            let request = Request::builder()
                .method(&method)
                .uri(path)
                .body(Body::empty())
                .unwrap();
            let response = router(receiver).oneshot(request).await.unwrap();
            assert_eq!(response.status(), status, "{method} {path} {readiness:?}");
        }
    }
}
