//! What the shard knows of its sessions, beside the Mux: where their media goes, and their state.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use whipcord_identity::SessionId;
use whipcord_media::Kind;
use whipcord_peer::{Event, Mux, Packet, SessionKey, Stats, event::TrackId};

use super::{meter::Meter, port::bit, stall::Stall};
use crate::{
    codec,
    journal::Journal,
    snapshot::{Info, Signs, Snapshot, Stalls},
    tap::{Pushed, Tap},
};

/// The shard's sessions.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    by_key: HashMap<SessionKey, Session, BuildHasherDefault<KeyHasher>>,
    by_sid: HashMap<SessionId, SessionKey>,
}

#[derive(Debug)]
pub(super) struct Session {
    info: Arc<Info>,
    journal: Journal,
    tap: Option<Tap>,
    started: Instant,
    /// Bit n: track n has been announced to the tap.
    announced: u32,
    /// By track id; each is there from its track's announcement on.
    meters: Vec<Meter>,
    /// Its first keyframe has been told of.
    keyframe_told: bool,
    audio: Stall,
    video: Stall,
}

impl Sessions {
    pub(super) fn insert(&mut self, key: SessionKey, session: Session) {
        self.by_sid.insert(session.info.sid, key);
        self.by_key.insert(key, session);
    }

    pub(super) fn remove(&mut self, key: SessionKey) -> Option<Session> {
        let session = self.by_key.remove(&key)?;
        self.by_sid.remove(&session.info.sid);
        Some(session)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    pub(super) fn key(&self, sid: SessionId) -> Option<SessionKey> {
        self.by_sid.get(&sid).copied()
    }

    pub(super) fn keys(&self) -> Vec<SessionKey> {
        self.by_key.keys().copied().collect()
    }

    pub(super) fn get_mut(&mut self, key: SessionKey) -> Option<&mut Session> {
        self.by_key.get_mut(&key)
    }

    /// Whether the track's announcement has been seen; a packet must not overtake it.
    #[inline]
    pub(super) fn knows(&self, key: SessionKey, track: TrackId) -> bool {
        self.by_key
            .get(&key)
            .is_some_and(|session| session.announced & bit(track) != 0)
    }

    /// One packet to the session's sinks. True if one needs a keyframe now, because it lost packets before.
    #[inline]
    pub(super) fn media(&mut self, key: SessionKey, packet: &Packet<'_>, arrival: Instant) -> bool {
        let Some(session) = self.by_key.get_mut(&key) else {
            return false;
        };
        if let Some(meter) = session.meters.get_mut(usize::from(packet.track.0)) {
            meter.count(packet, arrival);
        }
        let age = arrival.saturating_duration_since(session.started);
        session
            .tap
            .as_mut()
            .is_some_and(|tap| tap.push(packet, age) == Pushed::Resumed)
    }

    pub(super) fn keyframe_requests(&mut self, key: SessionKey) -> impl Iterator<Item = TrackId> + use<> {
        let tap = self.by_key.get_mut(&key).and_then(|session| session.tap.as_mut());
        tap.map(Tap::take_keyframe_requests).into_iter().flatten()
    }

    /// The session's first keyframe, once, when it has come.
    pub(super) fn take_keyframe(&mut self, key: SessionKey) -> Option<(Arc<Info>, Duration)> {
        let session = self.by_key.get_mut(&key).filter(|session| !session.keyframe_told)?;
        let came = session.meters.iter().filter_map(Meter::keyframe).min()?;
        session.keyframe_told = true;
        Some((Arc::clone(&session.info), session.age(came)))
    }

    /// The session's sinks write nothing more.
    pub(super) fn discard(&mut self, key: SessionKey) {
        if let Some(tap) = self.by_key.get_mut(&key).and_then(|session| session.tap.take()) {
            tap.discard();
        }
    }

    /// Once a second.
    pub(super) fn tick(&mut self, now: Instant) {
        for session in self.by_key.values_mut() {
            session.tick(now);
        }
    }

    pub(super) fn snapshot(&self, sid: SessionId, now: Instant, mux: &Mux) -> Option<(SessionId, Snapshot)> {
        let key = self.key(sid)?;
        let session = self.by_key.get(&key)?;
        Some((sid, session.snapshot(now, mux.stats(key)?)))
    }
}

impl Session {
    pub(super) fn new(info: Arc<Info>, tap: Option<Tap>, started: Instant) -> Self {
        Self {
            info,
            journal: Journal::default(),
            tap,
            started,
            announced: 0,
            meters: Vec::new(),
            keyframe_told: false,
            audio: Stall::default(),
            video: Stall::default(),
        }
    }

    fn tick(&mut self, now: Instant) {
        self.meters.iter_mut().for_each(|meter| meter.tick(now));
        for (stall, kind) in [(&mut self.audio, Kind::Audio), (&mut self.video, Kind::Video)] {
            let meters = self.meters.iter().filter(|meter| meter.kind() == kind);
            stall.look(meters.filter_map(Meter::heard).max(), now);
        }
    }

    pub(super) fn info(&self) -> &Arc<Info> {
        &self.info
    }

    pub(super) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.started)
    }

    pub(super) fn apply(&mut self, event: &Event, now: Instant) {
        self.journal.apply(event, self.age(now));
        match event {
            Event::Track { track, codec, mid, .. } => {
                self.announced |= bit(*track);
                let meters = self.meters.len().max(usize::from(track.0) + 1);
                let codec = codec::in_media(*codec);
                self.meters.resize_with(meters, || Meter::new(codec, now));
                // One that came about with a track behind it has that one's.
                if let Some(meter) = self.meters.get_mut(usize::from(track.0)) {
                    meter.set_codec(codec);
                }
                if let (Some(tap), Some(section)) = (&mut self.tap, self.info.section_of(mid)) {
                    tap.announce(*track, section);
                }
            }
            Event::StunSeen { .. } => self.info.heard.store(true, Ordering::Relaxed),
            Event::SenderReport { track, ntp, timestamp } => {
                let age = self.age(now);
                if let Some(tap) = &mut self.tap {
                    tap.sender_report(*track, *ntp, *timestamp, age);
                }
            }
            _ => {}
        }
    }

    /// The last that is known of it. Its taps end with it.
    pub(super) fn end(mut self, now: Instant, stats: Stats) -> (Arc<Info>, Snapshot) {
        self.tick(now);
        let mut last = self.snapshot(now, stats);
        last.flows.clear();
        (self.info, last)
    }

    fn snapshot(&self, now: Instant, stats: Stats) -> Snapshot {
        let flows = (0..).zip(&self.meters);
        let flows: Vec<_> = flows.map(|(id, meter)| meter.flow(TrackId(id), now)).collect();
        let heard = self.meters.iter().filter_map(Meter::heard).max();
        Snapshot {
            journal: self.journal.clone(),
            stats,
            flows,
            keyframes: self.meters.iter().map(Meter::keyframes).sum(),
            stalls: Stalls {
                audio: self.audio.times(),
                video: self.video.times(),
            },
            recording_packets_lost: self.tap.as_ref().map_or(0, Tap::packets_lost),
            age: self.age(now),
            silent: now.saturating_duration_since(heard.unwrap_or(self.started)),
            signs: Signs {
                keyframe_wait: self.meters.iter().filter_map(|meter| meter.keyframe_wait(now)).max(),
                pictures_backward: self.meters.iter().map(Meter::pictures_backward).sum(),
            },
        }
    }
}

/// Keys are ours, not an attacker's, so one multiplication spreads them well enough for a look-up per packet.
#[derive(Debug, Default)]
struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u32(u32::from(*byte)));
    }

    fn write_u32(&mut self, word: u32) {
        // 2^64 divided by the golden ratio: it sends neighbours far apart.
        self.0 = (self.0.rotate_left(32) ^ u64::from(word)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0.rotate_left(26)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use whipcord_peer::Packet;
    use whipcord_whip::{Codec, Kind};

    use super::*;

    fn info() -> Arc<Info> {
        Arc::new(Info {
            sid: SessionId::new([1; 16]),
            stream: "cam".parse().unwrap(),
            epoch: whipcord_identity::Epoch(1),
            created_at: std::time::UNIX_EPOCH,
            metadata: HashMap::new(),
            mids: Vec::new(),
            recording: None,
            trace: Default::default(),
            heard: Default::default(),
        })
    }

    #[test]
    fn the_keyframes_of_a_picture_are_seen_also_where_its_sound_comes_first() {
        let begin = Instant::now();
        let mut session = Session::new(info(), None, begin);
        for (track, kind, codec) in [(1, Kind::Audio, Codec::Opus), (0, Kind::Video, Codec::H264)] {
            let event = Event::Track {
                track: TrackId(track),
                kind,
                codec,
                mid: track.to_string(),
                rid: None,
                ssrc: 1,
            };
            session.apply(&event, begin);
        }
        for track in [1, 0] {
            let packet = Packet {
                track: TrackId(track),
                ssrc: 1,
                sequence: 1,
                timestamp: 1,
                marker: false,
                payload: &[0x65, 0x88],
            };
            session.meters[usize::from(track)].count(&packet, begin);
        }
        let keyframes = [0, 1].map(|track| session.meters[track].keyframe());
        assert_eq!(keyframes, [Some(begin), None]);
    }

    #[test]
    fn a_session_is_silent_since_media_came_last_or_since_it_began() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let info = info();
        let mut session = Session::new(Arc::clone(&info), None, begin);
        let silent = |session: &Session, now| {
            let stats = Stats {
                path: None,
                packets: 0,
                bytes: 0,
                tracks: Vec::new(),
                data: None,
                dropped: Default::default(),
                nacks: 0,
                keyframe_requests: 0,
                handshake_datagrams: 0,
            };
            session.snapshot(now, stats).to_message(&info).silent_ms
        };
        assert_eq!(silent(&session, at(1)), 1000);
        let meter = || Meter::new(whipcord_media::Codec::Opus, begin);
        session.meters = vec![meter(), meter()];
        let packet = Packet {
            track: TrackId(1),
            ssrc: 1,
            sequence: 1,
            timestamp: 1,
            marker: false,
            payload: &[1],
        };
        session.meters[1].count(&packet, at(3));
        session.meters[0].count(&packet, at(2));
        assert_eq!(silent(&session, at(5)), 2000);
    }
}
