//! What lets a page of any origin use WHIP (the Fetch standard's CORS protocol). Tokens are in a header that the page sets itself,
//! never in cookies, so any origin may ask.

use http::{HeaderMap, HeaderValue, header};

/// `Authorization` is never covered by `*`, so the names are listed.
const ALLOW_HEADERS: HeaderValue = HeaderValue::from_static("Authorization, Content-Type, If-Match");
/// With PATCH and DELETE on the endpoint too: MediaMTX's client asks there whether it may trickle.
const ALLOW_METHODS: HeaderValue = HeaderValue::from_static("OPTIONS, GET, HEAD, POST, PATCH, DELETE");
const EXPOSE_HEADERS: HeaderValue =
    HeaderValue::from_static("Location, ETag, Link, Accept-Patch, Retry-After, WWW-Authenticate");
/// A day; browsers cap it lower.
const MAX_AGE: HeaderValue = HeaderValue::from_static("86400");

/// For every response, errors too: without it a page cannot even read the status.
pub(crate) fn expose(headers: &mut HeaderMap) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSE_HEADERS);
}

/// For OPTIONS, preflight or not.
pub(crate) fn allow(headers: &mut HeaderMap) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, ALLOW_METHODS);
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOW_HEADERS);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
}
