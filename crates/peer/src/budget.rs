//! A token bucket over a passed-in clock: how often something costly may be done for strangers.

use std::time::{Duration, Instant};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    /// One token's worth of time.
    interval: Duration,
    /// Tokens that may gather, as time.
    burst: Duration,
    /// When the bucket would be empty if nothing were taken: the bucket holds `now - empty_at`, at most `burst`.
    empty_at: Option<Instant>,
}

impl Budget {
    /// `rate` per second, at most `burst` at once.
    pub(crate) fn new(rate: u32, burst: u32) -> Self {
        let interval = Duration::from_secs(1) / rate.max(1);
        Self {
            interval,
            burst: interval * burst.max(1),
            empty_at: None,
        }
    }

    /// Takes one token, if there is one.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        self.take_many(now, 1)
    }

    /// Takes so many tokens, or none.
    pub(crate) fn take_many(&mut self, now: Instant, tokens: u32) -> bool {
        let cost = self.interval * tokens;
        let full = now.checked_sub(self.burst);
        let empty_at = match (self.empty_at, full) {
            (Some(empty_at), Some(full)) => empty_at.max(full),
            (Some(empty_at), None) => empty_at,
            (None, Some(full)) => full,
            // Within `burst` of the clock's own beginning: the bucket starts full.
            (None, None) => now,
        };
        let allowed = now.saturating_duration_since(empty_at) >= cost || self.empty_at.is_none();
        if allowed {
            self.empty_at = Some(empty_at + cost);
        } else {
            self.empty_at = Some(empty_at);
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let start = Instant::now() + Duration::from_secs(10);
        let mut budget = Budget::new(10, 5);
        let at_once = (0..100).filter(|_| budget.take(start)).count();
        assert_eq!(at_once, 5);
        let in_ten_seconds = (0..10_000)
            .filter(|ms| budget.take(start + Duration::from_millis(*ms)))
            .count();
        assert!((99..=101).contains(&in_ten_seconds), "{in_ten_seconds}");
    }

    #[test]
    fn many_tokens_are_taken_together_or_not_at_all() {
        let start = Instant::now() + Duration::from_secs(10);
        let mut budget = Budget::new(10, 5);
        assert!(budget.take_many(start, 3));
        assert!(!budget.take_many(start, 3));
        assert!(budget.take_many(start, 2));
        let later = start + Duration::from_millis(250);
        assert!(!budget.take_many(later, 3));
        assert!(budget.take_many(later, 2));
    }

    #[test]
    fn a_long_pause_gathers_no_more_than_the_burst() {
        let start = Instant::now() + Duration::from_secs(10);
        let mut budget = Budget::new(10, 5);
        assert!(budget.take(start));
        let later = start + Duration::from_secs(3600);
        assert_eq!((0..100).filter(|_| budget.take(later)).count(), 5);
    }
}
