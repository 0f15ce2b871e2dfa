//! What happens to a session. The one source of log lines, spans, statistics and explanations.

use whipcord_whip::{Codec, Kind};

use crate::{Path, Stats, dtls, srtp::Profile};

/// One fact of a session's life, in the order in which they happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The first STUN request with our credentials and a good MESSAGE-INTEGRITY.
    StunSeen {
        path: Path,
    },
    /// STUN for our ufrag, but signed with another password. Once per session.
    StunWrongPassword {
        path: Path,
    },
    /// The client chose this path, or moved to it.
    PathChanged {
        path: Path,
    },
    /// DTLS began: its first datagram was sent or received.
    HandshakeStarted,
    /// DTLS came to nothing: the peer's alert, or the reason for ours.
    HandshakeFailed {
        error: dtls::Error,
    },
    /// Keys exist; media can be opened.
    Connected {
        profile: Profile,
    },
    /// A stream of RTP was recognised.
    Track {
        track: TrackId,
        kind: Kind,
        codec: Codec,
        mid: String,
        rid: Option<String>,
        ssrc: u32,
    },
    /// The first packet that authenticated.
    FirstMedia,
    /// The encoder opened a data channel. The label is empty where it did so without saying (RFC 8831 §6.4).
    DataChannel {
        label: String,
    },
    /// New ICE credentials carry SRTP now; the old ones end 30 s later.
    Restarted,
    /// The encoder's clock, for lip-sync: NTP time (32.32 fixed point) of an RTP timestamp (RFC 3550 §6.4.1).
    SenderReport {
        track: TrackId,
        ntp: u64,
        timestamp: u32,
    },
    /// No authenticated packet for 7 s; and the way back.
    Disconnected,
    Reconnected,
    /// The session is over and its state is gone; these are its last figures. Always the last.
    Ended {
        reason: EndReason,
        last: Box<Stats>,
    },
}

/// One RTP stream within a session: a media section, and its layer where there is simulcast. Small and dense: an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrackId(pub u8);

/// Why a session ended. The one such list: log, API, metrics and `explain` use its words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndReason {
    /// The client's DELETE.
    Deleted,
    /// The client's DTLS close_notify.
    ClosedByPeer,
    /// Another publisher took the stream.
    Replaced,
    /// An operator ended it.
    Operator,
    /// The worker drained.
    Drained,
    /// The gateway could not commit it; the client never got an answer.
    Abandoned,
    /// No STUN request with our credentials within 30 s.
    NoStun,
    /// STUN arrived, but DTLS was not complete within 30 s.
    HandshakeTimeout,
    /// DTLS failed: the peer's alert, or ours.
    HandshakeFailed,
    /// The peer's certificate is not the one its offer announced.
    FingerprintMismatch,
    /// The peer and we share no SRTP profile.
    NoSrtpProfile,
    /// 30 s without an authenticated packet.
    Silent,
    /// A defect of ours; it ended this session and no other.
    Fault,
}

impl EndReason {
    /// The reason's word in logs, metrics and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deleted => "deleted",
            Self::ClosedByPeer => "closed_by_peer",
            Self::Replaced => "replaced",
            Self::Operator => "operator",
            Self::Drained => "drained",
            Self::Abandoned => "abandoned",
            Self::NoStun => "no_stun",
            Self::HandshakeTimeout => "handshake_timeout",
            Self::HandshakeFailed => "handshake_failed",
            Self::FingerprintMismatch => "fingerprint_mismatch",
            Self::NoSrtpProfile => "no_srtp_profile",
            Self::Silent => "silent",
            Self::Fault => "fault",
        }
    }
}
