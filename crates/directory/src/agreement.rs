//! Whether a worker has as many sessions as the directory holds of it.
//!
//! One that lost its stream, and whom nobody could tell so, sends on: its gateway died after the commit, or the one call that was to
//! end it failed. Its worker says all it has only at a hello. But each beat says how many it has, and that is one too many.

use std::time::Instant;

use crate::Timing;

/// How a worker's own count and the directory's compare, since when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Agreement {
    #[default]
    Even,
    /// The same two, at every beat since then.
    Apart { told: usize, known: usize, since: Instant },
}

impl Agreement {
    /// After another beat. True where they have been apart for so long that no session on its way explains it: the worker must tell
    /// all again. Where sessions come and go each beat finds some that only one side knows yet, so the counts must stand still: of a
    /// busy worker the next quiet moment tells, or its next hello. It begins anew with each hello, so that a worker tells all once in
    /// that time at most: one that was never heard of and takes no stream counts there, and not here.
    pub(crate) fn is_lost(&mut self, told: usize, known: usize, timing: Timing, now: Instant) -> bool {
        let since = match *self {
            Self::Apart {
                told: former_told,
                known: former_known,
                since,
            } if (former_told, former_known) == (told, known) => since,
            Self::Even | Self::Apart { .. } => now,
        };
        *self = if told == known {
            Self::Even
        } else {
            Self::Apart { told, known, since }
        };
        told != known && now.saturating_duration_since(since) > timing.disagreement()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn only_what_is_apart_in_the_same_way_for_long_is_lost() {
        let begun = Instant::now();
        let second = |n| begun + Duration::from_secs(n);
        let timing = Timing::STANDARD;
        assert_eq!(timing.disagreement(), Duration::from_secs(13));
        for at_10 in [2, 1, 3] {
            let mut agreement = Agreement::default();
            let mut lost = |told, known, at| agreement.is_lost(told, known, timing, second(at));
            assert!(!lost(2, 2, 0));
            assert!(!lost(3, 2, 1));
            assert!(!lost(at_10, 2, 10));
            assert!(!lost(3, 2, 14));
            assert_eq!(lost(3, 2, 15), at_10 == 3, "{at_10}");
            assert!(!lost(2, 2, 16));
            assert!(!lost(3, 2, 29));
        }
    }

    #[test]
    fn where_sessions_come_and_go_nothing_is_said_to_be_lost() {
        let begun = Instant::now();
        let mut agreement = Agreement::default();
        for beat in 0..60 {
            let known = 40 + beat % 7;
            let at = begun + Duration::from_secs(beat as u64);
            assert!(
                !agreement.is_lost(known + 1 + beat % 3, known, Timing::STANDARD, at),
                "{beat}"
            );
        }
    }
}
