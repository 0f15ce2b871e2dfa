//! `GET /whip-stats`: the live sessions a token may see, by session id.
//!
//! `created_at`, `connection_state`, `has_video` and `has_audio` are those of ComfyStream's endpoint of that name, so that its
//! scripts work; the rest is ours.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use http::{HeaderValue, StatusCode, header, request::Parts};
use serde::Serialize;
use utoipa::ToSchema;
use whipcord_identity::{SessionId, StreamName};
use whipcord_proto::{
    convert,
    worker::{self as proto, ConnectionState},
};

use crate::{
    Shared,
    limits::RETRY_AFTER,
    problem::Error,
    response::{Content, Response, with_content},
};

pub(crate) async fn get(shared: &Shared, parts: &Parts) -> Result<Response, Error> {
    let grant = shared.authorize(&parts.headers)?;
    shared.rates.check_bearer(grant.bearer)?;
    let permit = Arc::clone(&shared.stats_permits).try_acquire_owned();
    let permit = permit.map_err(|_| Error::TooManyRequests {
        retry_after: RETRY_AFTER,
    })?;
    let sessions = shared
        .list(None)
        .await
        .sessions
        .into_iter()
        .filter_map(|(_, session)| Stats::new(session).ok());
    let visible: BTreeMap<String, Stats> = sessions
        .filter(|(_, stream, _)| grant.may_see(stream))
        .map(|(sid, _, stats)| (sid.to_string(), stats))
        .collect();
    let body = serde_json::to_vec(&visible).expect("maps with text keys are JSON");
    let content = Content::Whole {
        bytes: body.into(),
        _permit: Some(permit),
    };
    let mut response = with_content(StatusCode::OK, "application/json", content);
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// A session's figures, as its worker gave them.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Stats {
    /// Seconds since the Unix epoch.
    created_at: f64,
    connection_state: &'static str,
    has_video: bool,
    has_audio: bool,
    pub(crate) stream: String,
    end_reason: Option<String>,
    /// The encoder's address.
    remote: Option<String>,
    bitrate_bps: u64,
    bytes_received: u64,
    packets_received: u64,
    packets_lost: u64,
    packets_dropped: BTreeMap<String, u64>,
    tracks: Vec<Track>,
    /// Below the recordings folder.
    recording: Option<String>,
    recording_packets_lost: u64,
    recording_frames_dropped: u64,
    /// It stays with its worker.
    pinned: bool,
    /// Where it has some.
    data_channels: Option<DataChannels>,
    metadata: HashMap<String, String>,
}

#[derive(Debug, Serialize, ToSchema)]
struct DataChannels {
    open: u32,
    messages_received: u64,
    bytes_received: u64,
}

#[derive(Debug, Serialize, ToSchema)]
struct Track {
    mid: String,
    kind: String,
    codec: String,
    rid: Option<String>,
    packets_received: u64,
    packets_lost: u64,
    keyframes: u64,
    /// Known from a keyframe on.
    width: Option<u32>,
    height: Option<u32>,
    bitrate_bps: u64,
    /// Of video.
    frames_per_second: Option<f64>,
    /// Variation of its packets' times of travel (RFC 3550 §6.4.1).
    jitter_ms: f64,
    /// Since the last keyframe; of the recorded video.
    keyframe_age_seconds: Option<f64>,
    /// Media came within the last 2 s.
    active: bool,
}

impl Stats {
    pub(crate) fn new(session: proto::Session) -> Result<(SessionId, StreamName, Self), convert::Error> {
        let sid = convert::session_id(&session.session_id)?;
        let stream = convert::stream(&session.stream)?;
        let has = |kind| session.tracks.iter().any(|track| track.kind == kind);
        let stats = Self {
            created_at: session.created_at_ms as f64 / 1000.0,
            connection_state: connection_state(session.state()),
            has_video: has("video"),
            has_audio: has("audio"),
            stream: session.stream,
            end_reason: unless_empty(session.end_reason),
            remote: unless_empty(session.remote_address),
            bitrate_bps: session.bitrate_bps,
            bytes_received: session.bytes_received,
            packets_received: session.packets_received,
            packets_lost: session.packets_lost,
            packets_dropped: session.dropped.into_iter().collect(),
            tracks: session.tracks.into_iter().map(Track::from).collect(),
            recording: unless_empty(session.recording),
            recording_packets_lost: session.recording_packets_lost,
            recording_frames_dropped: session.recording_frames_dropped,
            pinned: session.pinned,
            data_channels: session.data_channels.map(DataChannels::from),
            metadata: session.metadata,
        };
        Ok((sid, stream, stats))
    }
}

impl From<proto::DataChannels> for DataChannels {
    fn from(channels: proto::DataChannels) -> Self {
        Self {
            open: channels.open,
            messages_received: channels.messages_received,
            bytes_received: channels.bytes_received,
        }
    }
}

impl From<proto::Track> for Track {
    fn from(track: proto::Track) -> Self {
        let is_video = track.kind == "video";
        Self {
            mid: track.mid,
            kind: track.kind,
            codec: track.codec,
            rid: unless_empty(track.rid),
            packets_received: track.packets_received,
            packets_lost: track.packets_lost,
            keyframes: track.keyframes,
            width: Some(track.width).filter(|width| *width > 0),
            height: Some(track.height).filter(|height| *height > 0),
            bitrate_bps: track.bitrate_bps,
            frames_per_second: is_video.then_some(track.frames_per_second),
            jitter_ms: track.jitter_ms,
            keyframe_age_seconds: track.keyframe_age_ms.map(|age| age as f64 / 1000.0),
            active: track.active,
        }
    }
}

/// `RTCPeerConnectionState`'s words.
fn connection_state(state: ConnectionState) -> &'static str {
    match state {
        ConnectionState::Unspecified | ConnectionState::New => "new",
        ConnectionState::Connecting => "connecting",
        ConnectionState::Connected => "connected",
        ConnectionState::Disconnected => "disconnected",
        ConnectionState::Failed => "failed",
        ConnectionState::Closed => "closed",
    }
}

fn unless_empty(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}
