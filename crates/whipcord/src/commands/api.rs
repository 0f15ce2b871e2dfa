//! A gateway's API for operators, asked over HTTP.

use std::time::Duration;

use reqwest::{Client, Method, StatusCode, Url};
use serde_json::Value;

#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Config {
    /// A gateway's address for operators
    #[arg(
        long = "admin",
        env = "WHIPCORD_ADMIN_URL",
        value_name = "URL",
        default_value = "http://127.0.0.1:9090",
        value_parser = admin_url
    )]
    url: Url,
    /// Token with the scope `admin`; whipcord token make --admin makes one
    #[arg(long, env = "WHIPCORD_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    token: Option<String>,
}

/// Asks one gateway.
#[derive(Debug)]
pub(crate) struct Api {
    client: Client,
    url: Url,
    token: Option<String>,
}

/// Why there is no answer: a sentence that says what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("WHIPCORD_TOKEN (or --token) is empty: whipcord token make --admin makes a token")]
    EmptyToken,
    #[error("{url} does not answer: {reason}; is a gateway's --admin there?")]
    Away { url: Url, reason: String },
    #[error("the gateway wants a token with the scope `admin`: give --token, or set WHIPCORD_TOKEN ({0})")]
    Token(String),
    #[error("{0} is not a gateway's --admin address: workers and encoders' addresses have no /api")]
    NotAdmin(Url),
    #[error("the gateway refused: {0}")]
    Refused(String),
    #[error("the gateway's answer has more than {} MiB", ANSWER_BYTES_MAX >> 20)]
    Long,
    #[error("the gateway answered what is not understood here: {0}")]
    Odd(String),
}

/// A gateway asks its workers for at most 30 s.
const ANSWER_MAX: Duration = Duration::from_secs(35);
/// 50,000 sessions, which is the most a gateway lists, with 1.3 kB each.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// Enough to see whose answer it is.
const EXCERPT_BYTES: usize = 200;

impl Api {
    pub(crate) fn new(config: &Config) -> Result<Self, Error> {
        // Whoever installed one before has the same.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let client = Client::builder().timeout(ANSWER_MAX).build();
        if config.token.as_ref().is_some_and(|token| token.trim().is_empty()) {
            return Err(Error::EmptyToken);
        }
        Ok(Self {
            client: client.map_err(|error| Error::Away {
                url: config.url.clone(),
                reason: causes(&error),
            })?,
            url: config.url.clone(),
            token: config.token.clone(),
        })
    }

    /// `path` is the segments below `/api`, `query` what follows.
    pub(crate) async fn get(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Value, Error> {
        self.call(Method::GET, path, query, None).await
    }

    pub(crate) async fn post(&self, path: &[&str], body: &Value) -> Result<Value, Error> {
        self.call(Method::POST, path, &[], Some(body)).await
    }

    async fn call(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Value, Error> {
        let mut url = self.url.clone();
        url.path_segments_mut()
            .expect("an http URL has a path")
            .pop_if_empty()
            .push("api")
            .extend(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut request = self.client.request(method, url.clone());
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let away = |error: reqwest::Error| Error::Away {
            url: url.clone(),
            reason: causes(&error.without_url()),
        };
        let mut response = request.send().await.map_err(away)?;
        let status = response.status();
        let mut text = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(away)? {
            if text.len() + piece.len() > ANSWER_BYTES_MAX {
                return Err(Error::Long);
            }
            text.extend_from_slice(&piece);
        }
        let value: Value = serde_json::from_slice(&text).unwrap_or_default();
        if status.is_success() {
            return if value.is_null() {
                Err(Error::Odd(excerpt(&text)))
            } else {
                Ok(value)
            };
        }
        let detail = value["detail"].as_str().map_or_else(|| status.to_string(), printable);
        Err(match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Error::Token(detail),
            // What a gateway does not find, it says by these reasons.
            StatusCode::NOT_FOUND
                if !["no_such_worker", "no_such_session", "nothing_known"]
                    .iter()
                    .any(|reason| value["reason"] == *reason) =>
            {
                Error::NotAdmin(self.url.clone())
            }
            _ => Error::Refused(detail),
        })
    }
}

/// Without control characters and those that turn a line's direction (UAX #9): a worker or whoever answers must not write to the
/// operator's terminal what that takes for commands, or what reads as another text.
pub(super) fn printable(text: &str) -> String {
    let is_bidi =
        |character| matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let shown = text
        .chars()
        .filter(|character| !character.is_control() && !is_bidi(*character));
    shown.collect()
}

/// What fits into a sentence.
pub(super) fn excerpt(text: &[u8]) -> String {
    let start = &text[..text.len().min(EXCERPT_BYTES)];
    printable(&String::from_utf8_lossy(start))
}

pub(super) fn admin_url(text: &str) -> Result<Url, UrlError> {
    let url = Url::parse(text).map_err(|_| UrlError)?;
    let is_http = matches!(url.scheme(), "http" | "https") && url.has_host();
    is_http.then_some(url).ok_or(UrlError)
}

#[derive(Debug, thiserror::Error)]
#[error("begin with http://, as in http://127.0.0.1:9090")]
pub(super) struct UrlError;

/// The last cause says most: "Connection refused".
pub(super) fn causes(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    /// What one request gets from a server that answers with `head` and then sends `piece` for as long as it is read, at most so often.
    async fn ask(head: &str, piece: Vec<u8>, times: usize) -> Error {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let api = Api::new(&Config {
            url: format!("http://{}", listener.local_addr().unwrap()).parse().unwrap(),
            token: None,
        });
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            // All of it: what is left unread when the socket closes resets the connection.
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                stream.read_buf(&mut request).await.unwrap();
            }
            stream.write_all(head.as_bytes()).await.unwrap();
            for _ in 0..times {
                if stream.write_all(&piece).await.is_err() {
                    return;
                }
            }
        };
        let api = api.unwrap();
        let (answer, ()) = tokio::join!(api.get(&["sessions"], &[]), serve);
        answer.unwrap_err()
    }

    #[tokio::test]
    async fn what_answers_is_read_to_a_bound_and_quoted_in_plain_text() {
        let endless = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
        let error = ask(endless, vec![b' '; 1 << 20], 1024).await;
        assert!(matches!(error, Error::Long), "{error}");
        let odd = ask(endless, b"\x1b[2Jnot JSON".to_vec(), 1000).await.to_string();
        assert!(odd.contains("[2Jnot JSON") && odd.len() < 400, "{odd}");
        assert!(!odd.contains(char::is_control), "{odd}");
    }
}
