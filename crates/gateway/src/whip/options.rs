//! `OPTIONS`: what may be asked, and the CORS preflight. Neither needs a token, so neither names ICE servers (RFC 9725 §4.6).

use http::{HeaderName, HeaderValue, StatusCode};

use super::SDP;
use crate::{
    cors,
    response::{Response, empty},
};

const ACCEPT_POST: HeaderName = HeaderName::from_static("accept-post");

pub(crate) fn options_endpoint() -> Response {
    let mut response = options();
    response
        .headers_mut()
        .insert(ACCEPT_POST, HeaderValue::from_static(SDP));
    response
}

pub(crate) fn options() -> Response {
    let mut response = empty(StatusCode::OK);
    cors::allow(response.headers_mut());
    response
}
