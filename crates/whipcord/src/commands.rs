//! What each sub-command does.

pub(crate) mod api;
pub(crate) mod doctor;
pub(crate) mod drain;
pub(crate) mod explain;
pub(crate) mod health;
pub(crate) mod keygen;
pub(crate) mod list;
pub(crate) mod publish;
pub(crate) mod token;

use crate::{
    args::{Args, Command},
    controller,
    failure::Failure,
    gateway,
    process::{resources, signal, telemetry},
    standalone, worker,
};

pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let default_level = match args.command {
        Command::Standalone(_) | Command::Gateway(_) | Command::Worker(_) | Command::Controller(_) => "info",
        // What the others have to say is on stderr too.
        _ => "warn",
    };
    let levels = telemetry::install(&args.telemetry, default_level)?;
    let stop = signal::watch().map_err(Failure::Signals)?;
    match args.command {
        Command::Standalone(config) => {
            serve("whipcord-standalone", levels, async |pages| {
                standalone::run(*config, pages, stop).await
            })
            .await
        }
        Command::Gateway(config) => {
            serve("whipcord-gateway", levels, async |pages| {
                gateway::run(*config, pages, stop).await
            })
            .await
        }
        Command::Worker(config) => {
            serve("whipcord-worker", levels, async |pages| {
                worker::run(*config, pages, stop).await
            })
            .await
        }
        Command::Controller(config) => {
            serve("whipcord-controller", levels, async |pages| {
                controller::run(*config, pages, stop).await
            })
            .await
        }
        Command::Workers(config) => list::workers(&config, stop).await,
        Command::Streams(config) => list::streams(&config, stop).await,
        Command::Sessions(config) => list::sessions(&config, stop).await,
        Command::Explain(config) => explain::run(&config, stop).await,
        Command::Drain(config) => drain::run(&config).await,
        Command::Health(config) => health::run(&config).await,
        Command::Keygen(config) => keygen::run(&config),
        Command::Token(config) => token::run(&config),
        Command::Publish(config) => publish::run(config, stop).await,
        Command::Doctor(config) => doctor::run(&config, stop).await,
    }
}

/// Runs a role, and sends what is left of its traces and metrics when it has ended.
async fn serve(
    service: &'static str,
    levels: telemetry::Levels,
    role: impl AsyncFnOnce(telemetry::Pages) -> Result<(), Failure>,
) -> Result<(), Failure> {
    resources::prepare();
    let telemetry = telemetry::Telemetry::start(service, levels)?;
    let outcome = role(telemetry.pages()).await;
    telemetry.end().await;
    outcome
}
