//! Counters of a session and of the port, read by the shell whenever it likes.

use std::time::Duration;

use crate::{Path, event::TrackId};

/// A session's totals since its start. They survive adoption only as far as the checkpoint carries them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Where we send now; None until a STUN check authenticated.
    pub path: Option<Path>,
    /// RTP packets that authenticated, repairs included, duplicates not.
    pub packets: u64,
    /// RTP payload bytes of those.
    pub bytes: u64,
    pub tracks: Vec<TrackStats>,
    /// Of the data channels, where the session negotiated them: then it is pinned to its process, because the state of SCTP is in no
    /// checkpoint.
    pub data: Option<DataStats>,
    pub dropped: Dropped,
    /// NACK messages sent, each for up to hundreds of packets, since media began.
    pub nacks: u64,
    /// PLI and FIR messages sent, likewise.
    pub keyframe_requests: u64,
    /// Datagrams of DTLS that came from a validated address: of a session without keys they tell an encoder that says nothing from
    /// one whose handshake does not come to its end.
    pub handshake_datagrams: u64,
}

/// The data channels' totals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DataStats {
    /// Open now.
    pub channels: u32,
    /// Whole messages received.
    pub messages: u64,
    /// Bytes of those.
    pub bytes: u64,
}

/// One track's totals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrackStats {
    pub track: TrackId,
    pub packets: u64,
    pub bytes: u64,
    /// Expected minus received (RFC 3550 §A.3); repaired packets count as received, so it can fall again.
    pub lost: u64,
    /// Inter-arrival jitter in RTP clock units (RFC 3550 §A.8).
    pub jitter: u32,
    /// From a NACK to the packet that it asked for, smoothed; None before the first that came.
    pub round_trip: Option<Duration>,
}

/// Why a datagram, or a packet in it, was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// Not STUN, DTLS, RTP or RTCP by its first byte (RFC 7983 §7), cut short, or not DTLS 1.2 though it begins so.
    Malformed,
    /// STUN for a ufrag that no session here has.
    UnknownUfrag,
    /// STUN for one of our ufrags, signed with another password.
    WrongPassword,
    /// From an address that belongs to no session.
    UnknownAddress,
    /// STUN for one session from an address that another was heard from a moment ago.
    AddressTaken,
    /// DTLS or media from an address whose STUN has not authenticated.
    NotValidated,
    /// SRTP or SRTCP whose tag is wrong.
    Unauthentic,
    /// SRTP or SRTCP seen before, or older than the replay window.
    Replayed,
    /// Authentic RTP that belongs to no track: an unknown payload type, or no MID where one is needed.
    Unbound,
    /// One SSRC more than a session may have.
    TooManyStreams,
    /// Media before the keys, beyond what is held for them.
    HeldFull,
    /// Handshake datagrams beyond the queue's limit.
    HandshakeQueueFull,
    /// Beyond a budget: trial decryption for an unknown SSRC or address, DTLS of more datagrams than a handshake needs.
    RateLimited,
    /// SCTP of the data channels that is none, belongs to no association, or is beyond one of their limits.
    DataChannel,
}

impl DropReason {
    const ALL: [(Self, &'static str); 14] = [
        (Self::Malformed, "malformed"),
        (Self::UnknownUfrag, "unknown_ufrag"),
        (Self::WrongPassword, "wrong_password"),
        (Self::UnknownAddress, "unknown_address"),
        (Self::AddressTaken, "address_taken"),
        (Self::NotValidated, "not_validated"),
        (Self::Unauthentic, "unauthentic"),
        (Self::Replayed, "replayed"),
        (Self::Unbound, "unbound"),
        (Self::TooManyStreams, "too_many_streams"),
        (Self::HeldFull, "held_full"),
        (Self::HandshakeQueueFull, "handshake_queue_full"),
        (Self::RateLimited, "rate_limited"),
        (Self::DataChannel, "data_channel"),
    ];

    /// The reason's word in statistics and metrics.
    pub fn as_str(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

/// Dropped datagrams, counted by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    counts: [u64; DropReason::ALL.len()],
}

impl Dropped {
    pub fn count(&self, reason: DropReason) -> u64 {
        self.counts[reason as usize]
    }

    /// Every reason's word and count, zeros too.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        DropReason::ALL
            .iter()
            .map(|(reason, word)| (*word, self.count(*reason)))
    }

    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// By how much each grew since then.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let grown = |reason: usize| self.counts[reason].saturating_sub(before.counts[reason]);
        Self {
            counts: std::array::from_fn(grown),
        }
    }

    pub(crate) fn add(&mut self, reason: DropReason) {
        self.counts[reason as usize] += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_stands_at_its_own_index() {
        for (index, (reason, _)) in DropReason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, index);
        }
    }
}
