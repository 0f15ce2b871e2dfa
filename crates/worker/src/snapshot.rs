//! What is known of one session: what never changes, and its state at a moment.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::AtomicBool},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use opentelemetry::{Context, ContextGuard};
use whipcord_identity::{Epoch, SessionId, StreamName};
use whipcord_peer::Stats;
use whipcord_proto::worker::{ConnectionState, DataChannels, Session, Track};
use whipcord_whip::Kind;

use crate::{
    journal::{Journal, State, is_wanted},
    shard::Flow,
    sinks::record::Progress,
};

/// What stays the same as long as the session lives, but for how far it has come.
#[derive(Debug)]
pub(crate) struct Info {
    pub(crate) sid: SessionId,
    pub(crate) stream: StreamName,
    pub(crate) epoch: Epoch,
    /// Where its ages begin.
    pub(crate) created_at: SystemTime,
    pub(crate) metadata: HashMap<String, String>,
    /// Of the media sections, in the offer's order.
    pub(crate) mids: Vec<String>,
    pub(crate) recording: Option<Arc<Progress>>,
    /// With the span of its way to media, within the trace of the call that made it: what follows is linked to that, and log lines name it.
    pub(crate) trace: Context,
    /// Set once: a check with our password came, so its encoder has its answer.
    pub(crate) heard: AtomicBool,
}

/// A session's state at a moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) journal: Journal,
    pub(crate) stats: Stats,
    /// Of its tracks; none after its end.
    pub(crate) flows: Vec<Flow>,
    /// Of all video tracks, so far.
    pub(crate) keyframes: u64,
    pub(crate) stalls: Stalls,
    pub(crate) recording_packets_lost: u64,
    pub(crate) age: Duration,
    /// Since media came last.
    pub(crate) silent: Duration,
    /// What is amiss with media that comes.
    pub(crate) signs: Signs,
}

/// Of all tracks together; at a session's end, as it was then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Signs {
    /// Of the active video that has waited longest for a keyframe: since its last one, or since its media began.
    pub(crate) keyframe_wait: Option<Duration>,
    /// Pictures that were sent after one that is shown later.
    pub(crate) pictures_backward: u64,
}

/// How a track's media comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arriving {
    pub(crate) kind: Kind,
    pub(crate) jitter: Duration,
    /// Where one is known.
    pub(crate) round_trip: Option<Duration>,
}

/// How often media of a kind stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stalls {
    pub(crate) audio: u64,
    pub(crate) video: u64,
}

impl Info {
    /// What is logged until the guard is dropped belongs to the session's trace.
    pub(crate) fn in_trace(&self) -> ContextGuard {
        self.trace.clone().attach()
    }

    /// The section of this mid, by its place in the offer.
    pub(crate) fn section_of(&self, mid: &str) -> Option<u8> {
        let section = self.mids.iter().position(|known| known == mid)?;
        u8::try_from(section).ok()
    }

    /// Below the recordings folder; None until the file has bytes.
    pub(crate) fn recording_path(&self) -> Option<&str> {
        self.recording
            .as_deref()
            .filter(|progress| progress.bytes() > 0)
            .map(Progress::path)
    }
}

impl Snapshot {
    /// The tracks that bring media now.
    pub(crate) fn arriving(&self) -> impl Iterator<Item = Arriving> {
        self.flows.iter().filter(|flow| flow.active).filter_map(|flow| {
            let track = self.journal.tracks.iter().find(|track| track.id == flow.track)?;
            let counted = self.stats.tracks.iter().find(|counted| counted.track == flow.track)?;
            Some(Arriving {
                kind: track.kind,
                jitter: track.jitter(counted.jitter),
                round_trip: counted.round_trip,
            })
        })
    }

    pub(crate) fn packets_lost(&self) -> u64 {
        self.stats.tracks.iter().map(|track| track.lost).sum()
    }

    pub(crate) fn to_message(&self, info: &Info) -> Session {
        let dropped = self.stats.dropped.iter().filter(|(_, count)| *count > 0);
        Session {
            session_id: info.sid.as_bytes().to_vec(),
            stream: info.stream.to_string(),
            created_at_ms: info
                .created_at
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_millis() as u64),
            state: connection_state(self.journal.state).into(),
            end_reason: self
                .journal
                .state
                .end()
                .map_or_else(String::new, |reason| reason.as_str().to_owned()),
            tracks: self
                .journal
                .tracks
                .iter()
                .map(|track| self.track(info, track))
                .collect(),
            metadata: info.metadata.clone(),
            remote_address: self
                .journal
                .remote
                .map_or_else(String::new, |remote| remote.to_string()),
            packets_received: self.stats.packets,
            bytes_received: self.stats.bytes,
            packets_lost: self.packets_lost(),
            dropped: dropped.map(|(reason, count)| (reason.to_owned(), count)).collect(),
            recording: info.recording_path().unwrap_or_default().to_owned(),
            bitrate_bps: self.flows.iter().map(|flow| flow.bitrate_bps).sum(),
            recording_packets_lost: self.recording_packets_lost,
            epoch: info.epoch.0,
            recording_frames_dropped: info.recording.as_deref().map_or(0, Progress::frames_dropped),
            pinned: self.stats.data.is_some(),
            data_channels: self.stats.data.map(|data| DataChannels {
                open: data.channels,
                messages_received: data.messages,
                bytes_received: data.bytes,
            }),
            silent_ms: u64::try_from(self.silent.as_millis()).unwrap_or(u64::MAX),
        }
    }

    fn track(&self, info: &Info, track: &crate::journal::Track) -> Track {
        let counted = self.stats.tracks.iter().find(|counted| counted.track == track.id);
        let flow = self.flows.iter().find(|flow| flow.track == track.id);
        let recording = info.recording.as_deref().filter(|_| track.kind == Kind::Video);
        let recorded = recording.filter(|progress| progress.video_track() == Some(track.id));
        let pictures = flow.filter(|_| track.kind == Kind::Video);
        // After its end only a recording tells.
        let picture = recording.and_then(|progress| progress.picture(track.id));
        let picture = flow.and_then(|flow| flow.size).or(picture);
        Track {
            mid: track.mid.clone(),
            kind: track.kind.as_str().to_owned(),
            codec: track.codec.as_str().to_owned(),
            rid: track.rid.clone().unwrap_or_default(),
            packets_received: counted.map_or(0, |counted| counted.packets),
            packets_lost: counted.map_or(0, |counted| counted.lost),
            // Of several layers, the recorded one's.
            keyframes: match &info.recording {
                Some(_) => recorded.map_or(0, Progress::keyframes),
                None => flow.map_or(0, |flow| flow.keyframes),
            },
            // 0 until a keyframe told.
            width: picture.map_or(0, |picture| picture.width),
            height: picture.map_or(0, |picture| picture.height),
            bitrate_bps: flow.map_or(0, |flow| flow.bitrate_bps),
            frames_per_second: pictures.map_or(0.0, |flow| flow.frames_per_second),
            jitter_ms: counted.map_or(0.0, |counted| track.jitter(counted.jitter).as_secs_f64() * 1000.0),
            keyframe_age_ms: match &info.recording {
                Some(_) => recorded.and_then(Progress::keyframe_age),
                None => flow.and_then(|flow| flow.keyframe_age),
            }
            .map(|age| age.as_millis() as u64),
            active: flow.is_some_and(|flow| flow.active),
        }
    }
}

/// `closed` is an end that someone wanted, `failed` any other.
fn connection_state(state: State) -> ConnectionState {
    match state {
        State::New => ConnectionState::New,
        State::Connecting => ConnectionState::Connecting,
        State::Connected => ConnectionState::Connected,
        State::Disconnected => ConnectionState::Disconnected,
        State::Ended(reason) if is_wanted(reason) => ConnectionState::Closed,
        State::Ended(_) => ConnectionState::Failed,
    }
}

#[cfg(test)]
mod tests;
