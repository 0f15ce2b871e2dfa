//! Responses. Every one is whole before its head is sent, so it has a Content-Length: FFmpeg cannot read a chunked 201.

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use tokio::sync::OwnedSemaphorePermit;

pub(crate) type Response = http::Response<Content>;

#[derive(Debug, Default)]
pub(crate) struct Content {
    pub(crate) bytes: Bytes,
    /// Given back when the content has been taken.
    pub(crate) permit: Option<OwnedSemaphorePermit>,
}

pub(crate) fn empty(status: StatusCode) -> Response {
    let mut response = Response::default();
    *response.status_mut() = status;
    response
}

pub(crate) fn with_body(status: StatusCode, media_type: &'static str, body: impl Into<Bytes>) -> Response {
    let mut response = empty(status);
    response.body_mut().bytes = body.into();
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}
