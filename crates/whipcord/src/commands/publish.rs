//! `whipcord publish`: the client, and its summary for people or for scripts.

use std::io::Write;

use tokio_util::sync::CancellationToken;
use whipcord_client::publish::{self, PublishError, Summary};

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

/// Succeeds only if media was sent and the session ended properly. A session cut short has a summary all the same.
pub(crate) async fn run(config: Config, stop: CancellationToken) -> Result<(), Failure> {
    let published = publish::run(config.publish, stop).await;
    match &published {
        Ok(summary) => print(summary, config.json)?,
        Err(PublishError::CutShort { summary, .. }) => print(summary, config.json)?,
        Err(_) => {}
    }
    published?;
    Ok(())
}

fn print(summary: &Summary, json: bool) -> Result<(), Failure> {
    let text = if json {
        serde_json::to_string(summary).expect("a summary is plain data")
    } else {
        summary.to_string()
    };
    writeln!(std::io::stdout(), "{text}").map_err(Failure::Stdout)
}
