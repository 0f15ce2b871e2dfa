//! How well a stream arrives (RFC 3550 §6.4.1, §A.3 and §A.8).

use std::time::Instant;

use super::write::ReportBlock;

/// The reception of one SSRC. Sequence numbers are extended, and come after the replay check: each once.
#[derive(Clone, Debug)]
pub struct Reception {
    clock_rate: u32,
    first: u64,
    highest: u64,
    received: u64,
    reported: Totals,
    taken: Totals,
    timing: Option<Timing>,
    /// 16 times the jitter, in clock ticks (§A.8).
    jitter: u32,
    sender_report: Option<SenderReport>,
}

/// Counts at the last time they were looked at.
#[derive(Clone, Copy, Debug)]
struct Totals {
    expected: u64,
    received: u64,
}

impl Totals {
    /// (lost, expected) from `self` to `now`. Late packets and repairs may make up for losses counted before: never below 0.
    fn until(self, now: Self) -> (u64, u64) {
        let expected = now.expected.saturating_sub(self.expected);
        let received = now.received.saturating_sub(self.received);
        (expected.saturating_sub(received), expected)
    }
}

#[derive(Clone, Copy, Debug)]
struct Timing {
    epoch: Instant,
    /// Arrival minus timestamp of the last packet, modulo 2^32 ticks.
    transit: u32,
}

#[derive(Clone, Copy, Debug)]
struct SenderReport {
    /// The middle 32 bits of its NTP time.
    ntp: u32,
    arrival: Instant,
}

impl Reception {
    /// A stream that begins with the sequence number `first`, which is yet to be given to [`Self::received`].
    pub fn new(clock_rate: u32, first: u64) -> Self {
        let nothing = Totals {
            expected: 0,
            received: 0,
        };
        Self {
            clock_rate,
            first,
            highest: first,
            received: 0,
            reported: nothing,
            taken: nothing,
            timing: None,
            jitter: 0,
            sender_report: None,
        }
    }

    /// Continues where another left off. Jitter and the last sender report start anew, and what was lost before is not reported twice.
    pub fn restored(clock_rate: u32, first: u64, highest: u64, received: u64) -> Self {
        let mut restored = Self {
            highest: highest.max(first),
            received,
            ..Self::new(clock_rate, first)
        };
        restored.reported = restored.totals();
        restored.taken = restored.totals();
        restored
    }

    /// A packet, in or out of order.
    pub fn received(&mut self, now: Instant, sequence: u64, timestamp: u32) {
        self.repaired(sequence);
        let epoch = self.timing.map_or(now, |timing| timing.epoch);
        let transit = ticks(now, epoch, self.clock_rate).wrapping_sub(timestamp);
        if let Some(last) = self.timing {
            let difference = transit.wrapping_sub(last.transit).cast_signed().unsigned_abs();
            // An outlier beyond the clock's meaning must not overflow 16 times its value.
            let difference = difference.min(u32::MAX >> 5);
            self.jitter = (self.jitter + difference).saturating_sub((self.jitter + 8) >> 4);
        }
        self.timing = Some(Timing { epoch, transit });
    }

    /// A packet that came as a repair: it is not lost, but its arrival says nothing of jitter.
    pub fn repaired(&mut self, sequence: u64) {
        self.first = self.first.min(sequence);
        self.highest = self.highest.max(sequence);
        self.received += 1;
    }

    /// A sender report of this stream; `ntp` is 32.32 fixed point.
    pub fn sender_report(&mut self, now: Instant, ntp: u64) {
        self.sender_report = Some(SenderReport {
            ntp: (ntp >> 16) as u32,
            arrival: now,
        });
    }

    /// What the next receiver report says. Its fraction lost is since the last call.
    pub fn block(&mut self, now: Instant, ssrc: u32) -> ReportBlock {
        let totals = self.totals();
        let (lost, expected) = self.reported.until(totals);
        self.reported = totals;
        // All lost is 256/256, which does not fit: 255.
        let fraction_lost = (lost * 256).checked_div(expected).unwrap_or(0).min(255);
        let lost = totals.expected.cast_signed() - totals.received.cast_signed();
        let (last_sender_report, delay) = self
            .sender_report
            .map_or((0, 0), |report| (report.ntp, ticks(now, report.arrival, 1 << 16)));
        ReportBlock {
            ssrc,
            fraction_lost: fraction_lost as u8,
            lost: lost.clamp(-(1 << 23), (1 << 23) - 1) as i32,
            highest: self.highest as u32,
            jitter: self.jitter(),
            last_sender_report,
            delay,
        }
    }

    /// (lost, expected) since the last call.
    pub fn take_loss(&mut self) -> (u64, u64) {
        let totals = self.totals();
        let loss = self.taken.until(totals);
        self.taken = totals;
        loss
    }

    /// The lowest sequence number seen.
    pub const fn first(&self) -> u64 {
        self.first
    }

    /// The highest sequence number seen.
    pub const fn highest(&self) -> u64 {
        self.highest
    }

    /// Packets that arrived, repairs included.
    pub const fn received_count(&self) -> u64 {
        self.received
    }

    /// Packets that did not arrive.
    pub const fn lost(&self) -> u64 {
        self.totals().expected.saturating_sub(self.received)
    }

    /// Inter-arrival jitter in clock ticks (§A.8).
    pub const fn jitter(&self) -> u32 {
        self.jitter >> 4
    }

    const fn totals(&self) -> Totals {
        // Before the first packet, nothing is expected.
        let expected = if self.received == 0 {
            0
        } else {
            self.highest - self.first + 1
        };
        Totals {
            expected,
            received: self.received,
        }
    }
}

/// Time from `epoch` to `now` in ticks of `clock_rate`, modulo 2^32.
fn ticks(now: Instant, epoch: Instant, clock_rate: u32) -> u32 {
    let elapsed = now.saturating_duration_since(epoch);
    let rate = u64::from(clock_rate);
    // Below 2^30 ns times below 2^32 Hz fits 64 bits.
    let part = u64::from(elapsed.subsec_nanos()) * rate / 1_000_000_000;
    elapsed.as_secs().wrapping_mul(rate).wrapping_add(part) as u32
}

#[cfg(test)]
mod tests;
