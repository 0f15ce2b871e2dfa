//! `whipcord health`: whether a process of a cluster is ready, for probes that run a program, as those of containers do.

use std::{io::Write as _, time::Duration};

use reqwest::{Client, StatusCode, Url};

use super::{
    Failure,
    api::{admin_url, causes, excerpt},
};

#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Config {
    /// The process's address for operators
    #[arg(
        long = "admin",
        env = "WHIPCORD_ADMIN_URL",
        value_name = "URL",
        default_value = "http://127.0.0.1:9090",
        value_parser = admin_url
    )]
    url: Url,
}

/// Why it is not ready, or not known to be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{url} does not answer: {reason}; is the process's --admin there?")]
    Away { url: Url, reason: String },
    #[error("not ready: {0}")]
    NotReady(String),
    #[error("{url} answered {status}, as no --admin address does")]
    Odd { url: Url, status: StatusCode },
}

/// The answer is one word from memory. Probes ask every few seconds, and one must not outlast the next.
const ANSWER_MAX: Duration = Duration::from_secs(3);

pub(crate) async fn run(config: &Config) -> Result<(), Failure> {
    let word = ask(&config.url).await?;
    writeln!(std::io::stdout(), "{word}").map_err(Failure::Stdout)
}

/// What a ready process says.
async fn ask(url: &Url) -> Result<String, Error> {
    // Whoever installed one before has the same.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let away = |error: reqwest::Error| Error::Away {
        url: url.clone(),
        reason: causes(&error.without_url()),
    };
    // Container engines hand the host's HTTP_PROXY in; nobody else reaches this process's loopback.
    let client = Client::builder().timeout(ANSWER_MAX).no_proxy().build().map_err(away)?;
    let mut path = url.clone();
    path.path_segments_mut()
        .expect("an http URL has a path")
        .pop_if_empty()
        .push("readyz");
    let mut answer = client.get(path).send().await.map_err(away)?;
    let status = answer.status();
    // Its first piece: one word has no second, and whoever else answers must not fill the memory.
    let word = answer.chunk().await.map_err(away)?.unwrap_or_default();
    let word = excerpt(word.trim_ascii());
    match status {
        StatusCode::OK => Ok(word),
        StatusCode::SERVICE_UNAVAILABLE => Err(Error::NotReady(word)),
        status => Err(Error::Odd {
            url: url.clone(),
            status,
        }),
    }
}
