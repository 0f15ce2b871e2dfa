//! Transport-wide feedback: when each packet of a session arrived (draft-holmer-rmcat-transport-wide-cc-extensions-01).

mod encode;

use std::collections::VecDeque;
use std::time::Instant;

use crate::srtp::estimate;

use encode::{Encoder, Full};

/// Arrivals kept until the next feedback, 100 ms at 20,000 packets per second. The oldest go first, and nothing is said of them.
const ARRIVALS_MAX: usize = 2048;
/// What one run-length chunk spans. A wider gap, forwards or back, is a sender that numbers anew: no loss is reported.
const GAP_MAX: u64 = 8191;

/// Arrivals that were not reported yet.
#[derive(Clone, Debug, Default)]
pub struct Arrivals {
    epoch: Option<Instant>,
    /// Ascending by sequence number, each once.
    pending: VecDeque<Arrived>,
    /// The highest sequence number recorded, extended.
    highest: u64,
    /// Feedback reached up to here: what is missing from here on is still to be reported. None before the first arrival.
    next: Option<u64>,
    /// Feedback packets sent, modulo 256.
    count: u8,
}

#[derive(Clone, Copy, Debug)]
struct Arrived {
    sequence: u64,
    /// Ticks of 250 us since the epoch.
    at: u64,
}

impl Arrivals {
    /// A packet with this number in its header extension.
    pub fn record(&mut self, now: Instant, sequence: u16) {
        let epoch = *self.epoch.get_or_insert(now);
        let at = now.saturating_duration_since(epoch).as_micros() as u64 / 250;
        let sequence = match self.next {
            Some(_) => estimate(self.highest, sequence),
            // One roll-over ahead, so that an older packet finds its place.
            None => 1 << 16 | u64::from(sequence),
        };
        if self.next.is_none() || sequence.abs_diff(self.highest) > GAP_MAX {
            self.pending.clear();
            self.next = Some(sequence);
            self.highest = sequence;
        }
        self.highest = self.highest.max(sequence);
        self.insert(Arrived { sequence, at });
    }

    /// Whether there is nothing to report.
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// Appends one feedback packet of at most 1200 bytes, or nothing if nothing arrived since the last. What does not fit is left for
    /// the next call: [`Self::is_empty`] tells.
    ///
    /// A packet that arrived after its loss was reported gets a feedback packet of its own, because one base to the other would call
    /// the arrived ones in between lost.
    pub fn feedback(&mut self, out: &mut Vec<u8>, sender: u32, media: u32) {
        let Some(first) = self.pending.front() else { return };
        let next = self.next.unwrap_or(first.sequence);
        let is_late = first.sequence < next;
        let base = if is_late { first.sequence } else { next };
        let mut encoder = Encoder::new(base, first.at);
        while let Some(arrived) = self.pending.front() {
            if is_late && (arrived.sequence >= next || arrived.sequence != encoder.next()) {
                break;
            }
            match encoder.push(arrived.sequence, arrived.at) {
                Ok(()) => self.pending.pop_front(),
                Err(Full) => break,
            };
        }
        if !is_late {
            self.next = Some(encoder.next());
        }
        encoder.finish(out, sender, media, self.count);
        self.count = self.count.wrapping_add(1);
    }

    fn insert(&mut self, arrived: Arrived) {
        // Nearly always at the end.
        let at = self
            .pending
            .iter()
            .rposition(|other| other.sequence <= arrived.sequence);
        match at {
            Some(at) if self.pending[at].sequence == arrived.sequence => return,
            Some(at) => self.pending.insert(at + 1, arrived),
            None => self.pending.push_front(arrived),
        }
        if self.pending.len() > ARRIVALS_MAX {
            let dropped = self.pending.pop_front().map(|dropped| dropped.sequence + 1);
            self.next = self.next.max(dropped);
        }
    }
}

#[cfg(test)]
mod tests;
