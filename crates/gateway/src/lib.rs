//! The stateless edge: WHIP over HTTP, tokens, placement, and the directory's gRPC service.
//!
//! It must hold nothing that another gateway would miss, and must not know peer connections, media or files. A request passes
//! `accept` (the connection), `router` (which of the few things it asks), then the one file that is for it: one of `whip/`, which
//! checks, calls one function of `sessions`, and renders, or `recordings`, `stats` or `page`. Operators' requests come by a listener of
//! their own, to `admin`.

mod accept;
mod access;
mod addresses;
mod admin;
pub mod auth;
mod body;
mod client;
mod config;
mod controllers;
mod cors;
mod explain;
mod forwarded;
mod limits;
mod metrics;
mod operators;
mod page;
mod placed;
mod placement;
mod problem;
mod random;
mod rates;
mod recordings;
mod refusals;
mod report;
mod response;
mod router;
mod sessions;
mod shares;
mod stats;
mod takeover;
mod trace;
mod whip;
mod workers;

use std::{net::IpAddr, sync::Arc, time::SystemTime};

use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
    time::sleep,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use whipcord_directory::{Directory, Freshness};
use whipcord_identity::SessionKeys;
use whipcord_proto::{
    controller::controller_service_server::ControllerServiceServer,
    directory::directory_service_server::DirectoryServiceServer, limits::REPORT_BYTES_MAX,
};

pub use auth::Authority;
pub use config::{Config, PublicUrl};
pub use controllers::Controllers;
pub use report::Reports;
pub use trace::FromOutside;
pub use workers::Workers;

/// Where encoders connect.
#[derive(Debug)]
pub struct Listener {
    pub tcp: TcpListener,
    /// The certificate, replaced whenever it is renewed: connections take the one of their moment. Without it, HTTP is plain.
    pub tls: Option<watch::Receiver<Arc<rustls::ServerConfig>>>,
}

/// A running gateway.
#[derive(Debug)]
pub struct Gateway(Arc<Shared>);

/// What every request and report works with.
#[derive(Debug)]
struct Shared {
    config: Config,
    authority: Authority,
    directory: Directory,
    keys: SessionKeys,
    workers: Workers,
    addresses: addresses::Addresses,
    rates: rates::Rates,
    refusals: refusals::Refusals,
    placed: placed::Placed,
    metrics: metrics::Metrics,
    page: page::Page,
    proxy_complaint: forwarded::Complaint,
    /// For answers of `/whip-stats`.
    stats_permits: Arc<Semaphore>,
    /// For POSTs that wait until a worker has room.
    waiting: Semaphore,
    waiting_by_bearer: Arc<shares::Shares<auth::Bearer>>,
    /// For recordings on their way.
    downloads: recordings::Places,
    /// Connections, report streams, and what a request began and must end without it.
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

impl Gateway {
    /// Serves HTTP on `listener` until `shutdown`; then what is in flight ends, and [`Gateway::join`] returns.
    pub fn start(
        config: Config,
        authority: Authority,
        listener: Listener,
        directory: Directory,
        keys: SessionKeys,
        workers: Workers,
        shutdown: CancellationToken,
    ) -> Self {
        let shared = Arc::new(Shared {
            rates: rates::Rates::new(config.request_rate),
            refusals: refusals::Refusals::default(),
            placed: placed::Placed::default(),
            metrics: metrics::Metrics::new(),
            page: page::Page::new(config.public_url.as_ref()),
            proxy_complaint: forwarded::Complaint::default(),
            waiting: Semaphore::new(limits::WAITING_MAX),
            waiting_by_bearer: shares::Shares::new(limits::WAITING_PER_BEARER_MAX),
            stats_permits: Arc::new(Semaphore::new(limits::STATS_MAX)),
            downloads: recordings::Places::default(),
            config,
            authority,
            directory,
            keys,
            workers,
            addresses: addresses::Addresses::default(),
            tasks: TaskTracker::new(),
            shutdown,
        });
        metrics::observe(&shared);
        shared.tasks.spawn(refusals::tell(Arc::clone(&shared)));
        shared.tasks.spawn(accept::run(Arc::clone(&shared), listener));
        Self(shared)
    }

    /// What workers report to, for the gRPC server of whoever holds the listener.
    pub fn directory_service(&self) -> DirectoryServiceServer<Reports> {
        DirectoryServiceServer::new(Reports::new(Arc::clone(&self.0))).max_decoding_message_size(REPORT_BYTES_MAX)
    }

    /// What a controller asks, for the same server.
    pub fn controller_service(&self) -> ControllerServiceServer<Controllers> {
        ControllerServiceServer::new(Controllers::new(Arc::clone(&self.0))).max_decoding_message_size(REPORT_BYTES_MAX)
    }

    /// The operators' API below `/api`, for the listener that they reach.
    pub fn admin(&self) -> axum::Router {
        admin::router(Arc::clone(&self.0))
    }

    /// Waits until it knows where sessions could go: the directory has answered, or a worker reports here.
    pub async fn informed(&self) {
        loop {
            let view = self.0.directory.workers();
            if view.freshness == Freshness::Current || !view.workers.is_empty() {
                return;
            }
            sleep(limits::ROOM_LOOK).await;
        }
    }

    /// Waits until it can read the directory's data, or cannot, because a later version has written them.
    pub async fn can_read_directory(&self, can: bool) {
        while self.0.directory.newer().is_none() != can {
            sleep(limits::ROOM_LOOK).await;
        }
    }

    /// Waits until all tasks have ended, after `shutdown` was cancelled.
    pub async fn join(self) {
        self.0.shutdown.cancelled().await;
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }
}

impl Shared {
    /// The address whose connections and downloads are counted: not a proxy's, through which many come.
    fn counted(&self, peer: IpAddr) -> Option<IpAddr> {
        (!self.config.is_trusted(peer)).then_some(peer)
    }

    fn authorize(&self, headers: &http::HeaderMap) -> Result<auth::Grant, auth::Error> {
        trace::step("whipcord.auth", || self.authority.authorize(headers, SystemTime::now()))
    }
}
