//! What a session has been through, as its events told it. Not here: what is said of it (notice).

use std::net::SocketAddr;

use whipcord_peer::{EndReason, Event, event::TrackId};
use whipcord_proto::worker::ConnectionState;
use whipcord_whip::{Codec, Kind};

/// A session's state as its events told it.
#[derive(Clone, Debug)]
pub(crate) struct Journal {
    pub(crate) state: ConnectionState,
    /// Where the encoder is, as last validated.
    pub(crate) remote: Option<SocketAddr>,
    pub(crate) tracks: Vec<Track>,
    pub(crate) end: Option<EndReason>,
}

/// A track that was recognised.
#[derive(Clone, Debug)]
pub(crate) struct Track {
    pub(crate) id: TrackId,
    pub(crate) kind: Kind,
    pub(crate) codec: Codec,
    pub(crate) mid: String,
    pub(crate) rid: Option<String>,
}

impl Default for Journal {
    fn default() -> Self {
        Self {
            state: ConnectionState::New,
            remote: None,
            tracks: Vec::new(),
            end: None,
        }
    }
}

impl Journal {
    pub(crate) fn apply(&mut self, event: &Event) {
        match event {
            Event::StunSeen { path } | Event::PathChanged { path } => {
                self.remote = Some(path.remote);
                if self.state == ConnectionState::New {
                    self.state = ConnectionState::Connecting;
                }
            }
            Event::HandshakeStarted => self.state = ConnectionState::Connecting,
            Event::Connected { .. } | Event::Reconnected => self.state = ConnectionState::Connected,
            Event::Disconnected => self.state = ConnectionState::Disconnected,
            Event::Track {
                track,
                kind,
                codec,
                mid,
                rid,
                ..
            } => {
                // A track can be recognised again, with another SSRC.
                self.tracks.retain(|known| known.id != *track);
                let (kind, codec, mid, rid) = (*kind, *codec, mid.clone(), rid.clone());
                self.tracks.push(Track {
                    id: *track,
                    kind,
                    codec,
                    mid,
                    rid,
                });
                self.tracks.sort_by_key(|track| track.id);
            }
            Event::Ended { reason, .. } => {
                self.end = Some(*reason);
                self.state = final_state(*reason);
            }
            _ => {}
        }
    }
}

/// `closed` is an end that someone wanted, `failed` any other.
fn final_state(reason: EndReason) -> ConnectionState {
    match reason {
        EndReason::Deleted
        | EndReason::ClosedByPeer
        | EndReason::Replaced
        | EndReason::Operator
        | EndReason::Drained
        | EndReason::Abandoned => ConnectionState::Closed,
        EndReason::NoStun
        | EndReason::HandshakeTimeout
        | EndReason::HandshakeFailed
        | EndReason::FingerprintMismatch
        | EndReason::NoSrtpProfile
        | EndReason::Silent
        | EndReason::Fault => ConnectionState::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use whipcord_peer::Path;

    fn path(remote: &str) -> Path {
        Path::udp("192.0.2.1:8189".parse().unwrap(), remote.parse().unwrap())
    }

    #[test]
    fn the_state_follows_the_events() {
        use ConnectionState as S;
        let mut journal = Journal::default();
        assert_eq!((journal.state, journal.remote), (S::New, None));
        let table = [
            (
                Event::StunSeen {
                    path: path("192.0.2.7:1"),
                },
                S::Connecting,
            ),
            (Event::HandshakeStarted, S::Connecting),
            (
                Event::Connected {
                    profile: whipcord_peer::srtp::Profile::AeadAes128Gcm,
                },
                S::Connected,
            ),
            (
                Event::PathChanged {
                    path: path("192.0.2.8:2"),
                },
                S::Connected,
            ),
            (Event::Disconnected, S::Disconnected),
            (Event::Reconnected, S::Connected),
            (Event::FirstMedia, S::Connected),
            (
                Event::Ended {
                    reason: EndReason::Silent,
                    last: Box::default(),
                },
                S::Failed,
            ),
        ];
        for (event, expected) in table {
            journal.apply(&event);
            assert_eq!(journal.state, expected, "{event:?}");
        }
        assert_eq!(journal.remote, Some("192.0.2.8:2".parse().unwrap()));
        assert_eq!(journal.end, Some(EndReason::Silent));
    }

    #[test]
    fn an_end_that_was_wanted_is_closed_and_no_failure() {
        assert_eq!(final_state(EndReason::ClosedByPeer), ConnectionState::Closed);
        assert_eq!(final_state(EndReason::NoStun), ConnectionState::Failed);
    }

    #[test]
    fn a_track_that_returns_with_another_ssrc_is_the_same_track() {
        let mut journal = Journal::default();
        let track = |id, ssrc| Event::Track {
            track: TrackId(id),
            kind: Kind::Video,
            codec: Codec::H264,
            mid: "0".into(),
            rid: None,
            ssrc,
        };
        [track(1, 10), track(0, 11), track(1, 12)]
            .iter()
            .for_each(|event| journal.apply(event));
        assert_eq!(
            journal.tracks.iter().map(|track| track.id.0).collect::<Vec<_>>(),
            [0, 1]
        );
    }
}
