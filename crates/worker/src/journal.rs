//! What a session has been through, and its log lines. [`Event`] is the one source of both.

use std::{net::SocketAddr, sync::Arc};

use tracing::{debug, info, warn};
use whipcord_peer::{EndReason, Event, event::TrackId, stats};
use whipcord_proto::worker::ConnectionState;
use whipcord_udp::Counters;
use whipcord_whip::{Codec, Kind};

use crate::snapshot::{Info, Snapshot};

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

/// What the shard tells the journal's task, which logs it: a log may block, a shard must not.
#[derive(Debug)]
pub(crate) enum Notice {
    Event {
        info: Arc<Info>,
        event: Event,
    },
    Ended {
        info: Arc<Info>,
        last: Box<Snapshot>,
    },
    /// A panic was caught; the session it ended, if it was any session's, is told of by its own `Ended`.
    Fault {
        message: String,
    },
    /// Datagrams that no session got, since the start.
    Dropped {
        strays: stats::Dropped,
        socket: Counters,
    },
    /// Notices before this one that were lost, because nobody read them in time.
    Lost {
        notices: u64,
    },
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
            Event::Ended(reason) => {
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

/// Writes the notice's log line.
pub(crate) fn log(notice: &Notice) {
    match notice {
        Notice::Event { info, event } => log_event(info, event),
        Notice::Ended { info, last } => log_end(info, last),
        Notice::Fault { message } => warn!(message, "a defect was caught on the shard; please report it"),
        Notice::Dropped { strays, socket } => {
            let reasons: Vec<String> = strays
                .iter()
                .filter(|(_, n)| *n > 0)
                .map(|(reason, n)| format!("{reason} {n}"))
                .collect();
            let Counters {
                unusable,
                backlog_dropped,
                send_failed,
            } = *socket;
            let strays = reasons.join(", ");
            info!(
                strays,
                unusable, backlog_dropped, send_failed, "datagrams dropped at the port, since the start"
            );
        }
        Notice::Lost { notices } => warn!(notices, "log lines of sessions were lost: the log is too slow"),
    }
}

fn log_event(info: &Info, event: &Event) {
    let (sid, stream) = (&info.sid, &info.stream);
    match event {
        Event::StunSeen { path } => info!(%sid, %stream, remote = %path.remote, "connection state: connecting"),
        Event::StunWrongPassword { path } => {
            warn!(%sid, %stream, remote = %path.remote, "a STUN check was signed with another password")
        }
        Event::PathChanged { path } => info!(%sid, %stream, remote = %path.remote, "the encoder's address changed"),
        Event::HandshakeStarted => debug!(%sid, %stream, "DTLS began"),
        Event::HandshakeFailed { error } => warn!(%sid, %stream, %error, "DTLS failed"),
        Event::Connected { profile } => info!(%sid, %stream, ?profile, "connection state: connected"),
        Event::Track {
            kind,
            codec,
            mid,
            rid,
            ssrc,
            ..
        } => {
            let (kind, codec, rid) = (kind.as_str(), codec.as_str(), rid.as_deref());
            info!(%sid, %stream, kind, codec, mid, rid, ssrc, "track received")
        }
        Event::FirstMedia => info!(%sid, %stream, "the first media packet was decrypted"),
        Event::Restarted => info!(%sid, %stream, "ICE restarted"),
        Event::Disconnected => warn!(%sid, %stream, "connection state: disconnected"),
        Event::Reconnected => info!(%sid, %stream, "connection state: connected again"),
        // Notices carry neither: the first would be a line every few seconds, the second is `log_end`'s.
        Event::SenderReport { .. } | Event::Ended(_) => {}
        other => debug!(%sid, %stream, event = ?other, "session"),
    }
}

fn log_end(info: &Info, last: &Snapshot) {
    let (sid, stream) = (&info.sid, &info.stream);
    let reason = last.journal.end.map(EndReason::as_str);
    let state = last
        .journal
        .state
        .as_str_name()
        .trim_start_matches("CONNECTION_STATE_")
        .to_ascii_lowercase();
    let (packets, bytes, lost) = (last.stats.packets, last.stats.bytes, last.packets_lost());
    let dropped = last.stats.dropped.total();
    let recording = info.recording_path();
    let recording_lost = last.recording_packets_lost;
    info!(
        %sid, %stream, reason, state, seconds = last.age.as_secs_f32(), packets, bytes, lost, dropped, recording,
        recording_lost, "session ended"
    );
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
            (Event::Ended(EndReason::Silent), S::Failed),
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
