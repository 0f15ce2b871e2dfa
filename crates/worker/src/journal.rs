//! What a session has been through, as its events told it. Not here: what is said of it (notice).

use std::{net::SocketAddr, time::Duration};

use whipcord_peer::{EndReason, Event, dtls, event::TrackId};
use whipcord_whip::{Codec, Kind};

/// A session's state as its events told it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Journal {
    pub(crate) state: State,
    /// Where the encoder is, as last validated.
    pub(crate) remote: Option<SocketAddr>,
    pub(crate) tracks: Vec<Track>,
    pub(crate) milestones: Milestones,
}

/// How far it has come: its ages at that moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Milestones {
    /// The first STUN check with its password.
    pub(crate) stun: Option<Duration>,
    pub(crate) connected: Option<Duration>,
    pub(crate) media: Option<Duration>,
    /// Why DTLS came to nothing.
    pub(crate) failure: Option<dtls::Error>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum State {
    /// Nothing of the encoder has reached the media port.
    #[default]
    New,
    Connecting,
    Connected,
    Disconnected,
    Ended(EndReason),
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

impl Track {
    /// Of so many ticks of its clock.
    pub(crate) fn jitter(&self, ticks: u32) -> Duration {
        Duration::from_secs_f64(f64::from(ticks) / f64::from(self.codec.clock_rate()))
    }
}

impl State {
    pub(crate) fn end(self) -> Option<EndReason> {
        match self {
            Self::Ended(reason) => Some(reason),
            Self::New | Self::Connecting | Self::Connected | Self::Disconnected => None,
        }
    }

    /// `RTCPeerConnectionState`'s word: `closed` is an end that someone wanted, `failed` any other.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Connecting => "connecting",
            Self::Connected => "connected",
            Self::Disconnected => "disconnected",
            Self::Ended(reason) if is_wanted(reason) => "closed",
            Self::Ended(_) => "failed",
        }
    }
}

impl Journal {
    /// What happened at this age of the session.
    pub(crate) fn apply(&mut self, event: &Event, age: Duration) {
        self.milestones.apply(event, age);
        match event {
            Event::StunSeen { path } | Event::PathChanged { path } => {
                self.remote = Some(path.remote);
                if self.state == State::New {
                    self.state = State::Connecting;
                }
            }
            Event::HandshakeStarted => self.state = State::Connecting,
            Event::Connected { .. } | Event::Reconnected => self.state = State::Connected,
            Event::Disconnected => self.state = State::Disconnected,
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
            Event::Ended { reason, .. } => self.state = State::Ended(*reason),
            _ => {}
        }
    }
}

impl Milestones {
    fn apply(&mut self, event: &Event, age: Duration) {
        match event {
            Event::StunSeen { .. } => self.stun = Some(age),
            Event::Connected { .. } => self.connected = Some(age),
            Event::FirstMedia => self.media = Some(age),
            Event::HandshakeFailed { error } => self.failure = Some(*error),
            _ => {}
        }
    }
}

/// Ends that someone wanted; all others are failures.
pub(crate) fn is_wanted(reason: EndReason) -> bool {
    match reason {
        EndReason::Deleted
        | EndReason::ClosedByPeer
        | EndReason::Replaced
        | EndReason::Operator
        | EndReason::Drained
        | EndReason::Abandoned => true,
        EndReason::NoStun
        | EndReason::HandshakeTimeout
        | EndReason::HandshakeFailed
        | EndReason::FingerprintMismatch
        | EndReason::NoSrtpProfile
        | EndReason::Silent
        | EndReason::Fault => false,
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
        use State as S;
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
                S::Ended(EndReason::Silent),
            ),
        ];
        for (second, (event, expected)) in (1..).zip(table) {
            journal.apply(&event, Duration::from_secs(second));
            assert_eq!(journal.state, expected, "{event:?}");
        }
        assert_eq!(journal.remote, Some("192.0.2.8:2".parse().unwrap()));
        let milestones = Milestones {
            stun: Some(Duration::from_secs(1)),
            connected: Some(Duration::from_secs(3)),
            media: Some(Duration::from_secs(7)),
            failure: None,
        };
        assert_eq!(journal.milestones, milestones);
    }

    #[test]
    fn an_end_that_was_wanted_is_closed_and_no_failure() {
        assert_eq!(State::Ended(EndReason::ClosedByPeer).as_str(), "closed");
        assert_eq!(State::Ended(EndReason::NoStun).as_str(), "failed");
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
            .for_each(|event| journal.apply(event, Duration::ZERO));
        assert_eq!(
            journal.tracks.iter().map(|track| track.id.0).collect::<Vec<_>>(),
            [0, 1]
        );
    }
}
