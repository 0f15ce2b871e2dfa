//! The command line.

use clap::{Parser, Subcommand};

use crate::{commands, gateway, process::telemetry, standalone, worker};

/// Takes live media from WHIP encoders (RFC 9725) into a cluster, and hands it on.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 120, disable_help_subcommand = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,

    #[command(flatten)]
    pub(crate) telemetry: telemetry::Config,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run everything in this one process: gateway, worker, and a directory in memory
    Standalone(Box<standalone::Config>),
    /// Run a gateway of a cluster: it takes encoders' requests to workers
    Gateway(Box<gateway::Config>),
    /// Run a worker of a cluster: it takes encoders' media
    Worker(Box<worker::Config>),
    /// List the workers of a cluster
    Workers(commands::list::Config),
    /// List the live streams of a cluster
    Streams(commands::list::Config),
    /// List the live sessions of a cluster, with their figures
    Sessions(commands::list::Sessions),
    /// Take workers out of service: no new sessions, live ones go on for a while
    Drain(commands::drain::Config),
    /// Make the keys and certificates of a cluster
    Keygen(commands::keygen::Config),
    /// Make a token, or say what is in one
    Token(commands::token::Config),
    /// Publish a file, or a test picture, to a WHIP endpoint
    Publish(commands::publish::Config),
    /// Go an encoder's way to a WHIP endpoint, and say what is wrong where: DNS, TCP, TLS, token, offer, UDP
    Doctor(commands::doctor::Config),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    /// What asks for something else than to serve.
    const FLAGS_ALONE: [&str; 3] = ["help", "version", "json"];

    #[test]
    fn every_setting_of_a_server_can_come_from_the_environment() {
        let args = Args::command();
        for server in ["standalone", "gateway", "worker"] {
            let server = args.find_subcommand(server).expect("a sub-command");
            let settings = server.get_arguments().chain(args.get_arguments());
            let without: Vec<_> = settings
                .filter(|arg| arg.get_env().is_none() && !FLAGS_ALONE.contains(&arg.get_id().as_str()))
                .map(clap::Arg::get_id)
                .collect();
            assert!(without.is_empty(), "{server}: {without:?}");
        }
    }
}
