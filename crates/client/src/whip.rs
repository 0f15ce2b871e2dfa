//! The HTTP half of a WHIP client (RFC 9725 §4): OPTIONS, POST an offer, DELETE the session. It knows nothing of media.

use std::{error::Error, fmt, io, time::Duration};

use reqwest::{
    Certificate, Client, Method, RequestBuilder, Response, StatusCode, Url,
    header::{ACCEPT, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, LOCATION, RETRY_AFTER},
    redirect,
};

use crate::token::Token;

/// A WHIP endpoint and the right to publish there.
pub(crate) struct Endpoint {
    client: Client,
    url: Url,
    token: Option<Token>,
}

/// What a 201 brings.
pub(crate) struct Session {
    pub(crate) url: Url,
    /// The URL that was asked in the end: redirects are behind it.
    pub(crate) asked: Url,
    /// Location as it came: it may have been relative.
    pub(crate) location: String,
    pub(crate) etag: Option<String>,
    pub(crate) answer: String,
}

impl fmt::Debug for Session {
    /// The session's URL is a capability: only its host is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("host", &self.url.host_str())
            .finish_non_exhaustive()
    }
}

#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    #[error("the URL must name a WHIP endpoint by http or https, such as https://example.com/whip/studio")]
    Url,
    #[error("the HTTP client cannot start: {0}")]
    Client(#[source] reqwest::Error),
    #[error("cannot reach {host}: {cause}; is the server running, and the URL right?")]
    Unreachable { host: String, cause: String },
    #[error("{host} does not speak HTTPS: use http:// in place of https://")]
    PlainHttp { host: String },
    #[error("{host} did not answer within {} s", .after.as_secs())]
    Silent { host: String, after: Duration },
    #[error("{0}")]
    Refused(Refusal),
    #[error("{host} redirects {REDIRECTS_MAX} times and more, or to nowhere; use the URL that it finally means")]
    Redirects { host: String },
    #[error("{host} answered {status} where WHIP asks for 201 Created; is this a WHIP endpoint?")]
    NotCreated { host: String, status: StatusCode },
    #[error("{host} accepted the offer, but sent no Location header: its session could never be ended")]
    NoLocation { host: String },
    #[error("{host} accepted the offer, but its body is no SDP answer of at most {BODY_BYTES_MAX} bytes")]
    NoAnswer { host: String },
}

/// A status of 400 or above, with the server's own words where it sent problem details (RFC 9457).
#[derive(Debug)]
pub struct Refusal {
    pub host: String,
    pub status: StatusCode,
    pub detail: Option<String>,
    /// One word for programs, as Whipcord sends it.
    pub reason: Option<String>,
    /// From Retry-After, in seconds.
    pub retry_after: Option<u64>,
}

/// From connecting to the last byte of an answer. A server may wait for a worker first; a user waits no longer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);
/// A load balancer redirects once, perhaps twice (section 4.5); more is a loop.
const REDIRECTS_MAX: usize = 5;
/// A large answer with simulcast and many candidates is below 20 kB.
const BODY_BYTES_MAX: usize = 256 * 1024;
/// What is shown of a server's own words.
const DETAIL_CHARS_MAX: usize = 300;

const SDP: &str = "application/sdp";
const PROBLEM: &str = "application/problem+json";

impl Endpoint {
    pub(crate) fn new(url: &str, token: Option<Token>) -> Result<Self, HttpError> {
        Self::trusting(url, token, Vec::new())
    }

    /// `authorities`: who may sign the server's certificate besides those that the machine trusts.
    pub(crate) fn trusting(url: &str, token: Option<Token>, authorities: Vec<Certificate>) -> Result<Self, HttpError> {
        let url = Url::parse(url)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let url = url.ok_or_else(|| HttpError::Url)?;
        // Ours is the only provider in the program; that it is installed already is as good.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let mut client = Client::builder();
        if !authorities.is_empty() {
            client = client.tls_certs_merge(authorities);
        }
        let client = client
            // Redirects are followed here, because only 307 and 308 keep a POST a POST.
            .redirect(redirect::Policy::none())
            .timeout(REQUEST_TIMEOUT)
            .user_agent(concat!("whipcord/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(HttpError::Client)?;
        Ok(Self { client, url, token })
    }

    /// The same endpoint for somebody without a token.
    pub(crate) fn anonymous(&self) -> Self {
        Self {
            client: self.client.clone(),
            url: self.url.clone(),
            token: None,
        }
    }

    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    pub(crate) fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// Host and port as the URL has them: safe to show.
    pub(crate) fn host(&self) -> String {
        authority(&self.url)
    }

    /// For choosing local addresses: where the endpoint is, by name and port.
    pub(crate) fn address(&self) -> (String, u16) {
        let host = self.url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        (host.to_owned(), self.url.port_or_known_default().unwrap_or(80))
    }

    /// Section 4.2, following redirects (section 4.5). The token goes along only to the origin that it was given for:
    /// another host has its own ways to say who may publish.
    pub(crate) async fn post(&self, offer: &str) -> Result<Session, HttpError> {
        let mut url = self.url.clone();
        for _ in 0..=REDIRECTS_MAX {
            let host = authority(&url);
            let token = self.token.as_ref().filter(|_| url.origin() == self.url.origin());
            let request = self.client.request(Method::POST, url.clone()).header(ACCEPT, SDP);
            let request = with(request, token).header(CONTENT_TYPE, SDP).body(offer.to_owned());
            let response = request.send().await.map_err(|error| unreachable(&host, error))?;
            match response.status() {
                StatusCode::CREATED => return created(host, url, response).await,
                StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => {
                    url = location(&url, response.headers()).ok_or(HttpError::Redirects { host })?;
                }
                status if status.is_client_error() || status.is_server_error() => {
                    return Err(HttpError::Refused(refusal(host, response).await));
                }
                status => return Err(HttpError::NotCreated { host, status }),
            }
        }
        Err(HttpError::Redirects { host: authority(&url) })
    }

    /// Section 4.2, the last but one paragraph: ends the session. Every request to a session carries the token (section 4.7).
    pub(crate) async fn delete(&self, session: &Session) -> Result<(), HttpError> {
        self.end(&session.url, self.token.as_ref()).await.map(drop)
    }

    /// The same where the session's URL may lead to a stranger: the token stays with the origin that it was given for.
    pub(crate) async fn delete_carefully(&self, session: &Url) -> Result<StatusCode, HttpError> {
        let token = self.token.as_ref().filter(|_| session.origin() == self.url.origin());
        self.end(session, token).await
    }

    async fn end(&self, session: &Url, token: Option<&Token>) -> Result<StatusCode, HttpError> {
        let host = authority(session);
        let request = with(self.client.delete(session.clone()), token);
        let response = request.send().await.map_err(|error| unreachable(&host, error))?;
        if response.status().is_success() {
            return Ok(response.status());
        }
        Err(HttpError::Refused(refusal(host, response).await))
    }

    /// What the endpoint says to OPTIONS, as the pages of other origins and some SDKs ask before anything else.
    pub(crate) async fn options(&self) -> Result<StatusCode, HttpError> {
        let request = with(
            self.client.request(Method::OPTIONS, self.url.clone()),
            self.token.as_ref(),
        );
        let response = request.send().await.map_err(|error| unreachable(&self.host(), error))?;
        Ok(response.status())
    }
}

fn with(request: RequestBuilder, token: Option<&Token>) -> RequestBuilder {
    match token {
        Some(token) => request.bearer_auth(token.as_str()),
        None => request,
    }
}

async fn created(host: String, url: Url, response: Response) -> Result<Session, HttpError> {
    let Some(session) = location(&url, response.headers()) else {
        return Err(HttpError::NoLocation { host });
    };
    let header = |name: HeaderName| {
        response
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned)
    };
    let (location, etag) = (header(LOCATION).unwrap_or_default(), header(ETAG));
    let is_sdp = header(CONTENT_TYPE).is_some_and(|value| media_type(&value).eq_ignore_ascii_case(SDP));
    let body = body(response).await.and_then(|body| String::from_utf8(body).ok());
    match body.filter(|body| is_sdp && body.starts_with("v=0")) {
        Some(answer) => Ok(Session {
            url: session,
            asked: url,
            location,
            etag,
            answer,
        }),
        None => Err(HttpError::NoAnswer { host }),
    }
}

/// Relative to the URL that was asked, as section 4.2 has it.
fn location(asked: &Url, headers: &HeaderMap) -> Option<Url> {
    let location = headers.get(LOCATION)?.to_str().ok()?;
    asked
        .join(location)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https"))
}

fn media_type(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

/// `None`: longer than [`BODY_BYTES_MAX`], or cut off.
async fn body(mut response: Response) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.ok()? {
        if body.len() + chunk.len() > BODY_BYTES_MAX {
            return None;
        }
        body.extend_from_slice(&chunk);
    }
    Some(body)
}

async fn refusal(host: String, response: Response) -> Refusal {
    let status = response.status();
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    let retry_after = header(RETRY_AFTER).and_then(|value| value.parse().ok());
    let is_problem = header(CONTENT_TYPE).is_some_and(|value| media_type(value).eq_ignore_ascii_case(PROBLEM));
    let problem = if is_problem { body(response).await } else { None };
    let problem: Option<Problem> = problem.and_then(|body| serde_json::from_slice(&body).ok());
    let (detail, reason) = problem.map_or((None, None), Problem::words);
    Refusal {
        host,
        status,
        detail,
        reason,
        retry_after,
    }
}

/// The members of RFC 9457 §3.1 that are written for people.
#[derive(serde::Deserialize)]
struct Problem {
    title: Option<String>,
    detail: Option<String>,
    reason: Option<String>,
}

impl Problem {
    /// For people, and for programs. A server's words end up on a terminal: no control characters, and not too many.
    fn words(self) -> (Option<String>, Option<String>) {
        let words = self.detail.or(self.title).unwrap_or_default();
        let shown: String = words
            .chars()
            .filter(|c| !c.is_control())
            .take(DETAIL_CHARS_MAX)
            .collect();
        ((!shown.is_empty()).then_some(shown), self.reason)
    }
}

/// The error's own text would carry the whole URL, and with it the session's secret part.
fn unreachable(host: &str, error: reqwest::Error) -> HttpError {
    if error.is_timeout() {
        return HttpError::Silent {
            host: host.to_owned(),
            after: REQUEST_TIMEOUT,
        };
    }
    let error = error.without_url();
    let mut cause: &(dyn Error + 'static) = &error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    // An HTTP response where a TLS record was due.
    if let Some(rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType)) = tls_error(cause) {
        return HttpError::PlainHttp { host: host.to_owned() };
    }
    HttpError::Unreachable {
        host: host.to_owned(),
        cause: cause.to_string(),
    }
}

/// The source of an I/O error is that of the error within, so the error within must be asked for, at each layer.
fn tls_error<'a>(mut cause: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    while let Some(within) = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        cause = within;
    }
    cause.downcast_ref()
}

fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port()
        .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

impl Refusal {
    pub(crate) fn is_not_found(&self) -> bool {
        self.status == StatusCode::NOT_FOUND
    }

    /// Its own words, "try again", help nobody for as long as that is so.
    fn has_no_worker(&self) -> bool {
        self.reason.as_deref() == Some("no_worker")
    }

    /// What the status alone tells. Where the server's own words can tell it better, only in their place.
    fn advice(&self) -> Option<&'static str> {
        match self.status.as_u16() {
            401 => Some("give a valid bearer token with --token, --token-file or WHIPCORD_TOKEN"),
            403 => Some("this token may not publish this stream; use another token or another stream name"),
            409 => Some("the stream is being published already; end that session, or use another stream name"),
            503 if self.has_no_worker() => Some("no worker takes sessions: see `whipcord workers`"),
            429 | 503 => Some("the server is busy; try again"),
            _ if self.status.is_server_error() => Some("the server failed; its log says why"),
            _ if self.detail.is_some() => None,
            404 => Some("nothing is there; check the path of the URL"),
            405 => Some("this is not a WHIP endpoint; check the path of the URL"),
            400 | 406 | 415 | 422 => Some("the server cannot take this request, and does not say why"),
            _ => None,
        }
    }
}

impl fmt::Display for Refusal {
    /// One sentence: what the server says, and what to do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} refused with {}", self.host, self.status)?;
        let detail = self.detail.as_ref().filter(|_| !self.has_no_worker());
        let detail = detail.map(|detail| detail.trim_end_matches('.'));
        match (detail, self.advice()) {
            (Some(detail), Some(advice)) => write!(f, " ({detail}): {advice}")?,
            (Some(words), None) | (None, Some(words)) => write!(f, ": {words}")?,
            (None, None) => {}
        }
        match (self.status.as_u16(), self.retry_after) {
            _ if self.has_no_worker() => Ok(()),
            (429 | 503, Some(seconds)) => write!(f, " in {seconds} s"),
            (429 | 503, None) => f.write_str(" later"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
