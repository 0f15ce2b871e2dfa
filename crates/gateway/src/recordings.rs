//! `GET /recordings/{stream}/{sid}.{hint}`: a recording, or one range of it (RFC 9110 §14), as long as it is at that moment.
//!
//! It must not know where files lie: the worker finds them, and says what they are.

mod places;
mod range;

use http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts};
use whipcord_directory::Hello;
use whipcord_identity::{Hint, Owner, Power, SessionId, StreamName};
use whipcord_proto::worker::{ReadRecordingRequest, RecordingFormat};

use crate::{
    Shared,
    access::{Access, SessionPath},
    client::Client,
    problem::{Defect, Error},
    random,
    response::{Content, Passing, Response, empty, with_content},
    workers::{self, CallError, Recording},
};
pub(crate) use places::{Place, Places};
use range::{Part, Range};

/// A session's recording, and the worker that has it.
struct Located {
    sid: SessionId,
    worker: Hello,
    /// Who made it.
    owner: Owner,
}

/// For whoever holds a session's hint, one for reading, or a token that may publish the stream.
///
/// No validator is sent, because a growing file has none that stays; so `If-Range` never matches, and makes an answer of the whole (§13.1.5).
pub(crate) async fn get(
    shared: &Shared,
    client: &Client,
    parts: &Parts,
    path: SessionPath<'_>,
) -> Result<Response, Error> {
    let access = Access::check(shared, &parts.headers, path, &[Power::Publish, Power::Read]);
    let Access { stream, sid, hint } = access.map_err(|denied| denied.naming(Error::NoSuchRecording))?;
    let by_token = hint.is_none();
    let (worker, owner) = shared.locate_recording(&stream, sid, hint).await?;
    let located = Located { sid, worker, owner };
    let mut response = answer(shared, client, parts, &stream, &located).await?;
    let headers = response.headers_mut();
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if by_token {
        headers.insert(header::CONTENT_LOCATION, link(shared, &stream, located));
    }
    Ok(response)
}

/// Ranges are for GET alone (§14.2).
async fn answer(
    shared: &Shared,
    client: &Client,
    parts: &Parts,
    stream: &StreamName,
    located: &Located,
) -> Result<Response, Error> {
    if parts.method == Method::HEAD {
        let recording = read(shared, stream, located, 0, 0).await?;
        let mut response = empty(StatusCode::OK);
        response
            .headers_mut()
            .insert(header::CONTENT_LENGTH, HeaderValue::from(recording.size));
        name(&mut response, stream, located.sid, recording.format);
        return Ok(response);
    }
    let place = shared.downloads.take(shared.counted(client.address), located.sid);
    let place = place.ok_or(Error::TooManyDownloads)?;
    let range = match range(&parts.headers) {
        // From the end: where that is must be known first.
        Some(range @ Range::Last(_)) => {
            let size = read(shared, stream, located, 0, 0).await?.size;
            Some(part(range, size).map(|part| Range::Within(part.first, part.last))?)
        }
        range => range,
    };
    let (offset, length) = match range {
        Some(Range::Within(first, last)) => (first, (last - first).saturating_add(1)),
        Some(Range::From(first)) => (first, u64::MAX),
        Some(Range::Last(_)) | None => (0, u64::MAX),
    };
    let recording = read(shared, stream, located, offset, length).await?;
    let (size, format) = (recording.size, recording.format);
    let part = range.map(|range| part(range, size)).transpose()?;
    let length = part.map_or(size, Part::len);
    let passing = Passing::new(located.sid, length, recording.pieces, place);
    let content = Content::Passing(Box::new(passing));
    let status = part.map_or(StatusCode::OK, |_| StatusCode::PARTIAL_CONTENT);
    let mut response = with_content(status, media_type(format).0, content);
    name(&mut response, stream, located.sid, format);
    if let Some(Part { first, last }) = part {
        let range = HeaderValue::try_from(format!("bytes {first}-{last}/{size}")).expect("numbers are visible ASCII");
        response.headers_mut().insert(header::CONTENT_RANGE, range);
    }
    Ok(response)
}

fn range(headers: &HeaderMap) -> Option<Range> {
    if headers.contains_key(header::IF_RANGE) {
        return None;
    }
    Range::parse(headers.get_all(header::RANGE).iter().map(HeaderValue::as_bytes))
}

fn part(range: Range, size: u64) -> Result<Part, Error> {
    range.of(size).ok_or(Error::Range { size })
}

async fn read(
    shared: &Shared,
    stream: &StreamName,
    located: &Located,
    offset: u64,
    length: u64,
) -> Result<Recording, Error> {
    let request = ReadRecordingRequest {
        session_id: located.sid.as_bytes().to_vec(),
        stream: stream.to_string(),
        offset,
        length,
        owner: Some((&workers::incarnation(&located.worker)).into()),
    };
    let read = shared.workers.read_recording(&located.worker.address, request).await;
    let read = shared.heard(located.worker.incarnation, read).await;
    read.map_err(|error| match error {
        CallError::NotFound | CallError::Unknown => Error::NoSuchRecording,
        CallError::Full => Error::TooManyDownloads,
        // The next start of a dead one has the same folder.
        CallError::Unavailable | CallError::TimedOut | CallError::Dead => Error::WorkerAway(error),
        CallError::Refused(_) | CallError::Stale | CallError::Defect { .. } => Defect::Worker(error).into(),
    })
}

/// What it is, and what it is called where it is stored.
fn name(response: &mut Response, stream: &StreamName, sid: SessionId, format: RecordingFormat) {
    let (media_type, extension) = media_type(format);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    // Of a stream's characters only the slash may not stand in a file's name, and none has to be quoted.
    let file = format!(
        "inline; filename=\"{}-{sid}.{extension}\"",
        stream.as_str().replace('/', "-")
    );
    let file = HeaderValue::try_from(file).expect("names and ids are visible ASCII");
    headers.insert(header::CONTENT_DISPOSITION, file);
}

/// And the extension of its name. One that a later worker may make is passed on as it is.
fn media_type(format: RecordingFormat) -> (&'static str, &'static str) {
    match format {
        RecordingFormat::Mp4 => ("video/mp4", "mp4"),
        RecordingFormat::Webm => ("video/webm", "webm"),
        RecordingFormat::Unspecified => ("application/octet-stream", "bin"),
    }
}

/// The same recording by a URL that needs no token and may do nothing else (RFC 9110 §8.7), relative to the one asked: a page makes a link
/// of it.
fn link(shared: &Shared, stream: &StreamName, located: Located) -> HeaderValue {
    let Located { sid, worker, owner } = located;
    let address = worker.address;
    let hint = Hint { owner, address }.seal(Power::Read, &shared.keys, stream, sid, random::bytes());
    HeaderValue::try_from(format!("{sid}.{hint}")).expect("base64url is visible ASCII")
}

#[cfg(test)]
mod tests;
