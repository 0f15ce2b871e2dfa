//! What is the matter with a session: one diagnosis from its facts, in a sentence, with one thing to do.
//!
//! Pure. Not here: where facts come from (facts), how a diagnosis is said (said), and why POSTs are refused (refusals).

mod said;

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
    Unanswered,
    /// Nobody knows it, and the worker it was given to is no more, or one has just been found dead.
    WorkerDied,
    /// There is no session: its POST was refused.
    Refused(Refused),
}

/// What a session in order may take for a step of its way, on a slow path and a loaded machine.
const PATIENCE: Duration = Duration::from_secs(3);
/// When workers' timelines say that media stopped: an explanation names both.
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

#[cfg(test)]
mod tests;
