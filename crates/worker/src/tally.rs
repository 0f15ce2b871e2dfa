//! What sessions' counters grew by, from one look to the next: counters of the worker go on where sessions end.
//!
//! Pure.

use std::collections::HashMap;

use whipcord_identity::SessionId;
use whipcord_peer::stats;
use whipcord_whip::Kind;

use crate::snapshot::Snapshot;

/// What was counted, of one session or by how much it grew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) audio: Media,
    pub(crate) video: Media,
    /// Of video.
    pub(crate) keyframes: u64,
    pub(crate) nacks: u64,
    pub(crate) keyframe_requests: u64,
    pub(crate) dropped: stats::Dropped,
    /// Packets that a recording could not take.
    pub(crate) unrecorded: u64,
}

/// Of one kind of tracks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Media {
    pub(crate) bytes: u64,
    pub(crate) packets: u64,
    pub(crate) lost: u64,
    pub(crate) stalls: u64,
}

/// The highest counts so far, of sessions that live.
#[derive(Debug, Default)]
pub(crate) struct Tally(HashMap<SessionId, Counts>);

impl Tally {
    /// By how much a session grew since it was looked at last.
    pub(crate) fn look(&mut self, sid: SessionId, now: Counts) -> Counts {
        let before = self.0.entry(sid).or_default();
        let grown = now.since(before);
        *before = now.most(before);
        grown
    }

    /// The same, for the last time.
    pub(crate) fn end(&mut self, sid: SessionId, last: Counts) -> Counts {
        let grown = self.look(sid, last);
        self.0.remove(&sid);
        grown
    }
}

impl Counts {
    pub(crate) fn of(snapshot: &Snapshot) -> Self {
        let mut counts = Self {
            keyframes: snapshot.keyframes,
            nacks: snapshot.stats.nacks,
            keyframe_requests: snapshot.stats.keyframe_requests,
            dropped: snapshot.stats.dropped,
            unrecorded: snapshot.recording_packets_lost,
            ..Self::default()
        };
        (counts.audio.stalls, counts.video.stalls) = (snapshot.stalls.audio, snapshot.stalls.video);
        for track in &snapshot.stats.tracks {
            let known = snapshot.journal.tracks.iter().find(|known| known.id == track.track);
            let media = match known.map(|known| known.kind) {
                Some(Kind::Audio) => &mut counts.audio,
                Some(Kind::Video) => &mut counts.video,
                // Nothing of it has come.
                None => continue,
            };
            media.bytes += track.bytes;
            media.packets += track.packets;
            media.lost += track.lost;
        }
        counts
    }

    fn since(&self, before: &Self) -> Self {
        Self {
            audio: self.audio.each(&before.audio, u64::saturating_sub),
            video: self.video.each(&before.video, u64::saturating_sub),
            keyframes: self.keyframes.saturating_sub(before.keyframes),
            nacks: self.nacks.saturating_sub(before.nacks),
            keyframe_requests: self.keyframe_requests.saturating_sub(before.keyframe_requests),
            dropped: self.dropped.since(&before.dropped),
            unrecorded: self.unrecorded.saturating_sub(before.unrecorded),
        }
    }

    /// What was lost can fall again, when it is repaired; a counter cannot.
    fn most(&self, before: &Self) -> Self {
        Self {
            audio: self.audio.each(&before.audio, u64::max),
            video: self.video.each(&before.video, u64::max),
            ..*self
        }
    }
}

impl Media {
    fn each(&self, other: &Self, of: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            bytes: of(self.bytes, other.bytes),
            packets: of(self.packets, other.packets),
            lost: of(self.lost, other.lost),
            stalls: of(self.stalls, other.stalls),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(bytes: u64, lost: u64, nacks: u64) -> Counts {
        Counts {
            video: Media {
                bytes,
                packets: bytes / 100,
                lost,
                stalls: lost,
            },
            keyframes: nacks,
            nacks,
            unrecorded: nacks,
            ..Counts::default()
        }
    }

    #[test]
    fn what_grew_is_counted_once_also_where_a_loss_is_repaired_and_comes_again() {
        let sid = |number| SessionId::new([number; 16]);
        let mut tally = Tally::default();
        let table = [
            (1, counts(1000, 5, 1), counts(1000, 5, 1)),
            (2, counts(300, 0, 0), counts(300, 0, 0)),
            (1, counts(1500, 2, 1), counts(500, 0, 0)),
            (1, counts(1500, 6, 3), counts(0, 1, 2)),
        ];
        for (number, now, grown) in table {
            assert_eq!(tally.look(sid(number), now), grown, "{now:?}");
        }
        assert_eq!(tally.end(sid(1), counts(1700, 6, 3)), counts(200, 0, 0));
        assert_eq!(tally.0.len(), 1, "what ended is forgotten");
    }
}
