//! `whipcord publish`: the client, and its summary for people or for scripts.

use std::io::Write;

use tokio_util::sync::CancellationToken;
use whipcord_client::publish;

use super::Failure;

#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Config {
    #[command(flatten)]
    publish: publish::Config,
    /// Print the summary as one JSON object on stdout
    #[arg(long)]
    json: bool,
}

/// Succeeds only if media was sent and the session ended properly.
pub(crate) async fn run(config: Config, stop: CancellationToken) -> Result<(), Failure> {
    let summary = publish::run(config.publish, stop).await?;
    let text = if config.json {
        serde_json::to_string(&summary).expect("a summary is plain data")
    } else {
        summary.to_string()
    };
    writeln!(std::io::stdout(), "{text}").map_err(Failure::Stdout)
}
