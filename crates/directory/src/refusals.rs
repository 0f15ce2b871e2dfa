//! Requests that gateways refused, told to all of them: so that whichever is asked can say why there is no session.
//!
//! A bounded set, each refusal in it once with the time of its last: those of good tokens apart, so that strangers take no place of
//! theirs. Here in memory; in Redis two sorted sets of the same sizes.
//!
//! No worker rebuilds it: whoever refused tells again, when [`Beginning`] is another.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use whipcord_identity::StreamName;

/// How long they are kept.
pub const REFUSALS_KEPT: Duration = Duration::from_secs(3600);
/// Of each kind: with names of 255 bytes 0.4 MB, usual are 60 kB. A gateway tells at most 64 a second, and of one stranger's address 16 an hour.
pub const REFUSALS_MAX: usize = 1024;

/// A refused request, but for when it was.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RefusedRequest {
    pub stream: StreamName,
    /// What was refused and why, in the gateways' own words, without white space.
    pub what: String,
    /// A good token came with it, that could name the stream.
    pub proven: bool,
}

/// When the directory's data began, by its own clock: where it is another than before, what gateways told it may be gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beginning(pub u64);

/// What all gateways told of one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// With the time since each one's last.
    pub refusals: Vec<(RefusedRequest, Duration)>,
    /// The data did not begin a moment ago: who told has had the time to tell again.
    pub is_complete: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Refusals(HashMap<RefusedRequest, Instant>);

impl Refusals {
    /// Each with the time since its last.
    pub(crate) fn note(&mut self, refusals: &[(RefusedRequest, Duration)], now: Instant) {
        self.0
            .retain(|_, at| now.saturating_duration_since(*at) < REFUSALS_KEPT);
        for (refusal, age) in refusals {
            let Some(at) = now.checked_sub(*age) else { continue };
            let alike = self.0.keys().filter(|known| known.proven == refusal.proven).count();
            if alike >= REFUSALS_MAX && !self.0.contains_key(refusal) {
                self.forget_oldest(refusal.proven);
            }
            let last = self.0.entry(refusal.clone()).or_insert(at);
            *last = at.max(*last);
        }
    }

    /// With the time since each one's last.
    pub(crate) fn of(&self, stream: &StreamName, now: Instant) -> Vec<(RefusedRequest, Duration)> {
        let ages = self
            .0
            .iter()
            .map(|(refusal, at)| (refusal, now.saturating_duration_since(*at)));
        ages.filter(|(refusal, age)| refusal.stream == *stream && *age < REFUSALS_KEPT)
            .map(|(refusal, age)| (refusal.clone(), age))
            .collect()
    }

    fn forget_oldest(&mut self, proven: bool) {
        let alike = self.0.iter().filter(|(known, _)| known.proven == proven);
        let oldest = alike.min_by_key(|(_, at)| **at).map(|(known, _)| known.clone());
        if let Some(oldest) = oldest {
            self.0.remove(&oldest);
        }
    }
}
