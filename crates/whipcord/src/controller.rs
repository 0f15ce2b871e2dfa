//! `whipcord controller`: knows Kubernetes, and tells gateways. Without it, all goes on.

use std::{net::SocketAddr, sync::Arc};

use tokio_util::sync::CancellationToken;
use tracing::info;
use whipcord_controller::{Controller, Gateways, Standing};
use whipcord_identity::ClusterId;

use crate::{
    announcement::Announcement,
    failure::Failure,
    process::{
        admin::{Admin, Readiness},
        internal::{self, Addresses, Internal, Role},
        listen,
        telemetry::Pages,
    },
};

#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(mut_args(|arg| arg.hide_env(true)))]
pub(crate) struct Config {
    /// The cluster it belongs to
    #[arg(long, value_name = "NAME", env = "WHIPCORD_CLUSTER_ID", default_value = "whipcord")]
    cluster_id: ClusterId,
    #[command(flatten)]
    internal: internal::Config,
    #[command(flatten)]
    controller: whipcord_controller::Config,
    /// HTTP address for operators: /healthz, /readyz, /metrics, /log
    #[arg(long, value_name = "ADDR", env = "WHIPCORD_ADMIN", default_value = "127.0.0.1:9092", value_parser = listen::address)]
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
    Internal(#[from] internal::Error),
    #[error(transparent)]
    Controller(#[from] whipcord_controller::StartError),
}

/// Runs until `stop` is cancelled; then another controller may lead at once.
pub(crate) async fn run(config: Config, pages: Pages, stop: CancellationToken) -> Result<(), Failure> {
    let end = CancellationToken::new();
    let (controller, admin) = start(&config, pages, stop.clone(), end.clone()).await?;
    let ready = Announcement::Controller { admin_url: admin.url() };
    ready.print(config.json).map_err(Failure::Stdout)?;
    stop.run_until_cancelled(tell_readiness(&controller, &admin)).await;
    admin.set(Readiness::Draining);
    controller.join().await;
    end.cancel();
    admin.join().await;
    info!("ended");
    Ok(())
}

async fn start(
    config: &Config,
    pages: Pages,
    stop: CancellationToken,
    end: CancellationToken,
) -> Result<(Controller, Admin), StartError> {
    // What Kubernetes' client takes: one that is there already is the same.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let internal = Internal::open(&config.internal, Role::Controller, &config.cluster_id, end.clone())?;
    let admin = Admin::start(config.admin, end).await?;
    admin.serve(pages.router());
    let gateways = Gateways::new(config.controller.gateways.clone(), move |address| {
        let address = address.to_string().parse().expect("a socket address is HOST:PORT");
        internal.dial(
            internal::endpoint(),
            Arc::new(Addresses::new([&address])),
            Role::Gateway,
        )
    });
    let me = config.controller.controller_id.clone().unwrap_or_else(host_name);
    let controller = Controller::start(config.controller.clone(), me, gateways, stop).await?;
    Ok((controller, admin))
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// A standby is as ready as a leader: it takes over within seconds.
async fn tell_readiness(controller: &Controller, admin: &Admin) {
    let mut standing = controller.standing();
    loop {
        admin.set(match *standing.borrow_and_update() {
            Standing::Starting => Readiness::Starting,
            Standing::Standby => Readiness::Standby,
            Standing::Leading { .. } => Readiness::Leading,
        });
        if standing.changed().await.is_err() {
            return;
        }
    }
}
