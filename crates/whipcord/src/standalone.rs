//! `whipcord standalone`: a gateway and a worker in one process, with the directory in memory. They speak the same gRPC as in a
//! cluster, over two pipes.

mod pipe;

use std::{
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tracing::{error, info};
use whipcord_directory::Directory;
use whipcord_gateway::{
    Authority, Gateway, Listener, Workers,
    auth::{ConfigError, Pattern, Scope},
};
use whipcord_identity::{IceKeys, SessionKeys};
use whipcord_worker::{Advertise, Gateways, Worker};

use crate::{
    announcement::{self, Announcement, TOKEN_LIFETIME},
    failure::Failure,
    process::{
        admin::{Admin, Readiness},
        listen::{self, listen},
        random,
        telemetry::{self, Pages},
        tls, tokens,
    },
};

#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(mut_arg("recordings", |arg| arg.default_value("recordings").help("Folder for {stream}/{session}.mp4")))]
#[command(mut_arg("advertise", |arg| arg.help("IP address in answers (repeatable; default: the interfaces')")))]
#[command(mut_arg("cluster_id", |arg| arg.hide(true)))]
#[command(mut_arg("without_directory", |arg| arg.hide(true)))]
#[command(mut_arg("placement", |arg| arg.hide(true)))]
#[command(mut_arg("forwarded", |arg| arg.hide(true)))]
#[command(mut_args(|arg| arg.hide_env(true)))]
pub(crate) struct Config {
    /// HTTP address for encoders
    #[arg(long, value_name = "ADDR", env = "WHIPCORD_HTTP", default_value = "127.0.0.1:8080", value_parser = listen::address)]
    http: SocketAddr,
    #[command(flatten)]
    tls: tls::Config,
    #[command(flatten)]
    worker: whipcord_worker::Config,
    #[command(flatten)]
    gateway: whipcord_gateway::Config,
    /// HTTP address for operators
    #[arg(long, value_name = "ADDR", env = "WHIPCORD_ADMIN", default_value = "127.0.0.1:9090", value_parser = listen::address)]
    admin: SocketAddr,
    /// When ready, print one line of JSON on stdout instead of a text
    #[arg(long)]
    json: bool,
}

/// Why it does not start: one sentence, which names the flag to change.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error(transparent)]
    Listen(#[from] listen::Error),
    #[error(transparent)]
    Worker(#[from] whipcord_worker::StartError),
    #[error(transparent)]
    Tls(#[from] tls::Error),
    #[error(transparent)]
    Tokens(#[from] ConfigError),
    #[error("--advertise controller is for a worker of a cluster: nobody would tell this one its addresses")]
    NoController,
    #[error("the worker did not register with the gateway within {} s", REGISTRATION_TIMEOUT.as_secs())]
    Registration,
}

/// Inside one process it takes milliseconds.
const REGISTRATION_TIMEOUT: Duration = Duration::from_secs(10);

/// Runs until `stop` is cancelled, then ends all sessions well.
pub(crate) async fn run(config: Config, pages: Pages, stop: CancellationToken) -> Result<(), Failure> {
    let json = config.json;
    let recordings = config.worker.recordings.clone();
    let standalone = Standalone::start(config, pages).await?;
    let announcement = standalone.announcement(recordings);
    announcement.print(json).map_err(Failure::Stdout)?;
    // By a signal or, before that, by an operator's word.
    stop.run_until_cancelled(standalone.worker.draining()).await;
    standalone.admin.set(Readiness::Draining);
    stop.cancelled().await;
    standalone.end().await;
    Ok(())
}

/// The running roles, and what ends each.
struct Standalone {
    gateway: Gateway,
    worker: Worker,
    token: Option<String>,
    http: SocketAddr,
    is_tls: bool,
    public_url: Option<String>,
    admin: Admin,
    servers: [JoinHandle<()>; 2],
    /// Cancelled one after the other, in this order.
    stop_worker: CancellationToken,
    stop_gateway: CancellationToken,
    stop_pipes: CancellationToken,
}

impl Standalone {
    /// Binds everything, starts the roles, and waits until the worker is registered.
    async fn start(config: Config, pages: Pages) -> Result<Self, StartError> {
        if config.worker.advertise.contains(&Advertise::Controller) {
            return Err(StartError::NoController);
        }
        let [stop_worker, stop_gateway, stop_pipes] = std::array::from_fn(|_| CancellationToken::new());
        let (authority, token) = authority(&config.gateway.auth, stop_pipes.clone())?;
        let (http, http_address) = listen(config.http, "encoders", "--http").await?;
        let admin = Admin::start(config.admin, stop_pipes.clone()).await?;
        let tls = config.tls.open(stop_pipes.clone())?;

        let (to_gateway, from_worker) = pipe::open(pipe::endpoint());
        let (to_worker, from_gateway) = pipe::open(Workers::bound(pipe::endpoint()));
        let identity = whipcord_worker::Identity {
            cluster_id: config.gateway.cluster_id.clone(),
            worker: "standalone".parse().expect("a constant, and a valid worker ID"),
            ice_keys: IceKeys::generate(random()),
            address: "pipe:0".parse().expect("a constant, and a valid address"),
        };
        let gateways = Gateways::new(move || to_gateway.clone());
        let worker = Worker::start(config.worker, identity, gateways, stop_worker.clone()).await?;
        let public_url = config.gateway.public_url.as_ref().map(ToString::to_string);
        let gateway = Gateway::start(
            config.gateway,
            authority,
            Listener { tcp: http, tls },
            Directory::memory(),
            SessionKeys::generate(random()),
            Workers::new(move |_| to_worker.clone()),
            stop_gateway.clone(),
        );
        let streams = telemetry::streams(worker.stream_series());
        admin.serve(gateway.admin().merge(pages.router()).merge(streams));
        let directory_service = Server::builder().serve_with_incoming_shutdown(
            gateway.directory_service(),
            from_worker,
            stop_pipes.clone().cancelled_owned(),
        );
        let worker_service = Server::builder().serve_with_incoming_shutdown(
            worker.service(),
            from_gateway,
            stop_pipes.clone().cancelled_owned(),
        );
        let servers = [
            tokio::spawn(watched(directory_service)),
            tokio::spawn(watched(worker_service)),
        ];
        let registered = tokio::time::timeout(REGISTRATION_TIMEOUT, worker.registered()).await;
        registered.map_err(|_| StartError::Registration)?;
        admin.set(Readiness::Ready);
        info!(http = %http_address, admin = admin.url(), "ready");
        Ok(Self {
            gateway,
            worker,
            token,
            http: http_address,
            is_tls: config.tls.is_on(),
            public_url,
            admin,
            servers,
            stop_worker,
            stop_gateway,
            stop_pipes,
        })
    }

    fn announcement(&self, recordings: Option<std::path::PathBuf>) -> Announcement {
        let media = self.worker.media_addresses();
        Announcement::Standalone(announcement::Standalone {
            whip_url: announcement::whip_url(self.public_url.as_deref(), self.is_tls, self.http, &media),
            token: self.token.clone(),
            media,
            recordings: announcement::recordings(recordings.as_deref()),
            admin_url: self.admin.url(),
        })
    }

    /// The worker ends first: encoders are told, recordings finished, the directory informed, while the gateway still answers.
    async fn end(self) {
        self.stop_worker.cancel();
        self.worker.join().await;
        self.stop_gateway.cancel();
        self.gateway.join().await;
        self.stop_pipes.cancel();
        for server in self.servers {
            // It has logged what went wrong.
            let _ = server.await;
        }
        self.admin.join().await;
        info!("ended");
    }
}

/// The operator's keys if there are any, else a secret of this process. The token is `None` if none of the keys can sign one.
fn authority(
    config: &whipcord_gateway::auth::Config,
    shutdown: CancellationToken,
) -> Result<(Authority, Option<String>), StartError> {
    let authority = if config.has_keys() {
        tokens::open(config, shutdown)?
    } else {
        Authority::ephemeral(random())
    };
    // The one reason for a refusal is that no secret is there to sign with.
    let token = authority
        .mint(&[Pattern::All], Scope::Publish, TOKEN_LIFETIME, SystemTime::now())
        .ok();
    Ok((authority, token))
}

async fn watched(server: impl Future<Output = Result<(), tonic::transport::Error>>) {
    if let Err(error) = server.await {
        error!(%error, "an in-process gRPC server ended");
    }
}
