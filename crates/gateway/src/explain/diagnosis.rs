//! What is the matter with a session: one diagnosis from its facts, in a sentence, with one thing to do.
//!
//! Pure. The one place where any of it is said. Not here: where facts come from (facts), and why POSTs are refused (refusals).

use std::time::Duration;

use super::facts::{Disk, End, Facts, Handshake};
use crate::refusals::Refused;

/// All there is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Diagnosis {
    Delivering,
    /// Too young to be judged.
    Starting,
    NoStun {
        waited: Duration,
    },
    WrongPassword,
    NoDtls,
    DtlsUnfinished,
    DtlsAlert {
        number: u8,
    },
    DtlsFailed {
        error: String,
    },
    FingerprintMismatch,
    NoSrtpProfile,
    NoMedia {
        waited: Duration,
    },
    EncoderSilent {
        silent: Duration,
    },
    EncoderGone {
        silent: Duration,
    },
    NoKeyframe {
        waited: Duration,
        seen: bool,
    },
    BFrames,
    Loss {
        percent: f64,
    },
    DiskFull,
    DiskRefuses,
    Deleted,
    ClosedByPeer,
    Replaced,
    Operator,
    Drained,
    Abandoned,
    Fault,
    /// Of a later version's worker.
    EndedOtherwise,
    /// Nobody who answers knows it, and somebody does not answer.
    WorkerAway,
    /// Nobody knows it, and the worker it was given to is no more, or one has just been found dead.
    WorkerDied,
    /// There is no session: its POST was refused.
    Refused(Refused),
}

/// What a session in order may take for a step of its way, on a slow path and a loaded machine.
const PATIENCE: Duration = Duration::from_secs(3);
/// Encoders send a still picture once or twice a second, and sound each 20 ms.
const SILENT: Duration = Duration::from_secs(5);
/// Nobody can see anything before the first keyframe. Encoders begin with one.
const FIRST_KEYFRAME: Duration = Duration::from_secs(5);
/// x264 and most hardware make one each 250 pictures where nobody says otherwise: 8 to 10 s.
const NEXT_KEYFRAME: Duration = Duration::from_secs(12);
/// Of 100 packets, a second of a video of 1 Mbit/s, one that is lost and not repaired breaks a picture, and all until the next keyframe.
const LOSS_PERCENT: f64 = 1.0;
/// Fewer are a moment's, and the window is of ten seconds.
const LOST_MIN: u64 = 5;
/// One alone may be an encoder that was set anew.
const BACKWARD_MIN: u64 = 3;

/// What can be said of a session that was `age` old at the moment of its facts.
pub(crate) fn diagnose(facts: &Facts, age: Duration) -> Diagnosis {
    match facts.end {
        None => living(facts, age),
        Some(end) => ended(facts, end),
    }
}

/// What was the matter before somebody ended it; none where all was well, or where the end itself says it.
pub(crate) fn before_end(facts: &Facts, age: Duration) -> Option<Diagnosis> {
    match facts.end? {
        End::Deleted | End::ClosedByPeer | End::Replaced | End::Operator | End::Drained => {}
        _ => return None,
    }
    match living(facts, age) {
        Diagnosis::Delivering | Diagnosis::Starting => None,
        other => Some(other),
    }
}

/// The first of these that holds: what comes later on the way can only be judged when all before is well.
fn living(facts: &Facts, age: Duration) -> Diagnosis {
    let since = |step: Duration| age.saturating_sub(step);
    let Some(stun) = facts.stun else {
        return match (facts.wrong_passwords, age) {
            (1.., _) => Diagnosis::WrongPassword,
            (0, waited) if waited < PATIENCE => Diagnosis::Starting,
            (0, waited) => Diagnosis::NoStun { waited },
        };
    };
    if facts.is_disconnected {
        return Diagnosis::EncoderGone { silent: facts.silent };
    }
    let Some(connected) = facts.connected else {
        return match facts.handshake_datagrams {
            _ if since(stun) < PATIENCE => Diagnosis::Starting,
            0 => Diagnosis::NoDtls,
            1.. => Diagnosis::DtlsUnfinished,
        };
    };
    if facts.media.is_none() {
        return match since(connected) {
            waited if waited < PATIENCE => Diagnosis::Starting,
            waited => Diagnosis::NoMedia { waited },
        };
    }
    if facts.silent >= SILENT {
        return Diagnosis::EncoderSilent { silent: facts.silent };
    }
    match facts.disk {
        Disk::Full => return Diagnosis::DiskFull,
        Disk::Refuses => return Diagnosis::DiskRefuses,
        Disk::Takes | Disk::None => {}
    }
    of_media(facts)
}

/// Media comes.
fn of_media(facts: &Facts) -> Diagnosis {
    if let Some(waited) = facts.keyframe_wait {
        let seen = facts.keyframe_seen;
        if waited >= if seen { NEXT_KEYFRAME } else { FIRST_KEYFRAME } {
            return Diagnosis::NoKeyframe { waited, seen };
        }
    }
    if facts.window.pictures_backward >= BACKWARD_MIN {
        return Diagnosis::BFrames;
    }
    let (lost, sent) = (facts.window.lost, facts.window.packets + facts.window.lost);
    let percent = 100.0 * lost as f64 / sent.max(1) as f64;
    if lost >= LOST_MIN && percent >= LOSS_PERCENT {
        return Diagnosis::Loss { percent };
    }
    Diagnosis::Delivering
}

fn ended(facts: &Facts, end: End) -> Diagnosis {
    match end {
        End::Deleted => Diagnosis::Deleted,
        End::ClosedByPeer => Diagnosis::ClosedByPeer,
        End::Replaced => Diagnosis::Replaced,
        End::Operator => Diagnosis::Operator,
        End::Drained => Diagnosis::Drained,
        End::Abandoned => Diagnosis::Abandoned,
        End::NoStun if facts.wrong_passwords > 0 => Diagnosis::WrongPassword,
        End::NoStun => Diagnosis::NoStun { waited: facts.silent },
        End::HandshakeTimeout if facts.handshake_datagrams == 0 => Diagnosis::NoDtls,
        End::HandshakeTimeout => Diagnosis::DtlsUnfinished,
        End::FingerprintMismatch => Diagnosis::FingerprintMismatch,
        End::NoSrtpProfile => Diagnosis::NoSrtpProfile,
        End::HandshakeFailed => match &facts.handshake {
            Some(Handshake::Alert(number)) => Diagnosis::DtlsAlert { number: *number },
            Some(Handshake::Error(error)) => Diagnosis::DtlsFailed { error: error.clone() },
            None => Diagnosis::DtlsFailed {
                error: "unknown".to_owned(),
            },
        },
        End::Silent => Diagnosis::EncoderGone { silent: facts.silent },
        End::Fault => Diagnosis::Fault,
        End::Other => Diagnosis::EndedOtherwise,
    }
}

impl Diagnosis {
    /// One word, for programs.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Delivering => "delivering",
            Self::Starting => "starting",
            Self::NoStun { .. } => "no_stun",
            Self::WrongPassword => "wrong_password",
            Self::NoDtls => "no_dtls",
            Self::DtlsUnfinished => "dtls_unfinished",
            Self::DtlsAlert { .. } => "dtls_alert",
            Self::DtlsFailed { .. } => "dtls_failed",
            Self::FingerprintMismatch => "fingerprint_mismatch",
            Self::NoSrtpProfile => "no_srtp_profile",
            Self::NoMedia { .. } => "no_media",
            Self::EncoderSilent { .. } => "encoder_silent",
            Self::EncoderGone { .. } => "encoder_gone",
            Self::NoKeyframe { .. } => "no_keyframe",
            Self::BFrames => "b_frames",
            Self::Loss { .. } => "loss",
            Self::DiskFull => "disk_full",
            Self::DiskRefuses => "disk_refuses",
            Self::Deleted => "deleted",
            Self::ClosedByPeer => "closed_by_peer",
            Self::Replaced => "replaced",
            Self::Operator => "operator",
            Self::Drained => "drained",
            Self::Abandoned => "abandoned",
            Self::Fault => "fault",
            Self::EndedOtherwise => "ended",
            Self::WorkerAway => "worker_away",
            Self::WorkerDied => "worker_died",
            Self::Refused(refused) => refused.word(),
        }
    }

    /// What is the matter.
    pub(crate) fn sentence(&self) -> String {
        let text = match self {
            Self::Delivering => "it delivers: media comes, with keyframes, and little of it is lost",
            Self::Starting => "it is connecting: nothing is wrong so far",
            Self::NoStun { waited } => {
                return format!(
                    "no STUN check of the encoder has reached the worker for {}",
                    Seconds(*waited)
                );
            }
            Self::WrongPassword => {
                "STUN checks come, but signed with another password than the answer's: they are not of this session's answer"
            }
            Self::NoDtls => "STUN checks come, but not one datagram of DTLS",
            Self::DtlsUnfinished => {
                "DTLS began, and does not come to its end: some of its datagrams are lost on the way"
            }
            Self::DtlsAlert { number } => {
                return format!("the encoder ended DTLS by alert {number} ({})", alert(*number));
            }
            Self::DtlsFailed { error } => return format!("the encoder and the worker do not agree on DTLS ({error})"),
            Self::FingerprintMismatch => {
                "the certificate that the encoder showed in DTLS is not the one whose fingerprint its offer had"
            }
            Self::NoSrtpProfile => "the encoder offers no way to protect media (SRTP profile) that is known here",
            Self::NoMedia { waited } => {
                return format!(
                    "it is connected, but no packet of media has come for {}",
                    Seconds(*waited)
                );
            }
            Self::EncoderSilent { silent } => {
                return format!(
                    "the encoder has sent no media for {}, and is still connected",
                    Seconds(*silent)
                );
            }
            Self::EncoderGone { silent } => {
                return format!(
                    "nothing comes from the encoder any more, neither media nor STUN checks: no media for {}",
                    Seconds(*silent)
                );
            }
            Self::NoKeyframe { waited, seen } => return no_keyframe(*waited, *seen),
            Self::BFrames => {
                "the encoder sends B-frames: pictures in another order than they are shown in, which WebRTC does not have"
            }
            Self::Loss { percent } => {
                return format!("{percent:.1} % of the packets were lost in the last seconds, and not repaired");
            }
            Self::DiskFull => "media comes, but the disk for recordings is full: the recording loses it",
            Self::DiskRefuses => "media comes, but the disk for recordings refuses it: the recording loses it",
            Self::Deleted => "its encoder ended it, by DELETE",
            Self::ClosedByPeer => "its encoder closed the connection",
            Self::Replaced => "another encoder took the stream",
            Self::Operator => "an operator ended it",
            Self::Drained => "its worker was taken out of service",
            Self::Abandoned => "it was given up before its encoder had an answer",
            Self::Fault => "a defect of the server ended it",
            Self::EndedOtherwise => "it ended, for a reason that this version does not know",
            Self::WorkerAway => "no worker that answers knows it: its worker is unreachable, or died",
            Self::WorkerDied => {
                "its worker's process seems to have died or been ended, and what it knew of the session is gone with it"
            }
            Self::Refused(refused) => refused.sentence(),
        };
        text.to_owned()
    }

    /// The one thing to do about it.
    pub(crate) fn action(&self) -> &'static str {
        match self {
            Self::Delivering => "Nothing is to be done.",
            Self::Starting => "Ask again in a few seconds.",
            Self::NoStun { .. } => {
                "Let UDP through to the worker's media port, and see that --advertise is an address encoders reach: whipcord doctor tries it from the encoder's place."
            }
            Self::WrongPassword => {
                "Have the encoder use the ice-ufrag and ice-pwd of the answer to its last POST, and no cached or changed one; restart it."
            }
            Self::NoDtls => {
                "See that a firewall between them lets DTLS through and not STUN alone, and that the encoder heeds the answer's a=setup."
            }
            Self::DtlsUnfinished => {
                "Look for a path that drops large UDP packets (MTU, VPN) or loses many; try the encoder from another network."
            }
            Self::DtlsAlert { .. } | Self::DtlsFailed { .. } => {
                "Update the encoder; its log says why it does not agree on DTLS 1.2."
            }
            Self::FingerprintMismatch => {
                "See that nothing between rewrites the SDP or the media, and that the encoder offers the certificate it uses."
            }
            Self::NoSrtpProfile => "Update the encoder: it needs SRTP with AES-CM or AES-GCM over DTLS.",
            Self::NoMedia { .. } => "Start the source in the encoder: it is connected, and sends nothing.",
            Self::EncoderSilent { .. } => "See whether the encoder is paused, or its source has stopped.",
            Self::EncoderGone { .. } => "See whether the encoder runs, and has a network; let it publish again.",
            Self::NoKeyframe { .. } => "Set the encoder's keyframe interval to 1 or 2 seconds.",
            Self::BFrames => "Turn B-frames off in the encoder (x264: bframes=0, or tune zerolatency).",
            Self::Loss { .. } => "Lower the encoder's bitrate, or give it a better network than this.",
            Self::DiskFull => "Make room on the worker's disk for recordings; it is tried again each second.",
            Self::DiskRefuses => "See the worker's log for what its disk for recordings says, and its permissions.",
            Self::Deleted | Self::ClosedByPeer => "Let the encoder publish again, if it should not have ended.",
            Self::Replaced => {
                "Give each encoder a stream of its own, or set --takeover to reject where the first one is to be kept."
            }
            Self::Operator => "Let the encoder publish again, when the operator agrees.",
            Self::Drained => "Let the encoder publish again: it gets another worker.",
            Self::Abandoned => {
                "Let the encoder publish again; if it happens often, see the gateways' logs for what is slow."
            }
            Self::Fault => "Report it, with the worker's log of that moment, and let the encoder publish again.",
            Self::EndedOtherwise => "Ask a gateway of the worker's own version.",
            Self::WorkerAway => {
                "See the workers named, their hosts and the network to them; encoders publish again elsewhere by themselves."
            }
            Self::WorkerDied => "See that worker's last log lines; its encoders publish again elsewhere by themselves.",
            Self::Refused(refused) => refused.action(),
        }
    }
}

fn no_keyframe(waited: Duration, seen: bool) -> String {
    let waited = Seconds(waited);
    if seen {
        format!("media comes, but no keyframe for {waited}: nobody who begins now sees a picture")
    } else {
        format!("media comes, but in {waited} there was no keyframe: nobody sees a picture")
    }
}

/// Of RFC 5246 §7.2, those that end a handshake.
fn alert(number: u8) -> &'static str {
    match number {
        0 => "close_notify",
        10 => "unexpected_message",
        20 => "bad_record_mac",
        40 => "handshake_failure",
        42 => "bad_certificate",
        43 => "unsupported_certificate",
        44 => "certificate_revoked",
        45 => "certificate_expired",
        46 => "certificate_unknown",
        47 => "illegal_parameter",
        48 => "unknown_ca",
        49 => "access_denied",
        50 => "decode_error",
        51 => "decrypt_error",
        70 => "protocol_version",
        71 => "insufficient_security",
        80 => "internal_error",
        86 => "inappropriate_fallback",
        90 => "user_canceled",
        110 => "unsupported_extension",
        _ => "of another standard",
    }
}

/// Whole ones, for a sentence.
struct Seconds(Duration);

impl std::fmt::Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} s", self.0.as_secs())
    }
}

#[cfg(test)]
mod tests;
