//! What a worker told of a session, as far as a diagnosis needs it. What a later version says is passed over.

use std::time::Duration;

use whipcord_proto::worker::{ConnectionState, Course, DiskState, ExplainSessionResponse};

/// Of one session at one moment. Ages count from its creation.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Facts {
    pub(crate) end: Option<End>,
    /// Neither media nor checks have come for 7 s.
    pub(crate) is_disconnected: bool,
    /// Of the first good STUN check.
    pub(crate) stun: Option<Duration>,
    /// STUN checks with another password.
    pub(crate) wrong_passwords: u64,
    pub(crate) handshake_datagrams: u64,
    pub(crate) handshake: Option<Handshake>,
    pub(crate) connected: Option<Duration>,
    /// Of its first packet.
    pub(crate) media: Option<Duration>,
    /// Since media came last, or since the creation.
    pub(crate) silent: Duration,
    /// Of video that comes.
    pub(crate) keyframe_wait: Option<Duration>,
    pub(crate) keyframe_seen: bool,
    pub(crate) window: Window,
    pub(crate) disk: Disk,
}

/// The last ten seconds or so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) packets: u64,
    /// And not repaired.
    pub(crate) lost: u64,
    pub(crate) pictures_backward: u64,
}

/// Why DTLS came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Handshake {
    Alert(u8),
    /// A worker's word.
    Error(String),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Disk {
    /// Nothing is recorded.
    #[default]
    None,
    Takes,
    Full,
    Refuses,
}

/// The words of a worker's list of reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Deleted,
    ClosedByPeer,
    Replaced,
    Operator,
    Drained,
    Abandoned,
    NoStun,
    HandshakeTimeout,
    HandshakeFailed,
    FingerprintMismatch,
    NoSrtpProfile,
    Silent,
    Fault,
    /// A later version's.
    Other,
}

impl End {
    fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "" => return None,
            "deleted" => Self::Deleted,
            "closed_by_peer" => Self::ClosedByPeer,
            "replaced" => Self::Replaced,
            "operator" => Self::Operator,
            "drained" => Self::Drained,
            "abandoned" => Self::Abandoned,
            "no_stun" => Self::NoStun,
            "handshake_timeout" => Self::HandshakeTimeout,
            "handshake_failed" => Self::HandshakeFailed,
            "fingerprint_mismatch" => Self::FingerprintMismatch,
            "no_srtp_profile" => Self::NoSrtpProfile,
            "silent" => Self::Silent,
            "fault" => Self::Fault,
            _ => Self::Other,
        })
    }
}

impl Facts {
    pub(crate) fn new(told: &ExplainSessionResponse) -> Self {
        let session = told.session.clone().unwrap_or_default();
        let course = told.course.clone().unwrap_or_default();
        let handshake = handshake(&course);
        Self {
            end: End::parse(&session.end_reason),
            is_disconnected: session.state() == ConnectionState::Disconnected,
            stun: course.stun_ms.map(Duration::from_millis),
            wrong_passwords: session.dropped.get("wrong_password").copied().unwrap_or_default(),
            handshake_datagrams: course.handshake_datagrams,
            handshake,
            connected: course.connected_ms.map(Duration::from_millis),
            media: course.media_ms.map(Duration::from_millis),
            silent: Duration::from_millis(session.silent_ms),
            keyframe_wait: course.keyframe_wait_ms.map(Duration::from_millis),
            keyframe_seen: course.keyframe_seen,
            window: Window {
                packets: course.window_packets,
                lost: course.window_lost,
                pictures_backward: course.window_pictures_backward,
            },
            disk: match course.disk() {
                DiskState::Unspecified => Disk::None,
                DiskState::Takes => Disk::Takes,
                DiskState::Full => Disk::Full,
                DiskState::Refuses => Disk::Refuses,
            },
        }
    }
}

fn handshake(course: &Course) -> Option<Handshake> {
    let alert = course.handshake_alert.and_then(|number| u8::try_from(number).ok());
    let error = Some(&course.handshake_error).filter(|error| !error.is_empty());
    alert
        .map(Handshake::Alert)
        .or_else(|| error.map(|error| Handshake::Error(super::printable(error))))
}
