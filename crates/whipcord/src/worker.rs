//! `whipcord worker`: owns peer connections, reports to any gateway, and waits for one if there is none.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tracing::{info, warn};
use whipcord_identity::{ClusterId, WorkerAddress, WorkerId};
use whipcord_worker::{Gateways, Identity, Worker};

use crate::{
    announcement::{self, Announcement},
    failure::Failure,
    process::{
        admin::{Admin, Readiness},
        internal::{self, Addresses, Internal, Role},
        keys,
        listen::{self, listen},
        telemetry::{self, Pages},
    },
};

#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(mut_args(|arg| arg.hide_env(true)))]
pub(crate) struct Config {
    /// gRPC address of a gateway; a name may stand for several (repeatable)
    #[arg(
        long = "gateway",
        value_name = "HOST:PORT",
        env = "WHIPCORD_GATEWAY",
        value_delimiter = ',',
        required = true
    )]
    gateways: Vec<WorkerAddress>,
    /// gRPC address for gateways' requests
    #[arg(long, value_name = "ADDR", env = "WHIPCORD_GRPC", default_value = "127.0.0.1:7001", value_parser = listen::address)]
    grpc: SocketAddr,
    /// Where gateways reach --grpc (default: the address itself, if it is a host's own)
    #[arg(long, value_name = "HOST:PORT", env = "WHIPCORD_GRPC_ADVERTISE")]
    grpc_advertise: Option<WorkerAddress>,
    /// This worker's name, the same over restarts (default: the host's)
    #[arg(long, value_name = "NAME", env = "WHIPCORD_WORKER_ID")]
    worker_id: Option<WorkerId>,
    /// The cluster it belongs to
    #[arg(long, value_name = "NAME", env = "WHIPCORD_CLUSTER_ID", default_value = "whipcord")]
    cluster_id: ClusterId,
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
    /// HTTP address for operators: /healthz, /readyz, /metrics, /log
    #[arg(long, value_name = "ADDR", env = "WHIPCORD_ADMIN", default_value = "127.0.0.1:9091", value_parser = listen::address)]
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
    Unreachable(WorkerAddress),
    #[error("the host's name {0:?} is no worker's: {1}; give one with --worker-id")]
    Name(String, whipcord_identity::worker::Error),
}

/// Runs until `stop` is cancelled; then serves what lives until it ends or the deadline passes.
pub(crate) async fn run(config: Config, pages: Pages, stop: CancellationToken) -> Result<(), Failure> {
    let (drained, end) = (CancellationToken::new(), CancellationToken::new());
    let started = start(&config, pages, drained.clone(), end.clone()).await?;
    let Started {
        worker,
        requests,
        admin,
        ready,
    } = started;
    ready.print(config.json).map_err(Failure::Stdout)?;
    // It may be asked to stop while it waits for a gateway.
    let known = async {
        worker.registered().await;
        worker.addressed().await;
    };
    if stop.run_until_cancelled(known).await.is_some() {
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
    pages: Pages,
    drained: CancellationToken,
    end: CancellationToken,
) -> Result<Started, StartError> {
    let worker_id = config.worker_id.clone().map_or_else(host_name, Ok)?;
    let ice_keys = keys::open(&config.ice_keys, end.clone())?;
    let internal = Internal::open(&config.internal, Role::Worker, &config.cluster_id, end.clone())?;
    let (grpc, grpc_address) = listen(config.grpc, "gateways", "--grpc").await?;
    let admin = Admin::start(config.admin, end.clone()).await?;
    admin.serve(pages.clone().router());
    let address = advertised(config.grpc_advertise.as_ref(), grpc_address, &config.gateways)?;
    let identity = Identity {
        cluster_id: config.cluster_id.clone(),
        worker: worker_id,
        ice_keys,
        address,
    };
    let (dialled, addresses) = (internal.clone(), Arc::new(Addresses::new(&config.gateways)));
    let asked = Arc::clone(&addresses);
    let gateways = Gateways::new(move || dialled.dial(internal::endpoint(), Arc::clone(&addresses), Role::Gateway))
        .naming(move || asked.last().map_or_else(String::new, |address| address.to_string()));
    let worker = Worker::start(config.worker.clone(), identity, gateways, drained).await?;
    admin.serve(pages.router().merge(telemetry::streams(worker.stream_series())));
    let requests = tokio::spawn(internal.serve(grpc, Routes::new(worker.service()), &[Role::Gateway], end));
    let ready = Announcement::Worker {
        media: worker.media_addresses(),
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

/// Where gateways are told to reach this worker.
fn advertised(
    told: Option<&WorkerAddress>,
    bound: SocketAddr,
    gateways: &[WorkerAddress],
) -> Result<WorkerAddress, StartError> {
    let bound = bound.to_string().parse().expect("a socket address is HOST:PORT");
    let address = told.cloned().unwrap_or(bound);
    if address.ip().is_some_and(|ip| ip.is_unspecified()) {
        return Err(StartError::Unreachable(address));
    }
    if is_misled(&address, gateways) {
        warn!(
            %address,
            "a gateway on another machine cannot reach this worker at an address of its own machine: give --grpc an address that it can \
             reach, or name one with --grpc-advertise"
        );
    }
    Ok(address)
}

/// Whether a gateway is elsewhere, and told an address of its own machine.
fn is_misled(address: &WorkerAddress, gateways: &[WorkerAddress]) -> bool {
    let is_loopback = |address: &WorkerAddress| match address.ip() {
        Some(ip) => ip.is_loopback(),
        None => address.as_str().starts_with("localhost:"),
    };
    is_loopback(address) && !gateways.iter().all(is_loopback)
}

fn host_name() -> Result<WorkerId, StartError> {
    let name = rustix::system::uname().nodename().to_string_lossy().to_lowercase();
    name.parse().map_err(|error| StartError::Name(name, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gateways_are_told_an_address_that_they_can_reach() {
        let at = |text: &str| text.parse::<WorkerAddress>().unwrap();
        let bound = |text: &str| text.parse::<SocketAddr>().unwrap();
        let gateways = [at("10.0.0.5:7000")];
        let told = |told: Option<&str>, to: &str| advertised(told.map(at).as_ref(), bound(to), &gateways);
        assert_eq!(told(None, "10.0.0.9:7001").unwrap(), at("10.0.0.9:7001"));
        assert_eq!(told(Some("w1:7001"), "0.0.0.0:7001").unwrap(), at("w1:7001"));
        for (advertise, to) in [
            (None, "0.0.0.0:7001"),
            (Some("0.0.0.0:7001"), "10.0.0.9:7001"),
            (Some("[::]:1"), "[::]:1"),
        ] {
            assert!(
                matches!(told(advertise, to), Err(StartError::Unreachable(_))),
                "{advertise:?}"
            );
        }
    }

    #[test]
    fn a_loopback_address_leads_only_gateways_here_to_this_worker() {
        let at = |text: &str| text.parse::<WorkerAddress>().unwrap();
        let table = [
            ("127.0.0.1:7001", "127.0.0.1:7000", false),
            ("localhost:7001", "[::1]:7000", false),
            ("127.0.0.1:7001", "10.0.0.5:7000", true),
            ("127.0.0.1:7001", "gateways:7000", true),
            ("10.0.0.9:7001", "10.0.0.5:7000", false),
        ];
        for (address, gateway, expected) in table {
            let gateways = [at("127.0.0.1:7000"), at(gateway)];
            assert_eq!(is_misled(&at(address), &gateways), expected, "{address} {gateway}");
        }
    }
}
