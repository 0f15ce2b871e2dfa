//! How long things last in the directory.

use std::time::Duration;

/// A lease not renewed for this long is over: of a worker's beats, one a second, two may be lost.
pub const LEASE: Duration = Duration::from_secs(3);
/// A reservation not committed for this long is over: longer than a gateway waits for a worker, and an encoder for a gateway
/// (OBS: 8 s).
pub const RESERVATION: Duration = Duration::from_secs(10);
/// A worker number names one incarnation only for this long after its last beat, because encoders may go on sending to it.
pub const NUMBER_REST: Duration = Duration::from_secs(24 * 3600);
/// After this an index that was empty knows every worker again: a stream to a gateway that died is given up after 3 s of silence,
/// and the next is open within 2 s.
pub const REBUILD: Duration = Duration::from_secs(5);
/// A publisher that lost its stream to another does not get it back by force for this long: two encoders of one stream would
/// evict each other for ever.
pub const LOSER_WAIT: Duration = Duration::from_secs(30);

/// The times a directory goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    pub lease: Duration,
    pub reservation: Duration,
    pub number_rest: Duration,
    /// Zero where the directory cannot outlive, or be outlived by, its workers.
    pub rebuild: Duration,
    pub loser_wait: Duration,
}

impl Timing {
    /// All gateways of a cluster go by the same.
    pub const STANDARD: Self = Self {
        lease: LEASE,
        reservation: RESERVATION,
        number_rest: NUMBER_REST,
        rebuild: REBUILD,
        loser_wait: LOSER_WAIT,
    };

    /// What a worker tells and what the directory holds of it differ for no longer, but where something was lost: a reservation whose
    /// gateway died is counted until it is over, and found by the next look.
    pub(crate) fn disagreement(self) -> Duration {
        self.reservation + self.lease
    }

    /// Beats are gathered for this long and renewed together: 200 ms. A worker's acknowledgement waits no longer.
    pub(crate) fn batch(self) -> Duration {
        self.lease / 15
    }

    /// The view of the workers is this old at most: 500 ms.
    pub(crate) fn refresh(self) -> Duration {
        self.lease / 6
    }
}
