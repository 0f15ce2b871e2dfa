//! The HTTP face of WHIP (RFC 9725): one file per method. Each checks in the order of RFC 9110 §13.2.1 (401, 404, 405, 415,
//! 428 and 412, then 400 and 422), calls one function, and renders.

mod delete;
mod get;
mod options;
mod patch;
mod post;
mod query;

use http::{HeaderMap, header};
use whipcord_identity::Power;

use crate::{
    Shared,
    access::{Access, SessionPath},
    problem::Error,
    sessions::Located,
};

pub(crate) use delete::delete;
pub(crate) use get::{get_endpoint, get_session};
pub(crate) use options::{options, options_endpoint};
pub(crate) use patch::patch;
pub(crate) use post::{named, post};

const SDP: &str = "application/sdp";
const SDP_FRAGMENT: &str = "application/trickle-ice-sdpfrag";

/// Finds the session of a URL for its encoder.
async fn access(shared: &Shared, headers: &HeaderMap, path: SessionPath<'_>) -> Result<Located, Error> {
    let access = Access::check(shared, headers, path, &[Power::Publish]);
    let Access { stream, sid, hint } = access.map_err(|denied| denied.naming(Error::NoSuchSession))?;
    shared.locate(&stream, sid, hint).await
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
