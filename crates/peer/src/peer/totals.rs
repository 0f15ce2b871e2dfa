//! A session's counters, gathered when somebody asks.

use super::{Peer, tracks::Binding};
use crate::{Stats, rtcp::nack::Missing, stats::TrackStats};

impl Peer {
    pub(crate) fn stats(&self) -> Stats {
        let mut tracks: Vec<_> = self
            .tracks
            .ids()
            .map(|track| TrackStats {
                track,
                packets: 0,
                bytes: 0,
                lost: 0,
                jitter: 0,
                round_trip: None,
            })
            .collect();
        for stream in self.live().into_iter().flat_map(|live| live.streams.iter()) {
            let of_track = &mut tracks[usize::from(stream.binding.track().0)];
            of_track.packets += stream.packets;
            of_track.bytes += stream.bytes;
            if let Binding::Media(_) = stream.binding {
                of_track.lost += stream.reception.lost();
                of_track.jitter = stream.reception.jitter();
                let round_trip = stream.missing.as_ref().and_then(Missing::round_trip);
                of_track.round_trip = round_trip.or(of_track.round_trip);
            }
        }
        Stats {
            path: self.ice.path(),
            packets: tracks.iter().map(|track| track.packets).sum(),
            bytes: tracks.iter().map(|track| track.bytes).sum(),
            tracks,
            data: self.data.as_ref().map(|data| data.stats()),
            dropped: self.dropped,
            nacks: self.live().map_or(0, |live| live.feedback.nacks()),
            keyframe_requests: self.live().map_or(0, |live| live.feedback.keyframe_requests()),
            handshake_datagrams: self.handshake_datagrams,
        }
    }
}
