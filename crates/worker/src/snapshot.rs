//! What is known of one session: what never changes, and its state at a moment.

use std::{collections::HashMap, sync::Arc, time::Duration};

use whipcord_identity::{SessionId, StreamName};
use whipcord_peer::{Stats, event::TrackId};
use whipcord_proto::worker::{Session, Track};
use whipcord_whip::{Kind, Section};

use crate::{journal::Journal, sinks::record::Progress};

/// What stays the same as long as the session lives.
#[derive(Debug)]
pub(crate) struct Info {
    pub(crate) sid: SessionId,
    pub(crate) stream: StreamName,
    /// Milliseconds since the Unix epoch.
    pub(crate) created_at_ms: u64,
    pub(crate) metadata: HashMap<String, String>,
    pub(crate) sections: Vec<SectionNames>,
    pub(crate) recording: Option<Arc<Progress>>,
}

/// How a media section's tracks are named.
#[derive(Clone, Debug)]
pub(crate) struct SectionNames {
    pub(crate) mid: String,
    pub(crate) rids: Vec<String>,
}

/// A session's state at a moment.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) journal: Journal,
    pub(crate) stats: Stats,
    /// Over the last second.
    pub(crate) bitrate_bps: u64,
    pub(crate) recording_packets_lost: u64,
    pub(crate) age: Duration,
}

impl From<&Section> for SectionNames {
    fn from(section: &Section) -> Self {
        Self {
            mid: section.mid.clone(),
            rids: section.rids.clone(),
        }
    }
}

impl Info {
    /// The section and layer that a track of this mid and rid carries, by their places in the offer.
    pub(crate) fn place_of(&self, mid: &str, rid: Option<&str>) -> Option<(u8, u8)> {
        let section = self.sections.iter().position(|section| section.mid == mid)?;
        let layer = rid
            .and_then(|rid| self.sections[section].rids.iter().position(|known| known == rid))
            .unwrap_or(0);
        Some((u8::try_from(section).ok()?, u8::try_from(layer).ok()?))
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
    pub(crate) fn packets_lost(&self) -> u64 {
        self.stats.tracks.iter().map(|track| track.lost).sum()
    }

    pub(crate) fn to_message(&self, info: &Info) -> Session {
        let dropped = self.stats.dropped.iter().filter(|(_, count)| *count > 0);
        Session {
            session_id: info.sid.as_bytes().to_vec(),
            stream: info.stream.to_string(),
            created_at_ms: info.created_at_ms,
            state: self.journal.state.into(),
            end_reason: self
                .journal
                .end
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
            bitrate_bps: self.bitrate_bps,
            recording_packets_lost: self.recording_packets_lost,
        }
    }

    fn track(&self, info: &Info, track: &crate::journal::Track) -> Track {
        let counted = self.stats.tracks.iter().find(|counted| counted.track == track.id);
        let picture = info
            .recording
            .as_deref()
            .filter(|progress| is_recorded(progress, track.id, track.kind));
        let (width, height) = picture.map_or((0, 0), Progress::picture);
        Track {
            mid: track.mid.clone(),
            kind: track.kind.as_str().to_owned(),
            codec: track.codec.as_str().to_owned(),
            rid: track.rid.clone().unwrap_or_default(),
            packets_received: counted.map_or(0, |counted| counted.packets),
            packets_lost: counted.map_or(0, |counted| counted.lost),
            keyframes: picture.map_or(0, Progress::keyframes),
            width,
            height,
        }
    }
}

/// Keyframes and picture sizes are known of what is recorded: of several layers, one.
fn is_recorded(progress: &Progress, track: TrackId, kind: Kind) -> bool {
    kind == Kind::Video && progress.video_track() == Some(track)
}
