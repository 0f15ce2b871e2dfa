//! Who may ask what lies behind a session's URL: its encoder, and whoever reads its recording.
//!
//! It must not know which of them asks: callers say what they looked for.

use std::fmt;

use http::HeaderMap;
use whipcord_identity::{Hint, Power, SessionId, StreamName};

use crate::{Shared, auth, problem::Error};

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
    ) -> Result<Self, Denied> {
        let authorized = shared.authorize(headers);
        if let Err(error @ (auth::Error::Malformed | auth::Error::Invalid | auth::Error::Claims | auth::Error::Early)) =
            authorized
        {
            return Err(Denied::Refused(error.into()));
        }
        let (Ok(stream), Ok(sid)) = (path.stream.parse::<StreamName>(), path.sid.parse::<SessionId>()) else {
            return Err(Denied::NamesNothing);
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
            (Err(auth::Error::Missing), None) if path.hint.is_some() => return Err(Denied::NamesNothing),
            (Err(error), None) => return Err(Denied::Refused(error.into())),
        };
        match grant {
            Some(grant) if !grant.may_publish(&stream) => Err(Denied::Refused(Error::Forbidden(stream))),
            grant => {
                if let Some(grant) = &grant {
                    shared.rates.check_bearer(grant.bearer).map_err(Denied::Refused)?;
                }
                Ok(Self { stream, sid, hint })
            }
        }
    }
}

/// Why somebody is not let in.
#[derive(Debug)]
pub(crate) enum Denied {
    /// The URL is nothing's, or a capability that proves nothing.
    NamesNothing,
    Refused(Error),
}

impl Denied {
    /// The problem for somebody who looked for what is `absent`.
    pub(crate) fn naming(self, absent: Error) -> Error {
        match self {
            Self::NamesNothing => absent,
            Self::Refused(error) => error,
        }
    }
}
