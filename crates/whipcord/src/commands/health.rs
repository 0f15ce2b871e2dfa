//! `whipcord health`: whether a process of a cluster is ready, for probes that run a program, as those of containers do.

use std::{io::Write as _, time::Duration};

use bytes::Bytes;
use http::{StatusCode, Uri};
use http_body_util::{BodyExt as _, Collected, Empty, Limited};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use reqwest::Url;

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
/// The longest of its words has nine.
const WORD_BYTES_MAX: usize = 200;

pub(crate) async fn run(config: &Config) -> Result<(), Failure> {
    let word = ask(&config.url).await?;
    writeln!(std::io::stdout(), "{word}").map_err(Failure::Stdout)
}

/// What a ready process says.
async fn ask(url: &Url) -> Result<String, Error> {
    let away = |reason: String| Error::Away {
        url: url.clone(),
        reason,
    };
    let mut path = url.clone();
    path.path_segments_mut()
        .expect("an http URL has a path")
        .pop_if_empty()
        .push("readyz");
    let path: Uri = path.as_str().parse().map_err(|_| away("no URI".to_owned()))?;
    // No proxy that a container's engine hands in, for this is the process's own loopback; and no TLS, which would want authorities of an image
    // that may have none.
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let asked = async {
        let answer = client.get(path).await.map_err(|error| causes(&error))?;
        let status = answer.status();
        // One word. Whoever else answers must not fill the memory.
        let word = Limited::new(answer.into_body(), WORD_BYTES_MAX).collect().await;
        Ok::<_, String>((status, word.map_or_else(|_| Bytes::new(), Collected::to_bytes)))
    };
    let asked = tokio::time::timeout(ANSWER_MAX, asked).await;
    let (status, word) = asked
        .unwrap_or_else(|_| Err(format!("no answer within {} s", ANSWER_MAX.as_secs())))
        .map_err(away)?;
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
