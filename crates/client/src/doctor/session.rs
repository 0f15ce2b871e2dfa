//! Steps 4, 5 and 7: what the HTTP answers mean. Pure: the requests are made by the caller.

use std::time::Duration;

use reqwest::{StatusCode, Url};

use super::{
    answer::{Answer, Error, Media},
    report::{Finding, Step, Verdict},
};
use crate::whip::{HttpError, Session};

/// OBS gives up after 8 s.
const POST_SLOW: Duration = Duration::from_secs(8);

/// What a POST without a token came to.
#[derive(Debug)]
pub(super) enum Anonymous {
    Refused,
    /// The server read the offer before it asked for a token, or asked for none.
    LetIn,
    Unclear(HttpError),
}

/// Where a 201's Location leads, as seen from the URL that was asked.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Leads {
    Here,
    /// From https to http, at this origin.
    InClear(String),
    /// To another origin. It is safe to show; the path is a capability, and is not.
    Elsewhere(String),
}

impl Anonymous {
    /// `Err` if the server does not even answer this: it will not answer anything else.
    pub(super) fn of(posted: Result<(), HttpError>) -> Result<Self, HttpError> {
        let error = match posted {
            Ok(()) | Err(HttpError::NoAnswer { .. } | HttpError::NoLocation { .. }) => return Ok(Self::LetIn),
            Err(error) => error,
        };
        match &error {
            HttpError::Unreachable { .. } | HttpError::PlainHttp { .. } | HttpError::Silent { .. } => Err(error),
            HttpError::Refused(refusal) => Ok(match refusal.status.as_u16() {
                401 | 403 => Self::Refused,
                400 | 406 | 409 | 413 | 415 | 422 => Self::LetIn,
                _ => Self::Unclear(error),
            }),
            _ => Ok(Self::Unclear(error)),
        }
    }
}

impl Leads {
    pub(super) fn of(asked: &Url, location: &Url) -> Self {
        if asked.origin() == location.origin() {
            return Self::Here;
        }
        let origin = location.origin().ascii_serialization();
        if asked.scheme() == "https" && location.scheme() == "http" {
            Self::InClear(origin)
        } else {
            Self::Elsewhere(origin)
        }
    }
}

/// `posted`: with the token, if there is one.
pub(super) fn said_of_auth(
    options: &Result<StatusCode, HttpError>,
    anonymous: &Anonymous,
    has_token: bool,
    posted: &Result<Session, HttpError>,
) -> Vec<Finding> {
    if let Err(HttpError::Refused(refusal)) = posted
        && matches!(refusal.status.as_u16(), 401 | 403)
    {
        let sentence = if has_token {
            refusal.to_string()
        } else {
            "the server asks for a token: give the stream's with --token, --token-file or WHIPCORD_TOKEN".to_owned()
        };
        return vec![Step::Auth.fail(sentence)];
    }
    if let (Anonymous::Unclear(_), Err(_)) = (anonymous, posted) {
        return vec![Step::Auth.finding(
            Verdict::Skipped,
            "not to be seen: a POST fails for another reason, with a token or without",
        )];
    }
    let mut findings = vec![match anonymous {
        Anonymous::Refused if has_token => {
            Step::Auth.ok("a POST without a token is refused, and with this one is let in")
        }
        // What it refused then it lets in now: an address that came to be trusted, or tokens that were just taken off.
        Anonymous::Refused => {
            Step::Auth.warn("one POST without a token was refused and the next let in: publish again, and see")
        }
        Anonymous::LetIn => Step::Auth.warn(
            "the server takes a POST without a token, so that anybody who reaches it can publish: give it tokens \
             (--token-secret-file) or keys (--stream-keys-file)",
        ),
        Anonymous::Unclear(error) => {
            Step::Auth.warn(format!("whether a token is asked for is not to be seen: {error}"))
        }
    }];
    if posted.is_err() {
        return findings;
    }
    // RFC 9725 §4.2: pages of other origins ask this first. 401: some servers keep ICE servers' credentials in it.
    match options {
        Ok(status) if status.is_success() || *status == StatusCode::UNAUTHORIZED => {}
        Ok(status) => findings.push(Step::Auth.warn(format!(
            "OPTIONS is answered with {status}, so that web pages of other origins cannot publish: let it through to the server"
        ))),
        Err(error) => findings.push(Step::Auth.warn(format!(
            "OPTIONS has no answer, so that web pages of other origins cannot publish ({error})"
        ))),
    }
    findings
}

pub(super) fn said_of_post(
    endpoint: &Url,
    posted: &Result<Session, HttpError>,
    answer: Option<&Result<Answer, Error>>,
    took: Duration,
) -> Vec<Finding> {
    let session = match posted {
        Ok(session) => session,
        Err(error) => return vec![Step::Post.fail(error.to_string())],
    };
    let mut findings = vec![match answer {
        Some(Ok(answer)) => said_of_answer(answer, took),
        Some(Err(error)) => Step::Post.fail(format!("the answer cannot be used: {error}; the server is at fault")),
        None => Step::Post.fail("the server sent no answer"),
    }];
    findings.extend(said_of_location(endpoint, session));
    if session.etag.is_none() {
        findings.push(Step::Post.warn(
            "the 201 has no ETag, without which encoders cannot restart ICE when their network changes: let the proxy pass ETag on",
        ));
    }
    if took > POST_SLOW {
        findings.push(Step::Post.warn(format!(
            "the POST took {:.1} s, and OBS gives up after {} s: look for what holds it up",
            took.as_secs_f64(),
            POST_SLOW.as_secs()
        )));
    }
    findings
}

fn said_of_answer(answer: &Answer, took: Duration) -> Finding {
    let took = took.as_secs_f64() * 1000.0;
    let listed = |of: fn(&Media) -> Option<&str>| answer.media.iter().filter_map(of).collect::<Vec<_>>().join(" and ");
    let taken = listed(|media| media.codec.as_deref());
    let rejected = listed(|media| media.codec.is_none().then_some(media.kind.as_str()));
    let candidates = match answer.candidates.len() {
        1 => "1 address".to_owned(),
        n => format!("{n} addresses"),
    };
    if taken.is_empty() {
        return Step::Post.fail(format!(
            "201 after {took:.1} ms, but the answer takes nothing of H.264, VP8 and Opus: check --codecs on the server"
        ));
    }
    let found = format!("201 after {took:.1} ms: takes {taken}, with {candidates} for media");
    if rejected.is_empty() {
        Step::Post.ok(found)
    } else {
        Step::Post.warn(format!(
            "{found}, but refuses {rejected} (H.264, VP8 and Opus were offered): check --codecs on the server"
        ))
    }
}

fn said_of_location(endpoint: &Url, session: &Session) -> Option<Finding> {
    let proxy = "the proxy must send Forwarded or X-Forwarded-* and be named by --trusted-proxy, or the server be given its public \
                 address by --public-url";
    let origin = session.asked.origin().ascii_serialization();
    match Leads::of(&session.asked, &session.url) {
        Leads::InClear(in_clear) => Some(Step::Post.fail(format!(
            "Location leads to {in_clear}, where encoders would send the token in clear: {proxy} {origin}"
        ))),
        Leads::Elsewhere(elsewhere) => Some(Step::Post.warn(format!(
            "Location leads to {elsewhere}, and not to {origin} that was asked, which encoders may not reach: {proxy} {origin}"
        ))),
        // GStreamer and others resolve it against the URL that they were given.
        Leads::Here if endpoint.origin() != session.asked.origin() && Url::parse(&session.location).is_err() => {
            Some(Step::Post.warn(
                "Location is relative after a redirect, which some encoders resolve against the first URL: use the URL that it \
                 redirects to",
            ))
        }
        Leads::Here => None,
    }
}

/// `elsewhere`: what a DELETE at the same path of the asked origin came to, where the Location led elsewhere and failed.
pub(super) fn said_of_end(
    leads: &Leads,
    ended: &Result<StatusCode, HttpError>,
    took: Duration,
    elsewhere: Option<bool>,
) -> Finding {
    let error = match ended {
        Ok(StatusCode::OK) => {
            return Step::End.ok(format!(
                "DELETE is answered with 200 after {:.1} ms",
                took.as_secs_f64() * 1000.0
            ));
        }
        Ok(status) => {
            return Step::End.warn(format!(
                "DELETE is answered with {status}, and OBS takes all but 200 for a failure; let the proxy pass the server's on"
            ));
        }
        Err(error) => error,
    };
    let rest = match elsewhere {
        Some(true) => "; this check ended its session where it was made",
        Some(false) => "; the session of this check ends when the server misses its media",
        None => "",
    };
    match (leads, error) {
        (Leads::Here, error) => Step::End.fail(format!("DELETE at the Location failed: {error}{rest}")),
        (_, HttpError::Refused(refusal)) if matches!(refusal.status.as_u16(), 401 | 403) => Step::End.warn(format!(
            "DELETE at the Location was tried without the token, which is for the host in the URL alone, and refused with {}{rest}",
            refusal.status
        )),
        (_, error) => Step::End.fail(format!(
            "encoders cannot end their sessions, because the Location leads elsewhere ({error}): set --public-url to the URL's \
             origin{rest}"
        )),
    }
}

#[cfg(test)]
mod tests;
