//! The command line.

use clap::{Parser, Subcommand};

use crate::{commands, process::telemetry, standalone};

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
    /// Publish a file, or a test picture, to a WHIP endpoint
    Publish(commands::publish::Config),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }
}
