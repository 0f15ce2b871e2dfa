//! The admin listener: `/healthz` (the process lives), `/readyz` (new sessions are welcome), `/metrics`, `/log`, and a role's API below
//! `/api`. For operators, not for encoders.

mod taken;

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use axum::{
    Extension, Router,
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
    sync::watch,
    task::JoinHandle,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, warn};

use super::{
    listen::{self, listen},
    places::{Place, Places},
};
use taken::Taken;

/// Whether new sessions are welcome. "Full" is no reason to say no: the next request may find room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readiness {
    Starting,
    Ready,
    /// What others have written is of a later version.
    Outdated,
    Draining,
    /// A controller that acts, and one that would if that one were gone. No session is welcome or not because of it.
    Leading,
    Standby,
}

/// Of the connection that a request comes by: in its extensions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ends {
    pub(crate) peer: IpAddr,
    pub(crate) local: IpAddr,
}

/// Probes, a scraper and a few people: far below this.
const CONNECTIONS_MAX: usize = 64;
/// For the head of a request; a kept-alive connection that is idle for longer is closed too.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Shortages of descriptors or memory take a moment to pass.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(100);

/// The listener, from a role's start to its end.
#[derive(Debug)]
pub(crate) struct Admin {
    address: SocketAddr,
    readiness: watch::Sender<Readiness>,
    router: watch::Sender<Router>,
    serving: JoinHandle<()>,
}

impl Admin {
    /// Says from now on, and until `end`, that the process lives and is starting.
    pub(crate) async fn start(address: SocketAddr, end: CancellationToken) -> Result<Self, listen::Error> {
        let (listener, address) = listen(address, "operators", "--admin").await?;
        let (readiness, is_ready) = watch::channel(Readiness::Starting);
        let (router, current) = watch::channel(router(is_ready));
        Ok(Self {
            address,
            readiness,
            router,
            serving: tokio::spawn(serve(listener, current, end)),
        })
    }

    /// And this besides, to connections to come.
    pub(crate) fn serve(&self, api: Router) {
        let all = router(self.readiness.subscribe()).merge(api);
        self.router.send_modify(|router| *router = all);
    }

    pub(crate) fn set(&self, readiness: Readiness) {
        self.readiness.send_replace(readiness);
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// After `end` was cancelled. What is in flight then is dropped.
    pub(crate) async fn join(self) {
        if self.serving.await.is_err() {
            warn!("the operators' listener ended by a defect; please report it");
        }
    }
}

async fn serve(listener: TcpListener, router: watch::Receiver<Router>, end: CancellationToken) {
    let (places, connections) = (Places::new(CONNECTIONS_MAX), TaskTracker::new());
    let accepting = async {
        loop {
            let vacancy = places.vacancy().await;
            match listener.accept().await {
                Ok((stream, peer)) => match vacancy.take(peer.ip()) {
                    Some(place) => {
                        // A connection that has none is closed already.
                        let Ok(local) = stream.local_addr() else { continue };
                        let ends = Ends {
                            peer: peer.ip(),
                            local: local.ip(),
                        };
                        let router = router.borrow().clone().layer(Extension(ends));
                        let connection = serve_connection(stream, router, place);
                        connections.spawn(end.clone().run_until_cancelled_owned(connection));
                    }
                    None => debug!(%peer, "refused an admin connection: this address has as many as it may"),
                },
                Err(error) => {
                    warn!(%error, "cannot accept an admin connection");
                    tokio::time::sleep(PAUSE_AFTER_ERROR).await;
                }
            }
        }
    };
    end.run_until_cancelled(accepting).await;
    connections.close();
    connections.wait().await;
}

async fn serve_connection(stream: TcpStream, router: Router, _place: Place) {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    // A probe that hangs up early is no event.
    let _ = builder
        .serve_connection(TokioIo::new(Taken::new(stream)), TowerToHyperService::new(router))
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
                "there are /healthz, /readyz, /metrics and /log, a worker's /metrics/streams, and a gateway's /api\n",
            )
        })
        .with_state(readiness)
}

const NOT_STORED: [(http::HeaderName, &str); 1] = [(CACHE_CONTROL, "no-store")];

async fn ready(State(readiness): State<watch::Receiver<Readiness>>) -> impl IntoResponse {
    let (status, text) = match *readiness.borrow() {
        Readiness::Ready => (StatusCode::OK, "ready\n"),
        Readiness::Starting => (StatusCode::SERVICE_UNAVAILABLE, "starting\n"),
        Readiness::Outdated => (StatusCode::SERVICE_UNAVAILABLE, "outdated\n"),
        Readiness::Draining => (StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
        Readiness::Leading => (StatusCode::OK, "leading\n"),
        Readiness::Standby => (StatusCode::OK, "standby\n"),
    };
    (status, NOT_STORED, text)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::routing::get as get_route;
    use http::{Method, Request};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
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
            (Method::GET, "/readyz", Readiness::Outdated, 503),
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
    /// More than sockets buffer on its way.
    static LONG: [u8; 32 << 20] = [0; 32 << 20];

    async fn get(from: &str, to: SocketAddr, path: &str) -> TcpStream {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(from.parse().unwrap()).unwrap();
        let mut stream = socket.connect(to).await.unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n");
        // One that is refused may be gone already.
        let _ = stream.write_all(head.as_bytes()).await;
        stream
    }

    #[tokio::test]
    async fn connections_that_read_nothing_do_not_lock_a_probe_out() {
        let end = CancellationToken::new();
        let admin = Admin::start("127.0.0.1:0".parse().unwrap(), end.clone()).await.unwrap();
        admin.serve(Router::new().route("/long", get_route(async || &LONG[..])));
        let mut unread = Vec::new();
        for _ in 0..2 * CONNECTIONS_MAX {
            unread.push(get("127.0.0.2:0", admin.address, "/long").await);
        }
        let mut probe = get("127.0.0.1:0", admin.address, "/healthz").await;
        let mut answer = String::new();
        let read = tokio::time::timeout(taken::UNREAD_TIMEOUT, probe.read_to_string(&mut answer)).await;
        read.expect("it is answered at once").unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        end.cancel();
        admin.join().await;
    }
}
