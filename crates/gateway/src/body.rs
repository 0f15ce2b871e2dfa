//! Request bodies: read whole within a limit and a time, or thrown away.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use tokio::time::timeout;

use crate::{
    limits::{BODY_TIMEOUT, DISCARD_BYTES_MAX, DISCARD_TIMEOUT},
    problem::Error,
};

pub(crate) async fn read(body: &mut Incoming, limit: usize) -> Result<Bytes, Error> {
    if body.size_hint().lower() > limit as u64 {
        return Err(Error::TooLarge { limit });
    }
    timeout(BODY_TIMEOUT, collect(body, limit))
        .await
        .map_err(|_| Error::SlowBody)?
}

/// Reads on for a while what was refused, unless its sender waits for a `100 Continue` and has sent nothing (RFC 9110 §10.1.1).
pub(crate) async fn discard(body: &mut Incoming, headers: &HeaderMap) {
    if headers.contains_key(header::EXPECT) {
        return;
    }
    let all = async {
        let mut left = DISCARD_BYTES_MAX;
        while let Some(Ok(frame)) = body.frame().await {
            match left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
                Some(rest) => left = rest,
                None => break,
            }
        }
    };
    // Whether it ended or not, the answer goes out now.
    let _ = timeout(DISCARD_TIMEOUT, all).await;
}

async fn collect(body: &mut Incoming, limit: usize) -> Result<Bytes, Error> {
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Error::BrokenBody)?.into_data() else {
            continue; // trailers
        };
        if whole.len() + data.len() > limit {
            return Err(Error::TooLarge { limit });
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}
