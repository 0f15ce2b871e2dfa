//! Why an offer or a fragment is refused: a sentence for a person, its kind, and a word for metrics.
//!
//! Must not know HTTP: whoever renders a refusal maps [`Kind`] to a status.

use crate::codec::{self, Codec};

/// Of an offer none of whose codecs is accepted: who sums refusals up tells it apart.
pub const NO_CODEC: &str = "no_codec";

/// Sections are counted from 1, in the order of their `m=` lines.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the body is larger than the {most} bytes that are read; send less")]
    TooLarge { most: usize },

    #[error("the body is empty; send SDP")]
    Empty,
    #[error("the body is not UTF-8 text; send SDP")]
    NotText,
    #[error("line {number} is not of SDP's form `x=value`")]
    Line { number: usize },
    #[error("the offer does not begin with `v=0`; send SDP")]
    NotAnOffer,
    #[error("the m= line of media section {section} is malformed; write `m=<media> <port> <proto> <payload types>`")]
    MediaLine { section: usize },
    #[error("a={attribute} is malformed; see {clause}")]
    Attribute {
        attribute: &'static str,
        clause: &'static str,
    },
    #[error("two media sections have the same a=mid; give each its own")]
    DuplicateMid,
    #[error("the fragment holds no ICE credentials, no candidate and no a=end-of-candidates; send one of them")]
    NothingInFragment,
    #[error("a=ice-ufrag or a=ice-pwd is missing from the fragment; send both, or neither")]
    HalfCredentials,
    #[error("only one of a=ice-ufrag and a=ice-pwd differs from the session's; change both to restart ICE, or neither")]
    HalfRestart,

    #[error("more than {most} {what}; send fewer")]
    TooMany { what: &'static str, most: usize },
    #[error("the offer has no media section; offer audio, video, or both")]
    NoMedia,
    #[error("media section {section} is a data channel, which this server refuses; offer audio and video only")]
    DataChannel { section: usize },
    #[error(
        "media section {section} is no data channel of today's WebRTC; offer `UDP/DTLS/SCTP webrtc-datachannel` (RFC 8841)"
    )]
    DataProtocol { section: usize },
    #[error("the offer has more than one section of data channels; offer one, which carries any number of channels")]
    SecondDataSection,
    #[error("media section {section} is neither audio nor video nor a data channel; offer these only")]
    MediaType { section: usize },
    #[error("media section {section} is not RTP over DTLS; offer UDP/TLS/RTP/SAVPF")]
    Protocol { section: usize },
    #[error("the offer has more than one {kind} section; offer at most one audio and one video section")]
    SecondSection { kind: codec::Kind },
    #[error("media section {section} is disabled (port 0 without a=bundle-only); leave it out of the offer")]
    Disabled { section: usize },
    #[error(
        "the media sections are not all in one a=group:BUNDLE; bundle them on one transport (RFC 9725 section 4.4.1)"
    )]
    NotBundled,
    #[error("media section {section} does not send; offer a=sendonly")]
    Direction { section: usize },
    #[error("media section {section} has no a=rtcp-mux; offer it (RFC 9725 section 4.4.1)")]
    NoRtcpMux { section: usize },
    #[error("the offer has no a=ice-ufrag and a=ice-pwd; offer both")]
    NoCredentials,
    #[error("the offer has no a=fingerprint; offer media over DTLS-SRTP, with the certificate's sha-256 fingerprint")]
    NoFingerprint,
    #[error("the offer has only fingerprints of weak or unknown hashes; add a sha-256 fingerprint")]
    WeakFingerprint,
    #[error(
        "media section {section} offers no codec that is accepted here; offer one of {}",
        names(accepted)
    )]
    NoCodec { section: usize, accepted: Vec<Codec> },
}

/// What is wrong, as far as a status code tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The text breaks its grammar (400).
    Malformed,
    /// The text is well formed, but asks for what is not served here (422).
    Unacceptable,
    /// The body is over its limit (413).
    TooLarge,
}

impl Refusal {
    pub fn kind(&self) -> Kind {
        match self {
            Self::TooLarge { .. } => Kind::TooLarge,
            Self::Empty
            | Self::NotText
            | Self::Line { .. }
            | Self::NotAnOffer
            | Self::MediaLine { .. }
            | Self::Attribute { .. }
            | Self::DuplicateMid
            | Self::NothingInFragment
            | Self::HalfCredentials
            | Self::HalfRestart => Kind::Malformed,
            Self::TooMany { .. }
            | Self::NoMedia
            | Self::DataChannel { .. }
            | Self::DataProtocol { .. }
            | Self::SecondDataSection
            | Self::MediaType { .. }
            | Self::Protocol { .. }
            | Self::SecondSection { .. }
            | Self::Disabled { .. }
            | Self::NotBundled
            | Self::Direction { .. }
            | Self::NoRtcpMux { .. }
            | Self::NoCredentials
            | Self::NoFingerprint
            | Self::WeakFingerprint
            | Self::NoCodec { .. } => Kind::Unacceptable,
        }
    }

    /// One word per variant, for metrics and logs.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "too_large",
            Self::Empty => "empty",
            Self::NotText => "not_text",
            Self::Line { .. } => "line",
            Self::NotAnOffer => "not_an_offer",
            Self::MediaLine { .. } => "media_line",
            Self::Attribute { .. } => "attribute",
            Self::DuplicateMid => "duplicate_mid",
            Self::NothingInFragment => "nothing_in_fragment",
            Self::HalfCredentials => "half_credentials",
            Self::HalfRestart => "half_restart",
            Self::TooMany { .. } => "too_many",
            Self::NoMedia => "no_media",
            Self::DataChannel { .. } => "data_channel",
            Self::DataProtocol { .. } => "data_protocol",
            Self::SecondDataSection => "second_data_section",
            Self::MediaType { .. } => "media_type",
            Self::Protocol { .. } => "protocol",
            Self::SecondSection { .. } => "second_section",
            Self::Disabled { .. } => "disabled",
            Self::NotBundled => "not_bundled",
            Self::Direction { .. } => "direction",
            Self::NoRtcpMux { .. } => "no_rtcp_mux",
            Self::NoCredentials => "no_credentials",
            Self::NoFingerprint => "no_fingerprint",
            Self::WeakFingerprint => "weak_fingerprint",
            Self::NoCodec { .. } => NO_CODEC,
        }
    }
}

fn names(codecs: &[Codec]) -> String {
    codecs.iter().map(|codec| codec.as_str()).collect::<Vec<_>>().join(", ")
}
