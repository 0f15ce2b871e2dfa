//! What Whipcord accepts: codecs, in the order in which it prefers them, and data channels.

use std::{fmt, str::FromStr};

/// What a media section carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    Audio,
    Video,
}

/// A codec that can be accepted. H.264 in packetization-mode 1 or 0 (RFC 6184 §6.2, §6.3): a mode 0 stream is a
/// mode 1 stream that happens to use single NAL unit packets only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    H264,
    Vp8,
    Vp9,
    Av1,
    H265,
    Opus,
}

/// Codecs in the order in which they are chosen when an offer lists several. One that is absent is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preferences {
    pub video: Vec<Codec>,
    pub audio: Vec<Codec>,
    pub data: DataPolicy,
}

/// What becomes of the data channels that an offer has beside its media.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DataPolicy {
    /// They are opened, and their messages counted.
    #[default]
    Accept,
    /// Each message is also sent back, on its channel.
    Echo,
    /// The offer is refused.
    Refuse,
}

impl Kind {
    /// The media type of an `m=` line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Audio => "audio",
            Self::Video => "video",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Codec {
    const ALL: [Self; 6] = [Self::H264, Self::Vp8, Self::Vp9, Self::Av1, Self::H265, Self::Opus];

    /// The RTP encoding name, as registered.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::H264 => "H264",
            Self::Vp8 => "VP8",
            Self::Vp9 => "VP9",
            Self::Av1 => "AV1",
            Self::H265 => "H265",
            Self::Opus => "opus",
        }
    }

    pub fn kind(self) -> Kind {
        match self {
            Self::Opus => Kind::Audio,
            Self::H264 | Self::Vp8 | Self::Vp9 | Self::Av1 | Self::H265 => Kind::Video,
        }
    }

    /// Ticks per second of its RTP timestamps (RFC 7587 §4.1, RFC 6184 §5.1 and its like).
    pub fn clock_rate(self) -> u32 {
        match self.kind() {
            Kind::Audio => 48_000,
            Kind::Video => 90_000,
        }
    }

    /// By an `a=rtpmap` value; encoding names are case-insensitive (RFC 4855 §3). Opus is always written 48000/2,
    /// mono too (RFC 7587 §7).
    pub(crate) fn from_rtpmap(encoding: &str, clock_rate: u32, channels: u8) -> Option<Self> {
        let codec: Self = encoding.parse().ok()?;
        let expected = match codec.kind() {
            Kind::Audio => 2,
            Kind::Video => channels,
        };
        ((clock_rate, channels) == (codec.clock_rate(), expected)).then_some(codec)
    }
}

impl FromStr for Codec {
    type Err = UnknownCodec;

    /// The encoding name, in any case.
    fn from_str(name: &str) -> Result<Self, UnknownCodec> {
        Self::ALL
            .into_iter()
            .find(|codec| codec.as_str().eq_ignore_ascii_case(name))
            .ok_or(UnknownCodec)
    }
}

/// A name that is no codec's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a codec; there are H264, VP8, VP9, AV1, H265 and opus")]
pub struct UnknownCodec;

impl DataPolicy {
    const ALL: [Self; 3] = [Self::Accept, Self::Echo, Self::Refuse];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Echo => "echo",
            Self::Refuse => "refuse",
        }
    }
}

impl FromStr for DataPolicy {
    type Err = UnknownPolicy;

    fn from_str(name: &str) -> Result<Self, UnknownPolicy> {
        Self::ALL
            .into_iter()
            .find(|policy| policy.as_str() == name)
            .ok_or(UnknownPolicy)
    }
}

/// A word that is no [`DataPolicy`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a policy; there are accept, echo and refuse")]
pub struct UnknownPolicy;

impl Preferences {
    /// All codecs in one list, the preferred first.
    pub fn in_order(codecs: &[Codec], data: DataPolicy) -> Self {
        let (video, audio) = codecs.iter().partition(|codec| codec.kind() == Kind::Video);
        Self { video, audio, data }
    }

    pub(crate) fn for_kind(&self, kind: Kind) -> &[Codec] {
        match kind {
            Kind::Audio => &self.audio,
            Kind::Video => &self.video,
        }
    }
}

impl Default for Preferences {
    fn default() -> Self {
        Self {
            video: vec![Codec::H264, Codec::Vp8, Codec::Vp9, Codec::Av1, Codec::H265],
            audio: vec![Codec::Opus],
            data: DataPolicy::default(),
        }
    }
}
