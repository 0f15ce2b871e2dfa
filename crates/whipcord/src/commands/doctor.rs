//! `whipcord doctor`: the examination, line by line for people, or as one JSON array for scripts.

use std::io::{self, Write};

use tokio_util::sync::CancellationToken;
use whipcord_client::doctor::{self, DoctorError, Finding, Verdict};

use super::Failure;

#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Config {
    #[command(flatten)]
    doctor: doctor::Config,
    /// Print the findings as one JSON array on stdout, when all is seen
    #[arg(long)]
    json: bool,
}

/// Why it does not end well.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Doctor(#[from] DoctorError),
    #[error("an encoder cannot publish as things are; see the lines with FAIL")]
    Failed,
}

/// Succeeds only if nothing failed; warnings do not count.
pub(crate) async fn run(config: &Config, stop: CancellationToken) -> Result<(), Failure> {
    let mut written = Ok(());
    let print = |finding: &Finding| {
        if !config.json && written.is_ok() {
            written = writeln!(io::stdout(), "{finding}");
        }
    };
    let findings = doctor::run(&config.doctor, &stop, print).await.map_err(Error::from)?;
    written.map_err(Failure::Stdout)?;
    if config.json {
        let json = serde_json::to_string(&findings).expect("findings are plain data");
        writeln!(io::stdout(), "{json}").map_err(Failure::Stdout)?;
    }
    if findings.iter().any(|finding| finding.verdict == Verdict::Fail) {
        return Err(Error::Failed.into());
    }
    Ok(())
}
