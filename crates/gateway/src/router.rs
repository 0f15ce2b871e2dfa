//! Which request is whose.

use std::{sync::Arc, time::Instant};

use http::{HeaderValue, Method, Request, Version, header, request::Parts, uri::Authority};
use hyper::body::Incoming;
use opentelemetry::trace::FutureExt as _;
use tracing::{error, info};
use whipcord_identity::StreamName;

use crate::{
    Shared,
    access::SessionPath,
    body,
    client::{Client, Connection},
    cors,
    page::File,
    problem::Error,
    recordings,
    refusals::{NOTED, Source},
    response::{self, Content, Response},
    stats, trace, whip,
};

/// What a path names. Texts are not parsed yet: whoever asks is looked at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target<'a> {
    /// `/whip` or `/whip/{stream}`.
    Endpoint(Option<&'a str>),
    /// `/whip/{stream}/{sid}` or `/whip/{stream}/{sid}.{hint}`.
    Session(SessionPath<'a>),
    /// `/recordings/{stream}/{sid}` or `/recordings/{stream}/{sid}.{hint}`.
    Recording(SessionPath<'a>),
    /// `/whip-stats`.
    Stats,
    /// `/`, or what the page there loads.
    Page(&'static File),
}

const ENDPOINT_METHODS: &str = "OPTIONS, GET, HEAD, POST";
const SESSION_METHODS: &str = "OPTIONS, GET, HEAD, PATCH, DELETE";
const READ_METHODS: &str = "OPTIONS, GET, HEAD";

/// Answers one request.
pub(crate) async fn serve(shared: Arc<Shared>, connection: Connection, request: Request<Incoming>) -> Response {
    let (parts, mut incoming) = request.into_parts();
    let client = Client::new(&shared, connection, &parts);
    let target = Target::parse(parts.uri.path());
    let (begun, route) = (Instant::now(), target.map(Target::route));
    let span = trace::request(&parts, route, connection.scheme.as_str(), &client);
    let outcome = dispatch(&shared, &client, &parts, &mut incoming, target)
        .with_context(span.clone())
        .await;
    let problem = outcome.as_ref().err();
    let status = outcome.as_ref().map_or_else(Error::status, Response::status);
    trace::answered(&span, status, problem);
    shared
        .metrics
        .answered(&parts.method, route, status, problem, begun.elapsed());
    let mut response = match outcome {
        Ok(response) => response,
        Err(problem) => {
            note_refusal(&shared, &client, &parts, target, &problem);
            if problem.status().is_server_error() {
                error!(method = %parts.method, error = &problem as &dyn std::error::Error, "cannot serve a request");
            }
            body::discard(&mut incoming, &parts.headers).await;
            problem.render()
        }
    };
    cors::expose(&shared.config.cors_origins, &parts.headers, response.headers_mut());
    response::as_typed(response.headers_mut());
    if parts.method == Method::HEAD {
        strip_body(&mut response);
    }
    response
}

/// For whoever asks why an encoder has no session.
fn note_refusal(shared: &Shared, client: &Client, parts: &Parts, target: Option<Target<'_>>, problem: &Error) {
    if !NOTED.contains(&parts.method) {
        return;
    }
    let named = match target {
        Some(Target::Endpoint(path)) => whip::named(shared, parts, path, problem),
        // Whatever hint its URL has: it is not looked at here.
        Some(Target::Session(path)) => path.stream.parse().ok().map(|stream| (stream, None)),
        _ => None,
    };
    if let Some((stream, bearer)) = named {
        let source = bearer.map_or(Source::Address(client.address), Source::Bearer);
        shared.refusals.note(stream, &parts.method, problem, source);
    }
}

async fn dispatch(
    shared: &Arc<Shared>,
    client: &Client,
    parts: &Parts,
    body: &mut Incoming,
    target: Option<Target<'_>>,
) -> Result<Response, Error> {
    check_host(parts)?;
    let target = target.ok_or(Error::NoSuchPath)?;
    let response = answer(shared, client, parts, body, target).await;
    if let Err(error @ (Error::Auth(_) | Error::Forbidden(_))) = &response
        && shared.rates.may_log()
    {
        info!(client = %client.address, method = %parts.method, stream = target.stream(), reason = error.reason(), "refused a token: {error}");
    }
    // Only what proves nothing is charged to its address: behind a proxy or a NAT all encoders have the same. A genuine token is
    // charged for what it asks.
    if let Err(Error::Auth(_) | Error::NoSuchSession | Error::NoSuchRecording) = response {
        shared.rates.check_address(client.address)?;
    }
    response
}

async fn answer(
    shared: &Arc<Shared>,
    client: &Client,
    parts: &Parts,
    body: &mut Incoming,
    target: Target<'_>,
) -> Result<Response, Error> {
    match (&parts.method, target) {
        (&Method::POST, Target::Endpoint(stream)) => whip::post(shared, client, parts, body, stream).await,
        (&Method::PATCH, Target::Session(path)) => whip::patch(shared, parts, body, path).await,
        (&Method::DELETE, Target::Session(path)) => whip::delete(shared, parts, path).await,

        (&Method::GET | &Method::HEAD, Target::Endpoint(_)) => Ok(whip::get_endpoint()),
        (&Method::GET | &Method::HEAD, Target::Session(path)) => whip::get_session(shared, parts, path).await,
        (&Method::GET | &Method::HEAD, Target::Recording(path)) => recordings::get(shared, client, parts, path).await,
        (&Method::GET | &Method::HEAD, Target::Stats) => stats::get(shared, parts).await,
        (&Method::GET | &Method::HEAD, Target::Page(file)) => Ok(shared.page.get(file, &parts.headers)),

        (&Method::OPTIONS, Target::Endpoint(_)) => Ok(whip::options_endpoint()),
        (&Method::OPTIONS, Target::Session(_) | Target::Recording(_) | Target::Stats | Target::Page(_)) => {
            Ok(whip::options())
        }

        (_, Target::Endpoint(_)) => Err(Error::Method {
            allow: ENDPOINT_METHODS,
        }),
        (_, Target::Session(_)) => Err(Error::Method { allow: SESSION_METHODS }),
        (_, Target::Recording(_) | Target::Stats | Target::Page(_)) => Err(Error::Method { allow: READ_METHODS }),
    }
}

impl<'a> Target<'a> {
    /// As semantic conventions have it: without what the path names.
    fn route(self) -> &'static str {
        match self {
            Self::Endpoint(_) => "/whip/{stream}",
            Self::Session(_) => "/whip/{stream}/{session}",
            Self::Recording(_) => "/recordings/{stream}/{session}",
            Self::Stats => "/whip-stats",
            Self::Page(_) => "/",
        }
    }

    /// As sent; for the log, which escapes it.
    fn stream(self) -> Option<&'a str> {
        match self {
            Self::Endpoint(stream) => stream,
            Self::Session(path) | Self::Recording(path) => Some(path.stream),
            Self::Stats | Self::Page(_) => None,
        }
    }

    fn parse(path: &'a str) -> Option<Self> {
        if let Some(below) = path.strip_prefix("/recordings/") {
            return session_path(below).map(Self::Recording);
        }
        let below = match path.strip_prefix("/whip") {
            Some("" | "/") => return Some(Self::Endpoint(None)),
            Some("-stats") => return Some(Self::Stats),
            Some(rest) => rest.strip_prefix('/')?,
            None => return File::at(path).map(Self::Page),
        };
        Some(session_path(below).map_or(Self::Endpoint(Some(below)), Self::Session))
    }
}

/// `{stream}/{sid}` or `{stream}/{sid}.{hint}`.
fn session_path(path: &str) -> Option<SessionPath<'_>> {
    let (stream, session) = path.rsplit_once('/')?;
    if !StreamName::segment_is_session(session) {
        return None;
    }
    let (sid, hint) = match session.split_once('.') {
        Some((sid, hint)) => (sid, Some(hint)),
        None => (session, None),
    };
    Some(SessionPath { stream, sid, hint })
}

/// RFC 9112 §3.2: HTTP/1.1 needs one Host, and in no version may there be two or a malformed one.
fn check_host(parts: &Parts) -> Result<(), Error> {
    let mut hosts = parts.headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if parts.version != Version::HTTP_11 => Ok(()),
        (Some(host), None) if is_host(host.as_bytes()) => Ok(()),
        _ => Err(Error::Host),
    }
}

/// Empty where the URL asked has no authority (RFC 9110 §7.2); never with a user.
fn is_host(value: &[u8]) -> bool {
    value.is_empty() || Authority::try_from(value).is_ok_and(|authority| !authority.as_str().contains('@'))
}

/// As after a GET, but without the body (RFC 9110 §9.3.2).
fn strip_body(response: &mut Response) {
    let length = std::mem::take::<Content>(response.body_mut()).len();
    if length > 0 {
        response
            .headers_mut()
            .insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_told_apart_by_their_last_segment() {
        const SID: &str = "AAAAAAAAAAAAAAAAAAAAAA";
        let session = |stream, hint| Some(Target::Session(SessionPath { stream, sid: SID, hint }));
        let recording = |stream, hint| Some(Target::Recording(SessionPath { stream, sid: SID, hint }));
        let table = [
            ("/whip", Some(Target::Endpoint(None))),
            ("/whip/", Some(Target::Endpoint(None))),
            ("/whip/live/cam", Some(Target::Endpoint(Some("live/cam")))),
            ("/whip/..", Some(Target::Endpoint(Some("..")))),
            ("/whip/AAAAAAAAAAAAAAAAAAAAAA", Some(Target::Endpoint(Some(SID)))),
            ("/whip/cam/AAAAAAAAAAAAAAAAAAAAAA", session("cam", None)),
            (
                "/whip/live/cam/AAAAAAAAAAAAAAAAAAAAAA.hint",
                session("live/cam", Some("hint")),
            ),
            ("/whip/cam/AAAAAAAAAAAAAAAAAAAAAA.", session("cam", Some(""))),
            ("/whip//AAAAAAAAAAAAAAAAAAAAAA", session("", None)),
            ("/recordings/cam/AAAAAAAAAAAAAAAAAAAAAA", recording("cam", None)),
            (
                "/recordings/live/cam/AAAAAAAAAAAAAAAAAAAAAA.hint",
                recording("live/cam", Some("hint")),
            ),
            ("/recordings/../AAAAAAAAAAAAAAAAAAAAAA", recording("..", None)),
            ("/recordings/cam", None),
            ("/recordings/cam/AAAAAAAAAAAAAAAAAAAAAA/", None),
            ("/recordings/AAAAAAAAAAAAAAAAAAAAAA", None),
            ("/recordings", None),
            ("/recordings/", None),
            ("/whip-stats", Some(Target::Stats)),
            ("/whip-stats/", None),
            ("/whipx", None),
            ("/", File::at("/").map(Target::Page)),
            ("/page/style.css", File::at("/page/style.css").map(Target::Page)),
            ("/page/", None),
            ("/page/../page/style.css", None),
            ("*", None),
        ];
        for (path, expected) in table {
            assert_eq!(Target::parse(path), expected, "{path}");
        }
    }
}
