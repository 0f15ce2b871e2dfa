//! Why a request is not served, and how that is said: `application/problem+json` (RFC 9457).

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Serialize;
use whipcord_identity::{StreamName, stream};
use whipcord_proto::worker::{Refusal, RefusalKind};

use crate::{
    auth,
    response::{Content, Response},
    workers::CallError,
};

/// All there is. Texts are for an encoder's user: they quote no token, hint or password.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{0}")]
    Auth(#[from] auth::Error),
    #[error("the token may not publish {0}")]
    Forbidden(StreamName),

    #[error("the request needs one Host header with the name asked; send it once, as `Host: <name>[:<port>]`")]
    Host,
    #[error("there is nothing here; publish to /whip/<stream>")]
    NoSuchPath,
    #[error("there is no such session, or it has ended; publish again with a POST to /whip/<stream>")]
    NoSuchSession,
    #[error("there is no such recording here; it may have no picture yet, or its link be of another server")]
    NoSuchRecording,
    #[error("the recording has {size} bytes now, and nothing of the range asked for")]
    Range { size: u64 },
    #[error("as many recordings are being read as may be; try again")]
    TooManyDownloads,
    #[error("this method is not for this URL; it takes {allow}")]
    Method { allow: &'static str },
    #[error("{0}")]
    Stream(#[from] stream::Error),
    #[error("the token's scope has no `admin`")]
    NotAdmin,
    #[error("no such worker reports")]
    NoSuchWorker,
    #[error("nothing is known of it: no worker has such a session, and none ended or was refused within the last hour")]
    NothingKnown,
    #[error("the body is not what is expected: {0}")]
    Json(String),
    #[error("the answer took too long; try again")]
    Slow,
    #[error("the query parameters cannot be kept with the session; send fewer, without control characters")]
    Query,

    #[error("the content type must be {expected}")]
    ContentType { expected: &'static str },
    #[error("the body is larger than {limit} bytes")]
    TooLarge { limit: usize },
    #[error("the body did not arrive in time")]
    SlowBody,
    #[error("the body broke off")]
    BrokenBody,

    #[error("{}", .0.message)]
    Refused(Refusal),
    #[error("this needs an If-Match header with the session's ETag, or `*` to restart ICE")]
    IfMatchMissing,
    #[error("the If-Match header names another ICE session than the current one")]
    IfMatchStale,
    #[error("another publisher took the stream at the same time")]
    Superseded,

    #[error("another publisher holds the stream, and the server is set to keep it; end that one first")]
    Held,
    #[error("the stream has as many publishers as it may have")]
    StreamFull,
    #[error("another publisher took this stream a moment ago and is sending; end that one, or wait for half a minute")]
    LostStream,
    #[error("the server does not know yet whether the stream is free; try again")]
    Rebuilding,
    #[error("the server's directory does not answer now; try again")]
    DirectoryAway,

    #[error("too many requests; slow down")]
    TooManyRequests { retry_after: Duration },
    #[error("no worker can take the session now; try again")]
    NoWorker,
    #[error("the session's worker does not answer now; try again")]
    WorkerAway(#[source] CallError),
    #[error("an error on our side; the log has more")]
    Internal(#[from] Defect),
}

/// What should not happen, for the log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Defect {
    #[error("the worker answered: {0}")]
    Worker(CallError),
    #[error("the worker named an ICE session that is no entity-tag")]
    EntityTag,
    #[error("the directory's answer is not understood")]
    Directory,
    #[error("the task of a request ended early")]
    Task,
}

/// RFC 9457 §3.1, with `about:blank`: `title` is the status's phrase, and `reason` is what a program can go by.
#[derive(Serialize)]
struct Problem<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: String,
    reason: &'a str,
}

pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

impl Error {
    pub(crate) fn render(&self) -> Response {
        self.to_http().map(Content::from)
    }

    pub(crate) fn to_http(&self) -> http::Response<Bytes> {
        let status = self.status();
        let problem = Problem {
            r#type: "about:blank",
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            detail: self.to_string(),
            reason: self.reason(),
        };
        let body = serde_json::to_vec(&problem).expect("strings and a number are JSON");
        let mut response = http::Response::new(body.into());
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        self.add_headers(headers);
        response
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status_and_reason().0
    }

    /// One word, for programs and logs.
    pub(crate) fn reason(&self) -> &str {
        match self {
            Self::Refused(refusal) => &refusal.reason,
            _ => self.status_and_reason().1,
        }
    }

    /// As [`Error::reason`], but of a closed set: a worker's refusal is `refused`.
    pub(crate) fn kind(&self) -> &'static str {
        self.status_and_reason().1
    }

    fn status_and_reason(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Auth(auth::Error::Missing) => (StatusCode::UNAUTHORIZED, "no_token"),
            Self::Auth(auth::Error::Malformed) => (StatusCode::BAD_REQUEST, "malformed_authorization"),
            Self::Auth(auth::Error::Invalid) => (StatusCode::UNAUTHORIZED, "invalid_token"),
            Self::Auth(auth::Error::Claims) => (StatusCode::UNAUTHORIZED, "token_claims"),
            Self::Auth(auth::Error::Early) => (StatusCode::UNAUTHORIZED, "early_token"),
            Self::Auth(auth::Error::Expired(_)) => (StatusCode::UNAUTHORIZED, "expired_token"),
            Self::Forbidden(_) => (StatusCode::FORBIDDEN, "forbidden_stream"),
            Self::NotAdmin => (StatusCode::FORBIDDEN, "not_admin"),
            Self::NoSuchWorker => (StatusCode::NOT_FOUND, "no_such_worker"),
            Self::NothingKnown => (StatusCode::NOT_FOUND, "nothing_known"),
            Self::Json(_) => (StatusCode::BAD_REQUEST, "json"),
            Self::Slow => (StatusCode::GATEWAY_TIMEOUT, "slow"),
            Self::Host => (StatusCode::BAD_REQUEST, "host"),
            Self::NoSuchPath => (StatusCode::NOT_FOUND, "no_such_path"),
            Self::NoSuchSession => (StatusCode::NOT_FOUND, "no_such_session"),
            Self::NoSuchRecording => (StatusCode::NOT_FOUND, "no_such_recording"),
            Self::Range { .. } => (StatusCode::RANGE_NOT_SATISFIABLE, "range"),
            Self::TooManyDownloads => (StatusCode::SERVICE_UNAVAILABLE, "too_many_downloads"),
            Self::Method { .. } => (StatusCode::METHOD_NOT_ALLOWED, "method"),
            Self::Stream(_) => (StatusCode::BAD_REQUEST, "stream_name"),
            Self::Query => (StatusCode::BAD_REQUEST, "query"),
            Self::ContentType { .. } => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "content_type"),
            Self::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
            Self::SlowBody => (StatusCode::REQUEST_TIMEOUT, "slow_body"),
            Self::BrokenBody => (StatusCode::BAD_REQUEST, "broken_body"),
            Self::Refused(refusal) => (refused(refusal.kind()), "refused"),
            Self::IfMatchMissing => (StatusCode::PRECONDITION_REQUIRED, "if_match_missing"),
            Self::IfMatchStale => (StatusCode::PRECONDITION_FAILED, "if_match_stale"),
            Self::Superseded => (StatusCode::CONFLICT, "superseded"),
            Self::Held => (StatusCode::CONFLICT, "held"),
            Self::StreamFull => (StatusCode::CONFLICT, "stream_full"),
            Self::LostStream => (StatusCode::CONFLICT, "lost_stream"),
            Self::Rebuilding => (StatusCode::SERVICE_UNAVAILABLE, "rebuilding"),
            Self::DirectoryAway => (StatusCode::SERVICE_UNAVAILABLE, "directory_away"),
            Self::TooManyRequests { .. } => (StatusCode::TOO_MANY_REQUESTS, "too_many_requests"),
            Self::NoWorker => (StatusCode::SERVICE_UNAVAILABLE, "no_worker"),
            Self::WorkerAway(_) => (StatusCode::SERVICE_UNAVAILABLE, "worker_away"),
            Self::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        }
    }

    fn add_headers(&self, headers: &mut HeaderMap) {
        match self {
            Self::Auth(_) | Self::Forbidden(_) | Self::NotAdmin => {
                headers.insert(header::WWW_AUTHENTICATE, self.challenge());
            }
            Self::Method { allow } => {
                headers.insert(header::ALLOW, HeaderValue::from_static(allow));
            }
            // RFC 6585 §3: responses with this status must not be stored.
            Self::IfMatchMissing => {
                headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            }
            Self::TooManyRequests { retry_after } => {
                headers.insert(header::RETRY_AFTER, seconds(*retry_after));
            }
            // RFC 9110 §15.5.17.
            Self::Range { size } => {
                let size = HeaderValue::try_from(format!("bytes */{size}")).expect("a number is visible ASCII");
                headers.insert(header::CONTENT_RANGE, size);
            }
            Self::LostStream => {
                headers.insert(header::RETRY_AFTER, seconds(whipcord_directory::LOSER_WAIT));
            }
            Self::NoWorker
            | Self::WorkerAway(_)
            | Self::Superseded
            | Self::TooManyDownloads
            | Self::Held
            | Self::StreamFull
            | Self::Rebuilding
            | Self::DirectoryAway => {
                headers.insert(header::RETRY_AFTER, seconds(crate::limits::RETRY_AFTER));
            }
            _ => {}
        }
    }

    /// RFC 6750 §3: without credentials there is no error code.
    fn challenge(&self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Auth(auth::Error::Missing) => r#"Bearer realm="whip""#,
            Self::Auth(auth::Error::Malformed) => r#"Bearer realm="whip", error="invalid_request""#,
            Self::Forbidden(_) | Self::NotAdmin => r#"Bearer realm="whip", error="insufficient_scope""#,
            _ => r#"Bearer realm="whip", error="invalid_token""#,
        })
    }
}

fn refused(kind: RefusalKind) -> StatusCode {
    match kind {
        RefusalKind::Malformed => StatusCode::BAD_REQUEST,
        RefusalKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        // A kind of a later version: its sentence still says what is wrong.
        RefusalKind::Unacceptable | RefusalKind::Unspecified => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

/// Rounded up, and never "at once".
fn seconds(duration: Duration) -> HeaderValue {
    HeaderValue::from(duration.as_secs_f64().ceil().max(1.0) as u64)
}
