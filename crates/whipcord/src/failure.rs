//! How a failure ends the process.

use std::process::ExitCode;

use crate::{
    commands::{api, doctor, drain, health, keygen, token},
    controller, gateway,
    process::telemetry,
    standalone, worker,
};

/// Why the process ends otherwise than asked: one sentence.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Log(#[from] telemetry::FilterError),
    #[error(transparent)]
    Telemetry(#[from] telemetry::Error),
    #[error("cannot listen for signals: {0}")]
    Signals(#[source] std::io::Error),
    #[error(transparent)]
    Standalone(#[from] standalone::StartError),
    #[error(transparent)]
    Gateway(#[from] gateway::StartError),
    #[error(transparent)]
    Worker(#[from] worker::StartError),
    #[error(transparent)]
    Controller(#[from] controller::StartError),
    #[error(transparent)]
    Api(#[from] api::Error),
    #[error(transparent)]
    Drain(#[from] drain::Error),
    #[error(transparent)]
    Health(#[from] health::Error),
    #[error(transparent)]
    Keygen(#[from] keygen::Error),
    #[error(transparent)]
    Token(#[from] token::Error),
    #[error(transparent)]
    Publish(#[from] whipcord_client::publish::PublishError),
    #[error(transparent)]
    Doctor(#[from] doctor::Error),
    #[error("cannot write to stdout: {0}")]
    Stdout(#[source] std::io::Error),
}

impl Failure {
    /// 2, as for a wrong command line, if the process could not start as it was told; else 1.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Log(_)
            | Self::Telemetry(_)
            | Self::Signals(_)
            | Self::Standalone(_)
            | Self::Gateway(_)
            | Self::Worker(_)
            | Self::Controller(_) => ExitCode::from(2),
            Self::Publish(_)
            | Self::Doctor(_)
            | Self::Api(_)
            | Self::Drain(_)
            | Self::Health(_)
            | Self::Keygen(_)
            | Self::Token(_)
            | Self::Stdout(_) => ExitCode::FAILURE,
        }
    }
}
