//! Why a POST was refused, or a PATCH or DELETE: a closed list, which gateways tell each other by its words.
//!
//! Pure. Made of the one list of errors; nothing that a stranger wrote is in it.

use whipcord_whip::refusal::NO_CODEC;

use crate::{auth, problem::Error};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Refused {
    Codec,
    Offer,
    TokenMissing,
    TokenInvalid,
    TokenEarly,
    TokenExpired,
    TokenForbidsStream,
    Request,
    SessionGone,
    OtherIceSession,
    StreamHeld,
    StreamFull,
    StreamLost,
    Superseded,
    TooManyRequests,
    NoCapacity,
    WorkerAway,
    DirectoryAway,
    Internal,
}

impl Refused {
    pub(crate) const ALL: [Self; 19] = [
        Self::Codec,
        Self::Offer,
        Self::TokenMissing,
        Self::TokenInvalid,
        Self::TokenEarly,
        Self::TokenExpired,
        Self::TokenForbidsStream,
        Self::Request,
        Self::SessionGone,
        Self::OtherIceSession,
        Self::StreamHeld,
        Self::StreamFull,
        Self::StreamLost,
        Self::Superseded,
        Self::TooManyRequests,
        Self::NoCapacity,
        Self::WorkerAway,
        Self::DirectoryAway,
        Self::Internal,
    ];

    pub(crate) fn of(error: &Error) -> Self {
        match error {
            Error::Refused(refusal) if refusal.reason == NO_CODEC => Self::Codec,
            Error::Refused(_) => Self::Offer,
            Error::Auth(auth::Error::Missing) => Self::TokenMissing,
            Error::Auth(auth::Error::Malformed | auth::Error::Invalid | auth::Error::Claims) => Self::TokenInvalid,
            Error::Auth(auth::Error::Early) => Self::TokenEarly,
            Error::Auth(auth::Error::Expired(_)) => Self::TokenExpired,
            Error::Forbidden(_) | Error::NotAdmin => Self::TokenForbidsStream,
            Error::NoSuchSession => Self::SessionGone,
            Error::IfMatchMissing | Error::IfMatchStale => Self::OtherIceSession,
            Error::Held => Self::StreamHeld,
            Error::StreamFull => Self::StreamFull,
            Error::LostStream => Self::StreamLost,
            Error::Superseded => Self::Superseded,
            Error::TooManyRequests { .. } | Error::TooManyDownloads => Self::TooManyRequests,
            Error::NoWorker => Self::NoCapacity,
            Error::WorkerAway(_) | Error::Slow => Self::WorkerAway,
            Error::Rebuilding | Error::DirectoryAway => Self::DirectoryAway,
            Error::Internal(_) => Self::Internal,
            Error::Host
            | Error::NoSuchPath
            | Error::NoSuchRecording
            | Error::NoSuchWorker
            | Error::NothingKnown
            | Error::Range { .. }
            | Error::Method { .. }
            | Error::Stream(_)
            | Error::Json(_)
            | Error::Query
            | Error::ContentType { .. }
            | Error::TooLarge { .. }
            | Error::SlowBody
            | Error::BrokenBody => Self::Request,
        }
    }

    /// None of a word of a later version's gateway.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|refused| refused.word() == word)
    }

    /// The reason in the encoder's answer, where it is of one error.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Codec => NO_CODEC,
            Self::Offer => "offer_refused",
            Self::TokenMissing => "no_token",
            Self::TokenInvalid => "invalid_token",
            Self::TokenEarly => "early_token",
            Self::TokenExpired => "expired_token",
            Self::TokenForbidsStream => "forbidden_stream",
            Self::Request => "request_refused",
            Self::SessionGone => "no_such_session",
            Self::OtherIceSession => "other_ice_session",
            Self::StreamHeld => "held",
            Self::StreamFull => "stream_full",
            Self::StreamLost => "lost_stream",
            Self::Superseded => "superseded",
            Self::TooManyRequests => "too_many_requests",
            Self::NoCapacity => "no_worker",
            Self::WorkerAway => "worker_did_not_answer",
            Self::DirectoryAway => "directory_away",
            Self::Internal => "internal",
        }
    }

    pub(crate) fn sentence(self) -> &'static str {
        match self {
            Self::Codec => "the offer was refused: it has no codec that is accepted here",
            Self::Offer => "the offer was refused, because of what it has in it or lacks",
            Self::TokenMissing => "the request was refused: it had no token",
            Self::TokenInvalid => "the request was refused: its token is not one of this server",
            Self::TokenEarly => "the request was refused: its token is not valid yet",
            Self::TokenExpired => "the request was refused: its token has expired",
            Self::TokenForbidsStream => "the request was refused: its token is good, but not for this stream",
            Self::Request => "the request was refused: it is not what a WHIP client sends",
            Self::SessionGone => "the request was refused: the session it is for has ended",
            Self::OtherIceSession => "the request was refused: its If-Match is missing, or of a former ICE session",
            Self::StreamHeld => {
                "the POST was refused: another encoder has the stream, which is set to keep its first one"
            }
            Self::StreamFull => "the POST was refused: the stream has as many encoders as it may",
            Self::StreamLost => {
                "the POST was refused: another encoder took the stream less than 30 s before, and sends"
            }
            Self::Superseded => "the POST was refused: another encoder took the stream in the same moment",
            Self::TooManyRequests => "the request was refused: too many came of this token or from this address",
            Self::NoCapacity => "the POST was refused: no worker had room",
            Self::WorkerAway => "the request was refused: the worker did not answer in time",
            Self::DirectoryAway => "the POST was refused: the directory (Redis) did not answer, or was being rebuilt",
            Self::Internal => "the request failed by a defect of the server",
        }
    }

    pub(crate) fn action(self) -> &'static str {
        match self {
            Self::Codec => "Set the encoder to H.264 and Opus, or to another codec of the worker's --codecs.",
            Self::Offer => {
                "See what the encoder was answered (its log, or whipcord doctor): the sentence there names what to change."
            }
            Self::TokenMissing => "Give the encoder a bearer token: whipcord token make makes one.",
            Self::TokenInvalid => {
                "Give the encoder a token made with this server's --token-secret-file; whipcord token inspect tells what is in one."
            }
            Self::TokenEarly => "Set the clocks right, or wait until the token's nbf.",
            Self::TokenExpired => "Give the encoder a new token, with a later end: whipcord token make --lifetime.",
            Self::TokenForbidsStream => {
                "Make a token for this stream, or have the encoder publish to one that its token names."
            }
            Self::Request => {
                "See the reason, and what the encoder was answered; whipcord doctor shows a request that is right."
            }
            Self::SessionGone => "Let the encoder publish again with a POST.",
            Self::OtherIceSession => {
                "Update the encoder: it should use the ETag of the last answer, or `*` to restart ICE."
            }
            Self::StreamHeld | Self::StreamFull => {
                "End the encoder that has the stream, or give this one a stream of its own."
            }
            Self::StreamLost => "Give each of the two encoders a stream of its own, or end one of them.",
            Self::Superseded => {
                "See whether two encoders are set to this stream; else nothing: it publishes again by itself."
            }
            Self::TooManyRequests => "Slow the encoder's retries down, or raise --request-rate.",
            Self::NoCapacity => "Start more workers, or raise --sessions-max; whipcord workers shows what they carry.",
            Self::WorkerAway => "See the workers' and gateways' logs of that moment, and the network between them.",
            Self::DirectoryAway => "See that Redis runs and gateways reach it; encoders may try again at once.",
            Self::Internal => "Report it, with the gateway's log of that moment.",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use whipcord_identity::StreamName;
    use whipcord_proto::worker::Refusal;

    use super::*;

    #[test]
    fn a_gateway_reads_the_words_of_another() {
        for refused in Refused::ALL {
            assert_eq!(Refused::parse(refused.word()), Some(refused));
            assert!(refused.sentence().len() > 20 && refused.action().ends_with('.'));
        }
        assert_eq!(Refused::parse("a_later_versions"), None);
    }

    #[test]
    fn of_one_error_it_has_the_word_that_the_encoder_is_answered() {
        let stream: StreamName = "cam".parse().unwrap();
        let no_codec = Refusal::from(&whipcord_whip::Refusal::NoCodec {
            section: 1,
            accepted: Vec::new(),
        });
        let errors = [
            Error::Refused(no_codec),
            Error::Auth(auth::Error::Missing),
            Error::Auth(auth::Error::Invalid),
            Error::Auth(auth::Error::Early),
            Error::Forbidden(stream),
            Error::NoSuchSession,
            Error::Held,
            Error::StreamFull,
            Error::LostStream,
            Error::Superseded,
            Error::NoWorker,
            Error::DirectoryAway,
            Error::TooManyRequests {
                retry_after: Duration::ZERO,
            },
        ];
        for error in errors {
            assert_eq!(Refused::of(&error).word(), error.reason());
        }
    }
}
