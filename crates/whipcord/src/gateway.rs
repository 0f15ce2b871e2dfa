//! `whipcord gateway`: encoders' HTTP on one side, workers' gRPC on the other, and nothing kept.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tracing::{error, info};
use whipcord_directory::Directory;
use whipcord_gateway::{Gateway, Listener, Workers, auth};

use crate::{
    announcement::{self, Announcement},
    failure::Failure,
    process::{
        admin::{Admin, Readiness},
        internal::{self, Addresses, Internal, Role, only},
        keys,
        listen::{self, listen},
        telemetry::Pages,
        tls, tokens,
    },
};

#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(mut_args(|arg| arg.hide_env(true)))]
pub(crate) struct Config {
    /// HTTP address for encoders
    #[arg(long, value_name = "ADDR", env = "WHIPCORD_HTTP", default_value = "127.0.0.1:8080", value_parser = listen::address)]
    http: SocketAddr,
    /// gRPC address for workers' reports, and for whipcord controller
    #[arg(long, value_name = "ADDR", env = "WHIPCORD_GRPC", default_value = "127.0.0.1:7000", value_parser = listen::address)]
    grpc: SocketAddr,
    /// Keys that seal session URLs, the same for all gateways; whipcord keygen makes them
    #[arg(long, value_name = "FILE", env = "WHIPCORD_SESSION_KEYS")]
    session_keys: PathBuf,
    #[command(flatten)]
    redis: whipcord_directory::Config,
    #[command(flatten)]
    tls: tls::Config,
    #[command(flatten)]
    internal: internal::Config,
    #[command(flatten)]
    gateway: whipcord_gateway::Config,
    /// HTTP address for operators: /healthz, /readyz, /metrics, /log, /api
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
    Keys(#[from] keys::Error),
    #[error(transparent)]
    Internal(#[from] internal::Error),
    #[error(transparent)]
    Directory(#[from] whipcord_directory::ConfigError),
    #[error(transparent)]
    Tls(#[from] tls::Error),
    #[error(transparent)]
    Tokens(#[from] auth::ConfigError),
    #[error("no token would be good: give --token-secret-file, --token-public-key-file or --stream-keys-file")]
    NoTokens,
}

/// Runs until `stop` is cancelled; then what is in flight ends, and workers report elsewhere.
pub(crate) async fn run(config: Config, pages: Pages, stop: CancellationToken) -> Result<(), Failure> {
    let end = CancellationToken::new();
    let Started {
        gateway,
        reports,
        admin,
        ready,
    } = start(&config, pages, stop.clone(), end.clone()).await?;
    ready.print(config.json).map_err(Failure::Stdout)?;
    // It may be asked to stop while it waits for Redis.
    stop.run_until_cancelled(tell_readiness(&gateway, &admin)).await;
    admin.set(Readiness::Draining);
    gateway.join().await;
    // It ended with the same token.
    let _ = reports.await;
    end.cancel();
    admin.join().await;
    info!("ended");
    Ok(())
}

async fn tell_readiness(gateway: &Gateway, admin: &Admin) {
    gateway.informed().await;
    loop {
        gateway.can_read_directory(true).await;
        admin.set(Readiness::Ready);
        info!("ready");
        gateway.can_read_directory(false).await;
        admin.set(Readiness::Outdated);
        error!(
            "the directory's data are of a later version: this gateway places nothing until it is brought up to date"
        );
    }
}

struct Started {
    gateway: Gateway,
    /// The gRPC server.
    reports: tokio::task::JoinHandle<()>,
    admin: Admin,
    ready: Announcement,
}

async fn start(
    config: &Config,
    pages: Pages,
    stop: CancellationToken,
    end: CancellationToken,
) -> Result<Started, StartError> {
    if !config.gateway.auth.has_keys() {
        return Err(StartError::NoTokens);
    }
    let authority = tokens::open(&config.gateway.auth, end.clone())?;
    let session_keys = keys::open(&config.session_keys, end.clone())?;
    let internal = Internal::open(&config.internal, Role::Gateway, &config.gateway.cluster_id, end.clone())?;
    let directory = Directory::redis(&config.redis, &config.gateway.cluster_id)?;
    let tls = config.tls.open(end.clone())?;
    let (http, http_address) = listen(config.http, "encoders", "--http").await?;
    let (grpc, grpc_address) = listen(config.grpc, "workers", "--grpc").await?;
    let admin = Admin::start(config.admin, end).await?;
    let dialled = internal.clone();
    let workers = Workers::new(move |address| {
        let endpoint = Workers::bound(internal::endpoint());
        dialled.dial(endpoint, Arc::new(Addresses::new([address])), Role::Worker)
    });
    let gateway = Gateway::start(
        config.gateway.clone(),
        authority,
        Listener { tcp: http, tls },
        directory,
        session_keys,
        workers,
        stop.clone(),
    );
    admin.serve(gateway.admin().merge(pages.router()));
    let routes = Routes::new(only(Role::Worker, gateway.directory_service()))
        .add_service(only(Role::Controller, gateway.controller_service()));
    let reports = tokio::spawn(internal.serve(grpc, routes, &[Role::Worker, Role::Controller], stop));
    info!(http = %http_address, grpc = %grpc_address, admin = admin.url(), "listening");
    let public_url = config.gateway.public_url.as_ref().map(ToString::to_string);
    let ready = Announcement::Gateway {
        whip_url: announcement::whip_url(public_url.as_deref(), config.tls.is_on(), http_address, &[]),
        grpc: grpc_address,
        admin_url: admin.url(),
    };
    Ok(Started {
        gateway,
        reports,
        admin,
        ready,
    })
}
