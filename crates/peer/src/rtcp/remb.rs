//! A receiver's estimate of what the path carries, for encoders that ask for REMB alone.
//!
//! Driven by loss, as the loss-based part of Google congestion control is (draft-ietf-rmcat-gcc-02 §6): it needs no arrival times of
//! the sender's, and a missing estimate leaves such encoders at their start bitrate.

use std::time::{Duration, Instant};

/// Bits per second, all of these.
const START: u64 = 5_000_000;
const LOWEST: u64 = 300_000;
const HIGHEST: u64 = 50_000_000;
/// However little is sent, an encoder may always rise to this at once: a still picture must not cost the next scene its quality.
const ALWAYS: u64 = 2_500_000;

/// Growth per second while less than [`GROW_BELOW`] is lost, in 1/1000.
const GROWTH_PER_SECOND: u64 = 80;
/// Loss in 1/1000 below which the estimate grows, and above which it shrinks; between the two it stays.
const GROW_BELOW: u64 = 20;
const SHRINK_ABOVE: u64 = 100;
/// Growth is not made up for after a pause.
const STEP_MAX: Duration = Duration::from_secs(1);

#[derive(Clone, Debug)]
pub struct Estimate {
    bits_per_second: u64,
    /// Since `updated`.
    bytes: u64,
    updated: Instant,
}

impl Estimate {
    pub fn new(now: Instant) -> Self {
        Self {
            bits_per_second: START,
            bytes: 0,
            updated: now,
        }
    }

    /// A datagram of `len` bytes.
    pub fn received(&mut self, len: usize) {
        self.bytes += len as u64;
    }

    /// The estimate in bits per second, from what was lost and expected, in packets, since the last call. At most one call per
    /// millisecond counts.
    ///
    /// Without packets it stays. Else it grows by 8 % per second below 2 % loss, stays up to 10 %, and above is multiplied by
    /// 1 - loss / 2; never above twice what arrives (but 2.5 Mbit/s are always allowed), never outside 300 kbit/s to 50 Mbit/s.
    pub fn update(&mut self, now: Instant, lost: u64, expected: u64) -> u64 {
        let elapsed = now.saturating_duration_since(self.updated);
        let millis = elapsed.as_millis() as u64;
        if expected == 0 || millis == 0 {
            return self.bits_per_second;
        }
        let arriving = self.bytes * 8 * 1000 / millis;
        self.bytes = 0;
        self.updated = now;

        let loss = lost.min(expected) * 1000 / expected;
        let estimate = self.bits_per_second;
        let estimate = if loss < GROW_BELOW {
            let step = elapsed.min(STEP_MAX).as_millis() as u64;
            estimate + estimate * GROWTH_PER_SECOND * step / 1_000_000
        } else if loss > SHRINK_ABOVE {
            estimate * (2000 - loss) / 2000
        } else {
            estimate
        };
        let ceiling = (2 * arriving).max(ALWAYS);
        self.bits_per_second = estimate.min(ceiling).clamp(LOWEST, HIGHEST);
        self.bits_per_second
    }
}

#[cfg(test)]
mod tests;
