//! Which tracks one file can hold.

use crate::frame::{Codec, Kind};

/// A track as the session negotiated it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrackSpec {
    pub codec: Codec,
    /// 48,000 for Opus, 90,000 for video.
    pub clock_rate: u32,
    /// Of audio: 1 or 2.
    pub channels: u8,
}

/// What cannot be recorded into one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsupported {
    #[error("there is no track to record")]
    NoTrack,
    #[error("there are two {0:?} tracks; a recording holds one of each kind")]
    TwoTracks(Kind),
    #[error("{codec:?} has no RTP clock rate of {clock_rate} Hz")]
    ClockRate { codec: Codec, clock_rate: u32 },
    #[error("{0} audio channels cannot be recorded; use 1 or 2")]
    Channels(u8),
}

impl TrackSpec {
    pub(super) fn check(&self) -> Result<(), Unsupported> {
        // RFC 6184 §8.2.1, RFC 7798 §7.1, RFC 7741 §6.2, RFC 9628 §6, AV1 RTP §7.1, RFC 7587 §4.1.
        let clock_rate = match self.codec.kind() {
            Kind::Video => 90_000,
            Kind::Audio => 48_000,
        };
        if self.clock_rate != clock_rate {
            return Err(Unsupported::ClockRate {
                codec: self.codec,
                clock_rate: self.clock_rate,
            });
        }
        if self.codec.kind() == Kind::Audio && !(1..=2).contains(&self.channels) {
            return Err(Unsupported::Channels(self.channels));
        }
        Ok(())
    }
}
