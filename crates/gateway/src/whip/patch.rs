//! `PATCH` of a session: candidates, or an ICE restart (RFC 9725 §4.3). Which of them the worker decides, who knows the session's
//! credentials.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts};
use hyper::body::Incoming;
use whipcord_proto::worker::{IceRestart, PatchSessionRequest};
use whipcord_whip::etag::{EntityTag, IfMatch};

use super::{SDP_FRAGMENT, access, check_content_type};
use crate::{
    Shared,
    access::SessionPath,
    body,
    limits::FRAGMENT_BYTES_MAX,
    problem::{Defect, Error},
    response::{Response, empty, with_body},
    sessions::Located,
};

pub(crate) async fn patch(
    shared: &Shared,
    parts: &Parts,
    incoming: &mut Incoming,
    path: SessionPath<'_>,
) -> Result<Response, Error> {
    let located = access(shared, &parts.headers, path).await?;
    match read(&parts.headers, incoming).await {
        Ok((if_match, fragment)) => {
            let request = request(&located, if_match, fragment);
            match shared.workers.patch(&located.address, request).await {
                Ok(response) => render(response.restart),
                Err(error) => Err(shared.call_failed(&located, error).await),
            }
        }
        // A session that is gone is the better reason.
        Err(error) => {
            shared.confirm(&located).await?;
            Err(error)
        }
    }
}

async fn read(headers: &HeaderMap, incoming: &mut Incoming) -> Result<(IfMatch, Bytes), Error> {
    check_content_type(headers, SDP_FRAGMENT)?;
    let if_match = IfMatch::parse(headers.get_all(header::IF_MATCH).iter().map(HeaderValue::as_bytes));
    if if_match == IfMatch::Missing {
        return Err(Error::IfMatchMissing);
    }
    Ok((if_match, body::read(incoming, FRAGMENT_BYTES_MAX).await?))
}

fn request(located: &Located, if_match: IfMatch, fragment: Bytes) -> PatchSessionRequest {
    let (if_match, match_any) = match if_match {
        IfMatch::Any => (Vec::new(), true),
        IfMatch::Sessions(sessions) => (sessions, false),
        IfMatch::Missing => (Vec::new(), false),
    };
    PatchSessionRequest {
        session_id: located.sid.as_bytes().to_vec(),
        owner: Some((&located.owner).into()),
        fragment: fragment.into(),
        if_match,
        match_any,
    }
}

/// 204 without an ETag for candidates, 200 with the new one for a restart.
fn render(restart: Option<IceRestart>) -> Result<Response, Error> {
    let Some(IceRestart { fragment, ice_session }) = restart else {
        return Ok(empty(StatusCode::NO_CONTENT));
    };
    let etag = EntityTag::new(&ice_session).map_err(|_| Defect::EntityTag)?;
    let mut response = with_body(StatusCode::OK, SDP_FRAGMENT, fragment);
    let etag = HeaderValue::try_from(etag.to_string()).expect("an entity-tag is visible ASCII");
    response.headers_mut().insert(header::ETAG, etag);
    Ok(response)
}
