//! What lets a page of another origin use WHIP (the Fetch standard's CORS protocol). Tokens are in a header that the page sets itself,
//! never in cookies, so by default any origin may ask.

use std::str::FromStr;

use http::{HeaderMap, HeaderValue, Uri, header};

/// `Authorization` is never covered by `*`, so the names are listed.
const ALLOW_HEADERS: HeaderValue = HeaderValue::from_static("Authorization, Content-Type, If-Match, Range");
/// With PATCH and DELETE on the endpoint too: MediaMTX's client asks there whether it may trickle.
const ALLOW_METHODS: HeaderValue = HeaderValue::from_static("OPTIONS, GET, HEAD, POST, PATCH, DELETE");
const EXPOSE_HEADERS: HeaderValue = HeaderValue::from_static(
    "Location, ETag, Link, Accept-Patch, Retry-After, WWW-Authenticate, Content-Location, Content-Range",
);
/// A day; browsers cap it lower.
const MAX_AGE: HeaderValue = HeaderValue::from_static("86400");

/// A page's origin, as browsers write it: `scheme://host[:port]` in lower case, without the port that the scheme has anyway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin(HeaderValue);

/// Why a text is no origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an origin such as https://studio.example.com, without path and user (for any origin leave the flag out)")]
pub(crate) struct OriginError;

impl FromStr for Origin {
    type Err = OriginError;

    /// Any scheme: pages inside of apps have their own, as in `capacitor://localhost`.
    fn from_str(text: &str) -> Result<Self, OriginError> {
        let text = text.strip_suffix('/').unwrap_or(text).to_ascii_lowercase();
        let (scheme, authority) = text.split_once("://").ok_or(OriginError)?;
        let uri: Uri = text.parse().map_err(|_| OriginError)?;
        let parsed = uri.authority().ok_or(OriginError)?;
        // Longer than its authority with a path, a query or a fragment.
        let is_whole = parsed.as_str() == authority;
        let is_plain = parsed.as_str() == parsed.host() || parsed.port_u16().is_some();
        // A wildcard would never match.
        if !is_whole || !is_plain || authority.contains(['@', '*']) {
            return Err(OriginError);
        }
        let implied = match scheme {
            "http" => ":80",
            "https" => ":443",
            _ => "",
        };
        let authority = authority.strip_suffix(implied).unwrap_or(authority);
        HeaderValue::try_from(format!("{scheme}://{authority}"))
            .map(Self)
            .map_err(|_| OriginError)
    }
}

/// For every response, errors too: without it a page cannot even read the status. `listed` are the origins that may ask; none
/// stands for any.
pub(crate) fn expose(listed: &[Origin], request: &HeaderMap, response: &mut HeaderMap) {
    let allowed = if listed.is_empty() {
        Some(HeaderValue::from_static("*"))
    } else {
        // Whatever stores the answer must not give it to another origin, nor one without the header to a listed one.
        response.append(header::VARY, HeaderValue::from_static("Origin"));
        let asking = request.get(header::ORIGIN);
        asking
            .filter(|asking| listed.iter().any(|origin| origin.0 == **asking))
            .cloned()
    };
    if let Some(allowed) = allowed {
        response.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        response.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSE_HEADERS);
    }
}

/// For OPTIONS, preflight or not.
pub(crate) fn allow(headers: &mut HeaderMap) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, ALLOW_METHODS);
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOW_HEADERS);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_written_as_browsers_write_it() {
        let table = [
            ("https://studio.example.com", Some("https://studio.example.com")),
            ("https://Studio.Example.com/", Some("https://studio.example.com")),
            ("https://studio.example.com:443", Some("https://studio.example.com")),
            ("http://studio.example.com:80/", Some("http://studio.example.com")),
            ("http://studio.example.com:443", Some("http://studio.example.com:443")),
            (
                "https://studio.example.com:8443",
                Some("https://studio.example.com:8443"),
            ),
            ("http://[::1]:3000", Some("http://[::1]:3000")),
            ("capacitor://localhost", Some("capacitor://localhost")),
            ("studio.example.com", None),
            ("https://", None),
            ("https://studio.example.com/page", None),
            ("https://studio.example.com//", None),
            ("https://studio.example.com?a", None),
            ("https://studio.example.com#a", None),
            ("https://user@studio.example.com", None),
            ("https://*.example.com", None),
            ("https://studio.example.com:x", None),
            ("https://studio.example.com:70000", None),
            ("null", None),
            ("*", None),
            ("", None),
        ];
        for (text, expected) in table {
            let origin = text.parse::<Origin>().ok();
            assert_eq!(
                origin.as_ref().map(|origin| origin.0.to_str().unwrap()),
                expected,
                "{text}"
            );
        }
    }
}
