//! `DELETE` of a session. Its ETag is ignored (RFC 9725 §4.3.1), and so is any body.

use http::{StatusCode, request::Parts};
use whipcord_proto::worker::DeleteReason;

use super::access;
use crate::{
    Shared,
    access::SessionPath,
    problem::Error,
    response::{Response, empty},
};

/// 200, because OBS takes any other status for a failure.
pub(crate) async fn delete(shared: &Shared, parts: &Parts, path: SessionPath<'_>) -> Result<Response, Error> {
    let located = access(shared, &parts.headers, path).await?;
    shared.end(&located, DeleteReason::Client).await?;
    Ok(empty(StatusCode::OK))
}
