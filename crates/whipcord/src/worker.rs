//! `whipcord worker`: owns peer connections, reports to any gateway, and waits for one if there is none.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tracing::info;
use whipcord_identity::{WorkerAddress, WorkerId};
use whipcord_worker::{Gateways, Identity, Worker};

use crate::{
    announcement::{self, Announcement},
    failure::Failure,
    process::{
        admin::{Admin, Readiness},
        internal::{self, Internal, Role},
        keys,
        listen::{self, listen},
        telemetry::Metrics,
    },
};

#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(mut_args(|arg| arg.hide_env(true)))]
pub(crate) struct Config {
    /// gRPC address of gateways, HOST:PORT; a name may stand for several (repeatable)
    #[arg(
        long = "gateway",
        value_name = "ADDR",
        env = "WHIPCORD_GATEWAYS",
        value_delimiter = ',',
        required = true
    )]
    gateways: Vec<String>,
    /// gRPC address for gateways' requests
    #[arg(long, value_name = "ADDR", env = "WHIPCORD_GRPC", default_value = "127.0.0.1:7001")]
    grpc: SocketAddr,
    /// Where gateways reach --grpc, HOST:PORT (default: the address itself, if it is a host's own)
    #[arg(long, value_name = "ADDR", env = "WHIPCORD_GRPC_ADVERTISE")]
    grpc_advertise: Option<WorkerAddress>,
    /// This worker's name, the same over restarts (default: the host's)
    #[arg(long, value_name = "NAME", env = "WHIPCORD_WORKER_ID")]
    worker_id: Option<WorkerId>,
    /// The cluster it belongs to
    #[arg(long, value_name = "NAME", env = "WHIPCORD_CLUSTER_ID", default_value = "whipcord")]
    cluster_id: String,
    /// Keys of ICE credentials, the same for all workers; whipcord keygen makes them
    #[arg(long, value_name = "FILE", env = "WHIPCORD_ICE_KEYS")]
    ice_keys: PathBuf,
    /// Seconds for which live sessions may go on after SIGTERM
    #[arg(long, value_name = "SECONDS", env = "WHIPCORD_DRAIN_DEADLINE", default_value = "600")]
    drain_deadline: u32,
    #[command(flatten)]
    internal: internal::Config,
    #[command(flatten)]
    worker: whipcord_worker::Config,
    /// HTTP address for operators: /healthz, /readyz, /metrics
    #[arg(long, value_name = "ADDR", env = "WHIPCORD_ADMIN", default_value = "127.0.0.1:9091")]
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
    Worker(#[from] whipcord_worker::StartError),
    #[error("gateways cannot reach {0}: name an address that they can with --grpc-advertise HOST:PORT")]
    Unreachable(SocketAddr),
    #[error("the host's name {0:?} is no worker's: {1}; give one with --worker-id")]
    Name(String, whipcord_identity::worker::Error),
}

/// Runs until `stop` is cancelled; then serves what lives until it ends or the deadline passes.
pub(crate) async fn run(config: Config, metrics: Metrics, stop: CancellationToken) -> Result<(), Failure> {
    let (drained, end) = (CancellationToken::new(), CancellationToken::new());
    let started = start(&config, metrics, drained.clone(), end.clone()).await?;
    let Started {
        worker,
        requests,
        admin,
        ready,
    } = started;
    ready.print(config.json).map_err(Failure::Stdout)?;
    // It may be asked to stop while it waits for a gateway.
    if stop.run_until_cancelled(worker.registered()).await.is_some() {
        admin.set(Readiness::Ready);
        info!("ready");
    }
    // By a signal or, before that, by a gateway's word.
    stop.run_until_cancelled(worker.draining()).await;
    admin.set(Readiness::Draining);
    stop.cancelled().await;
    worker.drain(Duration::from_secs(config.drain_deadline.into())).await;
    drained.cancel();
    worker.join().await;
    end.cancel();
    // It has logged what went wrong.
    let _ = requests.await;
    admin.join().await;
    info!("ended");
    Ok(())
}

struct Started {
    worker: Worker,
    /// The gRPC server.
    requests: tokio::task::JoinHandle<()>,
    admin: Admin,
    ready: Announcement,
}

async fn start(
    config: &Config,
    metrics: Metrics,
    drained: CancellationToken,
    end: CancellationToken,
) -> Result<Started, StartError> {
    let worker_id = config.worker_id.clone().map_or_else(host_name, Ok)?;
    let ice_keys = keys::ice(&config.ice_keys, end.clone())?;
    let internal = Internal::open(&config.internal, &config.cluster_id, end.clone())?;
    let (grpc, grpc_address) = listen(config.grpc, "gateways", "--grpc").await?;
    let admin = Admin::start(config.admin, end.clone()).await?;
    admin.serve(metrics.router());
    let address = match &config.grpc_advertise {
        Some(address) => address.clone(),
        None if grpc_address.ip().is_unspecified() => return Err(StartError::Unreachable(grpc_address)),
        None => grpc_address
            .to_string()
            .parse()
            .expect("a socket address is a worker's"),
    };
    let identity = Identity {
        cluster_id: config.cluster_id.clone(),
        worker: worker_id,
        ice_keys,
        address,
    };
    let (dialled, addresses) = (internal.clone(), Arc::from(config.gateways.as_slice()));
    let gateways = Gateways::new(move || dialled.dial(internal::endpoint(), Arc::clone(&addresses), Role::Gateway));
    let worker = Worker::start(config.worker.clone(), identity, gateways, drained).await?;
    let requests = tokio::spawn(internal.serve(grpc, Routes::new(worker.service()), Role::Gateway, end));
    let ready = Announcement::Worker {
        media: worker.media_addresses().to_vec(),
        recordings: announcement::recordings(config.worker.recordings.as_deref()),
        grpc: grpc_address,
        admin_url: admin.url(),
    };
    Ok(Started {
        worker,
        requests,
        admin,
        ready,
    })
}

fn host_name() -> Result<WorkerId, StartError> {
    let name = rustix::system::uname().nodename().to_string_lossy().to_lowercase();
    name.parse().map_err(|error| StartError::Name(name, error))
}
