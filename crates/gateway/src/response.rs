//! Responses. Every one is whole before its head is sent, so it has a Content-Length: FFmpeg cannot read a chunked 201.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use tokio::sync::OwnedSemaphorePermit;

pub(crate) type Response = http::Response<Bytes>;

/// What an answer, in whose extensions it is, holds until it has been taken.
#[derive(Clone, Debug)]
pub(crate) struct Permit(
    #[expect(dead_code, reason = "held, and given back when dropped")] pub(crate) Arc<OwnedSemaphorePermit>,
);

pub(crate) fn empty(status: StatusCode) -> Response {
    let mut response = Response::default();
    *response.status_mut() = status;
    response
}

pub(crate) fn with_body(status: StatusCode, media_type: &'static str, body: impl Into<Bytes>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}
