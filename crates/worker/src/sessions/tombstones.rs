//! Sessions that ended a short while ago: a repeated DELETE is answered 200, and statistics tell why they ended.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use tokio::time::Instant;
use whipcord_identity::SessionId;
use whipcord_proto::worker::Session;

/// How long: a client that lost the answer to its DELETE repeats it within a minute.
const KEPT: Duration = Duration::from_secs(60);

/// 2 kB each, so 16 MB: 136 ends per second, each second. Beyond that the oldest goes first.
const TOMBSTONES_MAX: usize = 8192;

#[derive(Debug, Default)]
pub(super) struct Tombstones {
    by_sid: HashMap<SessionId, Session>,
    /// The order in which they go.
    order: VecDeque<(Instant, SessionId)>,
}

impl Tombstones {
    pub(super) fn put(&mut self, sid: SessionId, last: Session, now: Instant) {
        self.expire(now);
        if self.order.len() == TOMBSTONES_MAX
            && let Some((_, oldest)) = self.order.pop_front()
        {
            self.by_sid.remove(&oldest);
        }
        if self.by_sid.insert(sid, last).is_none() {
            self.order.push_back((now + KEPT, sid));
        }
    }

    pub(super) fn get(&mut self, sid: SessionId, now: Instant) -> Option<&Session> {
        self.expire(now);
        self.by_sid.get(&sid)
    }

    fn expire(&mut self, now: Instant) {
        while let Some((_, sid)) = self.order.pop_front_if(|(until, _)| *until <= now) {
            self.by_sid.remove(&sid);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sid(number: u32) -> SessionId {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        SessionId::new(bytes)
    }

    #[test]
    fn they_are_kept_for_a_minute() {
        let (mut tombstones, start) = (Tombstones::default(), Instant::now());
        tombstones.put(sid(1), Session::default(), start);
        tombstones.put(sid(2), Session::default(), start + Duration::from_secs(30));
        assert!(tombstones.get(sid(1), start + Duration::from_secs(59)).is_some());
        assert!(tombstones.get(sid(1), start + KEPT).is_none());
        assert!(tombstones.get(sid(2), start + KEPT).is_some());
    }

    #[test]
    fn there_is_a_most() {
        let (mut tombstones, now) = (Tombstones::default(), Instant::now());
        (0..=TOMBSTONES_MAX as u32).for_each(|n| tombstones.put(sid(n), Session::default(), now));
        assert!(tombstones.get(sid(0), now).is_none());
        assert!(tombstones.get(sid(1), now).is_some());
        assert_eq!(
            (tombstones.by_sid.len(), tombstones.order.len()),
            (TOMBSTONES_MAX, TOMBSTONES_MAX)
        );
    }
}
