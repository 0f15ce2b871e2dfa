//! What the shard has to say, and its log lines: a log may block, a shard must not.
//!
//! The one place where a session's life is logged; its [`Event`]s are the one source.

use std::{sync::Arc, time::Duration};

use tracing::{debug, info, warn};
use whipcord_peer::{EndReason, Event, stats};
use whipcord_udp::Counters;

use crate::{
    sinks::record::Progress,
    snapshot::{Info, Snapshot},
};

/// What the shard tells a task, which logs it.
#[derive(Debug)]
pub(crate) enum Notice {
    Event {
        info: Arc<Info>,
        event: Event,
        /// The session's, when it happened.
        age: Duration,
    },
    /// The session's first keyframe began to come.
    Keyframe {
        info: Arc<Info>,
        age: Duration,
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

/// Writes the notice's log line.
pub(crate) fn log(notice: &Notice) {
    match notice {
        Notice::Event { info, event, .. } => log_event(info, event),
        Notice::Keyframe { info, .. } => {
            let _trace = info.in_trace();
            info!(sid = %info.sid, stream = %info.stream, "the first keyframe came");
        }
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
    let _trace = info.in_trace();
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
        Event::DataChannel { label } => info!(%sid, %stream, label, "data channel opened"),
        Event::FirstMedia => info!(%sid, %stream, "the first media packet was decrypted"),
        Event::Restarted => info!(%sid, %stream, "ICE restarted"),
        Event::Disconnected => warn!(%sid, %stream, "connection state: disconnected"),
        Event::Reconnected => info!(%sid, %stream, "connection state: connected again"),
        // Notices carry neither: the first would be a line every few seconds, the second is `log_end`'s.
        Event::SenderReport { .. } | Event::Ended { .. } => {}
        other => debug!(%sid, %stream, event = ?other, "session"),
    }
}

fn log_end(info: &Info, last: &Snapshot) {
    let _trace = info.in_trace();
    let (sid, stream) = (&info.sid, &info.stream);
    let reason = last.journal.state.end().map(EndReason::as_str);
    let state = last.journal.state.as_str();
    let (packets, bytes, lost) = (last.stats.packets, last.stats.bytes, last.packets_lost());
    let dropped = last.stats.dropped.total();
    // Its last bytes are still on their way.
    let recording = info.recording.as_deref().filter(|_| packets > 0).map(Progress::path);
    let recording_packets_lost = last.recording_packets_lost;
    let recording_frames_dropped = info.recording.as_deref().map(Progress::frames_dropped);
    info!(
        %sid, %stream, reason, state, seconds = last.age.as_secs_f32(), packets, bytes, lost, dropped, recording,
        recording_packets_lost, recording_frames_dropped, "session ended"
    );
}
