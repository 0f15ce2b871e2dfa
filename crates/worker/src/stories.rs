//! The stories of this worker's sessions: of those that live, and for an hour of those that ended.
//!
//! Owned by the task that reads the shard's notices; the RPC service reads them.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use prost::Message as _;
use tokio::time::Instant;
use whipcord_identity::{SessionId, StreamName};
use whipcord_proto::worker::{Course, DiskState, ExplainSessionResponse, Moment, Session};

use crate::{
    sinks::record::{Disk, Progress},
    snapshot::{Info, Snapshot},
    story::{Story, handshake_error},
};

/// How long those that ended are kept: somebody asks after a show.
const KEPT: Duration = Duration::from_secs(3600);

/// Encoded, one has some 800 bytes, and 5 kB at the very most (32 moments of 60 bytes, 16 tracks of 150, 14 reasons of drops, names):
/// 6.5 MB, at most 40 MB. They last for the hour where 2 sessions end each second; beyond that the oldest goes first.
const ENDED_MAX: usize = 8192;

/// Of one stream: an encoder that connects again each second must not take the place of all others.
const ENDED_PER_STREAM_MAX: usize = 16;

#[derive(Debug, Default)]
pub(crate) struct Stories(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    live: HashMap<SessionId, Story>,
    ended: HashMap<SessionId, Ended>,
    /// The order in which they go; what went before its time is left in it, and passed over.
    order: VecDeque<(Instant, SessionId)>,
    /// Of each, the oldest first.
    by_stream: HashMap<StreamName, VecDeque<SessionId>>,
}

#[derive(Debug)]
struct Ended {
    stream: StreamName,
    at: Instant,
    /// An ExplainSessionResponse: a message in memory is four times as large.
    last: Vec<u8>,
}

impl Stories {
    /// Tells a live session's story on.
    pub(crate) fn with(&self, sid: SessionId, tell: impl FnOnce(&mut Story)) {
        tell(self.lock().live.entry(sid).or_default());
    }

    /// A live session as it stands.
    pub(crate) fn explain(&self, info: &Info, snapshot: &Snapshot) -> ExplainSessionResponse {
        // It may have ended meanwhile, and is then not to be begun anew.
        match self.lock().live.get(&info.sid) {
            Some(story) => render(story, info, snapshot),
            None => render(&Story::default(), info, snapshot),
        }
    }

    /// The session has ended.
    pub(crate) fn end(&self, info: &Info, last: &Snapshot) {
        let mut table = self.lock();
        let mut story = table.live.remove(&info.sid).unwrap_or_default();
        if let Some(reason) = last.journal.state.end() {
            story.end(last.age, reason.as_str());
        }
        let last = render(&story, info, last).encode_to_vec();
        table.put(info.sid, info.stream.clone(), last, Instant::now());
    }

    /// One that ended within the last hour.
    pub(crate) fn ended(&self, sid: SessionId) -> Option<ExplainSessionResponse> {
        let now = Instant::now();
        let mut table = self.lock();
        table.expire(now);
        let ended = table.ended.get(&sid)?;
        let mut last = ExplainSessionResponse::decode(ended.last.as_slice()).ok()?;
        last.ended_ms = Some(milliseconds(now - ended.at));
        Some(last)
    }

    /// The session of a stream that ended last.
    pub(crate) fn last_of(&self, stream: &StreamName) -> Option<SessionId> {
        let mut table = self.lock();
        table.expire(Instant::now());
        table.by_stream.get(stream)?.back().copied()
    }

    /// No method leaves it half changed.
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn put(&mut self, sid: SessionId, stream: StreamName, last: Vec<u8>, now: Instant) {
        self.expire(now);
        let of_stream = self.by_stream.entry(stream.clone()).or_default();
        of_stream.push_back(sid);
        let oldest = (of_stream.len() > ENDED_PER_STREAM_MAX).then(|| of_stream.front().copied());
        self.ended.insert(sid, Ended { stream, at: now, last });
        self.order.push_back((now, sid));
        if let Some(oldest) = oldest.flatten() {
            self.forget(oldest);
        }
        while self.ended.len() > ENDED_MAX
            && let Some((_, oldest)) = self.order.pop_front()
        {
            self.forget(oldest);
        }
        // What was passed over does not pile up.
        if self.order.len() > 2 * ENDED_MAX {
            let ended = &self.ended;
            self.order.retain(|(_, sid)| ended.contains_key(sid));
        }
    }

    fn expire(&mut self, now: Instant) {
        while let Some((_, sid)) = self.order.pop_front_if(|(at, _)| now.duration_since(*at) >= KEPT) {
            self.forget(sid);
        }
    }

    fn forget(&mut self, sid: SessionId) {
        let Some(ended) = self.ended.remove(&sid) else { return };
        if let Some(of_stream) = self.by_stream.get_mut(&ended.stream) {
            of_stream.retain(|known| *known != sid);
            if of_stream.is_empty() {
                self.by_stream.remove(&ended.stream);
            }
        }
    }
}

fn render(story: &Story, info: &Info, snapshot: &Snapshot) -> ExplainSessionResponse {
    let (moments, left_out) = story.moments();
    ExplainSessionResponse {
        session: Some(Session {
            // What an encoder's user wrote into a URL may be anything.
            metadata: HashMap::new(),
            ..snapshot.to_message(info)
        }),
        age_ms: milliseconds(snapshot.age),
        ended_ms: None,
        timeline: moments
            .map(|moment| Moment {
                age_ms: milliseconds(moment.age),
                event: moment.event.to_owned(),
                detail: moment.detail.clone(),
            })
            .collect(),
        left_out,
        course: Some(course(story, info, snapshot)),
    }
}

fn course(story: &Story, info: &Info, snapshot: &Snapshot) -> Course {
    let milestones = snapshot.journal.milestones;
    let window = story.window(snapshot);
    Course {
        stun_ms: milestones.stun.map(milliseconds),
        connected_ms: milestones.connected.map(milliseconds),
        media_ms: milestones.media.map(milliseconds),
        handshake_datagrams: snapshot.stats.handshake_datagrams,
        handshake_error: milestones.failure.map_or("", handshake_error).to_owned(),
        handshake_alert: match milestones.failure {
            Some(whipcord_peer::dtls::Error::Alert(number)) => Some(number.into()),
            _ => None,
        },
        keyframe_wait_ms: snapshot.signs.keyframe_wait.map(milliseconds),
        keyframe_seen: snapshot.keyframes > 0,
        window_ms: milliseconds(window.length),
        window_packets: window.packets,
        window_lost: window.lost,
        window_pictures_backward: window.pictures_backward,
        disk: match info.recording.as_deref().map(Progress::disk) {
            None => DiskState::Unspecified,
            Some(Disk::Takes) => DiskState::Takes,
            Some(Disk::Full) => DiskState::Full,
            Some(Disk::Refuses) => DiskState::Refuses,
        }
        .into(),
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sid(number: u32) -> SessionId {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        SessionId::new(bytes)
    }

    fn put(table: &mut Table, number: u32, stream: &str, now: Instant) {
        table.put(sid(number), stream.parse().unwrap(), Vec::new(), now);
    }

    #[test]
    fn they_are_kept_for_an_hour() {
        let (mut table, start) = (Table::default(), Instant::now());
        put(&mut table, 1, "cam", start);
        put(&mut table, 2, "cam", start + Duration::from_secs(1800));
        table.expire(start + KEPT - Duration::from_secs(1));
        assert_eq!(table.ended.len(), 2);
        table.expire(start + KEPT);
        assert!(!table.ended.contains_key(&sid(1)) && table.ended.contains_key(&sid(2)));
        table.expire(start + 2 * KEPT);
        assert!(table.ended.is_empty() && table.order.is_empty() && table.by_stream.is_empty());
    }

    #[test]
    fn an_encoder_that_connects_for_ever_keeps_its_latest_and_takes_nobodys_place() {
        let (mut table, now) = (Table::default(), Instant::now());
        put(&mut table, 0, "quiet", now);
        (1..=100_000).for_each(|n| put(&mut table, n, "flapping", now));
        assert!(table.ended.contains_key(&sid(0)));
        assert_eq!(table.ended.len(), 1 + ENDED_PER_STREAM_MAX);
        assert!(table.order.len() <= 2 * ENDED_MAX);
        assert_eq!(
            table.by_stream[&"flapping".parse().unwrap()].back(),
            Some(&sid(100_000))
        );
    }

    #[test]
    fn there_is_a_most() {
        let (mut table, now) = (Table::default(), Instant::now());
        (0..=ENDED_MAX as u32).for_each(|n| put(&mut table, n, &format!("cam/{n}"), now));
        assert_eq!((table.ended.len(), table.by_stream.len()), (ENDED_MAX, ENDED_MAX));
        assert!(!table.ended.contains_key(&sid(0)) && table.ended.contains_key(&sid(1)));
    }
}
