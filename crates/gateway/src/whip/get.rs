//! `GET` and `HEAD`: reserved, answered by a 2xx without content (RFC 9725 §4.1).

use http::{StatusCode, request::Parts};

use super::access;
use crate::{
    Shared,
    access::SessionPath,
    problem::Error,
    response::{Response, empty},
};

pub(crate) fn get_endpoint() -> Response {
    empty(StatusCode::NO_CONTENT)
}

/// As long as the session lives.
pub(crate) async fn get_session(shared: &Shared, parts: &Parts, path: SessionPath<'_>) -> Result<Response, Error> {
    let located = access(shared, &parts.headers, path).await?;
    shared.confirm(&located).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}
