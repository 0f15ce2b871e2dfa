//! The HTTP face of WHIP (RFC 9725): one file per method. Each checks in the order of RFC 9110 §13.2.1 (401, 404, 405, 415,
//! 428 and 412, then 400 and 422), calls one function, and renders.

mod delete;
mod get;
mod options;
mod patch;
mod post;
mod query;

use std::fmt;

use http::{HeaderMap, header};
use whipcord_identity::{Hint, Power, SessionId, StreamName};

use crate::{
    Shared,
    auth::{self, Grant},
    problem::Error,
    sessions::Located,
};

pub(crate) use delete::delete;
pub(crate) use get::{get_endpoint, get_session};
pub(crate) use options::{options, options_endpoint};
pub(crate) use patch::patch;
pub(crate) use post::post;

/// A session URL's parts, as sent. The hint is a capability.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct SessionPath<'a> {
    pub(crate) stream: &'a str,
    pub(crate) sid: &'a str,
    pub(crate) hint: Option<&'a str>,
}

impl fmt::Debug for SessionPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionPath({}/{})", self.stream, self.sid)
    }
}

const SDP: &str = "application/sdp";
const SDP_FRAGMENT: &str = "application/trickle-ice-sdpfrag";

/// A session's URL, for somebody who may ask it.
#[derive(Debug)]
pub(crate) struct Access {
    pub(crate) stream: StreamName,
    pub(crate) sid: SessionId,
    /// None for a bearer of a token without it.
    pub(crate) hint: Option<Hint>,
}

impl Access {
    /// Lets in who holds a hint with one of these powers, or a token that may publish the stream.
    ///
    /// A token that is sent must be genuine either way; beside a hint it may have expired, because streams outlive tokens.
    pub(crate) fn check(
        shared: &Shared,
        headers: &HeaderMap,
        path: SessionPath<'_>,
        powers: &[Power],
    ) -> Result<Self, Error> {
        let authorized = shared.authorize(headers);
        if let Err(error @ (auth::Error::Malformed | auth::Error::Invalid | auth::Error::Claims | auth::Error::Early)) =
            authorized
        {
            return Err(error.into());
        }
        let (Ok(stream), Ok(sid)) = (path.stream.parse::<StreamName>(), path.sid.parse::<SessionId>()) else {
            return Err(Error::NoSuchSession);
        };
        let open = |text| {
            let mut powers = powers.iter();
            powers.find_map(|power| Hint::open(text, *power, &shared.keys, &stream, sid).ok())
        };
        let hint = path.hint.and_then(open);
        let grant = match (authorized, &hint) {
            (Ok(grant) | Err(auth::Error::Expired(grant)), Some(_)) => Some(grant),
            (Ok(grant), None) => Some(grant),
            (Err(_), Some(_)) => None,
            // A capability that proves nothing names nothing.
            (Err(auth::Error::Missing), None) if path.hint.is_some() => return Err(Error::NoSuchSession),
            (Err(error), None) => return Err(error.into()),
        };
        match grant {
            Some(grant) if !grant.may_publish(&stream) => Err(Error::Forbidden(stream)),
            grant => {
                check_bearer_rate(shared, grant.as_ref())?;
                Ok(Self { stream, sid, hint })
            }
        }
    }
}

/// Finds the session of a URL for its encoder.
async fn access(shared: &Shared, headers: &HeaderMap, path: SessionPath<'_>) -> Result<Located, Error> {
    let Access { stream, sid, hint } = Access::check(shared, headers, path, &[Power::Publish])?;
    shared.locate(&stream, sid, hint).await
}

fn check_bearer_rate(shared: &Shared, grant: Option<&Grant>) -> Result<(), Error> {
    grant.map_or(Ok(()), |grant| shared.rates.check_bearer(grant.bearer))
}

/// Media types are compared without case and parameters (RFC 9110 §8.3.1).
fn check_content_type(headers: &HeaderMap, expected: &'static str) -> Result<(), Error> {
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let media_type = values
        .next()
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next());
    match (media_type, values.next()) {
        (Some(media_type), None) if media_type.trim().eq_ignore_ascii_case(expected) => Ok(()),
        _ => Err(Error::ContentType { expected }),
    }
}
