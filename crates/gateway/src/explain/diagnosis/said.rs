//! Each diagnosis as a word, a sentence and one thing to do. docs/explain.md lists the words.
//!
//! Pure. The one place where any of it is said.

use std::time::Duration;

use super::Diagnosis;

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
            Self::Unanswered => "workers_unanswered",
            Self::WorkerDied => "worker_died",
            Self::Refused(refused) => refused.word(),
        }
    }

    /// What is the matter.
    pub(crate) fn sentence(&self) -> String {
        self.of_the_way()
            .or_else(|| self.of_media())
            .unwrap_or_else(|| self.of_the_end().to_owned())
    }

    /// Between the POST and the first packet of media.
    fn of_the_way(&self) -> Option<String> {
        let text = match self {
            Self::Starting => "it is connecting: nothing is wrong so far",
            Self::NoStun { waited } => {
                return Some(format!(
                    "no STUN check of the encoder has reached the worker for {}",
                    Seconds(*waited)
                ));
            }
            Self::WrongPassword => {
                "STUN checks come, but signed with another password than the answer's: they are not of this session's answer"
            }
            Self::NoDtls => "STUN checks come, but not one datagram of DTLS comes from the encoder",
            Self::DtlsUnfinished => {
                "DTLS began, and does not come to its end: some of its datagrams are lost on the way"
            }
            Self::DtlsAlert { number } => {
                return Some(format!("the encoder ended DTLS by alert {number} ({})", alert(*number)));
            }
            Self::DtlsFailed { error } => {
                return Some(format!("the encoder and the worker do not agree on DTLS ({error})"));
            }
            Self::FingerprintMismatch => {
                "the certificate that the encoder showed in DTLS is not the one whose fingerprint its offer had"
            }
            Self::NoSrtpProfile => "the encoder offers no way to protect media (SRTP profile) that is known here",
            Self::NoMedia { waited } => {
                return Some(format!(
                    "it is connected, but no packet of media has come for {}",
                    Seconds(*waited)
                ));
            }
            _ => return None,
        };
        Some(text.to_owned())
    }

    /// Of what came, and what became of it.
    fn of_media(&self) -> Option<String> {
        Some(match self {
            Self::Delivering => "it delivers: media comes, with keyframes, and little of it is lost".to_owned(),
            Self::EncoderSilent { silent } => format!(
                "the encoder has sent no media for {}, and is still connected",
                Seconds(*silent)
            ),
            Self::EncoderGone { silent } => format!(
                "nothing comes from the encoder any more, neither media nor STUN checks: no media for {}",
                Seconds(*silent)
            ),
            Self::NoKeyframe { waited, seen } => no_keyframe(*waited, *seen),
            Self::BFrames => {
                "the encoder sends B-frames: pictures in another order than they are shown in, which WebRTC does not have"
                    .to_owned()
            }
            Self::Loss { percent } => {
                format!("{percent:.1} % of the packets were lost in the last seconds, and not repaired")
            }
            Self::DiskFull => "media comes, but the disk for recordings is full: the recording loses it".to_owned(),
            Self::DiskRefuses => {
                "media comes, but the disk for recordings refuses it: the recording loses it".to_owned()
            }
            _ => return None,
        })
    }

    /// Of its end, or why there is no session.
    fn of_the_end(&self) -> &'static str {
        match self {
            Self::Deleted => "its encoder ended it, by DELETE",
            Self::ClosedByPeer => "its encoder closed the connection",
            Self::Replaced => "another encoder took the stream",
            Self::Operator => "an operator ended it",
            Self::Drained => "its worker was taken out of service",
            Self::Abandoned => "it was given up before its encoder had an answer",
            Self::Fault => "a defect of the server ended it",
            Self::Unanswered => "no worker that answers knows it: its worker is unreachable, or died",
            Self::WorkerDied => {
                "its worker's process seems to have died or been ended, and what it knew of the session is gone with it"
            }
            Self::Refused(refused) => refused.sentence(),
            // All others are said above, as a test sees.
            _ => "it ended, for a reason that this version does not know",
        }
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
            Self::Unanswered => {
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
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::refusals::Refused;

    /// A new one belongs here.
    fn all() -> Vec<Diagnosis> {
        use Diagnosis as D;
        let (waited, silent) = (Duration::from_secs(7), Duration::from_secs(7));
        let error = "signature".to_owned();
        let of_sessions = [
            D::Delivering,
            D::Starting,
            D::NoStun { waited },
            D::WrongPassword,
            D::NoDtls,
            D::DtlsUnfinished,
            D::DtlsAlert { number: 48 },
            D::DtlsFailed { error },
            D::FingerprintMismatch,
            D::NoSrtpProfile,
            D::NoMedia { waited },
            D::EncoderSilent { silent },
            D::EncoderGone { silent },
            D::NoKeyframe { waited, seen: true },
            D::BFrames,
            D::Loss { percent: 2.0 },
            D::DiskFull,
            D::DiskRefuses,
            D::Deleted,
            D::ClosedByPeer,
            D::Replaced,
            D::Operator,
            D::Drained,
            D::Abandoned,
            D::Fault,
            D::EndedOtherwise,
            D::Unanswered,
            D::WorkerDied,
        ];
        let refused = Refused::ALL.map(D::Refused);
        of_sessions.into_iter().chain(refused).collect()
    }

    #[test]
    fn each_has_words_of_its_own_and_something_to_do() {
        let all = all();
        let words: BTreeSet<_> = all.iter().map(Diagnosis::word).collect();
        let sentences: BTreeSet<_> = all.iter().map(Diagnosis::sentence).collect();
        assert_eq!((words.len(), sentences.len()), (all.len(), all.len()));
        assert!(all.iter().all(|diagnosis| diagnosis.action().ends_with(['.', '`'])));
    }

    /// The first column of its tables, below what a session or a refused request is said to be.
    #[test]
    fn the_document_lists_these_words_and_no_others() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/explain.md");
        let text = std::fs::read_to_string(path).unwrap();
        let rows = text
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split(" |").next());
        let documented = rows.flat_map(|cell| cell.split([',', ' ', '`']));
        let documented: BTreeSet<_> = documented
            .filter(|word| !word.is_empty() && *word != "diagnosis")
            .collect();
        let all = all();
        assert_eq!(documented, all.iter().map(Diagnosis::word).collect());
    }
}
