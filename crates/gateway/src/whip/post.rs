//! `POST /whip/{stream}`, `POST /whip?channelId={stream}`: an offer in, a session out.

use std::{sync::Arc, time::SystemTime};

use http::{HeaderName, HeaderValue, StatusCode, header, request::Parts};
use hyper::body::Incoming;
use tracing::info;
use whipcord_identity::StreamName;
use whipcord_proto::worker::Refusal;
use whipcord_whip::Offer;

use super::{SDP, SDP_FRAGMENT, check_content_type, query::Query};
use crate::{
    Config, Shared,
    auth::{self, Bearer, Grant},
    body,
    client::Client,
    limits::OFFER_BYTES_MAX,
    problem::Error,
    response::{Response, with_body},
    sessions::{Created, NewSession},
    takeover,
};

/// The stream when neither path, query nor token names one.
const DEFAULT_STREAM: &str = "default";
const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");

pub(crate) async fn post(
    shared: &Arc<Shared>,
    client: &Client,
    parts: &Parts,
    incoming: &mut Incoming,
    path: Option<&str>,
) -> Result<Response, Error> {
    let grant = shared.authorize(&parts.headers)?;
    // Whatever comes of it, a signature has been checked.
    shared.rates.check_bearer(grant.bearer)?;
    let query = Query::parse(parts.uri.query().unwrap_or_default());
    let (stream, query) = stream(path, query, grant.only_stream())?;
    if !grant.may_publish(&stream) {
        return Err(Error::Forbidden(stream));
    }
    let created = create(shared, client, parts, incoming, stream.clone(), query, grant.bearer)
        .await
        .inspect_err(|error| {
            info!(%stream, status = error.status().as_u16(), reason = error.reason(), "refused a session");
        })?;
    Ok(render(&shared.config, client, &stream, created))
}

async fn create(
    shared: &Arc<Shared>,
    client: &Client,
    parts: &Parts,
    incoming: &mut Incoming,
    stream: StreamName,
    query: Query,
    bearer: Bearer,
) -> Result<Created, Error> {
    let metadata = query.into_metadata().ok_or(Error::Query)?;
    check_content_type(&parts.headers, SDP)?;
    let offer = body::read(incoming, OFFER_BYTES_MAX).await?;
    check_offer(&offer)?;
    shared
        .create(NewSession {
            stream,
            offer: offer.into(),
            metadata,
            client: takeover::client(client.address),
            bearer,
        })
        .await
}

/// The path names the stream; else the query's `channelId`; else the token, if it is for exactly one; else it is `default`.
fn stream(path: Option<&str>, mut query: Query, only: Option<&StreamName>) -> Result<(StreamName, Query), Error> {
    let stream = match path {
        Some(path) => path.parse()?,
        None => match (query.take_channel_id(), only) {
            (Some(channel), _) => channel.parse()?,
            (None, Some(only)) => only.clone(),
            (None, None) => DEFAULT_STREAM.parse()?,
        },
    };
    Ok((stream, query))
}

/// The stream that a refused request to the endpoint was for, and whose token it came with if that may name the stream and is good now.
/// No signature is checked again but those that were charged to their token.
pub(crate) fn named(
    shared: &Shared,
    parts: &Parts,
    path: Option<&str>,
    problem: &Error,
) -> Option<(StreamName, Option<Bearer>)> {
    let query = Query::parse(parts.uri.query().unwrap_or_default());
    let grant = match problem {
        Error::Forbidden(stream) => return Some((stream.clone(), None)),
        // It proves whose it was, and not whose it is: old tokens lie about in logs.
        Error::Auth(auth::Error::Expired(grant)) => {
            let (named, _) = stream(path, query, grant.only_stream()).ok()?;
            return Some((named, None));
        }
        Error::Auth(_) | Error::Host | Error::Method { .. } | Error::Stream(_) | Error::TooManyRequests { .. } => None,
        _ => shared.authority.authorize(&parts.headers, SystemTime::now()).ok(),
    };
    let (named, _) = stream(path, query, grant.as_ref().and_then(Grant::only_stream)).ok()?;
    let bearer = grant
        .filter(|grant| grant.may_publish(&named))
        .map(|grant| grant.bearer);
    Some((named, bearer))
}

/// Refuses here what any worker would refuse, before a stream is reserved and one is asked. Codecs are the worker's choice.
fn check_offer(sdp: &[u8]) -> Result<(), Error> {
    match Offer::parse(sdp) {
        Ok(_) => Ok(()),
        Err(refusal) => Err(Error::Refused(Refusal::from(&refusal))),
    }
}

fn render(config: &Config, client: &Client, stream: &StreamName, created: Created) -> Response {
    let Created {
        sid,
        hint,
        answer,
        etag,
    } = created;
    let location = format!("{}/whip/{stream}/{sid}.{hint}", client.base);
    let mut response = with_body(StatusCode::CREATED, SDP, answer);
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, visible(location));
    headers.insert(header::ETAG, visible(etag.to_string()));
    headers.insert(ACCEPT_PATCH, HeaderValue::from_static(SDP_FRAGMENT));
    for server in &config.ice_servers {
        headers.append(header::LINK, visible(server.header_value()));
    }
    response
}

fn visible(value: String) -> HeaderValue {
    HeaderValue::try_from(value).expect("URLs, entity-tags and links are visible ASCII")
}
